"""The columns of a catalogue: which holds what, in which unit, and what becomes of the others.

Settled once, before any picture is read: what an option or a usual name says of a column is held
against all of its values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galaxy_explorer.errors import BadCatalog
from galaxy_explorer.survey.store import (
    AXIS_RATIO_COLUMN,
    KEY_COLUMN,
    RADIUS_COLUMN,
    RENDERING_COLUMN,
    SAME_COLUMN,
    SCALE_COLUMN,
    TAKEN_COLUMN,
    VALID_COLUMN,
    WANTED_COLUMN,
)
from galaxy_explorer.survey.writer import FIXED
from galaxy_explorer.utils.reading import StagedTable, plain_table
from galaxy_explorer.utils.tables import (
    EMPTY,
    MOST_EXACT,
    NUMBER,
    check_id_texts,
    decimal,
    float_ids,
    hubble_stage,
    outside_words,
    stage_or_nan,
    text_angle,
)

BATCH_ROWS = 65_536
SMALLEST_SCALE = 1e-3  # arcsec; no telescope has smaller pixels
OWN_COLUMNS = {
    *FIXED, SCALE_COLUMN, VALID_COLUMN, TAKEN_COLUMN, RENDERING_COLUMN, KEY_COLUMN, RADIUS_COLUMN,
    AXIS_RATIO_COLUMN, WANTED_COLUMN,
}  # fmt: skip
"""What the ingest writes itself: a user's column of such a name is kept under another."""
LIMITS = ("ttype_lo", "ttype_hi")
NONE = "none"
"""What switches a role off: `--ra none`."""
USUAL_NAMES = {
    "galaxy_id": (
        "galaxy_id",
        "objid",
        "dr7objid",
        "dr8objid",
        "object_id",
        "source_id",
        "id",
        "name",
    ),
    "image": ("image", "file", "filename", "path", "picture", "stamp"),
    "ttype": ("ttype", "t_type", "t", "hubble_stage"),
    "same_as": ("same_as",),
    "ra": ("ra", "raj2000", "alpha_j2000", "ra_icrs", "_raj2000", "ra_j2000", "right_ascension"),
    "dec": (
        "dec",
        "de",
        "dej2000",
        "delta_j2000",
        "de_icrs",
        "_dej2000",
        "dec_j2000",
        "declination",
        "decl",
    ),
    "pixel_scale": (
        "pixel_scale_arcsec",
        "pixscale_arcsec",
        "pixscale",
        "pixel_scale_arcsec_per_pixel",
    ),
}
_UNIT_IN_NAME = re.compile(r"\s*[(\[{]\s*([^)\]}]*?)\s*[)\]}]\s*$")
_UNIT_AT_END = re.compile(
    r"(?<=[a-z])_?(radians?|hours?|hrs?|degrees?|deg|arcsec)$|(?<=[a-z])_(rad|h)$", re.IGNORECASE
)


def split_unit(name: str) -> tuple[str, str]:
    """A column's name without the unit in it, and that unit: "RA (deg)", "ra_rad", "RAdeg"."""
    if found := _UNIT_IN_NAME.search(name):
        return name[: found.start()].strip(), found[1]
    if found := _UNIT_AT_END.search(name):
        return name[: found.start()], found[1] or found[2]
    return name, ""


@dataclass(frozen=True)
class ColumnMap:
    """Which catalogue column holds what (None: there is none), and which of them were guessed.

    factors: what a role's numbers are multiplied by for degrees (arcsec for the pixel scale).
    whole: columns of ids that are whole numbers written as floats. flags: what stands in place of
    a stage T and is none, and how often. undefined: the number that stands for "unknown" in
    columns of numbers, in the column's own unit.
    """

    galaxy_id: str
    image: str | None = None
    ttype: str | None = None
    same_as: str | None = None
    ra: str | None = None
    dec: str | None = None
    pixel_scale: str | None = None
    guessed: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()
    flags: Mapping[str, int] = field(default_factory=dict)
    undefined: float | None = None

    @property
    def renamed(self) -> dict[str, str]:
        """Catalogue column to survey column, for those that get the survey's own name."""
        roles = ("galaxy_id", "ttype", "same_as", "ra", "dec")
        return {column: role for role in roles if (column := getattr(self, role))}


@dataclass(frozen=True)
class FurtherColumns:
    """What becomes of the columns of a catalogue that have no role.

    renamed: survey column to catalogue column. words: survey column to the one text that all rows
    have. no_ttype: a value of T that is none in this catalogue, such as EFIGI's 11, by which it
    means dwarf ellipticals. undefined: the number that stands for "unknown" in columns of numbers,
    those of T aside. ttype_error: in stages; T less and plus it are its limits where the catalogue
    has none that enclose it.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    undefined: float | None = None
    ttype_error: float | None = None
    no_ttype: float | None = None

    @property
    def names(self) -> set[str]:
        """The survey columns that are asked for."""
        return {*self.renamed, *self.words}

    def settle(self, catalog: StagedTable, columns: ColumnMap, name: str) -> None:
        """Compare with the catalogue; note which T have limits that were not in it.

        Raises BadCatalog, naming the column and what to do, for a column that the catalogue does
        not have, that cannot be kept or that has a role, for one that would have two names, and for
        a name that the survey needs itself.
        """
        there = column_names(catalog)
        first: dict[str, str] = {}
        for wanted, column in self.renamed.items():
            option = f"--column {wanted}={column}"
            if column not in there:
                raise BadCatalog(
                    f"{name}: no column {column!r} for {wanted}; correct {option} or leave it out;"
                    f" there are {', '.join(there)}"
                )
            if column in catalog.left_out:
                raise BadCatalog(
                    f"{name}: column {column!r} is {catalog.left_out[column]}; leave out {option}"
                )
            if role := columns.renamed.get(column) or first.get(column):
                raise BadCatalog(
                    f"{name}: column {column!r} is the {role} already; leave out {option}"
                )
            first[column] = wanted
        if taken := sorted(self.names & (OWN_COLUMNS | {SAME_COLUMN})):
            raise BadCatalog(f"{name}: {taken[0]} is made by the ingest; choose another name")
        if both := sorted(self.renamed.keys() & self.words.keys()):
            raise BadCatalog(f"{name}: {both[0]} is given by --column and by --word; leave one out")
        if columns.ttype:
            self._settle_limits(catalog, columns.ttype)
            if self.no_ttype is not None:
                found = (stages(values) for _, values in _values(catalog, columns.ttype))
                count = sum(int((one == self.no_ttype).sum()) for one in found)
                words = f"{count:,} x {self.no_ttype:g} taken as unknown (--no-ttype)"
                catalog.notes.append(f"ttype = {columns.ttype}: {words}")

    def stages(self, values: pa.ChunkedArray) -> NDArray[np.float64]:
        """T (N,) of a column, NaN where it is unknown or no stage."""
        found = stages(values)
        return found if self.no_ttype is None else np.where(found == self.no_ttype, np.nan, found)

    def _settle_limits(self, catalog: StagedTable, ttype: str) -> None:
        error = self.ttype_error
        limits = [self.renamed.get(limit, limit) for limit in LIMITS]
        if not set(limits) <= set(catalog.schema_arrow.names):
            if error is not None:
                catalog.notes.append(f"{' and '.join(LIMITS)}: T less and plus {error:g}")
            return
        open_sided = 0
        for parts in zip(*(_values(catalog, column) for column in (ttype, *limits)), strict=True):
            low, high = (stages(values) for _, values in parts[1:])
            stage = self.stages(parts[0][1])
            open_sided += int((~np.isnan(stage) & ~((low <= stage) & (stage <= high))).sum())
        if open_sided:
            cure = "; --ttype-error gives them some" if error is None else f": {error:g} was taken"
            catalog.notes.append(f"{open_sided} T without limits that enclose them{cure}")

    def kept(self, names: Sequence[str], columns: ColumnMap) -> dict[str, str]:
        """Survey column to catalogue column, for those of `names` that have no role.

        One whose name the survey needs itself gets the suffix "_catalog".
        """
        renamed = {column: name for name, column in self.renamed.items()}
        kept = {}
        for name in names:
            if name in columns.renamed:
                continue
            free = renamed.get(name, name)
            if free in OWN_COLUMNS or (name not in renamed and name in self.names):
                free += "_catalog"
                while free in names:
                    free += "_catalog"
            kept[free] = name
        return kept

    def unknown(self, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """Which values of a column are `undefined`; None for columns that may not have it."""
        numbers = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
        if self.undefined is None or not numbers or name in LIMITS:
            return None
        equal = pc.equal(values.cast(pa.float64(), safe=False), self.undefined)
        return pc.fill_null(equal, fill_value=False)

    def known(self, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column with `undefined` emptied, whole numbers to the last digit."""
        unknown = self.unknown(name, values)
        empty = pa.scalar(None, values.type)
        return values if unknown is None else pc.if_else(unknown, empty, values)

    def limits(
        self, ttype: NDArray[np.float64], low: Any, high: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Limits of T (N,), NaN where there are none; None where nothing is known of any."""
        given = low is not None and high is not None
        if not given and self.ttype_error is None:
            return None
        empty = np.full(len(ttype), np.nan)
        lows, highs = (stages(low), stages(high)) if given else (empty, empty.copy())
        enclosed = (lows <= ttype) & (ttype <= highs)
        error = np.nan if self.ttype_error is None else self.ttype_error
        return np.where(enclosed, lows, ttype - error), np.where(enclosed, highs, ttype + error)


def stages(values: pa.ChunkedArray) -> NDArray[np.float64]:
    """Stages (N,) of a column of numbers or words, NaN for what is none."""
    words = pa.types.is_string(values.type)
    numbers = _word_stages(values.to_pylist())[0] if words else floats(values)
    found: NDArray[np.float64] = stage_or_nan(numbers)
    return found


def map_columns(names: Sequence[str], given: dict[str, str | None], catalog: str) -> ColumnMap:
    """Find each role's column: the one given, else one of a usual name in any case.

    Raises BadCatalog, naming the columns there are, for a given column that is absent and where
    no column looks like an identifier.
    """
    found: dict[str, str | None] = {}
    guessed = []
    for role, usual in USUAL_NAMES.items():
        wanted = given.get(role)
        if wanted is not None and wanted not in names:
            alike = [name for name in names if name.lower() == wanted.lower()]
            if wanted.lower() == NONE and role != "galaxy_id":
                found[role] = None
                continue
            if len(alike) != 1:
                raise BadCatalog(f"{catalog}: no column {wanted!r}; there are {', '.join(names)}")
            wanted = alike[0]
        found[role] = wanted or next(
            (name for guess in usual for name in names if name.lower() == guess), None
        )
        if found[role] is None and role in {"ra", "dec", "pixel_scale"}:
            bare = {name: split_unit(name)[0].lower().replace(" ", "_") for name in names}
            found[role] = next((n for guess in usual for n in names if bare[n] == guess), None)
        if found[role] and not wanted:
            guessed.append(f"{role} = {found[role]}")
    if not found["galaxy_id"]:
        raise BadCatalog(f"{catalog}: no id column found; name it by --id: {', '.join(names)}")
    return ColumnMap(**found, guessed=tuple(guessed))  # type: ignore[arg-type]


def column_names(catalog: StagedTable) -> list[str]:
    """Names of all columns, those that cannot be used last."""
    plain = plain_table(catalog.schema_arrow.empty_table(), catalog.left_out)
    return [*plain.column_names, *(name for name in catalog.left_out if " " not in name)]


ANGLE_WORDS = {
    "degree": "deg", "degrees": "deg", "degs": "deg", "d": "deg", "radian": "rad",
    "radians": "rad", "hours": "h", "hr": "h", "hrs": "h", "arcseconds": "arcsec",
    "decimal degrees": "deg", "degree (j2000)": "deg", "asec": "arcsec",
    "arcsec/pixel": "arcsec", "arcsec/pix": "arcsec", "arcsec / pix": "arcsec", "j2000": "",
    "icrs": "", "hour": "h", "hourangle": "h", "hms": "h:m:s", "dms": "d:m:s",
}  # fmt: skip

DEGREES_FIRST = re.compile(r"(?<![a-z])d+:?m+:?s+(?![a-z])", re.IGNORECASE)
"""In a name or unit of an angle: "ra_dms", "dd:mm:ss"."""


def settle_columns(
    catalog: StagedTable,
    columns: ColumnMap,
    given: Mapping[str, str | None],
    name: str,
    *,
    needs_positions: bool = False,
) -> ColumnMap:
    """Look at the columns of the roles as a whole: units, words, flags; say so in its notes.

    A column that was guessed for pictures, positions, pixel scales or stages and cannot be read as
    such is left unused with a note. needs_positions: not those of positions.

    Raises BadCatalog, naming column, value and cure, for what was given and cannot be read, for
    float ids and for a column of T that has no stage.
    """
    whole = {columns.galaxy_id} if _settle_ids(catalog, columns.galaxy_id, name) else set[str]()
    factors: dict[str, float] = {}
    flags: Mapping[str, int] = {}
    unused: dict[str, Any] = {}
    for role in ("image", "same_as", "ra", "dec", "pixel_scale", "ttype"):
        column = getattr(columns, role)
        if column is None:
            continue
        try:
            if column in catalog.left_out:
                raise BadCatalog(f"{name}: column {column!r} is {catalog.left_out[column]}")
            if role == "ttype":
                flags = _settle_stages(catalog, column, name)
            elif role == "same_as":
                whole |= {column} if _settle_ids(catalog, column, name) else set()
            elif role != "image":
                factors[role] = _settle_angle(catalog, column, role, name)
        except BadCatalog as error:
            if given.get(role) or (needs_positions and role in {"ra", "dec"}):
                raise
            unused[role] = None
            catalog.notes.append(f"{role} not used: {str(error).removeprefix(f'{name}: ')}")
    if {"ra", "dec"} & unused.keys():
        unused |= {"ra": None, "dec": None}
    guessed = tuple(g for g in columns.guessed if g.split(" = ")[0] not in unused)
    found = replace(columns, **unused, factors=factors, guessed=guessed, flags=flags)
    return replace(found, whole=frozenset(whole))


def _values(catalog: StagedTable, column: str) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """A column by blocks, with the number of the first row of each."""
    # A value of a vector lies under the vector's own name.
    there = catalog.schema_arrow.names
    stored = column if column in there else column.rpartition("_")[0]
    start = 0
    for batch in catalog.iter_batches(batch_size=BATCH_ROWS, columns=[stored]):
        yield start, plain_table(pa.table(batch))[column]
        start += batch.num_rows


def lost_digits(values: NDArray[Any]) -> str:
    """One of the ids that are floats and no whole number that their type holds to the last digit.

    That is below 2^53, for single precision 2^24. Empty where there is none.
    """
    if values.dtype.kind != "f":
        return ""
    exact = min(MOST_EXACT, 2 ** (np.finfo(values.dtype).nmant + 1))
    # As double precision, for the bound itself is beyond what half precision holds.
    numbers = values.astype(np.float64)
    bad = numbers[~((numbers == np.floor(numbers)) & (np.abs(numbers) < exact))]
    return f"{bad[0]:.17g}" if bad.size else ""


def _settle_ids(catalog: StagedTable, column: str, name: str) -> bool:
    if column in catalog.left_out:
        raise BadCatalog(
            f"{name}: the id column {column!r} is {catalog.left_out[column]}; write it as text"
        )
    whole: bool | None = None
    for _, values in _values(catalog, column):
        if pa.types.is_floating(values.type):
            numbers = values.drop_null().to_numpy()
            numbers = numbers[~np.isnan(numbers)]
            if lost := lost_digits(numbers):
                raise BadCatalog(float_ids(column, name, lost))
            whole = True
        elif pa.types.is_string(values.type):
            these = [text for text in values.drop_null().to_pylist() if text]
            # Beyond the first block all have to be alike: ids such as 12.0 and 12.5 are names.
            fitting = check_id_texts(these, column, name)
            whole = fitting if whole is None or not these else whole and fitting
    if whole:
        catalog.notes.append(f"ids: {column} holds whole numbers as floats, written as integers")
    return bool(whole)


def _sexagesimal(catalog: StagedTable, column: str, role: str, name: str) -> str:
    """What angles such as hh:mm:ss of a column count: "hours" or "degrees"; empty without any.

    Raises BadCatalog for what is no angle.
    """
    sexagesimal, plain = "", ""
    for start, values in _values(catalog, column):
        if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
            for row, value in enumerate(values.to_pylist(), start + 1):
                cell = str(value or "").strip()
                if np.isnan(text_angle(cell, role)) and cell not in EMPTY:
                    raise BadCatalog(
                        f"{name}: column {column!r}, row {row}: {cell[:40]!r} is no number; "
                        f"degrees or hh:mm:ss are needed (--{role} none leaves the column out)"
                    )
                number = decimal(cell)
                if number is None and cell not in EMPTY and sexagesimal != "hours":
                    # Of RA those with a d or a degree sign in them count degrees.
                    same = text_angle(cell, role) == text_angle(cell, "dec")
                    sexagesimal = "degrees" if same else "hours"
                if role == "ra" and number is not None and abs(number) <= 24.0:
                    plain = plain or cell
    if sexagesimal and plain:
        raise BadCatalog(
            f"{name}: column {column!r} has {plain!r} among hh:mm:ss: hours or degrees? Write all "
            f"cells alike (--{role} none leaves the column out)"
        )
    return sexagesimal


def _check_scales(catalog: StagedTable, column: str, name: str) -> None:
    """Refuse pixel scales that can be no arcsec."""
    for _, values in _values(catalog, column):
        numbers = np.empty(0) if pa.types.is_string(values.type) else floats(values)
        tiny = numbers[(numbers > 0) & (numbers < SMALLEST_SCALE)]
        if tiny.size:
            raise BadCatalog(
                f"{name}: column {column!r} has {tiny[0]:.3g} where arcsec a pixel are needed; "
                f"call it {column}_deg if these are degrees, or leave it out"
            )


def _settle_angle(catalog: StagedTable, column: str, role: str, name: str) -> float:
    """What numbers of a column are multiplied by for degrees, or arcsec for the pixel scale."""
    from astropy import units

    goal = "arcsec" if role == "pixel_scale" else "deg"
    said = (catalog.units.get(column, "") or split_unit(column)[1]).strip()
    word = ANGLE_WORDS.get(said.lower(), said)
    if "1950" in column or "1950" in said:
        raise BadCatalog(
            f"{name}: column {column!r} is of B1950; convert it to J2000 (--{role} none leaves it"
            " out)"
        )
    sexagesimal = _sexagesimal(catalog, column, role, name)
    if sexagesimal == "hours" and (word == "deg" or DEGREES_FIRST.search(f"{column} {said}")):
        raise BadCatalog(
            f"{name}: column {column!r} holds hh:mm:ss, but its unit or name says degrees; write "
            "one of the two (--ra none leaves it out)"
        )
    if sexagesimal:
        catalog.notes.append(f"{role} = {column}: sexagesimal ({sexagesimal}) converted")
        return 1.0
    if not word and role == "pixel_scale":
        _check_scales(catalog, column, name)
    if not word:
        return 1.0
    try:
        unit = units.Unit(word)
        if role == "ra" and unit.is_equivalent(units.s):
            unit *= units.hourangle / units.hour
        factor = float(unit.to(goal))
    except (ValueError, TypeError, units.UnitConversionError) as error:
        raise BadCatalog(
            f"{name}: column {column!r} has the unit {said!r}; {goal}, rad, arcsec"
            f"{' or hours' if role == 'ra' else ''} are needed (--{role} none leaves it out)"
        ) from error
    if factor != 1.0:
        catalog.notes.append(f"{role} = {column}: {said} converted to {goal}")
    return factor


def _settle_stages(catalog: StagedTable, column: str, name: str) -> Counter[str]:
    """The flags among the stages, noted with words read as T; refuse a column without stages."""
    flags: Counter[str] = Counter()
    words: set[str] = set()
    known, refusal = 0, ""
    for start, values in _values(catalog, column):
        if pa.types.is_string(values.type):
            numbers, said, why = _word_stages(values.to_pylist())
            words |= {word for word, stage in said if not np.isnan(stage)}
            flags.update(word for word, stage in said if np.isnan(stage))
            if why and not refusal:
                refusal = f"{name}: column {column!r}, row {start + why[0] + 1}: {why[1]}"
        else:
            numbers = floats(values)
        known += int(np.isfinite(stage_or_nan(numbers)).sum())
        outside = numbers[~np.isnan(numbers) & np.isnan(stage_or_nan(numbers))]
        flags.update(f"{number:g}" for number in outside.tolist())
    if refusal and not known:
        raise BadCatalog(
            f"{refusal}; correct or empty the cell, or leave the column out by --ttype none"
        )
    if words:
        some = ", ".join(sorted(words)[:5])
        catalog.notes.append(f"ttype = {column}: Hubble types read as stages T ({some})")
    if flags:
        catalog.notes.append(f"ttype = {column}: {outside_words(flags)}")
    return flags


def _word_stages(
    values: list[str | None],
) -> tuple[NDArray[np.float64], list[tuple[str, float]], tuple[int, str] | None]:
    """Stages of a column of text, each word with its own, and the first that is none and why."""
    numbers, words, why = np.full(len(values), np.nan), [], None
    for i, value in enumerate(values):
        text = (value or "").strip()
        try:
            numbers[i] = hubble_stage(text)
        except ValueError as error:
            why = why or (i, str(error))
        if text and text not in EMPTY and not NUMBER.fullmatch(text):
            words.append((text, float(numbers[i])))
    return numbers, words, why


def floats(values: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers (N,) of a column, NaN for what is none or not finite.

    The nearest ones to whole numbers beyond 2^53, such as the least of int64: a flag, as -999 is.
    """
    numbers = np.array(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers
