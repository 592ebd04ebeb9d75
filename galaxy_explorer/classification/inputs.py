"""What is to be classified: files, surveys, cubes, zarr arrays, Parquet files of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.cubes import CUBE_SUFFIXES, CubeSource, open_cube
from galaxy_explorer.survey.folders import list_pictures
from galaxy_explorer.survey.images import Image
from galaxy_explorer.survey.parquet_pictures import ParquetSource
from galaxy_explorer.survey.store import META, Survey
from galaxy_explorer.survey.zarr_cubes import is_zarr, open_zarr
from galaxy_explorer.utils.files import temporary_folder
from galaxy_explorer.utils.scheduler import once_a_process

ID = "galaxy_id"  # what an array of names in a stack may be called


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
        return (path / META).exists() or is_zarr(path)
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
            cube = open_zarr(path, ID) if zarr else open_cube(path, staging, ID)
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
