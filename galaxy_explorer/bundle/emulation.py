"""`emulation.json`: how far generated galaxies follow real ones, as plain values.

Measured by `galaxy-explorer evaluate BUNDLE --emulator` on held-out galaxies, their
reconstructions and samples of the bundle's prior; text and numbers only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from galaxy_explorer.bundle.json_values import FieldError, Many, Text, build, one_of
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.registry import PRIORS

EMULATION = "emulation.json"
CONTACT_SHEET = "samples.webp"  # beside it: real galaxies and samples of the same types
FORMAT = 1
CURE = "run galaxy-explorer evaluate --emulator again"
CLASSES = 10  # T = -3..6
LOWEST_CLASS = -3
READ_TTYPE = "read_ttype"  # T as the judge reads it
HEADLINE_ATTRIBUTES = {"read_arms": "arms", "read_flocculence": "flocculence"}
VERDICTS = (
    *("reached", "within error", "at the floor", "not reached"),
    *("no goal", "not measured"),
)
KINDS = ("real", "reconstruction", "sample", "control")
Group = Annotated[str, one_of(("label", "judge", "distribution", "memory"))]
Verdict = Annotated[str, one_of(VERDICTS)]
Kind = Annotated[str, one_of(KINDS)]
OfClasses = Meta(min_length=CLASSES, max_length=CLASSES)
TESTED = ("sample", "control")  # kinds whose slopes are tested against none
SMALLEST_P = 1e-6


class EmulationFigure(Struct, frozen=True, forbid_unknown_fields=True):
    """One figure of the proof, with its goal and verdict.

    group: "label" (do samples follow T?), "judge" (as read by networks), "distribution" or
    "memory" (is training data copied?). name: what it is; statistic: of which statistic, "" for
    none. value with its 95 % interval low, high over galaxies; n: galaxies a side. goal_low,
    goal_high: the range asked for, None for an open end. verdict: "reached" where the value lies
    in that range; "within error" where only its interval touches it; "at the floor" where the
    goal is below the floor and the interval is not. floor: the same figure of real galaxies
    against real ones, the best that a perfect emulator could have with n galaxies; collapsed: of
    an emulator that repeats 8 galaxies; control: of a prior trained with, or asked for, the labels
    of other galaxies; reference: of what the value is divided by or compared with. None: has none.
    """

    group: Group
    name: Text
    statistic: Text
    value: float | None
    low: float | None
    high: float | None
    n: int
    goal_low: float | None
    goal_high: float | None
    verdict: Verdict
    floor: float | None
    collapsed: float | None
    control: float | None
    reference: float | None
    note: Text


class TypeTrend(Struct, frozen=True, forbid_unknown_fields=True):
    """A statistic against T: the chain real, reconstruction, sample, and the control.

    kind: one of KINDS. slope a stage of T with its 95 % interval; sigmas: the slope over its
    error. n: galaxies. means, counts: of the classes T = -3..6, outliers in the end classes; None
    where a class has none. failed: share of stamps that could not be measured. p_holm: two-sided
    p of no slope, corrected over all statistics of the kind; spreads: standard deviations in the
    classes, None of fewer than two; None and empty in files of before.
    """

    statistic: Text
    kind: Kind
    slope: float | None
    low: float | None
    high: float | None
    sigmas: float | None
    n: int
    means: Annotated[tuple[float | None, ...], OfClasses]
    counts: Annotated[tuple[int, ...], OfClasses]
    failed: float
    p_holm: float | None = None
    spreads: tuple[float | None, ...] = ()

    @property
    def format_p(self) -> str:
        """The corrected p, as small as its normal approximation is worth; "" for none."""
        if self.p_holm is None:
            return ""
        return f"{self.p_holm:.2g}" if self.p_holm >= SMALLEST_P else "< 1e-6"


class Histogram(Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of galaxies in bins of a statistic, by kind (but "control"); edges: one more."""

    statistic: Text
    edges: Many[float]
    shares: dict[Text, Many[float]]

    def __post_init__(self) -> None:
        bins = len(self.edges) - 1
        if bins < 1 or any(len(shares) != bins for shares in self.shares.values()):
            raise ValueError("as many shares as bins are expected")


class GuidancePoint(Struct, frozen=True, forbid_unknown_fields=True):
    """One guidance, on validation galaxies.

    slope_ratio: mean over C, Gini and M20 of the slope against T of samples over that of
    reconstructions; distance: mean Wasserstein-1 over sigma from reconstructions; diversity: mean
    distance between samples over that between reconstructions; judged: correlation of asked and
    judged T; obedience: the same over that of reconstructions, None in bundles of before. cost:
    what the choice minimises.
    """

    guidance: float
    slope_ratio: float
    distance: float
    diversity: float
    judged: float | None
    cost: float
    n: int
    obedience: float | None = None


class PriorEvaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything measured of one prior.

    model: whose code maps or latents it draws. settings: how it was run, name -> text. guidance:
    the default chosen on validation by guidance_rule. kind: of prior, "" in files of before, when
    models had one prior each.
    """

    model: Text
    settings: dict[Text, Text]
    figures: Many[EmulationFigure]
    trends: Many[TypeTrend]
    histograms: Many[Histogram]
    curve: Many[GuidancePoint]
    guidance: float
    guidance_rule: Text
    kind: Text = ""

    @property
    def words(self) -> str:
        """The model, and the kind of prior where it is known."""
        known = PRIORS.get(self.kind)
        return self.model if known is None else f"{self.model} ({known.short})"

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


def headline(found: PriorEvaluation) -> list[str]:
    """A sentence a class of T: as what samples asked for it are read, and as what real ones are.

    Of arms and flocculence too, where a judge reads them. Empty where no T was asked for.
    """
    sentences = []
    asked, real = found.trend(READ_TTYPE, "sample"), found.trend(READ_TTYPE, "real")
    if asked is None or real is None:
        return []
    beside = {
        label: (found.trend(name, "real"), found.trend(name, "sample"))
        for name, label in HEADLINE_ATTRIBUTES.items()
    }
    for place, (mean, spread) in enumerate(zip(asked.means, asked.spreads, strict=False)):
        if mean is None or spread is None:
            continue
        words = f"asked T {LOWEST_CLASS + place}: the judge reads {mean:.1f} ± {spread:.1f}"
        if (usual := real.means[place]) is not None:
            words += f"; real galaxies of it are read as {usual:.1f}"
        for label, (of_real, of_asked) in beside.items():
            known, one = of_real and of_real.means[place], of_asked and of_asked.means[place]
            if known is not None and one is not None:
                words += f"; {label} {one:.2f}, real {known:.2f}"
        sentences.append(words)
    return sentences


class EmulatorEvaluation(PriorEvaluation, frozen=True, forbid_unknown_fields=True):
    """What was measured of the prior that draws where none is named; others: of the other ones."""

    others: Many[PriorEvaluation] = ()

    def without(self, model: str, kind: str) -> EmulatorEvaluation | None:
        """What still holds where that prior has become another: nothing if it draws first."""

        def is_meant(one: PriorEvaluation) -> bool:
            return one.model == model and one.kind in {"", kind}

        if is_meant(self):
            return None
        return replace(self, others=tuple(one for one in self.others if not is_meant(one)))

    def to_bytes(self) -> bytes:
        """The file; NaN is refused."""
        values = {"format": FORMAT, **msgspec.to_builtins(self)}
        if not self.others:
            del values["others"]
        return (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse_emulation(values: Mapping[str, Any], path: Path) -> EmulatorEvaluation:
    """What `evaluate --emulator` measured, from its JSON values, which are left as they are.

    Raises BundleError naming `path` and the first field that is missing, unknown or wrong.
    """
    try:
        if values.get("format") != FORMAT:
            raise FieldError("format", f"only {FORMAT} is known")
        plain = {name: value for name, value in values.items() if name != "format"}
        return build(plain, EmulatorEvaluation)
    except FieldError as error:
        raise BundleError(f"{path}: {error}; {CURE}") from None
