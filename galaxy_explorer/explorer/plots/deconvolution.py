"""Figures of the Deconvolution page: radial profiles and what the PSF lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from galaxy_explorer.explorer.plots.palette import describe
from galaxy_explorer.explorer.plots.ttype_histogram import MIDDLE_GREY

if TYPE_CHECKING:
    from galaxy_explorer.bundle.deconvolution import Band

COLOURS = {
    "original": "#9aa4b2",
    "reconstruction": "#2b8be0",
    "deconvolved": "#e0862b",
    "re-convolved": "#12a594",
    "truth": "#b45adf",
}
FAINTEST = 0.01  # sigma of the sky: lower values leave a logarithmic scale


def profile_figure(*, height: int = 300) -> figure:
    """An empty plot of radial profiles; `update_profiles` fills it."""
    plot = figure(
        height=height, sizing_mode="stretch_width", tools="pan,box_zoom,reset",
        y_axis_type="log", x_axis_label="radius (arcsec)",
        y_axis_label="mean brightness (σ of the sky per pixel)",
    )  # fmt: skip
    describe(plot, "Radial profiles of the galaxy: data, drawings and, where known, the truth")
    for kind, colour in COLOURS.items():
        source = ColumnDataSource({"r": [], "v": []}, name=kind)
        line = plot.line("r", "v", source=source, color=colour, line_width=2, legend_label=kind)
        tips = [(kind, "@v{0.00} σ"), ("radius", '@r{0.00}"')]
        plot.add_tools(HoverTool(renderers=[line], tooltips=tips))
    plot.legend.click_policy = "hide"
    plot.legend.background_fill_alpha = 0.3
    plot.legend.border_line_color = None
    plot.legend.label_text_font_size = "11px"
    plot.toolbar.logo = None
    return plot


def update_profiles(plot: figure, profiles: dict[str, tuple[NDArray[Any], NDArray[Any]]]) -> None:
    """Show profiles (radius, value) by kind; kinds without one are emptied."""
    for kind in COLOURS:
        radius, value = profiles.get(kind, (np.empty(0), np.empty(0)))
        seen = np.where(value > FAINTEST, value, np.nan)
        plot.select_one({"name": kind, "type": ColumnDataSource}).data = {"r": radius, "v": seen}
    for legend in plot.legend:
        for item in legend.items:
            item.visible = item.label.value in profiles


def mtf_figure(band: Band, *, height: int = 300) -> figure:
    """The MTF of the mean PSF against spatial frequency, with the limit of the data."""
    plot = figure(
        height=height, sizing_mode="stretch_width", tools="pan,box_zoom,reset",
        y_range=(0, 1.02), x_axis_label="spatial frequency (cycles/arcsec)",
        y_axis_label="modulation transfer",
    )  # fmt: skip
    describe(plot, "How much of each spatial frequency the mean PSF lets through")
    source = ColumnDataSource({"f": list(band.frequency), "m": list(band.mtf)})
    line = plot.line("f", "m", source=source, color=COLOURS["reconstruction"], line_width=2)
    tips = [("frequency", "@f{0.00} cycles/arcsec"), ("transfer", "@m{0.000}")]
    plot.add_tools(HoverTool(renderers=[line], tooltips=tips, mode="vline"))
    limit = band.limit_cycles_per_arcsec
    plot.add_layout(
        Span(location=limit, dimension="height", line_color=MIDDLE_GREY, line_dash="dashed")
    )
    plot.toolbar.logo = None
    return plot
