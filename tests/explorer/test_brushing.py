"""Brushes: their text form, which galaxies pass, and how bars are counted across them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.brushing import (
    MAX_TEXT,
    Brush,
    BrushSet,
    brush_column,
    cross_counts,
    format_brush,
    format_brushes,
    number_column,
    parse_brushes,
    passing,
    telling_columns,
    ticks,
    word_column,
)
from galaxy_explorer.explorer.state import ExplorerState, brush_columns

finite = st.floats(
    allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12
) | st.sampled_from([0.016666666666666666, 0.009999999776482582, 0.00012345678901234567])
ends = st.none() | finite
spans = st.tuples(ends, ends).map(lambda s: s if None in s else tuple(sorted(s)))
texts = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["unknown", "3", "..", "1..2", "T", "z", "0 ", " "]
)
columns = texts.filter(lambda name: name.strip() == name)
brushes = st.one_of(
    st.builds(Brush, columns, spans=st.lists(spans, min_size=1, max_size=4).map(tuple)),
    st.builds(Brush, columns, words=st.lists(texts, min_size=1, max_size=4).map(tuple)),
    st.builds(Brush, columns, spans=st.tuples(spans), missing=st.booleans()),
    st.builds(Brush, columns, missing=st.just(True)),
)
sets = st.lists(brushes, max_size=5, unique_by=lambda brush: brush.column).map(
    lambda made: BrushSet(tuple(made))
)


@settings(max_examples=50)
@given(sets)
def test_the_text_form_reads_back_as_it_was(made: BrushSet) -> None:
    text = format_brushes(made)
    if len(text) <= MAX_TEXT:
        assert parse_brushes(text) == made


@given(st.text(max_size=200) | st.text("T:.,;%0123456789eE+-unkow", max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    made, said = BrushSet(), ""
    try:
        made = parse_brushes(text)
    except BadQuery as error:
        said = str(error)
    assert parse_brushes(format_brushes(made)) == made
    assert len(made) or not text.strip("; \t\n") or 10 < len(said) < 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("T", "a colon"),
        (":3..6", "a colon"),
        ("T:", "nothing is asked"),
        ("T:6..3", "from less to more"),
        ("T:1e999", "from less to more"),
        ("T:1..2;T:3", "twice"),
        ("T:3,spiral", "not both"),
        ("class:%ff", "no text"),
        ("x" * (MAX_TEXT + 1), "characters"),
        (";".join(f"c{i}:1" for i in range(40)), "at most"),
        ("c:" + ",".join(f"w{i}" for i in range(90)), "more than"),
    ],
)
def test_hostile_text_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadQuery, match=said):
        parse_brushes(text)


def test_the_text_form_is_as_short_as_a_reader_would_write_it() -> None:
    made = parse_brushes("ttype:-3..-1, 3..6 ,unknown; redshift:..0.02;class:edge_on")
    assert format_brushes(made) == "T:-3..-1,3..6,unknown;z:..0.02;class:edge_on"
    told = [format_brush(brush) for brush in made.brushes]
    assert told == ["T −3 to −1 or 3 to 6 or none", "redshift below 0.02", "class edge on"]


numbers = st.lists(
    st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf]) | st.integers(-5, 9).map(float),
    min_size=1,
    max_size=80,
)


@given(numbers, st.sampled_from(["ttype", "bmag"]))
def test_every_galaxy_is_in_one_bar_and_bars_are_what_their_stops_say(values, name) -> None:
    array = np.array(values)
    column = number_column(name, array)
    assert column.totals.sum() == len(array)
    assert column.totals[-1] == (~np.isfinite(array)).sum()
    assert column.n_bars <= 40
    last = column.n_bars - 1
    for bar in range(column.n_bars):
        if column.few:
            span = (column.stops[bar], column.stops[bar])
        else:  # the outer bars hold what lies beyond
            ends = column.stops[bar : bar + 2]
            span = (None if bar == 0 else ends[0], None if bar == last else ends[1])
        mask = column.passing(Brush(name, (span,)))
        np.testing.assert_array_equal(mask, column.bars == bar)
    for place, _ in ticks(column):
        assert 0 <= place <= column.n_bars


@given(st.lists(st.sampled_from(["", "E", "S", "spiral", "S0"]), min_size=1, max_size=50))
def test_words_are_counted_most_frequent_first(values) -> None:
    dictionary = ["", "E", "S", "S0", "spiral"]
    column = word_column("class", dictionary, np.array([dictionary.index(v) for v in values]))
    assert list(column.totals[:-1]) == sorted(column.totals[:-1], reverse=True)
    assert column.totals[-1] == values.count("")
    for word in column.words:
        mask = column.passing(Brush("class", words=(word,), missing=True))
        assert mask.tolist() == [value in {word, ""} for value in values]


def test_rare_words_share_a_bar_and_can_still_be_asked_for() -> None:
    words = [f"w{i:02}" for i in range(30)]
    column = word_column("name", words, np.arange(30))
    assert (len(column.words), column.more, column.totals[-2]) == (24, 6, 6)
    assert column.passing(Brush("name", words=("w29",))).sum() == 1


def brute(bundle, made: BrushSet, base, but: str = "") -> np.ndarray:
    mask = np.ones(len(bundle), bool) if base is None else base.copy()
    for brush in made.brushes:
        if brush.column != but:
            mask &= passing(bundle, brush)
    return mask


sources = st.sampled_from([(), ("gz1",), ("gz1", "sdss_ngc")])


@given(st.integers(-4, 8), st.integers(0, 6), st.floats(13, 17), sources, st.booleans())
def test_each_histogram_counts_what_passes_all_other_brushes(  # noqa: PLR0917
    bundle, low, wide, faint, source, with_base
) -> None:
    made = BrushSet((
        Brush("ttype", ((float(low), float(low + wide)),), missing=wide % 2 == 0),
        Brush("magnitude", ((None, faint),)),
    ))  # fmt: skip
    if source:
        made = made.put(Brush("source", words=source))
    base = np.arange(len(bundle)) % 3 > 0 if with_base else None
    names = ["ttype", "magnitude", "source", "split"]
    counts, passed = cross_counts(bundle, names, made, base)
    assert passed == brute(bundle, made, base).sum()
    for name, found in zip(names, counts, strict=True):
        column, mask = brush_column(bundle, name), brute(bundle, made, base, but=name)
        wanted = np.bincount(column.bars[mask], minlength=column.n_bars + 1)
        np.testing.assert_array_equal(found, wanted)


def test_the_most_telling_columns_are_found_by_what_they_are_called(bundle) -> None:
    assert telling_columns(bundle, brush_columns(bundle)) == ["ttype", "magnitude", "source"]


def test_brushes_narrow_what_was_chosen_and_leave_it_when_they_go(state) -> None:
    state.select(range(50), "the first fifty")
    state.brush(parse_brushes("source:gz1"))
    gz1 = state.bundle.column("source") == "gz1"
    assert state.selection.tolist() == np.flatnonzero(gz1[:50]).tolist()
    assert state.selection_label == "the first fifty, source gz1"
    state.select(range(100, 150), "others")
    assert state.selection.tolist() == (100 + np.flatnonzero(gz1[100:150])).tolist()
    state.select((), "")
    assert state.selection.tolist() == np.flatnonzero(gz1).tolist()
    assert state.selection_label == "source gz1"
    state.select(range(50), "the first fifty")
    state.brush(BrushSet())
    assert (len(state.selection), state.selection_label) == (50, "the first fifty")


def test_where_none_passes_nothing_is_selected_and_the_state_says_so(state) -> None:
    state.brush(parse_brushes("T:-5..-4;magnitude:..-100"))
    assert (len(state.selection), state.selection_label) == (0, "")
    assert state.none_pass
    assert state.none_words == "no galaxy passes: T −5 to −4, magnitude below −100 mag"
    state.clear()
    assert (state.none_pass, state.none_words) == (False, "")
    assert state.brushes == BrushSet()


@pytest.mark.parametrize(
    "text", ["galaxy_id:x", "nothing:1", "source:1..2", "T:late", "source:gz9", "ttype_class:3"]
)
def test_what_a_bundle_has_not_is_refused_and_changes_nothing(state, text) -> None:
    state.brush(parse_brushes("source:gz1"))
    before = state.selection
    with pytest.raises(BadQuery, match=r"\w+"):
        state.brush(parse_brushes(text))
    assert state.selection is before
    assert format_brushes(state.brushes) == "source:gz1"


def test_who_watches_the_selection_is_told_once_a_brush(bundle) -> None:
    state, told = ExplorerState(bundle), []
    state.param.watch(lambda event: told.append(len(event.new)), "selection")
    state.brush(parse_brushes("source:gz1"))
    state.brush(parse_brushes("source:gz1"))
    state.clear()
    assert told == [int((bundle.column("source") == "gz1").sum()), 0]
