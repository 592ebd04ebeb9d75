from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.clusterers import (
    CLUSTERERS,
    Consensus,
    centres_of,
    fit_clusterer,
    fit_consensus,
    fit_kmeans,
    match_labels,
)
from galaxy_explorer.clustering.mixture import Mixture
from galaxy_explorer.clustering.validation import compare_labels


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    group = rng.integers(4, size=400)
    return rng.normal(size=(400, 6)) + 9 * np.eye(6)[group], group


def k_of(name: str) -> int:
    return 4 if name != "hdbscan" else 2  # no cluster below a tenth of an even share of two


@pytest.mark.parametrize("name", CLUSTERERS)
def test_separate_groups_are_found_and_new_galaxies_join_them(name, blobs):
    features, group = blobs
    labels = fit_clusterer(name, features[:300], k_of(name), seed=1).predict(features)
    assert labels.dtype == np.int16
    kept = labels >= 0
    assert kept[:300].mean() > 0.9
    assert compare_labels(labels[kept], group[kept])["ari"] == pytest.approx(1)


@pytest.mark.parametrize("name", CLUSTERERS)
def test_same_seed_same_clusters(name, blobs):
    features, _ = blobs
    first, second = (
        fit_clusterer(name, features, k_of(name), seed=3).predict(features) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", CLUSTERERS)
def test_a_galaxy_does_not_depend_on_the_others(name, blobs):
    features, _ = blobs
    clusterer = fit_clusterer(name, features, k_of(name))
    alone = np.concatenate([clusterer.predict(row[None]) for row in features[:20]])
    np.testing.assert_array_equal(alone, clusterer.predict(features)[:20])


@pytest.mark.parametrize("name", ["kmeans", "ward"])
def test_clusters_of_centres_serve_as_a_mixture(name, blobs):
    features, _ = blobs
    centres = fit_clusterer(name, features, 7)
    mixture = Mixture.from_arrays(centres.mixture().arrays())
    far = np.random.default_rng(1).normal(0, 20, (500, 6))
    for galaxies in (features, far):
        nearest = np.linalg.norm(galaxies[:, None] - centres.means, axis=2).argmin(1)
        np.testing.assert_array_equal(centres.predict(galaxies), nearest)
        np.testing.assert_array_equal(mixture.predict(galaxies), nearest)


def test_a_galaxy_between_two_centres_is_shared_between_them():
    means = np.array([[0.0, 0], [2, 0], [50, 50]])
    centres = centres_of(np.repeat(means, 2, axis=0) + [[0, 1], [0, -1]] * 3, [0, 0, 1, 1, 2, 2])
    shares = centres.mixture().responsibilities(np.array([[1.0, 0]]))
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0]], atol=1e-12)


def test_k_means_of_fewer_different_galaxies_than_clusters():
    features = np.repeat(np.eye(3), 5, axis=0)
    assert len(np.unique(fit_kmeans(features, 3).predict(features))) == 3


def test_the_far_away_belong_to_no_dense_cluster(blobs):
    features, _ = blobs
    dense = fit_clusterer("hdbscan", features, 2)
    assert (dense.predict(features[:50] + 100) == -1).all()
    members = dense.predict(dense.members)
    np.testing.assert_array_equal(members, dense.labels)


def test_where_no_cluster_is_dense_nobody_has_one():
    spread = np.random.default_rng(0).uniform(-1, 1, (8, 10))
    assert (fit_clusterer("hdbscan", spread, 2).predict(spread) == -1).all()


class Fixed:
    def __init__(self, labels):
        self.labels = np.array(labels, np.int16)

    def predict(self, features):
        return self.labels[: len(features)]


def test_the_vote_by_hand():
    same = np.arange(3, dtype=np.int16)
    voters = (Fixed([0, 0, 0, 1]), Fixed([0, 1, 1, 1]), Fixed([0, 0, 2, 2]))
    for votes, expected in ((2, [0, 0, -1, 1]), (3, [0, -1, -1, -1])):
        labels = Consensus(voters, (same, same, same), votes).predict(np.zeros((4, 1)))
        np.testing.assert_array_equal(labels, expected)


def test_unanimity_decides_no_more_than_a_majority():
    features = np.random.default_rng(0).normal(size=(300, 3))
    majority, unanimous = (
        fit_consensus(features, 5, votes=votes).predict(features) for votes in (2, 3)
    )
    decided = unanimous >= 0
    assert 0 < decided.sum() < (majority >= 0).sum()
    np.testing.assert_array_equal(majority[decided], unanimous[decided])


def test_matching_undoes_a_renaming():
    rng = np.random.default_rng(0)
    reference, names = rng.integers(6, size=200), rng.permutation(6)
    renamed = match_labels(names[reference], reference, 6)
    np.testing.assert_array_equal(renamed[names[reference]], reference)


@pytest.mark.parametrize(("name", "k"), [("kmeanz", 3), ("kmeans", 0), ("ward", 401)])
def test_requests_that_cannot_be_met_are_refused(name, k, blobs):
    with pytest.raises(ValueError, match=r"choose gmm, kmeans|clusters of 400 galaxies"):
        fit_clusterer(name, blobs[0], k)
