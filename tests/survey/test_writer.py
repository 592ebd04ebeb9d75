from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey import writer as writer_module
from galaxy_explorer.survey.store import Reject, Survey, SurveySpec
from galaxy_explorer.survey.writer import SurveyWriter

SPEC = SurveySpec(name="test", source="one", stamp_size=8, band="r", state="linear")
BLOCKS = 7
BLOCK = 100  # not a divisor of the chunk, so that blocks share chunks


def block(number: int, prefix: str = "g") -> tuple[np.ndarray, dict[str, object]]:
    generator = np.random.default_rng(number)
    stamps = generator.normal(size=(BLOCK, 1, 8, 8)).astype(np.float32)
    columns = {"galaxy_id": [f"{prefix}{number}_{i}" for i in range(BLOCK)], "n": [number] * BLOCK}
    return stamps, columns


def write(path: Path, *, until: int = BLOCKS, **options) -> SurveyWriter:
    writer = SurveyWriter(path, SPEC, recipe={"seed": 0}, **options)
    for number in range(writer.cursor, until):
        stamps, columns = block(number)
        rejects = [Reject(f"file{number}", number, "=x", 'a "quoted", reason')]
        writer.append(
            stamps, columns, cursor=number + 1, rejects=rejects, extras={"psf": stamps[:, 0, :3]}
        )
    return writer


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Survey:
    return write(tmp_path_factory.mktemp("whole") / "survey").finish({"catalog_rows": 707})


def test_interrupted_between_blocks_gives_the_same_bytes(whole, tmp_path):
    path = tmp_path / "survey"
    for until in (0, 1, 3, 6):
        assert write(path, until=until).cursor == until
        assert not path.exists()
    write(path).finish({"catalog_rows": 707})
    assert contents(path) == contents(whole.path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["survey"]


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


@pytest.mark.parametrize("function", ["write_part", "atomic_write_text"])
@pytest.mark.parametrize("call", [2, 5])
def test_killed_inside_a_block_gives_the_same_bytes(whole, tmp_path, monkeypatch, function, call):
    path, calls = tmp_path / "survey", []
    real = getattr(writer_module, function)

    def dying(*args):
        calls.append(args)
        if len(calls) == call:
            raise Killed
        return real(*args)

    monkeypatch.setattr(writer_module, function, dying)
    with pytest.raises(Killed):
        write(path)
    monkeypatch.undo()
    write(path).finish({"catalog_rows": 707})
    assert contents(path) == contents(whole.path)


@pytest.mark.parametrize("step", ["join_parts", "joined_hash", "_settle"])
def test_killed_inside_finish_gives_the_same_bytes(whole, tmp_path, monkeypatch, step):
    path = tmp_path / "survey"
    writer = write(path)

    def dying(*_args):
        raise Killed

    monkeypatch.setattr(writer_module, step, dying)
    with pytest.raises(Killed):
        writer.finish({"catalog_rows": 707})
    monkeypatch.undo()
    if step == "_settle":  # survey.json was written: the next start only has to rename
        with pytest.raises(SurveyError, match="exists already"):
            write(path)
    else:
        write(path).finish({"catalog_rows": 707})
    assert contents(path) == contents(whole.path)


def test_append_keeps_what_was_there(whole, tmp_path):
    path = tmp_path / "survey"
    first = write(path).finish({"catalog_rows": 707})
    old = first.stamps()
    spec = SurveySpec(name="other", source="two", stamp_size=8, state="linear")
    writer = SurveyWriter(path, spec, recipe={}, append=True)
    stamps, columns = block(0, "h")
    columns["n"] = [f"text {i}" for i in range(BLOCK)]
    writer.append(stamps, {**columns, "new": np.arange(BLOCK)}, cursor=1)
    assert Survey.open(path).meta == whole.meta  # whole until the new one is
    both = writer.finish({"catalog_rows": BLOCK})
    np.testing.assert_array_equal(both.stamps(), np.concatenate([old, stamps]))
    assert both.meta["name"] == "test"
    assert both.meta["band"] == "r"
    assert [entry["source"] for entry in both.meta["sources"]] == ["one", "two"]
    assert both.column("source").tolist() == ["one"] * 700 + ["two"] * 100
    assert both.column("n")[[0, 700]].tolist() == ["0", "text 0"]
    assert np.isnan(both.column("new")[:700]).all()
    assert (path / "rejects.csv").read_text() == (whole.path / "rejects.csv").read_text()


LARGE = 1237648720693755918


@pytest.mark.parametrize(
    ("one", "two", "wanted"),
    [
        (np.int64(LARGE), np.uint64(LARGE + 1), [str(LARGE), str(LARGE + 1)]),
        (np.int64(-LARGE), np.float64(1.5), [str(-LARGE), "1.5"]),
        (np.float64(1.5), np.int64(LARGE), ["1.5", str(LARGE)]),
        (np.int32(7), np.uint64(2**53), [7.0, 2.0**53]),
        (np.int64(7), np.float32(1.5), [7.0, 1.5]),
    ],
)
def test_numbers_of_two_types_are_joined_to_the_last_digit(tmp_path, one, two, wanted):
    for source, value in (("one", one), ("two", two)):
        spec = SurveySpec(name="t", source=source, stamp_size=8, state="linear")
        writer = SurveyWriter(tmp_path / "s", spec, recipe={}, append=source == "two")
        columns = {"galaxy_id": [source], "specobjid": np.array([value])}
        writer.append(block(0)[0][:1], columns, cursor=1)
        survey = writer.finish({})
    assert survey.column("specobjid").tolist() == wanted


def test_whole_numbers_with_gaps_keep_their_digits(tmp_path):
    for source, value in (("one", 39627788403084375), ("two", None)):
        spec = SurveySpec(name="t", source=source, stamp_size=8, state="linear")
        writer = SurveyWriter(tmp_path / "s", spec, recipe={}, append=source == "two")
        columns = {"galaxy_id": [source]} | ({} if value is None else {"targetid": [value]})
        columns["few"] = np.array([3 if value else 4])
        writer.append(block(0)[0][:1], columns, cursor=1)
        survey = writer.finish({})
    assert survey.column("targetid").tolist() == ["39627788403084375", ""]
    assert survey.column("few").tolist() == [3, 4]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"source": "one"}, "already"),
        ({"source": "two", "stamp_size": 16}, "stamp_size"),
        ({"source": "two", "channels": 3}, "channels"),
        ({"source": "two", "band": "g"}, "band"),
        ({"source": "two", "state": "arcsinh"}, "arcsinh"),
    ],
)
def test_append_of_what_does_not_fit_is_refused(whole, changes, word):
    given = {"name": "t", "stamp_size": 8, "state": "linear", **changes}
    before = contents(whole.path)
    with pytest.raises(SurveyError, match=word):
        SurveyWriter(whole.path, SurveySpec(**given), recipe={}, append=True)
    assert contents(whole.path) == before


def test_another_recipe_cannot_resume(tmp_path):
    write(tmp_path / "survey", until=2)
    with pytest.raises(SurveyError, match="other options"):
        SurveyWriter(tmp_path / "survey", SPEC, recipe={"seed": 1})


def test_a_run_that_did_not_note_what_it_read_cannot_resume(tmp_path):
    write(tmp_path / "survey", until=2)
    with pytest.raises(SurveyError, match="an earlier version; delete that folder"):
        SurveyWriter(tmp_path / "survey", SPEC, recipe={"seed": 0, "inputs": {"source": [1, 2]}})


def test_existing_survey_is_not_overwritten(whole):
    with pytest.raises(SurveyError, match="exists already"):
        SurveyWriter(whole.path, SPEC, recipe={})


def test_bad_blocks_are_refused_and_leave_nothing(whole, tmp_path):
    path = tmp_path / "survey"
    writer = SurveyWriter(path, SPEC, recipe={"seed": 0})
    stamps, columns = block(0)
    holed = stamps.copy()
    holed[5, 0, 0, 0] = np.nan
    for bad_stamps, bad_columns in (
        (holed, columns),
        (stamps[:, :, :4], columns),
        (stamps, {"n": columns["n"]}),
        (stamps, {**columns, "n": [1, 2]}),
        (stamps, {**columns, "split": columns["n"]}),
    ):
        with pytest.raises(SurveyError):
            writer.append(bad_stamps, bad_columns, cursor=1)
        assert (writer.rows, writer.cursor) == (0, 0)
    write(path).finish({"catalog_rows": 707})
    assert contents(path) == contents(whole.path)


def test_rejects_are_listed(whole):
    lines = (whole.path / "rejects.csv").read_text().splitlines()
    assert lines[0] == "file,row,galaxy_id,reason"
    assert lines[3] == 'file2,2,\'=x,"a ""quoted"", reason"'
    assert len(lines) == 1 + BLOCKS
    assert whole.meta["sources"][0]["rejected"] == BLOCKS
