"""Stacks of stamps in one file (.npy, .npz, HDF5), read a stamp at a time by seeking.

Nothing is memory-mapped, so the pages of a large cube never count as this process's memory.
"""

from __future__ import annotations

import lzma
import math
import shutil
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
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
            return _open_npz(path, staging, id_column)
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


def _open_npz(path: Path, staging: Path, id_column: str) -> Cube:
    with zipfile.ZipFile(path) as archive:
        shapes = {}
        for member in archive.namelist():
            with archive.open(member) as stream:
                if member.endswith(".npy"):
                    shapes[member.removesuffix(".npy")] = _npy_header(stream, member)[0]
        images = _pick({name: len(shape) for name, shape in shapes.items()}, str(path))
        unpacked = staging / "cube.npy"
        _unpack(archive, f"{images}.npy", unpacked)
        ids = _id_name(shapes, shapes[images][0], id_column)
        values = None
        if ids:
            with archive.open(f"{ids}.npy") as stream:
                values = np.lib.format.read_array(stream, allow_pickle=False)
    return _open_npy(unpacked, f"{path.name}:{images}", values)


def _unpack(archive: zipfile.ZipFile, member: str, out: Path) -> None:
    size = archive.getinfo(member).file_size
    free = shutil.disk_usage(out.parent).free
    if size > free:
        raise SurveyError(f"{archive.filename}: {member} needs {size} bytes, {free} are free")
    with archive.open(member) as packed, out.open("wb") as stream:
        shutil.copyfileobj(packed, stream, COPY_BYTES)


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

    return Cube(name, count, planes, read, _texts(file[ids][:]) if ids else None)


def _is_plain_dataset(file: Any, name: str) -> bool:
    """A dataset of this very file: no link elsewhere, no external or virtual storage."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return False
    item = file[name]
    return isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind not in "OS":
        return values
    return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values])
