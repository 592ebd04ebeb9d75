"""What is to be classified: files, surveys, cubes, zarr arrays, Parquet files of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.cubes import CUBE_SUFFIXES, Cube, CubeSource, open_cube
from galaxy_explorer.survey.folders import ParquetSource, list_pictures
from galaxy_explorer.survey.images import Image
from galaxy_explorer.survey.limits import MAX_FILE_BYTES
from galaxy_explorer.survey.store import META, Survey
from galaxy_explorer.utils.files import temporary_folder
from galaxy_explorer.utils.scheduler import once_a_process

ZARR_MARKS = ("zarr.json", ".zarray")
PLAIN_CODECS = ("zarr.codecs", "numcodecs.blosc", "numcodecs.zstd", "numcodecs.zlib",
                "numcodecs.gzip", "numcodecs.lz4", "numcodecs.shuffle")  # fmt: skip
"""Modules of codecs that only unpack numbers; there are others that run what they read."""


@dataclass(frozen=True)
class Images:
    """What is to be classified: files one by one, and stacks with how many images each has."""

    files: tuple[Path, ...]
    stacks: tuple[tuple[Path, int], ...]

    def __len__(self) -> int:
        return len(self.files) + sum(count for _, count in self.stacks)

    def blocks(self, size: int) -> Iterator[ImageBlock]:
        """All of them in order, at most `size` at a time."""
        for start in range(0, len(self.files), size):
            yield ImageBlock(tuple(str(path) for path in self.files[start : start + size]))
        for path, count in self.stacks:
            for start in range(0, count, size):
                yield ImageBlock((), str(path.resolve()), start, min(start + size, count))


@dataclass(frozen=True)
class ImageBlock:
    """Images of one task: files, or those of a stack from `start` to before `stop`."""

    files: tuple[str, ...]
    stack: str = ""
    start: int = 0
    stop: int = 0

    def __len__(self) -> int:
        return len(self.files) or self.stop - self.start


def open_inputs(
    images: Iterable[str | Path], said: Callable[[str], object] = lambda _: None
) -> Images:
    """What paths, shell patterns and folders name. Raises SurveyError or BadImage for bad stacks.

    said: is told what was left out of each folder, and why.
    """
    others: list[str | Path] = []
    stacks: dict[Path, int] = {}
    for one in images:
        path = Path(one)
        if is_stack(path):
            stacks[path] = len(open_stack(path))
        else:
            others.append(one)
    return Images(tuple(expand(others, said)), tuple(stacks.items()))


def is_stack(path: Path) -> bool:
    """Whether a path is a survey, a cube, a zarr array or a Parquet file."""
    if path.is_dir():
        return any((path / name).exists() for name in (META, *ZARR_MARKS))
    return path.is_file() and path.suffix.lower() in (*CUBE_SUFFIXES, ".parquet")


class Stack:
    """Many images in one file or folder; `len` is how many.

    survey: the survey that it is, whose stamps are framed already; None for pictures.
    """

    def __init__(self, path: Path) -> None:
        self.survey: Survey | None = None
        self._source: CubeSource | ParquetSource | None = None
        self._names: Any = None
        if (path / META).exists():
            self.survey = Survey.open(path)
            self._count = len(self.survey)
        elif path.suffix.lower() == ".parquet":
            self._source = ParquetSource(path, "", same=True)
            self._count = self._source.unused(())
        else:
            zarr = path.is_dir()
            staging = path if zarr else temporary_folder("galaxy-explorer-cube")
            cube = open_zarr(path) if zarr else open_cube(path, staging, "galaxy_id")
            self._source, self._names = CubeSource(cube, cube.count, by_row=True), cube.ids
            self._count = cube.count

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        """What an image is called: its id in the file, else the file and its place."""
        if self._names is not None:
            return str(self._names[index])
        if self._source is None:
            raise IndexError(index)
        return self._source.file_of(_row(index))

    def image(self, index: int) -> Image:
        """One picture. Raises BadImage where it cannot be used."""
        if self._source is None:
            raise IndexError(index)
        return self._source.fetch(_row(index))


def _row(index: int) -> CatalogRow:
    return CatalogRow(index, str(index), "", math.nan, math.nan, math.nan)


def open_stack(path: Path) -> Stack:
    """The stack of a path, opened once a process; one at a time."""
    about = path.stat()
    key = (str(path.resolve()), about.st_size, about.st_mtime_ns)
    stack: Stack = once_a_process("stack", key, lambda: Stack(path))
    return stack


def open_zarr(path: Path) -> Cube:
    """A zarr array (N, H, W) or (N, C, H, W) as a cube.

    Raises BadImage for a damaged one, SurveyError for an array of another shape, of objects, or
    packed in a way that is not known to be harmless.
    """
    import zarr

    try:
        array: Any = zarr.open_array(path, mode="r")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadImage(str(path), f"cannot be read as a zarr array ({error})") from error
    shape, chunks = array.shape, math.prod(array.chunks) * array.dtype.itemsize
    if len(shape) not in (3, 4) or array.dtype.kind not in "buif" or 0 in shape:
        raise SurveyError(f"{path}: {array.dtype} of shape {shape} is no stack of images (N, H, W)")
    if chunks > MAX_FILE_BYTES:
        raise BadImage(str(path), f"a chunk has more than {MAX_FILE_BYTES} bytes; write smaller")
    if odd := [name for name in _codecs(array.metadata) if not name.startswith(PLAIN_CODECS)]:
        raise SurveyError(f"{path}: packed by {odd[0]}, which is not read; save it with Blosc")
    planes = (1, *shape[1:])[-3:]
    last = len(shape) == 4 and shape[3] in (3, 4) and shape[1] > shape[3]
    side = (planes[2], planes[0], planes[1]) if last else (planes[0], planes[1], planes[2])

    def read(start: int, stop: int) -> np.ndarray:
        stamps = np.asarray(array[start:stop]).reshape(-1, *planes)
        return np.moveaxis(stamps, 3, 1) if last else stamps

    return Cube(path.name, shape[0], side, read, channels_last=last)


def _codecs(metadata: Any) -> Iterator[str]:
    """The modules of all that unpacks a chunk, of zarr's formats 2 and 3."""
    if hasattr(metadata, "codecs"):
        for codec in metadata.codecs:
            yield type(codec).__module__
            yield from _codecs(codec)
        return
    for codec in (getattr(metadata, "compressor", None), *(getattr(metadata, "filters", ()) or ())):
        if codec is not None:
            yield type(codec).__module__


def expand(
    patterns: Iterable[str | Path], said: Callable[[str], object] = lambda _: None
) -> list[Path]:
    """Files named by paths, shell patterns, or folders (every picture below them), in order.

    said: is told what was left out of each folder, and why.
    """
    files: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            listing = list_pictures(path)
            files += sorted(path / name for name in listing.pictures)
            for words in listing.words():
                said(f"{path}: {words}")
        elif path.exists() or not any(mark in str(pattern) for mark in "*?["):
            files.append(path)
        else:
            root = Path(path.anchor) if path.is_absolute() else Path()
            files += sorted(root.glob(str(path.relative_to(path.anchor))))
    return list(dict.fromkeys(files))
