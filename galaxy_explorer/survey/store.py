"""A survey on disk: `catalog.parquet`, `stamps.zarr`, `survey.json`, `rejects.csv`.

Row i of the catalogue is stamp i; a row that cannot be in the survey is in `rejects.csv` with the
reason. `SurveySpec` is what a survey is, `Survey` reads one, `writer.SurveyWriter` makes one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.shards import (
    as_numbers,
    joined_hash,
    open_array,
    read_rows,
    shard_hash,
)
from galaxy_explorer.utils.scheduler import once_a_process, remember

CATALOG = "catalog.parquet"
STAMPS = "stamps.zarr"
EXTRAS = "extras.zarr"
META = "survey.json"
REJECTS = "rejects.csv"
HASHES = "hashes.txt"
"""Of the shards, a line each; the fingerprint is theirs."""
FORMAT = 2
FORMATS = (1, FORMAT)
"""1: a file for 256 stamps in float32, and a fingerprint of all of them in one."""
BLOCK_ROWS = 1024
SCALE_COLUMN = "stamp_pixel_scale_arcsec"
SIMULATED = "simulated-"  # how the source of galaxies begins that no telescope saw
VALID_COLUMN = "valid_share"
TAKEN_COLUMN = "taken"
RADIUS_COLUMN = "measured_radius_px"
AXIS_RATIO_COLUMN = "axis_ratio"
WANTED_COLUMN = "frame_wanted"
RENDERING_COLUMN = "rendering"  # who made the picture
SAME_COLUMN = "same_as"
KEY_COLUMN = "galaxy_key"
"""What all rows of one galaxy share, where a catalogue says which are; its split goes by it."""
ORIENTATION = "row 0 on top; FITS turned so that north is up by its WCS, else rows upwards"
OLD_ORIENTATION = "pictures as drawn; FITS rows downwards as stored"
MAX_LINES = 5


class Survey:
    """Stamps and catalogue of a finished survey; nothing is loaded before it is asked for.

    `len(survey)` is the number of galaxies N; row i of the catalogue is stamp i. path: its folder.
    meta: `survey.json`, with name, band, stamp_size (px), pixel_scale_arcsec and fingerprint.

    Raises SurveyError for a folder that is no survey, and for a column that there is not.

    >>> import galaxy_explorer as ge
    >>> survey = ge.Survey.open("surveys/toy")
    >>> len(survey), survey.stamps([0, 1]).shape, survey.column("ttype").shape
    (12, (2, 1, 64, 64), (12,))
    """

    def __init__(self, path: Path, meta: dict[str, Any]) -> None:
        self.path = path
        self.meta = meta
        self._stamps = open_array(path / STAMPS)
        self._columns: dict[str, NDArray[Any]] = {}

    @classmethod
    def open(cls, path: str | Path) -> Survey:
        """Open a survey folder.

        Raises SurveyError where a file is missing or stamps and catalogue differ in length.
        """
        path = Path(path)
        for name in (META, CATALOG, STAMPS):
            if not (path / name).exists():
                cure = "run galaxy-explorer ingest or simulate (again, if it was interrupted)"
                raise SurveyError(f"{path}: {name} is missing; {cure}")
        try:
            meta = json.loads((path / META).read_text())
        except ValueError as error:
            raise SurveyError(
                f"{path / META}: not JSON ({error}); make the survey again"
            ) from error
        if not isinstance(meta, dict) or meta.get("format") not in FORMATS:
            raise SurveyError(f"{path / META}: format is not {FORMAT}; make the survey again")
        survey = cls(path, meta)
        rows = survey._parquet.metadata.num_rows
        if rows != len(survey):
            raise SurveyError(f"{path}: {len(survey)} stamps but {rows} catalogue rows")
        return survey

    def __len__(self) -> int:
        return int(self._stamps.shape[0])

    def __repr__(self) -> str:
        size, band = self.meta["stamp_size"], self.meta["band"] or "?"
        return f"<Survey {self.path}: {len(self)} galaxies, {size} x {size} px, band {band}>"

    @cached_property
    def _parquet(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path / CATALOG)
        except (OSError, pa.ArrowException) as error:
            raise SurveyError(f"{self.path / CATALOG}: damaged ({error})") from error

    @property
    def column_names(self) -> list[str]:
        """Names of the catalogue columns, in order."""
        return list(self._parquet.schema_arrow.names)

    def column(self, name: str) -> NDArray[Any]:
        """One catalogue column (N,): text as numpy strings ("" unknown), numbers with NaN.

        Raises SurveyError naming the columns there are.
        """
        if name not in self._columns:
            if name not in self.column_names:
                raise SurveyError(
                    f"{self.path / CATALOG}: no column {name!r}; there are "
                    f"{', '.join(self.column_names)}"
                )
            values = self._parquet.read([name])[name].to_numpy()
            if values.dtype == object:
                values = np.array(["" if v is None else str(v) for v in values], dtype=str)
            values.flags.writeable = False
            self._columns[name] = values
        return self._columns[name]

    @cached_property
    def training_key(self) -> str:
        """SHA-256 of ids, stamps and splits: what is learnt from a survey depends on them."""
        splits = "\n".join([self.meta["fingerprint"], *self.column("split")])
        return hashlib.sha256(splits.encode()).hexdigest()

    def table(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Catalogue rows from `start` to before `stop`; reads the parts of the file they lie in."""
        about = self._parquet.metadata
        ends = np.cumsum([about.row_group(i).num_rows for i in range(about.num_row_groups)])
        stop = min(stop, len(self))
        first = int(np.searchsorted(ends, start, side="right"))
        last = int(np.searchsorted(ends, max(stop - 1, start), side="right"))
        groups = range(first, min(last + 1, about.num_row_groups))
        found = self._parquet.read_row_groups(list(groups), columns=columns)
        before = int(ends[first - 1]) if first else 0
        return found.slice(start - before, stop - start)

    def block(self, start: int, stop: int, stretch: ArcsinhStretch) -> NDArray[np.float32]:
        """Stamps (n, C, S, S) from row `start` to before `stop`, linear ones by another stretch.

        Unlike `model_input` it holds no more of the survey than these rows.
        """
        rows = np.arange(start, min(stop, len(self)))
        stamps = self.stamps(rows)
        if self.meta["stretch"]["state"] == "arcsinh":
            return stamps
        sky, sigma = (
            np.stack([self.table(start, stop, [name])[name].to_numpy() for name in names], axis=-1)
            for names in (self._sky_columns("sky"), self._sky_columns("sky_sigma"))
        )
        return stretch.apply(stamps, sky, sigma).astype(np.float32)

    def stamps(self, rows: ArrayLike | None = None) -> NDArray[np.float32]:
        """Stamps (n, C, S, S) in the order of `rows` (all without it)."""
        return as_numbers(_read(self._stamps, rows))

    def stored(self, rows: ArrayLike | None = None) -> NDArray[Any]:
        """The same as they lie on the disk: float32, or uint8 of which `as_numbers` makes it."""
        return _read(self._stamps, rows)

    def model_input(self, rows: ArrayLike | None = None) -> NDArray[np.float32]:
        """Stamps (n, C, S, S) arcsinh-stretched, as the models take them."""
        stamps = self.stamps(rows)
        if self.meta["stretch"]["state"] == "arcsinh":
            return stamps
        chosen = slice(None) if rows is None else np.asarray(rows)
        sky, sigma = (
            np.stack([self.column(name)[chosen] for name in self._sky_columns(kind)], axis=-1)
            for kind in ("sky", "sky_sigma")
        )
        return self.stretch.apply(stamps, sky, sigma).astype(np.float32)

    def _sky_columns(self, kind: str) -> list[str]:
        """Columns with the sky of each plane: one each, where the survey has them."""
        each = [f"{kind}_{plane}" for plane in range(self._stamps.shape[1])]
        return each if len(each) > 1 and set(each) <= set(self.column_names) else [kind]

    @property
    def stretch(self) -> ArcsinhStretch:
        """The stretch of linear stamps, with the parameters the survey was made with."""
        stored = self.meta["stretch"]
        return ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])

    @property
    def extra_names(self) -> list[str]:
        """Names of further arrays with one entry a galaxy, for example "truth" and "psf"."""
        folder = self.path / EXTRAS
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def extra_array(self, name: str, rows: ArrayLike | None = None) -> NDArray[Any]:
        """One further array (n, ...) of a simulated survey.

        Raises SurveyError naming those there are.
        """
        if name not in self.extra_names:
            raise SurveyError(f"{self.path}: no array {name!r}; there are {self.extra_names}")
        return _read(open_array(self.path / EXTRAS / name), rows)

    @property
    def taken_words(self) -> list[str]:
        """What was read of how many pictures, how much of the pixels had data, how rows lie."""
        lines = []
        if TAKEN_COLUMN in self.column_names:
            lines += taken_lines(self.column(TAKEN_COLUMN).tolist())
        if VALID_COLUMN in self.column_names and len(self):
            share = self.column(VALID_COLUMN)
            holed = int((share < 1).sum())
            words = f"{holed} of {len(self)} stamps have pixels without data, filled from others"
            least = f" ({VALID_COLUMN} down to {np.nanmin(share):.2f})" if holed else ""
            lines.append(words + least)
        if WANTED_COLUMN in self.column_names:
            lines.append(f"Frame: {framing_words(self.column(WANTED_COLUMN))}")
        return [*lines, f"Orientation: {self.meta.get('orientation', OLD_ORIENTATION)}"]

    def truth(self, rows: ArrayLike | None = None) -> NDArray[np.float32]:
        """Noise-free, un-convolved pictures (n, C, S, S) of a simulated survey."""
        return self.extra_array("truth", rows)


def taken_lines(taken: Sequence[str]) -> list[str]:
    """The kinds of planes that were read, the most frequent first, with their numbers."""
    kinds = Counter(words for words in taken if words).most_common()
    lines = [f"Read {words}: {count} pictures" for words, count in kinds[:MAX_LINES]]
    rest = sum(count for _, count in kinds[MAX_LINES:])
    return [*lines, f"Read otherwise (column {TAKEN_COLUMN}): {rest} pictures"] if rest else lines


def framed_counts(wanted: ArrayLike) -> dict[str, int]:
    """How many galaxies were framed by their size, and how many were not and why.

    wanted (N,): side of the frame over that of the picture (see `preprocessing.Framing`).
    """
    sides = np.asarray(wanted, np.float64)
    short, unknown = int((sides > 1).sum()), int(np.isnan(sides).sum())
    by_size = len(sides) - short - unknown
    return {"measured": by_size, "picture_ends": short, "no_radius": unknown}


def framing_words(wanted: ArrayLike) -> str:
    """The same in words."""
    by_size, short, unknown = framed_counts(wanted).values()
    words = f"{by_size:,} of {by_size + short + unknown:,} pictures framed by measured size"
    if not short + unknown:
        return words
    return f"{words}; {short:,} end within their frame, {unknown:,} show no radius: taken whole"


@dataclass(frozen=True)
class RowStamps:
    """Stretched stamps (n, C, S, S) of rows of a survey, each read when it is indexed."""

    survey: Survey
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the array which they would be."""
        return (len(self.rows), *self.survey.stored([]).shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        return self.survey.model_input(self.rows[part])

    def measured(self, measure: Callable[[NDArray[np.float32]], NDArray[Any]]) -> NDArray[Any]:
        """What `measure` makes (b, ...) of a block of stamps, of all of them (n, ...)."""
        starts = range(0, max(len(self), 1), BLOCK_ROWS)
        return np.concatenate([measure(self[i : i + BLOCK_ROWS]) for i in starts])


def _read(array: Any, rows: ArrayLike | None) -> NDArray[Any]:
    wanted = np.arange(array.shape[0]) if rows is None else np.asarray(rows)
    if wanted.dtype == bool:
        wanted = np.flatnonzero(wanted)
    if wanted.size == 0:
        return np.empty((0, *array.shape[1:]), array.dtype)
    return read_rows(array, wanted.astype(np.int64))


def fingerprint(path: Path) -> str:
    """The fingerprint of a survey's ids and pixels, made anew from its files.

    Of format 1 it is the SHA-256 over each row in order: galaxy_id in UTF-8, then the stamp as
    little-endian float32; of format 2 that of the hashes of the shards (see `shards`).
    """
    stamps, catalogue = open_array(path / STAMPS), pq.ParquetFile(path / CATALOG)
    old = json.loads((path / META).read_text())["format"] == FORMATS[0]
    rows = BLOCK_ROWS if old else stamps.shards[0]
    digest, hashes, start = hashlib.sha256(), [], 0
    waiting: list[str] = []
    for batch in catalogue.iter_batches(batch_size=BLOCK_ROWS, columns=["galaxy_id"]):
        waiting += batch["galaxy_id"].to_pylist()
        while len(waiting) >= rows or (waiting and start + len(waiting) == stamps.shape[0]):
            names, waiting = waiting[:rows], waiting[rows:]
            pixels = read_rows(stamps, np.arange(start, start + len(names)))
            start += len(names)
            if not old:
                hashes.append(shard_hash(names, pixels))
                continue
            for name, stamp in zip(names, pixels.astype("<f4"), strict=True):
                digest.update(name.encode() + stamp.tobytes())
    return digest.hexdigest() if old else joined_hash(hashes, stamps)


@dataclass(frozen=True)
class SharedSurvey:
    """The survey that a task is about: its folder, which all workers must see, and its pixels."""

    path: str
    fingerprint: str

    @classmethod
    def of(cls, survey: Survey) -> SharedSurvey:
        """Tasks in this process take the survey as it is open."""
        shared = cls(str(survey.path.resolve()), str(survey.meta["fingerprint"]))
        remember("survey", shared, survey)
        return shared

    def opened(self) -> Survey:
        """The survey, opened once a process. Raises SurveyError for another one in its place."""
        survey: Survey = once_a_process("survey", self, lambda: Survey.open(self.path))
        if survey.meta["fingerprint"] != self.fingerprint:
            raise SurveyError(f"{self.path}: a worker finds another survey; share that folder")
        return survey


class Reject(NamedTuple):
    """A catalogue row without a usable stamp; `row` counts from 0."""

    file: str
    row: int
    galaxy_id: str
    reason: str


@dataclass(frozen=True)
class SurveySpec:
    """What a survey is; stored in `survey.json`."""

    name: str
    source: str
    stamp_size: int = 64
    channels: int = 1
    band: str | None = None
    pixel_scale_arcsec: float | None = None
    state: Literal["arcsinh", "linear"] = "linear"
    stretch: ArcsinhStretch = field(default_factory=ArcsinhStretch)
    orientation: str = ""
    frame: Literal["", "measured"] = ""  # "" where each source has a frame of its own

    @property
    def meta(self) -> dict[str, Any]:
        """The part of `survey.json` that is known before any stamp."""
        said = {"orientation": self.orientation, "frame": self.frame}
        return {
            "name": self.name,
            "stamp_size": self.stamp_size,
            "channels": self.channels,
            "band": self.band,
            "pixel_scale_arcsec": self.pixel_scale_arcsec,
            "stretch": {"state": self.state, **self.stretch.to_dict()},
            **{name: words for name, words in said.items() if words},
        }
