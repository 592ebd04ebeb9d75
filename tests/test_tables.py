"""Tables of galaxies: what they say of themselves, and that every format gives them back."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table, ucd, validate
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.tables import ABOUT, about_column, explained_table, galaxy_table
from galaxy_explorer.utils import tables
from galaxy_explorer.utils.tables import FORMATS, decode_table, encode_table, unguarded, write_table
from tests.small_bundle import write_small_bundle

ROWS = [5, 3, 199, 0]
EXPLAINED = [extension for extension in FORMATS if extension != "csv"]
PROVENANCE = ("bundle", "bundle_sha256", "model", "clustering", "software", "created", "paper")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("tables") / "small"))


@pytest.fixture(scope="module")
def table(bundle: Bundle) -> Table:
    return galaxy_table(bundle, ROWS, extra={"code_distance": [0.0, 1.5, 2.0, 3.25]}, words="near")


def assert_equal(read: Table, table: Table) -> None:
    assert read.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(np.asarray(read[name]), np.asarray(table[name]), name)


def test_the_rows_come_in_the_order_that_was_asked_for(bundle: Bundle, table: Table) -> None:
    assert list(table["galaxy_id"]) == [f"galaxy-{row:04d}" for row in ROWS]
    assert table.colnames[:2] == ["galaxy_id", "code_distance"]
    key = bundle.manifest.default_clustering
    np.testing.assert_array_equal(table["cluster"], bundle.clusterings[key].labels[ROWS])


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_gives_an_equal_table_back(table: Table, extension: str) -> None:
    read = decode_table(encode_table(table, extension), extension)
    assert_equal(read, table)
    if extension != "csv":
        assert all(read[name].dtype.kind == table[name].dtype.kind for name in table.colnames)


@pytest.mark.parametrize("extension", EXPLAINED)
def test_units_descriptions_ucds_and_provenance_come_back(table: Table, extension: str) -> None:
    read = decode_table(encode_table(table, extension), extension)
    for name in table.colnames:
        assert read[name].unit == table[name].unit, name
        assert read[name].description == table[name].description, name
        assert read[name].meta.get("ucd") == table[name].meta.get("ucd"), name
    found = {key.lower(): value for key, value in read.meta.items()}
    assert {key: found[key] for key in PROVENANCE} == {key: table.meta[key] for key in PROVENANCE}


@pytest.mark.parametrize("extension", FORMATS)
def test_astropy_alone_reads_the_file(table: Table, extension: str, tmp_path: Path) -> None:
    write_table(table, tmp_path / f"galaxies.{extension}")
    name = FORMATS[extension].astropy
    read = Table.read(tmp_path / f"galaxies.{extension}", format=name)
    assert [str(text) for text in read["galaxy_id"].astype(str)] == list(table["galaxy_id"])
    np.testing.assert_allclose(
        read["ra"].filled(np.nan) if read.masked else read["ra"], table["ra"]
    )


def test_other_readers_find_ucds_in_fits_and_votable(table: Table) -> None:
    with fits.open(io.BytesIO(encode_table(table, "fits"))) as units:
        assert units[1].header["TUCD1"] == "meta.id;meta.main"
        assert units[1].header["TCOMM1"] == ABOUT["galaxy_id"].description
    found = parse_single_table(io.BytesIO(encode_table(table, "vot")))
    assert {field.name: field.ucd for field in found.fields}["ra"] == "pos.eq.ra;meta.main"


@pytest.mark.parametrize("name", ABOUT)
def test_ucds_are_of_the_vocabulary(name: str) -> None:
    if ABOUT[name].ucd:
        assert ucd.check_ucd(ABOUT[name].ucd, check_controlled_vocabulary=True), ABOUT[name].ucd


def test_columns_have_the_units_of_what_they_are(table: Table) -> None:
    units = {name: str(table[name].unit or "") for name in table.colnames}
    assert (units["ra"], units["dec"], units["ttype"]) == ("deg", "deg", "")


def test_units_are_read_from_names() -> None:
    assert about_column("stamp_pixel_scale_arcsec").unit == "arcsec"
    assert about_column("anything").unit == ""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=2, max_size=3), st.sampled_from(sorted(FORMATS)))
def test_text_comes_back_unchanged_or_is_refused(texts: list[str], extension: str) -> None:
    table = explained_table({"note": np.array(texts, dtype=str), "n": np.arange(len(texts))}, {})
    try:
        data = encode_table(table, extension)
    except BadCatalog:
        return
    if extension == "csv":  # typeless: "007" is 7 to a reader that guesses
        lines = csv.DictReader(io.StringIO(data.decode(), newline=""))
        notes = [unguarded(line["note"]) for line in lines]
    else:
        notes = decode_table(data, extension)["note"].tolist()
    assert notes == table["note"].tolist()


NUMBERS = {
    "whole": (st.integers(-(2**63), 2**63 - 1), np.int64),
    "large": (st.integers(0, 2**64 - 1), np.uint64),
    "small": (st.integers(-128, 127), np.int8),
    "real": (st.floats(allow_nan=False, allow_infinity=False), np.float64),
    "single": (st.floats(width=32, allow_nan=False, allow_infinity=False), np.float32),
    "yes": (st.booleans(), np.bool_),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(FORMATS)), st.integers(1, 5))
def test_numbers_and_gaps_come_back_exactly_or_are_refused(data, extension, rows) -> None:
    masks = st.lists(st.booleans(), min_size=rows, max_size=rows)
    columns, gone = {}, {}
    for name, (strategy, kind) in NUMBERS.items():
        values = data.draw(st.lists(strategy, min_size=rows, max_size=rows), name)
        gone[name] = data.draw(masks, name)
        columns[name] = MaskedColumn(np.array(values, kind), mask=gone[name])
    columns["text"] = data.draw(st.lists(st.text(max_size=5), min_size=rows, max_size=rows))
    made = Table(columns)
    try:
        written = encode_table(made, extension)
    except BadCatalog:
        return
    if extension == "csv":
        lines = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
        read = {name: [line[name] for line in lines] for name in made.colnames}
        read["text"] = [unguarded(text) for text in read["text"]]
    else:
        back = decode_table(written, extension)
        read = {name: back[name].tolist() for name in made.colnames}
    assert ["" if text is None else text for text in read["text"]] == columns["text"]
    for name, (_, kind) in NUMBERS.items():
        for there, value, found in zip(gone[name], columns[name].data, read[name], strict=True):
            if there:
                assert found in (None, "") or found != found  # noqa: PLR0124 (NaN)
            else:
                assert str(found) == str(value) or kind(float(found)) == value


UNUSUAL = [
    "Ångström α",
    "a\\u00e9 b",
    "two\nlines",
    "blank at the end ",
    "#7",
    "plain",
    "=1+1",
    "-5",
]


@pytest.mark.parametrize("extension", FORMATS)
def test_unusual_text_comes_back_whatever_the_format(extension: str) -> None:
    kept = extension in ("fits", "parquet")  # others lose blanks at the end, and refuse such text
    texts = UNUSUAL if kept else [text for text in UNUSUAL if text == text.strip()]
    made = explained_table({"name é": texts, "n": np.arange(len(texts))}, {"selection": "α > 3"})
    read = decode_table(encode_table(made, extension), extension)
    assert_equal(read, made)
    if extension != "csv":
        meta = {key.lower(): value for key, value in read.meta.items()}
        assert meta["selection"] == "α > 3"


def test_a_fits_file_says_which_columns_are_escaped() -> None:
    data = encode_table(explained_table({"n": [1, 2], "note": ["é", "α"]}, {}), "fits")
    with fits.open(io.BytesIO(data)) as units:
        assert units[1].header["ESCAPED"] == "2"
        assert "escapes" in str(units[1].header["COMMENT"])
        assert units[1].data["note"].tolist() == ["\\xe9", "\\u03b1"]


@pytest.mark.parametrize("first", ["#1.png", "# 2", "#", "plain"])
def test_ecsv_keeps_a_row_that_begins_with_a_hash(first: str, tmp_path: Path) -> None:
    made = explained_table({"file": [first, "b,c", "#", '#"q"'], "x": [1.0, 2.0, 3.0, 4.0]}, {})
    write_table(made, tmp_path / "t.ecsv")
    assert_equal(Table.read(tmp_path / "t.ecsv", format="ascii.ecsv"), made)


def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers() -> None:
    cells = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "'=kept", "'", "ok"]
    made = explained_table({"note": cells, "x": np.arange(-3.0, 4.0)}, {})
    data = encode_table(made, "csv")
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert not any(row["note"].startswith(("=", "+", "-", "@")) for row in rows)
    assert [float(row["x"]) for row in rows] == made["x"].tolist()
    assert decode_table(data, "csv")["note"].tolist() == cells


def test_a_file_is_written_only_if_it_reads_back_equal(tmp_path, monkeypatch) -> None:
    made = explained_table({"note": ["a", "b"], "x": [1.0, 2.0]}, {})
    good = tables._encode

    def losing(table: Table, extension: str) -> bytes:
        return good(table[:1], extension)

    monkeypatch.setattr(tables, "_encode", losing)
    for extension in FORMATS:
        with pytest.raises(BadCatalog, match="number of rows"):
            write_table(made, tmp_path / f"t.{extension}")
    assert not any(tmp_path.iterdir())


def test_ids_of_a_votable_are_unique_and_valid(tmp_path: Path) -> None:
    columns = {"a b": [1], "a_b": [2], "a-b": [3], "1st": [4], "table": ["x"], "é": [5], "É": [6]}
    columns |= {"ra": [10.0], "dec": [-5.0]}
    columns |= {"selection": ["é"], "about_1": [7]}
    data = encode_table(explained_table(columns, {"é": "ü", "selection": "T > 3"}), "vot")
    every = re.findall(rb' ID="([^"]*)"', data)
    assert len(set(every)) == len(every)
    found = parse_single_table(io.BytesIO(data))
    ids = [field.ID for field in found.fields]
    assert len(set(ids)) == len(ids)
    assert {f.name: f.ref for f in found.fields}["ra"] == "icrs"
    assert b'system="ICRS"' in data
    assert_valid(data, tmp_path)


def assert_valid(data: bytes, folder: Path) -> None:
    (folder / "t.vot").write_bytes(data)
    said = io.StringIO()
    assert validate(str(folder / "t.vot"), said), said.getvalue()


def test_texts_of_one_character_are_texts_of_a_votable() -> None:
    made = explained_table({"id": ["a", "b"], "note": ["", "c"]}, {})
    data = encode_table(made, "vot")
    assert b'arraysize="1"' not in data
    assert_equal(decode_table(data, "vot"), made)


def test_galaxies_are_a_valid_votable(table: Table, tmp_path: Path) -> None:
    assert_valid(encode_table(table, "vot"), tmp_path)


@pytest.mark.parametrize("extension", FORMATS)
def test_what_is_no_table_is_refused(extension: str) -> None:
    with pytest.raises(BadCatalog):
        decode_table(b"\x00\xff no table", extension)
    with pytest.raises(BadCatalog, match="must be one of"):
        encode_table(Table(), "xls")


def stilts_command() -> list[str]:
    """How STILTS is called here; nothing where it is not installed."""
    jar = os.environ.get("STILTS_JAR")
    if jar and shutil.which("java"):
        return ["java", "-jar", jar]
    return ["stilts"] if shutil.which("stilts") else []


def run_stilts(*words: str) -> subprocess.CompletedProcess[str]:
    """What STILTS says to these words; skips where it is absent."""
    command = stilts_command()
    if not command:
        pytest.skip("STILTS is not here: a stilts command, or Java and STILTS_JAR, are needed")
    command += words
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)


def stilts(*words: str) -> str:
    done = run_stilts(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def known_to_stilts(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Skip where the STILTS of this machine cannot write a format: distributions leave some out."""
    folder = tmp_path_factory.mktemp("stilts")
    (folder / "one.csv").write_text("a\n1\n")

    @cache
    def complaint(kind: str) -> str:
        files = (f"in={folder / 'one.csv'}", f"out={folder / 'one'}.{kind}")
        done = run_stilts("tcopy", "ifmt=csv", f"ofmt={kind}", *files)
        return done.stderr.strip() if done.returncode else ""

    def check(*kinds: str) -> None:
        for kind in kinds:
            if reason := complaint(kind):
                pytest.skip(f"this STILTS is built without {kind}: {reason}")

    return check


@pytest.mark.parametrize("extension", FORMATS)
def test_stilts_reads_the_same_table(
    table: Table, extension: str, known_to_stilts: Callable[..., None], tmp_path: Path
) -> None:
    file = tmp_path / f"in.{extension}"
    write_table(table, file)
    kind = {"vot": "votable"}.get(extension, extension)
    known_to_stilts(kind, "ecsv")
    stilts("tcopy", f"ifmt={kind}", "ofmt=ecsv", f"in={file}", f"out={tmp_path / 'out.ecsv'}")
    read = decode_table((tmp_path / "out.ecsv").read_bytes(), "ecsv")
    if extension == "csv":  # typeless: STILTS takes short numbers for single precision
        assert read.colnames == table.colnames
        number = table["ttype"].astype("f4")
        np.testing.assert_array_equal(np.asarray(read["ttype"]), np.asarray(number))
    else:
        assert_equal(read, table)
        assert [read[name].unit for name in read.colnames] == [
            table[name].unit for name in table.colnames
        ]
    if extension in ("fits", "vot"):
        said = stilts(
            "tpipe", f"ifmt={kind}", f"in={file}", "cmd=meta name ucd", "omode=out", "ofmt=csv"
        )
        known = {line["Name"]: line["UCD"] for line in csv.DictReader(io.StringIO(said))}
        assert known == {name: table[name].meta.get("ucd", "") for name in table.colnames}


def test_stilts_finds_nothing_wrong_with_a_votable(table: Table, tmp_path: Path) -> None:
    write_table(table, tmp_path / "galaxies.vot")
    assert stilts("votlint", "ucd=true", "unit=true", f"votable={tmp_path / 'galaxies.vot'}") == ""
