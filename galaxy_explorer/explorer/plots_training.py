"""How models were trained: curves of a training, and where the stop rule was first met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from galaxy_explorer.explorer.describe import describe
from galaxy_explorer.explorer.palette import category_colours
from galaxy_explorer.explorer.plots_models import legend_above
from galaxy_explorer.explorer.words import model_words

if TYPE_CHECKING:
    from galaxy_explorer.bundle import ModelEntry

CURVES, RULE = "curves", "rule"
CURVE_WORDS = {
    "NMSE": "nmse",
    "Perplexity": "perplexity",
    "Codes that changed": "codes_changed",
}


def curve_columns(models: Sequence[ModelEntry], field: str) -> dict[str, Any]:
    """Columns of the training curves, one line a model that has the figure."""
    shown = [m for m in models if m.curve and all(field in row for row in m.curve)]
    colours = category_colours(len(shown))
    return {
        "x": [[row["step"] for row in model.curve] for model in shown],
        "y": [[row[field] for row in model.curve] for model in shown],
        "colour": colours,
        "words": [model_words(model.name, model.config) for model in shown],
    }


def rule_columns(models: Sequence[ModelEntry], field: str) -> dict[str, Any]:
    """Where the stop rule was first met on each of those lines."""
    shown = [m for m in models if m.curve and all(field in row for row in m.curve)]
    found = [
        (row["step"], row[field], colour)
        for model, colour in zip(shown, category_colours(len(shown)), strict=True)
        for row in model.curve
        if row["step"] == model.rule_step
    ]
    return {name: [entry[i] for entry in found] for i, name in enumerate(("x", "y", "colour"))}


def training_figure(*, height: int = 300) -> figure:
    """Empty training curves; `update_training` fills them. Rings: the stop rule first met."""
    plot = figure(
        height=height, sizing_mode="stretch_width", tools="pan,box_zoom,reset",
        toolbar_location="above", x_range=Range1d(0, 1), y_range=Range1d(0, 1),
    )  # fmt: skip
    plot.toolbar.logo = None
    describe(plot, "Training curves of the models, figure against training step")
    lines = ColumnDataSource({"x": [], "y": [], "colour": [], "words": []}, name=CURVES)
    drawn = plot.multi_line(
        "x", "y", source=lines, line_color="colour", line_width=2, legend_field="words"
    )
    rings = ColumnDataSource({"x": [], "y": [], "colour": []}, name=RULE)
    plot.scatter(
        "x", "y", source=rings, size=13, fill_color=None, line_color="colour", line_width=2.5
    )
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@words"), ("step", "$x{0,0}")]))
    legend_above(plot)
    plot.xaxis.axis_label = "training step"
    plot.axis.axis_label_text_font_style = "normal"
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    return plot


def update_training(plot: figure, models: Sequence[ModelEntry], words: str) -> None:
    """Show the curves of some models; words: a key of CURVE_WORDS."""
    field = CURVE_WORDS[words]
    columns = curve_columns(models, field)
    plot.select_one({"name": CURVES}).data = columns
    plot.select_one({"name": RULE}).data = rule_columns(models, field)
    plot.yaxis.axis_label = {"nmse": "validation NMSE"}.get(field, words)
    steps = [step for line in columns["x"] for step in line]
    # The first checks are far above the rest, which would be flat beside them.
    values = [value for line in columns["y"] for value in line[len(line) // 10 :]]
    if values:
        low, high = min(values), max(values)
        margin = 0.05 * max(high - low, 1e-6)
        plot.x_range.update(start=0, end=1.02 * max(steps))
        plot.y_range.update(start=low - margin, end=high + margin)
