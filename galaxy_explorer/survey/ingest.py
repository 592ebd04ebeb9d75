"""Ingest: a source of pictures and a catalogue become a survey, a block at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SettingError, SurveyError
from galaxy_explorer.survey.catalog import (
    CatalogRow,
    ColumnMap,
    all_rows,
    block_rows,
    blocks,
    check_numeric,
    map_columns,
    stage_catalog,
    survey_columns,
)
from galaxy_explorer.survey.images import Image
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import Frame, central_square, frame_side, resample
from galaxy_explorer.survey.sources import (
    FolderSource,
    MosaicSource,
    SeenNames,
    StampSource,
    open_source,
)
from galaxy_explorer.survey.store import CHUNK_ROWS, SCALE_COLUMN, Reject, Survey, SurveySpec
from galaxy_explorer.survey.writer import SurveyWriter
from galaxy_explorer.utils.progress import progress

BANDS = {"r": [0], "g": [1], "b": [2], "rgb": [0, 1, 2]}
SMALLEST_STAMP_PX = 8
LARGEST_STAMP_PX = 1024

State = Literal["arcsinh", "linear"]


@dataclass(frozen=True)
class IngestOptions:
    """How a source is read. `columns` names the catalogue column of a role (see ColumnMap).

    Raises SettingError for a value out of range.
    """

    name: str | None = None
    source_name: str | None = None
    columns: dict[str, str | None] = field(default_factory=dict)
    band: str = "g"
    band_name: str | None = None
    size: int = 64
    stretch: Literal["auto", "linear", "arcsinh"] = "auto"
    frame: Frame = "whole"
    cutout_arcsec: float | None = None
    pixel_scale_arcsec: float | None = None
    append: bool = False

    def __post_init__(self) -> None:
        if not (self.band in BANDS or self.band.isdecimal()):
            raise SettingError(f"band {self.band!r}: give r, g, b, rgb or the number of a plane")
        if not SMALLEST_STAMP_PX <= self.size <= LARGEST_STAMP_PX:
            raise SettingError(
                f"size {self.size}: give {SMALLEST_STAMP_PX} to {LARGEST_STAMP_PX} px"
            )
        for name in ("cutout_arcsec", "pixel_scale_arcsec"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise SettingError(f"{name} {value}: give more than 0 arcsec")


class IngestReport(NamedTuple):
    """What came of an ingest: accepted + rejected = catalogue rows."""

    survey: Survey
    catalog_rows: int
    accepted: int
    rejected: int
    unused_pictures: int


class Stamp(NamedTuple):
    """A fitted stamp (C, S, S), its sky and sigma (NaN if stretched), its pixel scale in arcsec."""

    pixels: NDArray[np.float32]
    sky: float
    sky_sigma: float
    scale: float
    state: State


def ingest(
    source: Path, catalog: Path, out: Path, options: IngestOptions
) -> tuple[ColumnMap, IngestReport]:
    """Make (or append to) the survey `out` from the pictures of `source` and a catalogue.

    Run again after an interruption it goes on where it was; the survey is the same, byte for
    byte, as without. A row whose stamp cannot be used is listed in `rejects.csv`.

    Raises BadCatalog, SurveyError, or BadImage where the source as a whole cannot be read.
    """
    staging = out.with_name(out.name + ".staging.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        table = stage_catalog(catalog, staging / "catalog.parquet")
        columns = map_columns(table.schema_arrow.names, options.columns, str(catalog))
        check_numeric(table, columns, str(catalog))
        pictures = open_source(
            source,
            staging=staging,
            id_column=columns.galaxy_id,
            catalog_rows=table.metadata.num_rows,
            cutout_arcsec=options.cutout_arcsec,
            cutout_px=options.size,
        )
        spec = _spec(pictures, all_rows(table, columns), options, source, out)
        recipe = {
            "source": str(source.resolve()),
            "catalog": str(catalog.resolve()),
            "catalog_rows": table.metadata.num_rows,
            "options": asdict(options),
        }
        writer = SurveyWriter(out, spec, recipe=recipe, append=options.append)
        return columns, _IngestRun(pictures, columns, options, writer).work(table)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _spec(
    pictures: StampSource,
    rows: Iterable[CatalogRow],
    options: IngestOptions,
    source: Path,
    out: Path,
) -> SurveySpec:
    """What the survey will be, from the first picture that can be used."""
    image, stamp = _first_usable(pictures, rows, options)
    same_scale = not isinstance(pictures, FolderSource) and options.frame != "auto"
    return SurveySpec(
        name=options.name or out.name,
        source=options.source_name or source.stem,
        stamp_size=options.size,
        channels=len(stamp.pixels),
        band=options.band_name or image.band,
        pixel_scale_arcsec=stamp.scale if same_scale and np.isfinite(stamp.scale) else None,
        state=stamp.state,
    )


def _first_usable(
    pictures: StampSource, rows: Iterable[CatalogRow], options: IngestOptions
) -> tuple[Image, Stamp]:
    reason = "the catalogue is empty"
    for row in rows:
        try:
            image = pictures.fetch(row)
            return image, make_stamp(image, row, options, cut=_cuts(pictures, options))
        except BadImage as error:
            reason = str(error)
    raise SurveyError(f"no catalogue row has a usable picture; the last was {reason}")


def _cuts(pictures: StampSource, options: IngestOptions) -> float | None:
    """Side in arcsec to cut from a picture; a mosaic is cut already."""
    return None if isinstance(pictures, MosaicSource) else options.cutout_arcsec


def make_stamp(
    image: Image, row: CatalogRow, options: IngestOptions, *, cut: float | None
) -> Stamp:
    """Choose planes, frame and resample a picture; `cut` is a side in arcsec, cut out first.

    The sky of linear data is that of the whole picture, in flux per stamp pixel. Its sigma is the
    noise of one original pixel scaled by the ratio of pixel areas, so that the stretch of a survey
    of one depth depends on surface brightness and not on how far a galaxy was shrunk.

    Raises BadImage where planes, pixel scale or size do not allow it.
    """
    linear = image.linear if options.stretch == "auto" else options.stretch == "linear"
    planes = _choose_planes(image.data, options.band)
    scale = image.pixel_scale_arcsec or options.pixel_scale_arcsec or row.pixel_scale
    framed = planes if cut is None else _cut(planes, cut, scale)
    side = frame_side(framed, options.size, frame=options.frame)
    pixels = resample(central_square(framed, side), options.size, linear=linear)
    ratio = side / options.size
    sky, sigma = sky_level(planes) if linear else (np.nan, np.nan)
    state: State = "linear" if linear else "arcsinh"
    return Stamp(pixels, sky * ratio**2, sigma * ratio**2, scale * ratio, state)


def _choose_planes(data: NDArray[np.float32], band: str) -> NDArray[np.float32]:
    count = len(data)
    wanted = [int(band)] if band.isdecimal() else BANDS[band]
    if count == 1 and len(wanted) == 1 and not band.isdecimal():
        return data
    if max(wanted) >= count or (count != 3 and not band.isdecimal()):
        raise BadImage("picture", f"has {count} planes; choose by --band 0 to {count - 1}")
    return data[wanted]


def _cut(planes: NDArray[np.float32], side_arcsec: float, scale: float) -> NDArray[np.float32]:
    if not scale > 0.0:
        raise BadImage("picture", "pixel scale unknown; give --pixel-scale to cut in arcsec")
    side = max(1, round(side_arcsec / scale))
    if side > min(planes.shape[-2:]):
        raise BadImage("picture", f"smaller than the {side_arcsec} arcsec to be cut")
    return central_square(planes, side)


class _IngestRun:
    """One run over the catalogue, from where the writer stands."""

    def __init__(
        self,
        pictures: StampSource,
        columns: ColumnMap,
        options: IngestOptions,
        writer: SurveyWriter,
    ) -> None:
        self._pictures = pictures
        self._columns = columns
        self._options = options
        self._writer = writer
        self._seen = SeenNames()

    def work(self, catalog: pq.ParquetFile) -> IngestReport:
        """Ingest what is left of the catalogue and finish the survey."""
        total = catalog.metadata.num_rows
        for part in self._writer.part_paths:
            for batch in pq.ParquetFile(part).iter_batches(columns=["galaxy_id"]):
                for galaxy_id in batch["galaxy_id"].to_pylist():
                    self._seen.add(galaxy_id)
        start = self._writer.cursor
        with progress(total, "Ingesting", done=start) as advance:
            for table in blocks(catalog, start=start, size=CHUNK_ROWS):
                self._block(table, self._writer.cursor)
                advance(table.num_rows)
        unused = self._pictures.unused(all_rows(catalog, self._columns))
        counts = {"catalog_rows": total, "unused_pictures": unused}
        accepted, rejected = self._writer.added, self._writer.rejected
        return IngestReport(self._writer.finish(counts), total, accepted, rejected, unused)

    def _block(self, table: pa.Table, start: int) -> None:
        kept, stamps, rejects = [], [], []
        for row in block_rows(table, self._columns, start):
            try:
                stamps.append(self._stamp(row))
                kept.append(row.row - start)
            except BadImage as error:
                file = self._pictures.file_of(row)
                rejects.append(Reject(file, row.row, row.galaxy_id, error.reason))
        columns = survey_columns(table, self._columns, kept)
        columns["sky"] = np.array([stamp.sky for stamp in stamps], dtype=np.float64)
        columns["sky_sigma"] = np.array([stamp.sky_sigma for stamp in stamps], dtype=np.float64)
        columns[SCALE_COLUMN] = np.array([stamp.scale for stamp in stamps], dtype=np.float64)
        shape = (0, *self._writer.stamp_shape)
        pixels = np.stack([s.pixels for s in stamps]) if stamps else np.empty(shape, np.float32)
        self._writer.append(pixels, columns, cursor=start + table.num_rows, rejects=rejects)

    def _stamp(self, row: CatalogRow) -> Stamp:
        row.check()
        image = self._pictures.fetch(row)
        cut = _cuts(self._pictures, self._options)
        stamp = make_stamp(image, row, self._options, cut=cut)
        if stamp.state != self._writer.state:
            raise BadImage("picture", f"is {stamp.state} among {self._writer.state} ones")
        if stamp.pixels.shape != self._writer.stamp_shape:
            raise BadImage("picture", f"gives {stamp.pixels.shape}, not {self._writer.stamp_shape}")
        if not self._seen.add(row.galaxy_id):
            raise BadImage("catalogue", "this id is in the survey already")
        return stamp
