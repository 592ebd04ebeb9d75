"""The strip of brushes: what it tells the browser, and what the browser may tell it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from galaxy_explorer.explorer.brushing import brush_column, format_brushes, parse_brushes
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.brushes import Brushes, histogram


@pytest.fixture
def strip(state, context, monkeypatch) -> Brushes:
    made = Brushes(state, context)
    made.told = []
    monkeypatch.setattr(made.strip, "tell", made.told.append)
    return made


def drawn(column="ttype", *, final=True, **parts) -> dict:
    asked = {"spans": [], "words": [], "missing": False, "serial": 3}
    return {"brush": column, **asked, "final": final, **parts}


def test_all_galaxies_stand_in_front_before_anything_is_brushed(strip) -> None:
    assert [one["name"] for one in strip.strip.histograms] == ["ttype", "magnitude", "source"]
    assert [one["all"] for one in strip.strip.histograms] == strip.strip.fronts
    assert (strip.strip.count, strip.strip.base, strip.strip.none) == ("200", "", False)


def test_a_brush_that_moves_moves_the_bars_alone(strip, state) -> None:
    before = strip.strip.fronts
    strip.on_message(drawn(spans=[[3.0, 6.0]], final=False))
    assert len(state.selection) == len(state.brushes) == 0
    assert strip.strip.fronts == before
    (answer,) = strip.told
    t = np.floor(state.bundle.column("ttype") + 0.5)
    n = int(((t >= 3) & (t <= 6)).sum())
    assert answer["serial"] == 3
    assert answer["count"] == f"{n} of 200"
    assert answer["fronts"][0] == before[0]
    assert [sum(front) for front in answer["fronts"]] == [200, n, n]


def test_a_brush_that_is_let_go_selects(strip, state) -> None:
    strip.on_message(drawn(spans=[[3, 6]]))
    strip.on_message(drawn("source", words=["gz1"]))
    assert format_brushes(state.brushes) == "T:3..6;source:gz1"
    assert state.selection_label == "T 3 to 6, source gz1"
    assert strip.strip.brushes["ttype"]["told"] == "T 3 to 6"
    assert strip.told[-1]["count"] == strip.strip.count == f"{len(state.selection)} of 200"
    strip.on_message({"clear": "ttype"})
    assert format_brushes(state.brushes) == "source:gz1"
    strip.on_message({"clear": ""})
    assert len(state.selection) == len(state.brushes) == 0


def test_what_was_chosen_elsewhere_is_a_condition_that_can_be_taken_back(strip, state) -> None:
    strip.on_message(drawn("source", words=["gz1"]))
    alone = state.selection.tolist()
    state.select(range(60), "a lasso")
    assert strip.strip.base == "a lasso"
    assert [sum(front) for front in strip.strip.fronts] == [len(state.selection)] * 2 + [60]
    strip.on_message({"base": False})
    assert state.selection.tolist() == alone
    assert strip.strip.base == ""


def test_other_columns_come_and_go(strip, state) -> None:
    names = [name for name, _ in strip.strip.offered]
    assert "split" in names
    strip.on_message({"add": "split"})
    assert [one["name"] for one in strip.strip.histograms][-1] == "split"
    assert len(strip.strip.fronts) == 4
    strip.on_message(drawn("split", words=["test"]))
    strip.on_message({"remove": "split"})
    assert (len(strip.strip.fronts), len(state.brushes)) == (3, 0)
    assert [name for name, _ in strip.strip.offered] == names


def test_a_column_that_a_link_brushes_is_shown(bundle, context) -> None:
    state = ExplorerState(bundle)
    state.brush(parse_brushes("split:test"))
    strip = Brushes(state, context)
    assert [one["name"] for one in strip.strip.histograms][-1] == "split"
    state.brush(parse_brushes("dec:10..20"))
    assert [one["name"] for one in strip.strip.histograms][-1] == "dec"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"brush": 3},
        drawn("galaxy_id", words=["galaxy-0001"]),
        drawn("nothing", spans=[[1, 2]]),
        drawn(spans=[[6, 3]]),
        drawn(spans=[[True, 3]]),
        drawn(spans=[["3", 6]]),
        drawn(spans=[[math.nan, 3]]),
        drawn(spans=[[3]]),
        drawn(spans=3),
        drawn(spans=[[1, 2]] * 100, words=["x"]),
        drawn("source", words=["nowhere"]),
        drawn("source", words=None),
        drawn("source", words=[1]),
        drawn(),
        {"clear": 3},
        {"add": "galaxy_id"},
        {"add": ["split"]},
        {"remove": {}},
    ],
)
@pytest.mark.parametrize("final", [True, False])
def test_what_no_page_sends_changes_nothing(strip, state, message, final) -> None:
    strip.on_message({**message, "final": final} if "brush" in message else message)
    assert len(state.selection) == len(state.brushes) == 0
    assert len(strip.strip.histograms) == 3
    assert [answer["count"] for answer in strip.told] == ["200"] * ("brush" in message)


def test_labels_of_columns_that_can_be_added_are_unique(strip) -> None:
    words = [word for _, word in strip.strip.offered]
    assert len(set(words)) == len(words)


def test_types_are_drawn_in_the_colours_of_the_map(bundle) -> None:
    made = histogram(brush_column(bundle, "ttype"))
    assert len(made["colours"]) == len(made["stops"]) == len(made["all"]) - 1
    assert (made["title"], made["short"], made["unit"]) == ("Hubble type T", "T", "")
