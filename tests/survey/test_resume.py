from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.survey.store import Survey
from tests.survey.test_ingest import rejects, write_csv


def command(source: Path, catalog: Path, out: Path, *more: str) -> list[str]:
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heed}; from galaxy_explorer.cli import main; main()"
    return [
        sys.executable, "-c", program, "ingest", str(source), "--catalog", str(catalog),
        "--out", str(out), "--size", "16", *more,
    ]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


COUNT = 9300  # so that the last blow comes long before the end


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What is ingested, cube.npz and c.csv, and the survey of an unbroken run."""
    folder = tmp_path_factory.mktemp("whole")
    cube = np.random.default_rng(0).normal(size=(COUNT, 32, 32)).astype(np.float32)
    cube[::37] = np.nan
    np.savez(folder / "cube.npz", images=cube)
    catalog = write_csv(
        folder / "c.csv", {"id": list(range(COUNT)), "T": [i % 7 for i in range(COUNT)]}
    )
    subprocess.run(command(folder / "cube.npz", catalog, folder / "s"), check=True, timeout=300)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blow", "more"),
    [(signal.SIGKILL, ()), (signal.SIGINT, ()), (signal.SIGKILL, ("--scheduler", "2"))],
)
def test_killed_ingest_resumes_to_the_same_bytes(folder, tmp_path, blow, more):
    source, catalog = folder / "cube.npz", folder / "c.csv"
    out = tmp_path / "broken" / "s"
    for goal in (0, 2, 4):
        process = subprocess.Popen(command(source, catalog, out, *more))
        part = out.with_name("s.partial") / "progress" / f"part-{goal:06d}.parquet"
        while not part.exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, blow)
        assert process.wait(60) != 0
        assert not out.exists()
    subprocess.run(command(source, catalog, out), check=True, timeout=300)
    assert contents(out) == contents(folder / "s")
    assert [entry.name for entry in out.parent.iterdir()] == ["s"]
    survey = Survey.open(out)
    assert len(survey) + len(rejects(out)) == COUNT
