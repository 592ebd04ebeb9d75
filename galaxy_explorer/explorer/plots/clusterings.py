"""Two clusterings of the same galaxies side by side: arrays to figures. No state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import colorcet
import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.clustering.summary import ordered
from galaxy_explorer.explorer.pictures.display import without_colour
from galaxy_explorer.explorer.plots.palette import MIDDLE_GREY, SELECTION_COLOUR, describe

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering

MEMBERS = "members"
DENSITY = "density"
DENSITY_BINS = 96
DIVERGING = np.array(
    [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colorcet.CET_D9], np.uint8
)
"""Blue, white, red: negative, zero, positive (Kovesi 2015, D9)."""


def residual_pictures(residuals: NDArray[Any], limit: float) -> NDArray[np.uint8]:
    """Residuals (n, S, S) as pictures (n, S, S, 3): white is 0, blue -limit, red +limit.

    Of residuals (n, S, S, 3) the mean of the bands is shown. Values beyond the limits, and those
    that are not finite, take the colour of the nearest end and of zero. Raises ValueError
    unless limit > 0.
    """
    if not limit > 0:
        raise ValueError(f"limit {limit}: must be above 0")
    unit = np.clip(np.nan_to_num(without_colour(residuals)) / limit, -1.0, 1.0)
    last = len(DIVERGING) - 1
    return np.asarray(DIVERGING[np.rint((unit + 1) / 2 * last).astype(np.int64)])


def format_residual(limit: float, *, colour: bool) -> str:
    """What the colours of residual pictures mean; colour: of galaxies that are shown in colour."""
    return f"{'mean of the bands, ' * colour}blue −{limit}, white 0, red +{limit}"


def contingency(left: ArrayLike, right: ArrayLike, *, n: int = 64) -> NDArray[np.int64]:
    """Galaxies in cluster i on the left and j on the right, (n, n). Labels in [0, n)."""
    left, right = np.asarray(left, np.int64), np.asarray(right, np.int64)
    return np.bincount(left * n + right, minlength=n * n).reshape(n, n)


def counted(left: Clustering, right: Clustering) -> tuple[NDArray[np.int64], list[int], list[int]]:
    """The contingency table of two clusterings, and the clusters of each in order of mean T."""
    n = max(len(side.clusters) for side in (left, right))
    first, second = (
        [cluster.id for cluster in ordered(side.clusters, "mean T") if cluster.count]
        for side in (left, right)
    )
    return contingency(left.labels, right.labels, n=n), first, second


def compared(left: Clustering, right: Clustering) -> tuple[dict[str, Any], list[int], list[int]]:
    """What the figure of a contingency table is drawn from."""
    table, first, second = counted(left, right)
    return cell_columns(table, first, second), first, second


def cell_columns(
    table: NDArray[np.int64], left: Sequence[int], right: Sequence[int]
) -> dict[str, Any]:
    """Columns of the heat map: one entry per cell with galaxies in it.

    left, right: ids of the clusters in the order they are drawn, from bottom and from left.
    """
    sorted_table = table[np.ix_(left, right)]
    rows, columns = np.nonzero(sorted_table)
    counts = sorted_table[rows, columns]
    in_left, in_right = sorted_table.sum(1)[rows], sorted_table.sum(0)[columns]
    return {
        "x": columns,
        "y": rows,
        "left": np.asarray(left, np.int64)[rows],
        "right": np.asarray(right, np.int64)[columns],
        "count": counts,
        "strength": 0.06 + 0.94 * np.sqrt(counts / in_left),
        "of_left": in_left,
        "of_right": in_right,
    }


def density(
    coordinates: NDArray[Any],
) -> tuple[NDArray[np.uint32], tuple[float, float, float, float]]:
    """The map of all galaxies as a grey image (B, B) of RGBA values and its x, y, width, height.

    Opacity grows with the logarithm of the number of galaxies in a bin.
    """
    low, high = coordinates.min(0).astype(float), coordinates.max(0).astype(float)
    margin = 0.03 * np.maximum(high - low, 1e-6)
    low, high = low - margin, high + margin
    edges = [(low[0], high[0]), (low[1], high[1])]
    counts, _, _ = np.histogram2d(coordinates[:, 0], coordinates[:, 1], DENSITY_BINS, edges)
    strength = np.log1p(counts.T) / max(1e-9, np.log1p(counts.max()))
    image = np.empty((*counts.shape, 4), np.uint8)
    image[..., :3] = [int(MIDDLE_GREY[i : i + 2], 16) for i in (1, 3, 5)]
    image[..., 3] = np.where(counts.T > 0, 60 + 170 * strength, 0)
    box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return image.view(np.uint32)[..., 0], box


def place_figure(coordinates: NDArray[Any], *, height: int = 200) -> figure:
    """A small map: all galaxies in grey, some of them as dots; `update_place` sets which.

    coordinates: (N, 2) places on the map of the clustering.
    """
    plot = figure(
        height=height, sizing_mode="stretch_width", tools="", toolbar_location=None,
        match_aspect=True, x_axis_type=None, y_axis_type=None, outline_line_color=None,
    )  # fmt: skip
    describe(plot, "Small map of all galaxies, with those in question marked")
    plot.grid.grid_line_color = None
    plot.image_rgba("image", "x", "y", "w", "h", source=ColumnDataSource(name=DENSITY))
    dots = ColumnDataSource({"x": [], "y": []}, name=MEMBERS)
    plot.scatter("x", "y", source=dots, size=4, color=SELECTION_COLOUR, alpha=0.8, line_color=None)
    set_map(plot, coordinates)
    return plot


def set_map(plot: figure, coordinates: NDArray[Any]) -> None:
    """Show another map (N, 2) in a figure made by `place_figure`."""
    image, (x, y, w, h) = density(coordinates)
    columns = {"image": [image], "x": [x], "y": [y], "w": [w], "h": [h]}
    plot.select_one({"name": DENSITY}).data = columns


def update_place(
    plot: figure, coordinates: NDArray[Any], rows: NDArray[np.int64], colour: str
) -> None:
    """Show the galaxies in `rows` as dots of `colour` on a figure made by `place_figure`."""
    members = plot.select_one({"name": MEMBERS})
    members.data = {"x": coordinates[rows, 0], "y": coordinates[rows, 1]}
    glyph = next(r.glyph for r in plot.renderers if r.data_source is members)
    glyph.update(fill_color=colour, size=5 if len(rows) < 500 else 3)
