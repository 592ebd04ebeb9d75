"""What is asked for is pinned and used, and the set-up says what it needs."""

from __future__ import annotations

import os
import runpy
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
complaint = runpy.run_path(str(ROOT / ".ci" / "port_is_free.py"))["complaint"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
REQUIREMENTS = [Requirement(text) for group in GROUPS for text in group]
PINS = {
    canonicalize_name(name): Version(version)
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
}


def test_every_dependency_is_pinned_inside_its_range() -> None:
    outside = [r for r in REQUIREMENTS if PINS[canonicalize_name(r.name)] not in r.specifier]
    assert outside == []


def test_what_is_imported_is_asked_for_and_what_is_asked_for_is_used() -> None:
    command = [sys.executable, "-m", "deptry", ".", "--no-ansi"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_torch_is_pinned_to_the_release_that_was_tested() -> None:
    assert PINS["torch"] == Version("2.13.0")


def test_the_version_is_one_and_the_changelog_has_it() -> None:
    from galaxy_explorer import __version__

    assert PROJECT["version"] == __version__
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_an_unsupported_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.9.18' || exit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / ".ci" / "install.sh", ".", "stamp"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert "Python 3.9.18" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.long
def test_an_interrupted_installation_is_begun_anew_and_earns_no_stamp(tmp_path: Path) -> None:
    for name in ("bin/python", "unfinished", "ready-1-app"):
        path = tmp_path / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\nexit 0\n")
        path.chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / ".ci" / "install.sh", "./absent", ".venv/ready-1-app"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the installation failed" in done.stderr
    assert (tmp_path / ".venv" / "unfinished").exists()
    assert not (tmp_path / ".venv" / "ready-1-app").exists()


@pytest.mark.parametrize("card", [True, False])
def test_the_cpu_build_is_taken_where_there_is_no_card_and_it_is_said_where(
    tmp_path: Path, *, card: bool
) -> None:
    asked = tmp_path / "asked"
    scripts = {"bin/python": f'echo "$@" >> {asked}'} | ({"found/nvidia-smi": ""} if card else {})
    for name, line in scripts.items():
        path = tmp_path / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    (tmp_path / "galaxy_explorer").mkdir()
    bare = tmp_path / "bare"  # a PATH without a card of the machine that runs this
    bare.mkdir()
    for tool in ("sh", "rm", "touch"):
        (bare / tool).symlink_to(shutil.which(tool) or "")
    subprocess.run(
        ["sh", ROOT / ".ci" / "install.sh", ".", ".venv/ready-1-app"],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / '.venv' / 'found'}:{bare}",
            "TORCH_CPU_INDEX": "https://x.y/cpu",
        },
        check=True,
        capture_output=True,
    )
    lines = asked.read_text().splitlines()
    first = "-m pip install -c constraints.txt --index-url https://x.y/cpu torch"
    assert [line for line in lines if line == first] == ([] if card else [first])
    assert lines[-2] == "-m pip install -c constraints.txt -e ."
    assert (tmp_path / ".venv" / "ready-1-app").exists()


def test_a_port_in_use_is_named_with_a_cure() -> None:
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        assert f"port {port} is in use" in (complaint(str(port)) or "")
        assert "PORT=" in (complaint(str(port)) or "")
    assert complaint(str(port)) is None


@pytest.mark.parametrize("text", ["", "http", "-1", "0", "65536", "50 06"])
def test_what_is_no_port_is_refused(text: str) -> None:
    assert "is no port" in (complaint(text) or "")
