"""Cubes of zarr: an array, a group with ids in it, or the batches that Cutana writes.

Beside an archive NAME.zarr may lie NAME_metadata.parquet, whose row i is of stamp i: so Cutana and
images_to_zarr write them. Of the codecs that zarr knows only those that compress are used: others
may execute what they find.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.cubes import (
    Cube,
    channels_last,
    id_arrays,
    id_name,
    pick_images,
    planes_first,
    stamp_shape,
)
from galaxy_explorer.survey.readers import FileState, file_state
from galaxy_explorer.survey.table_parts import CUTANA_IMAGES, cutana_batches
from galaxy_explorer.utils.reading import plain_table

SIDE_TABLE = "_metadata.parquet"
MAX_CHUNK_BYTES = 1 << 30
"""Of a chunk, which is read as a whole; Cutana's have up to 1.8 GB where it is told so."""
MARKS = ("zarr.json", ".zarray", ".zgroup")
METADATA = {*MARKS, ".zmetadata"}
CODECS = {"blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "crc32c", "bytes", "endian",
          "transpose", "sharding_indexed", "shuffle", "vlen-utf8", "fixedscaleoffset"}  # fmt: skip
DAMAGE = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, LookupError)


def is_zarr(path: Path) -> bool:
    """Whether a folder is an array or group of zarr."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def open_zarr(path: Path, id_column: str) -> Cube:
    """Open an archive (N, H, W), (N, C, H, W) or (N, H, W, C), or Cutana's folder of several.

    Raises BadImage for a damaged one and SurveyError where no array looks like stamps.
    """
    if is_zarr(path):
        return _one(path, id_column)
    cubes = [_one(batch / CUTANA_IMAGES, id_column) for batch in cutana_batches(path)]
    first = cubes[0]
    for batch, cube in zip(cutana_batches(path), cubes, strict=True):
        if cube.shape != first.shape:
            raise BadImage(str(batch), f"stamps of {cube.words}, those before {first.words}")
    counts = [cube.count for cube in cubes]
    shared = [name for name in first.arrays if all(name in cube.arrays for cube in cubes)]
    return Cube(
        f"{path.name}: {len(cubes):,} batches",
        sum(counts),
        first.shape,
        _Joined(tuple(cube.read for cube in cubes), tuple(np.cumsum([0, *counts]).tolist())),
        id_name(shared, id_column),
        {name: partial(_joined, [cube.arrays[name] for cube in cubes]) for name in shared},
        first.channels_last,
    )


@dataclass(frozen=True)
class _Joined:
    """Stamps of several archives, counted through; starts: of each, and the end of the last."""

    reads: tuple[Callable[[int, int], NDArray[Any]], ...]
    starts: tuple[int, ...]

    def __call__(self, start: int, stop: int) -> NDArray[Any]:
        """Those from `start` to before `stop`."""
        found = []
        for read, first, after in zip(self.reads, self.starts, self.starts[1:], strict=False):
            low, high = max(start, first), min(stop, after)
            if low < high:
                found.append(read(low - first, high - first))
        return found[0] if len(found) == 1 else np.concatenate(found)


def _joined(reads: Sequence[Callable[[], NDArray[Any]]]) -> NDArray[Any]:
    return np.concatenate([read() for read in reads])


def _one(path: Path, id_column: str) -> Cube:
    """One archive, with the arrays of its group and the columns of the table beside it."""
    try:
        state, arrays = file_state(_mark(path)), _arrays(path)
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        if list(shapes) == [""] and len(shapes[""]) not in (3, 4):
            raise SurveyError(f"{path}: of shape {shapes['']} is no stack of images (N, H, W)")
        images = pick_images({name: len(shape) for name, shape in shapes.items()}, str(path))
        cube, name = arrays[images], f"{path.name}:{images}" if images else path.name
        count, planes = stamp_shape(shapes[images], cube.dtype, name)
        size = int(np.prod(cube.chunks)) * cube.dtype.itemsize
        if size > MAX_CHUNK_BYTES:
            raise BadImage(name, f"a chunk has {size} bytes, more than {MAX_CHUNK_BYTES}")
        reads: dict[str, Callable[[], NDArray[Any]]] = {
            one: partial(_values, arrays[one], f"{path}:{one}")
            for one in id_arrays(shapes, count, images)
        }
        beside = path.with_name(path.stem + SIDE_TABLE)
        if beside.is_file():
            reads |= _columns(beside, count)
        return Cube(
            name,
            count,
            planes,
            _ZarrPixels(state, images, shapes[images], int(cube.chunks[0])),
            id_name([*reads], id_column),
            reads,
            channels_last(shapes[images]),
        )
    except DAMAGE as error:
        raise BadImage(str(path), f"cannot be read as zarr ({error})") from error


def _mark(path: Path) -> Path:
    return next(path / mark for mark in MARKS if (path / mark).is_file())


def _arrays(path: Path) -> dict[str, Any]:
    """Arrays of a group by their names, or the one of a folder as "".

    Raises BadImage for one with a codec that is not trusted.
    """
    for place, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name != "c" and not name.isdecimal()]
        for name in METADATA & {*names}:
            mark = Path(place, name)
            if strange := _codecs(json.loads(mark.read_text())) - CODECS:
                raise BadImage(str(mark), f"codec {', '.join(sorted(strange))} is not read")
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return {"": node}
    return {str(name): array for name, array in node.arrays()}


def _codecs(meta: Any) -> set[str]:
    """Names of all codecs, filters and compressors that are anywhere in metadata."""
    found: set[str] = set()
    if isinstance(meta, Mapping):
        for key in ("compressor", "filters", "codecs", "index_codecs"):
            used = meta.get(key) or ()
            for one in [used] if isinstance(used, Mapping) else used:
                name = one.get("id") or one.get("name") if isinstance(one, Mapping) else one
                found.add(str(name).removeprefix("numcodecs."))
    for one in meta.values() if isinstance(meta, Mapping) else meta:
        if isinstance(one, Mapping | list):
            found |= _codecs(one)
    return found


def _values(array: Any, name: str) -> NDArray[Any]:
    try:
        return np.ravel(np.asarray(array[:]))
    except DAMAGE as error:
        raise BadImage(name, f"cannot be read ({error})") from error


def _columns(table: Path, count: int) -> dict[str, Callable[[], NDArray[Any]]]:
    """Columns of numbers and text of a table beside an archive.

    Raises SurveyError where its rows are not as many, or it has no such column.
    """
    file = pq.ParquetFile(table)
    if file.metadata.num_rows != count:
        raise SurveyError(f"{table}: {file.metadata.num_rows} rows for {count} stamps")
    fields = list(file.schema_arrow)
    names = [one.name for one in fields if _may_match(one.type)]
    if not names:
        listed = ", ".join(f"{one.name} ({one.type})" for one in fields) or "none"
        raise SurveyError(
            f"{table}: no column of numbers or text to match stamps by (columns: {listed}); write "
            "the ids as text or whole numbers, or move the table away if stamp i belongs to row i"
        )
    return {name: partial(_column, table, name) for name in names}


def _may_match(kind: pa.DataType) -> bool:
    """Whether ids may be of a type: numbers, or text in any of the ways that Arrow stores it."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = re.fullmatch(r"(large_)?(string|binary)(_view)?", str(kind))
    return bool(text) or pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _column(table: Path, name: str) -> NDArray[Any]:
    try:
        values = plain_table(pq.read_table(table, columns=[name]))[name]
    except DAMAGE as error:
        cure = "leave the column out, or name that of the ids by --id"
        raise BadImage(
            f"{table}:{name}", f"is neither numbers nor text ({error}); {cure}"
        ) from error
    if pa.types.is_integer(values.type) and values.null_count:
        values = values.cast(pa.string())  # numpy has no gaps among whole numbers but as floats
    if pa.types.is_string(values.type):
        return np.array([value or "" for value in values.to_pylist()])
    return np.asarray(values.to_numpy())


@dataclass(frozen=True)
class _ZarrPixels:
    """Stamps of an array, whose chunks are unpacked once where stamps come in order."""

    mark: FileState
    name: str
    shape: tuple[int, ...]
    chunk: int

    def __call__(self, start: int, stop: int) -> NDArray[Any]:
        """Those from `start` to before `stop`, planes first."""
        parts = []
        for number in range(start // self.chunk, (stop - 1) // self.chunk + 1):
            first = number * self.chunk
            rows = _chunk(self.mark, self.name, first, min(first + self.chunk, self.shape[0]))
            parts.append(rows[max(0, start - first) : stop - first])
        return planes_first(np.concatenate(parts), self.shape)


@lru_cache(maxsize=1)
def _chunk(mark: FileState, name: str, start: int, stop: int) -> NDArray[Any]:
    return np.asarray(_opened(mark, name)[start:stop])


@lru_cache(maxsize=4)
def _opened(mark: FileState, name: str) -> Any:
    """An array, once a process."""
    return _arrays(mark.path.parent)[name]
