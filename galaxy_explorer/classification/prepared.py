"""An image as the models of a bundle see it: read, framed, resampled, stretched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.classification.records import Classification
from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.images import Image, read_image, same_band
from galaxy_explorer.survey.photometry import bands_of
from galaxy_explorer.survey.preprocessing import ArcsinhStretch, Frame
from galaxy_explorer.survey.scales import AS_STORED, same_scale
from galaxy_explorer.survey.stamps import IngestOptions, make_stamp


@dataclass(frozen=True)
class Prepared:
    """An image as the models of a bundle see it.

    stamp: (C, S, S) float32, stretched. flux: the same before the stretch, None where the image
    came stretched. image: (C, H, W) as read, row 0 on top. side: pixels of its central square that
    were taken. taken: HDU, planes and unit in words.
    """

    stamp: np.ndarray
    flux: np.ndarray | None
    image: np.ndarray
    side: int
    taken: str = ""

    def described(self, found: Classification) -> Classification:
        """What was found of its stamp, with what was taken and which frame to try instead."""
        words = found.out_of_distribution
        if found.other_scale:
            pixels = round(self.side * found.frame_filled)
            fits = 8 <= pixels <= min(self.image.shape[1:])
            hint = (
                f"take its central {pixels} pixels (--frame {pixels})"
                if fits
                else "a wider picture is needed"
            )
            words = f"{words}; {hint}"
        return replace(found, taken=self.taken, out_of_distribution=words)


def prepare_image(
    bundle: Bundle,
    source: str | Path | bytes,
    *,
    name: str = "",
    frame: str = "auto",
    hdu: int | None = None,
    band: str | None = None,
) -> Prepared:
    """Read, frame, resample and, where linear, stretch an image as the bundle's own survey was.

    frame, hdu and band: as in `classify_images`. Raises BadImage for what cannot be used,
    SettingError for another frame.
    """
    check_frame(frame)
    name = name or (str(source) if not isinstance(source, bytes) else "image")
    image = read_image(source, name=name, hdu=hdu)
    return prepare_picture(bundle, image, name=name, frame=frame, band=band)


def prepare_picture(
    bundle: Bundle, image: Image, *, name: str, frame: str = "auto", band: str | None = None
) -> Prepared:
    """The same of an image that has been read."""
    survey = bundle.manifest.survey
    pixels = float(frame) if frame.isdecimal() else None
    height, width = image.data.shape[1:]
    if pixels and pixels > min(height, width):
        raise BadImage(name, f"{width} x {height} px is less than --frame {pixels:.0f}")
    chosen: Frame = "whole"
    if frame == "auto":
        chosen = "measured" if survey.frame == "measured" else "auto" if image.linear else "whole"
    if not survey.orientation and survey.stretch.get("state") == "linear":
        image = replace(image, turn=AS_STORED)  # as the bundle's own FITS were
    size = survey.stamp_size
    row = CatalogRow(0, name, name, math.nan, math.nan, math.nan)
    # With a scale of 1 arcsec a pixel the cut is counted in pixels.
    try:
        planes = band or _bundle_band(image, survey.band or "", survey.channels)
        options = IngestOptions(size=size, band=planes, frame=chosen)
        made = make_stamp(replace(image, pixel_scale_arcsec=1.0), row, options, cut=pixels)
    except BadImage as error:
        raise BadImage(name, error.reason) from error
    if len(made.pixels) != survey.channels:
        raise BadImage(name, _channel_words(len(made.pixels), survey.channels, survey.band or "?"))
    shown, side = image.turned().data, round(made.scale * size)
    taken = made.taken + _scale_words(image.pixel_scale_arcsec, survey.pixel_scale_arcsec)
    if made.state == "arcsinh":
        return Prepared(made.pixels, None, shown, side, taken)
    stored = survey.stretch
    stretch = ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
    stamp = np.asarray(stretch.apply(made.pixels, made.skies, made.sigmas), np.float32)
    return Prepared(stamp, made.pixels, shown, side, taken)


def _channel_words(found: int, expected: int, bands: str) -> str:
    """Why a picture with another number of bands than those of the bundle's survey is no use."""
    have, need = (f"{n} band{'s' * (n != 1)}" for n in (found, expected))
    return (
        f"has {have}, the galaxies of this bundle have {need} ({bands}): give a picture in them, or"
        f" take a bundle of {have}"
    )


def _scale_words(stated: float | None, known: float | None) -> str:
    """What to say of an image at another pixel scale than the stamps of the bundle's survey."""
    if stated is None or known is None or same_scale(stated, known):
        return ""
    return f"; {stated:.4g} arcsec/px, the stamps of the bundle {known:.4g}"


def _bundle_band(image: Image, band: str, channels: int) -> str:
    """Planes that the bundle's survey has, by name where the header names planes, else as of JPEG.

    Raises BadImage where the names of a cube are not those of the bundle.
    """
    wanted = bands_of(band)
    if len(image.data) == 1 < channels:
        raise BadImage("", _channel_words(1, channels, band or "?"))
    if len(image.data) == 1 or not image.bands:
        return "rgb" if channels == 3 else "g"
    if len(wanted) == channels and all(any(same_band(w, b) for b in image.bands) for w in wanted):
        return ",".join(wanted)
    if channels == 3 == len(image.data):
        return "rgb"
    have = ", ".join(image.bands)
    raise BadImage("", f"has the planes {have}, not the bundle's {band or '?'}; choose by --band")


def check_frame(frame: str) -> None:
    """Raise SettingError for a frame that is not "auto", "whole" or a number of pixels from 8."""
    if frame not in {"auto", "whole"} and not (frame.isdecimal() and int(frame) >= 8):
        raise SettingError(f"--frame {frame}: auto, whole or a number of pixels from 8")
