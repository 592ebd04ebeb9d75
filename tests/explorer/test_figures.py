"""Figures are one object for the screen and for print, and say what the arrays say."""

from __future__ import annotations

import io
import re

import holoviews as hv
import numpy as np
import pytest
from bokeh.models import HoverTool
from PIL import Image

from galaxy_explorer.bundle.evaluation import Band
from galaxy_explorer.explorer.plots import figures
from galaxy_explorer.explorer.plots.clusterings import cell_columns, compared, counted
from galaxy_explorer.explorer.plots.colouring import Colouring
from galaxy_explorer.explorer.plots.models import mtf, radial_profiles
from galaxy_explorer.explorer.plots.palette import T_COLOURS
from galaxy_explorer.explorer.plots.print import TrendColumn, printed
from galaxy_explorer.explorer.widgets.figures import MergerTreeView

COUNTS = np.array([3, 10, 40, 0, 20, 7, 80, 120, 60, 4])
PLACES = np.random.default_rng(0).random((50, 2))
COLOURS = Colouring(np.arange(50, dtype=np.float32) % 10, T_COLOURS, 0, 10)
BRANCHES = [
    [0.1, 0.3, 0, 0, 0.2, "#b72930", "#cd4630"],
    [0.5, 0.7, 0, 0, 0.5, "#62a8d0", "#2956bb"],
    [0.2, 0.6, 0.2, 0.5, 1.0, "#cd4630", "#62a8d0"],
]


def column(pictures: int) -> TrendColumn:
    return TrendColumn("cluster 1", COUNTS, "#b72930", np.full((pictures, 8, 8, 3), 200, np.uint8))


FIGURES = {
    "histogram": lambda: figures.t_histogram(COUNTS, 1234, reference=[10] * 10),
    "empty histogram": lambda: figures.t_histogram([0] * 10, 0),
    "map": lambda: figures.galaxy_map(PLACES, COLOURS, np.array([3, 7])),
    "trend": lambda: figures.trend([column(2), column(1)]),
    "tree": lambda: figures.merger_tree(BRANCHES, 0.4, "3 groups"),
    "profiles": lambda: radial_profiles({"truth": (np.arange(1.0, 9), np.arange(9.0, 1, -1))}),
    "mtf": lambda: mtf(Band(4.0, (0.0, 2.0, 8.0), (1.0, 0.5, 0.0))),
}


@pytest.mark.parametrize("name", FIGURES)
def test_one_object_is_drawn_on_the_screen_and_printed(name) -> None:
    figure = FIGURES[name]()
    screen = hv.render(figure, backend="bokeh")
    assert screen.renderers
    assert printed(lambda: figure, "a $title$", "where from", "pdf").startswith(b"%PDF")


@pytest.mark.parametrize("name", FIGURES)
def test_what_shows_at_the_pointer_is_dark_and_every_figure_has_words(name) -> None:
    plot = hv.render(FIGURES[name](), backend="bokeh")
    assert all("#101b2d" in tool.tooltips for tool in plot.select({"type": HoverTool}))
    assert plot.tags
    assert plot.js_property_callbacks  # the words reach the canvas


def test_the_tooltip_of_a_histogram_counts_and_never_mixes_in_shares() -> None:
    plot = hv.render(FIGURES["histogram"](), backend="bokeh")
    (tool,) = plot.select({"type": HoverTool})
    assert "galaxies" in tool.tooltips
    assert "%" not in tool.tooltips.replace("95 % interval", "")


def test_the_tooltip_of_a_cell_names_its_two_clusters() -> None:
    columns = cell_columns(np.array([[5, 0], [2, 9]]), [1, 0], [0, 1])
    plot = hv.render(figures.contingency_table(columns, [1, 0], [0, 1]), backend="bokeh")
    (tool,) = plot.select({"type": HoverTool})
    data = plot.renderers[0].data_source.data
    named = re.findall(r"cluster @{(\w+)}", tool.tooltips)
    cells = zip(*(data[name].tolist() for name in (*named, "count")), strict=True)
    assert set(cells) == {(0, 0, 5), (1, 0, 2), (1, 1, 9)}


def test_bars_hold_the_counts_and_the_axis_every_interval() -> None:
    figure = FIGURES["histogram"]()
    assert figure.Rectangles.I.dimension_values("count").tolist() == COUNTS.tolist()
    assert "1,234" in figure.Labels.I.dimension_values("text")
    plot = hv.render(figure, backend="bokeh")
    bars = figure.ErrorBars.I
    tops = bars.dimension_values("y") + bars.dimension_values("up")
    assert plot.y_range.end > tops.max()


def test_above_so_many_galaxies_the_map_is_an_image_of_them_all(monkeypatch) -> None:
    monkeypatch.setattr(figures, "MOST_POINTS", 20)
    figure = FIGURES["map"]()
    image = figure.RGB.I.data
    opaque = np.stack([figure.RGB.I.dimension_values(i, flat=False) for i in (2, 3, 4, 5)], -1)
    assert image is not None
    seen = opaque[..., 3] > 0
    assert seen.sum() == len({tuple(row) for row in np.argwhere(seen)}) == len(PLACES)
    tints = {"#{:02x}{:02x}{:02x}".format(*map(int, rgb)) for rgb in opaque[seen][:, :3]}
    assert tints == set(T_COLOURS)
    assert len(figure.Points.I) == 2


def test_flows_hold_the_galaxies_that_clusters_share(bundle) -> None:
    left, right = list(bundle.clusterings.values())[:2]
    table, *orders = counted(left, right)
    colours = [["#b72930"] * len(side.clusters) for side in (left, right)]
    figure = figures.flow(table, orders, colours)
    for ribbon in figure.Polygons.I.split(datatype="dictionary"):
        x, y = ribbon["x"], ribbon["y"]
        height = np.ptp(y[x == x.min()])
        assert height == pytest.approx(table[ribbon["left"], ribbon["right"]])
    boxes = figure.Rectangles.I
    tall = boxes.dimension_values("y1") - boxes.dimension_values("y0")
    assert tall.sum() == pytest.approx(2 * len(bundle))
    cells, *_ = compared(left, right)
    assert cells["count"].sum() == len(bundle)


def test_pictures_of_a_trend_keep_their_pixels_and_gaps_are_transparent() -> None:
    image = FIGURES["trend"]().RGB.I
    alpha = image.dimension_values(5, flat=False)
    assert (alpha == 255).sum() == 3 * 8 * 8
    assert set(np.unique(alpha)) == {0, 255}


def test_a_tree_is_cut_where_it_is_clicked() -> None:
    view = MergerTreeView(branches=BRANCHES, k=1)
    assert view.slider.end == 4
    for y, groups in ((0.9, 2), (0.3, 3), (0.1, 4), (1.05, 1)):
        view.taps.event(x=0.5, y=y)
        assert view.k == groups
        assert view.slider.value == groups
        line = view._draw(view.branches, view.k).Curve.I
        height = float(line.dimension_values("y")[0])
        assert sum(height < own for own in view.heights) == groups - 1


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_title_and_source_are_on_the_print_as_they_are(kind) -> None:
    data = printed(FIGURES["histogram"], "100 % <b> $x$", "bundle 1", kind)
    if kind == "svg":
        assert b"100 % &lt;b&gt; $x$" in data
        assert b"bundle 1" in data
    else:
        assert min(Image.open(io.BytesIO(data)).size) > 500
