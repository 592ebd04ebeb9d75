"""The one meaning of an interval: figures with their 95 %, and chance levels.

Figures of galaxies. The galaxies are resampled (Efron's non-parametric bootstrap: as many, with
repeats, from a generator with a fixed seed). The interval is the central 95 % of the statistic's
scatter over the resamples about its mean there, placed about the value:

    value + quantile(0.025 and 0.975 of resamples) - mean(resamples)

Why this one. For a mean, a median or a slope it is the percentile interval, to within the noise of
the resampling. Many of our statistics are raised by resampling itself: galaxies that a resample
holds twice always share a cluster and a neighbour, so mutual information, homogeneity, eta squared
and distances between distributions are higher in every resample than in the sample. There the
percentile interval may leave the value out; the basic interval mirrors the same shift to the other
side; and BCa, which reads the shift as a bias to be corrected, is not defined once all resamples
lie on one side. The scatter is what the resamples do tell. It costs no jackknife either. What it
does not do: widen a skewed statistic's longer side as BCa would, take away the bias that a value
has itself (eta squared is high where clusters are small: see its chance level), or hold the scatter
between trainings.

Shares, n of N. Wilson's interval (1927): the bootstrap of 8 in 8 would claim certainty.

Few independent numbers, such as trainings. Student's interval of their mean, or of a line's slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Statistic = Callable[..., float]

LEVEL = 0.95
RESAMPLES = 1000
"""The ends then scatter by 4 % of half the interval from seed to seed."""
FEW_RESAMPLES = 400
"""By 7 %: for statistics that take milliseconds."""
PERMUTATIONS = 100


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    value; low, high: NaN where there is no interval; n: galaxies, or whatever was resampled, that
    it rests on (of the smallest set, where there are several). error: standard deviation of the
    resamples.
    """

    value: float
    low: float
    high: float
    n: int
    error: float = math.nan

    def scores(self) -> dict[str, float]:
        """`value`, `low` and `high` by name, as tables of scores hold them."""
        return {"value": self.value, "low": self.low, "high": self.high}


def bootstrap(
    statistic: Statistic,
    *sizes: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    most: float = math.inf,
) -> Estimate:
    """A statistic of the rows of one or more sets, each of the sets resampled by itself.

    statistic: rows 0..n-1 of each set (in any number and order, repeats allowed) -> number; a
    resample of which it is NaN does not count. sizes: n of each set. most: the largest number that
    the statistic can be, which the interval does not pass. NaN ends where a set has fewer than two
    rows; a NaN value where it has none.
    """
    n = min(sizes)
    value = float(statistic(*map(np.arange, sizes))) if n else math.nan
    if n < 2:
        return Estimate(value, math.nan, math.nan, n)
    rng = np.random.default_rng(seed)
    parts = ([rng.integers(size, size=size) for size in sizes] for _ in range(resamples))
    drawn = np.array([statistic(*part) for part in parts], np.float64)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Estimate(value, math.nan, math.nan, n)
    low, high = value + np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - drawn.mean()
    return Estimate(value, float(low), float(min(high, max(value, most))), n, float(drawn.std()))


def chance_level(
    score: Callable[[np.ndarray], float], n: int, *, seed: int = 0, permutations: int = PERMUTATIONS
) -> float:
    """Mean of a score over shuffles: `score` is given the rows 0..n-1 in another order.

    It must pair the shuffled rows of one array with the rows of the other as they were.
    """
    if n < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    return float(np.mean([score(rng.permutation(n)) for _ in range(permutations)]))


def share_interval(hits: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats]:
    """Ends of the interval of shares, `hits` in `n`, by Wilson 1927; NaN where n is 0."""
    from astropy.stats import binom_conf_interval

    hits, n = np.broadcast_arrays(np.asarray(hits), np.asarray(n))
    with np.errstate(invalid="ignore"):
        low, high = binom_conf_interval(
            hits, np.maximum(n, 1), confidence_level=LEVEL, interval="wilson"
        )
    # All or none of n: the end is the share itself, which rounding may miss.
    low, high = np.where(hits == 0, 0.0, low), np.where(hits == n, 1.0, high)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def mean_interval(values: ArrayLike) -> Estimate:
    """Mean of numbers (n,), n at least 2, and Student's interval of it."""
    from scipy.stats import sem, t

    values = np.asarray(values, np.float64)
    value, error = float(values.mean()), float(sem(values))
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return Estimate(value, value - half, value + half, len(values), error)


def slope(x: Floats, y: Floats) -> float:
    """Least-squares slope of y (n,) against x (n,), pairs with NaN left out; NaN if x is constant.

    `scipy.stats.linregress` at a twentieth of its time: it is called in every resample.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    spread = x - x.mean() if len(x) else x
    variance = float(spread @ spread)
    return float(spread @ y) / variance if variance > 0 else math.nan


def slope_interval(x: ArrayLike, y: ArrayLike) -> Estimate:
    """Least-squares slope of y (n,) against x (n,), n at least 3, with Student's interval."""
    from scipy.stats import linregress, t

    fit = linregress(x, y)
    value, error, n = float(fit.slope), float(fit.stderr), len(np.asarray(x))
    half = float(t.ppf((1 + LEVEL) / 2, n - 2)) * error
    return Estimate(value, value - half, value + half, n, error)
