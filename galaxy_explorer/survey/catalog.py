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
from galaxy_explorer.survey.inventory import CatalogUse, ColumnUse, TypeCounts, range_words
from galaxy_explorer.survey.limits import MAX_ID_CHARACTERS
from galaxy_explorer.survey.store import CHUNK_ROWS, SCALE_COLUMN
from galaxy_explorer.survey.writer import FIXED
from galaxy_explorer.utils.reading import StagedTable, plain_table, stage_table
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
NONE = "none"
"""What switches a role off: `--ra none`."""
USUAL_NAMES = {
    "galaxy_id": ("galaxy_id", "objid", "dr7objid", "dr8objid", "object_id", "id", "name"),
    "image": ("image", "file", "filename", "path", "picture", "stamp"),
    "ttype": ("ttype", "t_type", "t", "hubble_stage"),
    "ra": ("ra", "raj2000", "alpha_j2000", "ra_icrs", "_raj2000", "ra_j2000", "right_ascension"),
    "dec": (
        "dec", "de", "dej2000", "delta_j2000", "de_icrs", "_dej2000", "dec_j2000", "declination",
        "decl",
    ),
    "pixel_scale": ("pixel_scale_arcsec", "pixscale_arcsec", "pixscale"),
}  # fmt: skip
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
    whole_ids: the ids are whole numbers that are written as floats. flags: what stands in place of
    a stage T and is none, and how often.
    """

    galaxy_id: str
    image: str | None = None
    ttype: str | None = None
    ra: str | None = None
    dec: str | None = None
    pixel_scale: str | None = None
    guessed: tuple[str, ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    whole_ids: bool = False
    flags: Mapping[str, int] = field(default_factory=dict)

    @property
    def renamed(self) -> dict[str, str]:
        """Catalogue column to survey column, for those that get the survey's own name."""
        pairs = {"galaxy_id": self.galaxy_id, "ttype": self.ttype, "ra": self.ra, "dec": self.dec}
        return {column: name for name, column in pairs.items() if column}


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
        return {name for name in (columns.galaxy_id, columns.image) if name}

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
SMALLEST_SCALE = 1e-3  # arcsec; no telescope has smaller pixels
HOURS_DEC_SPAN = 60.0  # degrees; a survey so tall is seldom 24 degrees wide


@dataclass(frozen=True)
class CatalogRow:
    """One catalogue row; positions in degrees, NaN where unknown."""

    row: int
    galaxy_id: str
    image: str
    ra: float
    dec: float
    pixel_scale: float

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
    "arcsec/pixel": "arcsec", "arcsec/pix": "arcsec", "arcsec / pix": "arcsec", "j2000": "",
    "icrs": "", "hour": "h", "hourangle": "h", "hms": "h:m:s", "dms": "d:m:s",
}  # fmt: skip


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
    columns = replace(columns, whole_ids=_settle_ids(catalog, columns.galaxy_id, name))
    factors: dict[str, float] = {}
    flags: Mapping[str, int] = {}
    unused: dict[str, Any] = {}
    for role in ("image", "ra", "dec", "pixel_scale", "ttype"):
        column = getattr(columns, role)
        if column is None:
            continue
        try:
            if column in catalog.left_out:
                raise BadCatalog(f"{name}: column {column!r} is {catalog.left_out[column]}")
            if role == "ttype":
                flags = _settle_stages(catalog, column, name)
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
    return replace(columns, **unused, factors=factors, guessed=guessed, flags=flags)


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


def _is_sexagesimal(catalog: StagedTable, column: str, role: str, name: str) -> bool:
    """Whether a column has angles such as hh:mm:ss; raises BadCatalog for what is no angle."""
    sexagesimal, plain = False, ""
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
                sexagesimal = sexagesimal or (number is None and cell not in EMPTY)
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
        numbers = np.empty(0) if pa.types.is_string(values.type) else _floats(values)
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
    sexagesimal = _is_sexagesimal(catalog, column, role, name)
    if sexagesimal and role == "ra" and word == "deg":
        raise BadCatalog(
            f"{name}: column {column!r} holds hh:mm:ss, but its unit says degrees; write one of "
            "the two (--ra none leaves it out)"
        )
    if sexagesimal:
        catalog.notes.append(
            f"{role} = {column}: sexagesimal ({'hours' if role == 'ra' else 'degrees'}) converted"
        )
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
            numbers = _floats(values)
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


def block_rows(table: pa.Table, columns: ColumnMap, start: int) -> Iterator[CatalogRow]:
    """The rows of a block whose first row has number `start`."""
    ids, images = _ids(table, columns), _texts(table, columns.image)
    ra, dec = _positions(table, columns)
    scales = _angles(table, columns, "pixel_scale")
    for i in range(table.num_rows):
        yield CatalogRow(
            start + i, ids[i], images[i], float(ra[i]), float(dec[i]), float(scales[i])
        )


def all_rows(catalog: pq.ParquetFile, columns: ColumnMap) -> Iterator[CatalogRow]:
    """Every row of the catalogue, a block at a time."""
    start = 0
    for table in blocks(catalog, start=0, size=CHUNK_ROWS):
        yield from block_rows(table, columns, start)
        start += table.num_rows


def survey_columns(table: pa.Table, columns: ColumnMap, kept: list[int]) -> dict[str, Any]:
    """The survey's columns of the `kept` rows: the mapped ones, then the user's others.

    A user's column whose name the survey needs itself gets the suffix "_catalog".
    """
    table = table.take(pa.array(kept, pa.int64()))
    ra, dec = _positions(table, columns)
    ttype = np.full(table.num_rows, np.nan)
    if columns.ttype:
        values = table[columns.ttype]
        words = pa.types.is_string(values.type)
        ttype = stage_or_nan(_word_stages(values.to_pylist())[0] if words else _floats(values))
    ids = pa.array(_ids(table, columns), pa.string())
    result: dict[str, Any] = {"galaxy_id": ids, "ra": ra, "dec": dec, "ttype": ttype}
    for name in table.column_names:
        if name in columns.renamed:
            continue
        free = name
        if name in FIXED or name == SCALE_COLUMN:
            free += "_catalog"
            while free in table.column_names:
                free += "_catalog"
        result[free] = table[name]
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
    factor = columns.factors.get(role, 1.0)  # 1 for sexagesimal ones
    if pa.types.is_string(values.type):
        texts = values.to_pylist()
        return factor * np.array([text_angle(value or "", role) for value in texts], np.float64)
    return _floats(values) * factor


def _positions(
    table: pa.Table, columns: ColumnMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RA and Dec in degrees; both NaN where either is or the declination is impossible."""
    ra, dec = _angles(table, columns, "ra"), _angles(table, columns, "dec")
    unknown = ~(np.abs(ra) <= LARGEST_RA_DEG) | ~(np.abs(dec) <= LARGEST_DEC_DEG)
    ra[unknown] = dec[unknown] = np.nan
    return ra, dec


MANY_ROWS = 20  # from which on the range of a column says something of its unit
ROLES = {"galaxy_id": "id", "image": "picture", "ra": "RA", "dec": "Dec", "ttype": "T"}


@dataclass
class _Extent:
    """How many numbers of a column are known, the least and the largest."""

    known: int = 0
    least: float = np.inf
    most: float = -np.inf
    whole: bool = True

    def add(self, values: NDArray[np.float64]) -> None:
        """Take more of the column in."""
        there = values[np.isfinite(values)]
        self.known += there.size
        self.least = min(self.least, float(there.min(initial=np.inf)))
        self.most = max(self.most, float(there.max(initial=-np.inf)))
        self.whole = self.whole and bool((there == np.floor(there)).all())

    def words(self, rows: int, unit: str) -> str:
        """From where to where, and of how many rows it is unknown."""
        within = range_words(self.least, self.most, unit) if self.known else "no number"
        return within + (f"; {rows - self.known:,} rows without" if self.known < rows else "")


def catalog_use(catalog: StagedTable, columns: ColumnMap, path: str) -> CatalogUse:
    """What each column is used for, with its unit and range as they go into the survey."""
    extents = {role: _Extent() for role in ("ra", "dec", "ttype", "pixel_scale")}
    first, rows = "", 0
    kept: tuple[str, ...] = ()
    for table in blocks(catalog, start=0, size=BATCH_ROWS):
        every = survey_columns(table, columns, list(range(table.num_rows)))
        scales = _angles(table, columns, "pixel_scale")
        for role, extent in extents.items():
            extent.add(scales if role == "pixel_scale" else np.asarray(every[role]))
        first = first or next((one for one in every["galaxy_id"].to_pylist() if one), "")
        used = (*FIXED, columns.image, columns.pixel_scale)
        kept = tuple(name for name in every if name not in used)
        rows += table.num_rows
    types = extents["ttype"]
    counts = TypeCounts(types.known, rows - types.known, types.least, types.most, columns.flags)
    words = {
        "galaxy_id": f"as text, to the last digit; the first is {first}",
        "image": "names the file, with or without suffix",
        "ra": f"{_unit_words(catalog, columns, 'ra')}; {extents['ra'].words(rows, 'deg')}",
        "dec": f"{_unit_words(catalog, columns, 'dec')}; {extents['dec'].words(rows, 'deg')}",
        "ttype": counts.words,
        "pixel_scale": extents["pixel_scale"].words(rows, "arcsec/px"),
    }
    notes, uses = list(catalog.notes), []
    guessed = {guess.split(" = ")[0] for guess in columns.guessed}
    for role, said in words.items():
        column = getattr(columns, role)
        head = f"{role} = {column}: "
        own = [note.removeprefix(head) for note in notes if note.startswith(head)]
        notes = [note for note in notes if not note.startswith(head)]
        if column:
            # The counts above say what a note on values outside does.
            own = [note for note in own if role == "ttype" and "outside" not in note]
            text = "; ".join((said, *own))
            uses.append(ColumnUse(ROLES.get(role, "pixel scale"), column, role in guessed, text))
    doubts = tuple(_doubts(catalog, columns, extents))
    return CatalogUse(
        path, rows, tuple(uses), kept, catalog.left_out, tuple(notes),
        counts if columns.ttype else None, doubts,
    )  # fmt: skip


def _unit_words(catalog: StagedTable, columns: ColumnMap, role: str) -> str:
    """How a column of positions was read."""
    column = getattr(columns, role)
    head = f"{role} = {column}: "
    said = [note.removeprefix(head) for note in catalog.notes if note.startswith(head)]
    unit = catalog.units.get(column)
    return "; ".join(said) or (f"{unit}" if unit else "no unit in the file, degrees believed")


def _doubts(
    catalog: StagedTable, columns: ColumnMap, extents: Mapping[str, _Extent]
) -> Iterator[str]:
    """What the ranges of columns say against how they were read."""
    ra, dec, types = extents["ra"], extents["dec"], extents["ttype"]
    cure = "name the unit in the file, or end the column's name in"
    if columns.ra and ra.known and dec.known and "believed" in _unit_words(catalog, columns, "ra"):
        within = f"{columns.ra} lies between {ra.least:.4g} and {ra.most:.4g}"
        if max(ra.most, -ra.least) <= 2 * np.pi and max(dec.most, -dec.least) <= np.pi / 2:
            yield f"{within}, {columns.dec} below 1.6: radians? {cure} _rad"
        elif ra.least >= 0 and ra.most <= 24.0 and dec.most - dec.least > HOURS_DEC_SPAN:
            yield f"{within} over much of the sky: hours? {cure} _hours"
    flagged = sum(columns.flags.values())
    if columns.ttype and flagged > types.known:
        yield f"most values of {columns.ttype} are no stage T: does --ttype name the right column?"
    elif types.known >= MANY_ROWS and 0 <= types.least <= types.most <= 1 and not types.whole:
        yield f"{columns.ttype} lies between 0 and 1: shares of votes are no stage T (--ttype none)"
