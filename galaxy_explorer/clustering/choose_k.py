"""How many clusters? Criteria for every k, a recommended k by a stated rule, or "a continuum"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.clustering.clusterers import Clusterer, fit_kmeans
from galaxy_explorer.clustering.gap import gap_statistic
from galaxy_explorer.clustering.intervals import Score
from galaxy_explorer.clustering.modes import count_modes
from galaxy_explorer.clustering.stability import mean_pairwise_ari, resampled_labels

ROWS = 3000
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
    curves = [_repeat(sample, k, seed, fit or _kmeans) for k in ks]  # (R, M) each
    stability = tuple(mean_pairwise_ari(labels, seed=seed) for labels in curves)
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
        recommended=modes.n_modes if modes.n_modes > 1 else _finest_repeatable(ks, stability),
    )


def _kmeans(features: np.ndarray, k: int, seed: int) -> Clusterer:
    return fit_kmeans(features, k, seed=seed)


def _repeat(sample: np.ndarray, k: int, seed: int, fit: FitK) -> np.ndarray:
    half = len(sample) // 2
    train, held_out = sample[:half], sample[half:]
    drawn = resampled_labels(lambda x, s: fit(x, k, s), train, held_out, RESAMPLES, seed)
    return np.stack(list(drawn))


def _finest_repeatable(ks: tuple[int, ...], stability: tuple[Score, ...]) -> int:
    pairs = zip(ks, stability, strict=True)
    return max((k for k, score in pairs if score["value"] >= REPEATABLE), default=1)


def within_instability(labels: np.ndarray) -> float:
    """How often galaxies of one cluster are parted by another clustering, 0 to 1.

    labels (R, M): clusterings of the same galaxies. For every pair of clusterings and each cluster
    of the first, the share of its pairs of members that the second parts; the mean over clusters of
    two members or more (the within-cluster instability of Forest et al. 2020).
    """
    shares = [
        _parted(first, second)
        for i, first in enumerate(labels)
        for j, second in enumerate(labels)
        if i != j
    ]
    return float(np.mean(shares)) if shares else float("nan")


def _parted(first: np.ndarray, second: np.ndarray) -> float:
    rows, columns = (np.unique(labels, return_inverse=True)[1] for labels in (first, second))
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    sizes = table.sum(1)
    kept = sizes > 1
    together = (np.square(table).sum(1) - sizes)[kept] / (sizes * (sizes - 1))[kept]
    return float(1 - together.mean())
