from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey.ingest import ingest_survey
from galaxy_explorer.survey.stamps import IngestOptions
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.survey.writer import SurveyWriter
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


@pytest.mark.parametrize("changed", ["catalogue", "source", ""])
def test_what_has_changed_since_a_run_was_begun_is_not_mixed_with_it(
    tmp_path, monkeypatch, changed
):
    cube = np.random.default_rng(0).normal(size=(9, 32, 32)).astype(np.float32)
    source, ids = tmp_path / "cube.npz", list(range(9))
    np.savez(source, images=cube, id=ids)
    catalog = write_csv(tmp_path / "c.csv", {"id": ids})
    with monkeypatch.context() as patch:
        patch.delattr(SurveyWriter, "finish")
        with pytest.raises(AttributeError, match="finish"):
            ingest_survey(source, catalog, tmp_path / "s", IngestOptions(size=16))
    if changed == "source":
        np.savez(source, images=cube, id=ids[::-1])
    # Read and written again it is the same table, whatever the time of its file.
    write_csv(catalog, {"id": ids[::-1] if changed == "catalogue" else ids})
    if not changed:
        assert (
            len(ingest_survey(source, catalog, tmp_path / "s", IngestOptions(size=16)).survey) == 9
        )
        return
    with pytest.raises(SurveyError, match=f"the {changed} has changed .* or delete that folder"):
        ingest_survey(source, catalog, tmp_path / "s", IngestOptions(size=16))
