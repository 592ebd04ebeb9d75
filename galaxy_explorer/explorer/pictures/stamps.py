"""Decoded stamps: made by the decoder once, kept on disk, handed out to every visitor.

On the map they are a pyramid of square tiles whose cells each show one galaxy that lies in that
cell. Tile (z, x, y) of zoom z covers the square [x, x+1] x [y, y+1] / 2**z of the unit map, y
upwards.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BundleError
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    as_shown,
    has_colour,
    limits,
    render_stamps,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle


log = logging.getLogger(__name__)

CHUNK = 64
"""Galaxies decoded at a time: a visitor waits for at most one chunk of the background fill."""
KEPT_BUNDLES = 4
"""Bundles whose decoded stamps stay in the cache; the least recently used go first."""
REFERENCE_STAMPS = 256
"""Galaxies that set the common limits of the "shared" display."""

Result = TypeVar("Result")
Originals = Callable[[NDArray[np.int64]], NDArray[np.float32]]


class StampFile:
    """Stamps of one bundle on disk: float16 pixels and a mark per galaxy that is complete.

    Several processes may fill the same file: a stamp is marked after its pixels are written, and
    what they write is the same. A file of the wrong size is made anew.
    """

    def __init__(self, folder: Path, name: str, shape: tuple[int, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, keep=name)
        pixels, done = folder / f"{name}.f16", folder / f"{name}.done"
        if not (pixels.exists() and pixels.stat().st_size == 2 * int(np.prod(shape))):
            done.unlink(missing_ok=True)
        self.pixels = _open_array(pixels, np.dtype("<f2"), shape)
        self.done = _open_array(done, np.dtype("u1"), shape[:1])

    def write(self, rows: NDArray[np.int64], stamps: NDArray[np.float32]) -> None:
        """Keep stamps (n, ...) of `rows`."""
        self.pixels[rows] = stamps
        self.pixels.flush()
        self.done[rows] = 1


def _open_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    size = int(np.prod(shape)) * dtype.itemsize
    if not path.exists() or path.stat().st_size != size:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".new")
        try:
            if hasattr(os, "posix_fallocate") and size:  # else a full disk would end the process
                os.posix_fallocate(handle, 0, size)
            os.truncate(handle, size)
        except OSError:
            Path(name).unlink()
            raise
        finally:
            os.close(handle)
        Path(name).replace(path)
    os.utime(path)
    return np.memmap(path, dtype, "r+", shape=shape)


def sweep(folder: Path, *, keep: str) -> None:
    """Remove the stamps of bundles not used for longest, all but KEPT_BUNDLES of them."""
    newest = sorted(folder.glob("*.done"), key=lambda path: path.stat().st_mtime, reverse=True)
    others = [path for path in newest if path.stem != keep]
    for path in others[KEPT_BUNDLES - 1 :]:
        path.unlink(missing_ok=True)
        path.with_suffix(".f16").unlink(missing_ok=True)


def first_shown(bundle: Bundle) -> NDArray[np.int64]:
    """Every row once: first the centres of the clusters that are shown first, then typical ones."""
    default = bundle.clusterings[bundle.manifest.default_clustering]
    centres = [cluster.medoid for cluster in default.clusters if cluster.medoid >= 0]
    typical = [
        row for one in bundle.clusterings.values() for k in one.clusters for row in k.typical
    ]
    rows = np.concatenate([centres, typical, np.arange(len(bundle))]).astype(np.int64)
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)]


class StampStore:
    """Stamps of the galaxies of a bundle: reconstructions, and originals where there are any.

    Stamps are (n, S, S), or (n, S, S, 3) of three bands (see `display.as_shown`). The decoder runs
    in one thread of its own, never on the server's event loop. originals: rows -> stamps, NaN where
    there is none; None where there are no originals at all.
    """

    def __init__(self, bundle: Bundle, cache_dir: Path, originals: Originals | None = None) -> None:
        config = bundle.models[bundle.manifest.display_model].config
        self.bundle = bundle
        self.side = int(config["stamp_size"])
        self.originals = originals
        self.colour = has_colour(bundle.manifest.survey.channels)
        name = bundle.hash[:24] + ("-rgb" if self.colour else "")
        shape = (len(bundle), self.side, self.side, *[3] * self.colour)
        self._file = StampFile(cache_dir, name, shape)
        self._decoder = ThreadPoolExecutor(1, "decoder")
        self._closing = threading.Event()

    @property
    def done_share(self) -> float:
        """Share of the galaxies decoded so far, 0..1."""
        return float(self._file.done.mean())

    def ready(self, rows: NDArray[np.int64], pictures: str = "reconstruction") -> bool:
        """Whether `get` would not have to wait."""
        from_disk = pictures == "reconstruction" or self.originals is None
        return from_disk and bool(self._file.done[rows].all())

    def get(self, rows: NDArray[np.int64], pictures: str = "reconstruction") -> NDArray[np.float32]:
        """Stamps of catalogue rows, stretched as the model sees them. May wait.

        pictures: "reconstruction" or "original"; an original that is not at hand is NaN.
        """
        rows = np.asarray(rows, np.int64)
        if pictures == "original" and self.originals is not None:
            return self.originals(rows)
        missing = np.unique(rows[self._file.done[rows] == 0])
        for start in range(0, len(missing), CHUNK):
            self._decoder.submit(self._decode, missing[start : start + CHUNK]).result()
        return np.asarray(self._file.pixels[rows], np.float32)

    def decode(self, model: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Reconstructions of catalogue rows by any model of the bundle. May wait."""
        if model == self.bundle.manifest.display_model:
            return self.get(rows)
        stamps = self._decoder.submit(self.bundle.decode, model, rows).result()
        return as_shown(stamps)

    def draw(self, model: str, codes: NDArray[np.integer]) -> NDArray[np.float32]:
        """Stamps that a model draws from any code maps (n, h, w). May wait."""
        stamps = self._decoder.submit(self.bundle.draw, model, codes).result()
        return as_shown(stamps)

    def submit(self, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Let the decoder's thread, the one in which torch works, do something else."""
        return self._decoder.submit(work, *arguments)

    def _decode(self, rows: NDArray[np.int64]) -> None:
        rows = rows[self._file.done[rows] == 0]
        if len(rows):
            stamps = self.bundle.decode(self.bundle.manifest.display_model, rows)
            self._file.write(rows, as_shown(stamps))

    def pictures(
        self, rows: NDArray[np.int64], settings: DisplaySettings, pictures: str = "reconstruction"
    ) -> NDArray[np.uint8]:
        """Rendered pictures (n, S, S, 3) of catalogue rows."""
        between = self.common_limits(settings, pictures) if settings.shared else None
        return render_stamps(self.get(rows, pictures), settings, between)

    def common_limits(self, settings: DisplaySettings, pictures: str) -> NDArray[np.float64]:
        """Lower and upper limit (2,) shared by all galaxies, from an even sample of them."""
        sample = np.linspace(0, len(self.bundle) - 1, min(len(self.bundle), REFERENCE_STAMPS))
        source = pictures if pictures == "reconstruction" else "reconstruction"
        stamps = self.get(sample.astype(np.int64), source)
        return np.asarray(limits(stamps, settings)[0])

    def start_filling(self) -> None:
        """Decode every galaxy in the background, those that the pages show first first.

        Then load the other models, so that no visitor waits for torch and their weights.
        """
        threading.Thread(target=self._fill, name="decoder-fill", daemon=True).start()

    def _fill(self) -> None:
        order = first_shown(self.bundle)
        missing = order[self._file.done[order] == 0]
        for start in range(0, len(missing), CHUNK):
            if self._closing.is_set():
                return
            try:
                work = self._decoder.submit(self._decode, missing[start : start + CHUNK])
            except RuntimeError:  # the process ends
                return
            try:
                work.result()
            except (RuntimeError, CancelledError):
                if not self._closing.is_set():
                    log.exception("decoding in the background stopped")
                return
        for name in self.bundle.models:
            if not self._closing.is_set():
                with suppress(RuntimeError):  # of an executor that was closed meanwhile
                    self._decoder.submit(self._load, name)

    def _load(self, name: str) -> None:
        try:
            self.bundle.load_model(name)
        except BundleError:
            log.exception("a model could not be loaded")

    def close(self) -> None:
        """Stop the background work."""
        self._closing.set()
        self._decoder.shutdown(wait=True, cancel_futures=True)


MARGIN = 0.03
"""Empty border of the unit map, as a share of its side."""
MAX_ZOOM = 10
"""Deepest zoom: a screen then shows a thousandth of the map's width."""
MOST_CELLS = 8
"""Cells along one side of a tile, far out: 32 screen pixels each."""
CROWDING = 1.6
"""The finest cells are this much smaller than the mean distance of galaxies, or a little more."""
CORNER = 0.12
"""Radius of the rounded corners of a cell, as a share of its side."""
FRAME = 0.04
"""Width of the coloured frame of a cell, as a share of its side."""


def unit_map(coordinates: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map coordinates (N, 2) scaled alike on both axes into the unit square, centred."""
    points = np.asarray(coordinates, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    scaled: NDArray[np.float64] = 0.5 + (points - (low + high) / 2) / span * (1 - 2 * MARGIN)
    return scaled


def finest_side(n: int) -> int:
    """Cells along one side of the whole map, a power of two, where `n` galaxies rarely share one.

    From there on a deeper zoom shows the same galaxies larger.
    """
    return 1 << max(3, math.ceil(math.log2(CROWDING * math.sqrt(n))))


def is_tile(zoom: int, x: int, y: int) -> bool:
    """Whether there is such a tile."""
    return 0 <= zoom <= MAX_ZOOM and 0 <= x < 2**zoom and 0 <= y < 2**zoom


def ranking(rank: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows in the order in which they are shown where several share a cell; ties: lower first."""
    return np.lexsort((np.arange(len(rank)), -np.asarray(rank, np.float64)))


@dataclass(frozen=True)
class TilePyramid:
    """Which galaxy each cell of each tile shows.

    points: (N, 2) in the unit square (see `unit_map`). rank: (N,), larger is shown first, as the
    responsibility of a galaxy's cluster (see `ranking`).
    """

    points: NDArray[np.float64]
    rank: NDArray[np.floating]

    @cached_property
    def _grids(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        return {}

    def _grid(self, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Occupied cells of a side x side grid (sorted) and the galaxy each one shows."""
        if side not in self._grids:
            order = ranking(self.rank)
            cell = np.clip((self.points[order] * side).astype(np.int64), 0, side - 1)
            occupied, first = np.unique(cell[:, 1] * side + cell[:, 0], return_index=True)
            self._grids[side] = (occupied, order[first])
        return self._grids[side]

    def rows(self, zoom: int, x: int, y: int) -> NDArray[np.int64]:
        """Catalogue rows shown by a tile, (n, n), top row first; -1 where a cell is empty.

        Raises ValueError where there is no such tile.
        """
        if not is_tile(zoom, x, y):
            raise ValueError(f"no tile {zoom}/{x}/{y}")
        side = min(MOST_CELLS * 2**zoom, max(finest_side(len(self.points)), 2**zoom))
        n = side // 2**zoom
        occupied, shown = self._grid(side)
        columns = x * n + np.arange(n)
        lines = y * n + np.arange(n)[::-1]
        wanted = lines[:, None] * side + columns[None, :]
        place = np.searchsorted(occupied, wanted).clip(max=len(occupied) - 1)
        return np.where(occupied[place] == wanted, shown[place], -1)


def rounded(side: int, inset: float) -> NDArray[np.float32]:
    """Opacity (side, side), 0..1, of a square with rounded corners, `inset` pixels in."""
    radius = CORNER * side
    distance = np.abs(np.arange(side) + 0.5 - side / 2)
    beyond = np.maximum(distance - (side / 2 - inset - radius), 0)
    reach = np.hypot(beyond[:, None], beyond[None, :])
    opacity: NDArray[np.float64] = np.clip(radius - reach + 0.5, 0, 1)
    return opacity.astype(np.float32)


def draw_tile(
    pictures: NDArray[np.uint8], rows: NDArray[np.int64], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A tile (n*S, n*S, 4) of pictures (m, S, S, 3), in the order of the m occupied cells of rows.

    colours: (m, 3), of the frame around each picture. Empty cells are transparent.
    """
    n, side = rows.shape[0], pictures.shape[1]
    cells = np.zeros((n * n, side, side, 4), np.uint8)
    occupied = np.flatnonzero(rows.ravel() >= 0)
    inside = rounded(side, 1 + FRAME * side)[..., None]
    framed = pictures * inside + colours[:, None, None, :] * (1 - inside)
    cells[occupied, ..., :3] = framed.astype(np.uint8)
    cells[occupied, ..., 3] = (rounded(side, 1) * 255).astype(np.uint8)
    grid = cells.reshape(n, n, side, side, 4).swapaxes(1, 2)
    return grid.reshape(n * side, n * side, 4)
