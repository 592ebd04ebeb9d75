"""Sets of galaxies that are compared with each other, and intervals over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

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

    def joined(self, others: Galaxies) -> Galaxies:
        """These and others of the same kind."""
        both = None
        if self.judged is not None and others.judged is not None:
            both = np.concatenate([self.judged, others.judged])
        n, m = len(self), len(others)
        return Galaxies(
            ttype=np.concatenate([self.ttype, others.ttype]),
            statistics={
                name: np.concatenate([values, others.statistics[name]])
                for name, values in self.statistics.items()
            },
            features=np.concatenate([self.features, others.features]),
            vectors=np.concatenate([self.vectors, others.vectors]),
            judged=both,
            failed=(n * self.failed + m * others.failed) / max(n + m, 1),
        )

    @property
    def typed(self) -> Galaxies:
        """Those with a T."""
        return self.rows(np.flatnonzero(np.isfinite(self.ttype)))

    @property
    def collapsed(self) -> Galaxies:
        """As many galaxies, the first eight again and again, whatever T was asked for."""
        few = self.rows(np.arange(len(self)) % COLLAPSED_TO)
        return replace(few, ttype=self.ttype)


@dataclass(frozen=True)
class Score:
    """A value; its 95 % interval and its standard error are computed when they are asked for.

    centred: the resamples' scatter about their mean, placed about the value, for figures that
    resampling raises, as it does every distance.
    """

    value: float
    resample: Callable[[], Floats]
    centred: bool = False

    @cached_property
    def _drawn(self) -> Floats:
        return self.resample()

    @property
    def interval(self) -> tuple[float, float]:
        """Its ends."""
        shift = self.value - self._drawn.mean() if self.centred else 0.0
        low, high = np.quantile(self._drawn, INTERVAL) + shift
        return float(low), float(high)

    @property
    def error(self) -> float:
        """Standard deviation of the resamples."""
        return float(self._drawn.std())


def resampled(figure: Callable[..., float], *sizes: int, centred: bool = False) -> Score:
    """A figure of the rows of one or more sets, each set resampled by itself."""

    def draw() -> Floats:
        rng = np.random.default_rng(0)
        rows = ([rng.integers(n, size=n) for n in sizes] for _ in range(BOOTSTRAPS))
        return np.array([figure(*part) for part in rows])

    whole = float(figure(*(np.arange(n) for n in sizes)))
    return Score(whole, draw, centred)
