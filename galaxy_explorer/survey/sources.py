"""Where stamps come from: a folder of pictures, a cube, a table, or a mosaic that is cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.cubes import CUBE_SUFFIXES, Cube, CubeSource, open_cube
from galaxy_explorer.survey.folders import FolderSource, ZipSource, is_picture
from galaxy_explorer.survey.images import Image
from galaxy_explorer.survey.mosaics import MosaicSource, is_mosaic
from galaxy_explorer.survey.parquet_pictures import ParquetSource
from galaxy_explorer.survey.readers import Reader
from galaxy_explorer.survey.table_parts import cutana_batches, parquet_parts
from galaxy_explorer.survey.zarr_cubes import is_zarr, open_zarr

PACKED = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z", ".zst")


class StampSource(Protocol):
    """A place to fetch the picture of a catalogue row from. kind: what it is, in words."""

    kind: str

    @property
    def reader(self) -> Reader:
        """What reads the pictures, in this process or another."""

    def file_of(self, row: CatalogRow) -> str:
        """Name of the file, or the place in it, for reports."""

    def locate(self, row: CatalogRow) -> object:
        """Where the row's picture is, without reading it. Raises BadImage where there is none."""

    def fetch(self, row: CatalogRow) -> Image:
        """The picture. Raises BadImage where there is none or it cannot be used."""

    def unused(self, rows: Iterable[CatalogRow]) -> int:
        """How many pictures no catalogue row refers to."""

    def notes(self) -> list[str]:
        """What the summary says of how pictures are found."""


def is_cube(path: Path) -> bool:
    """Whether a path is a stack of stamps: a file by its name, zarr, or a run of Cutana."""
    if path.is_dir():
        return is_zarr(path) or bool(cutana_batches(path))
    return path.is_file() and path.suffix.lower() in CUBE_SUFFIXES


def open_stack(path: Path, staging: Path, id_column: str) -> Cube:
    """Open what `is_cube` found. Raises BadImage, SurveyError where it cannot be read."""
    if path.is_dir():
        return open_zarr(path, id_column)
    return open_cube(path, staging, id_column)


@dataclass(frozen=True)
class Rows:
    """What a source needs to know of the catalogue: its file, rows, id column and ids."""

    path: Path
    count: int
    id_column: str
    ids: Iterable[str] = ()


def open_source(
    path: Path,
    *,
    staging: Path,
    catalog: Rows,
    cutout_arcsec: float | None,
    cutout_px: int,
    hdu: int | None = None,
    by_row: bool = False,
) -> StampSource:
    """The source that `path` is, by its kind and suffix.

    by_row: stamp i of a cube belongs to row i of the catalogue.

    Raises SurveyError for a path that is none of them.
    """
    suffix = path.suffix.lower()
    if is_cube(path):
        cube = open_stack(path, staging, catalog.id_column)
        return CubeSource(cube, catalog.count, by_row=by_row, ids=catalog.ids)
    if by_row:
        raise SurveyError(f"{path}: --by-row is for cubes ({', '.join(CUBE_SUFFIXES)}, zarr)")
    same = catalog.path.exists() and path.exists() and path.samefile(catalog.path)
    if path.is_dir() and (parts := parquet_parts(path)):
        return ParquetSource(path, catalog.id_column, same=same, parts=parts)
    if path.is_dir():
        return FolderSource(path, hdu)
    if is_mosaic(path):
        return MosaicSource(
            path, side_arcsec=cutout_arcsec, side_px=cutout_px, staging=staging, hdu=hdu
        )
    if path.is_file() and suffix == ".zip":
        return ZipSource(path, hdu)
    if path.is_file() and suffix == ".parquet":
        return ParquetSource(path, catalog.id_column, same=same)
    raise SurveyError(f"{path}: {_no_source(path)}")


def _no_source(path: Path) -> str:
    """Why a path is no source, and what helps."""
    if not path.exists():
        return "no such file or folder; give SOURCE"
    if path.suffix.lower() in PACKED:
        return "is packed; unpack it into a folder first"
    if is_picture(path.name):
        return "one picture; give the folder that it is in"
    return (
        "neither a folder, zip archive or Parquet file of pictures, a cube "
        f"({', '.join(CUBE_SUFFIXES)}) nor a FITS mosaic"
    )
