"""Decoded stamps: made by the decoder when they are asked for, handed out to every visitor.

Those that the pages show first are decoded at the start and kept on disk; of the others the most
recently used stay in memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
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
from galaxy_explorer.explorer.pictures.tiles import map_tiles

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle


log = logging.getLogger(__name__)

CHUNK = 64
"""Galaxies decoded at a time: a visitor waits for at most one chunk of the background fill."""
KEPT_BUNDLES = 4
"""Bundles whose decoded stamps stay in the cache; the least recently used go first."""
FIRST_SHOWN = 2048
"""Galaxies whose stamps are decoded at the start and kept on disk."""
FIRST = "-first"
"""In the name of a file of theirs, before a hash of which they are: versions may choose others."""
KEPT_BYTES = 64 << 20
"""Memory for the stamps of other galaxies."""
REFERENCE_STAMPS = 256
"""Galaxies that set the common limits of the "shared" display."""

Result = TypeVar("Result")
Originals = Callable[[NDArray[np.int64]], NDArray[np.float32]]


class StampFile:
    """Stamps of some galaxies on disk: float16 pixels and a mark for each that is complete.

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

    def write(self, rows: NDArray[np.int64], stamps: NDArray[np.floating]) -> None:
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
    """Remove the stamps of bundles not used for longest, all but KEPT_BUNDLES of them.

    Files of earlier versions, which held every galaxy, go at once.
    """
    for path in [*folder.glob("*.done"), *folder.glob("*.f16")]:
        if FIRST not in path.stem:
            path.unlink(missing_ok=True)
    newest = sorted(folder.glob("*.done"), key=lambda path: path.stat().st_mtime, reverse=True)
    others = [path for path in newest if path.stem != keep]
    for path in others[KEPT_BUNDLES - 1 :]:
        path.unlink(missing_ok=True)
        path.with_suffix(".f16").unlink(missing_ok=True)


def first_shown(bundle: Bundle) -> NDArray[np.int64]:
    """At most FIRST_SHOWN rows, each once, in the order in which the pages show them.

    First what the map shows far out, then the centres of the clusters that are shown first, then
    typical ones of all clusters.
    """
    key = bundle.manifest.default_clustering
    default = bundle.clusterings[key]
    tiles = [(1, x, y) for x in range(2) for y in range(2)]
    mosaic = np.concatenate([map_tiles(bundle, key).rows(*tile).ravel() for tile in tiles])
    centres = [cluster.medoid for cluster in default.clusters if cluster.medoid >= 0]
    typical = [
        row for one in bundle.clusterings.values() for k in one.clusters for row in k.typical
    ]
    rows = np.concatenate([mosaic[mosaic >= 0], centres, typical]).astype(np.int64)
    _, first = np.unique(rows, return_index=True)
    return rows[np.sort(first)][:FIRST_SHOWN]


class RecentStamps:
    """The most recently used stamps, at most KEPT_BYTES of them; for several threads at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.most = max(1, KEPT_BYTES // (2 * int(np.prod(shape))))
        self._kept: OrderedDict[int, NDArray[np.float16]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, rows: NDArray[np.int64]) -> dict[int, NDArray[np.float16]]:
        """Those of the stamps of `rows` that are kept."""
        with self._lock:
            found = {row: self._kept[row] for row in rows.tolist() if row in self._kept}
            for row in found:
                self._kept.move_to_end(row)
        return found

    def put(self, rows: NDArray[np.int64], stamps: NDArray[np.floating]) -> None:
        """Keep stamps; those not used for longest go."""
        with self._lock:
            self._kept.update(zip(rows.tolist(), stamps.astype(np.float16), strict=True))
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)


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
        shape = (self.side, self.side, *[3] * self.colour)
        self.first = first_shown(bundle)
        self._slot = {int(row): place for place, row in enumerate(self.first)}
        which = hashlib.sha256(self.first.tobytes()).hexdigest()[:12]
        name = f"{bundle.hash[:24]}{FIRST}-{which}" + ("-rgb" if self.colour else "")
        self._file = StampFile(cache_dir, name, (len(self.first), *shape))
        self._recent = RecentStamps(shape)
        self._decoder = ThreadPoolExecutor(1, "decoder")
        self._closing = threading.Event()

    def _kept(self, rows: NDArray[np.int64]) -> dict[int, NDArray[np.float16]]:
        """Those of the stamps of `rows` that are at hand, on disk or in memory."""
        found = self._recent.take(rows)
        for row in rows.tolist():
            place = self._slot.get(row, -1)
            if place >= 0 and self._file.done[place]:
                found[row] = self._file.pixels[place]
        return found

    def ready(self, rows: NDArray[np.int64], pictures: str = "reconstruction") -> bool:
        """Whether `get` would not have to wait."""
        rows = np.unique(np.asarray(rows, np.int64))
        from_disk = pictures == "reconstruction" or self.originals is None
        return from_disk and len(self._kept(rows)) == len(rows)

    def get(self, rows: NDArray[np.int64], pictures: str = "reconstruction") -> NDArray[np.float32]:
        """Stamps of catalogue rows, stretched as the model sees them. May wait.

        pictures: "reconstruction" or "original"; an original that is not at hand is NaN.
        """
        rows = np.asarray(rows, np.int64)
        if pictures == "original" and self.originals is not None:
            return self.originals(rows)
        wanted = np.unique(rows)
        found = self._kept(wanted)
        missing = np.array([row for row in wanted.tolist() if row not in found], np.int64)
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            found |= self._decoder.submit(self._decode, chunk).result()
        made = np.empty((len(rows), *self._file.pixels.shape[1:]), np.float32)
        for place, row in enumerate(rows.tolist()):
            made[place] = found[row]
        return made

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

    def _decode(self, rows: NDArray[np.int64]) -> dict[int, NDArray[np.float16]]:
        """Stamps of rows, kept on disk or in memory; in the decoder's thread.

        As float16, like those on disk: a picture does not depend on where its stamp was.
        """
        found = self._kept(rows)  # somebody may have asked for them meanwhile
        missing = np.array([row for row in rows.tolist() if row not in found], np.int64)
        if not len(missing):
            return found
        stamps = self.bundle.decode(self.bundle.manifest.display_model, missing)
        made = as_shown(stamps).astype(np.float16)
        place = np.array([self._slot.get(row, -1) for row in missing.tolist()], np.int64)
        self._file.write(place[place >= 0], made[place >= 0])
        self._recent.put(missing[place < 0], made[place < 0])
        return found | dict(zip(missing.tolist(), made, strict=True))

    def pictures(
        self, rows: NDArray[np.int64], settings: DisplaySettings, pictures: str = "reconstruction"
    ) -> NDArray[np.uint8]:
        """Rendered pictures (n, S, S, 3) of catalogue rows."""
        return self.rendered(self.get(rows, pictures), settings)

    def rendered(self, stamps: NDArray[np.float32], settings: DisplaySettings) -> NDArray[np.uint8]:
        """Pictures (n, S, S, 3) of stamps that `get` gave."""
        between = self.common_limits(settings) if settings.shared else None
        return render_stamps(stamps, settings, between)

    def common_limits(self, settings: DisplaySettings) -> NDArray[np.float64]:
        """Lower and upper limit (2,) shared by all galaxies, from an even sample of them.

        Those of the reconstructions, which every galaxy has, for originals too.
        """
        sample = np.linspace(0, len(self.bundle) - 1, min(len(self.bundle), REFERENCE_STAMPS))
        stamps = self.get(sample.astype(np.int64))
        return np.asarray(limits(stamps, settings)[0])

    def start_filling(self) -> None:
        """Decode in the background what the pages show first.

        Then load the other models, so that no visitor waits for torch and their weights.
        """
        threading.Thread(target=self._fill, name="decoder-fill", daemon=True).start()

    def _fill(self) -> None:
        missing = self.first[self._file.done[:] == 0]
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
