from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering import features as feature_kinds
from galaxy_explorer.clustering.features import (
    FEATURE_KINDS,
    VECTORS,
    fit_code_features,
    fit_vectors,
)
from galaxy_explorer.clustering.stability import renumber

K, D = 11, 5
TRAIN = np.arange(60)
ABOUT_THE_GALAXY = sorted(set(FEATURE_KINDS) - {"index"})


def orbit(maps: np.ndarray) -> np.ndarray:
    """Code maps (N, h, w) in eight orientations (N, 8, h, w)."""
    turned = [np.rot90(maps, turn, axes=(1, 2)) for turn in range(4)]
    return np.stack([*turned, *(one[:, :, ::-1] for one in turned)], axis=1)


@pytest.fixture(scope="module")
def codebook() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(K, D)).astype(np.float32)


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    """Maps whose code depends on the radius, with noise: galaxies of two sizes."""
    rng = np.random.default_rng(0)
    y, x = np.indices((8, 8)) - 3.5
    size = rng.choice([2.0, 4.0], 90)[:, None, None]
    codes = 4 * (np.hypot(x, y) < size) + rng.integers(0, 6, (90, 8, 8))
    return codes.astype(np.uint16)


def distances(features: np.ndarray) -> np.ndarray:
    return np.linalg.norm(features[:, None] - features[None], axis=2)


def fit(kind, maps, codebook, n=8):
    return fit_code_features(kind, maps, codebook, TRAIN, n=n)


@pytest.mark.parametrize("turns", [1, 8])
@pytest.mark.parametrize("kind", FEATURE_KINDS)
def test_features_are_finite_numbers_for_every_galaxy(kind, turns, maps, codebook):
    given = orbit(maps)[:, :turns]
    features = fit(kind, given, codebook).apply(given)
    assert features.shape == (90, 64 if kind == "index" else 8)
    assert features.dtype == np.float64
    assert np.isfinite(features).all()


@pytest.mark.parametrize("kind", ABOUT_THE_GALAXY)
def test_renumbering_the_codebook_changes_nothing(kind, maps, codebook):
    given = maps[:, None]
    renamed = renumber(given, codebook, np.random.default_rng(2).permutation(K))
    before = fit(kind, given, codebook).apply(given)
    after = fit(kind, *renamed).apply(renamed[0])
    np.testing.assert_allclose(distances(after), distances(before), atol=2e-4)


def test_renumbering_the_codebook_changes_the_index_features(maps, codebook):
    given = maps[:, None]
    renamed = renumber(given, codebook, np.random.default_rng(2).permutation(K))
    before, after = (fit("index", *pair).apply(pair[0]) for pair in ((given, codebook), renamed))
    assert np.corrcoef(distances(before).ravel(), distances(after).ravel())[0, 1] < 0.9


@pytest.mark.parametrize("kind", FEATURE_KINDS)
def test_orbit_means_do_not_know_how_a_galaxy_is_turned(kind, maps, codebook):
    features = fit(kind, orbit(maps), codebook)
    for turned in (np.rot90(maps, axes=(1, 2)), maps[:, :, ::-1]):
        np.testing.assert_allclose(
            features.apply(orbit(turned)), features.apply(orbit(maps)), atol=1e-4
        )


@pytest.mark.parametrize("kind", ["histogram", "rings"])
def test_pooled_features_need_no_orbit(kind, maps, codebook):
    features = fit(kind, maps[:, None], codebook)
    turned = np.rot90(maps, axes=(1, 2))[:, None]
    np.testing.assert_allclose(features.apply(turned), features.apply(maps[:, None]), atol=1e-4)


@pytest.mark.parametrize("kind", ["index", "codes", "onehot"])
def test_other_features_do_need_it(kind, maps, codebook):
    features = fit(kind, maps[:, None], codebook)
    turned = np.rot90(maps, axes=(1, 2))[:, None]
    assert np.abs(features.apply(turned) - features.apply(maps[:, None])).max() > 0.1


def test_squared_distance_of_one_hot_vectors_is_twice_hamming(maps, codebook):
    vectors = VECTORS["onehot"](maps[:, None], codebook).toarray()
    hamming = (maps[:, None] != maps[None]).sum((2, 3))
    np.testing.assert_allclose(np.square(distances(vectors)), 2 * hamming, atol=1e-4)


def test_vectors_by_hand(codebook):
    maps = np.array([[[[0, 1], [1, 2]]]], np.uint16)
    np.testing.assert_array_equal(VECTORS["index"](maps, codebook), [[0, 1, 1, 2]])
    np.testing.assert_array_equal(VECTORS["codes"](maps, codebook)[0, :D], codebook[0])
    np.testing.assert_array_equal(VECTORS["histogram"](maps, codebook)[0, :4], [0.25, 0.5, 0.25, 0])
    dense = VECTORS["onehot"](maps, codebook).toarray()[0]
    np.testing.assert_array_equal(np.flatnonzero(dense), [0, K + 1, 2 * K + 1, 3 * K + 2])


@pytest.mark.parametrize("kind", FEATURE_KINDS)
def test_galaxies_do_not_depend_on_the_others_or_on_the_block(kind, maps, codebook, monkeypatch):
    given = maps[:, None]
    whole = fit(kind, given, codebook).apply(given)
    monkeypatch.setattr(feature_kinds, "BLOCK_ROWS", 7)
    blocks = fit(kind, given, codebook)
    np.testing.assert_allclose(blocks.apply(given), whole, atol=1e-4)
    np.testing.assert_allclose(blocks.apply(given[80:81]), whole[80:81], atol=1e-4)


@pytest.mark.parametrize("kind", ABOUT_THE_GALAXY)
def test_only_training_galaxies_shape_the_features(kind, maps, codebook):
    other = maps.copy()
    other[60:] = 0
    first, second = (fit(kind, given[:, None], codebook).feature_map for given in (maps, other))
    np.testing.assert_array_equal(first.components, second.components)


def test_unknown_kinds_and_shapes_are_refused(maps, codebook):
    with pytest.raises(ValueError, match="choose index, onehot"):
        fit("colour", maps[:, None], codebook)
    with pytest.raises(ValueError, match="orientations"):
        fit("codes", maps, codebook)


def test_vectors_of_unlike_units_are_standardised_by_the_training_galaxies():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 6)) * [1, 1000, 1, 1, 0.001, 0] + 5
    features = fit_vectors(vectors, np.arange(150), n=5).apply(vectors)
    rescaled = fit_vectors(vectors * [7, 1, 1, 2, 3, 1], np.arange(150), n=5)
    again = rescaled.apply(vectors * [7, 1, 1, 2, 3, 1])
    np.testing.assert_allclose(distances(again), distances(features), rtol=1e-3, atol=1e-3)
    assert features[:150].std(0).min() > 0.5
