from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.clusterers import fit_kmeans
from galaxy_explorer.clustering.number_of_clusters import within_instability
from galaxy_explorer.clustering.stability import (
    best_overlap,
    bootstrap_stability,
    invariance,
    mean_pairwise_ari,
    renumber,
    silhouette,
)


def kmeans(k):
    return lambda features, seed: fit_kmeans(features, k, seed=seed)


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 3)) + 12 * np.eye(3)[rng.integers(3, size=400)]


def test_separate_clusters_come_back_and_cut_ones_do_not(blobs):
    train, held_out = blobs[:200], blobs[200:]
    scores = {}
    for k in (3, 9):
        reference = fit_kmeans(train, k).predict(held_out)
        scores[k] = bootstrap_stability(kmeans(k), train, held_out, reference, resamples=6)
    assert scores[3].ari["value"] == pytest.approx(1)
    assert scores[3].jaccard.min() == pytest.approx(1)
    assert scores[9].ari["value"] < 0.8
    assert scores[9].jaccard.mean() < 0.8
    assert scores[9].ari["low"] <= scores[9].ari["value"] <= scores[9].ari["high"]
    assert within_instability(scores[3].labels) == pytest.approx(0)
    assert within_instability(scores[9].labels) > 0.1


def test_stability_repeats_by_seed(blobs):
    first, second = (
        bootstrap_stability(
            kmeans(5), blobs[:200], blobs[200:], np.zeros(200, np.int16), resamples=3, seed=4
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.ari == second.ari


def test_unrelated_clusterings_agree_no_more_than_by_chance():
    labels = np.random.default_rng(0).integers(8, size=(6, 500))
    assert mean_pairwise_ari(labels)["value"] == pytest.approx(0, abs=0.02)
    assert within_instability(labels) == pytest.approx(7 / 8, abs=0.02)


def test_overlap_by_hand():
    reference = np.array([0, 0, 0, 1, 1, -1, 3])
    other = np.array([5, 5, 1, 1, 1, 1, -1])
    np.testing.assert_allclose(best_overlap(reference, other), [2 / 3, 2 / 4, np.nan, 0])


def test_overlap_with_nothing():
    np.testing.assert_allclose(best_overlap(np.array([0, 0]), np.array([-1, -1])), [0])


def test_silhouettes_of_separate_and_of_cut_clusters(blobs):
    separate = silhouette(blobs, fit_kmeans(blobs, 3).predict(blobs))
    cut = silhouette(blobs, fit_kmeans(blobs, 12).predict(blobs))
    assert separate["value"] > 0.7
    assert cut["value"] < 0.3
    assert separate["low"] < separate["value"] < separate["high"]
    assert np.isnan(silhouette(blobs, np.zeros(400, np.int16))["value"])


def test_the_same_clusters_are_invariant_whatever_their_numbers():
    labels = np.random.default_rng(0).integers(6, size=300)
    same = invariance(labels, np.random.default_rng(1).permutation(6)[labels], bootstraps=20)
    assert same["value"] == same["low"] == same["high"] == 1
    assert invariance(labels, labels, bootstraps=20)["kept"] == 1


def test_invariance_falls_as_more_galaxies_change_their_cluster():
    rng = np.random.default_rng(0)
    labels = rng.integers(6, size=1000)
    changed = [
        np.where(rng.random(1000) < share, rng.integers(6, size=1000), labels)
        for share in (0.1, 0.5, 1.0)
    ]
    values = [invariance(labels, other, bootstraps=20)["value"] for other in changed]
    assert values[0] > 0.7 > values[1] > 0.1 > values[2]
    assert values[2] == pytest.approx(
        invariance(labels, changed[2], bootstraps=20)["chance"], abs=0.02
    )


def test_renumbered_maps_mean_the_same_vectors():
    rng = np.random.default_rng(0)
    codes, codebook = rng.integers(7, size=(5, 4, 4)).astype(np.uint16), rng.normal(size=(7, 3))
    renamed, shuffled = renumber(codes, codebook, rng.permutation(7))
    assert renamed.dtype == np.uint16
    assert (renamed != codes).any()
    np.testing.assert_array_equal(shuffled[renamed], codebook[codes])
