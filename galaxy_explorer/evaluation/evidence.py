"""What verdicts rest on: figures of models, differences, and trends in the codebook size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle.evaluation import ClaimFigure, EvaluationRow
from galaxy_explorer.evaluation.context import is_clustered
from galaxy_explorer.evaluation.rows import find_row, join_seeds
from galaxy_explorer.utils.resampling import slope_interval

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import AutoencoderConfig

SEEDS_FOR_A_TREND = 3
SIZES_FOR_A_TREND = 3
QUANTIZERS = ("paper", "modern")


@dataclass(frozen=True)
class ClaimEstimate:
    """A number with its 95 % interval, of `n` galaxies or trainings; value None: not measured.

    seeds: how often the models behind it were trained, the least often trained of them.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    seeds: int = 0

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
    """All rows of an evaluation, by training and joined over trainings.

    configs: of every model that was trained, by name, whether or not its weights are at hand.
    """

    def __init__(
        self,
        rows: Iterable[EvaluationRow],
        seeds: Iterable[int],
        configs: Mapping[str, AutoencoderConfig],
    ) -> None:
        # By seed, so that means are the same to the last digit whatever was measured first.
        self.pairs = sorted(zip(rows, seeds, strict=True), key=itemgetter(1))
        self.joined = join_seeds(row for row, _ in self.pairs)
        self.configs = configs

    def estimate(self, name: str, **wanted: object) -> ClaimEstimate:
        """The joined figure of a row, for example model=..., figure="eta^2"."""
        row = find_row(self.joined, **wanted)
        if row is None:
            return ClaimEstimate(name, None)
        return ClaimEstimate(name, row.value, row.low, row.high, row.n, row.unit, row.seed_count)

    def trend(self, name: str, quantizer: str, **wanted: object) -> ClaimEstimate:
        """Change of a figure for each doubling of the codebook.

        Least squares over all trainings of the 8 x 8 models, with Student's interval: its scatter
        is that between trainings and about a straight line in log K. Where three sizes or more were
        trained often enough for a trend, only those count.
        """
        points: list[tuple[float, float]] = []
        for row, _ in self.pairs:
            size = self._codes_of(row.model, quantizer)
            if size is None or row.value is None:
                continue
            if all(getattr(row, field) == value for field, value in wanted.items()):
                points.append((math.log2(size), row.value))
        times = Counter(size for size, _ in points)
        often = {size for size, count in times.items() if count >= SEEDS_FOR_A_TREND}
        if len(often) >= SIZES_FOR_A_TREND:
            points = [point for point in points if point[0] in often]
        fewest = min((times[size] for size, _ in points), default=0)
        return replace(_slope(name, points), seeds=fewest)

    def _codes_of(self, model: str, quantizer: str) -> int | None:
        """Codes of an 8 x 8 model with that quantizer, None of any other."""
        config = self.configs.get(model)
        if config is None or not is_clustered(config):
            return None
        return config.num_embeddings if getattr(config, "quantizer", "") == quantizer else None


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
    n, seeds = min(one.n, other.n), min(one.seeds, other.seeds)
    return ClaimEstimate(name, value, value - below, value + above, n, one.unit, seeds)


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
