"""What the README and the other pages of text promise is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from galaxy_explorer.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = (
    "README.md",
    "CONTRIBUTING.md",
    "DEPLOYMENT.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "trained/sdss/README.md",
)
COMMAND = r"(?:^ {4}|`)galaxy-explorer ([a-z]+ [^`\n]+)"
MAKE = r"(?:^ {4}|`)make ([a-z][a-z-]+)"


@pytest.mark.parametrize("text", TEXTS)
def test_every_link_to_a_file_leads_somewhere(text: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / text).read_text(encoding="utf-8"))
    files = [link for link in links if not link.startswith("https://")]
    assert [link for link in files if not ((ROOT / text).parent / link).exists()] == []


def test_the_screenshot_is_small() -> None:
    assert (ROOT / "screenshot.webp").stat().st_size < 300_000


@pytest.mark.parametrize("line", sorted(set(re.findall(COMMAND, README, re.MULTILINE))))
def test_the_commands_take_the_options_that_are_shown(line: str) -> None:
    name, *words = shlex.split(line)
    command = typer.main.get_command(app).commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("target", sorted(set(re.findall(MAKE, README, re.MULTILINE))))
def test_the_make_targets_exist(target: str) -> None:
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_two_commands_come_first() -> None:
    assert README.index("make app") < README.index("make test") < README.index("galaxy-explorer")
