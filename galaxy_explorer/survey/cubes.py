"""Cubes: stacks of stamps in one file (.npy, .npz, HDF5), read some stamps at a time by seeking.

Nothing of them is memory-mapped, so the pages of a large cube never count as this process's memory.
"""

from __future__ import annotations

import contextlib
import lzma
import math
import shutil
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.columns import lost_digits
from galaxy_explorer.survey.images import Image, image_of
from galaxy_explorer.survey.limits import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MAX_PLANES,
)
from galaxy_explorer.survey.names import name_hash, place_of
from galaxy_explorer.survey.readers import FileState, Reader, Wanted, file_state
from galaxy_explorer.survey.shards import EIGHT_BITS
from galaxy_explorer.utils.files import raise_if_full
from galaxy_explorer.utils.tables import check_id_texts, float_ids

CUBE_SUFFIXES = (".npz", ".npy", ".h5", ".hdf5", ".hdf")
COPY_BYTES = 1 << 20
IMAGE_NAMES = ("images", "stamps", "data", "image", "x")
ID_NAMES = ("galaxy_id", "objid", "dr7objid", "source_id", "id", "ids", "name", "names")
CUBE_AXES = (3, 4)
MOST_COMPARED = 10_000
"""Ids of the catalogue that tell which array of a cube holds them."""
LEAST_ID = 1000
"""Smaller whole numbers in a cube may be classes or counts as well as ids."""
# What zipfile, numpy and h5py raise for damaged files; numpy reads an .npy header with tokenize.
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    SyntaxError,
    ArithmeticError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
)


@dataclass(frozen=True)
class Cube:
    """`count` stamps of `shape` (C, H, W); `read(i, j)` gives those from i to before j.

    `ids` are the names the file itself gives its stamps in the array `id_name`, or None. `arrays`
    reads each array of as many values as there are stamps. channels_last: stored
    (H, W, C).
    """

    name: str
    count: int
    shape: tuple[int, int, int]
    read: Callable[[int, int], NDArray[Any]]
    id_name: str | None = None
    arrays: Mapping[str, Callable[[], NDArray[Any]]] = field(default_factory=dict)
    channels_last: bool = False

    @property
    def words(self) -> str:
        """Size of a stamp in words."""
        planes, height, width = self.shape
        return f"{width} x {height} px" + (f" in {planes} planes" if planes > 1 else "")

    @cached_property
    def ids(self) -> NDArray[Any] | None:
        """Names of the stamps, bytes as text; None where no array is called like ids."""
        if self.id_name is None:
            return None
        values = self.arrays[self.id_name]()
        return np.array(id_texts(values)) if values.dtype.kind in "OS" else values


def open_cube(path: Path, staging: Path, id_column: str) -> Cube:
    """Open a cube (N, H, W), (N, C, H, W) or (N, H, W, C); `id_column` likely names its ids.

    The image array of an .npz is unpacked to `staging` first, because a packed array cannot be
    read from the middle.

    Raises BadImage for a damaged file and SurveyError where no array looks like stamps.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                shapes = {}
                for member in archive.namelist():
                    with archive.open(member) as stream:
                        if member.endswith(".npy"):
                            shapes[member.removesuffix(".npy")] = _npy_header(stream, member)[0]
                images = pick_images(
                    {name: len(shape) for name, shape in shapes.items()}, str(path)
                )
                unpacked = staging / "cube.npy"
                member = f"{images}.npy"
                size = archive.getinfo(member).file_size
                free = shutil.disk_usage(unpacked.parent).free
                if size > free:
                    raise SurveyError(
                        f"{archive.filename}: {member} needs {size} bytes, {free} are free"
                    )
                with archive.open(member) as packed, unpacked.open("wb") as stream:
                    shutil.copyfileobj(packed, stream, COPY_BYTES)
            arrays = id_arrays(shapes, shapes[images][0], images)
            reads = {name: partial(_npz_array, path, name) for name in arrays}
            found = _open_npy(unpacked, f"{path.name}:{images}")
            return replace(found, id_name=id_name(arrays, id_column), arrays=reads)
        if suffix == ".npy":
            return _open_npy(path, path.name)
        return _open_hdf5(path, id_column)
    except DAMAGE as error:
        raise_if_full(error, staging)
        raise BadImage(str(path), f"cannot be read as a cube ({error})") from error


def _npy_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            header = np.lib.format.read_array_header_2_0(stream)
        else:
            raise BadImage(name, f".npy version {version} is not read")
    if header[2].hasobject:
        raise BadImage(name, "holds Python objects, which are never loaded")
    return header


def _open_npy(path: Path, name: str) -> Cube:
    with path.open("rb") as stream:
        shape, fortran, dtype = _npy_header(stream, name)
        offset = stream.tell()
    count, planes = stamp_shape(shape, dtype, name)
    if fortran:
        raise BadImage(name, "is in Fortran order; save it in C order")
    expected = offset + math.prod(shape) * dtype.itemsize
    if path.stat().st_size < expected:
        raise BadImage(name, f"truncated: {path.stat().st_size} bytes of {expected}")
    read = _NpyPixels(path.absolute(), offset, shape, dtype)
    return Cube(name, count, planes, read, channels_last=channels_last(shape))


@dataclass(frozen=True)
class _NpyPixels:
    """Stamps of an .npy file."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __call__(self, start: int, stop: int) -> NDArray[Any]:
        """Those from `start` to before `stop`, planes first."""
        pixels = math.prod(self.shape[1:])
        with self.path.open("rb") as stream:
            stream.seek(self.offset + start * pixels * self.dtype.itemsize)
            return planes_first(
                np.fromfile(stream, self.dtype, (stop - start) * pixels), self.shape
            )


def stamp_shape(
    shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> tuple[int, tuple[int, int, int]]:
    """How many stamps an array holds, and their shape (C, H, W); raises BadImage if none."""
    if len(shape) not in CUBE_AXES or dtype.kind not in "buif":
        raise BadImage(
            name, f"{dtype} of shape {shape} is no stack of stamps (N, H, W), nor (N, C, H, W)"
        )
    planes = (1, *shape[1:])[-3:]
    if channels_last(shape):
        planes = (shape[3], shape[1], shape[2])
    if 0 in shape or math.prod(planes) > MAX_PIXELS:
        raise BadImage(name, f"stamps of {planes} pixels; at least 1, at most {MAX_PIXELS}")
    return shape[0], (planes[0], planes[1], planes[2])


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether a cube is (N, H, W, C), as pictures of machine learning are: H are no planes."""
    return len(shape) == 4 and shape[1] > MAX_PLANES >= shape[3]


def planes_first(stamps: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Stamps (n, C, H, W) of some of an array of a shape."""
    planes = stamps.reshape(-1, *(1, *shape[1:])[-3:])
    return np.moveaxis(planes, 3, 1) if channels_last(shape) else planes


def pick_images(ranks: dict[str, int], name: str) -> str:
    """The array that holds the stamps, of arrays by their rank; raises SurveyError if unclear."""
    fitting = [key for key, rank in ranks.items() if rank in CUBE_AXES]
    likely = [key for key in IMAGE_NAMES if key in fitting]
    if likely or len(fitting) == 1:
        return (likely or fitting)[0]
    raise SurveyError(f"{name}: cannot tell which array holds the stamps: {', '.join(ranks)}")


def id_arrays(shapes: dict[str, tuple[int, ...]], count: int, images: str) -> list[str]:
    """Names of the arrays that have a value for each stamp."""
    return [
        name for name, shape in shapes.items() if shape in {(count,), (count, 1)} and name != images
    ]


def id_name(arrays: Sequence[str], id_column: str) -> str | None:
    """The array called like the id column, else by a usual name, whatever the case."""
    for wanted in (id_column, *ID_NAMES):
        alike = [name for name in arrays if name.lower() == wanted.lower()]
        if alike:
            return wanted if wanted in alike else alike[0]
    return None


def _npz_array(path: Path, name: str) -> NDArray[Any]:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            return np.ravel(np.lib.format.read_array(stream, allow_pickle=False))
    except DAMAGE as error:
        raise BadImage(f"{path}:{name}", f"cannot be read ({error})") from error


def _open_hdf5(path: Path, id_column: str) -> Cube:
    state = file_state(path)
    file = _hdf5_file(state)
    shapes = {name: file[name].shape for name in file if _is_plain_dataset(file, name)}
    images = pick_images({name: len(shape) for name, shape in shapes.items()}, str(path))
    cube, name = file[images], f"{path.name}:{images}"
    count, planes = stamp_shape(shapes[images], cube.dtype, name)
    if math.prod(cube.chunks or (1,)) * cube.dtype.itemsize > MAX_FILE_BYTES:
        raise BadImage(name, f"a chunk has more than {MAX_FILE_BYTES} bytes; write smaller chunks")
    arrays = id_arrays(shapes, count, images)

    reads = {one: partial(_hdf5_array, file, one) for one in arrays}
    return Cube(
        name,
        count,
        planes,
        _Hdf5Pixels(state, images),
        id_name(arrays, id_column),
        reads,
        channels_last(shapes[images]),
    )


@lru_cache(maxsize=4)
def _hdf5_file(state: FileState) -> Any:
    """The file, once a process."""
    import h5py

    return h5py.File(state.path, "r", rdcc_nbytes=MAX_FILE_BYTES)


@dataclass(frozen=True)
class _Hdf5Pixels:
    """Stamps of a dataset."""

    file: FileState
    name: str

    def __call__(self, start: int, stop: int) -> NDArray[Any]:
        """Those from `start` to before `stop`, planes first."""
        cube = _hdf5_file(self.file)[self.name]
        return planes_first(np.asarray(cube[start:stop]), cube.shape)


def _hdf5_array(file: Any, name: str) -> NDArray[Any]:
    try:
        return np.ravel(file[name][:])
    except DAMAGE as error:
        raise BadImage(f"{file.filename}:{name}", f"cannot be read ({error})") from error


def _is_plain_dataset(file: Any, name: str) -> bool:
    """A dataset of this very file: no link elsewhere, no external or virtual storage."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return False
    item = file[name]
    return isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual


READ_BYTES = 16 << 20
"""Of stamps that follow each other, read at once."""


@dataclass(frozen=True)
class CubeReader(Reader):
    """Stamps of a cube by their number."""

    pixels: Callable[[int, int], NDArray[Any]]
    words: str

    def read(self, place: Any, name: str) -> Image:
        """Read one stamp."""
        try:
            values = self.pixels(place, place + 1)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadImage(name, f"cannot be read ({error})") from error
        return self._image(values[0], name)

    def images(self, wanted: Sequence[Wanted]) -> Iterator[Image | BadImage]:
        """Stamps that follow each other in the cube are read at once."""
        most, start = 1, 0
        while start < len(wanted):
            first, stop = wanted[start].place, start + 1
            while stop - start < most and stop < len(wanted):
                if wanted[stop].place != first + stop - start:
                    break
                stop += 1
            part = wanted[start:stop]
            try:
                values = self.pixels(first, first + len(part))
                most = max(1, READ_BYTES // values[0].nbytes)
                yield from (
                    self._image_or_error(v, one.name) for v, one in zip(values, part, strict=True)
                )
            except (OSError, ValueError, RuntimeError):
                yield from super().images(part)  # which of them it is
            start = stop

    def _image_or_error(self, values: NDArray[Any], name: str) -> Image | BadImage:
        try:
            return self._image(values, name)
        except BadImage as error:
            return error

    def _image(self, values: NDArray[Any], name: str) -> Image:
        if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
            most = float(np.iinfo(values.dtype).max)
            numbers = EIGHT_BITS[values] if most == len(EIGHT_BITS) - 1 else values / most
            numbers = np.ascontiguousarray(numbers, np.float32)
            image = image_of(numbers, name, linear=False, words=self.words, owned=True)
            return replace(image, full_range=most)
        return image_of(values, name, linear=True, words=self.words)


class CubeSource:
    """A cube: stamps by the ids in the file; row by row only where that is asked for.

    ids: those of the catalogue, to tell by its values which array of the file holds them.

    Raises SurveyError where no array does and it is not to be read row by row, or rows and stamps
    differ in number.
    """

    def __init__(
        self, cube: Cube, catalog_rows: int, *, by_row: bool = False, ids: Iterable[str] = ()
    ) -> None:
        self._cube = cube
        self.kind = f"cube {cube.name}: {cube.count:,} stamps of {cube.words}"
        self._places: tuple[NDArray[np.uint64], NDArray[np.intp]] | None = None
        self._notes: list[str] = []
        names = None if by_row else self._ids(list(islice(ids, MOST_COMPARED)))
        if names is None:
            self._take_by_row(catalog_rows, asked=by_row)
            return
        hashes = np.fromiter((name_hash(name) for name in names), np.uint64, len(names))
        order = np.argsort(hashes, kind="stable")
        self._places = (hashes[order], order)

    def _take_by_row(self, catalog_rows: int, *, asked: bool) -> None:
        cube, arrays = self._cube, ", ".join(self._cube.arrays) or "none"
        if not asked and any(_may_be_ids(read()) for read in cube.arrays.values()):
            raise SurveyError(
                f"{cube.name}: no array holds the catalogue's ids (arrays of a value for each "
                f"stamp: {arrays}); name the right column by --id, add an array named like it, or "
                "give --by-row if stamp i belongs to row i"
            )
        if cube.count != catalog_rows:
            raise SurveyError(
                f"{cube.name}: {cube.count} stamps for {catalog_rows} catalogue rows and no id "
                f"array to match them by (arrays: {arrays}); add one named like the id column"
            )
        self._notes.append(f"stamps by position, row by row; arrays not used: {arrays}")

    def _ids(self, wanted: list[str]) -> list[str] | None:
        """Ids of the stamps, from the array of the right name or the one of the right values."""
        cube, named = self._cube, None
        if cube.ids is not None and cube.id_name is not None:
            if lost := lost_digits(cube.ids):
                raise SurveyError(float_ids(cube.id_name, cube.name, lost))
            named = id_texts(cube.ids)
            if not wanted or not {*named}.isdisjoint(wanted):
                self._notes.append(f"stamps by the ids in the array {cube.id_name}")
                return named
        return self._by_values(set(wanted)) or named

    def _by_values(self, wanted: set[str]) -> list[str] | None:
        """Ids of the array whose values are the catalogue's; refused where several differ."""
        fitting = {}
        for name, read in self._cube.arrays.items():
            values = read()
            texts = [] if lost_digits(values) else id_texts(values)
            if wanted and 2 * len(wanted & set(texts)) >= len(wanted):
                fitting[name] = texts
        if len({tuple(texts) for texts in fitting.values()}) > 1:
            raise SurveyError(
                f"{self._cube.name}: the arrays {' and '.join(fitting)} all hold the catalogue's "
                "ids; name the right one like the id column"
            )
        if not fitting:
            return None
        name, found = next(iter(fitting.items()))
        self._notes.append(f"stamps by the values of the array {name}, which are the ids")
        return found

    def notes(self) -> list[str]:
        """What the summary says of how stamps were matched."""
        return self._notes

    def _index(self, row: CatalogRow) -> int | None:
        if self._places is None:
            return row.row
        hashes, order = self._places
        value = name_hash(row.galaxy_id)
        place = place_of(hashes, value)
        if place is not None and place + 1 < hashes.size and int(hashes[place + 1]) == value:
            raise BadImage(self._cube.name, "the cube holds several stamps of this id")
        return None if place is None else int(order[place])

    def file_of(self, row: CatalogRow) -> str:
        """The cube and the place in it."""
        try:
            index = self._index(row)
        except BadImage:
            index = None
        return self._cube.name if index is None else f"{self._cube.name}[{index}]"

    def locate(self, row: CatalogRow) -> int:
        """Place of the row's stamp in the cube. Raises BadImage where there is none, or several."""
        index = self._index(row)
        if index is None:
            raise BadImage(self._cube.name, "the cube holds no stamp of this id")
        return index

    @property
    def reader(self) -> CubeReader:
        """What reads its stamps."""
        words = self._cube.name + (" (channels last)" if self._cube.channels_last else "")
        return CubeReader(self._cube.read, words)

    def fetch(self, row: CatalogRow) -> Image:
        """Read one stamp; whole numbers of 8 or 16 bits count as stretched pictures."""
        return self.reader.read(self.locate(row), self.file_of(row))

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """Stamps of the cube that no row refers to."""
        used = np.zeros(self._cube.count, bool)
        for row in rows:
            with contextlib.suppress(BadImage):
                used[self.locate(row)] = True
        return int((~used).sum())


def _may_be_ids(values: NDArray[Any]) -> bool:
    """Text or large whole numbers, all different: not classes, flags or a running number."""
    if values.dtype.kind not in "OSUiu" or len(np.unique(values)) < len(values):
        return False
    return values.dtype.kind in "OSU" or int(values.max()) >= max(len(values), LEAST_ID) + 1


def id_texts(values: NDArray[Any]) -> list[str]:
    """Ids of a cube as text, to the last digit; bytes decoded, whole floats as integers."""
    if values.dtype.kind == "f":
        values = values.astype(np.int64)
    texts = [
        (v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)).strip("\0 ")
        for v in values.tolist()
    ]
    whole = values.dtype.kind in "OSU" and check_id_texts(texts, "ids", "the cube")
    return [text.split(".")[0] for text in texts] if whole else texts
