"""The Sersic index of a galaxy, from its profile over ellipses: milliseconds, no starting values.

Sersic's law, I(r) = A exp(-b_n ((r / r_e)^(1/n) - 1)), is linear in A, so the least-squares A of
every (n, r_e) of a grid is known at once and the best pair is looked up. Not corrected for the PSF.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INDICES = np.geomspace(0.15, 8.0, 48)
RADII_PER_STAMP = 40
RING_PX = 1.0
INNERMOST_PX = 1.0  # where a pixel is too coarse for the cusp of a high index
EXTENT = 1.5  # times the farthest pixel of the galaxy


def sersic_index(
    image: Floats, member: NDArray[np.bool_], masked: NDArray[np.bool_] | None = None
) -> float:
    """Sersic index of the galaxy of one stamp (S, S), sky subtracted; NaN where it has no light.

    member: its pixels, which give centre, axis ratio and angle. masked: pixels of other sources.
    """
    light = np.where(member, image, 0).clip(0)
    if light.sum() <= 0:
        return float("nan")
    radius = _elliptical_radius(light)
    used = (radius >= INNERMOST_PX) & (radius <= EXTENT * radius[member].max())
    if masked is not None:
        used &= ~masked
    ring = (radius[used] / RING_PX).astype(int)
    pixels = np.bincount(ring)
    filled = np.flatnonzero(pixels)
    mean_radius, mean_light = (
        np.bincount(ring, weights=values[used])[filled] / pixels[filled]
        for values in (radius, image)
    )
    return _best_index(mean_radius, mean_light, pixels[filled].astype(np.float64), image.shape[0])


def _elliptical_radius(light: Floats) -> Floats:
    """Radius (S, S) of the ellipse through each pixel, the mean of its half-axes."""
    y, x = np.indices(light.shape).astype(np.float64)
    total = light.sum()
    x, y = (axis - (light * axis).sum() / total for axis in (x, y))
    xx, yy, xy = ((light * product).sum() / total for product in (x * x, y * y, x * y))
    determinant = xx * yy - xy * xy
    if determinant <= 1e-9 * max(xx, yy, 1.0) ** 2:
        return np.asarray(np.hypot(x, y))
    squared = (yy * x * x - 2 * xy * x * y + xx * y * y) / np.sqrt(determinant)
    return np.asarray(np.sqrt(squared.clip(0)))


@cache
def _grid(side: int) -> tuple[Floats, Floats]:
    """b_n (n, 1, 1) of the indices, and half-light radii (r,) up to half a stamp, in pixels."""
    from scipy.special import gammaincinv

    b_n = gammaincinv(2 * INDICES, 0.5)[:, None, None]
    return b_n, np.geomspace(0.5, side / 2, RADII_PER_STAMP)


def _best_index(radius: Floats, light: Floats, weight: Floats, side: int) -> float:
    b_n, half_light = _grid(side)
    power = 1 / INDICES[:, None, None]
    shape = np.exp(-b_n * ((radius / half_light[:, None]) ** power - 1))  # (n, r, rings)
    cross, square = shape @ (weight * light), np.square(shape) @ weight
    explained = np.square(cross.clip(0)) / np.maximum(square, 1e-300)
    best = explained.max(1)  # (n,) over the radii
    place = int(best.argmax())
    if not 0 < place < len(INDICES) - 1:
        return float(INDICES[place])
    left, top, right = best[place - 1 : place + 2]
    bend = left - 2 * top + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    step = np.log(INDICES[1] / INDICES[0])
    return float(INDICES[place] * np.exp(shift * step))
