"""Pictures in a column of Parquet files: one file, the parts of a data set, a HATS catalogue.

A picture is a file in bytes (struct{bytes, path} of Hugging Face, or plain bytes), or pixels as the
Multimodal Universe has them: a struct of lists, or a list of structs, with `flux` (a plane each,
rows of numbers) and perhaps `band`, `scale` (arcsec/px) and `ivar`, which is 0 where no data are.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.fits_images import BZIP2_MAGIC, GZIP_MAGIC
from galaxy_explorer.survey.images import PICTURES, Image, image_of, read_image
from galaxy_explorer.survey.limits import MAX_PIXELS, MAX_PLANES
from galaxy_explorer.survey.names import name_hash, place_of
from galaxy_explorer.survey.readers import BlockReader, FileState, Wanted, file_state
from galaxy_explorer.utils.reading import plain_table

PICTURES_AT_ONCE = 16
PICTURE_STARTS = (*PICTURES, b"SIMPLE", GZIP_MAGIC, BZIP2_MAGIC)
FLUX, BAND, SCALE, IVAR = "flux", "band", "scale", "ivar"
BAD_PARQUET = (pa.ArrowException, OSError, ValueError, StopIteration, IndexError, KeyError)


def picture_column(file: pq.ParquetFile) -> str:
    """The column of a Parquet file that holds pictures; empty where there is none.

    One of struct{bytes, path}; else one of pixels; else one of bytes that begin as pictures do, not
    those of ids.
    """
    schema = file.schema_arrow
    named = [one.name for one in schema if _holds_bytes(one.type)]
    named += [one.name for one in schema if _holds_pixels(one.type)]
    if named:
        return str(named[0])
    for one in schema:
        if not (pa.types.is_binary(one.type) or pa.types.is_large_binary(one.type)):
            continue
        first = next(file.iter_batches(PICTURES_AT_ONCE, columns=[one.name]), None)
        values = [] if first is None else first.column(0).to_pylist()
        if any(value and value.startswith(PICTURE_STARTS) for value in values):
            return str(one.name)
    return ""


def _fields(kind: pa.DataType) -> dict[str, pa.DataType]:
    """Fields of a struct; of any other type none."""
    if not pa.types.is_struct(kind):
        return {}
    return {kind.field(i).name: kind.field(i).type for i in range(kind.num_fields)}


def _holds_bytes(kind: pa.DataType) -> bool:
    return "bytes" in _fields(kind)


def _is_list(kind: pa.DataType) -> bool:
    fixed = pa.types.is_fixed_size_list(kind)
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or fixed)


def _holds_pixels(kind: pa.DataType) -> bool:
    """Whether planes of pixels are in it, and not the fluxes of a light curve."""
    inner = _fields(kind.value_type if _is_list(kind) else kind).get(FLUX)
    if not _is_list(kind):  # a list for each field
        inner = inner.value_type if inner is not None and _is_list(inner) else None
    return inner is not None and _is_list(inner)


class _Pictures:
    """The pictures of a Parquet file, from one on to the next without reading any twice."""

    def __init__(self, path: Path, column: str) -> None:
        self._file, self._column = pq.ParquetFile(path), column
        meta = self._file.metadata
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int).tolist()
        self._group, self._next = -1, 0  # that is being read, and the row that comes next
        self._rows: Iterator[Any] = iter(())

    def __getitem__(self, index: int) -> Any:
        """The value of a row. Raises what pyarrow does, StopIteration behind the last."""
        group = bisect_right(self._starts, index) - 1
        if group != self._group or self._next > index:
            self._group, self._next = group, self._starts[group]
            batches = self._file.iter_batches(
                PICTURES_AT_ONCE, columns=[self._column], row_groups=[group]
            )
            self._rows = (one for batch in batches for one in batch.column(0))
        value: Any = None
        while self._next <= index:
            value = next(self._rows)
            self._next += 1
        return value


@lru_cache(maxsize=4)
def _opened_pictures(file: FileState, column: str) -> _Pictures:
    """Those of a file, once a process."""
    return _Pictures(file.path, column)


@dataclass(frozen=True)
class ParquetReader(BlockReader):
    """Pictures of a column of Parquet files by file and row in it."""

    column: str

    def images(self, wanted: Sequence[Wanted]) -> Iterator[Image | BadImage]:
        """They are read in the order of the files."""
        found: dict[Any, Any] = {}
        for path, row in sorted({one.place for one in wanted}):
            try:
                found[path, row] = _opened_pictures(file_state(Path(path)), self.column)[row]
            except BAD_PARQUET as error:
                found[path, row] = error
        for one in wanted:
            try:
                value = found[one.place]
                if isinstance(value, Exception):
                    raise BadImage(one.name, f"cannot be read ({value})") from value
                yield _image(value, one.name, self.column)
            except BadImage as error:
                yield error


def _image(value: Any, name: str, column: str) -> Image:
    """The picture of an entry of a column. Raises BadImage where it cannot be used."""
    if value is not None and _holds_pixels(value.type):
        try:
            return _pixels(value, name, column)
        except (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadImage(name, f"no planes of pixels in {column}.{FLUX} ({error})") from error
    data = value.as_py() if value is not None else None
    data = data.get("bytes") if isinstance(data, dict) else data
    if not data:
        raise BadImage(name, "the row has no bytes of a picture")
    return read_image(data, name=name)


def _pixels(value: Any, name: str, column: str) -> Image:
    """The picture of `flux`, a plane for each band."""
    if not value.is_valid:
        raise BadImage(name, f"the row has nothing in {column}")
    if _is_list(value.type):
        parts = {key: value.values.field(key) for key in _fields(value.type.value_type)}
    else:
        parts = {key: value[key].values for key in _fields(value.type) if value[key].is_valid}
    if FLUX not in parts:
        raise BadImage(name, f"the row has nothing in {column}.{FLUX}")
    planes, said = _planes(parts[FLUX], name), ""
    if IVAR in parts and (known := _planes(parts[IVAR], name)).shape == planes.shape:
        planes, said = np.where(known > 0, planes, np.nan), f", no data where {IVAR} is 0"
    image = image_of(planes, name, linear=True, words=f"{column}.{FLUX}{said}")
    bands = [str(one)[:32] for one in parts[BAND].to_pylist()] if BAND in parts else []
    if len(bands) == len(planes):
        image = replace(image, band=bands[0] if len(bands) == 1 else None, bands=(*bands,))
    scales = {one for one in parts[SCALE].to_pylist() if one} if SCALE in parts else set()
    if len(scales) == 1 and 0 < (scale := float(scales.pop())) < math.inf:
        image = replace(image, pixel_scale_arcsec=scale, scale_by=f"{column}.{SCALE}")
    return image


def _planes(values: Any, name: str) -> NDArray[np.float32]:
    """Planes (C, H, W) of lists of rows, or of lists of all pixels of square planes."""
    count, rows = len(values), values.flatten()
    if not 0 < count <= MAX_PLANES or not len(rows):
        raise BadImage(name, f"{count} planes; at least 1, at most {MAX_PLANES}, with pixels")
    lengths = set(pc.list_value_length(values).to_pylist())
    if _is_list(rows.type):
        widths = set(pc.list_value_length(rows).to_pylist())
        pixels = rows.flatten()
    else:
        widths, pixels = {math.isqrt(len(rows) // count)}, rows
    shape = (count, len(pixels) // count // max(1, *widths), max(widths))
    if len(lengths) > 1 or len(widths) > 1 or math.prod(shape) != len(pixels):
        raise BadImage(name, "rows of pixels of different lengths")
    if len(pixels) > MAX_PIXELS:
        raise BadImage(name, f"{len(pixels)} pixels; at most {MAX_PIXELS}")
    numbers = pixels.to_numpy(zero_copy_only=False)
    return np.asarray(numbers, np.float32).reshape(shape)


class ParquetSource:
    """Parquet files with the pictures in a column.

    Rows of the same files as catalogue are those of the pictures; with another catalogue they are
    matched by the id column of both.
    """

    def __init__(
        self, path: Path, id_column: str, *, same: bool, parts: Sequence[Path] = ()
    ) -> None:
        """parts: the files, in order; else `path` is the file."""
        self._parts = [str(part.absolute()) for part in (parts or [path])]
        first = pq.ParquetFile(self._parts[0])
        self._name, self._column = path.name, picture_column(first)
        pixels = {one.name for one in first.schema_arrow if _holds_pixels(one.type)}
        self._what = "pixels" if self._column in pixels else "bytes"
        if not self._column:
            raise SurveyError(
                f"{path}: no column of pictures (struct with bytes, bytes, or struct with flux)"
            )
        counts = [pq.read_metadata(part).num_rows for part in self._parts]
        self._ends = np.cumsum(counts)
        self._places: tuple[NDArray[np.uint64], NDArray[np.intp]] | None = None
        if not same:
            hashes = np.concatenate([self._hashes(part, id_column, path) for part in self._parts])
            order = np.argsort(hashes, kind="stable")
            self._places = hashes[order], order
            if (hashes[order][1:] == hashes[order][:-1]).any():
                raise SurveyError(f"{path}: ids in {id_column!r} are not unique")
        files = f"{len(self._parts):,} Parquet files" if parts else "Parquet file"
        self.kind = f"{files}: {self.count:,} rows, pictures in the column {self._column}"

    @property
    def count(self) -> int:
        """Rows of all files."""
        return int(self._ends[-1])

    @staticmethod
    def _hashes(part: str, id_column: str, path: Path) -> NDArray[np.uint64]:
        file = pq.ParquetFile(part)
        if id_column not in file.schema_arrow.names:
            raise SurveyError(f"{path}: no column {id_column!r} to match the catalogue by")
        ids = plain_table(file.read([id_column]))[id_column].cast("string").to_pylist()
        return np.fromiter((name_hash(str(name).strip()) for name in ids), np.uint64, len(ids))

    def notes(self) -> list[str]:
        """What the summary says of the pictures."""
        way = "row by row of the same file" if self._places is None else "by id"
        return [f"pictures from the {self._what} of the column {self._column}, {way}"]

    def _index(self, row: CatalogRow) -> int | None:
        if self._places is None:
            return row.row
        place = place_of(self._places[0], name_hash(row.galaxy_id))
        return None if place is None else int(self._places[1][place])

    def file_of(self, row: CatalogRow) -> str:
        """The file and the row in it."""
        index = self._index(row)
        if index is None or index >= self.count:
            return self._name
        if len(self._parts) == 1:
            return f"{self._name}[{index}]"
        part, within = self._at(index)
        return f"{Path(part).name}[{within}]"

    def _at(self, index: int) -> tuple[str, int]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[number - 1]) if number else 0
        return self._parts[number], index - before

    def locate(self, row: CatalogRow) -> tuple[str, int]:
        """File of the picture and the row in it. Raises BadImage where there is none."""
        index = self._index(row)
        if index is None or index >= self.count:
            raise BadImage(self._name, "the file holds no picture of this id")
        return self._at(index)

    @property
    def reader(self) -> ParquetReader:
        """What reads its pictures."""
        return ParquetReader(self._column)

    def fetch(self, row: CatalogRow) -> Image:
        """Read the picture."""
        return self.reader.read(self.locate(row), self.file_of(row))

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """Pictures that no row refers to."""
        used = np.zeros(self.count, bool)
        for row in rows:
            index = self._index(row)
            if index is not None and index < self.count:
                used[index] = True
        return int((~used).sum())
