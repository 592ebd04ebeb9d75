"""Threads that wait must not spin: what OpenMP itself says it was told, in fresh processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_bundle import write_small_bundle

ROOT = Path(__file__).resolve().parent.parent
TORCH = "'torch' not in sys.modules, 'torch comes first'"
STARTS = {
    "a notebook": "import galaxy_explorer as ge; ge.load_bundle",
    "a command": "import galaxy_explorer.cli",
    "panel serve app.py": f"import panel.command.serve; assert {TORCH}; import runpy, app",
}


def told(arguments: list[str], **environment: str) -> set[str]:
    """How long waiting threads spin, as every OpenMP library that a process loaded says."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**kept, "OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"(?:GOMP_SPINCOUNT|KMP_BLOCKTIME)\s*=\s*'(\w+)'", done.stderr))


@pytest.mark.parametrize("start", STARTS)
def test_every_start_lets_waiting_threads_sleep(start: str) -> None:
    program = f"import sys; {STARTS[start]}; import torch; torch.ones(9).sum()"
    assert told(["-c", program]) == {"0"}


def test_a_command_that_draws_lets_them_sleep(tmp_path) -> None:
    bundle = write_small_bundle(tmp_path / "bundle", n=60)
    command = ["generate", str(bundle), "-n", "1", "--out", str(tmp_path / "one.fits")]
    assert told(["-m", "galaxy_explorer", *command]) == {"0"}


def test_what_the_user_has_set_stays() -> None:
    chosen = told(["-c", "import galaxy_explorer, torch"], OMP_WAIT_POLICY="ACTIVE")
    assert chosen
    assert "0" not in chosen
