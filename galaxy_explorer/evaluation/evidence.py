"""What verdicts rest on: figures of models, differences, and trends in the codebook size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.bundle.evaluation import ClaimFigure, EvaluationRow
from galaxy_explorer.evaluation.context import EvaluatedModel
from galaxy_explorer.evaluation.rows import find_row, join_seeds
from galaxy_explorer.utils.resampling import slope_interval

SEEDS_FOR_A_TREND = 3
SIZES_FOR_A_TREND = 3
QUANTIZERS = ("paper", "modern")


@dataclass(frozen=True)
class ClaimEstimate:
    """A number with its 95 % interval, of `n` galaxies or trainings; value None: not measured."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""

    def figure(self) -> ClaimFigure:
        """For the page of claims."""
        return ClaimFigure(self.name, self.value, self.low, self.high, self.n, self.unit)

    @property
    def below_zero(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high is not None and self.high < 0

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low is not None and self.low > 0


class Evidence:
    """All rows of an evaluation, by training and joined over trainings."""

    def __init__(
        self,
        rows: Iterable[EvaluationRow],
        seeds: Iterable[int],
        models_evaluated: list[EvaluatedModel],
    ) -> None:
        self.pairs = list(zip(rows, seeds, strict=True))
        self.joined = join_seeds(row for row, _ in self.pairs)
        self.models_evaluated = {evaluated.name: evaluated for evaluated in models_evaluated}

    def estimate(self, name: str, **wanted: object) -> ClaimEstimate:
        """The joined figure of a row, for example model=..., figure="eta^2"."""
        row = find_row(self.joined, **wanted)
        if row is None:
            return ClaimEstimate(name, None)
        return ClaimEstimate(name, row.value, row.low, row.high, row.n, row.unit)

    def seed_count(self, **wanted: object) -> int:
        """Trainings behind a joined figure, 0 where there is none."""
        row = find_row(self.joined, **wanted)
        return row.seed_count if row else 0

    def trend(self, name: str, quantizer: str, **wanted: object) -> tuple[ClaimEstimate, int]:
        """Change of a figure for each doubling of the codebook, and the fewest trainings of a size.

        Least squares over all trainings of the 8 x 8 models, with Student's interval: its scatter
        is that between trainings and about a straight line in log K. Where three sizes or more were
        trained often enough for a trend, only those count.
        """
        points: list[tuple[float, float]] = []
        for row, _ in self.pairs:
            evaluated = self.models_evaluated.get(row.model)
            if evaluated is None or not evaluated.has_64_features or not evaluated.has_maps:
                continue
            if evaluated.config.quantizer != quantizer or row.value is None:
                continue
            if all(getattr(row, field) == value for field, value in wanted.items()):
                points.append((math.log2(evaluated.config.num_embeddings), row.value))
        times = Counter(size for size, _ in points)
        often = {size for size, count in times.items() if count >= SEEDS_FOR_A_TREND}
        if len(often) >= SIZES_FOR_A_TREND:
            points = [point for point in points if point[0] in often]
        fewest = min((times[size] for size, _ in points), default=0)
        return _slope(name, points), fewest


def _slope(name: str, points: list[tuple[float, float]]) -> ClaimEstimate:
    x = np.array([size for size, _ in points])
    y = np.array([value for _, value in points])
    if len(np.unique(x)) < SIZES_FOR_A_TREND:
        return ClaimEstimate(name, None)
    found = slope_interval(x, y)
    return ClaimEstimate(name, found.value, found.low, found.high, found.n, "per doubling of K")


def difference(name: str, one: ClaimEstimate, other: ClaimEstimate) -> ClaimEstimate:
    """The first less the other, their half intervals added as squares.

    The galaxies are the same, so the interval is rather too wide than too narrow.
    """
    if one.value is None or other.value is None:
        return ClaimEstimate(name, None)
    value = one.value - other.value
    below = math.hypot(_below(one), _above(other))
    above = math.hypot(_above(one), _below(other))
    return ClaimEstimate(name, value, value - below, value + above, min(one.n, other.n), one.unit)


def _below(estimate: ClaimEstimate) -> float:
    if estimate.value is None or estimate.low is None:
        return 0.0
    return estimate.value - estimate.low


def _above(estimate: ClaimEstimate) -> float:
    if estimate.value is None or estimate.high is None:
        return 0.0
    return estimate.high - estimate.value


def verdict_of(signs: Iterable[bool | None]) -> str:
    """Of tests that are for (True), against (False) or undecided (None): the verdict.

    All for: holds. Some for: partly. None for, some against: does not hold. All undecided: cannot
    be told.
    """
    found = list(signs)
    if found and all(found):
        return "holds"
    if any(found):
        return "partly"
    return "does not hold" if False in found else "cannot be told"


def sign(estimate: ClaimEstimate, *, positive: bool, enough: bool = True) -> bool | None:
    """Whether an estimate has the expected sign; None where its interval holds zero.

    Also None where it was not measured, or not often `enough`.
    """
    if estimate.value is None or not enough:
        return None
    if estimate.above_zero or estimate.below_zero:
        return estimate.above_zero == positive
    return None
