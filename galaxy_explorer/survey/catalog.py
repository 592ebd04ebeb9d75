"""The user's catalogue: any table, staged as Parquet and walked through in blocks.

CSV and Parquet, which surveys of millions come in, never lie in memory as a whole. The ingest sees
a row by its identity, picture, position and stage; what the columns are, and what becomes of the
others, is settled in `columns`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadCatalog, BadImage
from galaxy_explorer.survey.columns import (
    BATCH_ROWS,
    LIMITS,
    ColumnMap,
    FurtherColumns,
    floats,
    map_columns,
)
from galaxy_explorer.survey.inventory import (
    CatalogUse,
    ColumnUse,
    TypeCounts,
    range_words,
    some_words,
)
from galaxy_explorer.survey.limits import MAX_ID_CHARACTERS
from galaxy_explorer.survey.store import BLOCK_ROWS, SAME_COLUMN
from galaxy_explorer.survey.table_parts import join_tables, table_parts
from galaxy_explorer.utils.reading import StagedTable, plain_table, stage_table
from galaxy_explorer.utils.tables import text_angle


def stage_catalog(
    path: Path,
    staged: Path,
    given: dict[str, str | None] | None = None,
    table: str | None = None,
) -> StagedTable:
    """Write the catalogue `path` as Parquet to `staged` and open it; see `stage_table`.

    A folder is a table in parts: a HATS catalogue, Cutana's batches or Parquet files.

    given: columns of roles; those of ids and pictures are text from the first byte on.

    Raises BadCatalog where the file cannot be read or has no rows.
    """

    def texts(names: list[str]) -> set[str]:
        if given is None:
            return set()
        columns = map_columns(names, given, str(path))
        return {name for name in (columns.galaxy_id, columns.image, columns.same_as) if name}

    name, parts = str(path), table_parts(path) if path.is_dir() else []
    if parts:
        path = staged.with_name("parts.parquet")
        left_out = join_tables(parts, path)
    opened = stage_table(path, staged, name=name, table=table, as_text=texts)
    if parts:
        opened.left_out |= dict.fromkeys(left_out, "entries of several values")
    if opened.metadata.num_rows == 0:
        unread = "; ".join(f"column {one!r} is {why}" for one, why in opened.left_out.items())
        raise BadCatalog(f"{name}: no rows" if not unread else f"{name}: nothing to read; {unread}")
    return opened


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
    same_as: str = ""

    def check(self) -> None:
        """Raise BadImage for an id that is missing, too long or not printable."""
        if not self.galaxy_id:
            raise BadImage("catalogue", "the row has no id")
        if len(self.galaxy_id) > MAX_ID_CHARACTERS or not self.galaxy_id.isprintable():
            raise BadImage("catalogue", f"the id is unprintable or over {MAX_ID_CHARACTERS} long")


def block_rows(table: pa.Table, columns: ColumnMap, start: int) -> Iterator[CatalogRow]:
    """The rows of a block whose first row has number `start`."""
    ids, images = _ids(table, columns, columns.galaxy_id), _texts(table, columns.image)
    same_as = _ids(table, columns, columns.same_as)
    ra, dec = _positions(table, columns)
    scales = _angles(table, columns, "pixel_scale")
    for i in range(table.num_rows):
        yield CatalogRow(
            start + i, ids[i], images[i], float(ra[i]), float(dec[i]), float(scales[i]), same_as[i]
        )


def all_rows(catalog: pq.ParquetFile, columns: ColumnMap) -> Iterator[CatalogRow]:
    """Every row of the catalogue, a block at a time."""
    start = 0
    for table in blocks(catalog, start=0, size=BLOCK_ROWS):
        yield from block_rows(table, columns, start)
        start += table.num_rows


def survey_columns(
    table: pa.Table, columns: ColumnMap, kept: list[int], further: FurtherColumns
) -> dict[str, Any]:
    """The survey's columns of the `kept` rows: the mapped ones, then the user's others."""
    table = table.take(pa.array(kept, pa.int64()))
    ra, dec = _positions(table, columns)
    ttype = np.full(table.num_rows, np.nan)
    if columns.ttype:
        ttype = further.stages(table[columns.ttype])
    ids = pa.array(_ids(table, columns, columns.galaxy_id), pa.string())
    result: dict[str, Any] = {"galaxy_id": ids, "ra": ra, "dec": dec, "ttype": ttype}
    for name, column in further.kept(table.column_names, columns).items():
        result[name] = further.known(name, table[column])
    if columns.same_as:
        result[SAME_COLUMN] = pa.array(_ids(table, columns, columns.same_as), pa.string())
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


def _ids(table: pa.Table, columns: ColumnMap, column: str | None) -> list[str]:
    """Ids as text, to the last digit."""
    if column not in columns.whole:
        return _texts(table, column)
    values = table[column]
    if pa.types.is_floating(values.type):
        return ["" if v is None or np.isnan(v) else str(int(v)) for v in values.to_pylist()]
    return [text.split(".")[0] for text in _texts(table, column)]


def _angles(table: pa.Table, columns: ColumnMap, role: str) -> NDArray[np.float64]:
    column = getattr(columns, role)
    if column is None:
        return np.full(table.num_rows, np.nan)
    values = table[column]
    factor = columns.factors.get(role, 1.0)  # 1 for sexagesimal ones
    if pa.types.is_string(values.type):
        texts = values.to_pylist()
        numbers = np.array([text_angle(value or "", role) for value in texts], np.float64)
    else:
        numbers = floats(values)
        if columns.undefined is not None:
            numbers[numbers == columns.undefined] = np.nan
    if role == "pixel_scale":
        numbers[~(numbers > 0)] = np.nan  # -99 and 0 are no sizes of a pixel
    return factor * numbers


def _positions(
    table: pa.Table, columns: ColumnMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RA and Dec in degrees; both NaN where either is or the declination is impossible."""
    ra, dec = _angles(table, columns, "ra"), _angles(table, columns, "dec")
    unknown = ~(np.abs(ra) <= LARGEST_RA_DEG) | ~(np.abs(dec) <= LARGEST_DEC_DEG)
    ra[unknown] = dec[unknown] = np.nan
    return ra, dec


MANY_ROWS = 20  # from which on the range of a column says something of its unit
ROLES = {
    "galaxy_id": "id", "image": "picture", "same_as": "same as", "ra": "RA", "dec": "Dec",
    "ttype": "T",
}  # fmt: skip


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


def catalog_use(
    catalog: StagedTable, columns: ColumnMap, path: str, further: FurtherColumns
) -> CatalogUse:
    """What each column is used for, with its unit and range as they go into the survey."""
    extents = {role: _Extent() for role in ("ra", "dec", "ttype", "pixel_scale")}
    first, rows, named = "", 0, 0
    emptied = Counter[str]()
    kept: Mapping[str, str] = {}
    placed = {role: column for role in ("ra", "dec") if (column := getattr(columns, role))}
    for table in blocks(catalog, start=0, size=BATCH_ROWS):
        every = survey_columns(table, columns, list(range(table.num_rows)), further)
        scales = _angles(table, columns, "pixel_scale")
        for role, extent in extents.items():
            extent.add(scales if role == "pixel_scale" else np.asarray(every[role]))
        first = first or next((one for one in every["galaxy_id"].to_pylist() if one), "")
        kept = further.kept(table.column_names, columns)
        for name, column in {**kept, **placed}.items():
            unknown = further.unknown(name, table[column])
            emptied[column] += 0 if unknown is None else pc.sum(unknown).as_py() or 0
        named += sum(map(bool, _ids(table, columns, columns.same_as)))
        rows += table.num_rows
    types = extents["ttype"]
    counts = TypeCounts(types.known, rows - types.known, types.least, types.most, columns.flags)
    words = {
        "galaxy_id": f"as text, to the last digit; the first is {first}",
        "image": "names the file, with or without suffix",
        "same_as": f"{named:,} rows name another that shows the same galaxy",
        "ra": _place_words(catalog, columns, "ra", extents["ra"].words(rows, "deg")),
        "dec": _place_words(catalog, columns, "dec", extents["dec"].words(rows, "deg")),
        "ttype": counts.words,
        "pixel_scale": extents["pixel_scale"].words(rows, "arcsec/px"),
    }
    notes, uses = list(catalog.notes), []
    if further.undefined is not None:
        there = [f"{name} ({count:,})" for name, count in emptied.most_common() if count]
        said = some_words(there) if there else "in no column"
        notes.append(f"{further.undefined:g} taken as unknown: {said}")
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
    read = (columns.image, columns.pixel_scale)
    return CatalogUse(
        path=path,
        rows=rows,
        uses=tuple(uses),
        kept={name: column for name, column in kept.items() if column not in read},
        words=further.words,
        left_out=catalog.left_out,
        notes=tuple(notes),
        types=counts if columns.ttype else None,
        doubts=tuple(_doubts(catalog, columns, extents)),
    )


def _place_words(catalog: StagedTable, columns: ColumnMap, role: str, extent: str) -> str:
    """How a column of positions was read, and from where to where it goes."""
    other = "dec" if role == "ra" else "ra"
    if not getattr(columns, other):
        return f"of no use alone; --{other} names the column that goes with it"
    return f"{_unit_words(catalog, columns, role)}; {extent}"


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
