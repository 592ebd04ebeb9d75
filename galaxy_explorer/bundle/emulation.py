"""`emulation.json`: how far generated galaxies follow real ones, as plain values.

Measured by `galaxy-explorer evaluate BUNDLE --emulator` on held-out galaxies, their
reconstructions and samples of the bundle's prior; text and numbers only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

EMULATION = "emulation.json"
FORMAT = 1
GROUPS = ("label", "judge", "distribution", "memory")
VERDICTS = (
    *("reached", "within error", "at the floor", "not reached"),
    *("no goal", "not measured"),
)
CLASSES = 10  # T = -3..6
KINDS = ("real", "reconstruction", "sample", "control")
TESTED = ("sample", "control")  # kinds whose slopes are tested against none
SMALLEST_P = 1e-6


@dataclass(frozen=True)
class EmulationFigure:
    """One figure of the proof, with its goal and verdict.

    group: "label" (do samples follow T?), "judge" (as read by networks), "distribution" or
    "memory" (is training data copied?). name: what it is; statistic: of which statistic, "" for
    none. value with its 95 % interval low, high over galaxies; n: galaxies a side. goal_low,
    goal_high: the range asked for, None for an open end. verdict: "reached" where the value lies
    in that range; "within error" where only its interval touches it; "at the floor" where the
    goal is below the floor and the interval is not. floor: the same figure of real galaxies
    against real ones, the best that a perfect emulator could have with n galaxies; collapsed: of
    an emulator that repeats 8 galaxies; control: of a prior trained with mismatched labels;
    reference: of what the value is divided by or compared with. None: has none.
    """

    group: str
    name: str
    statistic: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    goal_low: float | None
    goal_high: float | None
    verdict: str
    floor: float | None
    collapsed: float | None
    control: float | None
    reference: float | None
    note: str


@dataclass(frozen=True)
class TypeTrend:
    """A statistic against T: the chain real, reconstruction, sample, and the control.

    kind: one of KINDS. slope a stage of T with its 95 % interval; sigmas: the slope over its
    error. n: galaxies. means, counts: of the classes T = -3..6, outliers in the end classes; None
    where a class has none. failed: share of stamps that could not be measured. p_holm: two-sided
    p of no slope, corrected over all statistics of the kind; None in files of before.
    """

    statistic: str
    kind: str
    slope: float | None
    low: float | None
    high: float | None
    sigmas: float | None
    n: int
    means: tuple[float | None, ...]
    counts: tuple[int, ...]
    failed: float
    p_holm: float | None = None

    @property
    def format_p(self) -> str:
        """The corrected p, as small as its normal approximation is worth; "" for none."""
        if self.p_holm is None:
            return ""
        return f"{self.p_holm:.2g}" if self.p_holm >= SMALLEST_P else "< 1e-6"


@dataclass(frozen=True)
class Histogram:
    """Shares of galaxies in bins of a statistic, by kind (but "control"); edges: one more."""

    statistic: str
    edges: tuple[float, ...]
    shares: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class GuidancePoint:
    """One guidance, on validation galaxies.

    slope_ratio: mean over C, Gini and M20 of the slope against T of samples over that of
    reconstructions; distance: mean Wasserstein-1 over sigma from reconstructions; diversity: mean
    distance between samples over that between reconstructions; judged: correlation of asked and
    judged T. cost: what the choice minimises.
    """

    guidance: float
    slope_ratio: float
    distance: float
    diversity: float
    judged: float | None
    cost: float
    n: int


@dataclass(frozen=True)
class PriorEvaluation:
    """Everything measured of one prior.

    model: whose code maps or latents it draws. settings: how it was run, name -> text. guidance:
    the default chosen on validation by guidance_rule.
    """

    model: str
    settings: dict[str, str]
    figures: tuple[EmulationFigure, ...]
    trends: tuple[TypeTrend, ...]
    histograms: tuple[Histogram, ...]
    curve: tuple[GuidancePoint, ...]
    guidance: float
    guidance_rule: str

    def trend(self, statistic: str, kind: str) -> TypeTrend | None:
        """The trend of a statistic on one kind of galaxies; None where not measured."""
        found = (t for t in self.trends if (t.statistic, t.kind) == (statistic, kind))
        return next(found, None)

    def figure(self, like: EmulationFigure) -> EmulationFigure | None:
        """The figure that another prior's figure compares with; None where not measured."""
        named = (like.group, like.name, like.statistic)
        return next((f for f in self.figures if (f.group, f.name, f.statistic) == named), None)

    def histogram(self, statistic: str) -> Histogram | None:
        """The distribution of a statistic; None where not measured."""
        return next((h for h in self.histograms if h.statistic == statistic), None)


@dataclass(frozen=True)
class EmulatorEvaluation(PriorEvaluation):
    """What was measured of the prior that draws where none is named; others: of the other ones."""

    others: tuple[PriorEvaluation, ...] = ()

    def to_bytes(self) -> bytes:
        """The file; NaN is refused."""
        values = {"format": FORMAT, **asdict(self)}
        if not self.others:
            del values["others"]
        return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()
