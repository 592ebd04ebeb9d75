from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.trend import representative_clusters


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(-4, 8, 64), rng.integers(20, 400, 64), rng.uniform(0.3, 1, 64)


def test_they_run_in_order_of_mean_type_over_its_range(clusters):
    ttype, counts, jaccard = clusters
    chosen = representative_clusters(ttype, counts, jaccard, n=6)
    means = ttype[chosen]
    assert (np.diff(means) > 0).all()
    assert len(chosen) == 6
    assert means[-1] - means[0] > 0.6 * (ttype.max() - ttype.min())


def test_they_are_populous_and_stable(clusters):
    ttype, counts, jaccard = clusters
    chosen = representative_clusters(ttype, counts, jaccard)
    assert (counts[chosen] >= counts.sum() / 128).all()
    assert (jaccard[chosen] >= 0.5).all()


def test_where_types_are_alike_the_most_populous_is_taken():
    assert representative_clusters(np.full(3, 2.0), np.array([50, 90, 70])) == [1]


def test_clusters_without_types_or_galaxies_are_never_chosen():
    ttype, counts = np.array([np.nan, 1, 5, -2]), np.array([900, 40, 0, 30])
    assert representative_clusters(ttype, counts) == [3, 1]
    assert representative_clusters(np.full(2, np.nan), np.array([3, 4])) == []


def test_unknown_stability_does_not_exclude():
    ttype, counts = np.array([0.0, 4]), np.array([50, 50])
    assert representative_clusters(ttype, counts, np.array([np.nan, 0.4])) == [0]
    assert representative_clusters(ttype, counts, np.array([np.nan, np.nan])) == [0, 1]
