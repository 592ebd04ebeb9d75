"""Figures for print: the map, Hubble types, the list of clusters. PNG at 300 dpi, SVG or PDF.

In SVG and PDF text, bars and the selected galaxies are vectors. matplotlib is imported when a
figure is asked for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.explorer.plots.palette import (
    SELECTION_COLOUR,
    T_COLOURS,
    UNKNOWN_COLOUR,
    cluster_colours,
)
from galaxy_explorer.explorer.plots.ttype_histogram import T_NAMES, T_VALUES, wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from galaxy_explorer.bundle import Clustering


DPI = 300
COLUMN_INCH = 0.88
"""Eight columns are 7.1 inches: the width of a page of two columns."""
HISTOGRAM_INCH = 0.8
MARGINS_INCH = {"left": 0.42, "right": 0.06, "top": 0.66, "bottom": 0.3, "gap": 0.3}
FONTS = {
    "font.family": "sans-serif",
    "font.size": 7,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "axes.linewidth": 0.5,
    "svg.hashsalt": "trend",
}


@dataclass(frozen=True)
class TrendColumn:
    """One cluster: title, counts of T = -3..6 (10,), colour, and pictures (n, S, S, 3)."""

    title: str
    counts: NDArray[np.int64]
    colour: str
    pictures: NDArray[np.uint8]


def trend_figure(
    columns: Sequence[TrendColumn], title: str, source: str, file_format: str
) -> bytes:
    """The figure as the bytes of a "png" (300 dpi), "svg" or "pdf" file.

    title: above the columns; source: the line below, where the figure comes from. Text and bars
    are vectors in SVG and PDF; the members are images of their own pixels.
    """
    import matplotlib as mpl

    with mpl.rc_context(FONTS):
        plot = _figure(columns, title, source)
        buffer = io.BytesIO()
        metadata: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(
            file_format, {}
        )
        plot.savefig(buffer, format=file_format, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def _figure(columns: Sequence[TrendColumn], title: str, source: str) -> Figure:
    from matplotlib.figure import Figure

    members = max(len(column.pictures) for column in columns)
    edge = MARGINS_INCH
    width = edge["left"] + COLUMN_INCH * len(columns) + edge["right"]
    height = edge["top"] + HISTOGRAM_INCH + edge["gap"] + COLUMN_INCH * members + edge["bottom"]
    plot = Figure(figsize=(width, height))
    plot.text(
        edge["left"] / width,
        1 - 0.14 / height,
        title,
        va="top",
        size=8,
        weight="bold",
        parse_math=False,
    )
    plot.text(
        edge["left"] / width,
        0.1 / height,
        source,
        va="bottom",
        size=5.5,
        color="#555555",
        parse_math=False,
    )
    top = max(_shares(column.counts).max() for column in columns) * 1.08 or 1.0
    for place, column in enumerate(columns):
        left = (edge["left"] + COLUMN_INCH * place) / width
        base = (height - edge["top"] - HISTOGRAM_INCH) / height
        inside = 0.92 * COLUMN_INCH / width
        axes = plot.add_axes((left, base, inside, HISTOGRAM_INCH / height))
        first = place == 0
        axes.bar(range(-3, 7), _shares(column.counts), width=0.86, color=column.colour, linewidth=0)
        axes.set(xlim=(-3.8, 6.8), ylim=(0, float(top)), xticks=[-3, 0, 3, 6])
        axes.set_title(column.title, size=6.5, pad=3, linespacing=1.1, parse_math=False)
        axes.tick_params(length=2, width=0.5, pad=1.5, labelsize=6, labelleft=first)
        axes.spines[["top", "right"]].set_visible(b=False)
        if first:
            axes.set_ylabel("% of those with T", size=6, labelpad=1)
            axes.set_xlabel("Hubble type T", size=6, labelpad=1)
        for number, picture in enumerate(column.pictures):
            below = base - (edge["gap"] + COLUMN_INCH * (number + 0.94)) / height
            _draw_picture(
                plot.add_axes((left, below, inside, 0.92 * COLUMN_INCH / height)), picture
            )
    return plot


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(100 * counts / max(1, counts.sum()))


def _draw_picture(axes: Axes, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()


UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def map_figure(
    clustering: Clustering, rows: NDArray[np.int64], title: str, source: str, file_format: str
) -> bytes:
    """The map of a clustering as a "png", "svg" or "pdf" file, galaxies in `rows` ringed.

    title: above the map; source: the line below, where the figure comes from.
    """
    from matplotlib.figure import Figure

    def draw() -> Figure:
        plot = Figure(figsize=(4.5, 4.7), layout="constrained")
        axes = plot.add_subplot()
        x, y = clustering.coordinates.T
        ramp = np.array([*cluster_colours(clustering.clusters), UNKNOWN_COLOUR])  # -1: in none
        colours = ramp[clustering.labels].tolist()
        axes.scatter(x, y, s=2, c=colours, linewidths=0, rasterized=True)
        if len(rows):
            ring: dict[str, Any] = {
                "facecolors": "none",
                "edgecolors": SELECTION_COLOUR,
                "linewidths": 0.6,
            }
            axes.scatter(x[rows], y[rows], s=8, **ring, rasterized=len(rows) > 2000)
        axes.set(aspect="equal", xticks=[], yticks=[])
        axes.set_title(title, size=8, parse_math=False)
        plot.supxlabel(source, size=5, color="#555555", parse_math=False)
        return plot

    return _saved(draw, file_format)


def types_figure(
    counts: NDArray[np.int64], no_t: int, title: str, source: str, file_format: str
) -> bytes:
    """Counts (10,) of T = -3..6 with 95 % Wilson intervals as a "png", "svg" or "pdf" file."""
    from matplotlib.figure import Figure

    def draw() -> Figure:
        plot = Figure(figsize=(4.5, 2.8), layout="constrained")
        axes = plot.add_subplot()
        low, high = wilson_interval(counts)
        reach = np.abs(np.stack([low, high]) - counts)
        bar = {"elinewidth": 0.6, "capsize": 2}
        axes.bar(T_VALUES, counts, 0.86, color=T_COLOURS, yerr=reach, error_kw=bar)
        axes.set_xticks(T_VALUES, T_NAMES)
        axes.set(xlabel="early  <  Hubble type T  <  late", ylabel="galaxies")
        axes.set_title(f"{title} ({no_t:,} without T)", size=8, parse_math=False)
        axes.spines[["top", "right"]].set_visible(b=False)
        plot.supxlabel(source, size=5, color="#555555", parse_math=False)
        return plot

    return _saved(draw, file_format)


def _saved(draw: Any, file_format: str) -> bytes:
    import matplotlib as mpl

    with mpl.rc_context(FONTS):
        buffer = io.BytesIO()
        draw().savefig(buffer, format=file_format, dpi=DPI, metadata=UNDATED.get(file_format))
    return buffer.getvalue()
