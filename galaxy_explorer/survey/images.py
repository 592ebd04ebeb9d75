"""One picture from a file or bytes: FITS, PNG or JPEG; also a PSF of the user's own.

Both are read as guardedly; refusals are BadImage and nothing else.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import struct
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.fits_images import read_fits
from galaxy_explorer.survey.limits import (
    MAX_BAD_SHARE,
    MAX_FILE_BYTES,
    MAX_FLUX,
    MAX_PIXELS,
    MAX_PLANES,
    MAX_SIDE_PX,
)
from galaxy_explorer.survey.photometry import sky_level

SUFFIXES = (".fits", ".fit", ".fts", ".png", ".jpg", ".jpeg")
COMPRESSED = (".gz", ".bz2")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
JPEG_MAGIC = b"\xff\xd8\xff"
SCALE_KEYWORDS = ("PIXSCALE", "PIXSCAL1", "PIXELSCL", "SECPIX", "D001SCAL")
BAND_KEYWORDS = ("FILTER", "BAND", "FILTNAM1", "FILTER1")


@dataclass(frozen=True)
class Image:
    """A picture: `data` (C, H, W) float32, finite; what its header told, None where silent.

    `linear` is False for 8- and 16-bit pictures, taken as arcsinh-stretched and scaled to [0, 1].
    """

    data: NDArray[np.float32]
    linear: bool
    pixel_scale_arcsec: float | None = None
    band: str | None = None


def read_image(
    source: str | Path | bytes, *, name: str | None = None, hdu: int | None = None
) -> Image:
    """Read FITS (also .gz, .bz2), PNG or JPEG, told apart by content, not by name.

    FITS is linear flux in float32: `hdu` or the first image of two axes. PNG and JPEG are divided
    by 255 (65535 for 16 bits). Isolated NaN pixels become the sky.

    Raises BadImage, and nothing else, for whatever cannot be used.
    """
    name = name or (str(source) if not isinstance(source, bytes) else "image")
    data = _bytes(source, name)
    if data.startswith((GZIP_MAGIC, BZIP2_MAGIC)):
        opener = gzip if data.startswith(GZIP_MAGIC) else bz2
        try:
            with opener.open(io.BytesIO(data)) as stream:
                unpacked = stream.read(MAX_FILE_BYTES + 1)  # a bomb is not unpacked past the limit
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise BadImage(name, f"damaged compressed file ({error})") from error
        data = _bytes(unpacked, name)
    if data.startswith((PNG_MAGIC, JPEG_MAGIC)):
        return Image(finite(_read_picture(data, name), name), linear=False)
    if not data.startswith(b"SIMPLE"):
        raise BadImage(name, "neither FITS, PNG nor JPEG by its first bytes")
    planes, header = read_fits(data, name, hdu)
    names = (header.get(key) for key in BAND_KEYWORDS)
    band = next((v.strip()[:32] for v in names if isinstance(v, str) and v.strip()), None)
    return Image(finite(planes, name), True, pixel_scale(header), band)  # noqa: FBT003


def _bytes(source: str | Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            with Path(source).open("rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise BadImage(name, f"cannot be opened ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(name, f"more than {MAX_FILE_BYTES} bytes; cut stamps from it first")
    if not data:
        raise BadImage(name, "empty file")
    return data


def _read_picture(data: bytes, name: str) -> NDArray[np.float64]:
    from PIL import Image as Pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pictures.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS or max(picture.size) > MAX_SIDE_PX:
                    raise BadImage(name, f"{width} x {height} pixels; at most {MAX_PIXELS}")
                if picture.mode in {"I;16", "I;16B", "I"}:
                    return np.asarray(picture, dtype=np.float64)[None] / 65535.0
                mode = "L" if picture.mode in {"L", "LA", "1"} else "RGB"
                pixels = np.asarray(picture.convert(mode), dtype=np.float64) / 255.0
                return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    except Pictures.DecompressionBombError as error:
        raise BadImage(name, f"more than {MAX_PIXELS} pixels ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        raise BadImage(name, f"damaged picture ({error})") from error
    except (struct.error, zlib.error, ArithmeticError, AttributeError, KeyError) as error:
        raise BadImage(name, f"damaged picture ({error})") from error


def finite(planes: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Planes (C, H, W) in float32 with isolated unusable pixels replaced by the plane's sky.

    Raises BadImage for another shape, no pixels, too many NaN pixels or a constant picture.
    """
    if planes.ndim != 3 or 0 in planes.shape or planes.shape[0] > MAX_PLANES:
        raise BadImage(name, f"shape {planes.shape} is no picture")
    if planes.dtype.kind not in "buif":
        raise BadImage(name, f"pixels of type {planes.dtype}, not numbers")
    pixels = planes.astype(np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(pixels) < MAX_FLUX)
    share = float(bad.mean())
    if share > MAX_BAD_SHARE:
        raise BadImage(name, f"{100 * share:.0f} % of the pixels are NaN, infinite or over 1e30")
    if bad.any():
        pixels[bad] = np.nan
        for plane, hole in zip(pixels, bad, strict=True):
            plane[hole] = sky_level(plane)[0]
    result = pixels.astype(np.float32)
    if result.min() == result.max():
        raise BadImage(name, "every pixel has the same value")
    return result


def pixel_scale(header: Mapping[str, Any]) -> float | None:
    """Pixel scale in arcsec from a header: the CD matrix, CDELT, or a keyword that states it."""
    cd = [_number(header.get(key)) for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2")]
    if cd[0] is not None or cd[1] is not None:
        a, b, c, d = (value or 0.0 for value in cd)
        scale = 3600.0 * math.sqrt(abs(a * d - b * c))
    elif (step := _number(header.get("CDELT2"))) is not None and "CTYPE2" in header:
        scale = 3600.0 * abs(step)
    else:
        stated = (_number(header.get(key)) for key in SCALE_KEYWORDS)
        scale = next((abs(value) for value in stated if value), 0.0)
    return scale if 1e-4 < scale < 1e3 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value)
    return number if abs(number) < MAX_FLUX else None


Array = NDArray[np.float32]


def read_psf(
    source: Path | bytes, hdu: int | None = None, *, name: str | None = None
) -> tuple[Array, float | None]:
    """A PSF as a square of odd size around its peak, of unit sum, and its pixel scale (arcsec).

    Negative pixels, which stacks of stars have, become zero. The scale is None where the header
    is silent. Raises BadImage.
    """
    image = read_image(source, name=name, hdu=hdu)
    psf = np.maximum(image.data[0], 0)
    y, x = (int(i) for i in np.unravel_index(psf.argmax(), psf.shape))
    half = min(y, x, psf.shape[0] - 1 - y, psf.shape[1] - 1 - x)
    square = psf[y - half : y + half + 1, x - half : x + half + 1]
    if half < 2 or not square.sum() > 0:
        where = name or (str(source) if isinstance(source, Path) else "PSF")
        raise BadImage(where, "no PSF: the peak must be at least two pixels from the edge")
    return np.asarray(square / square.sum(), np.float32), image.pixel_scale_arcsec
