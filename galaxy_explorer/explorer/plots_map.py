"""The map of galaxies as a Bokeh figure, and what colours its points. No state, no widgets.

Far out every galaxy is a point; near by the galaxies themselves appear, from tiles of pictures
under the points. That change, pan and zoom happen in the browser alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    CustomJSHover,
    GlyphRenderer,
    HoverTool,
    LinearColorMapper,
    Range1d,
    TileRenderer,
    TMSTileSource,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.explorer.palette import (
    CLUSTER_COLOURS,
    SELECTION_COLOUR,
    T_COLOURS,
    T_RANGE,
    UNKNOWN_COLOUR,
    category_colours,
)
from galaxy_explorer.explorer.tiles import MAX_ZOOM, unit_map

JAVASCRIPT = Path(__file__).parent / "js"
BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""Address of a transparent picture: nothing is asked of the server before it is shown."""
TILE_PIXELS = 256
CLOSEST = 1 / 256
"""Smallest width of the view, as a share of the map: a cell then is 250 screen pixels wide."""
COLOUR_PERCENTILES = (2, 98)
"""Limits of the colours of a numeric column: outliers must not take all the colours."""
TOOLS = "pan,wheel_zoom,box_zoom,lasso_select,box_select,tap,reset"
UNKNOWN_T = "return isNaN(value) ? 'unknown' : value.toFixed(1)"


@dataclass(frozen=True)
class Colouring:
    """Colour of each galaxy: values (N,) float32, NaN unknown, and the colours they run through.

    categories: names of whole values 0, 1, ...; empty for a numeric column between low and high.
    """

    values: NDArray[np.float32]
    palette: tuple[str, ...]
    low: float
    high: float
    categories: tuple[str, ...] = ()


def colouring(name: str, values: ArrayLike) -> Colouring:
    """The colouring by a column: "cluster", "ttype" (as T classes), numbers or words."""
    array = np.asarray(values)
    if name == "cluster":
        return _categories(array, CLUSTER_COLOURS, ())
    if name == "ttype":
        first, last = T_RANGE
        whole = np.clip(np.floor(array + 0.5), first, last) - first
        names = tuple(str(t) for t in range(first, last + 1))
        return _categories(whole, T_COLOURS, names)
    if array.dtype.kind in "iufb":
        numbers = array.astype(np.float32)
        known = numbers[np.isfinite(numbers)]
        low, high = np.percentile(known, COLOUR_PERCENTILES) if len(known) else (0.0, 1.0)
        return Colouring(numbers, tuple(Viridis256[24:]), float(low), max(float(high), low + 1e-9))
    words, codes = np.unique(array.astype(str), return_inverse=True)
    known_words = tuple(str(word) for word in words if word)
    codes = codes - (len(words) - len(known_words))
    return _categories(codes, tuple(category_colours(len(known_words))), known_words)


def _categories(codes: NDArray[Any], palette: tuple[str, ...], names: tuple[str, ...]) -> Colouring:
    values = np.where(codes >= 0, codes % max(1, len(palette)), np.nan).astype(np.float32)
    return Colouring(values, palette, -0.5, len(palette) - 0.5, names)


def centres(points: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, list[Any]]:
    """Where the number of each cluster is written: the median of its members."""
    clusters = [int(cluster) for cluster in np.unique(labels) if cluster >= 0]
    middle = [np.median(points[labels == cluster], axis=0) for cluster in clusters]
    return {
        "x": [float(place[0]) for place in middle],
        "y": [float(place[1]) for place in middle],
        "text": [str(cluster) for cluster in clusters],
    }


class GalaxyMap:
    """The figure of the map and the few things about it that change.

    galaxy_id (N,), ttype (N,) NaN unknown: shown on hover with the picture and the cluster.
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
                "t": np.asarray(ttype, np.float32),
                "id": np.asarray(galaxy_id, str).tolist(),
            }
        )
        self.names = ColumnDataSource({"x": [], "y": [], "text": []})
        self.mapper = LinearColorMapper(palette=list(CLUSTER_COLOURS), nan_color=UNKNOWN_COLOUR)
        self.figure = _empty_figure()
        self.tiles = TMSTileSource(
            url=BLANK,
            tile_size=TILE_PIXELS,
            initial_resolution=1 / TILE_PIXELS,
            x_origin_offset=0,
            y_origin_offset=0,
            max_zoom=MAX_ZOOM,
            wrap_around=False,
        )
        self._mosaic = TileRenderer(tile_source=self.tiles, alpha=0.0, level="underlay")
        self.figure.renderers.append(self._mosaic)
        self._points = self._add_points()
        self._names = self._add_names()
        self._address = ColumnDataSource(tags=[BLANK])
        self._hover = HoverTool(
            renderers=[self._points],
            limit=1,
            point_policy="snap_to_data",
            attachment="horizontal",
            formatters={"@t": CustomJSHover(code=UNKNOWN_T)},
        )
        self.figure.add_tools(self._hover)
        self._follow_zoom()

    def _add_points(self) -> GlyphRenderer:
        colour = {"field": "colour", "transform": self.mapper}
        points = self.figure.scatter(
            "x",
            "y",
            source=self.source,
            size=4.5,
            fill_color=colour,
            line_color=colour,
            fill_alpha=0.85,
            line_alpha=0.0,
            line_width=1.5,
            nonselection_fill_alpha=0.12,
            nonselection_line_alpha=0.0,
            selection_line_color=SELECTION_COLOUR,
            selection_line_alpha=1.0,
            selection_fill_alpha=1.0,
        )
        points.tags = [0]
        return points

    def _add_names(self) -> GlyphRenderer:
        return self.figure.text(
            "x",
            "y",
            "text",
            source=self.names,
            text_align="center",
            text_baseline="middle",
            text_font_size="15px",
            text_font_style="bold",
            text_color="#ffffff",
            text_outline_color="#10141c",
            visible=False,
        )

    def _follow_zoom(self) -> None:
        plot = self.figure
        code = (JAVASCRIPT / "level_of_detail.js").read_text(encoding="utf-8")
        callback = CustomJS(
            args={
                "plot": plot,
                "tiles": self.tiles,
                "mosaic": self._mosaic,
                "points": self._points,
                "names": self._names,
                "address": self._address,
                "blank": BLANK,
                "span": 1.0,
            },
            code=code,
        )
        for owner, name in (
            (plot.x_range, "end"),
            (plot, "inner_width"),
            (plot, "inner_height"),
            (self._address, "tags"),
        ):
            owner.js_on_change(name, callback)

    def place(
        self, coordinates: NDArray[np.floating], labels: NDArray[Any], colours: Colouring
    ) -> None:
        """Put the galaxies at their coordinates (N, 2) with their clusters (N,) and colours."""
        points = unit_map(coordinates)
        self.names.data = centres(points, labels)
        self.mapper.update(palette=list(colours.palette), low=colours.low, high=colours.high)
        self.source.data = {
            **self.source.data,
            "x": points[:, 0].astype(np.float32),
            "y": points[:, 1].astype(np.float32),
            "cluster": labels.astype(np.int16),
            "colour": colours.values,
        }

    def colour(self, colours: Colouring) -> None:
        """Colour the galaxies."""
        self.mapper.update(palette=list(colours.palette), low=colours.low, high=colours.high)
        self.source.data["colour"] = colours.values

    def show(self, tile_address: str, picture_address: str) -> None:
        """Take the pictures from these addresses: tiles, and one picture on hover ("$index")."""
        self._address.tags = [tile_address]
        self._hover.tooltips = (
            '<div class="thumbnail">'
            f'<img src="{picture_address}" width="128" height="128" alt="the galaxy">'
            "<div><b>@id</b></div><div>T @t{custom} · cluster @cluster</div></div>"
        )

    def highlight(self, rows: NDArray[np.int64]) -> None:
        """Show these rows as selected."""
        indices = rows.tolist()
        if self.source.selected.indices != indices:
            self.source.selected.indices = indices


def _empty_figure() -> figure:
    plot = figure(
        x_range=Range1d(0, 1, bounds=(-1.5, 2.5), min_interval=CLOSEST, max_interval=3),
        y_range=Range1d(0, 1, bounds=(-1.5, 2.5), min_interval=CLOSEST, max_interval=3),
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
