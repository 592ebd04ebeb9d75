"""Ingest: a source of pictures and a catalogue become a survey, a block at a time."""

from __future__ import annotations

import csv
import shutil
from collections import deque
from dataclasses import asdict, dataclass, field, replace
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
    catalog_use,
    column_names,
    map_columns,
    settle_columns,
    stage_catalog,
    survey_columns,
)
from galaxy_explorer.survey.folders import FolderSource, ZipSource
from galaxy_explorer.survey.images import Image, choose_planes
from galaxy_explorer.survey.inventory import Inventory
from galaxy_explorer.survey.mosaics import MosaicSource, is_mosaic
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import (
    Frame,
    central_square,
    frame_side,
    resample,
)
from galaxy_explorer.survey.scales import same_scale
from galaxy_explorer.survey.sources import (
    CubeSource,
    Rows,
    SeenNames,
    StampSource,
    open_source,
)
from galaxy_explorer.survey.store import (
    CHUNK_ROWS,
    ORIENTATION,
    REJECTS,
    SCALE_COLUMN,
    TAKEN_COLUMN,
    VALID_COLUMN,
    Reject,
    Survey,
    SurveySpec,
)
from galaxy_explorer.survey.writer import SurveyWriter
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.reading import StagedTable

MAX_BAND_CHARACTERS = 64
LARGEST_STRETCHED = 5.0  # the stretch gives 1 to 2 for the brightest centres
SMALLEST_SHARE = 0.5  # of the stamp's side that a picture must have in pixels
SMALLEST_STAMP_PX = 8
LARGEST_STAMP_PX = 1024
FRAMING = {
    "whole": "the largest central square ({})",
    "centre": "the central {} as they are",
    "auto": "1.25 x the extent of the central galaxy ({})",
}
CAPS = (1.0, 255.0)
"""Largest values of pictures that were scaled to a range: flux ends at neither of them."""

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
    hdu: int | None = None
    table: str | None = None
    by_row: bool = False

    def __post_init__(self) -> None:
        if not (self.band.isprintable() and 0 < len(self.band.strip()) <= MAX_BAND_CHARACTERS):
            raise SettingError(
                f"band {self.band!r}: give r, g, b, rgb, a band of the header or the number of a"
                " plane"
            )
        if self.hdu is not None and self.hdu < 0:
            raise SettingError(f"hdu {self.hdu}: give the number of an HDU, from 0")
        if not SMALLEST_STAMP_PX <= self.size <= LARGEST_STAMP_PX:
            raise SettingError(
                f"size {self.size}: give {SMALLEST_STAMP_PX} to {LARGEST_STAMP_PX} px"
            )
        for name in ("cutout_arcsec", "pixel_scale_arcsec"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise SettingError(f"{name} {value}: give more than 0 arcsec")


class IngestReport(NamedTuple):
    """What came of an ingest: accepted + rejected = catalogue rows.

    survey: with what it held before. unused_pictures: without a catalogue row. guessed: columns of
    the catalogue that were found by their usual names. notes: what was decided in reading.
    inventory: what was taken and what was left out, as `check` tells it.
    """

    survey: Survey
    catalog_rows: int
    accepted: int
    rejected: int
    unused_pictures: int
    guessed: tuple[str, ...]
    notes: tuple[str, ...]
    inventory: Inventory

    @property
    def rejects(self) -> Path:
        """The table of the rows that could not be used, with the reasons."""
        return self.survey.path / REJECTS


class Stamp(NamedTuple):
    """A fitted stamp (C, S, S), its pixel scale in arcsec and where it is from.

    skies, sigmas: (C,), of each plane, NaN if stretched. valid_share: of the pixels that became
    the stamp, how many had data. taken: HDU, planes, unit, kind of pixels and orientation in words.
    scale_by: what states the pixel scale. frame: width and height of the picture and the side of
    the square that became the stamp, in px of the picture. band: what the header calls its planes.
    cap: the largest value where linear data go from 0 to exactly 1 or 255, else NaN.
    """

    pixels: NDArray[np.float32]
    skies: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    scale: float
    state: State
    valid_share: float = 1.0
    taken: str = ""
    scale_by: str = ""
    frame: tuple[int, int, int] = (0, 0, 0)
    band: str | None = None
    cap: float = np.nan

    @property
    def words(self) -> str:
        """What was taken, and what states its scale."""
        scale = f"scale by {self.scale_by}" if self.scale_by else "scale unknown"
        return f"{self.taken}; {scale}"

    @property
    def sky(self) -> float:
        """Sky per stamp pixel, mean over the planes."""
        return float(self.skies.mean())

    @property
    def sky_sigma(self) -> float:
        """Its standard deviation, mean over the planes."""
        return float(self.sigmas.mean())


class OpenedSource(NamedTuple):
    """A source with its catalogue, opened: what an ingest and a check read by.

    catalog: its path; None where every picture is a row of its own, named after its file.
    """

    source: Path
    catalog: Path | None
    pictures: StampSource
    options: IngestOptions
    table: StagedTable
    columns: ColumnMap

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided in reading, of the catalogue and of the pictures."""
        return (*self.table.said(), *self.pictures.notes())

    def stamp(self, row: CatalogRow) -> Stamp:
        """The stamp of a row. Raises BadImage for a row or picture that cannot be used."""
        row.check()
        # A mosaic is cut already.
        cut = None if isinstance(self.pictures, MosaicSource) else self.options.cutout_arcsec
        return make_stamp(self.pictures.fetch(row), row, self.options, cut=cut)

    def first_usable(self) -> Stamp:
        """The stamp of the first row that can be used, which says what a survey will be.

        Raises SurveyError with the last reason where there is none.
        """
        reason = "the catalogue is empty"
        for row in all_rows(self.table, self.columns):
            try:
                return self.stamp(row)
            except BadImage as error:
                reason = str(error)
        said = "; ".join((f"the last was {reason}", *self.notes))
        raise SurveyError(f"no catalogue row has a usable picture; {said}")

    def inventory(self) -> Inventory:
        """The account of the source before any picture is read."""
        catalog = None
        if self.catalog is not None:
            catalog = catalog_use(self.table, self.columns, str(self.catalog))
        framing = FRAMING[self.options.frame]
        if self.options.cutout_arcsec is not None:
            framing += f" of {self.options.cutout_arcsec:g} arcsec"
        if catalog and not isinstance(self.pictures, FolderSource | ZipSource):
            uses = tuple(use for use in catalog.uses if use.role != "picture")
            catalog = replace(catalog, uses=uses)
        return Inventory(
            source=str(self.source),
            kind=self.pictures.kind,
            notes=tuple(self.pictures.notes()),
            catalog=catalog,
            rows=self.table.metadata.num_rows,
            framing=f"{framing} on {self.options.size} x {self.options.size} px",
        )


def open_with_catalog(
    source: Path, catalog: Path, options: IngestOptions, staging: Path
) -> OpenedSource:
    """Open a source and a catalogue, settle what its columns mean; `staging` is a folder for that.

    Raises BadCatalog, SurveyError, or BadImage where the source as a whole cannot be read.
    """
    given = options.columns
    table = stage_catalog(catalog, staging / "catalog.parquet", given, options.table)
    columns = map_columns(column_names(table), given, str(catalog))
    needs_positions = is_mosaic(source)
    columns = settle_columns(table, columns, given, str(catalog), needs_positions=needs_positions)
    pictures = open_source(
        source,
        staging=staging,
        catalog=Rows(
            catalog,
            table.metadata.num_rows,
            columns.galaxy_id,
            (row.galaxy_id for row in all_rows(table, columns)),
        ),
        by_row=options.by_row,
        cutout_arcsec=options.cutout_arcsec,
        cutout_px=options.size,
        hdu=options.hdu,
    )
    return OpenedSource(source, catalog, pictures, options, table, columns)


def ingest_survey(source: Path, catalog: Path, out: Path, options: IngestOptions) -> IngestReport:
    """Make (or append to) the survey `out` from the pictures of `source` and a catalogue.

    Run again after an interruption it goes on where it was; the survey is the same, byte for
    byte, as without. A row whose stamp cannot be used is listed in `rejects.csv`.

    Raises BadCatalog, SurveyError, or BadImage where the source as a whole cannot be read.
    """
    staging = out.with_name(out.name + ".staging.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        reading = open_with_catalog(source, catalog, options, staging)
        stamp = reading.first_usable()
        one_scale = isinstance(reading.pictures, CubeSource | MosaicSource)
        one_scale = one_scale and options.frame != "auto" and np.isfinite(stamp.scale)
        spec = SurveySpec(
            name=options.name or out.name,
            source=options.source_name or source.stem,
            stamp_size=options.size,
            channels=len(stamp.pixels),
            band=options.band_name or stamp.band,
            orientation=ORIENTATION,
            pixel_scale_arcsec=stamp.scale if one_scale else None,
            state=stamp.state,
        )
        recipe = {
            "source": str(source.resolve()),
            "catalog": str(catalog.resolve()),
            "catalog_rows": reading.table.metadata.num_rows,
            "options": asdict(options),
        }
        writer = SurveyWriter(out, spec, recipe=recipe, append=options.append)
        return _IngestRun(reading, writer).work()
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def make_stamp(
    image: Image, row: CatalogRow, options: IngestOptions, *, cut: float | None
) -> Stamp:
    """Choose planes, turn, frame and resample a picture; `cut` is a side in arcsec, cut out first.

    The sky of linear data is that of the whole picture, plane by plane where there are data, in
    flux per stamp pixel. Its sigma is the noise of one original pixel scaled by the ratio of pixel
    areas, so that the stretch of a survey of one depth depends on surface brightness and not on
    how far a galaxy was shrunk.

    Raises BadImage where planes, holes, pixel scale or size do not allow it.
    """
    linear = image.linear if options.stretch == "auto" else options.stretch == "linear"
    chosen = image.chosen(choose_planes(image, options.band)).turned()
    planes = chosen.data if linear or not image.linear else _as_stretched(chosen)
    stated, given = image.pixel_scale_arcsec, options.pixel_scale_arcsec
    if stated and given and not same_scale(stated, given):
        words = f"its header says {stated:.4g} arcsec/px, --pixel-scale {given:.4g}"
        raise BadImage("picture", f"{words}; leave the option out, or mend the header")
    scale = stated or given or row.pixel_scale
    width = min(planes.shape[-2:])
    if width < SMALLEST_SHARE * options.size:
        words = f"{width} px for a stamp of {options.size}: less than half; give a smaller --size"
        raise BadImage("picture", words)
    if cut is not None:
        if not scale > 0.0:
            raise BadImage("picture", "pixel scale unknown; give --pixel-scale to cut in arcsec")
        width = max(1, round(cut / scale))
        if width > min(planes.shape[-2:]):
            raise BadImage("picture", f"smaller than the {cut} arcsec to be cut")
    framed = planes if cut is None else central_square(planes, width)
    valid = chosen.valid
    if valid is not None and cut is not None:
        valid = central_square(valid, width)
    side = frame_side(framed, options.size, frame=options.frame, valid=valid)
    pixels = resample(central_square(framed, side), options.size, linear=linear)
    ratio = side / options.size
    levels = np.full((len(planes), 2), np.nan)
    if linear:
        masks = [None] * len(planes) if chosen.valid is None else chosen.valid
        levels[:] = [sky_level(p, mask) for p, mask in zip(planes, masks, strict=True)]
    skies, sigmas = levels.T * ratio**2
    share = 1.0 if valid is None else float(central_square(valid, side).mean())
    state: State = "linear" if linear else "arcsinh"
    kind = image.kind(linear=linear)
    if options.stretch != "auto":
        kind += f" by --stretch {options.stretch}"
    enlarged = "enlarged more than twice" if ratio < SMALLEST_SHARE else ""
    apart = stated and row.pixel_scale > 0 and not same_scale(stated, row.pixel_scale)
    doubt = "with the header's pixel scale, for the catalogue has another" if apart else ""
    parts = (chosen.words, image.passed_by, kind, image.orientation, *image.odd, enlarged, doubt)
    words = "; ".join(part for part in parts if part)
    by = image.scale_by if stated else "--pixel-scale" if given else "the catalogue"
    frame = (planes.shape[-1], planes.shape[-2], side)
    found = Stamp(pixels, skies, sigmas, scale * ratio, state, share, words)
    most = float(planes.max()) if linear else np.nan
    cap = most if most in CAPS and float(planes.min()) >= 0.0 else np.nan
    by = by if scale > 0 else ""
    return found._replace(scale_by=by, frame=frame, band=chosen.band, cap=cap)


def _as_stretched(image: Image) -> NDArray[np.float32]:
    """Pixels of FITS that are said to be stretched, over their full range as those of a JPEG are.

    Raises BadImage for numbers that cannot be on that scale.
    """
    if image.full_range is not None:
        return image.data / np.float32(image.full_range)
    if (largest := float(image.data.max())) > LARGEST_STRETCHED:
        raise BadImage(
            "picture",
            f"values up to {largest:g}; arcsinh-stretched pixels go from 0 to about 1: divide"
            " them, save 8 or 16 unsigned bits, or give --stretch linear",
        )
    return image.data


def _stamp_columns(stamps: list[Stamp], planes: int) -> dict[str, pa.Array]:
    """What a block's stamps say of themselves, as catalogue columns."""
    numbers = {
        "sky": [stamp.sky for stamp in stamps],
        "sky_sigma": [stamp.sky_sigma for stamp in stamps],
        SCALE_COLUMN: [stamp.scale for stamp in stamps],
        VALID_COLUMN: [stamp.valid_share for stamp in stamps],
    }
    for plane in range(planes if planes > 1 else 0):
        numbers[f"sky_{plane}"] = [stamp.skies[plane] for stamp in stamps]
        numbers[f"sky_sigma_{plane}"] = [stamp.sigmas[plane] for stamp in stamps]
    columns = {name: pa.array(np.array(v, np.float64)) for name, v in numbers.items()}
    return {**columns, TAKEN_COLUMN: pa.array([stamp.words for stamp in stamps], pa.string())}


def check_fits(stamp: Stamp, state: str, shape: tuple[int, int, int]) -> None:
    """Raise BadImage for a stamp that does not fit among those of a survey."""
    if stamp.state != state:
        raise BadImage("picture", f"is {stamp.state} among {state} ones")
    if stamp.pixels.shape != shape:
        raise BadImage("picture", f"gives {stamp.pixels.shape}, not {shape}")


class _IngestRun:
    """One run over the catalogue, from where the writer stands."""

    def __init__(self, reading: OpenedSource, writer: SurveyWriter) -> None:
        self._reading = reading
        self._writer = writer
        self._seen = SeenNames()

    def work(self) -> IngestReport:
        """Ingest what is left of the catalogue and finish the survey."""
        catalog, columns = self._reading.table, self._reading.columns
        total = catalog.metadata.num_rows
        for part in self._writer.part_paths:
            for batch in pq.ParquetFile(part).iter_batches(columns=["galaxy_id"]):
                for galaxy_id in batch["galaxy_id"].to_pylist():
                    self._seen.add(galaxy_id)
        start, pictures = self._writer.cursor, self._reading.pictures
        with progress(total, "Ingesting", done=start) as advance:
            for table in blocks(catalog, start=start, size=CHUNK_ROWS):
                first = self._writer.cursor
                kept, stamps, rejects = [], [], []
                for row in block_rows(table, columns, first):
                    try:
                        stamp = self._reading.stamp(row)  # no second picture is read beside it
                        check_fits(stamp, self._writer.state, self._writer.stamp_shape)
                        if not self._seen.add(row.galaxy_id):
                            raise BadImage("catalogue", "this id is in the survey already")
                        stamps.append(stamp)
                        kept.append(row.row - first)
                    except BadImage as error:
                        file = pictures.file_of(row)
                        rejects.append(Reject(file, row.row, row.galaxy_id, error.reason))
                new = survey_columns(table, columns, kept)
                new |= _stamp_columns(stamps, self._writer.stamp_shape[0])
                shape = (0, *self._writer.stamp_shape)
                pixels = (
                    np.stack([s.pixels for s in stamps]) if stamps else np.empty(shape, np.float32)
                )
                self._writer.append(pixels, new, cursor=first + table.num_rows, rejects=rejects)
                advance(table.num_rows)
        unused = pictures.unused(all_rows(catalog, columns))
        counts = {"catalog_rows": total, "unused_pictures": unused}
        accepted, rejected = self._writer.added, self._writer.rejected
        survey, guessed = self._writer.finish(counts), tuple(columns.guessed)
        inventory = self._reading.inventory()
        inventory.examined, inventory.unused, inventory.done = total, unused, True
        _account(inventory, survey, accepted, rejected)
        notes = self._reading.notes
        return IngestReport(survey, total, accepted, rejected, unused, guessed, notes, inventory)


def _account(inventory: Inventory, survey: Survey, accepted: int, rejected: int) -> None:
    """Enter what the last source of a survey holds: an interrupted run has read a part of it."""
    if accepted:
        last = slice(len(survey) - accepted, None)
        inventory.taken.update(survey.column(TAKEN_COLUMN)[last].tolist())
        inventory.scales = survey.column(SCALE_COLUMN)[last].tolist()
        inventory.valid = survey.column(VALID_COLUMN)[last].tolist()
    with (survey.path / REJECTS).open(newline="", encoding="utf-8") as stream:
        rows = deque(csv.DictReader(stream), maxlen=rejected)
    for row in rows:
        inventory.refused.add(row["reason"], named_row(row["galaxy_id"], row["file"]))
    meta = survey.meta
    size, channels = meta["stamp_size"], meta["channels"]
    inventory.stamps = stamp_words(size, channels, meta["band"], meta["stretch"]["state"])


def named_row(galaxy_id: str, file: str) -> str:
    """A row by its file, and by its id where the file does not say it."""
    return file if galaxy_id in file else f"{galaxy_id} = {file}"


def stamp_words(size: int, channels: int, band: str | None, state: str) -> str:
    """What the stamps of a survey are."""
    return f"{size} x {size} px, {channels} channel(s), band {band or '?'}, {state} stamps"
