"""The Find page: every answer is the selection, in the order and with the figures it came in."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from galaxy_explorer.bundle.novelty import known_percentiles
from galaxy_explorer.clustering.embedding import nearest
from galaxy_explorer.explorer import search as label_search
from galaxy_explorer.explorer.app import HeaderTools
from galaxy_explorer.explorer.pages.find import FindPage, searchable
from galaxy_explorer.explorer.widgets.results import current_results


@pytest.fixture
def view(state, context, monkeypatch) -> FindPage:
    spoken = np.array(["bar" if row in (3, 5) else "" for row in range(len(state.bundle))])
    monkeypatch.setattr(
        "galaxy_explorer.explorer.pages.find.label_columns", lambda _: {"label": spoken}
    )
    return FindPage(state, context)


def ask(view: FindPage, text: str) -> None:
    asyncio.run(view.on_message({"ask": text}))


def test_an_answer_is_the_selection(view, state) -> None:
    ask(view, "T < 0")
    assert state.selection.tolist() == np.flatnonzero(state.bundle.column("ttype") < 0).tolist()
    assert state.selection_label == "T < 0"
    ask(view, "label = bar")
    assert state.selection.tolist() == [3, 5]


def test_one_galaxy_alone_comes_into_focus(view, state) -> None:
    ask(view, "galaxy-0012")
    assert state.focus == 12


@pytest.mark.parametrize("text", ["no such galaxy", "nothing < 3", "T < <script>alert(1)</script>"])
def test_a_question_in_vain_changes_nothing_and_says_so(view, state, text) -> None:
    ask(view, "T < 0")
    before = state.selection
    ask(view, text)
    assert state.selection is before
    assert "<script>" not in view.message.object
    assert view.message.object.count("<p") == 1


def test_a_cone_comes_nearest_first_with_its_distances(view, state) -> None:
    ra, dec = state.bundle.column("ra")[7], state.bundle.column("dec")[7]
    ask(view, f"{ra:.5f} {dec:.5f} r=30 deg")
    answer = current_results(state)
    assert answer.rows[0] == 7
    assert (np.diff(answer.columns["separation"]) >= 0).all()
    assert view.gallery.ordered()[0] == 7
    assert view.gallery.note(7) == "0.00′"


def test_look_alikes_are_the_nearest_in_code_space(view, state) -> None:
    asyncio.run(view.look_alikes())
    assert "Click a galaxy first" in view.message.object
    state.focus = 9
    asyncio.run(view.look_alikes())
    features = state.bundle.clusterings[state.clustering].feature_values
    rows, far = nearest(features, features[9], 25)
    np.testing.assert_array_equal(current_results(state).rows, rows)
    np.testing.assert_allclose(current_results(state).columns["code_distance"], far)
    assert view.gallery.ordered()[0] == 9


def test_odd_ones_show_both_figures(view, state) -> None:
    view.odd_by = "error"
    asyncio.run(view.odd_ones())
    answer = current_results(state)
    model = state.bundle.clusterings[state.clustering].model
    assert len(answer.rows) == 24
    assert set(answer.columns) == {"error_percentile", "sparsity"}
    assert answer.columns["error_percentile"][0] == known_percentiles(state.bundle, model).max()
    assert (np.diff(answer.columns["error_percentile"]) <= 0).all()


def test_another_selection_ends_the_answer(view, state) -> None:
    ask(view, "T < 0")
    state.select([1, 2, 3], "elsewhere")
    assert current_results(state) is None
    assert view.gallery.note(1) == ""
    assert set(view.gallery.ordered()) == {1, 2, 3}


def test_conditions_can_name_every_column_of_the_catalogue(state) -> None:
    assert {"ttype", "cluster", "magnitude", "ra"} <= set(searchable(state))
    assert not any("/" in name for name in searchable(state))


def test_the_header_finds_from_every_page(state, context, monkeypatch) -> None:
    said = []
    monkeypatch.setattr("galaxy_explorer.explorer.app.label_columns", lambda _: {})
    monkeypatch.setattr(
        "galaxy_explorer.explorer.app.notify", lambda words, warning=False: said.append(warning)
    )
    tools = HeaderTools(state, context, lambda: "atlas")
    asyncio.run(tools.on_message({"ask": "cluster = 5"}))
    labels = state.bundle.clusterings[state.clustering].labels
    np.testing.assert_array_equal(state.selection, np.flatnonzero(labels == 5))
    asyncio.run(tools.on_message({"ask": "wrong < 1"}))
    asyncio.run(tools.on_message({"other": 1}))
    assert said == [False, True]


def test_an_earlier_question_does_not_overtake_a_later_one(
    view, state, context, monkeypatch
) -> None:
    later_is_answered = threading.Event()
    monkeypatch.setattr(
        "galaxy_explorer.explorer.app.label_columns",
        lambda _: later_is_answered.wait(60) and {},
    )
    header = HeaderTools(state, context, lambda: "find")

    async def ask_both() -> None:
        earlier = asyncio.create_task(header.search("galaxy-0001"))
        await asyncio.sleep(0)
        await view.search("galaxy-0002")
        later_is_answered.set()
        await earlier

    asyncio.run(ask_both())
    assert state.selection.tolist() == [2]


def test_labels_of_all_annotators_are_one_column(bundle, monkeypatch) -> None:
    class Value:
        def __init__(self, label):
            self.label = label

    class Layer:
        def __init__(self, said):
            self.message = said

        def galaxies(self):
            return {
                f"galaxy-{row:04d}": {"stage": Value(label)} for row, label in self.message.items()
            }

    class Store:
        def layers(self):
            return {"a": Layer({0: "Sa", 1: "E"}), "b": Layer({0: "S0", 2: ""})}

    monkeypatch.setattr(label_search, "label_store", lambda _: Store())
    assert label_search.label_columns(bundle)["label"][:4].tolist() == ["S0;Sa", "E", "", ""]
