"""Neighbours in code space against a brute-force search in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from galaxy_explorer.clustering import embedding as neighbours
from galaxy_explorer.clustering.embedding import nearest, percentiles, sparsity


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
    monkeypatch.setattr(neighbours, "MAX_REFERENCE", 500)  # also by an even sample
    assert np.argmax(sparsity(features)) == 77


def test_few_galaxies_are_no_error() -> None:
    assert sparsity(np.zeros((3, 2))).tolist() == [0, 0, 0]
    assert len(nearest(np.zeros((3, 2)), np.zeros(2), 10)[0]) == 3


def test_percentiles_count_those_at_most_as_large() -> None:
    assert percentiles([3.0, 1.0, 2.0, 2.0]).tolist() == [100, 25, 75, 75]
