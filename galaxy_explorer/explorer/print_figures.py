"""The map and a histogram of Hubble types for print; matplotlib is imported when one is asked for.

PNG at 300 dpi; in SVG and PDF text, bars and the selected galaxies are vectors.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.explorer.palette import SELECTION_COLOUR, T_COLOURS, cluster_colour
from galaxy_explorer.explorer.plots_types import T_NAMES, T_VALUES, wilson_interval
from galaxy_explorer.explorer.trend_figure import DPI, FONTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from galaxy_explorer.bundle import Clustering

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
        colours = [cluster_colour(int(cluster)) for cluster in clustering.labels]
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
