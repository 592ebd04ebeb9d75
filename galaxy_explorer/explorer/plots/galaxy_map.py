"""The map of galaxies as a Bokeh figure, made of tiles. No state, no widgets.

Galaxies themselves, framed in their colours, at every zoom: the deeper, the more and the larger;
beneath them all galaxies glow as dots. Both come as tiles of pictures, so that the browser holds as
much of a million galaxies as of a thousand. Pan and zoom happen in the browser alone; who is
pointed at is asked for then; a region goes to the server once, as its outline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    BooleanFilter,
    BoxSelectTool,
    CDSView,
    ColumnDataSource,
    CustomJS,
    GlyphRenderer,
    LassoSelectTool,
    Range1d,
    TileRenderer,
    TMSTileSource,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from galaxy_explorer.explorer.assets import asset
from galaxy_explorer.explorer.pictures.tiles import (
    FIRST_CELLS,
    MAX_ZOOM,
    TilePyramid,
    cells_along,
    finest_side,
    unit_map,
)
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR, describe

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle
    from galaxy_explorer.clustering.naming import ClusterName

TILE_PIXELS = 256
"""Screen pixels along a tile at its smallest; it is shown up to twice as large."""
CLOSEST_PIXELS = 240
"""Screen pixels, about, of a galaxy in the closest view."""
FRAME_PIXELS = 1000
"""Screen pixels, about, along the map before anybody has zoomed."""
LETTER, LINE = 7, 26
"""Screen pixels of a letter and of a line of a name, with what is free around them."""
NAME_ZOOMS = (0.3, 0.7, 1, 2, 4)
NEVER = 99
KEPT_CENTRES = 32
TOOLS = "pan,wheel_zoom,box_zoom,reset"
EVENTS = ("mousemove", "mouseleave", "tap", "selectiongeometry")


@lru_cache(KEPT_CENTRES)
def cluster_centres(bundle: Bundle, key: str) -> dict[int, NDArray[np.float64]]:
    """Where the name of each cluster is written on its map, the largest first: members' median."""
    clustering = bundle.clusterings[key]
    order = np.argsort(clustering.labels, kind="stable")
    clusters, first = np.unique(clustering.labels[order], return_index=True)
    points = unit_map(clustering.coordinates)
    members = sorted(
        zip(clusters, np.split(order, first[1:]), strict=True), key=lambda one: -len(one[1])
    )
    return {
        int(cluster): np.median(points[rows], axis=0) for cluster, rows in members if cluster >= 0
    }


def free_zooms(places: Sequence[NDArray[np.floating]], texts: Sequence[str]) -> list[float]:
    """The zoom, of NAME_ZOOMS, from which on each text covers none of those shown before it."""
    half = [np.array([LETTER * len(text) + LINE, LINE]) / 2 / FRAME_PIXELS for text in texts]
    zooms: list[float] = []
    for i, place in enumerate(places):
        first: float = NEVER
        for zoom in reversed(NAME_ZOOMS):
            shown = [j for j in range(i) if zooms[j] <= zoom]
            apart = [(np.abs(place - places[j]) * zoom >= half[i] + half[j]).any() for j in shown]
            if not all(apart):
                break
            first = zoom
        zooms.append(first)
    return zooms


class GalaxyMap:
    """The figure of a map of `n` galaxies and the few things about it that change.

    on_message: called with what a visitor does, see `map_pointer.js`.
    """

    def __init__(self, tiles: TilePyramid, on_message: Callable[[dict[str, Any]], None]) -> None:
        n = len(tiles.order)
        closest = FRAME_PIXELS / CLOSEST_PIXELS / finest_side(n)
        self.figure = empty_map(min(1.0, closest), TOOLS)
        for tool in (LassoSelectTool(continuous=False), BoxSelectTool(continuous=False)):
            self.figure.add_tools(tool)
        self._glow, self._mosaic = add_tiles(self.figure), add_tiles(self.figure)
        columns = ("x", "y", "text", "colour", "zoom", "cluster")
        self._mark_source = ColumnDataSource({"x": [], "y": []}, name="mark")
        self._mark = self.figure.rect(
            "x", "y", 0.01, 0.01, source=self._mark_source, fill_color=None, line_width=3,
            line_color=SELECTION_COLOUR, border_radius=6,
        )  # fmt: skip
        self._names_source = ColumnDataSource({name: [] for name in columns}, name="names")
        self._names = add_names(self.figure, self._names_source)
        self._addresses = ColumnDataSource(tags=["", ""])
        outlet = ColumnDataSource(tags=[], name="asked")

        def hear(_attribute: str, _old: list[Any], new: list[Any]) -> None:
            for message in new:
                on_message(message)

        outlet.on_change("tags", hear)
        plot = self.figure
        cells = [cells_along(zoom, n) for zoom in range(MAX_ZOOM + 1)]
        arguments = {
            "plot": plot, "mosaic": self._mosaic, "glow": self._glow, "names": self._names,
            "cells": cells,
        }  # fmt: skip
        home = [float(end) for end in tiles.extent]
        follow = CustomJS(
            args={**arguments, "mark": self._mark, "home": home}, code=asset("map_view.js")
        )
        for owner, name in (
            (plot, "inner_width"),
            (plot, "inner_height"),
            (self._names_source, "data"),
            (self._mark_source, "data"),
            (self._mosaic, "visible"),
        ):
            owner.js_on_change(name, follow)
        plot.js_on_event("rangesupdate", follow)
        point = CustomJS(
            args={**arguments, "addresses": self._addresses, "outlet": outlet},
            code=asset("map_pointer.js"),
        )
        for event in EVENTS:
            plot.js_on_event(event, point)
        words = f"Map of {n:,} galaxies, neighbours look alike; the drawer beside it lists them"
        describe(plot, words)

    def name(
        self,
        places: dict[int, NDArray[Any]],
        names: Sequence[ClusterName],
        colours: Sequence[str],
    ) -> None:
        """Write the names of clusters at these places of the unit map, those before others first.

        names, colours: of each cluster, by its number. Between two rows of galaxies, and each from
        the zoom on at which it covers none before it.
        """
        # Padding of Bokeh's would lie on one side of the text alone.
        texts = [f"\u2002{names[cluster].name}\u2002" for cluster in places]
        rows = max(FIRST_CELLS.values())
        between = [np.array([x, np.round(y * rows) / rows]) for x, y in places.values()]
        self._names_source.data = {
            "x": [float(place[0]) for place in between],
            "y": [float(place[1]) for place in between],
            "text": texts,
            "colour": [colours[cluster] for cluster in places],
            "zoom": free_zooms(between, texts),
            "cluster": [*places],
        }

    def mark(self, place: NDArray[np.floating] | None) -> None:
        """Frame the picture of the galaxy at a place of the unit map; None: of none."""
        ends = ([], []) if place is None else ([float(place[0])], [float(place[1])])
        self._mark_source.data = dict(zip("xy", ends, strict=True))

    def show(self, tiles: str, glow: str, cell: str, picture: str) -> None:
        """Take everything from these addresses: tiles; of one cell; of one picture ("@row")."""
        for renderer, url in ((self._mosaic, tiles), (self._glow, glow)):
            if renderer.tile_source.url != url:
                renderer.tile_source.url = url
        self._addresses.tags = [cell, picture]

    def show_pictures(self, *, on: bool) -> None:
        """Show the galaxies themselves, or their dots alone."""
        self._mosaic.visible = on


def empty_map(closest: float, tools: str) -> figure:
    """The map without galaxies; `closest`: the smallest width of the view, of a map of width 1."""
    extent: dict[str, Any] = {"bounds": (-1.5, 2.5), "min_interval": closest, "max_interval": 3}
    plot = figure(
        x_range=Range1d(0, 1, **extent),
        y_range=Range1d(0, 1, **extent),
        name="map",
        tools=tools,
        active_scroll="wheel_zoom",
        active_drag="pan",
        toolbar_location="left",
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


def add_tiles(plot: figure) -> TileRenderer:
    """A layer of tiles; nothing is asked for before it has an address."""
    source = TMSTileSource(
        url="",
        tile_size=TILE_PIXELS,
        initial_resolution=1 / TILE_PIXELS,
        x_origin_offset=0,
        y_origin_offset=0,
        max_zoom=MAX_ZOOM,
        wrap_around=False,
    )
    tiles = TileRenderer(tile_source=source, level="underlay")
    plot.renderers.append(tiles)
    return tiles


def add_names(plot: figure, source: ColumnDataSource) -> GlyphRenderer:
    """The names of the clusters; which of them are shown follows the zoom."""
    return plot.text(
        "x",
        "y",
        "text",
        source=source,
        view=CDSView(filter=BooleanFilter([])),
        text_align="center",
        text_baseline="middle",
        text_font={"value": "Roboto, sans-serif"},
        text_font_size="11.5px",
        text_font_style="bold",
        text_color="#ffffff",
        background_fill_color="#0a0e16",
        background_fill_alpha=0.62,
        border_line_color="colour",
        border_line_width=1,
        border_radius=8,
        padding=(1, 0),
    )
