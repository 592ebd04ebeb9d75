"""The user's catalogue: any table, staged as Parquet and walked through in blocks.

CSV and Parquet, which surveys of millions come in, never lie in memory as a whole. The ingest sees
a row by its identity, picture, position and stage; all other columns go into the survey as they
are. What a role's column holds (units, words, floats) is settled once, before any picture is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadCatalog, BadImage
from galaxy_explorer.survey.limits import MAX_ID_CHARACTERS
from galaxy_explorer.survey.store import (
    AXIS_RATIO_COLUMN,
    CHUNK_ROWS,
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
from galaxy_explorer.utils.reading import StagedTable, plain_table, stage_table
from galaxy_explorer.utils.tables import (
    EMPTY,
    MOST_EXACT,
    NUMBER,
    check_id_texts,
    float_ids,
    hubble_stage,
    outside_words,
    stage_or_nan,
)

BATCH_ROWS = 65_536
OWN_COLUMNS = {
    *FIXED, SCALE_COLUMN, VALID_COLUMN, TAKEN_COLUMN, RENDERING_COLUMN, KEY_COLUMN, RADIUS_COLUMN,
    AXIS_RATIO_COLUMN, WANTED_COLUMN,
}  # fmt: skip
"""What the ingest writes itself: a user's column of such a name is kept under another."""
LIMITS = ("ttype_lo", "ttype_hi")
NONE = "none"
"""What switches a role off: `--ra none`."""
USUAL_NAMES = {
    "galaxy_id": ("galaxy_id", "objid", "dr7objid", "dr8objid", "object_id", "id", "name"),
    "image": ("image", "file", "filename", "path", "picture", "stamp"),
    "ttype": ("ttype", "t_type", "t", "hubble_stage"),
    "same_as": ("same_as",),
    "ra": ("ra", "raj2000", "ra_deg", "alpha_j2000"),
    "dec": ("dec", "de", "dej2000", "dec_deg", "delta_j2000"),
    "pixel_scale": ("pixel_scale_arcsec", "pixscale_arcsec", "pixscale"),
}


@dataclass(frozen=True)
class ColumnMap:
    """Which catalogue column holds what (None: there is none), and which of them were guessed.

    factors: what a role's numbers are multiplied by for degrees (arcsec for the pixel scale).
    whole_ids: the ids are whole numbers that are written as floats.
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
    whole_ids: bool = False

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
        """Compare with the catalogue; note how many T have no limits that enclose them.

        Raises BadCatalog, naming the column and what to do, for a column that the catalogue does
        not have or that has a role, and for a name that the survey needs itself.
        """
        there = column_names(catalog)
        for wanted, column in self.renamed.items():
            if column not in there:
                raise BadCatalog(
                    f"{name}: no column {column!r} for {wanted}; correct --column"
                    f" {wanted}={column} or leave it out; there are {', '.join(there)}"
                )
            if column in columns.renamed:
                raise BadCatalog(
                    f"{name}: column {column!r} is the {columns.renamed[column]} already; leave out"
                    f" --column {wanted}={column}"
                )
        if taken := sorted(self.names & (OWN_COLUMNS | {SAME_COLUMN})):
            raise BadCatalog(f"{name}: {taken[0]} is made by the ingest; choose another name")
        if both := sorted(self.renamed.keys() & self.words.keys()):
            raise BadCatalog(f"{name}: {both[0]} is given by --column and by --word; leave one out")
        limits = [self.renamed.get(limit, limit) for limit in LIMITS]
        if not columns.ttype or not set(limits) <= set(catalog.schema_arrow.names):
            return
        open_sided = 0
        for table in blocks(catalog, start=0, size=BATCH_ROWS):
            low, high = (_stages(table[column]) for column in limits)
            ttype = self.stages(table[columns.ttype])
            open_sided += int((~np.isnan(ttype) & ~((low <= ttype) & (ttype <= high))).sum())
        if open_sided:
            error = self.ttype_error
            cure = "; --ttype-error gives them some" if error is None else f": {error:g} was taken"
            catalog.notes.append(f"{open_sided} T without limits that enclose them{cure}")

    def known(self, name: str, values: pa.ChunkedArray) -> Any:
        """A column with `undefined` emptied, where it has numbers."""
        numbers = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
        if self.undefined is None or not numbers or name in LIMITS:
            return values
        floats = _floats(values)
        return np.where(floats == self.undefined, np.nan, floats)

    def stages(self, values: pa.ChunkedArray) -> NDArray[np.float64]:
        """T (N,), NaN where it is unknown or no stage."""
        stages = _stages(values)
        return np.where(stages == self.no_ttype, np.nan, stages) if self.no_ttype else stages

    def limits(
        self, ttype: NDArray[np.float64], low: Any, high: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Limits of T (N,), NaN where there are none; None where nothing is known of any."""
        given = low is not None and high is not None
        if not given and self.ttype_error is None:
            return None
        empty = np.full(len(ttype), np.nan)
        lows, highs = (_stages(low), _stages(high)) if given else (empty, empty.copy())
        enclosed = (lows <= ttype) & (ttype <= highs)
        error = np.nan if self.ttype_error is None else self.ttype_error
        return np.where(enclosed, lows, ttype - error), np.where(enclosed, highs, ttype + error)


def _stages(values: pa.ChunkedArray) -> NDArray[np.float64]:
    """Stages (N,) of a column of numbers or words, NaN for what is none."""
    words = pa.types.is_string(values.type)
    numbers = [hubble_stage(v or "") for v in values.to_pylist()] if words else _floats(values)
    stages: NDArray[np.float64] = stage_or_nan(numbers)
    return stages


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
        if found[role] and not wanted:
            guessed.append(f"{role} = {found[role]}")
    if not found["galaxy_id"]:
        raise BadCatalog(f"{catalog}: no id column found; name it by --id: {', '.join(names)}")
    return ColumnMap(**found, guessed=tuple(guessed))  # type: ignore[arg-type]


def stage_catalog(
    path: Path,
    staged: Path,
    given: dict[str, str | None] | None = None,
    table: str | None = None,
) -> StagedTable:
    """Write the catalogue `path` as Parquet to `staged` and open it; see `stage_table`.

    given: columns of roles; those of ids and pictures are text from the first byte on.

    Raises BadCatalog where the file cannot be read or has no rows.
    """

    def texts(names: list[str]) -> set[str]:
        if given is None:
            return set()
        columns = map_columns(names, given, str(path))
        return {name for name in (columns.galaxy_id, columns.image, columns.same_as) if name}

    opened = stage_table(path, staged, table=table, as_text=texts)
    if opened.metadata.num_rows == 0:
        raise BadCatalog(f"{path}: no rows")
    return opened


def column_names(catalog: StagedTable) -> list[str]:
    """Names of all columns, those that cannot be used last."""
    plain = plain_table(catalog.schema_arrow.empty_table(), catalog.left_out)
    return [*plain.column_names, *(name for name in catalog.left_out if " " not in name)]


def blocks(catalog: pq.ParquetFile, *, start: int, size: int) -> Iterator[pa.Table]:
    """The rows from `start` on in tables of `size` rows (the last may be shorter)."""
    position = 0
    waiting: pa.Table | None = None
    left_out = catalog.left_out if isinstance(catalog, StagedTable) else ()
    wanted = [name for name in catalog.schema_arrow.names if name not in left_out]
    for batch in catalog.iter_batches(batch_size=size, columns=wanted):
        skipped = min(max(start - position, 0), batch.num_rows)
        position += batch.num_rows
        table = plain_table(pa.table(batch).slice(skipped))
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= size:
            yield waiting.slice(0, size).combine_chunks()
            waiting = waiting.slice(size)
    if waiting is not None and waiting.num_rows:
        yield waiting.combine_chunks()


LARGEST_DEC_DEG = 90.0
LARGEST_RA_DEG = 360.0


@dataclass(frozen=True)
class CatalogRow:
    """One catalogue row; positions in degrees, NaN where unknown."""

    row: int
    galaxy_id: str
    image: str
    ra: float
    dec: float
    pixel_scale: float
    same_as: str = ""

    def check(self) -> None:
        """Raise BadImage for an id that is missing, too long or not printable."""
        if not self.galaxy_id:
            raise BadImage("catalogue", "the row has no id")
        if len(self.galaxy_id) > MAX_ID_CHARACTERS or not self.galaxy_id.isprintable():
            raise BadImage("catalogue", f"the id is unprintable or over {MAX_ID_CHARACTERS} long")


ANGLE_WORDS = {
    "degree": "deg", "degrees": "deg", "degs": "deg", "d": "deg", "radian": "rad",
    "radians": "rad", "hours": "h", "hr": "h", "hrs": "h", "arcseconds": "arcsec",
    "decimal degrees": "deg", "degree (j2000)": "deg", "asec": "arcsec",
    "arcsec/pixel": "arcsec", "arcsec/pix": "arcsec", "arcsec / pix": "arcsec",
}  # fmt: skip
NAME_UNITS = {"_rad": "rad", "_radians": "rad", "_hours": "h", "_hour": "h", "_arcsec": "arcsec"}
_SEXAGESIMAL = re.compile(
    r"([+-]?)\s*(\d{1,3})\s*([:hd\u00b0 ])\s*(\d{1,2}(?:\.\d*)?)"
    r"(?:\s*[:m'\u2032 ]\s*(\d{1,2}(?:\.\d*)?))?\s*[s\"\u2033m'\u2032]?"
)


def settle_columns(
    catalog: StagedTable,
    columns: ColumnMap,
    given: Mapping[str, str | None],
    name: str,
    *,
    needs_positions: bool = False,
) -> ColumnMap:
    """Look at the columns of the roles as a whole: units, words, flags; say so in its notes.

    A column that was guessed for pictures, positions or pixel scales and cannot be read as such is
    left unused with a note. needs_positions: not those of positions.

    Raises BadCatalog, naming column, value and cure, for what was given and cannot be read, for
    float ids and for words that are no T.
    """
    columns = replace(columns, whole_ids=_settle_ids(catalog, columns.galaxy_id, name))
    factors: dict[str, float] = {}
    unused: dict[str, Any] = {}
    for role in ("image", "ra", "dec", "pixel_scale"):
        column = getattr(columns, role)
        if column is None:
            continue
        try:
            if column in catalog.left_out:
                raise BadCatalog(f"{name}: column {column!r} is {catalog.left_out[column]}")
            if role != "image":
                factors[role] = _settle_angle(catalog, column, role, name)
        except BadCatalog as error:
            if given.get(role) or (needs_positions and role in {"ra", "dec"}):
                raise
            unused[role] = None
            catalog.notes.append(f"{role} not used: {str(error).removeprefix(f'{name}: ')}")
    if {"ra", "dec"} & unused.keys():
        unused |= {"ra": None, "dec": None}
    if columns.ttype:
        _settle_stages(catalog, columns.ttype, name)
    guessed = tuple(g for g in columns.guessed if g.split(" = ")[0] not in unused)
    return replace(columns, **unused, factors=factors, guessed=guessed)


def _values(catalog: StagedTable, column: str) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """A column by blocks, with the number of the first row of each."""
    # A value of a vector lies under the vector's own name.
    there = catalog.schema_arrow.names
    stored = column if column in there else column.rpartition("_")[0]
    start = 0
    for batch in catalog.iter_batches(batch_size=BATCH_ROWS, columns=[stored]):
        yield start, plain_table(pa.table(batch))[column]
        start += batch.num_rows


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
            bad = numbers[(numbers != np.floor(numbers)) | (np.abs(numbers) >= MOST_EXACT)]
            if bad.size:
                raise BadCatalog(float_ids(column, name, f"{bad[0]:.17g}"))
            whole = True
        elif pa.types.is_string(values.type):
            these = [text for text in values.drop_null().to_pylist() if text]
            # Beyond the first block all have to be alike: ids such as 12.0 and 12.5 are names.
            fitting = check_id_texts(these, column, name)
            whole = fitting if whole is None or not these else whole and fitting
    if whole:
        catalog.notes.append(f"ids: {column} holds whole numbers as floats, written as integers")
    return bool(whole)


def _settle_angle(catalog: StagedTable, column: str, role: str, name: str) -> float:
    """What numbers of a column are multiplied by for degrees, or arcsec for the pixel scale."""
    from astropy import units

    goal = "arcsec" if role == "pixel_scale" else "deg"
    ending = next((unit for end, unit in NAME_UNITS.items() if column.lower().endswith(end)), "")
    said = catalog.units.get(column, ending).strip()
    word = ANGLE_WORDS.get(said.lower(), said)
    text = False
    for start, values in _values(catalog, column):
        if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
            text = text or values.null_count < len(values)
            for row, value in enumerate(values.to_pylist(), start + 1):
                if np.isnan(_angle(str(value or ""), role)) and str(value or "") not in EMPTY:
                    raise BadCatalog(
                        f"{name}: column {column!r}, row {row}: {str(value)[:40]!r} is no number; "
                        f"degrees or hh:mm:ss are needed (--{role} none leaves the column out)"
                    )
    if text:
        catalog.notes.append(
            f"{role} = {column}: sexagesimal ({'hours' if role == 'ra' else 'degrees'}) converted"
        )
        return 1.0
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


def _settle_stages(catalog: StagedTable, column: str, name: str) -> None:
    """Note the flags among the stages and words that were read; refuse a word that is none."""
    if column in catalog.left_out:
        raise BadCatalog(f"{name}: column {column!r} is {catalog.left_out[column]}")
    flags: Counter[str] = Counter()
    words: set[str] = set()
    for start, values in _values(catalog, column):
        if pa.types.is_string(values.type):
            numbers, said = _word_stages(values.to_pylist(), f"{name}: column {column!r}", start)
            words |= {word for word, stage in said if not np.isnan(stage)}
            flags.update(word for word, stage in said if np.isnan(stage))
        else:
            numbers = _floats(values)
        outside = numbers[~np.isnan(numbers) & np.isnan(stage_or_nan(numbers))]
        flags.update(f"{number:g}" for number in outside.tolist())
    if words:
        some = ", ".join(sorted(words)[:5])
        catalog.notes.append(f"ttype = {column}: Hubble types read as stages T ({some})")
    if flags:
        catalog.notes.append(f"ttype = {column}: {outside_words(flags)}")


def _word_stages(
    values: list[str | None], where: str, start: int
) -> tuple[NDArray[np.float64], list[tuple[str, float]]]:
    """Stages of a column of text, and each word with its own. Raises BadCatalog with the row."""
    numbers, words = np.full(len(values), np.nan), []
    for i, value in enumerate(values):
        try:
            numbers[i] = hubble_stage(value or "")
        except ValueError as error:
            raise BadCatalog(
                f"{where}, row {start + i + 1}: {error}; correct or empty the cell, or leave the "
                "column out by --ttype none"
            ) from error
        if value and value.strip() not in EMPTY and not NUMBER.fullmatch(value.strip()):
            words.append((value.strip(), float(numbers[i])))
    return numbers, words


def _angle(text: str, role: str) -> float:
    """Degrees of a number or of hh:mm:ss, dd:mm:ss; NaN where it is neither."""
    text = text.strip().replace("\u2212", "-")
    try:
        return float(text)
    except ValueError:
        found = _SEXAGESIMAL.fullmatch(text)
    if not found:
        return float("nan")
    sign, whole, mark, minutes, seconds = found.groups()
    if float(minutes) > 60.0 or float(seconds or 0) > 60.0:
        return float("nan")
    value = float(whole) + float(minutes) / 60.0 + float(seconds or 0) / 3600.0
    if role == "ra" and mark not in "d\u00b0":
        value = 15.0 * value if value <= 24.0 else float("nan")
    return -value if sign == "-" else value


def block_rows(table: pa.Table, columns: ColumnMap, start: int) -> Iterator[CatalogRow]:
    """The rows of a block whose first row has number `start`."""
    ids, images = _ids(table, columns), _texts(table, columns.image)
    same_as = _texts(table, columns.same_as)
    ra, dec = _positions(table, columns)
    scales = _angles(table, columns, "pixel_scale")
    for i in range(table.num_rows):
        yield CatalogRow(
            start + i, ids[i], images[i], float(ra[i]), float(dec[i]), float(scales[i]), same_as[i]
        )


def all_rows(catalog: pq.ParquetFile, columns: ColumnMap) -> Iterator[CatalogRow]:
    """Every row of the catalogue, a block at a time."""
    start = 0
    for table in blocks(catalog, start=0, size=CHUNK_ROWS):
        yield from block_rows(table, columns, start)
        start += table.num_rows


def survey_columns(
    table: pa.Table, columns: ColumnMap, kept: list[int], further: FurtherColumns
) -> dict[str, Any]:
    """The survey's columns of the `kept` rows: the mapped ones, then the user's others.

    A user's column whose name the survey needs itself gets the suffix "_catalog".
    """
    table = table.take(pa.array(kept, pa.int64()))
    ra, dec = _positions(table, columns)
    ttype = np.full(table.num_rows, np.nan)
    if columns.ttype:
        ttype = further.stages(table[columns.ttype])
    ids = pa.array(_ids(table, columns), pa.string())
    result: dict[str, Any] = {"galaxy_id": ids, "ra": ra, "dec": dec, "ttype": ttype}
    renamed = {column: name for name, column in further.renamed.items()}
    for name in table.column_names:
        if name in columns.renamed:
            continue
        free = renamed.get(name, name)
        if free in OWN_COLUMNS or (name not in renamed and name in further.names):
            free += "_catalog"
            while free in table.column_names:
                free += "_catalog"
        result[free] = further.known(free, table[name])
    if columns.same_as:
        result[SAME_COLUMN] = pa.array(_texts(table, columns.same_as), pa.string())
    for name, word in further.words.items():
        result[name] = pa.array([word] * table.num_rows, pa.string())
    if limits := further.limits(ttype, *(result.get(name) for name in LIMITS)):
        result |= zip(LIMITS, limits, strict=True)
    return result


def _texts(table: pa.Table, column: str | None) -> list[str]:
    if column is None:
        return [""] * table.num_rows
    values = table[column].cast(pa.string()).to_pylist()
    return ["" if value is None else value.strip() for value in values]


def _ids(table: pa.Table, columns: ColumnMap) -> list[str]:
    """Ids as text, to the last digit."""
    values = table[columns.galaxy_id]
    if columns.whole_ids and pa.types.is_floating(values.type):
        return ["" if v is None or np.isnan(v) else str(int(v)) for v in values.to_pylist()]
    texts = _texts(table, columns.galaxy_id)
    return [text.split(".")[0] for text in texts] if columns.whole_ids else texts


def _floats(values: pa.ChunkedArray) -> NDArray[np.float64]:
    numbers = np.array(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _angles(table: pa.Table, columns: ColumnMap, role: str) -> NDArray[np.float64]:
    column = getattr(columns, role)
    if column is None:
        return np.full(table.num_rows, np.nan)
    values = table[column]
    if pa.types.is_string(values.type):
        return np.array([_angle(value or "", role) for value in values.to_pylist()], np.float64)
    return _floats(values) * columns.factors.get(role, 1.0)


def _positions(
    table: pa.Table, columns: ColumnMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RA and Dec in degrees; both NaN where either is or the declination is impossible."""
    ra, dec = _angles(table, columns, "ra"), _angles(table, columns, "dec")
    unknown = ~(np.abs(ra) <= LARGEST_RA_DEG) | ~(np.abs(dec) <= LARGEST_DEC_DEG)
    ra[unknown] = dec[unknown] = np.nan
    return ra, dec
