"""Sets of galaxies that are compared with each other, and intervals over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.utils.resampling import FEW_RESAMPLES, Estimate, bootstrap

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

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
class ResampledFigure:
    """A figure of the rows of one or more sets, each set resampled by itself.

    figure: rows of each set -> number; sizes: galaxies of each; most: the largest number it can
    be. Resampling waits until `estimate` is asked for: of floors and controls only the value is.
    """

    figure: Callable[..., float]
    sizes: tuple[int, ...]
    most: float = math.inf

    @cached_property
    def value(self) -> float:
        """Of all galaxies."""
        return float(self.figure(*map(np.arange, self.sizes)))

    @cached_property
    def estimate(self) -> Estimate:
        """The value with its 95 % interval over galaxies and its standard error."""
        return bootstrap(self.figure, *self.sizes, resamples=FEW_RESAMPLES, most=self.most)
