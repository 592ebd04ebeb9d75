"""Neighbours in code space against a brute-force search in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from galaxy_explorer.clustering import embedding
from galaxy_explorer.clustering.embedding import Neighbours, Placing, nearest, percentiles, sparsity
from galaxy_explorer.explorer import search
from galaxy_explorer.explorer.search import neighbours


@pytest.fixture(params=[np.float16, np.float32, np.float64])
def features(request) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3000, 12)).astype(request.param)


def test_neighbours_are_exact(features) -> None:
    full = cdist(features.astype(float)[:5], features.astype(float))
    for row in range(5):
        rows, distances = nearest(features, features[row], 20)
        assert rows[0] == row
        assert distances[0] == 0
        np.testing.assert_array_equal(rows, np.argsort(full[row], kind="stable")[:20])
        np.testing.assert_allclose(distances, np.sort(full[row])[:20], rtol=1e-12, atol=1e-12)


def test_galaxies_that_are_alike_come_in_the_order_of_the_catalogue() -> None:
    rows, _ = nearest(np.ones((2000, 3)), np.ones(3), 5)
    assert rows.tolist() == [0, 1, 2, 3, 4]


def test_sparsity_is_the_distance_to_the_fifteenth_neighbour(features) -> None:
    full = np.sort(cdist(features.astype(float), features.astype(float)), axis=1)
    np.testing.assert_allclose(sparsity(features), full[:, 15], rtol=1e-6, atol=1e-6)


def test_a_galaxy_far_from_all_others_is_the_sparsest(features, monkeypatch) -> None:
    features[77] = 40
    assert np.argmax(sparsity(features)) == 77
    monkeypatch.setattr(embedding, "MAX_REFERENCE", 500)  # also by an even sample
    assert np.argmax(sparsity(features)) == 77


def test_few_galaxies_are_no_error() -> None:
    assert sparsity(np.zeros((3, 2))).tolist() == [0, 0, 0]
    assert len(nearest(np.zeros((3, 2)), np.zeros(2), 10)[0]) == 3


def test_percentiles_count_those_at_most_as_large() -> None:
    assert percentiles([3.0, 1.0, 2.0, 2.0]).tolist() == [100, 25, 75, 75]


@pytest.mark.parametrize("width", [3, 24, 25])
def test_many_galaxies_have_the_same_look_alikes_as_few(width, monkeypatch) -> None:
    features = np.random.default_rng(1).normal(size=(500, width)).astype(np.float32)
    monkeypatch.setattr(embedding, "FEW", 400)
    finder = Neighbours(features)
    assert (finder._tree is not None) == (width <= 24)
    for vector in (features[7], np.full(width, 9.0), np.zeros(width)):
        for k in (1, 25, 600):
            rows, far = nearest(features, vector, k)
            found, distances = finder.nearest(vector, k)
            np.testing.assert_array_equal(found, rows)
            np.testing.assert_allclose(distances, far, rtol=1e-9)
    together, far = finder.of(features[:70] + 0.1, 9)
    for vector, rows, distances in zip(features[:70] + 0.1, together, far, strict=True):
        expected, known = nearest(features, vector, 9)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_allclose(distances, known, rtol=1e-9)


def test_a_galaxy_comes_first_among_its_look_alikes_though_others_are_equal(bundle) -> None:
    key = bundle.manifest.default_clustering
    alike = np.ones((6, 2), np.float32)
    same = SimpleNamespace(feature_values=alike, placing=Placing(alike, alike))
    small = Clusterings({key: same})
    rows, far = neighbours(small, key, 4, 3)
    assert (rows.tolist(), far.tolist()) == ([4, 0, 1], [0, 0, 0])


class Clusterings:
    """A bundle of clusterings alone."""

    def __init__(self, clusterings):
        self.clusterings = clusterings


def test_density_of_many_features_is_that_of_all_pairs() -> None:
    features = np.random.default_rng(2).normal(size=(300, 30))
    far = np.sort(np.linalg.norm(features[:, None] - features[None], axis=2), axis=1)[:, 15]
    told = []
    np.testing.assert_allclose(sparsity(features, told.append), far, rtol=1e-6)
    assert sum(told) == 300


def test_a_new_galaxy_is_compared_with_the_sample_that_the_density_is_of(monkeypatch) -> None:
    monkeypatch.setattr(embedding, "MAX_REFERENCE", 50)
    features = np.random.default_rng(3).normal(size=(500, 3))
    far = np.sort(np.linalg.norm(features[::10] - 0.1, axis=1))[14]
    assert embedding.kth_distance(features, np.full(3, 0.1)) == pytest.approx(far)


@pytest.mark.parametrize("width", [3, 30])
def test_density_counts_others_alone_within_the_sample_and_outside(width, monkeypatch) -> None:
    monkeypatch.setattr(embedding, "MAX_REFERENCE", 50)
    features = np.random.default_rng(4).normal(size=(505, width))
    sample = np.arange(0, 505, 11)
    far = cdist(features, features[sample])
    far[sample, np.arange(len(sample))] = np.inf
    np.testing.assert_allclose(sparsity(features), np.sort(far, axis=1)[:, 14], rtol=1e-6)


def test_density_is_measured_once_and_kept(bundle, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GALAXY_EXPLORER_CACHE", str(tmp_path))
    monkeypatch.setattr(search, "MAX_REFERENCE", 10)
    counted = []
    monkeypatch.setattr(search, "sparsity", lambda f: counted.append(len(f)) or sparsity(f))
    key = bundle.manifest.default_clustering
    measure = search.bundle_sparsity.__wrapped__
    first = measure(bundle, key)
    np.testing.assert_array_equal(measure(bundle, key), first)
    assert counted == [len(bundle)]
    kept = next((tmp_path / "density").iterdir())
    kept.write_bytes(kept.read_bytes()[:-9])
    np.testing.assert_array_equal(measure(bundle, key), first)
    assert counted == [len(bundle)] * 2
