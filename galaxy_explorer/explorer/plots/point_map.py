"""The map where no server is, as in a notebook: one point a galaxy, all in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pictures.tiles import finest_side, unit_map
from galaxy_explorer.explorer.plots.colouring import Colouring
from galaxy_explorer.explorer.plots.galaxy_map import empty_map
from galaxy_explorer.explorer.plots.palette import CATEGORY_COLOURS, UNKNOWN_COLOUR, describe
from galaxy_explorer.explorer.wording import format_ttype

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.clustering.naming import ClusterName

TOOLS = "pan,wheel_zoom,box_zoom,lasso_select,box_select,tap,reset"
TOOLTIP_STYLE = (
    "background:#101b2d;color:#ffffff;margin:-6px;padding:8px;font-size:13px;line-height:1.4"
)


class PointMap:
    """The figure and the few things about it that change.

    galaxy_id (N,), ttype (N,) NaN unknown: shown on hover with the cluster.
    """

    def __init__(self, galaxy_id: ArrayLike, ttype: ArrayLike) -> None:
        n = len(np.asarray(galaxy_id))
        empty = np.zeros(n, np.float32)
        self.source = ColumnDataSource(
            {
                "x": empty,
                "y": empty,
                "colour": empty,
                "cluster": np.zeros(n, np.int16),
                "t": [format_ttype(float(t)) for t in np.asarray(ttype, np.float64)],
                "id": np.asarray(galaxy_id, str).tolist(),
            },
            name="galaxies",
        )
        self._called = ColumnDataSource(tags=[])
        self._mapper = LinearColorMapper(palette=list(CATEGORY_COLOURS), nan_color=UNKNOWN_COLOUR)
        self.figure = empty_map(1 / finest_side(n), TOOLS)
        self.figure.match_aspect = True
        self.figure.output_backend = "webgl"
        points = self.figure.scatter(
            "x",
            "y",
            source=self.source,
            size=4.5,
            fill_color={"field": "colour", "transform": self._mapper},
            line_color=None,
            fill_alpha=0.85,
            nonselection_fill_alpha=0.12,
            selection_fill_alpha=1.0,
        )
        code = 'return [value, called.tags[value]].join(", ")'
        words = CustomJSHover(args={"called": self._called}, code=code)
        tooltip = str(render("map.tooltip", style=TOOLTIP_STYLE))
        hover = HoverTool(
            renderers=[points],
            limit=1,
            attachment="horizontal",
            formatters={"@cluster": words},
            tooltips=tooltip,
        )
        self.figure.add_tools(hover)
        describe(self.figure, f"Map of {n:,} galaxies, neighbours look alike")

    def place(
        self, clustering: Clustering, colours: Colouring, names: Sequence[ClusterName]
    ) -> None:
        """Put the galaxies where a clustering's map has them, with its clusters and their names."""
        self._called.tags = [one.name for one in names]
        self._mapper.update(palette=list(colours.palette), low=colours.low, high=colours.high)
        points = unit_map(clustering.coordinates).astype(np.float32)
        self.source.data.update(
            x=points[:, 0],
            y=points[:, 1],
            cluster=clustering.labels.astype(np.int16),
            colour=colours.values,
        )

    def highlight(self, rows: NDArray[np.int64]) -> None:
        """Show these rows as selected."""
        indices = rows.tolist()
        if self.source.selected.indices != indices:
            self.source.selected.indices = indices
