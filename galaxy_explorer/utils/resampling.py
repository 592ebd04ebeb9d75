"""Intervals by resampling galaxies, and chance levels by shuffling them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_explorer.clustering.summary import INTERVAL

BOOTSTRAPS = 400
PERMUTATIONS = 100
Score = dict[str, float]
Scores = dict[str, Score]
RowScore = Callable[[np.ndarray], float]
NO_SCORE = ("value", "low", "high", "chance")


def placed(value: float, drawn: np.ndarray) -> Score:
    """A value with a 95 % interval from its resamples, none above 1.

    Galaxies that a resample repeats raise most scores, so the interval is that of the resamples'
    scatter about their mean, placed about the value.
    """
    low, high = value + np.quantile(drawn, INTERVAL) - drawn.mean()
    return {"value": float(value), "low": float(low), "high": float(min(high, max(value, 1.0)))}


def bootstrap(score: RowScore, n: int, *, seed: int = 0, bootstraps: int = BOOTSTRAPS) -> Score:
    """`value`, `low`, `high` of a score of rows 0..n-1, over resampled rows.

    score: rows (any number, repeats allowed) -> number. All NaN with fewer than two rows.
    """
    if n < 2:
        return dict.fromkeys(NO_SCORE[:3], float("nan"))
    rng = np.random.default_rng(seed)
    drawn = np.array([score(rng.integers(n, size=n)) for _ in range(bootstraps)])
    return placed(score(np.arange(n)), drawn)


def chance_level(
    score: RowScore, n: int, *, seed: int = 0, permutations: int = PERMUTATIONS
) -> float:
    """Mean of a score over shuffles: `score` is given the rows 0..n-1 in another order.

    It must pair the shuffled rows of one array with the rows of the other as they were.
    """
    if n < 2:
        return float("nan")
    rng = np.random.default_rng(seed)
    return float(np.mean([score(rng.permutation(n)) for _ in range(permutations)]))
