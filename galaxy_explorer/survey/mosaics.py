"""FITS mosaics with WCS, cut at the catalogue's positions without being loaded."""

from __future__ import annotations

import bz2
import gzip
import math
import mmap
import shutil
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    HduSpan,
    hdu_spans,
    physical,
)
from galaxy_explorer.survey.images import Image, band_names, band_of, image_of, turn_of, unit_of
from galaxy_explorer.survey.limits import MAX_PIXELS, MAX_PLANES
from galaxy_explorer.survey.scales import UNUSABLE_WCS, PixelScale, sky_wcs, stated_scale

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


class MosaicSource:
    """A FITS mosaic with WCS, cut at the catalogue's RA and Dec without being loaded.

    A file of several chips is cut where one of them holds the galaxy.
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
        from astropy.io import fits

        if path.stat().st_size == 0:
            raise BadImage(str(path), "empty file")
        self._name = path.name
        plain, words = _unpacked_mosaic(path, staging)
        with (
            plain.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            spans = list(hdu_spans(mapped, str(path)))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._file = fits.open(plain, memmap=False, do_not_scale_image_data=True)
                self._chips = _chips(self._file, spans, str(path), hdu)
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise BadImage(str(path), f"cannot be read as a mosaic ({error})") from error
        first = self._chips[0]
        self.pixel_scale = first.scale.arcsec
        self.side = max(1, round(side_arcsec / self.pixel_scale)) if side_arcsec else side_px
        if self.side**2 > MAX_PIXELS:
            raise SurveyError(f"{path}: stamps of {self.side} px a side; at most {MAX_PIXELS} px")
        names = ", ".join(chip.words for chip in self._chips)
        scale = f"{self._name}: {names}, {self.pixel_scale:.4g} arcsec/px by its WCS"
        self._notes = [*words, scale, *first.scale.notes]
        chips = f"{len(self._chips)} chips" if len(self._chips) > 1 else "one image"
        self.kind = f"mosaic of {chips}, cut at RA and Dec"

    def file_of(self, row: CatalogRow) -> str:
        """The mosaic and the position in it."""
        return f"{self._name} at {row.ra:.6f} {row.dec:+.6f} deg"

    def locate(self, row: CatalogRow) -> str:
        """As `file_of`. Raises BadImage where the row has no position."""
        if not np.isfinite(row.ra) or not abs(row.dec) <= 90.0:
            raise BadImage(self.file_of(row), "the catalogue gives no position")
        return self.file_of(row)

    def fetch(self, row: CatalogRow) -> Image:
        """Cut a square around the row's position; it must lie within the mosaic as a whole."""
        from astropy.coordinates import SkyCoord

        name = self.locate(row)
        where = SkyCoord(row.ra, row.dec, unit="deg")
        found, reasons = [], []
        for chip in self._chips:
            try:
                found.append((chip, *chip.corner(where, self.side)))
            except BadImage as error:
                reasons.append(error.reason)
        if not found:
            raise BadImage(name, f"not wholly within the mosaic: {min(reasons, key=len)}")
        if len(found) > 1:
            names = " and ".join(chip.words for chip, _, _ in found)
            raise BadImage(name, f"{names} both hold this position; choose one by --hdu")
        chip, left, top = found[0]
        try:
            planes = chip.cut(left, top, self.side)
        except (OSError, ValueError, TypeError, RuntimeError, zlib.error) as error:
            raise BadImage(name, f"{chip.words} cannot be read there ({error})") from error
        image = image_of(planes, name, linear=True, words=f"{self._name} {chip.words}")
        return replace(image, pixel_scale_arcsec=self.pixel_scale, scale_by="WCS", **chip.facts)

    def unused(self, rows: Iterable[CatalogRow]) -> int:  # noqa: ARG002
        """A mosaic holds no stamps of its own."""
        return 0

    def notes(self) -> list[str]:
        """What was taken: HDUs and their scale."""
        return self._notes


@dataclass(frozen=True)
class MosaicChip:
    """An image of a mosaic, with its place on the sky; pixels are read by section and unscaled."""

    hdu: Any
    wcs: Any
    scale: PixelScale
    words: str
    facts: dict[str, Any]

    def corner(self, where: Any, side: int) -> tuple[int, int]:
        """First column and row of the square about a position; raises BadImage outside."""
        from astropy.wcs.wcs import NoConvergence

        height, width = self.hdu.shape[-2:]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                # astropy's skycoord_to_pixel is wrong where the declination is the first axis.
                x, y = (float(v) for v in self.wcs.world_to_pixel(where))
                back = self.wcs.pixel_to_world(x, y).separation(where).arcsec
        except (NoConvergence, ValueError, ArithmeticError):
            back = math.nan
        if not back < self.scale.arcsec:  # a projection shows the far side of the sky as well
            raise BadImage(self.words, "the position is far outside")
        left, top = (math.ceil(v - side / 2) for v in (x, y))
        if left < 0 or top < 0 or left + side > width or top + side > height:
            inside = 0 <= x < width and 0 <= y < height
            words = f"pixel {x:.0f}, {y:.0f} of {width} x {height} is "
            words += f"too near to its edge for {side} px" if inside else "outside"
            raise BadImage(self.words, words)
        return left, top

    def cut(self, left: int, top: int, side: int) -> NDArray[np.float64]:
        """Planes (C, side, side) in the header's unit, NaN where BLANK."""
        raw = self.hdu.section[..., top : top + side, left : left + side].reshape(-1, side, side)
        return np.asarray(physical(raw, self.hdu.header, self.hdu.header["BITPIX"])[0])


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
