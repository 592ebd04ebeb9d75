"""Original pictures of galaxies: from the survey on this machine, or from the SDSS by position.

A source gives stamps of catalogue rows, (n, S, S) or (n, S, S, 3) as `display.as_shown` has them,
stretched as the model sees them, NaN where it has none. The SDSS is asked only where a setting
turned it on, and its failures change nothing.
"""

from __future__ import annotations

import io
import logging
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from galaxy_explorer.explorer.pictures.display import (
    absent,
    as_shown,
    has_colour,
    without_colour,
)
from galaxy_explorer.utils.files import atomic_write_bytes

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.pictures.stamps import Originals
    from galaxy_explorer.survey.store import Survey

log = logging.getLogger(__name__)

SERVICE = "https://skyserver.sdss.org/dr18/SkyServerWS/ImgCutout/getjpeg"
DEFAULT_SCALE_ARCSEC = 0.8
"""Pixel scale asked for where none is known: 64 pixels are then 51 arcsec."""
MAX_BYTES = 1_000_000
"""A 64-pixel JPEG is about 3 kB; whatever is much larger is not one."""
MAX_KEPT = 20_000
"""Cutouts kept on disk, about 60 MB; the oldest half goes when there are more."""
WORKERS = 4
"""Requests at a time: a public service is not to be flooded."""
R_BAND = 1
"""The green channel of an SDSS colour picture is its r band."""


EXAMPLES = {"An elliptical": -5, "A lenticular": -2, "A spiral": 3, "A late spiral": 6}
"""Kinds of galaxy that a visitor may try, and their T."""
HELD_OUT = "test"


def example_rows(bundle: Bundle) -> dict[str, int]:
    """A galaxy of each kind that no model has learnt from: the first whose T is the nearest.

    Empty where the bundle knows no T of such galaxies.
    """
    ttype = np.where(bundle.column("split") == HELD_OUT, bundle.column("ttype"), np.nan)
    if np.isnan(ttype).all():
        return {}
    return {words: int(np.nanargmin(np.abs(ttype - wanted))) for words, wanted in EXAMPLES.items()}


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (S, S) or (S, S, 3) as a file, as somebody might bring it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def survey_originals(bundle: Bundle, survey: Survey) -> Originals:
    """Stamps of the galaxies of a bundle that are in a survey, matched by galaxy_id."""
    place = {galaxy: row for row, galaxy in enumerate(survey.column("galaxy_id"))}
    rows_there = np.array([place.get(galaxy, -1) for galaxy in bundle.column("galaxy_id")])
    side = int(survey.meta["stamp_size"])
    colour = has_colour(bundle.manifest.survey.channels)

    def originals(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        there = rows_there[rows]
        stamps = np.full((len(rows), side, side, *[3] * colour), np.nan, np.float32)
        unique, inverse = np.unique(there[there >= 0], return_inverse=True)
        if len(unique):
            seen = as_shown(survey.model_input(unique))
            if colour and seen.ndim == 3:  # another survey of these galaxies, in one band
                seen = seen[..., None]
            stamps[there >= 0] = (seen if colour else without_colour(seen))[inverse]
        return stamps

    return originals


@dataclass(eq=False)
class SdssCutouts:
    """Pictures from the SDSS image cutout service, kept on disk.

    ra, dec: degrees (N,), NaN where unknown. scales: arcsec a pixel of each stamp (N,).
    timeout: seconds for a whole page of pictures. usual_scale: of a position that is typed. colour:
    stamps (n, S, S, 3) of i, r and g; else (n, S, S) of r.
    """

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    scales: NDArray[np.float64]
    side: int
    folder: Path
    timeout: float
    usual_scale: float = DEFAULT_SCALE_ARCSEC
    colour: bool = False
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS, "sdss"))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = sorted(self.folder.glob("*.jpg"), key=lambda path: path.stat().st_mtime)
        for path in kept[: len(kept) // 2] if len(kept) > MAX_KEPT else ():
            path.unlink(missing_ok=True)

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Stamps of catalogue rows; NaN without a position, without an answer, or too late."""
        shape = (len(rows), self.side, self.side, *[3] * self.colour)
        stamps = np.full(shape, np.nan, np.float32)
        jobs = {
            self._pool.submit(self._stamp, self.address(int(row))): i
            for i, row in enumerate(rows)
            if np.isfinite(self.ra[row]) and np.isfinite(self.dec[row])
        }
        done, late = wait(jobs, timeout=self.timeout)
        for job in late:
            job.cancel()
        for job in done:
            if (stamp := job.result()) is not None:
                stamps[jobs[job]] = stamp
        return stamps

    def address(self, row: int) -> str:
        """Address of the picture of a catalogue row."""
        return self.address_at(*(float(one[row]) for one in (self.ra, self.dec, self.scales)))

    def picture_at(self, ra: float, dec: float) -> bytes:
        """The JPEG of a position (degrees, ICRS), not kept. Raises OSError, ValueError."""
        return self._download(self.address_at(ra, dec, self.usual_scale))

    def address_at(self, ra: float, dec: float, scale: float) -> str:
        """Address of the picture of a position (degrees, ICRS), at so many arcsec a pixel."""
        query = {
            "ra": f"{ra:.6f}",
            "dec": f"{dec:.6f}",
            "scale": f"{scale:g}",
            "width": str(self.side),
            "height": str(self.side),
        }
        return f"{SERVICE}?{urllib.parse.urlencode(query)}"

    def _stamp(self, address: str) -> NDArray[np.float32] | None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
        name = "_".join(query[key][0] for key in ("ra", "dec", "scale", "width"))
        path = self.folder / f"{name}.jpg"
        try:
            if path.exists():
                return read_picture(path.read_bytes(), self.side, colour=self.colour)
            data = self._download(address)
            stamp = read_picture(data, self.side, colour=self.colour)
            atomic_write_bytes(path, data)
        except (OSError, ValueError) as error:
            log.info("%s: %s", address, error)
            return None
        return stamp

    def _download(self, address: str) -> bytes:
        with urllib.request.urlopen(address, timeout=self.timeout) as reply:  # noqa: S310 (https)
            data: bytes = reply.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        return data


def read_picture(data: bytes, side: int, *, colour: bool = False) -> NDArray[np.float32]:
    """The r band of an SDSS colour JPEG as a stamp (side, side), 0..1; colour: all (side, side, 3).

    Raises ValueError for anything that is not a picture of that size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            if picture.size != (side, side):
                raise ValueError(f"{picture.size} pixels where {side} x {side} were asked for")
            pixels = np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError as error:
        raise ValueError("not a JPEG picture") from error
    return ((pixels if colour else pixels[..., R_BAND]) / 255).astype(np.float32)


def first_of(sources: list[Originals]) -> Originals | None:
    """One source that asks each in turn for what the ones before did not have; None of none."""
    if not sources:
        return None

    def originals(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        stamps = sources[0](rows)
        for source in sources[1:]:
            missing = absent(stamps)
            if missing.any():
                stamps[missing] = source(rows[missing])
        return stamps

    return originals
