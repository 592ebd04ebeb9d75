"""Two processes of torchrun take the steps of one; without torchrun nothing is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models import processes
from galaxy_explorer.models.training import CURVE

ROOT = Path(__file__).parents[2]
PROGRAM = """
import dataclasses, json, sys
from pathlib import Path
from galaxy_explorer.models.autoencoder_training import VQVAETask, train_model
from galaxy_explorer.models.processes import joined_processes
from tests.models.test_training import CONFIG, RECIPE, blobs
import galaxy_explorer.models.autoencoder_training as training
import galaxy_explorer.models.training as loop

folder, cut = Path(sys.argv[1]), int(sys.argv[2])
# Each save waits for the disk, which takes as long as all steps: only what is cut short needs one.
loop.SAVE_INTERVAL_S = 0.0 if cut > 0 else 1e9
training.RESTART_INTERVAL = 5  # so that codes are restarted in so short a run
recipe = dataclasses.replace(RECIPE, steps=20)

class Task(VQVAETask):
    def loss(self, step):
        if step == cut:
            sys.exit(3)
        return super().loss(step)

training.VQVAETask = Task
with joined_processes() as number:
    for quantizer in ("modern", "paper"):
        config = dataclasses.replace(CONFIG, quantizer=quantizer)
        result = train_model(config, blobs(64), blobs(16, 1), folder / quantizer, recipe)[1]
        if number == 0:
            (folder / f"{quantizer}.json").write_text(json.dumps(result.curve))
"""


EARLY = 5
"""Validations of the first quarter, before rounding has grown."""


def trained(folder: Path, *launcher: str, cut: int = -1) -> int:
    """Run PROGRAM; `cut` is the step at which it ends before its time."""
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(folder / "program.py"), str(folder), str(cut)]
    return subprocess.run(command, env=environment, check=False).returncode


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_go_on_where_they_stopped(tmp_path: Path) -> None:
    assert trained(tmp_path / "one") == 0
    assert trained(tmp_path / "two", *TWO, cut=12) != 0
    assert not (tmp_path / "two" / "modern.json").exists()
    assert trained(tmp_path / "two", *TWO) == 0
    for quantizer in ("modern", "paper"):
        one, two = (
            json.loads((tmp_path / name / f"{quantizer}.json").read_text())
            for name in ("one", "two")
        )
        assert len(one) == len(two) == 20
        for number, (before, after) in enumerate(zip(one, two, strict=True)):
            # A code that changes by rounding carries on, in the report's kind most of all.
            close = 1e-5 if number < EARLY or quantizer == "modern" else 3e-2
            assert after["nmse"] == pytest.approx(before["nmse"], rel=close)
        rows = (tmp_path / "two" / quantizer / CURVE).read_text().splitlines()
        assert len(rows) == 1 + len(one)  # one process alone has written


def test_alone_everything_is_given_back_as_it_is() -> None:
    value = torch.randn(4, 3)
    parameter = torch.nn.Parameter(value.clone())
    parameter.grad = value.clone()
    for same in (processes.summed, processes.averaged, processes.gathered):
        assert same(value) is value
    processes.average_gradients([parameter])
    assert torch.equal(parameter.grad, value)
    assert processes.told("k16") == "k16"
    assert processes.share(32) == slice(0, 32)
    with processes.joined_processes() as number:
        assert number == processes.LEADER


def test_a_batch_that_cannot_be_shared_evenly_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "processes", lambda: (2, 4))
    assert processes.share(32) == slice(16, 24)
    with pytest.raises(TrainingError, match="--nproc-per-node"):
        processes.share(30)
