"""The density of galaxies on the map as pictures: what glows beneath the galaxies themselves.

Each galaxy is a soft dot in its colour; where many overlap, the mean colour shows, the stronger the
more there are. However many galaxies there are, a visitor gets tiles of the same size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from galaxy_explorer.explorer.pictures.tiles import TilePyramid
    from galaxy_explorer.explorer.plots.colouring import Colouring

PIXELS = 512
"""Pixels along one side of a tile."""
DOT = (1.5, 3.2)
"""Smallest and largest standard deviation of a dot, in pixels of the tile."""
REACH = 3
"""A dot ends after so many standard deviations."""
STRONGEST = 0.92
"""Largest opacity."""
DIM = 0.22
"""Opacity of what is not selected, as a share of its own."""


def glow_tile(
    pyramid: TilePyramid,
    colours: Colouring,
    place: tuple[int, int, int],
    selected: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """The galaxies of tile (z, x, y) as soft dots, (PIXELS, PIXELS, 4); no galaxies: transparent.

    selected: (N,), those that stand out; the others are dimmed.
    """
    zoom, x, y = place
    per_pixel = len(pyramid.order) / pyramid.filled / (PIXELS * 2.0**zoom) ** 2
    dot = float(np.clip(0.6 / np.sqrt(per_pixel), *DOT))
    margin = int(np.ceil(REACH * dot))
    near = pyramid.around(zoom, x, y, margin / PIXELS)
    overlap = per_pixel * 2 * np.pi * dot**2
    at = (pyramid.points[near] * 2.0**zoom - [x, y]) * PIXELS + margin
    side = PIXELS + 2 * margin
    column, line = np.clip(at, 0, side - 1).astype(np.int64).T
    pixel, rows = (side - 1 - line) * side + column, pyramid.order[near].astype(np.int64)
    tints = colours.rgb(rows)
    if selected is None:
        return _cut(*_dots(pixel, tints, side, dot, overlap), margin)
    chosen = selected[rows]
    _, faint = behind = _dots(pixel[~chosen], tints[~chosen], side, dot, overlap)
    share = max(1e-9, float(selected.mean()))
    tint, strong = _dots(pixel[chosen], tints[chosen], side, dot, overlap * share)
    rest = DIM * faint * (1 - strong)
    opacity = strong + rest
    mixed = tint * strong[..., None] + behind[0] * rest[..., None]
    return _cut(mixed / np.maximum(opacity, 1e-6)[..., None], opacity, margin)


def _dots(
    pixel: NDArray[np.int64], tints: NDArray[np.uint8], side: int, dot: float, overlap: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean colour (side, side, 3) and opacity (side, side) of dots at these pixels.

    overlap: dots that lie on each other where as many galaxies are as on the mean.
    """
    one = 2 * np.pi * dot**2
    layers = [None, *(tints[:, band] for band in range(3))]
    sums = []
    for weights in layers:
        made = np.bincount(pixel, weights, side * side).reshape(side, side).astype(np.float32)
        sums.append(gaussian_filter(made, dot, mode="constant", truncate=REACH))
    count = sums[0]
    tint = np.stack(sums[1:], axis=-1) / np.maximum(count, 1e-6)[..., None]
    crowd = count * one / max(1.0, 3 * overlap)
    return tint, STRONGEST * (1 - np.exp(-2.5 * crowd**0.8))


def _cut(
    tint: NDArray[np.floating], opacity: NDArray[np.floating], margin: int
) -> NDArray[np.uint8]:
    """A tile without its margin, as bytes."""
    whole = np.concatenate([tint, 255 * opacity[..., None]], axis=-1)
    inner = whole[margin : margin + PIXELS, margin : margin + PIXELS]
    return np.clip(inner + 0.5, 0, 255).astype(np.uint8)
