from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from galaxy_explorer.clustering.merger_tree import MergerTree, grow_tree
from galaxy_explorer.clustering.validation import compare_labels


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(80, 4)) * [9, 3, 1, 1]


@pytest.fixture(scope="module")
def tree(vectors) -> MergerTree:
    return grow_tree(vectors)


@pytest.mark.parametrize("k", [1, 2, 7, 40, 80])
def test_a_cut_gives_the_clusters_of_scipy(k, vectors, tree):
    labels = tree.cut(k)
    np.testing.assert_array_equal(np.unique(labels), np.arange(k))
    expected = fcluster(linkage(vectors, "ward"), k, "maxclust")
    assert compare_labels(labels, expected)["ari"] == 1


@pytest.mark.parametrize("k", [2, 7, 40])
def test_one_cluster_more_splits_one_cluster(k, tree):
    coarse, fine = tree.cut(k), tree.cut(k + 1)
    parents = [np.unique(coarse[fine == number]) for number in range(k + 1)]
    assert all(len(parent) == 1 for parent in parents)
    assert (np.diff(np.concatenate(parents)) >= 0).all(), "neighbours in the tree stay neighbours"


def test_the_trimmed_tree_cuts_as_the_whole_one(tree):
    groups, top = tree.cut(20), tree.trim(20)
    assert top.n_leaves == 20
    for k in (1, 2, 7, 19, 20):
        np.testing.assert_array_equal(top.cut(k)[groups], tree.cut(k))
    assert top.heights[-1] == tree.heights[-1]


def test_nodes_add_up_their_leaves(tree):
    ttype = np.random.default_rng(1).normal(size=80)
    sums, counts = tree.add_up(ttype), tree.add_up(np.ones(80))
    assert sums[-1] == pytest.approx(ttype.sum())
    assert counts[-1] == 80
    left, right = tree.merges[-1]
    halves = tree.cut(2)
    means = sorted(ttype[halves == half].mean() for half in (0, 1))
    np.testing.assert_allclose(sorted(sums[[left, right]] / counts[[left, right]]), means)


def test_store_and_rebuild(tree):
    again = MergerTree.from_arrays(tree.arrays())
    np.testing.assert_array_equal(again.cut(9), tree.cut(9))
    assert tree.merges.nbytes + tree.heights.nbytes <= 12 * 80


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {"merges": a["merges"]},
        lambda a: {**a, "merges": a["merges"][:-1]},
        lambda a: {**a, "merges": a["merges"].astype(np.int64)},
        lambda a: {**a, "merges": np.roll(a["merges"], 1, axis=0)},
        lambda a: {**a, "merges": np.where(a["merges"] == 3, 4, a["merges"]).astype(np.int32)},
        lambda a: {**a, "heights": a["heights"] * np.float32("nan")},
    ],
)
def test_arrays_that_are_no_tree_are_refused(tree, change):
    with pytest.raises(ValueError, match=r"merges|heights"):
        MergerTree.from_arrays(change(tree.arrays()))


def test_ward_refuses_hamming_distances():
    maps = np.random.default_rng(0).integers(5, size=(20, 16))
    hamming = (maps[:, None] != maps[None]).mean(2)
    with pytest.raises(ValueError, match="one-hot"):
        grow_tree(hamming)


@pytest.mark.parametrize("k", [0, 81])
def test_cuts_beyond_the_leaves_are_refused(tree, k):
    with pytest.raises(ValueError, match=f"80 leaves cannot be cut at {k}"):
        tree.cut(k)
