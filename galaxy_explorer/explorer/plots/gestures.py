"""What a visitor may ask of the map: a galaxy that was clicked, a region that was drawn.

The browser sends a cell or an outline, never a list of galaxies; what it sends is checked here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.explorer.pictures.tiles import is_cell

MOST_CORNERS = 1000
"""Of a lasso: the browser sends at most 400."""
Mode = Literal["replace", "append", "intersect", "subtract"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Cell:
    """A cell of side x side cells on the map; add: whether its galaxy joins the selection."""

    side: int
    column: int
    line: int
    add: bool = False


@dataclass(frozen=True)
class Name:
    """The name of a cluster."""

    cluster: int


@dataclass(frozen=True)
class Region:
    """What lies inside an outline (M, 2) on the unit map, and what becomes of the selection."""

    outline: NDArray[np.float64]
    mode: Mode


def parse_asked(message: object) -> Cell | Name | Region | None:
    """A message of `map_pointer.js`; None: nothing shall be selected. Raises ValueError."""
    if not isinstance(message, Mapping):
        raise ValueError("no message")
    kind = message.get("kind")
    if kind == "clear":
        return None
    if kind == "tap":
        return _cell(message.get("cell"), add=message.get("mode") == "append")
    if kind == "name":
        cluster = message.get("cluster")
        if type(cluster) is not int or cluster < 0:
            raise ValueError("a cluster is a whole number")
        return Name(cluster)
    return _region(str(kind), message)


def _region(kind: str, message: Mapping[str, Any]) -> Region:
    values = message.get("xy")
    corners = {"lasso": 2 * MOST_CORNERS, "box": 4}.get(kind, 0)
    if not isinstance(values, list) or not 0 < len(values) <= corners or len(values) % 2:
        raise ValueError(f"{kind}: no outline")
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
        raise ValueError(f"{kind}: coordinates are finite numbers")
    mode = message.get("mode")
    if mode not in MODES:
        raise ValueError(f"mode is one of {', '.join(MODES)}")
    outline = np.array(values, np.float64).reshape(-1, 2)
    if kind == "box":
        if len(outline) != 2:
            raise ValueError("a box has two corners")
        (x0, y0), (x1, y1) = outline
        outline = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return Region(outline, mode)


def _cell(values: Any, *, add: bool) -> Cell:
    whole = isinstance(values, list) and all(type(one) is int for one in values)
    if not whole or len(values) != 3:
        raise ValueError("a cell is three whole numbers")
    side, column, line = values
    if not is_cell(side, column, line):
        raise ValueError(f"no cell {column}, {line} of {side}")
    return Cell(side, column, line, add)


def combined(before: NDArray[np.int64], rows: NDArray[np.int64], mode: Mode) -> NDArray[np.int64]:
    """The selection after a region's galaxies were added to it, kept of it, taken from it, ..."""
    if mode == "append":
        return np.union1d(before, rows)
    if mode == "intersect":
        return np.intersect1d(before, rows, assume_unique=True)
    if mode == "subtract":
        return np.setdiff1d(before, rows, assume_unique=True)
    return rows
