"""Cutting and resampling: which part of a picture becomes the stamp, and on which pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.sky import sky_level

Frame = Literal["whole", "centre", "auto"]
Floats = NDArray[np.float64]

FRAME_MARGIN = 1.25  # the NGC/IC training pictures span 1.25 x D25
ISOPHOTE_SIGMAS = 1.3  # about 25 mag/arcsec^2 in B for SDSS imaging
SMOOTHING_PX = 1.5
SMALLEST_HALF_PX = 8
CENTRE_TOLERANCE = 0.1


def fit_stamp(
    image: NDArray[np.float32], size: int, *, frame: Frame = "whole", linear: bool
) -> NDArray[np.float32]:
    """A picture (H, W) or (C, H, W) as a stamp of `size` x `size` pixels.

    "whole" resamples the largest central square, "centre" cuts the central `size` pixels without
    resampling, "auto" resamples the central square that `auto_frame` finds. For `linear` data
    resampling keeps the summed flux; for stretched pictures it keeps the mean.

    Raises BadImage where the picture is smaller than a centre cut needs.
    """
    side = frame_side(image, size, frame=frame)
    return resample(central_square(image, side), size, linear=linear)


def frame_side(image: NDArray[np.float32], size: int, *, frame: Frame) -> int:
    """Side in pixels of the central square that becomes the stamp (see `fit_stamp`).

    Raises BadImage where the picture is smaller than a centre cut needs.
    """
    height, width = image.shape[-2:]
    if frame == "whole":
        return int(min(height, width))
    if frame == "auto":
        sky, sigma = sky_level(image)
        plane = image if image.ndim == 2 else image.mean(axis=0)
        return 2 * auto_frame(plane, sky, sigma)
    if min(height, width) < size:
        reason = f'{width} x {height} px is less than a centre cut of {size}; use frame "whole"'
        raise BadImage("stamp", reason)
    return size


def central_square(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The central `side` x `side` pixels of (..., H, W); the odd pixel is cut from the end."""
    height, width = image.shape[-2:]
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def resample(image: NDArray[np.float32], size: int, *, linear: bool) -> NDArray[np.float32]:
    """Square images (..., S, S) on `size` x `size` pixels, worked in float64.

    Shrinking weighs each input pixel by the area it shares with the output pixel; whole factors
    are exact block means. Enlarging is a cubic spline, then shifted to keep the mean. `linear`
    multiplies by the ratio of pixel areas, which keeps the sum.
    """
    pixels = image.astype(np.float64)
    side = pixels.shape[-1]
    if side == size:
        return image.astype(np.float32)
    if side % size == 0:
        factor = side // size
        blocks = pixels.reshape(*pixels.shape[:-2], size, factor, size, factor)
        out = blocks.mean(axis=(-3, -1))
    elif side > size:
        weights = _area_weights(side, size)
        out = weights @ pixels @ weights.T
    else:
        out = _enlarge(pixels, size)
    flux = out * (side / size) ** 2 if linear else out
    return np.asarray(flux, dtype=np.float32)


@lru_cache(maxsize=64)
def _area_weights(side: int, size: int) -> Floats:
    """(size, side) matrix: share of each output pixel that each input pixel covers."""
    edges = np.arange(size + 1) * (side / size)
    pixel = np.arange(side)
    low = np.maximum(edges[:-1, None], pixel[None, :])
    high = np.minimum(edges[1:, None], pixel[None, :] + 1)
    overlap = np.maximum(high - low, 0.0)
    return np.asarray(overlap * (size / side), dtype=np.float64)


def _enlarge(pixels: Floats, size: int) -> Floats:
    zoom = (1.0,) * (pixels.ndim - 2) + (size / pixels.shape[-1],) * 2
    out = ndimage.zoom(pixels, zoom, order=3, mode="nearest", grid_mode=True)
    shift = pixels.mean(axis=(-2, -1)) - out.mean(axis=(-2, -1))
    return np.asarray(out + shift[..., None, None], dtype=np.float64)


def auto_frame(image: NDArray[np.float32], sky: float, sigma: float) -> int:
    """Half the side in pixels of the central square that frames the central galaxy (H, W).

    The picture is smoothed (1.5 px), the object at the centre is what stays connected above
    sky + 1.3 sigma, near the 25 mag/arcsec^2 isophote of the catalogues in SDSS imaging. Its
    semi-major axis from second moments, times 1.25, is the half-size: the frame of the NGC/IC
    training pictures. Without an object at the centre the whole picture is the frame.
    """
    height, width = image.shape
    largest: int = min(height, width) // 2
    smooth = ndimage.gaussian_filter(image.astype(np.float64), SMOOTHING_PX, mode="nearest")
    labels, _ = ndimage.label(smooth > sky + ISOPHOTE_SIGMAS * sigma)
    label = _central_label(labels, smooth)
    if label == 0:
        return largest
    y, x = np.nonzero(labels == label)
    covariance = np.cov(np.stack([y, x])) if y.size > 2 else np.zeros((2, 2))
    semi_major = 2.0 * np.sqrt(np.linalg.eigvalsh(covariance)[-1])
    half = max(int(np.ceil(FRAME_MARGIN * float(semi_major))), SMALLEST_HALF_PX)
    return min(half, largest)


def _central_label(labels: NDArray[np.integer[Any]], smooth: Floats) -> int:
    """Label of the brightest pixel within a tenth of the side of the centre; 0 for sky."""
    height, width = labels.shape
    reach = max(1, int(CENTRE_TOLERANCE * min(height, width)))
    rows = slice(height // 2 - reach, height // 2 + reach + 1)
    columns = slice(width // 2 - reach, width // 2 + reach + 1)
    near = smooth[rows, columns]
    peak = np.unravel_index(int(np.argmax(near)), near.shape)
    return int(labels[rows, columns][peak])
