"""Ingest: a source of pictures and a catalogue become a survey, a block at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SettingError, SurveyError
from galaxy_explorer.survey.catalog import (
    CatalogRow,
    ColumnMap,
    FurtherColumns,
    all_rows,
    block_rows,
    blocks,
    column_names,
    map_columns,
    settle_columns,
    stage_catalog,
    survey_columns,
)
from galaxy_explorer.survey.images import Image, choose_planes
from galaxy_explorer.survey.mosaics import MosaicSource, is_mosaic
from galaxy_explorer.survey.photometry import ToneMap, fit_tone, sky_level, tone_difference
from galaxy_explorer.survey.preprocessing import (
    Frame,
    Framing,
    central_square,
    find_frame,
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
    AXIS_RATIO_COLUMN,
    CHUNK_ROWS,
    KEY_COLUMN,
    ORIENTATION,
    RADIUS_COLUMN,
    REJECTS,
    RENDERING_COLUMN,
    SAME_COLUMN,
    SCALE_COLUMN,
    TAKEN_COLUMN,
    VALID_COLUMN,
    WANTED_COLUMN,
    Reject,
    Survey,
    SurveySpec,
)
from galaxy_explorer.survey.writer import SurveyWriter
from galaxy_explorer.utils.progress import progress

MAX_BAND_CHARACTERS = MAX_WORD = 64
LARGEST_STRETCHED = 5.0  # the stretch gives 1 to 2 for the brightest centres
SMALLEST_SHARE = 0.5  # of the stamp's side that a picture must have in pixels
SMALLEST_STAMP_PX = 8
FEWEST_PAIRS = 50
LARGEST_STAMP_PX = 1024

State = Literal["arcsinh", "linear"]


@dataclass(frozen=True)
class IngestOptions:
    """How a source is read. `columns` names the catalogue column of a role (see ColumnMap).

    further: what becomes of the other columns. rendering: who made the pictures of the galaxies, by
    default the name of the source. repeats: folder of a survey with pictures, rendered as those of
    the source, of galaxies that the survey holds already: by these pairs the source is made to look
    like the survey.

    Raises SettingError for a value out of range.
    """

    name: str | None = None
    source_name: str | None = None
    columns: dict[str, str | None] = field(default_factory=dict)
    further: FurtherColumns = field(default_factory=FurtherColumns)
    rendering: str | None = None
    repeats: str | None = None
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
        for name in (self.rendering, *self.further.words.values()):
            if name is not None and not (name.isprintable() and 0 < len(name) <= MAX_WORD):
                raise SettingError(f"{name[:80]!r}: give a word of 1 to {MAX_WORD} characters")
        if self.repeats is not None and not self.append:
            raise SettingError(f"repeats {self.repeats}: of a source that is appended to a survey")
        for name in ("cutout_arcsec", "pixel_scale_arcsec"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise SettingError(f"{name} {value}: give more than 0 arcsec")


class IngestReport(NamedTuple):
    """What came of an ingest: accepted + rejected = catalogue rows.

    survey: with what it held before. unused_pictures: without a catalogue row. guessed: columns of
    the catalogue that were found by their usual names. notes: what was decided in reading.
    """

    survey: Survey
    catalog_rows: int
    accepted: int
    rejected: int
    unused_pictures: int
    guessed: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def rejects(self) -> Path:
        """The table of the rows that could not be used, with the reasons."""
        return self.survey.path / REJECTS


class Stamp(NamedTuple):
    """A fitted stamp (C, S, S), its pixel scale in arcsec and where it is from.

    skies, sigmas: (C,), of each plane, NaN if stretched. valid_share: of the pixels that became
    the stamp, how many had data. taken: HDU, planes and unit in words. framing: which square it is.
    """

    pixels: NDArray[np.float32]
    skies: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    scale: float
    state: State
    valid_share: float = 1.0
    taken: str = ""
    framing: Framing = Framing(0)

    @property
    def sky(self) -> float:
        """Sky per stamp pixel, mean over the planes."""
        return float(self.skies.mean())

    @property
    def sky_sigma(self) -> float:
        """Its standard deviation, mean over the planes."""
        return float(self.sigmas.mean())


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
        given = options.columns
        table = stage_catalog(catalog, staging / "catalog.parquet", given, options.table)
        columns = map_columns(column_names(table), given, str(catalog))
        mosaic = is_mosaic(source)
        columns = settle_columns(table, columns, given, str(catalog), needs_positions=mosaic)
        options.further.settle(table, columns, str(catalog))
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
        # What the survey will be, from the first picture that can be used.
        rows = all_rows(table, columns)
        try:
            band, stamp = _first_usable(pictures, rows, options)
        except SurveyError as error:
            said = [*table.said(), *pictures.notes()]
            raise SurveyError("; ".join([str(error), *said])) from error
        by_galaxy = options.frame in {"auto", "measured"}
        one_scale = isinstance(pictures, CubeSource | MosaicSource) and not by_galaxy
        spec = SurveySpec(
            name=options.name or out.name,
            source=options.source_name or source.stem,
            stamp_size=options.size,
            channels=len(stamp.pixels),
            band=options.band_name or band,
            orientation=ORIENTATION,
            pixel_scale_arcsec=stamp.scale if one_scale and np.isfinite(stamp.scale) else None,
            state=stamp.state,
            frame="measured" if options.frame == "measured" else "",
        )
        recipe = {
            "source": str(source.resolve()),
            "catalog": str(catalog.resolve()),
            "catalog_rows": table.metadata.num_rows,
            "options": asdict(options),
        }
        tone = None if options.repeats is None else shared_tone(Path(options.repeats), out, spec)
        writer = SurveyWriter(out, spec, recipe=recipe, append=options.append)
        report = _IngestRun(pictures, columns, options, writer, tone).work(table)
        said = [tone.words(out)] if tone else []
        return report._replace(notes=(*table.said(), *pictures.notes(), *said))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class SharedTone(NamedTuple):
    """What makes a source look like a survey, the pairs that it is learnt from and tested on.

    before, after: squared difference of smoothed stamps of `tested` pairs over their variance.
    """

    tone: ToneMap
    learnt: int
    tested: int
    before: float
    after: float

    def words(self, survey: Path) -> str:
        """For people."""
        return (
            f"rendered like {survey}: colours and tones learnt from {self.learnt} galaxies in both;"
            f" of {self.tested} others the difference is {self.after:.2f} of the variance,"
            f" {self.before:.2f} before"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `survey.json` keeps them."""
        return {**self._asdict(), "tone": self.tone.to_dict()}


def shared_tone(repeats: Path, out: Path, spec: SurveySpec) -> SharedTone:
    """Learn it from the pairs of the train split; the others test it.

    Raises SurveyError where the two are not alike or share too few galaxies.
    """
    own, other = Survey.open(repeats), Survey.open(out)
    for field_name, wanted in (("stamp_size", spec.stamp_size), ("channels", spec.channels)):
        if own.meta[field_name] != wanted:
            words = f"{field_name} {own.meta[field_name]}, the new source has {wanted}"
            raise SurveyError(f"{repeats}: {words}; ingest it with the same options")
    if {own.meta["stretch"]["state"], spec.state} != {"arcsinh"}:
        raise SurveyError(f"{repeats}: linear flux has no rendering; leave --repeats out")
    if SAME_COLUMN not in own.column_names:
        raise SurveyError(f"{repeats}: no column {SAME_COLUMN}; ingest it with --same-as")
    rows = {name: row for row, name in enumerate(other.column("galaxy_id").tolist())}
    names = [name.rpartition(":")[2] for name in own.column(SAME_COLUMN).tolist()]
    here = np.array([row for row, name in enumerate(names) if name in rows], np.int64)
    there = np.array([rows[names[row]] for row in here], np.int64)
    train = other.column("split")[there] == "train"
    learnt, tested = int(train.sum()), int((~train).sum())
    if learnt < FEWEST_PAIRS or not tested:
        raise SurveyError(
            f"{repeats}: {learnt} galaxies of the train split of {out} and {tested} others are in"
            f" both; at least {FEWEST_PAIRS} and one are needed"
        )
    pairs = [(own.stamps(here[part]), _rows(other, there[part])) for part in (train, ~train)]
    tone = fit_tone(*pairs[0])
    mine, theirs = pairs[1]
    differences = (tone_difference(stamps, theirs) for stamps in (mine, tone.apply(mine)))
    return SharedTone(tone, learnt, tested, *differences)


def _rows(survey: Survey, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Stamps in any order, which are read in that of the survey."""
    unique, places = np.unique(rows, return_inverse=True)
    return survey.stamps(unique)[places]


def _first_usable(
    pictures: StampSource, rows: Iterable[CatalogRow], options: IngestOptions
) -> tuple[str | None, Stamp]:
    reason = "the catalogue is empty"
    for row in rows:
        try:
            image = pictures.fetch(row)
            band = image.chosen(choose_planes(image, options.band)).band
            return band, make_stamp(image, row, options, cut=_cuts(pictures, options))
        except BadImage as error:
            reason = str(error)
    raise SurveyError(f"no catalogue row has a usable picture; the last was {reason}")


def _cuts(pictures: StampSource, options: IngestOptions) -> float | None:
    """Side in arcsec to cut from a picture; a mosaic is cut already."""
    return None if isinstance(pictures, MosaicSource) else options.cutout_arcsec


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
    framing = find_frame(framed, options.size, frame=options.frame, linear=linear, valid=valid)
    side = framing.side
    pixels = resample(central_square(framed, side), options.size, linear=linear)
    ratio = side / options.size
    levels = np.full((len(planes), 2), np.nan)
    if linear:
        masks = [None] * len(planes) if chosen.valid is None else chosen.valid
        levels[:] = [sky_level(p, mask) for p, mask in zip(planes, masks, strict=True)]
    skies, sigmas = levels.T * ratio**2
    share = 1.0 if valid is None else float(central_square(valid, side).mean())
    state: State = "linear" if linear else "arcsinh"
    words = chosen.words + (", enlarged more than twice" if ratio < SMALLEST_SHARE else "")
    return Stamp(pixels, skies, sigmas, scale * ratio, state, share, words, framing)


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


def _stamp_columns(stamps: list[Stamp], planes: int, frame: Frame) -> dict[str, pa.Array]:
    """What a block's stamps say of themselves, as catalogue columns."""
    numbers = {
        "sky": [stamp.sky for stamp in stamps],
        "sky_sigma": [stamp.sky_sigma for stamp in stamps],
        SCALE_COLUMN: [stamp.scale for stamp in stamps],
        VALID_COLUMN: [stamp.valid_share for stamp in stamps],
    }
    if frame == "measured":
        numbers |= {
            RADIUS_COLUMN: [stamp.framing.radius for stamp in stamps],
            AXIS_RATIO_COLUMN: [stamp.framing.axis_ratio for stamp in stamps],
            WANTED_COLUMN: [stamp.framing.wanted for stamp in stamps],
        }
    for plane in range(planes if planes > 1 else 0):
        numbers[f"sky_{plane}"] = [stamp.skies[plane] for stamp in stamps]
        numbers[f"sky_sigma_{plane}"] = [stamp.sigmas[plane] for stamp in stamps]
    columns = {name: pa.array(np.array(v, np.float64)) for name, v in numbers.items()}
    return {**columns, TAKEN_COLUMN: pa.array([stamp.taken for stamp in stamps], pa.string())}


class SameGalaxies:
    """Which rows show one galaxy: all of them have one key, by which their split goes.

    The key is the id of the row that came first; rows that name each other, or the same galaxy of a
    survey that is not here, are one galaxy.
    """

    def __init__(self, sources: list[str], seen: SeenNames) -> None:
        """sources: names of the survey's sources, that of the rows to come last; seen: its ids."""
        self._sources, self._seen = sources, seen
        self._keys: dict[str, str] = {}  # by id or name, of all whose key is not their own

    def remember(self, galaxy_id: str, same_as: str, key: str) -> None:
        """Of a row: what it is the same as ("" for nothing), and its key."""
        for name in (galaxy_id, self._name(same_as)):
            if name not in ("", key):
                self._keys[name] = key

    def key(self, galaxy_id: str, same_as: str) -> str:
        """The key of the next row; same_as: "" or the id of another, SOURCE:ID where it needs it.

        Raises BadImage where two galaxies that are in the survey already would have to be one.
        """
        names = (galaxy_id, f"{self._sources[-1]}:{galaxy_id}")
        own = next((self._keys[name] for name in names if name in self._keys), None)
        other = self._name(same_as)
        there = self._keys.get(other, other if other in self._seen else None)
        if other and own and there and own != there:
            raise BadImage(
                "catalogue",
                f"is the same galaxy as {same_as}, and earlier rows are the same as this one: both"
                " have their split already; ingest this source first",
            )
        key = own or (there if other else None) or galaxy_id
        self.remember(galaxy_id, same_as, key)
        return key

    def _name(self, same_as: str) -> str:
        """The id itself where the source is one of the survey's."""
        source, _, rest = same_as.partition(":")
        return rest if rest and source in self._sources else same_as


class _IngestRun:
    """One run over the catalogue, from where the writer stands."""

    def __init__(
        self,
        pictures: StampSource,
        columns: ColumnMap,
        options: IngestOptions,
        writer: SurveyWriter,
        tone: SharedTone | None,
    ) -> None:
        self._pictures = pictures
        self._tone = tone
        self._columns = columns
        self._options = options
        self._writer = writer
        self._seen = SeenNames()
        self._galaxies = SameGalaxies(writer.sources, self._seen)
        self._rendering = options.rendering or writer.sources[-1]

    def _stamp(self, row: CatalogRow) -> Stamp:
        """The stamp of a row that can be used; raises BadImage where it cannot."""
        row.check()
        cut = _cuts(self._pictures, self._options)
        # no second picture is read while one is held
        stamp = make_stamp(self._pictures.fetch(row), row, self._options, cut=cut)
        if stamp.state != self._writer.state:
            raise BadImage("picture", f"is {stamp.state} among {self._writer.state} ones")
        if stamp.pixels.shape != self._writer.stamp_shape:
            words = f"gives {stamp.pixels.shape}, not {self._writer.stamp_shape}"
            raise BadImage("picture", words)
        if not self._seen.add(row.galaxy_id):
            raise BadImage("catalogue", "this id is in the survey already")
        return stamp

    def work(self, catalog: pq.ParquetFile) -> IngestReport:
        """Ingest what is left of the catalogue and finish the survey."""
        total = catalog.metadata.num_rows
        for part in self._writer.part_paths:
            names = {"galaxy_id", SAME_COLUMN, KEY_COLUMN} & set(pq.read_schema(part).names)
            for batch in pq.ParquetFile(part).iter_batches(columns=sorted(names)):
                for row in batch.to_pylist():
                    galaxy_id = row["galaxy_id"]
                    self._seen.add(galaxy_id)
                    key = row.get(KEY_COLUMN) or galaxy_id
                    self._galaxies.remember(galaxy_id, row.get(SAME_COLUMN) or "", key)
        start = self._writer.cursor
        with progress(total, "Ingesting", done=start) as advance:
            for table in blocks(catalog, start=start, size=CHUNK_ROWS):
                first = self._writer.cursor
                kept, stamps, keys, rejects = [], [], [], []
                for row in block_rows(table, self._columns, first):
                    try:
                        stamp = self._stamp(row)
                        keys.append(self._galaxies.key(row.galaxy_id, row.same_as))
                        stamps.append(stamp)
                        kept.append(row.row - first)
                    except BadImage as error:
                        file = self._pictures.file_of(row)
                        rejects.append(Reject(file, row.row, row.galaxy_id, error.reason))
                further, frame = self._options.further, self._options.frame
                columns = survey_columns(table, self._columns, kept, further)
                columns |= _stamp_columns(stamps, self._writer.stamp_shape[0], frame)
                columns[RENDERING_COLUMN] = pa.array([self._rendering] * len(kept), pa.string())
                if keys != columns["galaxy_id"].to_pylist():
                    columns[KEY_COLUMN] = pa.array(keys, pa.string())
                shape = (0, *self._writer.stamp_shape)
                pixels = (
                    np.stack([s.pixels for s in stamps]) if stamps else np.empty(shape, np.float32)
                )
                if self._tone and stamps:
                    pixels = self._tone.tone.apply(pixels)
                self._writer.append(pixels, columns, cursor=first + table.num_rows, rejects=rejects)
                advance(table.num_rows)
        unused = self._pictures.unused(all_rows(catalog, self._columns))
        counts: dict[str, Any] = {"catalog_rows": total, "unused_pictures": unused}
        accepted, rejected = self._writer.added, self._writer.rejected
        facts = {"tone": self._tone.to_dict()} if self._tone else {}
        survey, guessed = self._writer.finish(counts | facts), tuple(self._columns.guessed)
        return IngestReport(survey, total, accepted, rejected, unused, guessed)
