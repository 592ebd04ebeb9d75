"""Synthetic galaxies on the map: each at the place that the model gives it, framed and named so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import Ghosts

SIDE = 46
"""Screen pixels of a picture, at every zoom."""
AMBER, INK = "#ffb000", "#1a1200"
COLUMNS = ("x", "y", "picture", "words")


class GhostLayer:
    """What lies above the map of a figure; empty until `show`."""

    def __init__(self, plot: figure) -> None:
        self.source = ColumnDataSource({name: [] for name in COLUMNS}, name="ghosts")
        common = {"source": self.source, "level": "overlay"}
        plot.scatter(
            "x", "y", marker="square", size=SIDE + 5, fill_color=AMBER, line_color=AMBER, **common
        )
        plot.image_url(
            "picture", "x", "y", w=SIDE, h=SIDE, w_units="screen", h_units="screen",
            anchor="center", **common,
        )  # fmt: skip
        plot.text(
            "x", "y", text={"value": "SYNTHETIC"}, y_offset=SIDE // 2 + 2, text_align="center",
            text_baseline="top", text_font_size="9px", text_font_style="bold", text_color=INK,
            background_fill_color=AMBER, padding=2, **common,
        )  # fmt: skip

    def show(self, ghosts: Ghosts | None, clustering: str) -> None:
        """Show galaxies that were placed on the map of a clustering; others belong elsewhere."""
        here = ghosts if ghosts is not None and ghosts.clustering == clustering else None
        if here is None:
            self.source.data = {name: [] for name in COLUMNS}
            return
        self.source.data = {
            "x": here.places[:, 0].tolist(), "y": here.places[:, 1].tolist(),
            "picture": list(here.pictures), "words": list(here.words),
        }  # fmt: skip
