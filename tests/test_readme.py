"""What the README and the other pages of text promise is there."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from galaxy_explorer.cli import app
from galaxy_explorer.survey.check import EXAMINED, SHEET_STAMPS
from galaxy_explorer.survey.cubes import CUBE_SUFFIXES
from galaxy_explorer.survey.images import SUFFIXES as PICTURES
from galaxy_explorer.survey.limits import MAX_BAD_SHARE
from galaxy_explorer.survey.preprocessing import RADII_A_HALF_SIDE
from galaxy_explorer.survey.repeats import FEWEST_PAIRS
from galaxy_explorer.survey.scales import SAME_SCALE
from galaxy_explorer.utils.tables import LARGEST_STAGE, LEAST_STAGE

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DATA = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
TEXTS = (
    "README.md",
    "docs/data.md",
    "docs/encoding.md",
    "CONTRIBUTING.md",
    "DEPLOYMENT.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "trained/report/README.md",
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


COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("line", sorted(set(re.findall(COMMAND, DATA, re.MULTILINE))))
def test_the_commands_of_the_page_on_data_are_understood(line: str) -> None:
    """Parsed as they stand, with values where an option needs one."""
    name, *words = shlex.split(line)
    assert COMMANDS[name].make_context(name, words).params["quiet"] is False


def test_every_option_that_the_page_on_data_names_is_one() -> None:
    known = {word for one in COMMANDS.values() for option in one.params for word in option.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DATA))
    assert named - known == set()
    reading = {option for one in COMMANDS["check"].params for option in one.opts}
    assert reading & named >= {
        *("--hdu", "--band", "--table", "--ttype", "--all", "--sheet", "--same-as", "--column"),
        *("--word", "--undefined", "--ttype-error"),
    }


def test_check_reads_by_all_the_options_of_ingest() -> None:
    given = {name: {one.name: one for one in COMMANDS[name].params} for name in ("check", "ingest")}
    own = {"catalog", "out", "name", "source_name", "append", "rendering", "repeats", "scheduler"}
    shared = set(given["ingest"]) - own
    assert len(shared) > 15
    for name in shared - {"source"}:
        one, other = (given[command][name] for command in ("check", "ingest"))
        assert (one.opts, one.default, one.help) == (other.opts, other.default, other.help)


def test_the_page_on_data_names_what_is_read_and_the_limits() -> None:
    assert [ending for ending in (*PICTURES, *CUBE_SUFFIXES) if f"`{ending}`" not in DATA] == []
    for words in (
        f"the pictures {EXAMINED} are examined",
        f"up to {SHEET_STAMPS} stamps",
        f"more than {100 * MAX_BAD_SHARE:.0f} %",
        f"more than {100 * SAME_SCALE:.0f} %",
        f"from {LEAST_STAGE:g} to {LARGEST_STAGE:g}",
        f"`measured`: {RADII_A_HALF_SIDE:g} x the radius",
        f"{FEWEST_PAIRS} and more of them",
    ):
        assert words in DATA, words


def test_what_the_page_on_data_says_is_refused_is_what_the_messages_say() -> None:
    table = DATA.partition("| it says |")[2].partition("\n\n")[0]
    said = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[2:]]
    sources = [path.read_text() for path in (ROOT / "galaxy_explorer").rglob("*.py")]
    texts = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    parts = [part for words in said for part in words.split(" ... ")]
    assert len(parts) > len(said) > 10
    assert [part for part in parts if not any(part in text for text in texts)] == []
