"""A look at a source before anything is made of it: what would be taken, and what left out.

The same readers as an ingest, by the same options; nothing is written but a contact sheet, which
shows the stamps as a model would see them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SettingError, SurveyError
from galaxy_explorer.survey.catalog import (
    CatalogRow,
    all_rows,
    block_rows,
    blocks,
    stage_catalog,
    survey_columns,
)
from galaxy_explorer.survey.columns import ColumnMap
from galaxy_explorer.survey.cubes import (
    ID_NAMES,
    CubeSource,
    id_texts,
)
from galaxy_explorer.survey.folders import (
    FolderReader,
    FolderSource,
    ZipSource,
    is_picture,
)
from galaxy_explorer.survey.images import Image, is_other_picture, read_image
from galaxy_explorer.survey.ingest import (
    OpenedSource,
    named_row,
    open_with_catalog,
    settled_columns,
    stamp_words,
)
from galaxy_explorer.survey.inventory import Inventory, SameRows, Shown
from galaxy_explorer.survey.limits import MAX_ID_CHARACTERS
from galaxy_explorer.survey.mosaics import NO_IMAGE, MosaicSource, is_mosaic
from galaxy_explorer.survey.names import SeenNames
from galaxy_explorer.survey.parquet_pictures import picture_column
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.readers import Reader
from galaxy_explorer.survey.repeats import SameGalaxies
from galaxy_explorer.survey.sources import StampSource, is_cube, open_stack
from galaxy_explorer.survey.stamps import IngestOptions, Stamp, check_fits
from galaxy_explorer.survey.store import BLOCK_ROWS
from galaxy_explorer.survey.table_parts import cutana_batches, table_parts
from galaxy_explorer.survey.zarr_cubes import is_zarr
from galaxy_explorer.utils.files import atomic_path
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.reading import StagedTable

EXAMINED = 200
"""Pictures that a check reads where it is not told to read all."""
ALWAYS = 20
"""Of those, from the beginning on: the first that can be used says what the survey is."""
PATIENCE_S = 2.0


class NoPictures:
    """In place of a source where a table alone is looked at."""

    kind = "table without pictures"
    reader = Reader()

    def file_of(self, row: CatalogRow) -> str:
        """The id of the row."""
        return row.galaxy_id

    locate = file_of

    def fetch(self, row: CatalogRow) -> Image:
        """Raises BadImage."""
        raise BadImage(row.galaxy_id, "no source of pictures was named")

    def unused(self, rows: Iterable[CatalogRow]) -> int:  # noqa: ARG002
        """There are none."""
        return 0

    def notes(self) -> list[str]:
        """Nothing was decided."""
        return []


class OnePicture:
    """A picture in a file of its own, without a catalogue."""

    kind = "one picture"

    def __init__(self, path: Path, hdu: int | None) -> None:
        self._path, self.reader = path, FolderReader(path.absolute().parent, hdu)

    def file_of(self, row: CatalogRow) -> str:  # noqa: ARG002
        """Its name."""
        return self._path.name

    locate = file_of

    def fetch(self, row: CatalogRow) -> Image:
        """Read it."""
        return self.reader.read(self._path.name, self.file_of(row))

    def unused(self, rows: Iterable[CatalogRow]) -> int:  # noqa: ARG002
        """There is no other."""
        return 0

    def notes(self) -> list[str]:
        """Nothing was decided."""
        return []


def check_source(
    source: Path, catalog: Path | None, options: IngestOptions, *, every: bool = False
) -> Inventory:
    """What `ingest_survey` would take by the same options, and what it would leave out.

    Nothing is written. Every row is looked up; of the pictures that are there EXAMINED are read,
    the first and others by chance, or with `every` all. catalog: None for the pictures alone, or
    where `source` is a table.

    Raises BadCatalog, SurveyError, or BadImage where the source as a whole cannot be read.
    """
    with TemporaryDirectory(prefix="galaxy-explorer-") as folder:
        if not source.exists():
            raise SurveyError(f"{source}: no such file or folder")
        staging = Path(folder)
        if catalog is None and not _holds_both(source):
            reading = _open_alone(source, options, staging)
        else:
            reading = open_with_catalog(source, catalog or source, options, staging)
        inventory = reading.inventory()
        inventory.alone = _alone_words(reading)
        usable = _look_up(reading, inventory)
        wanted = np.flatnonzero(usable)
        if not every and wanted.size > EXAMINED:
            generator = np.random.default_rng(0)
            chance = generator.choice(wanted[ALWAYS:], EXAMINED - ALWAYS, replace=False)
            wanted = np.sort(np.concatenate([wanted[:ALWAYS], chance]))
        if not isinstance(reading.pictures, NoPictures):
            _examine(reading, inventory, wanted)
            inventory.unused = reading.pictures.unused(all_rows(reading.table, reading.columns))
            inventory.notes = tuple(reading.pictures.notes())
        return inventory


def open_alone(
    path: Path, *, staging: Path, hdu: int | None, side_px: int
) -> tuple[StampSource, list[tuple[str, str]]] | None:
    """A source without a catalogue, and an id and a name for each of its pictures.

    A mosaic has none: it is cut at positions. None where the file is a table.

    Raises BadImage, SurveyError where the source as a whole cannot be read.
    """
    suffix = path.suffix.lower()
    if is_cube(path):
        cube = open_stack(path, staging, ID_NAMES[0])
        names = [str(i) for i in range(cube.count)] if cube.ids is None else id_texts(cube.ids)
        return CubeSource(cube, cube.count, by_row=cube.ids is None), [(n, "") for n in names]
    if path.is_dir() or suffix == ".zip":
        found = FolderSource(path, hdu) if path.is_dir() else ZipSource(path, hdu)
        return found, [(name[-MAX_ID_CHARACTERS:], name) for name in found.index.paths]
    one = OnePicture(path, hdu), [(path.stem, path.name)]
    if not is_mosaic(path):
        picture = path.is_file() and (is_picture(path.name) or is_other_picture(path))
        return one if picture else None
    try:
        read_image(path, name=str(path), hdu=hdu)
    except BadImage as error:
        try:
            mosaic = MosaicSource(path, side_arcsec=None, side_px=side_px, staging=staging, hdu=hdu)
        except BadImage as other:
            if other.reason == NO_IMAGE:
                return None
            raise error from other
        return mosaic, []
    return one


def _open_alone(source: Path, options: IngestOptions, staging: Path) -> OpenedSource:
    """Pictures as rows that are called after them; a table without pictures."""
    alone = open_alone(source, staging=staging, hdu=options.hdu, side_px=options.size)
    if alone is None:
        table = stage_catalog(source, staging / "table.parquet", options.columns, options.table)
        columns = settled_columns(table, source, options)
        return OpenedSource(source, source, NoPictures(), options, table, columns)
    pictures, names = alone
    ids, files = ([one[i] for one in names] for i in (0, 1))
    rows = pa.table(
        {"galaxy_id": pa.array(ids, pa.string()), "image": pa.array(files, pa.string())}
    )
    pq.write_table(rows, staging / "rows.parquet")
    columns = ColumnMap("galaxy_id", "image")
    return OpenedSource(
        source, None, pictures, options, StagedTable(staging / "rows.parquet"), columns
    )


def _holds_both(source: Path) -> bool:
    """Whether Parquet files, or batches of Cutana, hold pictures and so are their own catalogue."""
    parts = table_parts(source) if source.is_dir() and not is_zarr(source) else [source]
    if not parts or parts[0].suffix.lower() != ".parquet":
        return False
    if cutana_batches(source):
        return True
    try:
        return bool(picture_column(pq.ParquetFile(parts[0])))
    except (pa.ArrowException, OSError, ValueError):
        return False  # what is wrong with it the reader of tables says


def _alone_words(reading: OpenedSource) -> str:
    """What a table without pictures, or a mosaic without positions, is good for; else empty."""
    if isinstance(reading.pictures, NoPictures):
        return "rows of a table, without pictures: name those as SOURCE, this as --catalog"
    mosaic = isinstance(reading.pictures, MosaicSource) and reading.catalog is None
    return "stamps cut at the positions of a catalogue: name it by --catalog" if mosaic else ""


def _look_up(reading: OpenedSource, inventory: Inventory) -> NDArray[np.bool_]:
    """Which rows have an id of their own and a picture, (rows,); the others are entered."""
    total = reading.table.metadata.num_rows
    usable, seen = np.zeros(total, bool), SeenNames()
    galaxies = SameGalaxies([reading.options.source_name or reading.source.stem], seen)
    joined = 0
    with progress(total, "Looking up", unit="rows", after=PATIENCE_S) as advance:
        for row in all_rows(reading.table, reading.columns):
            try:
                row.check()
                reading.pictures.locate(row)
                if row.galaxy_id in seen:
                    raise BadImage("catalogue", "an earlier row has the same id")
                joined += galaxies.key(row.galaxy_id, row.same_as) != row.galaxy_id
                seen.add(row.galaxy_id)
                usable[row.row] = True
            except BadImage as error:
                inventory.absent.add(error.reason, row.galaxy_id or f"row {row.row + 1}")
            advance(1)
    if reading.columns.same_as:
        named = (row.same_as for row in all_rows(reading.table, reading.columns))
        absent = sum(bool(one) and not galaxies.holds(one) for one in named)
        inventory.same = SameRows(joined, absent)
    return usable


def _examine(reading: OpenedSource, inventory: Inventory, wanted: NDArray[np.int64]) -> None:
    """Read the pictures of these rows as an ingest would, and enter what came of them."""
    each = max(1, wanted.size // SHEET_STAMPS)
    like: Stamp | None = None
    first = 0
    with progress(wanted.size, "Examining", unit="pictures", after=PATIENCE_S) as advance:
        for table in blocks(reading.table, start=0, size=BLOCK_ROWS):
            here = wanted[(wanted >= first) & (wanted < first + table.num_rows)] - first
            rows = list(block_rows(table, reading.columns, first)) if here.size else []
            further = reading.options.further
            stages = survey_columns(table, reading.columns, here.tolist(), further)["ttype"]
            for place, stage in zip(here.tolist(), stages, strict=True):
                row = rows[place]
                inventory.examined += 1
                try:
                    stamp = reading.stamp(row)
                    like = like or stamp
                    check_fits(stamp, like.state, like.pixels.shape)
                except BadImage as error:
                    name = named_row(row.galaxy_id, reading.pictures.file_of(row))
                    inventory.refused.add(error.reason, name)
                else:
                    if inventory.usable % each == 0 and len(inventory.sample) < SHEET_STAMPS:
                        label = row.galaxy_id if reading.catalog else PurePath(row.galaxy_id).name
                        inventory.sample.append(Shown(label, float(stage), stretched(stamp)))
                    inventory.take(stamp.words, stamp.framing, stamp.scale, stamp.valid_share)
                    if np.isfinite(stamp.cap):
                        inventory.capped[stamp.cap] += 1
                advance(1)
            first += table.num_rows
    if like is not None:
        band = reading.options.band_name or like.band
        inventory.stamps = stamp_words(reading.options.size, len(like.pixels), band, like.state)


def stretched(stamp: Stamp) -> NDArray[np.float32]:
    """Pixels (C, S, S) of a stamp as models see them."""
    if stamp.state == "arcsinh":
        return stamp.pixels
    return ArcsinhStretch().apply(stamp.pixels, stamp.skies, stamp.sigmas).astype(np.float32)


# The contact sheet: a dark ground, the stamps in rows, a small label under each.
SHEET_STAMPS = 64
ACROSS = 8
TILE_PX = 128
GAP_PX = 10
TEXT_PX = 13
GROUND, FRAME, INK, FAINT = (14, 16, 20), (38, 42, 50), (226, 229, 234), (138, 146, 158)


def sheet_path(path: str | Path) -> Path:
    """The path of a contact sheet. Raises SettingError for another extension than .png."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise SettingError(f"--sheet {path}: the contact sheet is a PNG; end its name in .png")
    return path


def draw_sheet(inventory: Inventory, path: Path) -> int:
    """Draw the sample's stamps, early types first where T is known; returns how many.

    0 to 1 of the stretched stamps is black to white; three channels are red, green and blue, of
    other numbers the first is shown. Nothing is drawn where there is no stamp.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = sorted(inventory.sample, key=lambda one: (math.isnan(one.ttype), one.ttype))
    if not shown:
        return 0
    size = shown[0].pixels.shape[-1]
    side = size * max(1, round(TILE_PX / size))
    title, small = ImageFont.load_default(TEXT_PX + 3), ImageFont.load_default(TEXT_PX)
    typed = any(not math.isnan(one.ttype) for one in shown)
    head, below = 4 * TEXT_PX + GAP_PX, (3 if typed else 2) * TEXT_PX
    down = math.ceil(len(shown) / ACROSS)
    width = ACROSS * (side + GAP_PX) + GAP_PX
    sheet = Image.new("RGB", (width, head + down * (side + below + GAP_PX) + GAP_PX), GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP_PX, GAP_PX), _fitting(Path(inventory.source).name, title, width), INK, title)
    read = inventory.ways.most_common(1)[0][0]
    about = f"{len(shown)} of {inventory.rows:,}  ·  {inventory.stamps}  ·  {read}"
    second = (GAP_PX, GAP_PX + TEXT_PX + 10)
    pen.text(second, _fitting(about, small, width - 2 * GAP_PX), FAINT, small)
    for place, one in enumerate(shown):
        row, column = divmod(place, ACROSS)
        left, top = GAP_PX + column * (side + GAP_PX), head + row * (side + below + GAP_PX)
        planes = one.pixels if len(one.pixels) == len("rgb") else one.pixels[:1]
        eight = (255 * np.clip(planes, 0, 1)).round().astype(np.uint8)
        colour = np.moveaxis(np.broadcast_to(eight, (3, size, size)), 0, -1)
        stamp = Image.fromarray(np.ascontiguousarray(colour))
        sheet.paste(stamp.resize((side, side), Image.Resampling.NEAREST), (left, top))
        pen.rectangle((left - 1, top - 1, left + side, top + side), outline=FRAME)
        name = _fitting(one.galaxy_id, small, side)
        pen.text((left, top + side + 4), name, INK, small)
        if not math.isnan(one.ttype):
            stage = f"T  {one.ttype:g}"
            pen.text((left, top + side + 5 + TEXT_PX), stage, FAINT, small)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")
    return len(shown)


def _fitting(text: str, font: Any, width: int) -> str:
    """Text that is no wider than `width` px; the middle of a long one is left out.

    The font has the letters of Latin-1; others are a question mark.
    """
    kept = text = text.encode("latin-1", "replace").decode("latin-1")
    while len(kept) > 4 and font.getlength(kept) > width:
        half = (len(kept) - 2) // 2
        kept = f"{text[:half]}…{text[len(text) - half :]}"
    return kept
