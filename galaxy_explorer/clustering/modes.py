"""Separate peaks of the density of galaxies: Gaussian mixtures by BIC, joined where no valley lies.

A cluster of any shape can take several Gaussians, and so does a continuum. Two Gaussians are one
cluster unless the galaxies between them show a valley (compare Hennig 2010): seen along the line
that separates them best, Hartigan's dip must exclude a single peak.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from galaxy_explorer.clustering.dip import SIGNIFICANT, dip

SHAPES = ("tied", "diag", "full")
ROWS = 3000
DIMENSIONS = 10  # a full covariance in more costs so much that small clusters are never worth it
PATIENCE = 3  # mixtures fitted beyond the lowest BIC
FEWEST = 8  # galaxies on either side that can show a valley
FLOOR = 1e-3  # of the mean variance, added to all variances


@dataclass(frozen=True)
class Modes:
    """Peaks of the density of galaxies.

    bic (k_max,): lowest Bayesian information criterion per galaxy of any shape of covariance for
    1..k_max Gaussians, NaN where not fitted. n_gaussians: of the lowest. shape: its covariances.
    n_modes: peaks with a valley between any two, at least 1.
    """

    bic: np.ndarray
    n_gaussians: int
    shape: str
    n_modes: int


def count_modes(features: np.ndarray, *, k_max: int = 20, seed: int = 0) -> Modes:
    """Peaks of features (N, P), at most k_max; from 3,000 galaxies and 10 principal components."""
    features = _principal(np.asarray(features, dtype=np.float64), seed)
    tables = {shape: _fit_all(features, shape, k_max, seed) for shape in SHAPES}
    values = np.full((len(SHAPES), k_max), np.nan)
    for row, models in enumerate(tables.values()):
        values[row, : len(models)] = [model.bic(features) / len(features) for model in models]
    row, column = (int(i) for i in np.unravel_index(np.nanargmin(values), values.shape))
    shape = SHAPES[row]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a number that no shape was fitted with
        bic = np.nanmin(values, axis=0)
    groups = _separate(tables[shape][column], features)
    return Modes(bic, column + 1, shape, groups)


def _principal(features: np.ndarray, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).permutation(len(features))[:ROWS]
    centred = features[rows] - features[rows].mean(0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    return np.asarray(centred @ axes[:, :DIMENSIONS])


def _fit_all(features: np.ndarray, shape: str, k_max: int, seed: int) -> list[Any]:
    """Mixtures of 1, 2, ... Gaussians until the criterion has not improved three times."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    floor = FLOOR * features.var(0).mean()
    models: list[Any] = []
    scores: list[float] = []
    for k in range(1, k_max + 1):
        model = GaussianMixture(
            k, covariance_type=shape, reg_covar=floor, random_state=seed, max_iter=60, tol=1e-3
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models.append(model.fit(features))
        scores.append(float(model.bic(features)))
        if k - int(np.argmin(scores)) - 1 >= PATIENCE:
            break
    return models


def _separate(model: Any, features: np.ndarray) -> int:
    """Groups of Gaussians of a fitted mixture with a valley between any two groups."""
    from scipy.sparse.csgraph import connected_components

    k, p = model.means_.shape
    labels, covariances = model.predict(features), _full(model, k, p)
    joined = np.eye(k, dtype=bool)
    for i in range(k):
        for j in range(i):
            axis = np.linalg.solve(
                covariances[i] + covariances[j], model.means_[i] - model.means_[j]
            )
            joined[i, j] = not valley(features[labels == j] @ axis, features[labels == i] @ axis)
    return int(connected_components(joined, directed=False)[0])


def _full(model: Any, k: int, p: int) -> np.ndarray:
    """Covariances (K, P, P), whatever the mixture's shape."""
    given: np.ndarray = model.covariances_
    if model.covariance_type == "tied":
        return np.broadcast_to(given, (k, p, p))
    return given[:, :, None] * np.eye(p) if model.covariance_type == "diag" else given


def valley(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two groups of numbers, the second mostly larger, have a valley between them.

    Of both only as many as the smaller group has are looked at, nearest their border: a large
    group would else hide that a small one stands apart, and what has one peak keeps it where its
    ends are cut off.
    """
    values = np.concatenate([left, right])
    order = np.argsort(values)
    sides = np.repeat([1, -1], [len(left), len(right)])[order]
    border = int(np.cumsum(sides).argmax()) + 1
    near = min(border, len(values) - border)
    if near < FEWEST:
        return False
    values = values[order][border - near : border + near]
    return bool(dip(values) * np.sqrt(len(values)) > SIGNIFICANT)
