"""The map as a pyramid of square tiles whose cells each show one galaxy that lies in that cell.

Tile (z, x, y) of zoom z covers the square [x, x+1] x [y, y+1] / 2**z of the unit map, y upwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.03
"""Empty border of the unit map, as a share of its side."""
MAX_ZOOM = 10
"""Deepest zoom: a screen then shows a thousandth of the map's width."""
MOST_CELLS = 8
"""Cells along one side of a tile, far out: 32 screen pixels each."""
CROWDING = 1.6
"""The finest cells are this much smaller than the mean distance of galaxies, or a little more."""
CORNER = 0.12
"""Radius of the rounded corners of a cell, as a share of its side."""
FRAME = 0.04
"""Width of the coloured frame of a cell, as a share of its side."""


def unit_map(coordinates: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map coordinates (N, 2) scaled alike on both axes into the unit square, centred."""
    points = np.asarray(coordinates, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    scaled: NDArray[np.float64] = 0.5 + (points - (low + high) / 2) / span * (1 - 2 * MARGIN)
    return scaled


def finest_side(n: int) -> int:
    """Cells along one side of the whole map, a power of two, where `n` galaxies rarely share one.

    From there on a deeper zoom shows the same galaxies larger.
    """
    return 1 << max(3, math.ceil(math.log2(CROWDING * math.sqrt(n))))


def is_tile(zoom: int, x: int, y: int) -> bool:
    """Whether there is such a tile."""
    return 0 <= zoom <= MAX_ZOOM and 0 <= x < 2**zoom and 0 <= y < 2**zoom


def ranking(rank: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows in the order in which they are shown where several share a cell; ties: lower first."""
    return np.lexsort((np.arange(len(rank)), -np.asarray(rank, np.float64)))


@dataclass(frozen=True)
class TilePyramid:
    """Which galaxy each cell of each tile shows.

    points: (N, 2) in the unit square (see `unit_map`). rank: (N,), larger is shown first, as the
    responsibility of a galaxy's cluster (see `ranking`).
    """

    points: NDArray[np.float64]
    rank: NDArray[np.floating]

    @cached_property
    def _grids(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        return {}

    def _grid(self, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Occupied cells of a side x side grid (sorted) and the galaxy each one shows."""
        if side not in self._grids:
            order = ranking(self.rank)
            cell = np.clip((self.points[order] * side).astype(np.int64), 0, side - 1)
            occupied, first = np.unique(cell[:, 1] * side + cell[:, 0], return_index=True)
            self._grids[side] = (occupied, order[first])
        return self._grids[side]

    def rows(self, zoom: int, x: int, y: int) -> NDArray[np.int64]:
        """Catalogue rows shown by a tile, (n, n), top row first; -1 where a cell is empty.

        Raises ValueError where there is no such tile.
        """
        if not is_tile(zoom, x, y):
            raise ValueError(f"no tile {zoom}/{x}/{y}")
        side = min(MOST_CELLS * 2**zoom, max(finest_side(len(self.points)), 2**zoom))
        n = side // 2**zoom
        occupied, shown = self._grid(side)
        columns = x * n + np.arange(n)
        lines = y * n + np.arange(n)[::-1]
        wanted = lines[:, None] * side + columns[None, :]
        place = np.searchsorted(occupied, wanted).clip(max=len(occupied) - 1)
        return np.where(occupied[place] == wanted, shown[place], -1)


def rounded(side: int, inset: float) -> NDArray[np.float32]:
    """Opacity (side, side), 0..1, of a square with rounded corners, `inset` pixels in."""
    radius = CORNER * side
    distance = np.abs(np.arange(side) + 0.5 - side / 2)
    beyond = np.maximum(distance - (side / 2 - inset - radius), 0)
    reach = np.hypot(beyond[:, None], beyond[None, :])
    opacity: NDArray[np.float64] = np.clip(radius - reach + 0.5, 0, 1)
    return opacity.astype(np.float32)


def draw_tile(
    pictures: NDArray[np.uint8], rows: NDArray[np.int64], colours: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A tile (n*S, n*S, 4) of pictures (m, S, S, 3), in the order of the m occupied cells of rows.

    colours: (m, 3), of the frame around each picture. Empty cells are transparent.
    """
    n, side = rows.shape[0], pictures.shape[1]
    cells = np.zeros((n * n, side, side, 4), np.uint8)
    occupied = np.flatnonzero(rows.ravel() >= 0)
    inside = rounded(side, 1 + FRAME * side)[..., None]
    framed = pictures * inside + colours[:, None, None, :] * (1 - inside)
    cells[occupied, ..., :3] = framed.astype(np.uint8)
    cells[occupied, ..., 3] = (rounded(side, 1) * 255).astype(np.uint8)
    grid = cells.reshape(n, n, side, side, 4).swapaxes(1, 2)
    return grid.reshape(n * side, n * side, 4)
