"""Ingest: a source of pictures and a catalogue become a survey, a block at a time."""

from __future__ import annotations

import csv
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import (
    CatalogRow,
    all_rows,
    block_rows,
    blocks,
    catalog_use,
    stage_catalog,
    survey_columns,
)
from galaxy_explorer.survey.columns import ColumnMap, column_names, map_columns, settle_columns
from galaxy_explorer.survey.cubes import CubeSource
from galaxy_explorer.survey.folders import FolderSource, ZipSource
from galaxy_explorer.survey.inventory import Inventory, SameRows
from galaxy_explorer.survey.mosaics import MosaicSource, is_mosaic
from galaxy_explorer.survey.names import SeenNames
from galaxy_explorer.survey.preprocessing import RADII_A_HALF_SIDE
from galaxy_explorer.survey.readers import Wanted, file_state
from galaxy_explorer.survey.repeats import SameGalaxies, SharedTone, shared_tone
from galaxy_explorer.survey.shards import Shard, load_block, save_block
from galaxy_explorer.survey.sources import Rows, StampSource, open_source
from galaxy_explorer.survey.stamp_work import StampsMade, StampWork, do_work
from galaxy_explorer.survey.stamps import (
    IngestOptions,
    Stamp,
    make_stamp,
    stamp_columns,
)
from galaxy_explorer.survey.store import (
    BLOCK_ROWS,
    KEY_COLUMN,
    ORIENTATION,
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
from galaxy_explorer.survey.writer import INPUTS, SurveyWriter
from galaxy_explorer.utils.files import sha256_of
from galaxy_explorer.utils.reading import StagedTable
from galaxy_explorer.utils.scheduler import run_tasks

BLOCK_BYTES = 64 << 20
"""Of the stamps of a block, in float32."""
FRAMING = {
    "whole": "the largest central square ({})",
    "centre": "the central {} as they are",
    "auto": "1.25 x the extent of the central galaxy ({})",
    "measured": f"{RADII_A_HALF_SIDE:g} x the measured radius of the central galaxy ({{}})",
}


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

    @property
    def cut(self) -> float | None:
        """Side in arcsec to cut out of a picture first; a mosaic is cut already."""
        return None if isinstance(self.pictures, MosaicSource) else self.options.cutout_arcsec

    def stamp(self, row: CatalogRow) -> Stamp:
        """The stamp of a row. Raises BadImage for a row or picture that cannot be used."""
        row.check()
        return make_stamp(self.pictures.fetch(row), row, self.options, cut=self.cut)

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
            further = self.options.further
            catalog = catalog_use(self.table, self.columns, str(self.catalog), further)
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
            wanted=[] if self.options.frame == "measured" else None,
        )


def settled_columns(
    table: StagedTable, path: Path, options: IngestOptions, *, needs_positions: bool = False
) -> ColumnMap:
    """What the columns of a catalogue are and what becomes of the others, held against its values.

    Raises BadCatalog for options that do not fit it.
    """
    given, name = options.columns, str(path)
    columns = map_columns(column_names(table), given, name)
    columns = settle_columns(table, columns, given, name, needs_positions=needs_positions)
    options.further.settle(table, columns, name)
    return replace(columns, undefined=options.further.undefined)


def open_with_catalog(
    source: Path, catalog: Path, options: IngestOptions, staging: Path
) -> OpenedSource:
    """Open a source and a catalogue, settle what its columns mean; `staging` is a folder for that.

    Raises BadCatalog, SurveyError, or BadImage where the source as a whole cannot be read.
    """
    table = stage_catalog(catalog, staging / "catalog.parquet", options.columns, options.table)
    columns = settled_columns(table, catalog, options, needs_positions=is_mosaic(source))
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


def ingest_survey(
    source: Path, catalog: Path, out: Path, options: IngestOptions, *, scheduler: str | None = None
) -> IngestReport:
    """Make (or append to) the survey `out` from the pictures of `source` and a catalogue.

    Run again after an interruption it goes on where it was; the survey is the same, byte for
    byte, as without, and by whatever `scheduler` the work is shared out (see `run_tasks`); where
    the catalogue, or a source that is a file, has changed since, it is refused. A row whose stamp
    cannot be used is listed in `rejects.csv`.

    Raises BadCatalog, SurveyError, SettingError or SchedulerError for a scheduler that does not
    answer, or BadImage where the source as a whole cannot be read.
    """
    staging = out.with_name(out.name + ".staging.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        reading = open_with_catalog(source, catalog, options, staging)
        stamp = reading.first_usable()
        one_scale = isinstance(reading.pictures, CubeSource | MosaicSource)
        by_galaxy = options.frame in {"auto", "measured"}
        by_galaxy = by_galaxy or stamp.scale_by == "the catalogue"
        one_scale = one_scale and not by_galaxy and np.isfinite(stamp.scale)
        spec = SurveySpec(
            name=options.name or out.name,
            source=options.source_name or source.stem,
            stamp_size=options.size,
            channels=len(stamp.pixels),
            band=options.band_name or stamp.band,
            orientation=ORIENTATION,
            pixel_scale_arcsec=stamp.scale if one_scale else None,
            state=stamp.state,
            frame="measured" if options.frame == "measured" else "",
        )
        # By size and time, for a file of pictures may have hundreds of gigabytes.
        state = file_state(source)[1:] if source.is_file() else None
        own = state is not None and reading.table.path.samefile(source)
        recipe = {
            "source": str(source.resolve()),
            "catalog": str(catalog.resolve()),
            "options": asdict(options),
            INPUTS: {
                "catalogue": None if own else sha256_of(reading.table.path),
                "source": state,
            },
        }
        tone = None if options.repeats is None else shared_tone(Path(options.repeats), out, spec)
        writer = SurveyWriter(out, spec, recipe=recipe, append=options.append)
        return _IngestRun(reading, writer, tone).work(scheduler)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class _IngestRun:
    """One run over the catalogue, from where the writer stands."""

    def __init__(
        self, reading: OpenedSource, writer: SurveyWriter, tone: SharedTone | None
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._tone = tone
        self._seen = SeenNames()
        self._galaxies = SameGalaxies(writer.sources, self._seen)
        self._rendering = reading.options.rendering or writer.sources[-1]
        self._waiting: dict[int, tuple[pa.Table, list[CatalogRow]]] = {}

    def work(self, scheduler: str | None) -> IngestReport:
        """Ingest what is left of the catalogue and finish the survey."""
        catalog, columns = self._reading.table, self._reading.columns
        total = catalog.metadata.num_rows
        self._remember()
        pictures = self._reading.pictures
        for work, found in run_tasks(
            do_work,
            self._works(),
            scheduler=scheduler,
            total=total - self._writer.cursor,
            words="Ingesting",
            unit="rows",
            weigh=lambda one: one.rows if isinstance(one, StampWork) else 0,
        ):
            if isinstance(work, Shard):
                self._writer.wrote(work, found)
            elif isinstance(work, StampWork):
                self._take(work, found)
        unused = pictures.unused(all_rows(catalog, columns))
        counts = {"catalog_rows": total, "unused_pictures": unused}
        facts = {"tone": self._tone.to_dict()} if self._tone else {}
        accepted, rejected = self._writer.added, self._writer.rejected
        survey = self._writer.finish(counts | facts)
        said = (self._tone.words(survey.path),) if self._tone else ()
        inventory = self._reading.inventory()
        inventory.notes += said
        inventory.examined, inventory.unused, inventory.done = total, unused, True
        self._account(inventory, survey, accepted, rejected)
        notes, guessed = (*self._reading.notes, *said), tuple(columns.guessed)
        return IngestReport(survey, total, accepted, rejected, unused, guessed, notes, inventory)

    def _works(self) -> Iterator[StampWork | Shard | None]:
        """What is to be done, taken one by one as there is room: blocks, and shards once full.

        None is nothing to do: what follows hangs on blocks that are still being worked on.
        """
        start, shape = self._writer.cursor, self._writer.stamp_shape
        size = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (4 * int(np.prod(shape)))))
        for table in blocks(self._reading.table, start=start, size=size):
            yield from self._writer.ready()
            rows = list(block_rows(table, self._reading.columns, start))
            self._waiting[start] = (table, rows)
            yield self._work(start, rows)
            start += table.num_rows
        while self._waiting:
            yield from self._writer.ready() or (None,)
        yield from self._writer.ready()

    def _work(self, start: int, rows: list[CatalogRow]) -> StampWork:
        wanted, refused = [], {}
        for number, row in enumerate(rows):
            try:
                row.check()
                place = self._reading.pictures.locate(row)
                wanted.append((number, row, Wanted(place, self._reading.pictures.file_of(row))))
            except BadImage as error:
                refused[number] = error.reason
        return StampWork(
            start=start,
            rows=len(rows),
            reader=self._reading.pictures.reader,
            wanted=tuple(wanted),
            refused=refused,
            options=self._reading.options,
            cut=self._reading.cut,
            state=self._writer.state,
            shape=self._writer.stamp_shape,
            tone=self._tone.tone if self._tone else None,
            out=self._writer.folder.absolute() / f"rows-{start:012d}.npy",
        )

    def _take(self, work: StampWork, found: StampsMade) -> None:
        """Enter a block whose stamps are made: rows that are there already are left out."""
        table, rows = self._waiting.pop(work.start)
        kept, keys, places, reasons = [], [], [], dict(found.refused)
        for place, number in enumerate(found.kept):
            row = rows[number]
            try:
                if row.galaxy_id in self._seen:
                    raise BadImage("catalogue", "this id is in the survey already")
                keys.append(self._galaxies.key(row.galaxy_id, row.same_as))
                self._seen.add(row.galaxy_id)
                kept.append(number)
                places.append(place)
            except BadImage as error:
                reasons[number] = error.reason
        if len(kept) < len(found.kept):
            save_block(work.out, load_block(work.out)[places])
        rejects = [
            Reject(self._reading.pictures.file_of(rows[n]), rows[n].row, rows[n].galaxy_id, why)
            for n, why in sorted(reasons.items())
        ]
        options, stamps = self._reading.options, [found.stamps[place] for place in places]
        new = survey_columns(table, self._reading.columns, kept, options.further)
        new |= stamp_columns(stamps, self._writer.stamp_shape[0], options.frame)
        new[RENDERING_COLUMN] = pa.array([self._rendering] * len(kept), pa.string())
        if keys != new["galaxy_id"].to_pylist():
            new[KEY_COLUMN] = pa.array(keys, pa.string())
        after = work.start + work.rows
        self._writer.append_saved(work.out.name, new, len(kept), cursor=after, rejects=rejects)

    def _remember(self) -> None:
        """What the survey holds already, of other sources and of a run that was interrupted."""
        for part in self._writer.part_paths:
            names = {"galaxy_id", SAME_COLUMN, KEY_COLUMN} & set(pq.read_schema(part).names)
            for batch in pq.ParquetFile(part).iter_batches(columns=sorted(names)):
                for row in batch.to_pylist():
                    galaxy_id = row["galaxy_id"]
                    self._seen.add(galaxy_id)
                    key = row.get(KEY_COLUMN) or galaxy_id
                    self._galaxies.remember(galaxy_id, row.get(SAME_COLUMN) or "", key)

    def _account(self, inventory: Inventory, survey: Survey, accepted: int, rejected: int) -> None:
        """Enter what the last source holds: an interrupted run has read a part of it."""
        if accepted:
            last = slice(len(survey) - accepted, None)
            inventory.taken.update(survey.column(TAKEN_COLUMN)[last].tolist())
            inventory.scales = survey.column(SCALE_COLUMN)[last].tolist()
            inventory.valid = survey.column(VALID_COLUMN)[last].tolist()
            if inventory.wanted is not None:
                inventory.wanted = survey.column(WANTED_COLUMN)[last].tolist()
        if accepted and self._reading.columns.same_as:
            ids, named = (survey.column(n)[last].tolist() for n in ("galaxy_id", SAME_COLUMN))
            keyed = KEY_COLUMN in survey.column_names
            keys = survey.column(KEY_COLUMN)[last].tolist() if keyed else ids
            joined = sum(key not in ("", own) for key, own in zip(keys, ids, strict=True))
            absent = sum(bool(one) and not self._galaxies.holds(one) for one in named)
            inventory.same = SameRows(joined, absent)
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
