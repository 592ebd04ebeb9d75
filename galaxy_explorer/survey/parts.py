"""Catalogue parts on disk: written block by block, joined at the end without loading them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.files import atomic_path
from galaxy_explorer.survey.preprocessing import split_of, ttype_class

FIXED = {
    "galaxy_id": pa.string(),
    "ra": pa.float64(),
    "dec": pa.float64(),
    "ttype": pa.float64(),
    "ttype_class": pa.int8(),
    "split": pa.string(),
    "source": pa.string(),
    "sky": pa.float64(),
    "sky_sigma": pa.float64(),
}
DERIVED = ("ttype_class", "split", "source")
BATCH_ROWS = 4096

Columns = Mapping[str, ArrayLike | pa.Array]


def catalogue_part(columns: Columns, rows: int, source: str) -> pa.Table:
    """The catalogue of one block: fixed columns first (unknown numbers NaN), then the others.

    Raises SurveyError for a missing galaxy_id, a derived column or a column of another length.
    """
    arrays = {name: _array(name, values, rows) for name, values in columns.items()}
    if "galaxy_id" not in arrays:
        raise SurveyError("catalogue block: the column galaxy_id is missing")
    if taken := sorted(set(arrays) & set(DERIVED)):
        raise SurveyError(f"catalogue block: {', '.join(taken)} are made here; rename yours")
    ids = arrays["galaxy_id"].cast(pa.string())
    unknown = pa.array(np.full(rows, np.nan))
    ttype = _floats(arrays.get("ttype", unknown))
    derived = {
        "galaxy_id": ids,
        "ttype_class": pa.array(ttype_class(ttype)),
        "split": pa.array([split_of(name) for name in ids.to_pylist()], pa.string()),
        "source": pa.array([source] * rows, pa.string()),
    }
    fixed = {
        name: derived[name] if name in derived else pa.array(_floats(arrays.get(name, unknown)))
        for name in FIXED
    }
    others = {name: values for name, values in arrays.items() if name not in FIXED}
    return pa.table({**fixed, **others})


def _array(name: str, values: ArrayLike | pa.Array, rows: int) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        array = values.combine_chunks()
    else:
        array = values if isinstance(values, pa.Array) else pa.array(np.asarray(values))
    if len(array) != rows:
        raise SurveyError(f"catalogue block: column {name} has {len(array)} values for {rows} rows")
    return array


def _floats(array: pa.Array) -> Any:
    values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)


def write_part(table: pa.Table, path: Path) -> None:
    """Write one part, whole or not at all."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def join_parts(parts: list[Path], out: Path) -> None:
    """Join parts into one Parquet file, a batch at a time.

    A column that some parts lack is empty there; one whose types differ between sources becomes
    float64 if all are numbers and text otherwise.
    """
    schema = _joint_schema([pq.read_schema(part) for part in parts])
    with atomic_path(out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for batch in _regrouped(parts, schema):
            writer.write_table(batch, row_group_size=BATCH_ROWS)


def _regrouped(parts: list[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of BATCH_ROWS rows whatever the parts held, so that the file never depends on them."""
    waiting = schema.empty_table()
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=BATCH_ROWS):
            waiting = pa.concat_tables([waiting, _as_schema(pa.table(batch), schema)])
            while waiting.num_rows >= BATCH_ROWS:
                yield waiting.slice(0, BATCH_ROWS).combine_chunks()
                waiting = waiting.slice(BATCH_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _as_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    arrays = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _joint_schema(schemas: list[pa.Schema]) -> pa.Schema:
    types: dict[str, pa.DataType] = dict(FIXED)
    for schema in schemas:
        for field in schema:
            types[field.name] = _joint_type(types.get(field.name, field.type), field.type)
    return pa.schema([pa.field(name, kind) for name, kind in types.items()])


def _joint_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in (one, other))
    return pa.float64() if numbers else pa.string()
