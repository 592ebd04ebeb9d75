from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.summary import group_summaries
from galaxy_explorer.explorer.pages.clusters import ClustersPage, MergerGroups, branches, groups
from galaxy_explorer.explorer.state import ExplorerState


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
    assert len(view.multiples.panels) == 4
    view.multiples._handle_msg({"cluster": 2})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(groups(tree, 4) == 2))
    assert view.multiples.chosen == 2
    assert "cut into 4" in state.selection_label
    state.clear()
    assert view.multiples.chosen == -1


def test_the_tree_is_offered_only_where_there_is_one(state, bundle, context):
    with_tree, without = ClustersPage(state, context), ClustersPage(ExplorerState(bundle), context)
    assert with_tree.left.objects[0].visible
    assert not without.left.objects[0].visible
    with_tree.show = "merger tree"
    assert with_tree.merger.view.visible
    assert not with_tree.all_clusters.visible
    with_tree.show = "clusters"
    assert with_tree.all_clusters.visible


def test_clusters_that_do_not_come_back_are_faint(state, evaluated, context):
    page = ClustersPage(state, context)
    jaccard = evaluated.evaluation.jaccard(state.clustering)
    assert len(jaccard) == len(page.multiples.panels)
    for panel in page.multiples.panels:
        assert panel["unstable"] == (jaccard[panel["id"]] < 0.5)
        assert f"{jaccard[panel['id']]:.2f}" in panel["stability_words"]
    cluster = next(panel["id"] for panel in page.multiples.panels if panel["count"])
    state.select_cluster(cluster)
    assert f"Jaccard {jaccard[cluster]:.2f}" in page.heading.object


def test_without_an_evaluation_no_cluster_is_faint(bundle, context):
    page = ClustersPage(ExplorerState(bundle), context)
    assert not any(panel["unstable"] for panel in page.multiples.panels)
    assert "faint" not in page.legend.object
