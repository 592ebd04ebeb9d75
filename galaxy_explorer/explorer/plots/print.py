"""Figures for print: PNG at 300 dpi, SVG or PDF, with a title and where they come from.

What is drawn are the HoloViews objects of `plots.figures`, unchanged, by matplotlib: text, bars and
lines are vectors. Both libraries are imported when a figure is asked for.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PICTURES = ("png", "svg", "pdf")
DPI = 300
FONTS = {
    "font.family": "sans-serif",
    "font.size": 7,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "axes.linewidth": 0.5,
    "svg.hashsalt": "figure",
}
UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
ABOVE, BELOW = 0.08, 0.12
"""Inches between a figure and its title, and between it and the line below."""
_ONE_AT_A_TIME = threading.Lock()
"""HoloViews draws on the current figure of the process."""


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
    """Clusters side by side as a "png", "svg" or "pdf" file; see `figures.trend`."""
    from galaxy_explorer.explorer.plots.figures import trend

    return printed(lambda: trend(columns), title, source, file_format)


def printed(make: Callable[[], Any], title: str, source: str, file_format: str) -> bytes:
    """A HoloViews figure as the bytes of a "png" (300 dpi), "svg" or "pdf" file.

    title: above the figure; source: the line below it, where it comes from. Neither is markup.
    """
    import holoviews as hv
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    with _ONE_AT_A_TIME, mpl.rc_context(FONTS):
        if threading.current_thread() is not threading.main_thread():
            plt.switch_backend("agg")  # windows belong to the main thread
        plot = hv.render(make(), backend="matplotlib")
        try:
            height = plot.get_size_inches()[1]
            box = plot.get_tightbbox()
            left = box.x0 / plot.get_size_inches()[0]
            plain = {"ha": "left", "parse_math": False}
            plot.text(left, (box.y1 + ABOVE) / height, title, va="bottom", size=8, **plain)
            plot.text(left, (box.y0 - BELOW) / height, source, va="top", size=5, color="#555555",
                      **plain)  # fmt: skip
            buffer = io.BytesIO()
            plot.savefig(
                buffer, format=file_format, dpi=DPI, bbox_inches="tight", pad_inches=0.05,
                metadata=UNDATED.get(file_format),
            )  # fmt: skip
        finally:
            plt.close(plot)
    return buffer.getvalue()
