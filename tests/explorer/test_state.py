"""The state: one truth about what is selected, whatever selected it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.explorer.state import ExplorerState, colour_columns

N = 200
rows_of_the_bundle = st.lists(st.integers(0, N - 1), max_size=60)


@settings(deadline=None)
@given(rows=rows_of_the_bundle)
def test_bars_and_no_t_sum_to_the_number_selected(bundle, rows) -> None:
    state = ExplorerState(bundle)
    state.select(rows, "drawn")
    counts, no_t = state.ttype_histogram(state.selection)
    assert counts.sum() + no_t == len(state.selection) == len(set(rows))


@settings(deadline=None)
@given(rows=rows_of_the_bundle)
def test_a_selection_is_sorted_unique_and_cannot_be_changed(bundle, rows) -> None:
    state = ExplorerState(bundle)
    state.select(np.array(rows, np.int64), "drawn")
    assert state.selection.tolist() == sorted(set(rows))
    with pytest.raises(ValueError, match="read-only"):
        state.selection[:] = 0


def test_the_selection_is_changed_by_select_alone(state) -> None:
    with pytest.raises(TypeError, match="Constant"):
        state.selection = np.array([1])


@pytest.mark.parametrize("rows", [[-1], [N], [0, 10**12]])
def test_rows_outside_the_catalogue_are_refused_and_change_nothing(state, rows) -> None:
    state.select([3], "one")
    with pytest.raises(IndexError):
        state.select(rows, "bad")
    assert (state.selection.tolist(), state.selection_label) == ([3], "one")


def test_a_cluster_selects_its_members_and_says_so(state) -> None:
    state.select_cluster(7, "late spirals")
    assert state.selection.tolist() == np.flatnonzero(state.labels == 7).tolist()
    assert state.selection_label == "late spirals"


def test_clear_selects_nothing_and_forgets_the_words(state) -> None:
    state.select([1, 2], "two")
    state.clear()
    assert (len(state.selection), state.selection_label) == (0, "")


def test_who_watches_is_told_once_a_change_and_not_without_one(state) -> None:
    told = []
    state.param.watch(lambda event: told.append(event.new.tolist()), "selection")
    state.select([5, 4], "two")
    state.select([4, 5], "two")
    state.select([4, 5], "in other words")
    assert told == [[4, 5]]
    assert state.selection_label == "in other words"


def test_the_selection_stays_when_the_clustering_changes(state) -> None:
    state.select([1, 2, 3], "three")
    state.clustering = next(k for k in state.bundle.clusterings if k != state.clustering)
    assert state.selection.tolist() == [1, 2, 3]


def test_the_default_clustering_is_the_bundles_and_another_is_compared(state) -> None:
    assert state.clustering == state.bundle.manifest.default_clustering
    assert state.compare != state.clustering
    with pytest.raises(ValueError, match="clustering"):
        state.clustering = "no/such"


def test_clusterings_are_offered_in_words(state) -> None:
    choices = state.clustering_choices()
    assert choices["512 codes, modern, by code vectors"] == "k512-modern-8x8/codes"
    assert len(choices) == len(state.bundle.clusterings)


def test_the_map_is_coloured_by_facts_of_the_catalogue_not_by_identifiers(bundle) -> None:
    columns = colour_columns(bundle)
    assert columns[:3] == ["cluster", "ttype", "source"]
    assert "magnitude" in columns
    assert not {"galaxy_id", "name"} & set(columns)
    assert not any("/" in column for column in columns)


def test_two_visitors_do_not_share_a_display(bundle) -> None:
    first, second = ExplorerState(bundle), ExplorerState(bundle)
    first.display.invert = True
    assert not second.display.invert


def test_clusters_are_coloured_where_most_galaxies_have_no_type(bundle, monkeypatch) -> None:
    assert ExplorerState(bundle).colour_by == "ttype"
    monkeypatch.setattr(
        "galaxy_explorer.explorer.state.t_classes", lambda _: np.full(len(bundle), -1)
    )
    assert ExplorerState(bundle).colour_by == "cluster"


def test_whoever_brings_a_galaxy_into_focus_opens_its_card(state) -> None:
    for _ in range(2):  # also once more
        state.focus = 3
        assert (state.tab, state.drawer) == ("galaxy", "open")
        state.drawer = "closed"
    state.focus = None
    assert state.tab == "selection"


def test_every_choice_of_a_model_has_words_of_its_own(state, monkeypatch) -> None:
    keys = list(state.bundle.clusterings)
    monkeypatch.setattr(type(state), "words", lambda *_: "512 codes")
    choices = state.clustering_choices()
    assert sorted(choices.values()) == sorted(keys)
