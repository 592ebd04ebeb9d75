"""The command line: help with examples; what goes wrong is one line and exit status 1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from galaxy_explorer import cli
from galaxy_explorer.errors import BadImage, BundleError

ABSENT = "no/such/place"
WRONG_INPUT = {
    "simulate": ["--out", "a_file/out", "--n", "1"],
    "ingest": [ABSENT, "--catalog", "no_such.csv", "--out", "out"],
    "train": [ABSENT, "--out", "out", "--recipe", "tiny"],
    "evaluate": [ABSENT],
    "info": [ABSENT],
    "classify": [ABSENT, "image.fits", "--out", "t.csv"],
    "deconvolve": [ABSENT, "image.fits", "--out", "out"],
    "evaluate-deconvolution": [ABSENT, "--survey", ABSENT],
    "prior": [ABSENT, "--survey", ABSENT],
    "generate": [ABSENT, "--out", "out"],
    "report": [ABSENT, "--out", "out"],
    "labels": ["import", "no_such.csv", "--bundle", ABSENT],
    "serve": [ABSENT],
}

ERRORS = (BadImage("m31.fits", "no pixels"), BundleError("manifest.json: absent"))


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from galaxy_explorer.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_the_command_without_arguments_lists_the_commands() -> None:
    shown = CliRunner().invoke(cli.app, [], env={"COLUMNS": "100"}).output
    assert all(command in shown for command in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_every_command_shows_an_example(command: str) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    lines = [line.strip(" │$") for line in shown.output.splitlines()]
    examples = [line for line in lines if line.startswith(f"galaxy-explorer {command} ")]
    assert [line for line in examples if "[" not in line], shown.output


def test_wrong_input_is_one_line_and_status_1_of_the_process(tmp_path: Path) -> None:
    done = run("info", *WRONG_INPUT["info"], cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("galaxy-explorer: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_wrong_input_is_one_line_and_status_1(command: str, tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["galaxy-explorer", command, *WRONG_INPUT[command]])
    (tmp_path / "a_file").touch()
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 1
    said = capfd.readouterr().err
    assert said.startswith("galaxy-explorer: ")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists(), "something was left behind"


def test_every_command_has_its_wrong_input_tried() -> None:
    assert set(WRONG_INPUT) == set(cli.COMMANDS)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_of_the_package_is_one_line_and_status_1(error, monkeypatch, capsys) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 1
    assert capsys.readouterr().err == f"galaxy-explorer: {error}\n"


@pytest.mark.parametrize(("command", "says_so"), [("train", True), ("info", False)])
def test_an_interrupt_says_how_to_go_on_where_one_can(
    command: str, says_so: bool, monkeypatch, capsys
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    interruptible = typer.Typer()
    for name in cli.COMMANDS:
        interruptible.command(name=name)(interrupted)
    monkeypatch.setattr(cli, "app", interruptible)
    monkeypatch.setattr(sys, "argv", ["galaxy-explorer", command])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 130
    assert ("the same command again goes on" in capsys.readouterr().err) is says_so


def test_an_error_of_the_programmer_is_not_hidden(monkeypatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()
