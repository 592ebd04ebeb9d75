"""The map of galaxies as a Bokeh figure, and what colours its points. No state, no widgets.

Far out every galaxy is a point; near by the galaxies themselves appear, from tiles of pictures
under the points. That change, pan and zoom happen in the browser alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    CustomJSHover,
    GlyphRenderer,
    HoverTool,
    LinearColorMapper,
    Range1d,
    TapTool,
    TileRenderer,
    TMSTileSource,
)
from bokeh.plotting import figure
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.explorer.assets import asset, render
from galaxy_explorer.explorer.pictures.stamps import (
    MAX_ZOOM,
    MOST_CELLS,
    finest_side,
    ranking,
    unit_map,
)
from galaxy_explorer.explorer.plots.colouring import Colouring
from galaxy_explorer.explorer.plots.palette import (
    CLUSTER_COLOURS,
    SELECTION_COLOUR,
    UNKNOWN_COLOUR,
    cluster_colour,
    describe,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.clustering.naming import ClusterName

BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""Address of a transparent picture: nothing is asked of the server before it is shown."""
TILE_PIXELS = 256
CLOSEST = 3.2
"""Smallest width of the view: the map's, times this, over the root of the number of galaxies.
The finest cells of the pictures are some 120 screen pixels wide then."""
TOOLS = "pan,wheel_zoom,box_zoom,lasso_select,box_select,tap,reset"
TOOLTIP_STYLE = (
    "background:#101b2d;color:#ffffff;margin:-6px;padding:8px;font-size:13px;line-height:1.4"
)


def tooltip(picture: str = "") -> str:
    """What is shown of a galaxy that is pointed at, as HTML; picture: its address, if any."""
    return str(render("map.tooltip", style=TOOLTIP_STYLE, picture=picture))


def centres(points: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, list[Any]]:
    """Where the number of each cluster is written: the median of its members."""
    clusters = [int(cluster) for cluster in np.unique(labels) if cluster >= 0]
    middle = [np.median(points[labels == cluster], axis=0) for cluster in clusters]
    return {
        "x": [float(place[0]) for place in middle],
        "y": [float(place[1]) for place in middle],
        "text": [str(cluster) for cluster in clusters],
        "colour": [cluster_colour(cluster) for cluster in clusters],
    }


def format_ttypes(ttype: ArrayLike) -> list[str]:
    """Hubble types as the tooltip shows them: "T −2.5", "no T"."""
    known = np.asarray(ttype, np.float64)
    return ["no T" if np.isnan(t) else f"T {t:g}".replace("-", "−") for t in known]


class GalaxyMap:
    """The figure of the map and the few things about it that change.

    galaxy_id (N,), ttype (N,) NaN unknown: shown on hover with the picture and the cluster.
    """

    def __init__(self, galaxy_id: ArrayLike, ttype: ArrayLike) -> None:
        self.n = len(np.asarray(galaxy_id))
        empty = np.zeros(self.n, np.float32)
        self.source = ColumnDataSource(
            {
                "x": empty,
                "y": empty,
                "colour": empty,
                "row": np.arange(self.n, dtype=np.int32),
                "cluster": np.zeros(self.n, np.int16),
                "t": format_ttypes(ttype),
                "id": np.asarray(galaxy_id, str).tolist(),
            },
            name="galaxies",
        )
        self._names_source = ColumnDataSource({"x": [], "y": [], "text": [], "colour": []})
        self._ranking = ColumnDataSource({"row": np.arange(self.n, dtype=np.int32)})
        self._address = ColumnDataSource(tags=[BLANK])
        self._called = ColumnDataSource(tags=[])
        self._mapper = LinearColorMapper(palette=list(CLUSTER_COLOURS), nan_color=UNKNOWN_COLOUR)
        self.figure = empty_map(min(1.0, CLOSEST / max(1.0, math.sqrt(self.n))))
        self._mosaic = add_mosaic(self.figure)
        self._points = add_points(self.figure, self.source, self._mapper)
        self._cells = add_cells(self.figure)
        self._names = add_names(self.figure, self._names_source)
        self._hover = add_hover(self.figure, [self._points, self._cells], self._called)
        self._follow_zoom()
        words = f"Map of {self.n:,} galaxies, neighbours look alike; Find and Clusters list them"
        describe(self.figure, words)

    def _follow_zoom(self) -> None:
        plot, tap = self.figure, self.figure.select_one(TapTool)
        tap.renderers = [self._points, self._cells]
        cell_source = self._cells.data_source
        arguments = {
            "plot": plot,
            "tiles": self._mosaic.tile_source,
            "mosaic": self._mosaic,
            "points": self._points,
            "cells": self._cells,
            "names": self._names,
            "source": self.source,
            "cell_source": cell_source,
            "hover": self._hover,
            "tap": tap,
            "address": self._address,
            "blank": BLANK,
            "ranking": self._ranking,
            "finest": finest_side(self.n),
            "most": MOST_CELLS,
        }
        callback = CustomJS(args=arguments, code=asset("level_of_detail.js"))
        for owner, name in (
            (plot.x_range, "end"),
            (plot, "inner_width"),
            (plot, "inner_height"),
            (self._address, "tags"),
            (self.source.selected, "indices"),
        ):
            owner.js_on_change(name, callback)
        tapped = CustomJS(
            args={"cell_source": cell_source, "source": self.source},
            code=asset("tap_picture.js"),
        )
        cell_source.selected.js_on_change("indices", tapped)

    def place(
        self, clustering: Clustering, colours: Colouring, names: Sequence[ClusterName]
    ) -> None:
        """Put the galaxies where a clustering's map has them, with its clusters and their names."""
        self._called.tags = [one.name for one in names]
        points, labels = unit_map(clustering.coordinates), clustering.labels
        order = ranking(clustering.responsibility).astype(np.int32)
        self._names_source.data = centres(points, labels)
        self._ranking.data = {"row": order}
        self.colour(colours)
        self.source.data.update(
            x=points[:, 0].astype(np.float32),
            y=points[:, 1].astype(np.float32),
            cluster=labels.astype(np.int16),
        )

    def colour(self, colours: Colouring) -> None:
        """Colour the galaxies."""
        self._mapper.update(palette=list(colours.palette), low=colours.low, high=colours.high)
        self.source.data["colour"] = colours.values

    def show(self, tile_address: str, picture_address: str) -> None:
        """Take the pictures from these addresses: tiles, and one picture on hover ("@row")."""
        self._address.tags = [tile_address]
        self._hover.tooltips = tooltip(picture_address)

    def highlight(self, rows: NDArray[np.int64]) -> None:
        """Show these rows as selected."""
        indices = rows.tolist()
        if self.source.selected.indices != indices:
            self.source.selected.indices = indices


def empty_map(closest: float) -> figure:
    """The map without galaxies; `closest`: the smallest width of the view, of a map of width 1."""
    extent: dict[str, Any] = {"bounds": (-1.5, 2.5), "min_interval": closest, "max_interval": 3}
    plot = figure(
        x_range=Range1d(0, 1, **extent),
        y_range=Range1d(0, 1, **extent),
        name="map",
        tools=TOOLS,
        active_scroll="wheel_zoom",
        active_drag="pan",
        toolbar_location="left",
        output_backend="webgl",
        sizing_mode="stretch_both",
        lod_threshold=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border=0,
    )
    plot.axis.visible = False
    plot.grid.visible = False
    plot.toolbar.logo = None
    return plot


def add_mosaic(plot: figure) -> TileRenderer:
    """The pictures under the points; nothing is asked for before an address is set."""
    source = TMSTileSource(
        url=BLANK,
        tile_size=TILE_PIXELS,
        initial_resolution=1 / TILE_PIXELS,
        x_origin_offset=0,
        y_origin_offset=0,
        max_zoom=MAX_ZOOM,
        wrap_around=False,
    )
    mosaic = TileRenderer(tile_source=source, alpha=0.0, level="underlay")
    plot.renderers.append(mosaic)
    return mosaic


def add_points(plot: figure, source: ColumnDataSource, mapper: LinearColorMapper) -> GlyphRenderer:
    """One point a galaxy."""
    colour = {"field": "colour", "transform": mapper}
    points = plot.scatter(
        "x",
        "y",
        source=source,
        size=4.5,
        fill_color=colour,
        line_color=None,
        fill_alpha=0.85,
        nonselection_fill_alpha=0.12,
        selection_fill_alpha=1.0,
    )
    points.tags = [0]
    return points


def add_cells(plot: figure) -> GlyphRenderer:
    """The squares on the pictures: a ring around the selected, a veil over the others."""
    columns = ("x", "y", "side", "row", "id", "t", "cluster", "ring", "veil")
    cells = plot.rect(
        "x",
        "y",
        width="side",
        height="side",
        source=ColumnDataSource({name: [] for name in columns}, name="cells"),
        fill_color="#05070c",
        fill_alpha="veil",
        line_color=SELECTION_COLOUR,
        line_alpha="ring",
        line_width=2,
        visible=False,
    )
    cells.nonselection_glyph = cells.selection_glyph = cells.glyph
    cells.tags = [""]
    return cells


def add_names(plot: figure, source: ColumnDataSource) -> GlyphRenderer:
    """The numbers of the clusters, shown while they do not hide the galaxies."""
    return plot.text(
        "x",
        "y",
        "text",
        source=source,
        anchor="center",
        text_font={"value": "Roboto, sans-serif"},
        text_font_size="14px",
        text_font_style="bold",
        text_color="#ffffff",
        background_fill_color="#0a0e16",
        background_fill_alpha=0.72,
        border_line_color="colour",
        border_line_width=2,
        border_radius=9,
        padding=(2, 7),
        visible=False,
    )


def add_hover(plot: figure, renderers: list[GlyphRenderer], called: ColumnDataSource) -> HoverTool:
    """One tooltip at a time, for a point or a picture; called: names of clusters, as its tags."""
    words = CustomJSHover(
        args={"called": called}, code='return [value, called.tags[value]].join(", ")'
    )
    hover = HoverTool(
        renderers=renderers,
        limit=1,
        attachment="horizontal",
        formatters={"@cluster": words},
    )
    plot.add_tools(hover)
    return hover
