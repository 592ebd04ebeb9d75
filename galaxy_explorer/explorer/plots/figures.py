"""Figures as HoloViews objects: the same one on the screen, in a notebook and in print.

Arrays to figures, no state. Each is drawn by Bokeh on the screen and, unchanged, by matplotlib in
print (`plots.print`). HoloViews with both of its painters takes 0.8 s of processor time to import:
pages that open later import this module, the landing page does not. Greys are legible on light and
on dark; axes take the colours of the theme.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import holoviews as hv
import holoviews.plotting.bokeh
import holoviews.plotting.mpl
import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.plots.palette import MIDDLE_GREY, SELECTION_COLOUR, describe
from galaxy_explorer.explorer.plots.ttype_histogram import (
    NO_T_PLACE,
    T_NAMES,
    T_VALUES,
    histogram_columns,
)

if TYPE_CHECKING:
    from galaxy_explorer.explorer.plots.colouring import Colouring
    from galaxy_explorer.explorer.plots.print import TrendColumn

hv.Store.set_current_backend("bokeh")


def load_into_notebook() -> None:
    """Bring what shows these figures into a notebook, from here and not from the network."""
    hv.extension("bokeh", inline=True, logo=False)


INK = {"text_color": MIDDLE_GREY, "text_font_size": "11px"}
PRINTED_INK = {"color": "#444444", "size": 6}
PRINTED = {
    "fig_inches": (4.5, 2.9),
    "aspect": "auto",
    "fontsize": {"labels": 7, "ticks": 6, "legend": 6},
    "legend_opts": {"frameon": False},
}
"""In print a figure is half a page wide, in inches, and its text has these points."""

LEGEND = {
    "border_line_color": None,
    "background_fill_alpha": 0,
    "label_text_font_size": "0.95em",
    "location": "top_left",
    "margin": 0,
    "padding": 0,
}
"""HoloViews' own place, a pair of numbers, and a margin lay the legend over the figure."""

GRID: dict[str, Any] = {
    "show_grid": True,
    "legend_position": "top",
    "legend_cols": 2,
    "legend_limit": 100,
}


def tooltip(*rows: tuple[str, str]) -> str:
    """What shows at the pointer: name and value of each row; a value names columns as "@count"."""
    return str(render("parts.tooltip", rows=rows))


def styled(
    element: Any,
    screen: Mapping[str, Any] | None = None,
    printed: Mapping[str, Any] | None = None,
    **both: Any,
) -> Any:
    """An element with options for the screen, for print, and for both."""
    element.opts(**both, **(screen or {}), backend="bokeh")
    return element.opts(**both, **(printed or {}), backend="matplotlib")


def framed(
    elements: Sequence[Any],
    words: str,
    *,
    height: int,
    tools: Sequence[str] = (),
    printed: Mapping[str, Any] | None = None,
    **both: Any,
) -> Any:
    """Elements over each other in one frame; words: what it shows, for those who cannot see it."""

    def tell(plot: Any, _: Any) -> None:
        if words not in plot.state.tags:
            plot.state.tags = [words]
            describe(plot.state, words)
            plot.state.toolbar.logo = None
            plot.state.axis.axis_label_text_font_style = "normal"

    # With an aspect of its own a figure is as high as asked for and as wide as that makes it.
    own = "data_aspect" in both
    size = {"frame_height": height} if own else {"responsive": True, "height": height}
    screen = {
        **size, "default_tools": list(tools), "active_tools": [],
        "toolbar": "above" if tools else None, "hooks": [tell], "legend_opts": LEGEND,
        "shared_axes": False,
    }  # fmt: skip
    for element in elements:
        element.opts(default_tools=list(tools), active_tools=[], backend="bokeh")
    return styled(hv.Overlay(list(elements)), screen, {**PRINTED, **(printed or {})}, **both)


def intervals(
    x: NDArray[Any], y: NDArray[Any], low: NDArray[Any], high: NDArray[Any], **options: bool
) -> Any:
    """Intervals from low to high of points, upright or horizontal."""
    values = x if options else y
    bars = hv.ErrorBars((x, y, values - low, high - values), vdims=["y", "down", "up"], **options)
    printed = {"edgecolor": MIDDLE_GREY, "elinewidth": 0.6, "capsize": 2}
    return styled(bars, {"color": MIDDLE_GREY, "hooks": [_grey_heads]}, printed)


def _grey_heads(plot: Any, _: Any) -> None:
    for head in (plot.handles["glyph"].upper_head, plot.handles["glyph"].lower_head):
        head.size, head.line_color = 5, MIDDLE_GREY


def t_histogram(
    counts: ArrayLike, no_t: int, *, reference: ArrayLike | None = None, height: int = 200
) -> Any:
    """Histogram of the Hubble types of some galaxies, with its 95 % intervals.

    counts: (10,) galaxies with T = -3..6 (the ends hold what lies beyond); no_t: galaxies without a
    T, written as a number of their own. reference: counts (10,) of a larger sample, drawn as grey
    lines where it would lie with as many galaxies.
    """
    made = histogram_columns(counts, reference)
    t, count, low, high = (made[name] for name in ("t", "count", "low", "high"))
    columns = ["colour", "name", "count", "interval"]
    bars = styled(
        hv.Rectangles(
            (t - 0.43, 0 * t, t + 0.43, count, *(made[c] for c in columns)), vdims=columns
        ),
        {"color": "colour", "line_color": None, "tools": ["hover"], "hover_tooltips": tooltip(
            ("T @name", ""), ("@count galaxies", ""), ("95 % interval", "@interval galaxies"))},
        {"facecolor": "colour", "linewidth": 0},
    )  # fmt: skip
    lines = styled(
        hv.Segments((t - 0.48, made["expected"], t + 0.48, made["expected"])), {"line_width": 2},
        {"linewidth": 1}, color=MIDDLE_GREY,
    )  # fmt: skip
    places = np.array([*t, NO_T_PLACE])
    top = max(1.0, 1.18 * float(np.nanmax([high, made["expected"]])))
    heights = np.array([*high, 0.0]) + 0.03 * top
    texts = hv.Labels((places, heights, [*made["text"], f"{no_t:,}"]), vdims="text")
    numbers = styled(
        texts, {**INK, "text_baseline": "bottom"}, {**PRINTED_INK, "verticalalignment": "bottom"}
    )
    return framed(
        [bars, lines, intervals(t, count, low, high), numbers],
        "Histogram of the Hubble types T, with 95 % intervals", height=height,
        xlabel="early  ←  Hubble type T  →  late", ylabel="galaxies",
        xlim=(-3.7, NO_T_PLACE + 1.2), ylim=(0, top), show_grid=False,
        xticks=[*zip(T_VALUES, T_NAMES, strict=True), (NO_T_PLACE, "no T")],
    )  # fmt: skip


LINE_COLOUR = "#2b8be0"


def contingency_table(
    columns: Mapping[str, Any],
    left: Sequence[int],
    right: Sequence[int],
    on_cell: Callable[[int, int], None] | None = None,
) -> Any:
    """Galaxies that a cluster of one clustering and a cluster of another share.

    columns: of `cell_columns`; left, right: ids of the clusters from bottom and from left. The
    stronger a cell, the larger its share of the left cluster's galaxies, by the square root.
    on_cell: called with the two clusters of a cell that is clicked.
    """
    x, y = np.asarray(columns["x"]), np.asarray(columns["y"])
    # Bokeh calls the edges of a rectangle left and right: the clusters need other names.
    told = {"left_cluster": columns["left"], "right_cluster": columns["right"]}
    told |= {name: columns[name] for name in ("strength", "count", "of_left", "of_right")}
    corners = (x - 0.47, y - 0.47, x + 0.47, y + 0.47)
    cells = styled(
        hv.Rectangles((*corners, *told.values()), vdims=[*told]),
        {"line_color": None, "fill_alpha": "strength", "tools": ["hover", "tap"],
         "nonselection_fill_alpha": "strength", "nonselection_line_color": None,
         "selection_color": SELECTION_COLOUR, "selection_fill_alpha": 1.0, "hover_tooltips":
         tooltip(("@count{0,0} galaxies in both,", ""),
                 ("of @of_left{0,0} in", "left cluster @left_cluster"),
                 ("of @of_right{0,0} in", "right cluster @right_cluster"))},
        {"linewidth": 0, "alpha": "strength"}, color=LINE_COLOUR,
    )  # fmt: skip
    if on_cell is not None:

        def tell(index: Sequence[int]) -> None:
            if len(index) == 1 and 0 <= index[0] < len(x):
                on_cell(int(columns["left"][index[0]]), int(columns["right"][index[0]]))

        hv.streams.Selection1D(source=cells).add_subscriber(tell)
    ticks = {
        axis: [(place, str(ids[place])) for place in range(0, len(ids), max(1, len(ids) // 8))]
        for axis, ids in (("xticks", right), ("yticks", left))
    }
    return framed(
        [cells], "Galaxies that a cluster of one model and a cluster of the other share",
        height=420, tools=("box_zoom", "reset"), printed={"fig_inches": (4.5, 4.2)},
        xlabel="right: cluster, early → late", ylabel="left: cluster, early → late",
        xlim=(-0.6, len(right) - 0.4), ylim=(-0.6, len(left) - 0.4), show_grid=False, **ticks,
    )  # fmt: skip


LEAST_FLOW = 0.02


def flow(
    table: NDArray[np.int64], orders: Sequence[Sequence[int]], colours: Sequence[Sequence[str]]
) -> Any:
    """A Sankey diagram: where the galaxies of each cluster of a clustering are in another one.

    table: galaxies in cluster i of the left and j of the right one; of either side, orders: ids of
    the clusters from top to bottom, and colours: of each cluster. Flows of less than LEAST_FLOW of
    both of their clusters are left out.
    """
    sizes, n = (table.sum(1), table.sum(0)), int(table.sum())
    tops = [_tops(size, order, n) for size, order in zip(sizes, orders, strict=True)]
    left, right = (dict(found) for found in tops)
    ribbons, blend = [], (1 - np.cos(np.pi * np.linspace(0, 1, 25))) / 2
    x = NODE + (1 - 2 * NODE) * np.linspace(0, 1, 25)
    for i in orders[0]:
        for j in orders[1]:
            count = int(table[i, j])
            if count >= LEAST_FLOW * max(sizes[0][i], sizes[1][j]) and count:
                y = left[i] + (right[j] - left[i]) * blend
                ribbons.append({
                    "x": np.concatenate([x, x[::-1]]), "y": np.concatenate([y, (y - count)[::-1]]),
                    "left": i, "right": j, "count": count, "colour": colours[0][i],
                })  # fmt: skip
            left[i] -= count
            right[j] -= count
    names = ["left", "right", "count", "colour"]
    flows = styled(
        hv.Polygons(ribbons, vdims=names), {"fill_alpha": 0.5, "line_color": None,
        "tools": ["hover"], "hover_tooltips": tooltip(
            ("@count{0,0} galaxies", ""), ("left cluster", "@left"), ("right cluster", "@right"))},
        {"alpha": 0.5, "linewidth": 0}, color="colour",
    )  # fmt: skip
    nodes = [
        (place - NODE, top - sizes[place][i], place + NODE, top, colours[place][i], i)
        for place, found in enumerate(tops)
        for i, top in found.items()
    ]
    boxes = styled(hv.Rectangles(nodes, vdims=["colour", "id"]), {"line_color": None},
                   {"linewidth": 0}, color="colour")  # fmt: skip
    large = [
        (x1 + NODE if x1 > 1 else x0 - NODE, (y0 + y1) / 2, str(i))
        for x0, y0, x1, y1, _, i in nodes
        if y1 - y0 > n / 50
    ]
    numbers = styled(hv.Labels(large, vdims="text"), INK, PRINTED_INK)
    return framed(
        [flows, boxes, numbers], "Where the galaxies of each cluster on the left go on the right",
        height=420, printed={"fig_inches": (4.5, 5.5)}, show_frame=False, xaxis=None, yaxis=None,
        xlim=(-0.15, 1.15),
    )  # fmt: skip


NODE = 0.05
"""Half the width of a cluster in a diagram of flows, as a share of the way to the next."""


def _tops(size: NDArray[np.int64], order: Sequence[int], n: int) -> dict[int, float]:
    """Upper ends of clusters of these sizes that stand below each other, a little apart."""
    gap = 0.2 * n / max(1, len(order))
    found, y = {}, n + 0.2 * n
    for i in order:
        found[i] = y
        y -= float(size[i]) + gap
    return found


def merger_tree(branches: Sequence[Sequence[Any]], cut: float | None, words: str = "") -> Any:
    """Ward's tree of mergers; branches: of `pages.clusters.branches`, coloured by mean T.

    cut: the height where it is cut, drawn as a dashed line with words.
    """
    paths = [
        {"x": [x, x, (x1 + x2) / 2], "y": [low, y, y], "colour": colour}
        for x1, x2, y1, y2, y, left, right in branches
        for x, low, colour in ((x1, y1, left), (x2, y2, right))
    ]
    tree = styled(hv.Contours(paths, vdims="colour"), {"line_width": 1.5}, {"linewidth": 0.8},
                  color="colour")  # fmt: skip
    parts = [tree]
    if cut is not None:
        line = styled(hv.Curve([(0, cut), (1, cut)]), {"line_dash": "dashed", "line_width": 2},
                      {"linestyle": "--", "linewidth": 1}, color=SELECTION_COLOUR)  # fmt: skip
        ends = {"text_align": "right", "text_baseline": "bottom"}
        printed = {"horizontalalignment": "right", "verticalalignment": "bottom"}
        note = hv.Labels([(1, cut, words)], vdims="text")
        parts += [line, styled(note, {**INK, **ends}, {**PRINTED_INK, **printed})]
    return framed(
        parts, "Tree of mergers of the groups of galaxies", height=300, xaxis=None, yaxis=None,
        show_frame=False, xlim=(0, 1), ylim=(-0.02, 1.06), show_legend=False,
    )  # fmt: skip


TREND_HEIGHT = 0.9
"""Of the histograms, where a column is 1 wide and a picture 0.92."""
TREND_INCH = 0.88
"""A column in print: eight of them are 7.1 inches, the width of a page of two columns."""
SHARES = (0, 20, 40, 60, 80, 100)


def trend(columns: Sequence[TrendColumn]) -> Any:
    """Clusters side by side (report, Fig. 15): histograms of T above, typical members below.

    Bars are shares of the galaxies with a T, on one scale. Bars and text are vectors in print, the
    members are images of their own pixels.
    """
    shares = [100 * column.counts / max(1, column.counts.sum()) for column in columns]
    top = max(float(share.max()) for share in shares) or 100.0
    left = np.arange(10) * 0.092
    bars = [
        (at + x, 0.0, at + x + 0.08, TREND_HEIGHT * share / top, column.colour, name, share)
        for at, (column, own) in enumerate(zip(columns, shares, strict=True))
        for x, name, share in zip(left, T_NAMES, own, strict=True)
    ]
    ticks = [
        (at + left[place] + 0.04, -0.03, str(T_VALUES[place]).replace("-", "−"))
        for at in range(len(columns))
        for place in (0, 4, 8)
    ]
    scale = [(-0.04, TREND_HEIGHT * at / top, f"{at} %") for at in SHARES if at <= top]
    titles = [(at + 0.46, TREND_HEIGHT + 0.06, column.title) for at, column in enumerate(columns)]
    wide, rows = len(columns) + 1.0, max(len(column.pictures) for column in columns)
    high = rows + TREND_HEIGHT + 0.8
    return framed(
        [
            styled(hv.Rectangles(bars, vdims=["colour", "name", "share"]),
                   {"line_color": None, "tools": ["hover"], "hover_tooltips": tooltip(
                       ("T @name", ""), ("@share{0.0} %", "of those with a T"))},
                   {"linewidth": 0}, color="colour"),
            _members([column.pictures for column in columns]),
            _texts(ticks, "center", "top"), _texts(scale, "right", "center"),
            _texts([(-0.42, TREND_HEIGHT / 2, "of those\nwith a T")], "right", "center"),
            _texts([(-0.15, -0.03, "Hubble type T")], "right", "top"),
            _texts(titles, "center", "bottom"),
        ],
        "Clusters from early to late: Hubble types above, typical members below",
        height=round(90 * high), xaxis=None, yaxis=None, show_frame=False, data_aspect=1,
        xlim=(-1, len(columns)), ylim=(-0.25 - rows, TREND_HEIGHT + 0.55),
        printed={"fig_inches": (TREND_INCH * wide, TREND_INCH * high), "aspect": "equal"},
    )  # fmt: skip


def _texts(places: Sequence[tuple[Any, ...]], across: str, upright: str) -> Any:
    """Small texts (x, y, text), which lie so to their places."""
    middle = {"center": "middle"}.get(upright, upright)
    return styled(
        hv.Labels(list(places), vdims="text"),
        {**INK, "text_align": across, "text_baseline": middle},
        {**PRINTED_INK, "horizontalalignment": across, "verticalalignment": upright},
    )


def _members(columns: Sequence[NDArray[np.uint8]]) -> Any:
    """Pictures of each column below each other, as one image whose gaps are transparent."""
    side, rows = columns[0].shape[1], max(map(len, columns))
    step = side + max(1, round(0.09 * side))
    sheet = np.zeros((rows * step, len(columns) * step, 4), np.uint8)
    for at, pictures in enumerate(columns):
        for row, picture in enumerate(pictures):
            place = (slice(row * step, row * step + side), slice(at * step, at * step + side))
            sheet[place] = np.dstack([picture, np.full((side, side), 255, np.uint8)])
    bounds = (0, -0.22 - rows, len(columns), -0.22)
    # The pictures keep their pixels: none is mixed with its neighbour.
    return styled(hv.RGB(sheet, bounds=bounds), {}, {"interpolation": "none"})


MOST_POINTS = 250_000
"""Galaxies above which the map is an image: a point each would be 10 MB and too slow to draw."""
MAP_PIXELS = 600


def galaxy_map(
    coordinates: NDArray[Any], colouring: Colouring, rows: NDArray[np.int64], *, height: int = 520
) -> Any:
    """The map: all galaxies as points in their colours, those in rows ringed.

    coordinates: (N, 2). Above MOST_POINTS the galaxies are counted into an image of the mean colour
    and the density (logarithm) at each place.
    """
    x, y = np.asarray(coordinates, np.float64).T
    everything = np.arange(len(x))
    if len(x) > MOST_POINTS:
        galaxies = _density(x, y, colouring.rgb(everything))
    else:
        hexes = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colouring.rgb(everything).tolist()]
        galaxies = styled(
            hv.Points((x, y, hexes), vdims="colour"), {"size": 3, "line_color": None},
            {"s": 1, "linewidth": 0, "hooks": [_as_pixels]}, color="colour",
        )  # fmt: skip
    rings = styled(
        hv.Points((x[rows], y[rows])),
        {"size": 7, "fill_color": None, "line_color": SELECTION_COLOUR, "line_width": 1.5},
        {"s": 8, "facecolors": "none", "edgecolors": SELECTION_COLOUR, "linewidth": 0.6},
    )  # fmt: skip
    words = f"Map of {len(x):,} galaxies, neighbours look alike; {len(rows):,} selected"
    return framed(
        [galaxies, rings], words, height=height, tools=("pan", "wheel_zoom", "box_zoom", "reset"),
        printed={"fig_inches": 4.5, "aspect": "equal"}, xaxis=None, yaxis=None, data_aspect=1,
        show_frame=False,
    )  # fmt: skip


def _as_pixels(plot: Any, _: Any) -> None:
    """Thousands of points are pixels in print; everything else stays vectors."""
    plot.handles["artist"].set_rasterized(len(plot.current_frame) > 2000)


def _density(x: NDArray[Any], y: NDArray[Any], colours: NDArray[np.uint8]) -> Any:
    """Points as an image: mean colour (N, 3) and logarithmic density of each pixel."""
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    unit = np.stack([x, y], axis=1) - low
    pixel = np.minimum(unit / np.maximum(high - low, 1e-9) * MAP_PIXELS, MAP_PIXELS - 1)
    column, line = pixel.astype(np.int64).T
    place = (MAP_PIXELS - 1 - line) * MAP_PIXELS + column
    count = np.bincount(place, minlength=MAP_PIXELS**2)
    image = np.zeros((MAP_PIXELS**2, 4), np.uint8)
    for band in range(3):
        sums = np.bincount(place, colours[:, band], MAP_PIXELS**2)
        image[:, band] = sums / np.maximum(count, 1)
    strength = np.log1p(count) / np.log1p(max(1, count.max()))
    image[:, 3] = np.where(count > 0, 130 + 125 * strength, 0)
    shape = (MAP_PIXELS, MAP_PIXELS, 4)
    return styled(hv.RGB(image.reshape(shape), bounds=(low[0], low[1], high[0], high[1])))
