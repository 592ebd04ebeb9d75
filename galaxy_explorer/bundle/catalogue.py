"""The catalogue of a bundle: columns of numbers and texts (N,), each read when first asked for.

A small catalogue is parsed when the bundle is opened; of a large one, hashed as a whole before, a
column is read from its file when somebody asks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_explorer.bundle.files import (
    MANIFEST,
    MAX_ALL_COLUMNS,
    MAX_COLUMNS,
    FileEntry,
    check_unpacked,
    read_only,
    verify_file,
)
from galaxy_explorer.errors import BundleError

KEPT_COLUMNS = 8
"""Columns of a large catalogue that are kept as they were read: 8 bytes a galaxy, or less."""
REQUIRED_COLUMNS = ("galaxy_id", "ra", "dec", "ttype", "ttype_class", "source", "split")


class Catalogue:
    """Columns of N galaxies."""

    def __init__(self, names: list[str], read: Callable[[str], pa.ChunkedArray]) -> None:
        self.column_names = names
        self._read = read
        self._columns: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, table: pa.Table) -> Catalogue:
        """The catalogue of a table in memory."""
        return cls(list(table.column_names), table.column)

    def stored(self, name: str) -> pa.ChunkedArray:
        """A column as it lies in the table, texts perhaps packed. Raises KeyError."""
        if name not in self.column_names:
            raise KeyError(name)
        return self._read(name)

    def column(self, name: str) -> np.ndarray:
        """A column (N,), read-only, kept. Raises KeyError for an unknown name."""
        if name not in self._columns:
            self._columns[name] = column_array(self.stored(name))
        return self._columns[name]


def parse_catalog(data: bytes, path: Path, rows: int) -> Catalogue:
    """Parse the verified catalogue, a table of plain columns with `rows` rows.

    Raises BundleError for another row count, nested or too many columns, a table that would take
    much more memory than its file deserves, or malformed Parquet; all before it is unpacked.
    """
    try:
        source = pq.ParquetFile(pa.BufferReader(data))
        texts = _checked(source, path, rows)
        meta = source.metadata
        packed = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
        check_unpacked(path, max(packed, 8 * rows * len(source.schema_arrow)), len(data))
        # Texts that repeat stay packed until it is known how much they would be.
        table = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleError(f"{path}: not a Parquet table: {error}") from None
    for name in texts:
        _check_width(table.column(name), f"column {name}", path, len(data))
    found = Catalogue.of(table)
    _check_values(found, path)
    return found


def open_catalog(path: Path, entry: FileEntry, rows: int) -> Catalogue:
    """The catalogue of a file, hashed now, its columns read when they are asked for.

    Raises BundleError as `parse_catalog`, for a malformed column when that is read.
    """
    verify_file(path, entry)
    lock = threading.Lock()
    try:
        source = pq.ParquetFile(pa.OSFile(str(path)))
        texts = _checked(source, path, rows)
        packed = pq.ParquetFile(pa.OSFile(str(path)), read_dictionary=texts)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleError(f"{path}: not a Parquet table: {error}") from None

    @lru_cache(KEPT_COLUMNS)
    def read(name: str) -> pa.ChunkedArray:
        try:
            with lock:
                column = packed.read([name]).column(0)
            column.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise BundleError(f"{path}: column {name} cannot be read: {error}") from None
        if name in texts:
            _check_width(column, f"column {name}", path, entry.size)
        return column

    found = Catalogue(source.schema_arrow.names, read)
    _check_values(found, path)
    return found


def release_memory() -> None:
    """Give back what reading columns took and no longer needs: Arrow would keep it."""
    pa.default_memory_pool().release_unused()


def _checked(source: pq.ParquetFile, path: Path, rows: int) -> list[str]:
    """Names of the columns of texts, after the number of rows and the schema were checked."""
    if source.metadata.num_rows != rows:
        raise BundleError(f"{path}: {source.metadata.num_rows} rows where {MANIFEST} has {rows}")
    _check_schema(source.schema_arrow, path)
    return [one.name for one in source.schema_arrow if _is_text(one.type)]


def _check_width(column: pa.ChunkedArray, what: str, path: Path, size: int) -> None:
    """Raise BundleError where texts, each as wide as the widest, take more than a file deserves."""
    chunks = [c.dictionary if pa.types.is_dictionary(c.type) else c for c in column.chunks]
    widest = max((pc.max(pc.utf8_length(c)).as_py() or 0 for c in chunks), default=0)
    check_unpacked(path, 4 * widest * len(column), size, what)


def _check_values(found: Catalogue, path: Path) -> None:
    """Raise BundleError for a column or galaxy that is not as it must be.

    A column is missing, a galaxy is there twice, or a number is infinite.
    """
    if absent := [name for name in REQUIRED_COLUMNS if name not in found.column_names]:
        raise BundleError(f"{path}: column {absent[0]} is missing")
    ids = found.stored("galaxy_id")
    if ids.null_count > 1 or pc.count_distinct(pc.cast(ids, pa.string()), "all").as_py() < len(ids):
        names, counts = np.unique(column_array(ids), return_counts=True)
        several = names[counts > 1]
        raise BundleError(
            f"{path}: galaxy_id {str(several[0])[:60]!r} is there more than once, as are"
            f" {len(several) - 1} others; each galaxy needs an identifier of its own"
        )
    for name in ("ra", "dec", "ttype"):
        values = column_array(found.stored(name))
        if values.dtype.kind not in "iuf" or np.isinf(values).any():
            raise BundleError(f"{path}: column {name} holds what is no finite number (nor NaN)")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_schema(schema: pa.Schema, path: Path) -> None:
    """Raise BundleError for columns that are no numbers or texts, twice there, or too many."""
    names = schema.names
    if len(set(names)) != len(names):
        raise BundleError(f"{path}: a column name appears twice")
    plain = [name for name in names if "/" not in name]
    for found, most in ((len(plain), MAX_COLUMNS), (len(names), MAX_ALL_COLUMNS)):
        if found > most:
            raise BundleError(
                f"{path}: {found} columns; at most {most} are taken, train with fewer of them"
            )
    for one in schema:
        kind, types = one.type, pa.types
        if not (
            types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)
            or _is_text(kind) or types.is_null(kind)
        ):  # fmt: skip
            raise BundleError(
                f"{path}: column {one.name} is {kind}; only numbers and text are possible"
            )


def column_array(column: pa.ChunkedArray) -> np.ndarray:
    """A column as a read-only array; absent numbers become NaN, absent text becomes ""."""
    whole = column.combine_chunks()
    kind = whole.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        if whole.null_count == 0:
            # pyarrow's own to_numpy would import pandas, which takes longer than the whole load
            return read_only(np.array(np.from_dlpack(whole)))
        return read_only(np.array([np.nan if v is None else v for v in whole.to_pylist()]))
    if pa.types.is_boolean(kind) and whole.null_count == 0:
        return read_only(np.array(whole.to_pylist(), dtype=bool))
    few = pa.types.is_dictionary(kind) and 2 * len(whole.dictionary) < len(whole)
    if few and not whole.null_count and not whole.dictionary.null_count:
        return read_only(np.array(whole.dictionary.to_pylist())[np.from_dlpack(whole.indices)])
    texts = ["" if value is None else str(value) for value in whole.to_pylist()]
    return read_only(np.array(texts, dtype=str))
