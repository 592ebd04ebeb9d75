from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from galaxy_explorer.clustering.mixture import (
    Mixture,
    effective_number,
    fit_mixture,
    mixture_from_sklearn,
)


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    rng = np.random.default_rng(1)
    centres = rng.normal(0, 6, (5, 4))
    return (centres[rng.integers(5, size=600)] + rng.normal(size=(600, 4))).astype(np.float64)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_numpy_agrees_with_scikit_learn(blobs, covariance_type):
    from sklearn.mixture import BayesianGaussianMixture

    model = BayesianGaussianMixture(
        n_components=12, covariance_type=covariance_type, random_state=0, max_iter=500
    ).fit(blobs)
    mixture = mixture_from_sklearn(model)
    new = blobs + np.random.default_rng(2).normal(0, 2, blobs.shape)
    np.testing.assert_allclose(
        mixture.responsibilities(new), model.predict_proba(new), rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(mixture.predict(new), model.predict(new))
    density = logsumexp(mixture.log_joint(new), axis=1)
    np.testing.assert_allclose(density, model.score_samples(new), rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_fit_then_store_gives_the_same_mixture(blobs, covariance_type):
    mixture = fit_mixture(blobs, n_components=8, seed=3, covariance_type=covariance_type)
    again = Mixture.from_arrays(mixture.arrays())
    np.testing.assert_array_equal(again.responsibilities(blobs), mixture.responsibilities(blobs))


def test_same_seed_same_mixture(blobs):
    first, second = (fit_mixture(blobs, n_components=8, seed=5) for _ in range(2))
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(array, second.arrays()[name])


def test_responsibilities_sum_to_one_even_far_away(blobs):
    mixture = fit_mixture(blobs, n_components=8, seed=0)
    far = blobs * 1e4
    shares = mixture.responsibilities(far)
    assert np.isfinite(shares).all()
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-12)


def test_rows_do_not_depend_on_their_neighbours(blobs):
    mixture = fit_mixture(blobs, n_components=8, seed=0)
    alone = np.concatenate([mixture.responsibilities(row[None]) for row in blobs[:20]])
    np.testing.assert_allclose(alone, mixture.responsibilities(blobs)[:20], atol=1e-12)


def test_fit_finds_separate_blobs(blobs):
    mixture = fit_mixture(blobs, n_components=20, seed=0)
    assert 5 <= effective_number(mixture.predict(blobs), 20) <= 8


def test_effective_number_counts_clusters_above_a_tenth_of_an_even_share():
    labels = np.repeat([0, 1, 2, 3], [500, 480, 13, 7])  # the threshold is 1000 / (10 * 10) = 10
    assert effective_number(labels, 10) == 3


def test_other_number_of_features_is_refused(blobs):
    mixture = fit_mixture(blobs, n_components=4, seed=0)
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        mixture.predict(blobs[:, :3])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("weights", lambda a: a * 2),
        ("weights", lambda a: a[:-1]),
        ("means", lambda a: a.astype(np.float32)),
        ("means", lambda a: a[0]),
        ("precisions_cholesky", lambda a: a[:, :2]),
        ("log_constants", lambda a: np.where(a == a[0], np.nan, a)),
    ],
)
def test_arrays_that_are_no_mixture_are_refused(blobs, name, change):
    arrays = fit_mixture(blobs, n_components=4, seed=0).arrays()
    arrays[name] = change(arrays[name])
    with pytest.raises(ValueError, match=r"weights|means|precisions_cholesky|log_constants"):
        Mixture.from_arrays(arrays)


def test_a_missing_array_is_named(blobs):
    arrays = fit_mixture(blobs, n_components=4, seed=0).arrays()
    del arrays["means"]
    with pytest.raises(ValueError, match="means is missing"):
        Mixture.from_arrays(arrays)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("case", ["dependent", "constant", "few"])
def test_features_that_depend_on_each_other_and_few_galaxies_are_fitted(covariance_type, case):
    rng = np.random.default_rng(0)
    x = {
        "dependent": np.repeat(
            rng.choice([0.0, 2.0, 9.0], (6, 8))[rng.integers(6, size=300)], 3, 1
        ),
        "constant": np.full((40, 5), 7.0),
        "few": rng.normal(size=(3, 10)),
    }[case]
    mixture = fit_mixture(x, n_components=16, max_iter=30, covariance_type=covariance_type)
    mixture.check()
    np.testing.assert_allclose(mixture.responsibilities(x).sum(1), 1)
