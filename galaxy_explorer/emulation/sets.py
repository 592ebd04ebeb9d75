"""Sets of galaxies that are compared with each other, and intervals over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

BOOTSTRAPS = 400
INTERVAL = (0.025, 0.975)
COLLAPSED_TO = 8  # distinct galaxies of a collapsed emulator


@dataclass(frozen=True)
class Galaxies:
    """Galaxies of one kind.

    ttype (n,): catalogued, or asked for; NaN unknown. statistics: name -> (n,), NaN where they
    could not be measured. features (n, F): of the picture, for classifiers. vectors (n, V): code
    vectors. judged (n,): T as a judge reads it, None without one. failed: share not measurable.
    """

    ttype: Floats
    statistics: Mapping[str, Floats]
    features: NDArray[np.float32]
    vectors: NDArray[np.float32]
    judged: Floats | None = None
    failed: float = 0.0

    def __len__(self) -> int:
        return len(self.ttype)

    def rows(self, rows: Rows) -> Galaxies:
        """Some of them, repeats allowed."""
        return replace(
            self,
            ttype=self.ttype[rows],
            statistics={name: values[rows] for name, values in self.statistics.items()},
            features=self.features[rows],
            vectors=self.vectors[rows],
            judged=None if self.judged is None else self.judged[rows],
        )

    @property
    def typed(self) -> Galaxies:
        """Those with a T."""
        return self.rows(np.flatnonzero(np.isfinite(self.ttype)))

    @property
    def collapsed(self) -> Galaxies:
        """As many galaxies, but the first eight again and again."""
        return self.rows(np.arange(len(self)) % COLLAPSED_TO)


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval, and its standard error."""

    value: float
    low: float
    high: float
    error: float


def scored(value: float, drawn: Floats, *, centred: bool = False) -> Score:
    """A value with the interval of its resamples.

    centred: the resamples' scatter about their mean, placed about the value, for figures that
    resampling raises, as it does every distance.
    """
    shift = value - drawn.mean() if centred else 0.0
    low, high = np.quantile(drawn, INTERVAL) + shift
    return Score(float(value), float(low), float(high), float(drawn.std()))


def resampled(
    figure: Callable[..., float], *sizes: int, seed: int = 0, centred: bool = False
) -> Score:
    """A figure of the rows of one or more sets, each set resampled by itself."""
    rng = np.random.default_rng(seed)
    whole = figure(*(np.arange(n) for n in sizes))
    drawn = [figure(*(rng.integers(n, size=n) for n in sizes)) for _ in range(BOOTSTRAPS)]
    return scored(whole, np.array(drawn), centred=centred)
