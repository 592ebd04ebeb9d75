"""FITS mosaics with WCS, cut at the catalogue's positions without being loaded."""

from __future__ import annotations

import bz2
import gzip
import math
import mmap
import shutil
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.fits_images import (
    BZIP2_MAGIC,
    GZIP_MAGIC,
    NEVER_RANK,
    STORED_BY,
    HduSpan,
    hdu_spans,
    physical,
)
from galaxy_explorer.survey.images import Image, band_names, band_of, image_of, unit_of
from galaxy_explorer.survey.limits import MAX_PIXELS, MAX_PLANES
from galaxy_explorer.survey.readers import BlockReader, FileState, Wanted, file_state
from galaxy_explorer.survey.scales import (
    UNUSABLE_WCS,
    PixelScale,
    same_scale,
    sky_wcs,
    stated_scale,
    turn_of,
)

FITS_SUFFIXES = (".fits", ".fit", ".fts")
MOSAIC_SUFFIXES = tuple(
    suffix + packed for suffix in FITS_SUFFIXES for packed in ("", ".gz", ".bz2", ".fz")
)
COPY_BYTES = 1 << 20
NO_IMAGE = "no HDU holds an image of two axes"
SPARE_BYTES = 64 << 20  # of the disk, left free when a mosaic is unpacked


def is_mosaic(path: Path) -> bool:
    """Whether a path is a FITS file, by its name, packed or not."""
    return path.is_file() and path.name.lower().endswith(MOSAIC_SUFFIXES)


@dataclass(frozen=True)
class MosaicReader(BlockReader):
    """Squares about positions (RA and Dec in degrees), of the chip that holds each as a whole.

    file: unpacked; name: as messages call it. side: in pixels.
    """

    file: FileState
    name: str
    hdu: int | None
    side: int

    @cached_property
    def called(self) -> str:
        """The name of its file, without folders."""
        return Path(self.name).name

    @property
    def chips(self) -> list[MosaicChip]:
        """Its images, opened once a process."""
        return _opened_mosaic(self.file, self.name, self.hdu)

    def images(self, wanted: Sequence[Wanted]) -> Iterator[Image | BadImage]:
        """The places of all of them are worked out at once."""
        from astropy.coordinates import SkyCoord

        chips = self.chips
        ra, dec = (np.array([one.place[axis] for one in wanted]) for axis in (0, 1))
        where = SkyCoord(ra, dec, unit="deg")
        corners = [chip.corners(where, self.side) for chip in chips]
        # Mapped for this block alone, so that pages of a large mosaic do not stay in memory.
        pixels = {chip: chip.pixels(self.file.path) for chip in chips}
        for one, *places in zip(wanted, *corners, strict=True):
            try:
                yield self._cut(one.name, dict(zip(chips, places, strict=True)), pixels)
            except BadImage as error:
                yield error

    def _cut(
        self,
        name: str,
        places: Mapping[MosaicChip, tuple[int, int] | str],
        pixels: Mapping[MosaicChip, Any],
    ) -> Image:
        """The square of the one chip that holds it; raises BadImage where none or several do."""
        found = [(chip, place) for chip, place in places.items() if not isinstance(place, str)]
        if not found:
            reasons = [place for place in places.values() if isinstance(place, str)]
            raise BadImage(name, f"not wholly within the mosaic: {min(reasons, key=len)}")
        if len(found) > 1:
            names = " and ".join(chip.words for chip, _ in found)
            raise BadImage(name, f"{names} both hold this position; choose one by --hdu")
        chip, (left, top) = found[0]
        try:
            planes = chip.cut(pixels[chip], left, top, self.side)
        except (OSError, ValueError, TypeError, RuntimeError, zlib.error) as error:
            raise BadImage(name, f"{chip.words} cannot be read there ({error})") from error
        image = image_of(planes, name, linear=True, words=f"{self.called} {chip.words}")
        scale = next(iter(places)).scale.arcsec
        return replace(image, pixel_scale_arcsec=scale, scale_by="WCS", **chip.facts)


@lru_cache(maxsize=4)
def _opened_mosaic(file: FileState, name: str, hdu: int | None) -> list[MosaicChip]:
    """The chips of a mosaic, opened once a process. Raises BadImage where there are none."""
    from astropy.io import fits

    with (
        file.path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        spans = list(hdu_spans(mapped, name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = fits.open(file.path, memmap=False, do_not_scale_image_data=True)
            return _chips(opened, spans, name, hdu)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise BadImage(name, f"cannot be read as a mosaic ({error})") from error


class MosaicSource:
    """A FITS mosaic with WCS, cut at the catalogue's RA and Dec without being loaded.

    A file of several chips is cut where one of them holds the galaxy.

    Raises SurveyError for chips whose pixel scales differ, BadImage where none is on the sky.
    """

    def __init__(
        self,
        path: Path,
        *,
        side_arcsec: float | None,
        side_px: int,
        staging: Path | None = None,
        hdu: int | None = None,
    ) -> None:
        if path.stat().st_size == 0:
            raise BadImage(str(path), "empty file")
        self._name = path.name
        plain, words = _unpacked_mosaic(path, staging)
        file = file_state(plain)
        chips = _opened_mosaic(file, str(path), hdu)
        first = chips[0]
        self.pixel_scale = first.scale.arcsec
        for chip in chips:
            if not same_scale(chip.scale.arcsec, self.pixel_scale):
                scales = " and ".join(
                    f"{one.scale.arcsec:.4g} ({one.words})" for one in (first, chip)
                )
                raise SurveyError(f"{path}: chips of {scales} arcsec/px; choose one by --hdu")
        self.side = max(1, round(side_arcsec / self.pixel_scale)) if side_arcsec else side_px
        if self.side**2 > MAX_PIXELS:
            raise SurveyError(f"{path}: stamps of {self.side} px a side; at most {MAX_PIXELS} px")
        self.reader = MosaicReader(file, str(path), hdu, self.side)
        names = ", ".join(chip.words for chip in chips)
        scale = f"{self._name}: {names}, {self.pixel_scale:.4g} arcsec/px by its WCS"
        self._notes = [*words, scale, *first.scale.notes]
        number = f"{len(chips)} chips" if len(chips) > 1 else "one image"
        self.kind = f"mosaic of {number}, cut at RA and Dec"

    def file_of(self, row: CatalogRow) -> str:
        """The mosaic and the position in it."""
        return f"{self._name} at {row.ra:.6f} {row.dec:+.6f} deg"

    def locate(self, row: CatalogRow) -> tuple[float, float]:
        """RA and Dec in degrees. Raises BadImage where the row has no position."""
        if not np.isfinite(row.ra) or not abs(row.dec) <= 90.0:
            raise BadImage(self.file_of(row), "the catalogue gives no position")
        return row.ra, row.dec

    def fetch(self, row: CatalogRow) -> Image:
        """Cut a square around the row's position; it must lie within the mosaic as a whole."""
        return self.reader.read(self.locate(row), self.file_of(row))

    def unused(self, rows: Iterable[CatalogRow]) -> int:  # noqa: ARG002
        """A mosaic holds no stamps of its own."""
        return 0

    def notes(self) -> list[str]:
        """What was taken: HDUs and their scale."""
        return self._notes


NEAR_PX = 1e-3
"""So near to the next pixel a position is worked out by itself: iterations end together."""


@dataclass(frozen=True, eq=False)
class MosaicChip:
    """An image of a mosaic, with its place on the sky; pixels are read by section and unscaled."""

    hdu: Any
    wcs: Any
    scale: PixelScale
    words: str
    facts: dict[str, Any]

    def corners(self, where: Any, side: int) -> list[tuple[int, int] | str]:
        """First column and row of the square about each position (n,); where outside, the reason.

        As they are worked out one by one.
        """
        x, y, back = self._pixels(where)
        parts = np.abs(np.stack([x, y]) - side / 2 - np.rint(np.stack([x, y]) - side / 2))
        alone = ~(parts > NEAR_PX).all(0) if len(x) > 1 else np.zeros(1, bool)
        for one in np.flatnonzero(alone):
            x[one], y[one], back[one] = (float(v[0]) for v in self._pixels(where[one : one + 1]))
        values = zip(x.tolist(), y.tolist(), back.tolist(), strict=True)
        return [self._corner(*value, side) for value in values]

    def _pixels(self, where: Any) -> tuple[Any, Any, Any]:
        """Columns, rows, and how far they lead astray from the positions in arcsec, (n,) each."""
        from astropy.wcs.wcs import NoConvergence

        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                # astropy's skycoord_to_pixel is wrong where the declination is the first axis.
                x, y = (np.array(v, np.float64) for v in self.wcs.world_to_pixel(where))
                return x, y, np.array(self.wcs.pixel_to_world(x, y).separation(where).arcsec)
        except (NoConvergence, ValueError, ArithmeticError):
            # One that fails stops all.
            return (*np.full((2, len(where)), np.nan), np.full(len(where), np.nan))

    def _corner(self, x: float, y: float, back: float, side: int) -> tuple[int, int] | str:
        height, width = self.hdu.shape[-2:]
        if not back < self.scale.arcsec:  # a projection shows the far side of the sky as well
            return "the position is far outside"
        left, top = (math.ceil(v - side / 2) for v in (x, y))
        if left < 0 or top < 0 or left + side > width or top + side > height:
            inside = 0 <= x < width and 0 <= y < height
            words = f"pixel {x:.0f}, {y:.0f} of {width} x {height} is "
            return words + (f"too near to its edge for {side} px" if inside else "outside")
        return left, top

    def pixels(self, path: Path) -> Any:
        """What the file stores of all planes, to be cut: mapped, of packed ones by their tiles.

        `section` of a plain image reads row by row, ten times slower.
        """
        from astropy.io import fits

        if isinstance(self.hdu, fits.CompImageHDU):
            return self.hdu.section
        kind = fits.BITPIX2DTYPE[self.hdu.header["BITPIX"]]
        place, shape = self.hdu.fileinfo()["datLoc"], self.hdu.shape
        try:
            return np.memmap(path, np.dtype(kind).newbyteorder(">"), "r", place, shape)
        except (OSError, ValueError):
            return self.hdu.section

    @cached_property
    def scaling(self) -> dict[str, Any]:
        """What its header says of how pixels are stored, for a header is slow to ask."""
        return {name: self.hdu.header[name] for name in STORED_BY if name in self.hdu.header}

    def cut(self, pixels: Any, left: int, top: int, side: int) -> NDArray[np.float64]:
        """Planes (C, side, side) of `pixels` in the header's unit, NaN where BLANK."""
        part = np.array(pixels[..., top : top + side, left : left + side])
        raw = part.reshape(-1, side, side)
        return np.asarray(physical(raw, self.scaling, self.scaling["BITPIX"])[0])


def _chips(file: Any, spans: list[HduSpan], name: str, hdu: int | None) -> list[MosaicChip]:
    """Images of a mosaic that are on the sky: of those the likeliest by name and kind."""
    images = [span for span in spans if span.is_image and len(span.planes) in {2, 3}]
    if hdu is not None:
        images = [span for span in images if span.number == hdu]
    found, reasons = [], []
    for span in images:
        one = file[span.number]
        if math.prod(span.planes[:-2]) > MAX_PLANES:
            continue
        version = f",{one.ver}" if one.ver > 1 else ""
        try:
            wcs, scale = sky_wcs(one.header, file), stated_scale(one.header)
        except UNUSABLE_WCS as error:
            reasons.append(f"{span.words} has no celestial WCS ({error}); give a folder of stamps")
            continue
        if scale is None or scale.said_by != "WCS":
            reasons.append(f"{span.words} has no celestial WCS with a scale; give --hdu or stamps")
            continue
        chip = MosaicChip(
            one, wcs, scale, span.words + version, _facts(one.header, file[0].header, name)
        )
        found.append((span.rank, chip))
    best = min((rank for rank, _ in found), default=NEVER_RANK)
    if best == NEVER_RANK and hdu is None and found:
        listed = ", ".join(chip.words for _, chip in found)
        raise BadImage(name, f"only masks, weights or errors ({listed}); choose by --hdu")
    if not found:
        raise BadImage(name, "; ".join(reasons[:3]) or NO_IMAGE)
    return [chip for rank, chip in found if rank == best]


def _facts(header: Any, primary: Any, name: str) -> dict[str, Any]:
    """What an Image keeps of a chip's header, of the primary's where that is silent."""
    return {
        "band": band_of(header) or band_of(primary),
        "bands": band_names(header, header.get("NAXIS3", 1)),
        "unit": unit_of(header, name),
        "header": header,
        "turn": turn_of(header),
    }


def _unpacked_mosaic(path: Path, staging: Path | None) -> tuple[Path, tuple[str, ...]]:
    """A mosaic without gzip or bzip2, in the staging folder; .fz is read as it is.

    Raises SurveyError where the disk does not hold it, BadImage for a damaged file.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    opener: Any = gzip.open if start.startswith(GZIP_MAGIC) else bz2.open
    if not start.startswith((GZIP_MAGIC, BZIP2_MAGIC)):
        return path, ()
    if staging is None:
        raise BadImage(str(path), "unpack it first: gunzip or bunzip2")
    plain, size = staging / "mosaic.fits", 0
    try:
        with opener(path) as packed, plain.open("wb") as out:
            while block := packed.read(COPY_BYTES):
                size += len(block)
                if shutil.disk_usage(staging).free < len(block) + SPARE_BYTES:
                    raise SurveyError(f"{path}: no room on the disk to unpack it ({size} bytes)")
                out.write(block)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadImage(str(path), f"damaged compressed file ({error})") from error
    return plain, (f"{path.name} was unpacked to cut from it ({size} bytes)",)
