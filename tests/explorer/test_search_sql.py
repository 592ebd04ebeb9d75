"""Searches in SQL: answered as numpy would, whatever is typed, and each galaxy by its own name."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.bundle.catalogue import Catalogue
from galaxy_explorer.bundle.names import MESSIER, is_listed, names_table, normal, same_names
from galaxy_explorer.bundle.queries import ask, connection
from galaxy_explorer.errors import BadQuery, GalaxyExplorerError
from galaxy_explorer.explorer.search import (
    ColumnCondition,
    Cone,
    Query,
    find,
    parse_query,
    rows_named,
    separations,
)
from galaxy_explorer.explorer.widgets.results import SearchResults, as_results, set_results

N = 120


class Manifest:
    """Of a bundle whose names are not stored."""

    files: dict = {}  # noqa: RUF012 (nothing is put into it)


class Galaxies:
    """A bundle of columns alone."""

    path = None
    manifest = Manifest()

    def __init__(self, **columns):
        self.catalogue = Catalogue.of(pa.table(columns))
        self.column_names = self.catalogue.column_names
        self.column = self.catalogue.column
        self.count = len(next(iter(columns.values())))

    def __len__(self):
        return self.count


@pytest.fixture(scope="module")
def galaxies() -> Galaxies:
    rng = np.random.default_rng(0)
    real = rng.normal(size=N).round(1)
    real[::7] = np.nan
    words = rng.choice(["", "Sb", "sB", "E", "l'été", "100%", "a_b", 'say "no"', "\\"], N)
    whole = pa.array([None if i % 5 == 0 else int(i % 9) for i in range(N)], pa.int32())
    return Galaxies(
        galaxy_id=[f"PGC{i:07d}" for i in range(N)],
        real=real,
        whole=whole,
        flag=rng.random(N) < 0.5,
        word=pa.array([None if i % 11 == 0 else str(w) for i, w in enumerate(words)]),
        packed=pa.array([str(w) for w in words]).dictionary_encode(),
        nothing=pa.nulls(N),
        ra=rng.uniform(0, 360, N),
        dec=rng.uniform(-90, 90, N),
        **{'x"; DROP TABLE asked; --': np.arange(N)},
    )


NUMBERS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "=": np.equal, "!=": np.not_equal,
}  # fmt: skip


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(["real", "whole", "flag"]),
    st.sampled_from([*NUMBERS]),
    st.one_of(st.integers(-2, 9).map(float), st.sampled_from([np.inf, -np.inf, 0.1, 1e300])),
)
def test_numbers_are_compared_as_numpy_does(galaxies, column, relation, bound) -> None:
    values = galaxies.column(column).astype(float)
    with np.errstate(invalid="ignore"):
        expected = np.flatnonzero(NUMBERS[relation](values, bound) & ~np.isnan(values))
    found = find(galaxies, Query(conditions=(ColumnCondition(column, relation, str(bound)),)))
    assert found.rows.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_integers_are_compared_to_their_last_digit(kind) -> None:
    first = 39627788403084374
    sky = Galaxies(targetid=pa.array([first, first + 1, first + 2, None], kind))
    for asked, rows in (("=", [1]), ("!=", [0, 2]), ("<", [0]), ("<=", [0, 1]), (">", [2])):
        assert find(sky, parse_query(f"targetid {asked} {first + 1}")).rows.tolist() == rows
    assert find(sky, parse_query(f"targetid < {10**30}")).rows.tolist() == [0, 1, 2]


def test_single_precision_is_compared_in_single_precision() -> None:
    sky = Galaxies(m=np.array([13.2, 13.3, 13.4, np.nan, np.inf], np.float32))
    asked = {
        "= 13.3": [1],
        "<= 13.3": [0, 1],
        "< 13.3": [0],
        "> 13.3": [2, 4],
        "< 1e300": [0, 1, 2],
    }
    for words, rows in asked.items():
        assert find(sky, parse_query(f"m {words}")).rows.tolist() == rows


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(["word", "packed", "nothing", "galaxy_id"]),
    st.sampled_from(["=", "!=", "~"]),
    st.one_of(st.sampled_from(["sb", "é", "%", "_", "'", '"', "\\", "pgc"]), st.text(max_size=4)),
)
def test_texts_are_compared_as_they_are(galaxies, column, relation, wanted) -> None:
    texts = [str(value).lower() for value in galaxies.column(column)]
    try:
        found = find(galaxies, Query(conditions=(ColumnCondition(column, relation, wanted),)))
    except BadQuery:
        assert any(0xD800 <= ord(c) < 0xE000 or not ord(c) for c in wanted)
        return
    if wanted.isascii():
        tests = {"=": str.__eq__, "!=": str.__ne__, "~": str.__contains__}
        expected = [i for i, text in enumerate(texts) if tests[relation](text, wanted.lower())]
        assert found.rows.tolist() == expected


def test_what_is_unknown_is_found_as_such(galaxies) -> None:
    for column in ("real", "whole"):
        unknown = np.isnan(galaxies.column(column).astype(float))
        for relation, expected in (("=", unknown), ("!=", ~unknown)):
            asked = ColumnCondition(column, relation, "unknown")
            rows = find(galaxies, Query(conditions=(asked,))).rows
            assert rows.tolist() == np.flatnonzero(expected).tolist()


HOSTILE = [
    "'; DROP TABLE asked; --", '" OR 1=1 --', "x') OR ('1'='1", "1; ATTACH 'a.db'", "$1", "?", "??",
    "read_csv('/etc/passwd')", "%", "\\'", "/* */", "\x00", "\ud800", "{}", "{0}", "%s", "a" * 400,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("frame", ["{}", "word = {}", "word ~ {}", "real < {}", "{} = 1"])
def test_hostile_text_is_text(galaxies, text, frame) -> None:
    """It is answered as a name or a value, or refused; nothing else is found by it."""
    try:
        found = find(galaxies, parse_query(frame.replace("{}", text)))
    except GalaxyExplorerError:
        return
    own = {"%": "100%", "\\'": ""}.get(text)
    assert not len(found.rows) or own is not None or not found.exact
    assert len(find(galaxies, Query()).rows) == N


def test_columns_of_hostile_names_can_be_asked(galaxies) -> None:
    name = 'x"; DROP TABLE asked; --'
    found = find(galaxies, Query(conditions=(ColumnCondition(name, "<", "3"),)))
    assert found.rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO 'out.csv'",
        "ATTACH 'a.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 8",
        "SET enable_external_access = true",
        "SET memory_limit = '64GB'",
        "SELECT * FROM seen",
        "SELECT getenv('HOME')",
    ],
)
def test_the_connection_is_shut_off(statement, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = pa.table({"a": [1]})
    with pytest.raises(duckdb.Error):
        connection().cursor().execute(statement).fetchall()
    assert not list(tmp_path.iterdir()), seen


def test_what_one_question_registers_no_other_sees() -> None:
    ask({"row": np.arange(3)}, "row", [], [])
    with pytest.raises(duckdb.Error):
        connection().cursor().execute("SELECT * FROM asked")


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 359.9), st.floats(-90, 90), st.floats(0.1, 180 * 60))
def test_a_cone_is_that_of_all_separations(galaxies, ra, dec, radius) -> None:
    cone = Cone(ra, dec, radius)
    far = separations(galaxies.column("ra"), galaxies.column("dec"), cone)
    found = find(galaxies, Query(cone=cone))
    assert sorted(found.rows) == np.flatnonzero(far <= radius).tolist()
    np.testing.assert_array_equal(found.separation, np.sort(far[far <= radius]))


NAMED = ["NGC5194", "NGC0051", "NGC5195", "UGC00001", "UGC12", "IC0495", "M 101", "PGC0000212"]


@pytest.fixture(scope="module")
def named() -> Galaxies:
    others = ["", "", "", "", "", "", "", "IC5381"]
    return Galaxies(galaxy_id=NAMED, ngc_ic=others, ra=np.zeros(8), dec=np.zeros(8))


SAME = {
    "M51": 0, "M 51": 0, "m  51": 0, "Messier 51": 0, "M051": 0, "NGC 5194": 0, "ngc5194": 0,
    "NGC-5194": 0, "NGC 51": 1, "NGC 00051": 1, "UGC 1": 3, "UGC1": 3, "ugc 00001": 3, "UGC 012": 4,
    "IC 495": 5, "M 101": 6, "NGC 5457": 6, "PGC 212": 7, "LEDA 212": 7, "IC 5381": 7,
}  # fmt: skip


@pytest.mark.parametrize("text", SAME)
def test_a_galaxy_is_found_by_all_its_names(named, text) -> None:
    found = find(named, parse_query(text))
    assert (found.rows.tolist(), found.exact) == ([SAME[text]], True)
    assert rows_named(named, text).tolist() == [SAME[text]]


@pytest.mark.parametrize(
    "text", ["NGC 5", "NGC 519", "NGC 51942", "UGC 10", "M 5", "M 10", "M 1", "IC 49", "PGC 21"]
)
def test_a_number_that_is_not_there_shows_no_other_galaxy(named, text) -> None:
    found = find(named, parse_query(text))
    assert found.rows.tolist() == []
    assert rows_named(named, text).tolist() == []


@pytest.mark.parametrize(("text", "rows"), [("GC519", [0, 2]), ("pg", [7]), ("95", [2, 5])])
def test_parts_of_names_are_said_to_be_that(named, text, rows) -> None:
    found = find(named, parse_query(text))
    assert (found.rows.tolist(), found.exact) == (rows, False)
    assert "as none is called so" in found.words
    assert rows_named(named, text).tolist() == []


def test_a_component_may_follow_a_number() -> None:
    pair = Galaxies(galaxy_id=["NGC0078A", "NGC0078B", "NGC0781"])
    found = find(pair, parse_query("NGC 78"))
    assert (found.rows.tolist(), found.exact) == ([0, 1], False)


def test_what_only_begins_so_does_not_come_into_focus(state) -> None:
    found = SearchResults(np.array([3]), "whose name has it", "", exact=False)
    set_results(state, found)
    assert (state.selection.tolist(), state.focus) == ([3], None)
    set_results(state, SearchResults(np.array([3]), "a name", ""))
    assert state.focus == 3
    inexact = find(Galaxies(galaxy_id=["ab", "abc"]), parse_query("a"))
    assert not as_results(inexact).exact


@settings(max_examples=200)
@given(st.text(max_size=20))
def test_any_name_has_one_normal_form(text) -> None:
    once = normal(text)
    assert normal(once.upper().casefold()) in (once, normal(once))
    assert same_names(text)[:1] in ([], [once]) or normal(text) != same_names(text)[0]


def test_messiers_galaxies_are_numbered_both_ways() -> None:
    assert len(set(MESSIER.values())) == len(MESSIER) == 39
    for m, ngc in MESSIER.items():
        assert same_names(f"M {m}") == [f"m{m}", f"ngc{ngc}"]
        assert same_names(f"NGC {ngc}") == [f"ngc{ngc}", f"m{m}"]
    assert is_listed("ngc5194")
    assert not is_listed("galaxy7")


def test_the_index_is_sorted_and_leaves_out_what_is_no_name() -> None:
    table = names_table(Galaxies(galaxy_id=["b", "a", "-"], name=[None, "", "B"]).catalogue)
    assert table.to_pylist() == [
        {"name": "a", "row": 1},
        {"name": "b", "row": 0},
        {"name": "b", "row": 2},
    ]
