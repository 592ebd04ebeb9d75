"""What a prior may be asked for: fields of the catalogue, their ranges, their numbers, a draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True)
class Draw:
    """What to draw: numbers of the samples (n,), what is asked of each, and how.

    fixed: codes (n, h, w) that the user has set, -1 where free. guidance: logits are taken so many
    times as far from those of the prior asked for nothing (Ho & Salimans 2022); 1 is the prior.
    level: of a map of the same sample that follows another. features (n, E, h, w): what else is
    known of each place.
    """

    seed: int
    numbers: tuple[int, ...]
    condition: Condition
    temperature: float = 1.0
    guidance: float = 1.0
    fixed: NDArray[np.int64] | None = None
    level: int = 0
    features: Tensor | None = None


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
    # EFIGI (Baillard et al. 2011), each from 0, none, to 1, the most there is
    ("inclination", "Inclination", "", "inclination", "", False),
    ("bulge", "Bulge", "", "bulge_to_total", "", False),
    ("arms", "Strength of the arms", "", "arm_strength", "", False),
    ("bar", "Length of the bar", "", "bar_length", "", False),
    ("ring", "Inner ring", "", "inner_ring", "", False),
    ("flocculence", "Flocculence", "", "flocculence", "", False),
    ("dust", "Visible dust", "", "visible_dust", "", False),
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
    for low, high in LIMITS:
        both = field.column + low, field.column + high
        if not (field.over or field.equals) and set(both) <= set(names):
            lows, highs = (quantity(columns, name) for name in both)
            errors: Floats = (highs - lows) / 2
            return errors
    return None
