"""The map as a pyramid of square tiles: which galaxies lie in one, and which of them it shows.

Tile (z, x, y) of zoom z covers the square [x, x+1] x [y, y+1] / 2**z of the unit map, y upwards.
Its cells each show one galaxy that lies in that cell. Galaxies are kept along a Z-order curve
(Morton 1966), on which those of a tile or of a cell stand side by side: what a tile costs goes with
the galaxies in it, not with all of them.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

MARGIN = 0.03
"""Empty border of the unit map, as a share of its side."""
MAX_ZOOM = 12
"""Deepest zoom: a tile then shows one galaxy of sixteen million."""
DEPTH = 16
"""The finest cells are 2**-DEPTH of the map wide."""
FIRST_CELLS = {0: 8, 1: 16}
"""Cells along the map far out: at zoom 1, the first that most screens show, a hundred or two."""
CELLS = 4
"""Cells along one side of a tile from there on, until each has its galaxy for itself."""
CROWDING = 1.6
"""The finest cells are this much smaller than the mean distance of galaxies, or a little more."""
CORNER = 0.12
"""Radius of the rounded corners of a cell, as a share of its side."""
FRAME = 0.035
"""Width of the coloured frame of a cell, as a share of its side."""
GAP = 0.045
"""What is left free around the picture of a cell, as a share of its side: points glow there."""
LEAST_PIXELS = 384
"""Pixels along a tile of few cells: frames stay sharp where a galaxy fills it."""
CELL_PIXELS = 64
VEILED = 0.22
"""Opacity of the pictures of galaxies that are not selected, where some are."""
KEPT_PYRAMIDS = 4
"""Pyramids kept ready: one is 24 bytes a galaxy."""


def unit_map(
    coordinates: NDArray[np.floating], others: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Map coordinates (N, 2) scaled alike on both axes into the unit square, centred.

    others (n, 2): points to be scaled as these coordinates are, in their place.
    """
    points = np.asarray(coordinates, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    points = points if others is None else np.asarray(others, np.float64)
    scaled: NDArray[np.float64] = 0.5 + (points - (low + high) / 2) / span * (1 - 2 * MARGIN)
    return scaled


def finest_side(n: int) -> int:
    """Cells along one side of the whole map, a power of two, where `n` galaxies rarely share one.

    From there on a deeper zoom shows the same galaxies larger.
    """
    return 1 << max(3, math.ceil(math.log2(CROWDING * math.sqrt(n))))


def cells_along(zoom: int, n: int) -> int:
    """Cells along one side of the whole map at a zoom, a power of two; n: number of galaxies."""
    return min(FIRST_CELLS.get(zoom, CELLS << zoom), max(finest_side(n), 1 << zoom))


def is_tile(zoom: int, x: int, y: int) -> bool:
    """Whether there is such a tile."""
    return 0 <= zoom <= MAX_ZOOM and 0 <= x < 2**zoom and 0 <= y < 2**zoom


def is_cell(side: int, column: int, line: int) -> bool:
    """Whether there is such a cell of side x side on the map; sides are powers of two."""
    along = 0 < side <= 2**DEPTH and side & (side - 1) == 0
    return along and 0 <= min(column, line) <= max(column, line) < side


def ranking(rank: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows in the order in which they are shown where several share a cell; ties: lower first."""
    return np.lexsort((np.arange(len(rank)), -np.asarray(rank, np.float64)))


def z_order(x: NDArray[np.integer], y: NDArray[np.integer]) -> NDArray[np.uint32]:
    """Place of cells (x, y) below 2**16 on the Z-order curve: their bits in turns, y's higher."""
    both = []
    for values in (x, y):
        bits = np.asarray(values, np.uint32)
        for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
            bits = (bits | (bits << np.uint32(shift))) & np.uint32(mask)
        both.append(bits)
    return np.asarray(both[0] | (both[1] << np.uint32(1)))


class TilePyramid:
    """Which galaxies lie in each tile, and which one each cell shows.

    points: (N, 2) in the unit square (see `unit_map`). rank: (N,), larger is shown first, as the
    responsibility of a galaxy's cluster (see `ranking`).
    """

    def __init__(self, points: NDArray[np.floating], rank: NDArray[np.floating]) -> None:
        cell = np.clip((np.asarray(points) * 2**DEPTH).astype(np.int64), 0, 2**DEPTH - 1)
        keys = z_order(cell[:, 0], cell[:, 1])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self.order = order.astype(np.int32)
        self.points = np.asarray(points, np.float32)[order]
        self._ranked = ranking(rank).astype(np.int32)
        place = np.empty(len(keys), np.int32)
        place[self._ranked] = np.arange(len(keys), dtype=np.int32)
        self._place = place[order]

    @cached_property
    def filled(self) -> float:
        """Share of the unit square in which there are galaxies, 0..1."""
        side = 64
        return len(np.unique(self._keys >> np.uint32(2 * (DEPTH - 6)))) / side**2

    @cached_property
    def extent(self) -> NDArray[np.float64]:
        """The least box (x0, y0, x1, y1) of whole cells of the first view with all galaxies."""
        side = max(FIRST_CELLS.values())
        low = np.floor(self.points.min(axis=0) * side) / side
        high = (np.floor(self.points.max(axis=0) * side) + 1) / side
        return np.concatenate([low, high]).astype(np.float64)

    def point_of(self, row: int) -> NDArray[np.float32]:
        """Place (2,) of a galaxy on the unit map."""
        return np.asarray(self.points[np.flatnonzero(self.order == row)[0]])

    def within(self, side: int, column: int, line: int) -> slice:
        """Where on the curve (`order`, `points`) the galaxies of a cell of side x side cells are.

        side: a power of two, at most 2**DEPTH.
        """
        shift = 2 * (DEPTH - side.bit_length() + 1)
        code = int(z_order(np.array([column]), np.array([line]))[0])
        low, high = np.array([code << shift, ((code + 1) << shift) - 1]).astype(np.uint32)
        first, last = self._keys.searchsorted(low), self._keys.searchsorted(high, "right")
        return slice(int(first), int(last))

    def around(self, zoom: int, x: int, y: int, margin: float) -> NDArray[np.int64]:
        """Places on the curve of the galaxies in a tile and `margin` of its side around it."""
        found = []
        for column in range(max(0, x - 1), min(2**zoom, x + 2)):
            for line in range(max(0, y - 1), min(2**zoom, y + 2)):
                inside = self.within(2**zoom, column, line)
                here = np.arange(inside.start, inside.stop)
                if (column, line) != (x, y):
                    distance = np.abs(self.points[inside] * 2**zoom - [x + 0.5, y + 0.5])
                    here = here[(distance <= 0.5 + margin).all(axis=1)]
                found.append(here)
        return np.concatenate(found)

    def shown(
        self, side: int, column: int, line: int, first: NDArray[np.bool_] | None = None
    ) -> int:
        """Row of the galaxy that a cell shows, -1 for none; first: see `rows`."""
        places = self._places(self.within(side, column, line), first)
        return int(self._row_at(places.min())) if len(places) else -1

    def rows(
        self, zoom: int, x: int, y: int, first: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Catalogue rows shown by a tile, (n, n), top row first; -1 where a cell is empty.

        first: (N,), galaxies that are shown before all others, as those that are selected. Raises
        ValueError where there is no such tile.
        """
        if not is_tile(zoom, x, y):
            raise ValueError(f"no tile {zoom}/{x}/{y}")
        total = len(self.order)
        side = cells_along(zoom, total)
        n = side >> zoom
        inside = self.within(2**zoom, x, y)
        shift = np.uint32(2 * (DEPTH - side.bit_length() + 1))
        cell = (self._keys[inside] >> shift) & np.uint32(n * n - 1)
        least = np.full(n * n, total)
        np.minimum.at(least, cell.astype(np.int64), self._places(inside, first))
        shown = np.where(least < total, self._row_at(least), -1)
        lines, columns = np.mgrid[n - 1 : -1 : -1, 0:n]
        return np.asarray(shown[z_order(columns, lines)], np.int64)

    def _places(self, inside: slice, first: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Places in the ranking of the galaxies on a piece of the curve; of the first: below 0."""
        places = self._place[inside].astype(np.int64)
        if first is not None:
            places[first[self.order[inside]]] -= len(self.order)
        return places

    def _row_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(self._ranked[places % len(self.order)], np.int64)

    def inside(self, outline: NDArray[np.floating]) -> NDArray[np.int64]:
        """Rows, sorted, of the galaxies inside a polygon (M, 2) of the unit map, by even and odd.

        Fewer than three corners hold nothing.
        """
        corners = np.asarray(outline, np.float64)
        if len(corners) < 3:
            return np.zeros(0, np.int64)
        low, high = corners.min(axis=0), corners.max(axis=0)
        near = np.flatnonzero(((self.points >= low) & (self.points <= high)).all(axis=1))
        near = near[np.argsort(self.points[near, 1], kind="stable")]
        x, y = self.points[near].astype(np.float64).T
        odd = np.zeros(len(near), bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            beside = slice(*np.searchsorted(y, sorted((y0, y1))))
            odd[beside] ^= x[beside] < x0 + (y[beside] - y0) * (x1 - x0) / (y1 - y0)
        return np.sort(self.order[near[odd]]).astype(np.int64)


@lru_cache(KEPT_PYRAMIDS)
def map_tiles(bundle: Bundle, key: str) -> TilePyramid:
    """The tiles of one clustering's map. Raises KeyError for an unknown key."""
    clustering = bundle.clusterings[key]
    return TilePyramid(unit_map(clustering.coordinates), clustering.responsibility)


def rounded(side: int, inset: float) -> NDArray[np.float32]:
    """Opacity (side, side), 0..1, of a square with rounded corners, `inset` pixels in."""
    radius = CORNER * side
    distance = np.abs(np.arange(side) + 0.5 - side / 2)
    beyond = np.maximum(distance - (side / 2 - inset - radius), 0)
    reach = np.hypot(beyond[:, None], beyond[None, :])
    opacity: NDArray[np.float64] = np.clip(radius - reach + 0.5, 0, 1)
    return opacity.astype(np.float32)


def resized(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures (m, S, S, 3) as (m, side, side, 3), smoothly."""
    if pictures.shape[1] == side:
        return pictures
    size, way = (side, side), Image.Resampling.BICUBIC
    made = [np.asarray(Image.fromarray(one).resize(size, way)) for one in pictures]
    return np.array(made, np.uint8).reshape(-1, side, side, 3)


def draw_tile(
    pictures: NDArray[np.uint8],
    rows: NDArray[np.int64],
    colours: NDArray[np.uint8],
    opacity: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """A tile (P, P, 4) of pictures (m, S, S, 3), in the order of the m occupied cells of rows.

    colours: (m, 3), of the frame around each picture; opacity: (m,), 0..1. Empty cells are
    transparent.
    """
    n = rows.shape[0]
    side = max(CELL_PIXELS, LEAST_PIXELS // n)
    cells = np.zeros((n * n, side, side, 4), np.uint8)
    occupied = np.flatnonzero(rows.ravel() >= 0)
    inside = rounded(side, (GAP + FRAME) * side)[..., None]
    framed = resized(pictures, side) * inside + colours[:, None, None, :] * (1 - inside)
    solid = np.ones(len(occupied)) if opacity is None else opacity
    cells[occupied, ..., :3] = framed.astype(np.uint8)
    cells[occupied, ..., 3] = rounded(side, GAP * side) * 255 * solid[:, None, None]
    grid = cells.reshape(n, n, side, side, 4).swapaxes(1, 2)
    return grid.reshape(n * side, n * side, 4)
