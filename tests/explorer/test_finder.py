"""Ways to select: every answer is the selection, in the order and with the figures it came in."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from galaxy_explorer.bundle.novelty import known_percentiles
from galaxy_explorer.clustering.embedding import nearest
from galaxy_explorer.explorer import search as label_search
from galaxy_explorer.explorer.app import HeaderTools
from galaxy_explorer.explorer.widgets import finder
from galaxy_explorer.explorer.widgets.finder import Finder, answer, searchable
from galaxy_explorer.explorer.widgets.results import ResultGallery, current_results


@pytest.fixture
def said(state, monkeypatch) -> list[str]:
    """What visitors are told; galaxies 3 and 5 are labelled as barred."""
    spoken = np.array(["bar" if row in (3, 5) else "" for row in range(len(state.bundle))])
    told: list[str] = []
    monkeypatch.setattr(finder, "label_columns", lambda _: {"label": spoken})
    monkeypatch.setattr(finder, "notify", lambda words, warning=False: told.append(words))
    return told


@pytest.fixture
def view(state, said) -> Finder:
    return Finder(state)


@pytest.fixture
def gallery(state, stamps) -> ResultGallery:
    return ResultGallery(state, stamps)


def ask(state, text: str) -> bool:
    return asyncio.run(answer(state, text))


def test_an_answer_is_the_selection(said, state) -> None:
    assert ask(state, "T < 0")
    assert state.selection.tolist() == np.flatnonzero(state.bundle.column("ttype") < 0).tolist()
    assert state.selection_label == "T < 0"
    ask(state, "label = bar")
    assert state.selection.tolist() == [3, 5]


def test_one_galaxy_alone_comes_into_focus(said, state) -> None:
    ask(state, "galaxy-0012")
    assert (state.focus, state.tab) == (12, "galaxy")
    assert said == ["1 galaxy: “galaxy-0012”"]


@pytest.mark.parametrize("text", ["no such galaxy", "nothing < 3", "T < <script>alert(1)</script>"])
def test_a_question_in_vain_changes_nothing_and_says_so(said, state, text) -> None:
    ask(state, "T < 0")
    before = state.selection
    assert not ask(state, text)
    assert state.selection is before
    assert len(said) == 2


def test_a_cone_comes_nearest_first_with_its_distances(said, state, gallery) -> None:
    ra, dec = state.bundle.column("ra")[7], state.bundle.column("dec")[7]
    ask(state, f"{ra:.5f} {dec:.5f} r=30 deg")
    found = current_results(state)
    assert found.rows[0] == 7
    assert (np.diff(found.columns["separation"]) >= 0).all()
    assert gallery.ordered()[0] == 7
    assert gallery.note(7) == "0.00′"


def test_words_find_classes_and_clusters_where_no_galaxy_is_called_so(said, state) -> None:
    ttype = state.bundle.column("ttype")
    assert ask(state, "spirals")
    np.testing.assert_array_equal(state.selection, np.flatnonzero((ttype > 0.5) & (ttype <= 9.5)))
    assert "0.5 < T ≤ 9.5 in the catalogue" in state.selection_label
    assert ask(state, "ellipticals and cluster < 9")
    assert (ttype[state.selection] <= -3.5).all()
    assert (state.labels[state.selection] < 9).all()
    names = [one.name for one in state.bundle.cluster_names(state.clustering)]
    assert ask(state, names[2].upper())
    same = [number for number, name in enumerate(names) if names[2] in name]
    np.testing.assert_array_equal(state.selection, np.flatnonzero(np.isin(state.labels, same)))


def test_look_alikes_are_the_nearest_in_code_space(view, said, state, gallery) -> None:
    asyncio.run(view.look_alikes())
    assert "Click a galaxy first" in said[0]
    state.focus = 9
    asyncio.run(view.look_alikes())
    features = state.bundle.clusterings[state.clustering].feature_values
    rows, far = nearest(features, features[9], 25)
    np.testing.assert_array_equal(current_results(state).rows, rows)
    np.testing.assert_allclose(current_results(state).columns["code_distance"], far)
    assert gallery.ordered()[0] == 9


def test_odd_ones_show_both_figures(view, state) -> None:
    view.odd_by = "error"
    asyncio.run(view.odd_ones())
    found = current_results(state)
    model = state.bundle.clusterings[state.clustering].model
    assert len(found.rows) == 24
    assert set(found.columns) == {"error_percentile", "sparsity"}
    assert found.columns["error_percentile"][0] == known_percentiles(state.bundle, model).max()
    assert (np.diff(found.columns["error_percentile"]) <= 0).all()


def test_another_selection_ends_the_answer(said, state, gallery) -> None:
    ask(state, "T < 0")
    state.select([1, 2, 3], "elsewhere")
    assert current_results(state) is None
    assert gallery.note(1) == ""
    assert set(gallery.ordered()) == {1, 2, 3}


def test_conditions_can_name_every_column_of_the_catalogue(state) -> None:
    assert {"ttype", "cluster", "magnitude", "ra"} <= set(searchable(state))
    assert not any("/" in name for name in searchable(state))


@pytest.mark.parametrize("word", ["Star & galaxy", 'a "bar" and; ring'])
def test_the_value_of_a_condition_is_taken_as_typed(said, state, monkeypatch, word) -> None:
    spoken = np.array([word if row in (4, 8) else "Star" for row in range(len(state.bundle))])
    monkeypatch.setattr(finder, "label_columns", lambda _: {"label": spoken})
    monkeypatch.setattr(finder, "searchable", lambda _: ["label"])
    relation, value, button = Finder(state).view[1]
    relation.value, value.value_input = "=", word
    button.clicks += 1
    assert state.selection.tolist() == [4, 8]


def test_the_header_finds_and_opens_the_drawer(state, context, said) -> None:
    tools = HeaderTools(state, context, lambda: "atlas")
    asyncio.run(tools.on_message({"ask": "cluster = 5"}))
    np.testing.assert_array_equal(state.selection, np.flatnonzero(state.labels == 5))
    assert state.drawer == "open"
    asyncio.run(tools.on_message({"ask": "wrong < 1"}))
    asyncio.run(tools.on_message({"other": 1}))
    assert len(said) == 2


def test_an_earlier_question_does_not_overtake_a_later_one(said, state, monkeypatch) -> None:
    first, later_is_answered = threading.Event(), threading.Event()

    def columns(_: object) -> dict[str, np.ndarray]:
        if not first.is_set():
            first.set()
            later_is_answered.wait(60)
        return {}

    monkeypatch.setattr(finder, "label_columns", columns)

    async def ask_both() -> None:
        earlier = asyncio.create_task(answer(state, "galaxy-0001"))
        await asyncio.to_thread(first.wait, 60)
        await answer(state, "galaxy-0002")
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
