"""Where stamps come from: a folder of pictures, a cube, or a mosaic that is cut.

A cube is a stack of stamps in one file (.npy, .npz, HDF5), read a stamp at a time by seeking.
Nothing of it is memory-mapped, so the pages of a large cube never count as this process's memory.
"""

from __future__ import annotations

import hashlib
import lzma
import math
import mmap
import os
import shutil
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.fits_images import hdu_spans
from galaxy_explorer.survey.images import COMPRESSED, SUFFIXES, Image, finite, read_image
from galaxy_explorer.survey.limits import MAX_FILE_BYTES, MAX_PIXELS

COPY_BYTES = 1 << 20
IMAGE_NAMES = ("images", "stamps", "data", "image", "x")
ID_NAMES = ("galaxy_id", "objid", "dr7objid", "id", "ids", "name", "names")
CUBE_AXES = (3, 4)
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
    """`count` stamps of `shape` (C, H, W); `read(i)` gives stamp i.

    `ids` are the names the file itself gives its stamps, or None.
    """

    name: str
    count: int
    shape: tuple[int, int, int]
    read: Callable[[int], NDArray[Any]]
    ids: NDArray[Any] | None = None


def open_cube(path: Path, staging: Path, id_column: str) -> Cube:
    """Open a cube (N, H, W) or (N, C, H, W); `id_column` is the likely name of its id array.

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
                images = _pick({name: len(shape) for name, shape in shapes.items()}, str(path))
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
                ids = _id_name(shapes, shapes[images][0], id_column)
                values = None
                if ids:
                    with archive.open(f"{ids}.npy") as stream:
                        values = np.lib.format.read_array(stream, allow_pickle=False)
            return _open_npy(unpacked, f"{path.name}:{images}", values)
        if suffix == ".npy":
            return _open_npy(path, path.name, None)
        return _open_hdf5(path, id_column)
    except DAMAGE as error:
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


def _open_npy(path: Path, name: str, ids: NDArray[Any] | None) -> Cube:
    with path.open("rb") as stream:
        shape, fortran, dtype = _npy_header(stream, name)
        offset = stream.tell()
    count, planes = _stamp_shape(shape, dtype, name)
    if fortran:
        raise BadImage(name, "is in Fortran order; save it in C order")
    expected = offset + math.prod(shape) * dtype.itemsize
    if path.stat().st_size < expected:
        raise BadImage(name, f"truncated: {path.stat().st_size} bytes of {expected}")
    pixels = math.prod(planes)

    def read(index: int) -> NDArray[Any]:
        with path.open("rb") as stream:
            stream.seek(offset + index * pixels * dtype.itemsize)
            return np.fromfile(stream, dtype, pixels).reshape(planes)

    return Cube(name, count, planes, read, ids)


def _stamp_shape(
    shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> tuple[int, tuple[int, int, int]]:
    if len(shape) not in CUBE_AXES or dtype.kind not in "buif":
        raise BadImage(name, f"{dtype} of shape {shape} is no stack of stamps (N, H, W)")
    planes = (1, *shape[1:])[-3:]
    if 0 in shape or math.prod(planes) > MAX_PIXELS:
        raise BadImage(name, f"stamps of {planes} pixels; at least 1, at most {MAX_PIXELS}")
    return shape[0], (planes[0], planes[1], planes[2])


def _pick(ranks: dict[str, int], name: str) -> str:
    fitting = [key for key, rank in ranks.items() if rank in CUBE_AXES]
    likely = [key for key in IMAGE_NAMES if key in fitting]
    if likely or len(fitting) == 1:
        return (likely or fitting)[0]
    raise SurveyError(f"{name}: cannot tell which array holds the stamps: {', '.join(ranks)}")


def _id_name(shapes: dict[str, tuple[int, ...]], count: int, id_column: str) -> str | None:
    fitting = (name for name in (id_column, *ID_NAMES) if shapes.get(name) == (count,))
    return next(fitting, None)


def _open_hdf5(path: Path, id_column: str) -> Cube:
    import h5py

    file = h5py.File(path, "r", rdcc_nbytes=MAX_FILE_BYTES)
    shapes = {name: file[name].shape for name in file if _is_plain_dataset(file, name)}
    images = _pick({name: len(shape) for name, shape in shapes.items()}, str(path))
    cube, name = file[images], f"{path.name}:{images}"
    count, planes = _stamp_shape(shapes[images], cube.dtype, name)
    if math.prod(cube.chunks or (1,)) * cube.dtype.itemsize > MAX_FILE_BYTES:
        raise BadImage(name, f"a chunk has more than {MAX_FILE_BYTES} bytes; write smaller chunks")
    ids = _id_name(shapes, count, id_column)

    def read(index: int) -> NDArray[Any]:
        return np.asarray(cube[index]).reshape(planes)

    values = file[ids][:] if ids else None
    if values is not None and values.dtype.kind in "OS":
        texts = (v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values)
        values = np.array(list(texts))
    return Cube(name, count, planes, read, values)


def _is_plain_dataset(file: Any, name: str) -> bool:
    """A dataset of this very file: no link elsewhere, no external or virtual storage."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return False
    item = file[name]
    return isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual


CUBE_SUFFIXES = (".npz", ".npy", ".h5", ".hdf5", ".hdf")
FITS_SUFFIXES = (".fits", ".fit", ".fts")
ARCSEC_PER_DEGREE = 3600.0


class StampSource(Protocol):
    """A place to fetch the picture of a catalogue row from."""

    def file_of(self, row: CatalogRow) -> str:
        """Name of the file, or the place in it, for reports."""

    def fetch(self, row: CatalogRow) -> Image:
        """The picture. Raises BadImage where there is none or it cannot be used."""

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """How many pictures no catalogue row refers to."""


def name_hash(text: str) -> int:
    """64 bits of a name: enough to tell millions apart in 8 bytes each."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class SeenNames:
    """The set of names met so far, 8 bytes each."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    def add(self, name: str) -> bool:
        """Note `name`; False if it was there already."""
        value = name_hash(name)
        if value in self._recent or _place(self._sorted, value) is not None:
            return False
        self._recent.add(value)
        if len(self._recent) >= 4096:
            self._sorted = np.union1d(self._sorted, np.array(list(self._recent), np.uint64))
            self._recent.clear()
        return True


def _place(values: NDArray[np.uint64], value: int) -> int | None:
    """Place of a value among sorted ones; None where it is not among them."""
    place = int(np.searchsorted(values, np.uint64(value)))
    return place if place < values.size and int(values[place]) == value else None


class FolderSource:
    """A folder of FITS, PNG or JPEG: the catalogue's image column, else the id, names the file."""

    def __init__(self, folder: Path, hdu: int | None = None) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._hdu = hdu

    def file_of(self, row: CatalogRow) -> str:
        """Path within the folder."""
        if row.image:
            return row.image
        for suffix in SUFFIXES:
            for ending in (suffix, *(suffix + packed for packed in COMPRESSED)):
                if (self._folder / (row.galaxy_id + ending)).is_file():
                    return row.galaxy_id + ending
        return row.galaxy_id

    def fetch(self, row: CatalogRow) -> Image:
        """Read the row's file, which must lie within the folder."""
        name = self.file_of(row)
        try:
            path = (self._folder / name).resolve()
            inside = path.is_relative_to(self._root)
            present = path.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise BadImage(name, f"is no file name ({error})") from error
        if not inside:
            raise BadImage(name, "lies outside the folder")
        if not present:
            raise BadImage(name, "no such file in the folder")
        return read_image(path, name=name, hdu=self._hdu)

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """Pictures in the folder (and folders in it) that no row names."""
        used = np.fromiter((name_hash(os.path.normpath(self.file_of(r))) for r in rows), np.uint64)
        used.sort()
        count = 0
        for folder, _, names in os.walk(self._folder):
            for name in names:
                if Path(name.removesuffix(".gz").removesuffix(".bz2")).suffix.lower() in SUFFIXES:
                    path = os.path.relpath(Path(folder) / name, self._folder)
                    count += _place(used, name_hash(path)) is None
        return count


class CubeSource:
    """A cube: stamps by the ids in the file, else row by row."""

    def __init__(self, cube: Cube, catalog_rows: int) -> None:
        self._cube = cube
        self._places: tuple[NDArray[np.uint64], NDArray[np.intp]] | None = None
        if cube.ids is not None:
            hashes = np.fromiter((name_hash(str(name)) for name in cube.ids), np.uint64)
            order = np.argsort(hashes, kind="stable")
            self._places = (hashes[order], order)
        elif cube.count != catalog_rows:
            raise SurveyError(
                f"{cube.name}: {cube.count} stamps for {catalog_rows} catalogue rows and no id "
                "array to match them by; add one named like the id column"
            )

    def _index(self, row: CatalogRow) -> int | None:
        if self._places is None:
            return row.row
        hashes, order = self._places
        place = _place(hashes, name_hash(row.galaxy_id))
        return None if place is None else int(order[place])

    def file_of(self, row: CatalogRow) -> str:
        """The cube and the place in it."""
        index = self._index(row)
        return self._cube.name if index is None else f"{self._cube.name}[{index}]"

    def fetch(self, row: CatalogRow) -> Image:
        """Read one stamp; whole numbers of 8 or 16 bits count as stretched pictures."""
        index = self._index(row)
        name = self.file_of(row)
        if index is None:
            raise BadImage(name, "the cube holds no stamp of this id")
        try:
            values = self._cube.read(index)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadImage(name, f"cannot be read ({error})") from error
        if values.dtype in (np.uint8, np.uint16):
            return Image(finite(values / np.iinfo(values.dtype).max, name), linear=False)
        return Image(finite(values, name), linear=True)

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """Stamps of the cube that no row refers to."""
        used = np.zeros(self._cube.count, bool)
        for row in rows:
            index = self._index(row)
            if index is not None:
                used[index] = True
        return int((~used).sum())


class MosaicSource:
    """A FITS mosaic with WCS, cut at the catalogue's RA and Dec without being loaded."""

    def __init__(self, path: Path, *, side_arcsec: float | None, side_px: int) -> None:
        from astropy.io import fits
        from astropy.wcs import WCS
        from astropy.wcs.utils import proj_plane_pixel_scales

        if path.stat().st_size == 0:
            raise BadImage(str(path), "empty file")
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            numbers = [
                span.number
                for span in hdu_spans(mapped, str(path))
                if span.is_image and len(span.planes) == 2
            ]
        if not numbers:
            raise BadImage(str(path), "no HDU holds an image of two axes")
        number = numbers[0]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._file = fits.open(path, memmap=True, disable_image_compression=True)
                self._hdu = self._file[number]
                self._wcs = WCS(self._hdu.header).celestial
                steps = proj_plane_pixel_scales(self._wcs)
        except (OSError, ValueError, TypeError, KeyError, MemoryError) as error:
            raise BadImage(str(path), f"has no celestial WCS ({error})") from error
        if self._wcs.naxis != 2:
            raise BadImage(str(path), "has no celestial WCS; give a folder of stamps instead")
        self._name = path.name
        self.pixel_scale = float(np.sqrt(np.prod(steps))) * ARCSEC_PER_DEGREE
        self.side = round(side_arcsec / self.pixel_scale) if side_arcsec else side_px

    def file_of(self, row: CatalogRow) -> str:
        """The mosaic and the position in it."""
        return f"{self._name} at {row.ra:.6f} {row.dec:+.6f} deg"

    def fetch(self, row: CatalogRow) -> Image:
        """Cut a square around the row's position; it must lie within the mosaic as a whole."""
        from astropy.coordinates import SkyCoord
        from astropy.nddata import Cutout2D, NoOverlapError, PartialOverlapError

        name = self.file_of(row)
        if not np.isfinite(row.ra) or not abs(row.dec) <= 90.0:
            raise BadImage(name, "the catalogue gives no position")
        where = SkyCoord(row.ra, row.dec, unit="deg")
        try:
            cut = Cutout2D(
                self._hdu.section, where, self.side, wcs=self._wcs, mode="strict", copy=True
            )
        except (NoOverlapError, PartialOverlapError, ValueError) as error:
            raise BadImage(name, f"not wholly within the mosaic ({error})") from error
        return Image(finite(cut.data[None], name), linear=True, pixel_scale_arcsec=self.pixel_scale)

    def unused(self, rows: Iterable[CatalogRow]) -> int:  # noqa: ARG002
        """A mosaic holds no stamps of its own."""
        return 0


def open_source(
    path: Path,
    *,
    staging: Path,
    id_column: str,
    catalog_rows: int,
    cutout_arcsec: float | None,
    cutout_px: int,
) -> StampSource:
    """The source that `path` is, by its kind and suffix.

    Raises SurveyError for a path that is none of them.
    """
    if path.is_dir():
        return FolderSource(path)
    suffix = path.suffix.lower()
    if path.is_file() and suffix in CUBE_SUFFIXES:
        return CubeSource(open_cube(path, staging, id_column), catalog_rows)
    if path.is_file() and suffix in FITS_SUFFIXES:
        return MosaicSource(path, side_arcsec=cutout_arcsec, side_px=cutout_px)
    raise SurveyError(
        f"{path}: neither a folder of pictures, a cube ({', '.join(CUBE_SUFFIXES)}) nor a FITS "
        "mosaic"
    )
