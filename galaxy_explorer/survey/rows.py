"""Catalogue rows as the ingest sees them: identity, picture and position; and all the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadCatalog, BadImage
from galaxy_explorer.survey.catalog import ColumnMap, blocks
from galaxy_explorer.survey.limits import MAX_ID_CHARACTERS
from galaxy_explorer.survey.parts import FIXED
from galaxy_explorer.survey.spec import SCALE_COLUMN
from galaxy_explorer.survey.store import CHUNK_ROWS

LARGEST_STAGE = 20.0  # stages run from -6 to 11; what lies far outside (99, -999) is a flag
LARGEST_DEC_DEG = 90.0


@dataclass(frozen=True)
class Row:
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


def block_rows(table: pa.Table, columns: ColumnMap, start: int) -> Iterator[Row]:
    """The rows of a block whose first row has number `start`."""
    ids, images = _texts(table, columns.galaxy_id), _texts(table, columns.image)
    ra, dec = _positions(table, columns)
    scales = _numbers(table, columns.pixel_scale)
    for i in range(table.num_rows):
        yield Row(start + i, ids[i], images[i], float(ra[i]), float(dec[i]), float(scales[i]))


def all_rows(catalog: pq.ParquetFile, columns: ColumnMap) -> Iterator[Row]:
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
        if name not in columns.renamed:
            result[_free_name(name, table.column_names)] = table[name]
    return result


def _free_name(name: str, taken: list[str]) -> str:
    if name not in FIXED and name != SCALE_COLUMN:
        return name
    name += "_catalog"
    while name in taken:
        name += "_catalog"
    return name


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
