"""The sky of a stamp: its level and its noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SKY_CLIP_SIGMA = 3.0
SKY_ITERATIONS = 10
SKY_BORDER = 0.1
MAD_TO_SIGMA = 1.4826


def sky_level(image: ArrayLike) -> tuple[float, float]:
    """Sky and its sigma from the border (a tenth of each side), clipped at 3 sigma.

    `image` is (..., H, W). Each pass keeps what lies within 3 scaled median absolute deviations of
    the median, so neighbours on the border hardly count; the sky is the median of what is left and
    sigma its standard deviation (pixels in whole counts make the median deviation too coarse).
    Sigma is never zero.
    """
    pixels = np.asarray(image, dtype=np.float64)
    values = pixels[..., border_mask(pixels.shape[-2], pixels.shape[-1])].ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    for _ in range(SKY_ITERATIONS):
        centre, sigma = _centre_and_width(values)
        kept = values[np.abs(values - centre) <= SKY_CLIP_SIGMA * sigma]
        if kept.size == values.size or sigma == 0.0:
            break
        values = kept
    centre, sigma = float(np.median(values)), float(values.std())
    smallest = max(abs(centre), float(np.abs(pixels[np.isfinite(pixels)]).max()), 1e-30) * 1e-6
    return centre, max(sigma, smallest)


def _centre_and_width(values: Floats) -> tuple[float, float]:
    centre = float(np.median(values))
    return centre, float(MAD_TO_SIGMA * np.median(np.abs(values - centre)))


def border_mask(height: int, width: int) -> NDArray[np.bool_]:
    """True on the outer tenth of each side of an (H, W) image, at least one pixel."""
    rows, columns = max(1, round(SKY_BORDER * height)), max(1, round(SKY_BORDER * width))
    mask = np.ones((height, width), dtype=bool)
    mask[rows : height - rows, columns : width - columns] = False
    return mask
