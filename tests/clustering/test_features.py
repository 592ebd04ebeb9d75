from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.features import FeatureMap, fit_pca, index_features


def test_index_features_are_the_map_read_row_by_row():
    codes = np.arange(2 * 8 * 8, dtype=np.uint16).reshape(2, 8, 8)
    features = index_features(codes)
    assert features.shape == (2, 64)
    assert features.dtype == np.float64
    assert features[1, 9] == codes[1, 1, 1]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(300, 3)) * [9, 4, 2]
    return (plane @ rng.normal(size=(3, 50)) + rng.normal(0, 0.01, (300, 50))).astype(np.float32)


def test_pca_keeps_what_varies(vectors):
    pca = fit_pca(vectors, n=3, seed=0)
    back = pca.apply(vectors) @ np.linalg.pinv(pca.components).T + pca.mean
    assert np.abs(back - vectors).max() < 0.1
    assert pca.apply(vectors).dtype == np.float64


def test_components_are_orthonormal_and_ordered(vectors):
    pca = fit_pca(vectors, n=5, seed=0)
    square = pca.components @ pca.components.T
    np.testing.assert_allclose(square, square[0, 0] * np.eye(5), atol=1e-5 * square[0, 0])
    assert pca.apply(vectors)[:, 0].std(ddof=1) == pytest.approx(1, rel=1e-3)
    spread = pca.apply(vectors).var(0)
    assert (np.diff(spread) < 0).all()


def test_sign_and_values_are_deterministic(vectors):
    first, second = fit_pca(vectors, n=5, seed=0), fit_pca(vectors, n=5, seed=0)
    np.testing.assert_array_equal(first.components, second.components)
    largest = np.abs(first.components).argmax(1)
    assert (first.components[np.arange(5), largest] > 0).all()


def test_mirrored_data_give_the_same_directions(vectors):
    pca, mirrored = fit_pca(vectors, n=3, seed=0), fit_pca(-vectors, n=3, seed=0)
    np.testing.assert_allclose(pca.components, mirrored.components, atol=1e-4)


def test_no_more_components_than_the_data_have(vectors):
    assert fit_pca(vectors[:6], n=30, seed=0).components.shape == (5, 50)


def test_store_and_rebuild(vectors):
    pca = fit_pca(vectors, n=3, seed=0)
    again = FeatureMap.from_arrays(pca.arrays())
    np.testing.assert_array_equal(again.apply(vectors), pca.apply(vectors))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {"pca_mean": a["pca_mean"]},
        lambda a: {**a, "pca_mean": a["pca_mean"][:-1]},
        lambda a: {**a, "pca_components": a["pca_components"].astype(np.float64)},
        lambda a: {**a, "pca_mean": a["pca_mean"][None]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(vectors, change):
    arrays = change(fit_pca(vectors, n=3, seed=0).arrays())
    with pytest.raises(ValueError, match="pca_"):
        FeatureMap.from_arrays(arrays)


def test_vectors_of_another_length_are_refused(vectors):
    with pytest.raises(ValueError, match=r"\(N, 50\)"):
        fit_pca(vectors, n=3, seed=0).apply(vectors[:, :-1])
