from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.embedding import fit_map, place_on_map


@pytest.fixture
def known() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6)).astype(np.float32)
    return features, rng.uniform(-10, 10, (200, 2)).astype(np.float32)


def test_a_known_galaxy_lands_on_itself(known):
    features, coordinates = known
    np.testing.assert_allclose(
        place_on_map(features, features, coordinates), coordinates, atol=1e-4
    )


def test_a_new_galaxy_lands_among_its_neighbours(known):
    features, coordinates = known
    new = features[:300:7] + 0.3
    placed = place_on_map(new, features, coordinates, k=5)
    distances = np.linalg.norm(features[None] - new[:, None], axis=2)
    nearest = np.argsort(distances, axis=1)[:, :5]
    assert (placed >= coordinates[nearest].min(1) - 1e-4).all()
    assert (placed <= coordinates[nearest].max(1) + 1e-4).all()


def test_identical_features_share_one_place(known):
    features, coordinates = known
    features = np.concatenate([features[:3], features[:3], features[3:]])
    coordinates = np.concatenate([coordinates[:3], coordinates[:3] + 2, coordinates[3:]])
    placed = place_on_map(features[:3], features, coordinates)
    np.testing.assert_allclose(placed, coordinates[:3] + 1, atol=1e-4)


def test_fewer_galaxies_than_neighbours(known):
    features, coordinates = known
    placed = place_on_map(features[:1], features[:4], coordinates[:4])
    np.testing.assert_allclose(placed, coordinates[:1], atol=1e-4)


def test_no_new_galaxies(known):
    assert place_on_map(np.empty((0, 6)), *known).shape == (0, 2)


@pytest.mark.slow
def test_umap_keeps_separate_groups_apart_and_repeats():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 60)
    features = rng.normal(size=(120, 5)) + 20 * group[:, None]
    first, second = fit_map(features, seed=4), fit_map(features, seed=4)
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32
    distances = np.linalg.norm(first[:, None] - first[None], axis=2) + 1e9 * np.eye(120)
    assert (group[distances.argmin(1)] == group).mean() == 1
