"""What do clusters follow? Scores of a clustering against any column: T, size, angle, noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_explorer.clustering.intervals import (
    BOOTSTRAPS,
    NO_SCORE,
    PERMUTATIONS,
    Scores,
    bootstrap,
    chance_level,
)

BINS = 10  # of a continuous column, for its mutual information: equal numbers of galaxies
ERROR_TTYPE = 1.0  # what catalogues differ by
Pair = Callable[[np.ndarray, np.ndarray], float]


def dependence(
    labels: np.ndarray,
    column: np.ndarray,
    kind: str = "continuous",
    *,
    seed: int = 0,
    bootstraps: int = BOOTSTRAPS,
    permutations: int = PERMUTATIONS,
) -> Scores:
    """How much clusters (N,) tell about a column (N,): scores with interval and chance level.

    kind "categorical": any values, "" and negative numbers unknown; `ami`, `homogeneity` and
    `v_measure`. "continuous": NaN unknown; `eta2`, the share of the variance between clusters, and
    `ami` with the column's tenths. "angle": degrees modulo 180, such as a position angle, NaN
    unknown; `eta2` of the vectors (cos 2a, sin 2a), and `ami` with ten sectors. Each score has
    `value`, `low`, `high` (95 % bootstrap over galaxies) and `chance` (mean over shuffles).
    Galaxies with unknown value or label -1 are left out; fewer than two left give NaN.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: unknown; choose {', '.join(KINDS)}")
    known = _known(column, kind) & (labels >= 0)
    labels, values = labels[known], column[known]
    n = len(labels)
    if n < 2:
        names = ("ami", "homogeneity", "v_measure") if kind == "categorical" else ("eta2", "ami")
        return {name: dict.fromkeys(NO_SCORE, float("nan")) for name in names}
    scores: Scores = {}
    for name, score, truth in KINDS[kind](values):
        scores[name] = bootstrap(
            lambda rows, s=score, t=truth: s(t[rows], labels[rows]),  # type: ignore[misc]
            n,
            seed=seed,
            bootstraps=bootstraps,
        )
        scores[name]["chance"] = chance_level(
            lambda rows, s=score, t=truth: s(t, labels[rows]),  # type: ignore[misc]
            n,
            seed=seed,
            permutations=permutations,
        )
    return scores


def _known(column: np.ndarray, kind: str) -> np.ndarray:
    if kind != "categorical" or column.dtype.kind == "f":
        return np.isfinite(column.astype(np.float64))
    return column >= 0 if column.dtype.kind in "iu" else column.astype(str) != ""


def _categorical(values: np.ndarray) -> list[tuple[str, Pair, np.ndarray]]:
    from sklearn import metrics

    classes = np.unique(values, return_inverse=True)[1]
    return [
        ("ami", metrics.adjusted_mutual_info_score, classes),
        ("homogeneity", metrics.homogeneity_score, classes),
        ("v_measure", metrics.v_measure_score, classes),
    ]


def _continuous(values: np.ndarray) -> list[tuple[str, Pair, np.ndarray]]:
    from sklearn.metrics import adjusted_mutual_info_score

    edges = np.quantile(values, np.arange(1, BINS) / BINS)
    bins = np.searchsorted(edges, values, side="right")
    return [("eta2", vector_eta2, values), ("ami", adjusted_mutual_info_score, bins)]


def _angle(values: np.ndarray) -> list[tuple[str, Pair, np.ndarray]]:
    from sklearn.metrics import adjusted_mutual_info_score

    doubled = np.radians(2 * values.astype(np.float64))
    directions = np.stack([np.cos(doubled), np.sin(doubled)], axis=1)
    sectors = (np.mod(values, 180) / 180 * BINS).astype(int)
    return [("eta2", vector_eta2, directions), ("ami", adjusted_mutual_info_score, sectors)]


KINDS = {"categorical": _categorical, "continuous": _continuous, "angle": _angle}


def vector_eta2(values: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of values (N,) or vectors (N, V) that lies between clusters, 0 to 1."""
    vectors = values.reshape(len(values), -1).astype(np.float64)
    vectors = vectors - vectors.mean(0)
    total = np.square(vectors).sum()
    if total == 0:
        return 0.0
    _, inverse = np.unique(labels, return_inverse=True)
    counts = np.bincount(inverse)
    sums = np.stack([np.bincount(inverse, weights=column) for column in vectors.T], axis=1)
    return float((np.square(sums).sum(1) / counts).sum() / total)


def ideal_clusters(
    ttype: np.ndarray, k: int, *, error: float = ERROR_TTYPE, seed: int = 0
) -> np.ndarray:
    """The best that k clusters can do where T is known only to +- `error`: int16 (N,).

    Quantile bins of T plus Gaussian error, -1 where T is unknown. Their scores are the ceiling.
    """
    noisy = ttype + np.random.default_rng(seed).normal(0, error, len(ttype))
    known = np.isfinite(noisy)
    edges = np.quantile(noisy[known], np.arange(1, k) / k) if known.any() else np.empty(0)
    return np.where(known, np.searchsorted(edges, noisy, side="right"), -1).astype(np.int16)


def undecided_share(labels: np.ndarray) -> float:
    """Share of galaxies that a clusterer leaves out (label -1)."""
    return float((labels < 0).mean()) if len(labels) else float("nan")
