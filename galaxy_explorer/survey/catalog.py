"""The user's catalogue: any table astropy reads, staged as Parquet and walked through in blocks.

CSV and Parquet, which surveys of millions come in, never lie in memory as a whole. FITS tables,
ECSV and VOTable are read by `astropy.table`. The ingest sees a row by its identity, picture and
position; all its other columns go into the survey as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadCatalog, BadImage
from galaxy_explorer.survey.limits import MAX_ID_CHARACTERS
from galaxy_explorer.survey.store import CHUNK_ROWS, SCALE_COLUMN
from galaxy_explorer.survey.writer import FIXED

FORMATS = {
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".fit": "fits",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
NULLS = ["", "nan", "NaN", "NAN", "null", "NULL", "N/A", "--"]
LEADING_ZERO = r"^\s*0[0-9]"
BLOCK_BYTES = 1 << 20
WANTED = ("int64", "double", "string")

USUAL_NAMES = {
    "galaxy_id": ("galaxy_id", "objid", "dr7objid", "dr8objid", "object_id", "id", "name"),
    "image": ("image", "file", "filename", "path", "picture", "stamp"),
    "ttype": ("ttype", "t_type", "t", "hubble_stage"),
    "ra": ("ra", "raj2000", "ra_deg", "alpha_j2000"),
    "dec": ("dec", "de", "dej2000", "dec_deg", "delta_j2000"),
    "pixel_scale": ("pixel_scale_arcsec", "pixscale_arcsec", "pixscale"),
}


@dataclass(frozen=True)
class ColumnMap:
    """Which catalogue column holds what (None: there is none), and which of them were guessed."""

    galaxy_id: str
    image: str | None = None
    ttype: str | None = None
    ra: str | None = None
    dec: str | None = None
    pixel_scale: str | None = None
    guessed: tuple[str, ...] = ()

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
            raise BadCatalog(f"{catalog}: no column {wanted!r}; there are {', '.join(names)}")
        found[role] = wanted or next(
            (name for guess in usual for name in names if name.lower() == guess), None
        )
        if found[role] and not wanted:
            guessed.append(f"{role} = {found[role]}")
    if not found["galaxy_id"]:
        raise BadCatalog(f"{catalog}: no id column found; name it by --id: {', '.join(names)}")
    return ColumnMap(**found, guessed=tuple(guessed))  # type: ignore[arg-type]


def stage_catalog(path: Path, staged: Path) -> pq.ParquetFile:
    """Write the catalogue `path` as Parquet to `staged` and open it.

    Text that is empty, "nan", "null" or "--" becomes null. Columns of a CSV are whole numbers if
    every value is, else numbers, else text.

    Raises BadCatalog where the file cannot be read or has no rows.
    """
    if not path.is_file():
        raise BadCatalog(f"{path}: no such file; give the catalogue by --catalog")
    suffix = path.suffix.lower()
    staged.parent.mkdir(parents=True, exist_ok=True)
    try:
        if suffix == ".parquet":
            opened = pq.ParquetFile(path)
        elif suffix in FORMATS:
            from astropy.table import Table

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                table = Table.read(path, format=FORMATS[suffix])
            columns = {name: _arrow(table[name]) for name in table.colnames}
            plain = {name: values for name, values in columns.items() if values is not None}
            pq.write_table(pa.table(plain), staged)
            opened = pq.ParquetFile(staged)
        else:
            opened = _stage_csv(path, staged)
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise BadCatalog(f"{path}: cannot be read as a table ({error})") from error
    if opened.metadata.num_rows == 0:
        raise BadCatalog(f"{path}: no rows")
    return opened


def _arrow(column: Any) -> pa.Array | None:
    """An astropy column as an arrow array; None where an entry is more than one value."""
    values, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    if values.ndim != 1:
        return None
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O":
        values = np.array([str(value) for value in values])
    if values.dtype.kind == "U":
        values = np.char.strip(values)
    return pa.array(values.astype(values.dtype.newbyteorder("=")), mask=mask)


def _stage_csv(path: Path, staged: Path) -> pq.ParquetFile:
    """Two passes over the text, block by block: find the types, then convert."""
    names = pacsv.open_csv(path).schema.names
    if len(set(names)) != len(names):
        raise ValueError("a column name appears twice in the header")
    kinds = dict.fromkeys(names, 0)
    for batch in _text_batches(path, names):
        for name in names:
            kinds[name] = _widen(batch[name], kinds[name])
    schema = pa.schema([(name, pa.type_for_alias(WANTED[kind])) for name, kind in kinds.items()])
    with pq.ParquetWriter(staged, schema) as writer:
        for batch in _text_batches(path, names):
            arrays = [_trimmed(batch[field.name]).cast(field.type) for field in schema]
            writer.write_table(pa.table(arrays, schema=schema))
    return pq.ParquetFile(staged)


def _text_batches(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    text = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=NULLS, strings_can_be_null=True
    )
    options = pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    return iter(pacsv.open_csv(path, read_options=options, convert_options=text))


def _trimmed(values: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(values)


def _widen(values: pa.Array, kind: int) -> int:
    """The narrowest of WANTED, from `kind` on, that holds all the values; 007 is text."""
    if pc.any(pc.match_substring_regex(values, LEADING_ZERO)).as_py():
        return len(WANTED) - 1
    for wider in range(kind, len(WANTED) - 1):
        try:
            _trimmed(values).cast(pa.type_for_alias(WANTED[wider]))
        except pa.ArrowInvalid:
            continue
        return wider
    return len(WANTED) - 1


def blocks(catalog: pq.ParquetFile, *, start: int, size: int) -> Iterator[pa.Table]:
    """The rows from `start` on in tables of `size` rows (the last may be shorter)."""
    position = 0
    waiting: pa.Table | None = None
    for batch in catalog.iter_batches(batch_size=size):
        skipped = min(max(start - position, 0), batch.num_rows)
        position += batch.num_rows
        table = pa.table(batch).slice(skipped)
        # Numbers, booleans and text only: what is nested is left out, the rest becomes text.
        kept = {}
        for name, values in zip(table.column_names, table.columns, strict=True):
            kind = values.type
            if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
                kept[name] = values
            elif not pa.types.is_nested(kind) and not pa.types.is_binary(kind):
                kept[name] = values.cast(pa.string())
        table = pa.table(kept)
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= size:
            yield waiting.slice(0, size).combine_chunks()
            waiting = waiting.slice(size)
    if waiting is not None and waiting.num_rows:
        yield waiting.combine_chunks()


LARGEST_STAGE = 20.0  # stages run from -6 to 11; what lies far outside (99, -999) is a flag
LARGEST_DEC_DEG = 90.0


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


def check_numeric(catalog: pq.ParquetFile, columns: ColumnMap, name: str) -> None:
    """Raise BadCatalog where a column that has to hold numbers holds text."""
    for column in (columns.ra, columns.dec, columns.ttype, columns.pixel_scale):
        if column is None:
            continue
        kind = catalog.schema_arrow.field(column).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise BadCatalog(f"{name}: column {column!r} holds {kind}, numbers are needed")


def block_rows(table: pa.Table, columns: ColumnMap, start: int) -> Iterator[CatalogRow]:
    """The rows of a block whose first row has number `start`."""
    ids, images = _texts(table, columns.galaxy_id), _texts(table, columns.image)
    ra, dec = _positions(table, columns)
    scales = _numbers(table, columns.pixel_scale)
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
    ttype = _numbers(table, columns.ttype)
    ttype[np.abs(ttype) > LARGEST_STAGE] = np.nan
    ids = pa.array(_texts(table, columns.galaxy_id), pa.string())
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


def _numbers(table: pa.Table, column: str | None) -> NDArray[np.float64]:
    if column is None:
        return np.full(table.num_rows, np.nan)
    values = np.array(table[column].cast(pa.float64()).to_numpy(), dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _positions(
    table: pa.Table, columns: ColumnMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RA and Dec in degrees; both NaN where either is or the declination is impossible."""
    ra, dec = _numbers(table, columns.ra), _numbers(table, columns.dec)
    unknown = np.isnan(ra) | ~(np.abs(dec) <= LARGEST_DEC_DEG)
    ra[unknown] = dec[unknown] = np.nan
    return ra, dec
