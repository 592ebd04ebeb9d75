"""What a prior may be asked for: fields of the catalogue, their ranges, their numbers, a draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

GIVEN, WITHHELD, UNKNOWN = 0, 1, 2  # state of a field of one galaxy
Floats = NDArray[np.float64]
Columns = Callable[[str], NDArray[Any]]


class Field(Struct, frozen=True):
    """One quantity that a request may ask for.

    low, high: the permitted range, default: the median, in the catalogue's unit, all of the train
    split. column: where the catalogue has it; over: the column that it is divided by, "" for none.
    equals: a word: the quantity is then whether a column of words has it, 1 or 0. log: whether the
    network is given its logarithm. mean, spread: of what it is given.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    default: float
    column: str
    over: str = ""
    log: bool = False
    mean: float = 0.0
    spread: float = 1.0
    equals: str = ""

    def values(self, columns: Columns) -> Floats:
        """The quantity of every galaxy (N,), NaN where unknown; columns: name to column (N,)."""
        if self.equals:
            return has_word(columns, self.column, self.equals)
        return quantity(columns, self.column, self.over)

    def standardised(self, values: ArrayLike) -> Floats:
        """What the network is given for values in the catalogue's unit."""
        shown: Floats = np.asarray(values, dtype=np.float64)
        if self.log:
            shown = np.log(np.maximum(shown, self.low))
        standardised: Floats = (shown - self.mean) / self.spread
        return standardised

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)


def quantity(columns: Columns, column: str, over: str = "") -> Floats:
    """A column (N,) as numbers, divided by the column `over` where one is named."""
    values = np.asarray(columns(column), dtype=np.float64)
    if not over:
        return values
    below = np.asarray(columns(over), dtype=np.float64)
    ratio: Floats = np.divide(values, below, out=np.full(len(values), np.nan), where=below > 0)
    return ratio


def has_word(columns: Columns, column: str, word: str) -> Floats:
    """Whether a column of words (N,) has a word, 1 or 0; NaN where it is empty."""
    words = np.asarray(columns(column), dtype=str)
    return np.where(words == "", np.nan, (words == word).astype(np.float64))


class Condition(NamedTuple):
    """What is asked of n galaxies: standardised values (n, F) and their states (n, F)."""

    values: NDArray[np.float32]
    states: NDArray[np.int64]

    def rows(self, rows: NDArray[np.int64]) -> Condition:
        """The condition of some of the galaxies."""
        return Condition(self.values[rows], self.states[rows])


def condition_of(fields: Sequence[Field], given: Mapping[str, ArrayLike], count: int) -> Condition:
    """Condition of `count` galaxies; given: a number, or one a galaxy, by the field's name.

    A field that is not given is withheld, NaN is unknown: the catalogue has no such value.
    """
    values = np.zeros((count, len(fields)), np.float32)
    states = np.full((count, len(fields)), WITHHELD, np.int64)
    for number, field in enumerate(fields):
        if field.name not in given:
            continue
        asked = np.broadcast_to(np.asarray(given[field.name], dtype=np.float64), (count,))
        known = np.isfinite(asked)
        states[:, number] = np.where(known, GIVEN, UNKNOWN)
        values[known, number] = field.standardised(asked[known])
    return Condition(values, states)


class Origin(NamedTuple):
    """A galaxy that others are drawn from: its codes (h, w), what is known of it (one row).

    change: how much of it may become another, above 0 (as good as nothing) to 1 (everything).
    """

    codes: NDArray[np.int64]
    condition: Condition
    change: float


@dataclass(frozen=True)
class Draw:
    """What to draw: numbers of the samples (n,), what is asked of each, and how.

    fixed: codes (n, h, w) that the user has set, -1 where free. guidance: logits are taken so many
    times as far from those of the prior asked for nothing (Ho & Salimans 2022); 1 is the prior.
    level: of a map of the same sample that follows another. features (n, E, h, w): what else is
    known of each place. origin: what all are drawn from, of a rectified flow alone.
    """

    seed: int
    numbers: tuple[int, ...]
    condition: Condition
    temperature: float = 1.0
    guidance: float = 1.0
    fixed: NDArray[np.int64] | None = None
    level: int = 0
    features: Tensor | None = None
    origin: Origin | None = None


# name, label, column of EFIGI (Baillard et al. 2011), each from 0, none, to 1, the most there is
ATTRIBUTES = (
    ("inclination", "Inclination", "inclination"),
    ("bulge", "Bulge", "bulge_to_total"),
    ("arms", "Strength of the arms", "arm_strength"),
    ("bar", "Length of the bar", "bar_length"),
    ("ring", "Inner ring", "inner_ring"),
    ("flocculence", "Flocculence", "flocculence"),
    ("dust", "Visible dust", "visible_dust"),
)
# name, label, unit, column, divided by, whether the network sees the logarithm
CANDIDATES = (
    ("ttype", "Hubble stage T", "", "ttype", "", False),
    ("axis_ratio", "Axis ratio", "", "axis_ratio", "", False),
    ("axis_ratio", "Axis ratio", "", "minax_arcmin", "majax_arcmin", False),
    ("magnitude", "Magnitude", "mag", "magnitude", "", False),
    ("magnitude", "B magnitude", "mag", "bmag", "", False),
    ("magnitude", "F160W magnitude", "mag", "magnitude_f160w", "", False),
    ("size", "Half-light radius", "arcsec", "half_light_radius_arcsec", "", True),
    ("size", "Isophotal diameter", "arcmin", "majax_arcmin", "", True),
    ("redshift", "Redshift", "", "redshift", "", False),
    *((name, label, "", column, "", False) for name, label, column in ATTRIBUTES),
)
# name, label, column of words, word: asked for with 1, ruled out with 0
CLASSES = (
    ("round", "Round and smooth", "class", "round"),
    ("in_between", "Smooth, in between", "class", "in_between"),
    ("cigar", "Smooth, cigar-shaped", "class", "cigar"),
    ("edge_on", "Edge-on disc", "class", "edge_on"),
    ("spiral", "Spiral", "class", "spiral"),
)
# Columns that hold the limits of another, by their endings: half their distance is an error.
LIMITS = (("_lo", "_hi"), ("_inf", "_sup"))
MIN_KNOWN = 100  # galaxies of the train split that must have a value
RANGE = (0.5, 99.5)  # percentiles of the train split that may be asked for


def fit_fields(
    columns: Columns, names: Sequence[str], train: NDArray[np.bool_], *, least: int = MIN_KNOWN
) -> list[Field]:
    """The fields that a catalogue has for at least `least` galaxies of the train split (N,).

    names: of its columns. Of two columns for the same field the first is taken.
    """
    fields: dict[str, Field] = {}
    for name, label, unit, column, over, log in CANDIDATES:
        if name in fields or column not in names or (over and over not in names):
            continue
        values = quantity(columns, column, over)[train]
        values = values[np.isfinite(values) & ((values > 0) | (not log))]
        if len(values) < least or not values.std() > 0:
            continue
        low, middle, high = (float(v) for v in np.percentile(values, (RANGE[0], 50, RANGE[1])))
        shown = np.log(np.maximum(values, low)) if log else values
        mean, spread = float(shown.mean()), float(shown.std())
        fields[name] = Field(name, label, unit, low, high, middle, column, over, log, mean, spread)
    for name, label, column, word in CLASSES if "class" in names else ():
        values = has_word(columns, column, word)[train]
        values = values[np.isfinite(values)]
        if len(values) < least or not values.std() > 0:
            continue
        fields[name] = Field(
            name, label, "", 0.0, 1.0, 1.0, column,
            mean=float(values.mean()), spread=float(values.std()), equals=word,
        )  # fmt: skip
    return list(fields.values())


def catalogued_errors(field: Field, columns: Columns, names: Sequence[str]) -> Floats | None:
    """Errors (N,) of a field by the limits in the catalogue, in its unit, NaN where it has none.

    None where the catalogue has no columns of limits for it.
    """
    return None if field.over or field.equals else errors_of(field.column, columns, names)


def errors_of(column: str, columns: Columns, names: Sequence[str]) -> Floats | None:
    """Errors (N,) of a column by those that hold its limits; None where there are none."""
    for low, high in LIMITS:
        both = column + low, column + high
        if set(both) <= set(names):
            lows, highs = (quantity(columns, name) for name in both)
            errors: Floats = (highs - lows) / 2
            return errors
    return None


@dataclass(frozen=True)
class MorphologyLabels:
    """What a catalogue knows of N galaxies, NaN where it does not.

    ttype, ttype_error (N,): in stages. names: of A attributes; attributes, attribute_errors (N, A):
    each from 0 to 1. classes (N,): place in CLASSES, -1 unknown.
    """

    ttype: Floats
    ttype_error: Floats
    names: tuple[str, ...]
    attributes: Floats
    attribute_errors: Floats
    classes: NDArray[np.int64]

    def rows(self, rows: NDArray[np.int64]) -> MorphologyLabels:
        """Those of some of the galaxies."""
        return MorphologyLabels(
            self.ttype[rows],
            self.ttype_error[rows],
            self.names,
            self.attributes[rows],
            self.attribute_errors[rows],
            self.classes[rows],
        )

    @property
    def read(self) -> NDArray[np.bool_]:
        """Whether T or an attribute is known (N,)."""
        known: NDArray[np.bool_] = np.isfinite(self.ttype) | np.isfinite(self.attributes).any(1)
        return known


def read_columns(attributes: Iterable[str]) -> tuple[str, ...]:
    """Names of what a judge reads of a galaxy: T, then these attributes."""
    return tuple(f"read_{name}" for name in ("ttype", *attributes))


def can_be_learnt(values: Floats, splits: NDArray[np.str_], least: Mapping[str, int]) -> bool:
    """Whether a label (N,), NaN where unknown, can be learnt and tested by galaxies of splits (N,).

    least: by the name of a split, how many of it must have the label, and not all the same one.
    """
    known = [values[(splits == split) & np.isfinite(values)] for split in least]
    enough = zip(known, least.values(), strict=True)
    return all(len(found) >= most and np.ptp(found) > 0 for found, most in enough)


def labels_of(
    columns: Columns, names: Sequence[str], splits: NDArray[np.str_], least: Mapping[str, int]
) -> MorphologyLabels:
    """T, attributes and classes of a catalogue with these columns.

    splits (N,); least: as `can_be_learnt` has it; an attribute that cannot be is left out.
    """
    count = len(splits)

    def known(column: str) -> tuple[Floats, Floats]:
        nothing = np.full(count, np.nan)
        if column not in names:
            return nothing, nothing
        errors = errors_of(column, columns, names)
        return quantity(columns, column), nothing if errors is None else errors

    kept = {}
    for name, _, column in ATTRIBUTES:
        values, errors = known(column)
        if can_be_learnt(values, splits, least):
            kept[name] = (values.clip(0, 1), errors)
    classes = np.full(count, -1)
    for place, (_, _, column, word) in enumerate(CLASSES):
        if column in names:
            classes[has_word(columns, column, word) == 1] = place
    empty = np.empty((count, 0))
    return MorphologyLabels(
        *known("ttype"),
        tuple(kept),
        np.stack([values for values, _ in kept.values()], 1) if kept else empty,
        np.stack([errors for _, errors in kept.values()], 1) if kept else empty,
        classes,
    )
