"""Does a clustering know the Hubble type? Three scores, each with its chance level and interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_explorer.clustering.intervals import BOOTSTRAPS, NO_SCORE, PERMUTATIONS, Scores, placed


def agreement(
    labels: np.ndarray,
    ttype: np.ndarray,
    ttype_class: np.ndarray,
    *,
    seed: int = 0,
    bootstraps: int = BOOTSTRAPS,
    permutations: int = PERMUTATIONS,
) -> Scores:
    """Adjusted mutual information, homogeneity and eta squared of clusters against T.

    labels (N,) clusters; ttype (N,) with NaN where unknown; ttype_class (N,) 0..9, -1 unknown.
    Only galaxies with a T-type count. Each score has `value`, `chance` (mean over permuted
    labels), and `low`, `high`: a 95 % bootstrap interval over galaxies. Galaxies that a resample
    repeats raise all three scores, so the interval is that of the resamples' scatter about their
    mean, placed about the value. All are NaN with fewer than two galaxies.
    """
    known = ~np.isnan(ttype)
    labels, ttype, classes = labels[known], ttype[known], ttype_class[known]
    rng = np.random.default_rng(seed)
    n = len(labels)
    shuffles = [rng.permutation(n) for _ in range(permutations)]
    resamples = [rng.integers(n, size=n) for _ in range(bootstraps)] if n else []
    scores: Scores = {}
    for name, score, truth in _scores(ttype, classes):
        if n < 2:
            scores[name] = dict.fromkeys(NO_SCORE, float("nan"))
            continue
        value = score(truth, labels)
        drawn = np.array([score(truth[rows], labels[rows]) for rows in resamples])
        chance = float(np.mean([score(truth, labels[rows]) for rows in shuffles]))
        scores[name] = {**placed(value, drawn), "chance": chance}
    return scores


Score = Callable[[np.ndarray, np.ndarray], float]


def _scores(ttype: np.ndarray, classes: np.ndarray) -> list[tuple[str, Score, np.ndarray]]:
    from sklearn.metrics import adjusted_mutual_info_score, homogeneity_score

    return [
        ("ami", adjusted_mutual_info_score, classes),
        ("homogeneity", homogeneity_score, classes),
        ("eta2", eta_squared, ttype),
    ]


def eta_squared(ttype: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of T that lies between clusters (the correlation ratio), 0 to 1."""
    total = np.square(ttype - ttype.mean()).sum()
    if total == 0:
        return 0.0
    _, inverse = np.unique(labels, return_inverse=True)
    counts = np.bincount(inverse)
    means = np.bincount(inverse, weights=ttype) / counts
    return float((counts * np.square(means - ttype.mean())).sum() / total)
