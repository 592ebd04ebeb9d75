"""The command line: help with examples; what goes wrong is one line and exit status 1."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from galaxy_explorer import __version__, cli
from galaxy_explorer.api import Labels
from galaxy_explorer.bundle.bundle import demo_folder, load_demo
from galaxy_explorer.errors import BadImage, BundleError
from tests.small_bundle import write_small_bundle
from tests.small_survey import blobs

ABSENT = "no/such/place"
WRONG_INPUT = {
    "simulate": ["--out", "a_file/out", "--n", "1"],
    "check": [ABSENT, "--catalog", "no_such.csv", "--sheet", "out"],
    "ingest": [ABSENT, "--catalog", "no_such.csv", "--out", "out"],
    "train": [ABSENT, "--out", "out", "--recipe", "tiny"],
    "evaluate": [ABSENT],
    "info": [ABSENT],
    "classify": [ABSENT, "image.fits", "--out", "t.csv"],
    "deconvolve": [ABSENT, "image.fits", "--out", "out"],
    "evaluate-deconvolution": [ABSENT, "--survey", ABSENT],
    "prior": [ABSENT, "--survey", ABSENT],
    "encode": [ABSENT, ABSENT, "--out", "out"],
    "generate": [ABSENT, "--out", "out"],
    "report": [ABSENT, "--out", "out"],
    "labels": ["import", "no_such.csv", "--bundle", ABSENT],
    "serve": [ABSENT],
    "steer": [ABSENT, "--name", "early_late"],
    "bundle": [ABSENT, ABSENT, "--out", "out"],
    "excerpt": [ABSENT, "--out", "out"],
    "card": [ABSENT],
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


@pytest.mark.parametrize("command", WRONG_INPUT)
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
    assert set(cli.COMMANDS) - set(WRONG_INPUT) == {"demo"}, "which reads nothing"


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


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("cli") / "small", n=60)


def invoke(*words: object):
    return CliRunner().invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "100"})


def test_the_version_is_shown() -> None:
    assert invoke("--version").output == f"galaxy-explorer {__version__}\n"


def test_python_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_explorer", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"galaxy-explorer {__version__}\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_a_short_help_and_can_be_quiet(command: str) -> None:
    short, long = invoke(command, "-h"), invoke(command, "--help")
    assert short.exit_code == 0
    assert short.output == long.output
    assert "--quiet" in long.output


def test_one_name_for_one_thing_across_commands() -> None:
    """The same option is read in the same way by every command that has it."""
    commands = typer.main.get_command(cli.app).commands
    spelt: dict[str, set[tuple[str, ...]]] = {}
    for command in commands.values():
        for parameter in command.params:
            if parameter.opts[0].startswith("-") and not getattr(parameter, "hidden", False):
                spelt.setdefault(parameter.name, set()).add(tuple(sorted(parameter.opts)))
    assert {name: ways for name, ways in spelt.items() if len(ways) > 1} == {}
    assert spelt["n"] == {("--n", "-n")}


def test_the_old_name_of_an_option_is_still_read_but_not_shown() -> None:
    command = typer.main.get_command(cli.app).commands["evaluate"]
    old = next(p for p in command.params if "--emulator-model" in p.opts)
    assert old.hidden
    assert "--emulator-model" not in invoke("evaluate", "--help").output


def test_classify_names_each_image_that_was_not_taken(bundle: Path, picture: Path) -> None:
    (picture.parent / "notes.txt").write_text("x")
    for i in range(40):
        (picture.parent / f"bad{i:02d}.png").write_bytes(b"no picture")
    out = ("--out", picture.parent / "t.csv")
    said = invoke("classify", bundle, picture.parent, *out).stdout
    assert "left out: 1 x .txt (notes.txt)" in said
    assert said.count(": neither FITS, PNG nor JPEG") == 30
    assert "... and 10 more, with the reason in the table" in said
    assert "Read 1 x " not in said
    assert "8-bit arcsinh-stretched" in said


def test_an_import_of_labels_says_how_the_table_was_read(bundle: Path, tmp_path: Path) -> None:
    table = "id;stage;seen by\ngalaxy-0001;T3;Andr\xe9\n"
    (tmp_path / "mine.csv").write_text(table, encoding="latin-1")
    log = ("--bundle", bundle, "--labels", tmp_path / "labels.db", "--annotator", "Ada")
    said = invoke("labels", "import", tmp_path / "mine.csv", "--dry-run", *log).stdout
    for words in (
        "- separator: semicolon", "- not UTF-8: read as Latin-1",
        "- galaxies by the column id, labels from stage", "- columns not used: seen by",
    ):  # fmt: skip
        assert words in said, said


def test_quiet_shows_results_and_no_progress(bundle: Path, picture: Path, tmp_path: Path) -> None:
    words = ("classify", bundle, picture, "--out", tmp_path / "t.csv")
    loud, quiet = invoke(*words), invoke(*words, "--quiet")
    assert "Classifying" in loud.stderr
    assert quiet.stderr == ""
    assert quiet.stdout == loud.stdout
    assert "Classifying" in invoke(*words).stderr


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    stamp = blobs(np.array([0.0]), np.random.default_rng(0))[0, 0]
    Image.fromarray((255 * stamp.clip(0, 1)).astype(np.uint8)).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_json_is_one_document_and_nothing_else(bundle: Path, picture: Path) -> None:
    found = json.loads(invoke("classify", bundle, picture, "absent.png", "--json").stdout)
    assert [image["reason"] == "" for image in found["images"]] == [True, False]
    assert (found["classified"], found["rejected"], found["written"]) == (1, 1, [])
    about = json.loads(invoke("info", bundle, "--json").stdout)
    assert about["bundle_sha256"] == found["bundle_sha256"]
    assert about["n_galaxies"] == 60
    layers = json.loads(invoke("info", bundle, "--layers", "--json").stdout)
    assert sum(layer["parameters"] for layer in layers["layers"]) > 1000


def test_evaluate_reports_what_it_wrote_as_json(bundle: Path, monkeypatch) -> None:
    def evaluated(path, survey, *, say, **_):
        say("a line that is no JSON")
        (path / "evaluation.json").write_text('{"rows": [1.5]}')

    monkeypatch.setattr("galaxy_explorer.evaluation.run.evaluate_bundle", evaluated)
    try:
        done = invoke("evaluate", bundle, "--json")
    finally:
        (bundle / "evaluation.json").unlink()
    assert json.loads(done.stdout) == {"bundle": str(bundle), "rows": [1.5]}


def test_where_nothing_could_be_done_the_status_is_1(bundle: Path, tmp_path: Path) -> None:
    done = invoke("classify", bundle, tmp_path / "absent.png", "--out", tmp_path / "t.csv")
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    assert "0 classified" in done.stdout
    assert (tmp_path / "t.csv").exists()
    (tmp_path / "mine.csv").write_text("galaxy_id,stage,annotator\nX1,T3,Ada\n")
    log = ("--bundle", bundle, "--labels", tmp_path / "labels.db")
    done = invoke("labels", "import", tmp_path / "mine.csv", *log)
    assert done.exit_code == 1
    assert "1 refused" in done.stdout


def test_a_new_user_takes_labels_home_without_naming_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GALAXY_EXPLORER_BUNDLE", raising=False)
    log = tmp_path / "labels.db"
    with Labels(log, demo_folder()) as labels:
        labels.give("Ada", str(load_demo().column("galaxy_id")[0]), "T3")
    words = ("labels", "export", "--labels", log, "--out", tmp_path / "t.ecsv")
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    assert "clusters are those of the demo" in " ".join(done.output.split())
    monkeypatch.setenv("GALAXY_EXPLORER_BUNDLE", "absent")
    assert invoke(*words).exit_code == 1


def test_an_export_of_a_log_that_is_not_there_makes_none(bundle: Path, tmp_path: Path) -> None:
    typo = tmp_path / "typo.db"
    done = run(
        "labels", "export", "--labels", str(typo), "--bundle", str(bundle),
        "--out", str(tmp_path / "t.ecsv"),
    )  # fmt: skip
    assert done.returncode == 1
    assert f"{typo}: there is no such label log" in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_dry_run_into_a_log_that_is_not_there_makes_none(bundle: Path, tmp_path: Path) -> None:
    typo, mine = tmp_path / "typo.db", tmp_path / "mine.csv"
    mine.write_text("galaxy_id,stage,annotator\ngalaxy-0007,T3,Ada\n")
    words = ("labels", "import", mine, "--labels", typo, "--bundle", bundle)
    dry = invoke(*words, "--dry-run")
    assert dry.exit_code == 0
    assert f"would store in {typo}, a new log: 1 " in dry.stdout
    assert list(tmp_path.iterdir()) == [mine]
    done = invoke(*words)
    assert f"stored in {typo}, a new log: 1 " in done.stdout
    assert "1 as they are" in invoke(*words, "--dry-run").stdout
    assert typo.exists()


def test_an_ingest_that_adds_nothing_has_status_1(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "all.csv").write_text("id,file,T\nM 31,one.png,3\n")
    words = ("ingest", tmp_path, "--catalog", tmp_path / "all.csv", "--out", tmp_path / "survey")
    first = invoke(*words, "--image", "file")
    assert (first.exit_code, "1 accepted" in first.stdout) == (0, True)
    again = invoke(*words, "--image", "file", "--append", "--source-name", "again")
    assert (again.exit_code, "0 accepted, 1 rejected" in again.stdout) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ("classify",),
        ("classify", "bundle", "image.fits"),
        ("labels", "export"),
        ("labels", "import"),
        ("generate", "bundle", "--out", "g.fits", "-n", "many"),
        ("no-such-command",),
        ("info", "bundle", "--no-such-option"),
    ],
)
def test_wrong_usage_is_status_2(words: tuple[str, ...]) -> None:
    assert invoke(*words).exit_code == 2
