from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from galaxy_explorer.bundle.manifest import ExcerptEntry
from galaxy_explorer.clustering.summary import group_summaries
from galaxy_explorer.explorer.pages.merger_tree import (
    MergerGroups,
    MergerTreePage,
    branches,
    groups,
)
from galaxy_explorer.explorer.pages.registry import offered_pages
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.cluster_list import ClusterList
from tests.small_evaluation import small_evaluation


@pytest.fixture
def state(evaluated) -> ExplorerState:
    return ExplorerState(evaluated)


@pytest.fixture
def tree(evaluated):
    return evaluated.evaluation.trees[0]


def test_each_cut_splits_one_group_of_the_cut_before(tree):
    leaves = len(tree.left) + 1
    before = groups(tree, 1)
    assert set(before) == {0}
    for k in range(2, leaves + 1):
        now = groups(tree, k)
        pairs = set(zip(before.tolist(), now.tolist(), strict=True))
        assert len({old for old, _ in pairs}) == len(set(before.tolist()))
        assert len(pairs) == len(set(now.tolist()))
        before = now


def test_branches_rise_to_the_root_and_hang_above_their_ends(tree):
    drawn = branches(tree)
    assert len(drawn) == len(tree.left)
    heights = [branch[4] for branch in drawn]
    assert heights == sorted(heights)
    assert heights[-1] == 1
    for left, right, low, lower, height, *_ in drawn:
        assert 0 <= left <= 1
        assert 0 <= right <= 1
        assert max(low, lower) <= height


def test_groups_hold_every_galaxy_once(tree, state):
    ttype = state.bundle.column("ttype")
    found = group_summaries(groups(tree, 5), 5, ttype, state.t_classes)
    assert sum(group.count for group in found) == len(state.bundle)
    assert sum(sum(group.histogram) for group in found) == (state.t_classes >= 0).sum()


def test_a_group_selects_its_members_and_is_marked(tree, state):
    view = MergerGroups(state, (tree,))
    view.tree_view.k = 4
    assert len(view.groups.rows) == 4
    view.groups._handle_msg({"row": 2, "add": False})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(groups(tree, 4) == 2))
    assert view.groups.chosen_rows == [2]
    assert "cut into 4" in state.selection_label
    state.clear()
    assert view.groups.chosen_rows == []


def test_the_tree_is_offered_only_where_there_is_one(state, evaluated, context):
    assert "merger" not in offered_pages(context)
    with_tree = replace(context, bundle=evaluated)
    assert "merger" in offered_pages(with_tree)
    page = MergerTreePage(state, with_tree)
    assert page.merger.groups.rows


def test_the_tree_of_other_galaxies_is_not_offered(evaluated, context):
    of = ExcerptEntry("whole", 300, "0" * 64, "")
    part = replace(evaluated, manifest=structs.replace(evaluated.manifest, excerpt=of))
    longer = replace(evaluated, evaluation=small_evaluation(len(evaluated) + 1))
    for bundle in (part, longer):
        assert "merger" not in offered_pages(replace(context, bundle=bundle))


def test_clusters_that_do_not_come_back_are_marked(state, evaluated, context):
    listed = ClusterList(state, context, open=True)
    jaccard = evaluated.evaluation.jaccard(state.clustering)
    for card in listed.sheet.rows:
        assert card["unstable"] == (jaccard[card["id"]] < 0.5)
        assert f"Jaccard {jaccard[card['id']]:.2f}" in card["words"]
    number = listed.sheet.rows[0]["id"]
    listed.choose(number)
    assert f"Jaccard {jaccard[number]:.2f}" in listed.about.object


def test_without_an_evaluation_no_cluster_is_marked(bundle, context):
    listed = ClusterList(ExplorerState(bundle), context, open=True)
    assert not any(card["unstable"] for card in listed.sheet.rows)
    assert "not stable" not in listed.key.object
