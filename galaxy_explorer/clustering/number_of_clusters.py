"""How many clusters? Criteria for every k, a recommended k by a stated rule, or "a continuum".

Hartigan's dip: how far the distribution of a number is from having a single peak.

The gap statistic: are k clusters tighter than those of galaxies without any?

Separate peaks of the density of galaxies: Gaussian mixtures by BIC, joined where no valley lies.

A cluster of any shape can take several Gaussians, and so does a continuum. Two Gaussians are one
cluster unless the galaxies between them show a valley (compare Hennig 2010): seen along the line
that separates them best, Hartigan's dip must exclude a single peak.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from galaxy_explorer.clustering.clusterers import Clusterer, fit_kmeans
from galaxy_explorer.clustering.stability import mean_pairwise_ari, resampled_labels
from galaxy_explorer.utils.resampling import Score

SIGNIFICANT = 0.61  # dip sqrt(n) that one in a hundred uniform distributions exceeds (n = 200)


def dip(values: np.ndarray) -> float:
    """Largest distance of the empirical distribution of values (n,) from the nearest unimodal one.

    Hartigan & Hartigan (1985): between 1 / 2n and 1/4. Times sqrt(n) it is near 0.35 for a uniform
    distribution, less for any other with one peak, and it grows with n where there is a valley.
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    if n < 4 or x[0] == x[-1]:
        return 0.5 / max(n, 1)
    rank = np.arange(n, dtype=np.float64)
    low, high, deepest = 0, n - 1, 1.0
    while True:
        span = np.arange(low, high + 1)
        below, above = _hull(x[span], rank[span], 1.0), _hull(x[span], rank[span], -1.0)
        convex = np.interp(x[span], x[span][below], rank[span][below])
        concave = np.interp(x[span], x[span][above], rank[span][above])
        touching = np.union1d(below, above)
        gaps = (concave - convex)[touching] + 1.0  # the distribution steps by one at each value
        widest = int(touching[gaps.argmax()])
        left, right = below[below <= widest].max(), above[above >= widest].min()
        if gaps.max() <= deepest or right <= left:
            break
        rise = (rank[span] - convex)[: left + 1].max(initial=0) + 1.0
        fall = (concave - rank[span])[right:].max(initial=0) + 1.0
        deepest = max(deepest, rise, fall)
        if (left, right) == (0, len(span) - 1):
            break
        low, high = low + int(left), low + int(right)
    return deepest / (2 * n)


def _hull(x: np.ndarray, y: np.ndarray, sign: float) -> np.ndarray:
    """Corners of the greatest convex minorant (sign 1) or least concave majorant (-1) of y(x)."""
    corners: list[int] = []
    for i in range(len(x)):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            turn = (x[b] - x[a]) * (y[i] - y[a]) - (x[i] - x[a]) * (y[b] - y[a])
            if sign * turn > 0:
                break
            corners.pop()
        corners.append(i)
    return np.array(corners)


DRAWS = 5
NULLS = ("uniform", "gaussian")


def gap_statistic(
    features: np.ndarray, ks: tuple[int, ...], null: str = "uniform", *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gap of k-means for each k, and its error (Tibshirani et al. 2001, eqs. 3 and 5-6).

    features (N, P). The gap is ln of the squared distances from the cluster means that featureless
    reference galaxies have, less that of the features. null: "uniform" in the box along the
    principal axes (the paper's), or "gaussian" with the covariance of the features. Tightness that
    either reference shows as well is not evidence of clusters.
    """
    if null not in NULLS:
        raise ValueError(f"null {null!r}: unknown; choose {', '.join(NULLS)}")
    rng = np.random.default_rng(seed)
    features = np.asarray(features, dtype=np.float64)
    centred = features - features.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    turned = centred @ axes.T
    measured = _log_dispersions(turned, ks, seed)
    dispersions = []
    for _ in range(DRAWS):
        if null == "uniform":
            reference = rng.uniform(turned.min(0), turned.max(0), turned.shape)
        else:
            reference = rng.normal(0, turned.std(0), turned.shape)
        dispersions.append(_log_dispersions(reference, ks, seed))
    drawn = np.stack(dispersions)
    return drawn.mean(0) - measured, drawn.std(0) * np.sqrt(1 + 1 / DRAWS)


def _log_dispersions(features: np.ndarray, ks: tuple[int, ...], seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    models = (KMeans(k, n_init=1, random_state=seed).fit(features) for k in ks)
    return np.log([model.inertia_ for model in models])


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
    chosen = np.random.default_rng(seed).permutation(len(features))[:ROWS]
    centred = np.asarray(features, dtype=np.float64)[chosen]
    centred -= centred.mean(0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    features = np.asarray(centred @ axes[:, :DIMENSIONS])
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
    labels, covariances = model.predict(features), model.covariances_
    if model.covariance_type == "tied":
        covariances = np.broadcast_to(covariances, (k, p, p))
    elif model.covariance_type == "diag":
        covariances = covariances[:, :, None] * np.eye(p)
    joined = np.eye(k, dtype=bool)
    for i in range(k):
        for j in range(i):
            axis = np.linalg.solve(
                covariances[i] + covariances[j], model.means_[i] - model.means_[j]
            )
            joined[i, j] = not valley(features[labels == j] @ axis, features[labels == i] @ axis)
    return int(connected_components(joined, directed=False)[0])


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


RESAMPLES = 10
REPEATABLE = 0.70  # mean pairwise adjusted Rand index
RULE = (
    "Peaks of the density: Gaussian mixtures of 1, 2, ... components by the lowest BIC, components"
    " joined unless Hartigan's dip finds a valley between them (1 % level). Two peaks or more:"
    " clusters, and k is their number. One peak: a continuum, and k is the largest number of parts"
    " that repeats itself (mean adjusted Rand index of 10 resampled clusterings on held-out"
    " galaxies of at least 0.70), 1 if none does."
)

FitK = Callable[[np.ndarray, int, int], Clusterer]


@dataclass(frozen=True)
class KChoice:
    """What the criteria say about N galaxies.

    ks: the numbers of clusters tried, from 2. stability: for each k the mean pairwise adjusted Rand
    index of resampled clusterings on held-out galaxies, with `value`, `low`, `high`. instability:
    how often two galaxies of one cluster are parted by another of those clusterings, mean over
    clusters and pairs of clusterings. bic: lowest of Gaussian mixtures of k components, per galaxy,
    NaN where not fitted. gap, gap_gaussian: gap statistic of k-means against uniform and against
    Gaussian galaxies, gap_error of the first. n_modes: peaks of the density. structure: "clusters"
    or "continuum". recommended: k, by RULE.
    """

    ks: tuple[int, ...]
    stability: tuple[Score, ...]
    instability: tuple[float, ...]
    bic: tuple[float, ...]
    gap: tuple[float, ...]
    gap_error: tuple[float, ...]
    gap_gaussian: tuple[float, ...]
    n_modes: int
    structure: str
    recommended: int


def choose_k(
    features: np.ndarray, *, k_max: int = 20, seed: int = 0, fit: FitK | None = None
) -> KChoice:
    """Criteria for 2..k_max clusters of features (N, P), and what they recommend by RULE.

    fit: what makes the clusterings of the stability curve, (features, k, seed) -> clusterer; None
    for k-means. At most 3,000 galaxies are used, halved into fitted and held-out ones for the
    stability. Deterministic by seed. Raises ValueError for fewer than 4 k_max galaxies.
    """
    if len(features) < 4 * k_max:
        raise ValueError(f"{len(features)} galaxies are too few for {k_max} clusters")
    rows = np.random.default_rng(seed).permutation(len(features))[:ROWS]
    sample = np.asarray(features[rows], dtype=np.float64)
    ks = tuple(range(2, k_max + 1))
    modes = count_modes(features, k_max=k_max, seed=seed)
    make: FitK = fit or (lambda x, k, s: fit_kmeans(x, k, seed=s))
    train, held_out = np.split(sample, [len(sample) // 2])
    curves = [  # (R, M) each
        np.stack(
            list(
                resampled_labels(
                    lambda x, s, k=k: make(x, k, s),  # type: ignore[misc]
                    train,
                    held_out,
                    RESAMPLES,
                    seed,
                )
            )
        )
        for k in ks
    ]
    stability = tuple(mean_pairwise_ari(labels, seed=seed) for labels in curves)
    repeatable = [k for k, s in zip(ks, stability, strict=True) if s["value"] >= REPEATABLE]
    gap, error = gap_statistic(sample, ks, seed=seed)
    return KChoice(
        ks=ks,
        stability=stability,
        instability=tuple(within_instability(labels) for labels in curves),
        bic=tuple(modes.bic[1:].tolist()),
        gap=tuple(gap.tolist()),
        gap_error=tuple(error.tolist()),
        gap_gaussian=tuple(gap_statistic(sample, ks, "gaussian", seed=seed)[0].tolist()),
        n_modes=modes.n_modes,
        structure="clusters" if modes.n_modes > 1 else "continuum",
        recommended=modes.n_modes if modes.n_modes > 1 else max(repeatable, default=1),
    )


def within_instability(labels: np.ndarray) -> float:
    """How often galaxies of one cluster are parted by another clustering, 0 to 1.

    labels (R, M): clusterings of the same galaxies. For every pair of clusterings and each cluster
    of the first, the share of its pairs of members that the second parts; the mean over clusters of
    two members or more (the within-cluster instability of Forest et al. 2020).
    """
    shares = []
    for first, second in permutations(labels, 2):
        rows, columns = (np.unique(one, return_inverse=True)[1] for one in (first, second))
        table = np.zeros((rows.max() + 1, columns.max() + 1))
        np.add.at(table, (rows, columns), 1)
        sizes = table.sum(1)
        kept = sizes > 1
        together = (np.square(table).sum(1) - sizes)[kept] / (sizes * (sizes - 1))[kept]
        shares.append(float(1 - together.mean()))
    return float(np.mean(shares)) if shares else float("nan")
