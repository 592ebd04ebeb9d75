"""Models compared and how they were trained. Arrays to figures, no state.

Reconstruction against distinction, one point a model; curves of a training, and where the stop rule
was first met; of a model with the PSF layer radial profiles and what the PSF lets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    Arrow,
    ColumnDataSource,
    HoverTool,
    Label,
    NormalHead,
    NumeralTickFormatter,
    Range1d,
    Span,
    Whisker,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from galaxy_explorer.bundle.evaluation import TradeoffPoint
from galaxy_explorer.explorer.plots.palette import category_colours, describe
from galaxy_explorer.explorer.plots.ttype_histogram import MIDDLE_GREY
from galaxy_explorer.explorer.wording import (
    CLUSTERER_WORDS,
    FEATURE_WORDS,
    config_of,
    format_entry,
    format_model,
    format_series,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, ModelEntry
    from galaxy_explorer.bundle.evaluation import Band


POINTS, SERIES = "tradeoff", "series"
DISTINCTIONS = {"η² of T": "eta2", "AMI with T": "ami"}
MARKERS = ("circle", "square", "triangle", "diamond", "hex", "star")
CLAIM_COLOUR = "#b0760a"
WHISKER = 5


def tradeoff_points(bundle: Bundle) -> list[TradeoffPoint]:
    """One point a model: from the evaluation, else from what the manifest holds of seed 0."""
    if bundle.evaluation is not None and bundle.evaluation.tradeoff:
        return list(bundle.evaluation.tradeoff)
    keys = [key for key, one in bundle.clusterings.items() if one.steering is None]
    return [manifest_point(bundle, key) for key in keys]


def manifest_point(bundle: Bundle, key: str) -> TradeoffPoint:
    """The point of a clustering, from what its training and its agreement measured."""
    clustering = bundle.clusterings[key]
    entry = bundle.models[clustering.model]
    scores = {
        f"{name}{end}": value
        for name, score in clustering.agreement.items()
        if name in {"eta2", "ami"}
        for end, value in (("", score.value), ("_low", score.low), ("_high", score.high))
    }
    return TradeoffPoint(
        model=clustering.model, features=clustering.features, clusterer="mixture",
        codes=entry.config.get("num_embeddings"), nmse=entry.metrics.get("nmse"), nmse_low=None,
        nmse_high=None, seed_count=1, **scores,
    )  # fmt: skip


def tradeoff_columns(
    bundle: Bundle, points: Sequence[TradeoffPoint], distinction: str
) -> dict[str, Any]:
    """Columns of the trade-off plot; points without one of the two figures are left out.

    distinction: "eta2" or "ami".
    """
    known = [p for p in points if p.nmse is not None and getattr(p, distinction) is not None]
    kinds = list(dict.fromkeys(p.features for p in known))
    recipes = list(dict.fromkeys(_recipe(bundle, p) for p in known))
    colours = category_colours(len(recipes))
    return {
        "x": [p.nmse for p in known],
        "y": [getattr(p, distinction) for p in known],
        "left": [_end(p.nmse_low, p.nmse) for p in known],
        "right": [_end(p.nmse_high, p.nmse) for p in known],
        "low": [_end(getattr(p, f"{distinction}_low"), getattr(p, distinction)) for p in known],
        "high": [_end(getattr(p, f"{distinction}_high"), getattr(p, distinction)) for p in known],
        "marker": [MARKERS[kinds.index(p.features) % len(MARKERS)] for p in known],
        "colour": [colours[recipes.index(_recipe(bundle, p))] for p in known],
        "short": _ends(known, [_kind(bundle, p) for p in known]),
        "codes": [p.codes or 0 for p in known],
        "words": [format_point(bundle, p) for p in known],
        "seeds": [p.seed_count for p in known],
        "kind": [_kind(bundle, p) for p in known],
    }


def _ends(points: Sequence[TradeoffPoint], kinds: Sequence[str]) -> list[str]:
    """Numbers of codes where a series begins and ends: those between would hide each other."""
    sizes: dict[str, set[int]] = {}
    for point, kind in zip(points, kinds, strict=True):
        sizes.setdefault(kind, set()).add(point.codes or 0)
    ends = {kind: (min(own), max(own)) for kind, own in sizes.items()}
    return [
        str(point.codes) if point.codes and point.codes in ends[kind] else ""
        for point, kind in zip(points, kinds, strict=True)
    ]


def _end(bound: float | None, value: float | None) -> float | None:
    return value if bound is None else bound


def _recipe(bundle: Bundle, point: TradeoffPoint) -> str:
    """What a series of points has in common: the quantizer, or the design without a codebook."""
    return format_series(point.model, config_of(bundle, point.model)) or "–"


def _kind(bundle: Bundle, point: TradeoffPoint) -> str:
    """A series in the legend: without a codebook there is one kind of features only."""
    recipe = _recipe(bundle, point)
    return f"{recipe}, {_features(point)}" if point.codes else recipe


def _features(point: TradeoffPoint) -> str:
    return FEATURE_WORDS.get(point.features, point.features)


def format_point(bundle: Bundle, point: TradeoffPoint) -> str:
    """A point in words: its model and its features."""
    clusterer = CLUSTERER_WORDS.get(point.clusterer, point.clusterer)
    return f"{format_entry(bundle, point.model)}, {_features(point)}, {clusterer}"


def tradeoff_figure(*, height: int = 340) -> figure:
    """An empty trade-off plot; `update_tradeoff` fills it.

    Better reconstruction is to the left, better distinction is up. The arrow is the report's claim
    (section 4.3.1): with fewer codes, worse reconstruction and better distinction.
    """
    source = ColumnDataSource(name=POINTS)
    plot = figure(
        height=height, sizing_mode="stretch_width", tools="pan,wheel_zoom,box_zoom,reset",
        toolbar_location="above", x_range=Range1d(0, 1), y_range=Range1d(0, 1),
    )  # fmt: skip
    plot.toolbar.logo = None
    describe(plot, "Agreement of each model's clusters with T against its reconstruction error")
    lines = ColumnDataSource({"x": [], "y": [], "colour": []}, name=SERIES)
    plot.multi_line("x", "y", source=lines, line_color="colour", line_alpha=0.5)
    across = Whisker(base="y", lower="left", upper="right", dimension="width", source=source)
    upright = Whisker(base="x", lower="low", upper="high", source=source)
    for whisker in (across, upright):
        whisker.line_color = MIDDLE_GREY
        for head in (whisker.upper_head, whisker.lower_head):
            head.size, head.line_color = WHISKER, MIDDLE_GREY
        plot.add_layout(whisker)
    dots = plot.scatter(
        "x", "y", size=10, marker="marker", source=source, fill_color="colour",
        line_color=MIDDLE_GREY, fill_alpha=0.9, legend_field="kind",
    )  # fmt: skip
    plot.text(
        "x", "y", "short", source=source, x_offset=8, y_offset=-5, text_font_size="11px",
        text_color=MIDDLE_GREY,
    )  # fmt: skip
    tips = [("", "@words"), ("NMSE", "@x{0.0000}"), ("with T", "@y{0.000}"), ("seeds", "@seeds")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    legend_above(plot)
    plot.xaxis.axis_label = "← better    reconstruction error (NMSE)    worse →"
    plot.axis.axis_label_text_font_style = "normal"
    plot.xaxis.formatter = NumeralTickFormatter(format="0.000")
    return plot


def legend_above(plot: figure) -> None:
    """Move the legend out of the plot, above it."""
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.update(
        orientation="horizontal", label_text_font_size="11px", border_line_color=None,
        background_fill_alpha=0, padding=0, margin=2, spacing=10, ncols=2,
    )  # fmt: skip


def series_columns(columns: dict[str, Any]) -> dict[str, Any]:
    """Lines that join the points of each kind of codebook, from few codes to many."""
    kinds = dict.fromkeys(columns["kind"])
    lines = []
    for kind in kinds:
        places = [i for i, own in enumerate(columns["kind"]) if own == kind]
        places = [i for i in places if columns["codes"][i]]
        places.sort(key=lambda i: columns["codes"][i])
        lines.append(places)
    return {
        "x": [[columns["x"][i] for i in places] for places in lines],
        "y": [[columns["y"][i] for i in places] for places in lines],
        "colour": [columns["colour"][columns["kind"].index(kind)] for kind in kinds],
    }


def update_tradeoff(plot: figure, columns: dict[str, Any], words: str) -> None:
    """Show the columns of `tradeoff_columns`; words: what the upright axis is."""
    plot.select_one({"name": POINTS}).data = columns
    plot.select_one({"name": SERIES}).data = series_columns(columns)
    plot.yaxis.axis_label = f"{words}    better →"
    if not columns["x"]:
        return
    for span, values, low, high in (
        (plot.x_range, columns["x"], columns["left"], columns["right"]),
        (plot.y_range, columns["y"], columns["low"], columns["high"]),
    ):
        start, end = _extent(np.array(values), np.array(low), np.array(high))
        margin = 0.15 * max(end - start, 1e-4)
        span.update(start=start - margin, end=end + 2 * margin)
        span.update(reset_start=span.start, reset_end=span.end)
    # The report's direction, from the lower left to the upper right corner.
    for layer in [item for item in plot.center if isinstance(item, Arrow | Label)]:
        plot.center.remove(layer)
    x, y = plot.x_range, plot.y_range
    wide, tall = x.end - x.start, y.end - y.start
    head = NormalHead(size=9, fill_color=CLAIM_COLOUR, line_color=CLAIM_COLOUR)
    plot.add_layout(
        Arrow(
            end=head,
            line_color=CLAIM_COLOUR,
            line_dash="dashed",
            line_alpha=0.8,
            x_start=x.start + 0.62 * wide,
            y_start=y.start + 0.06 * tall,
            x_end=x.start + 0.95 * wide,
            y_end=y.start + 0.34 * tall,
        )
    )
    plot.add_layout(
        Label(
            x=x.start + 0.6 * wide,
            y=y.start + 0.06 * tall,
            text="the report: fewer codes →",
            text_color=CLAIM_COLOUR,
            text_font_size="11px",
            text_align="right",
            text_baseline="middle",
        )
    )


def _extent(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Ends (low, high) of what is shown of values with intervals.

    An interval far wider than the differences between the models, as of two trainings, runs out of
    the picture instead of making all models one point.
    """
    spread = float(np.ptp(values)) or float((high - low).max())
    start = max(float(low.min()), float(values.min()) - 0.5 * spread)
    return start, min(float(high.max()), float(values.max()) + 0.5 * spread)


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
        "words": [format_model(model.name, model.config) for model in shown],
    }


def rule_columns(models: Sequence[ModelEntry], field: str) -> dict[str, Any]:
    """Where the stop rule was first met on each of those lines."""
    shown = [m for m in models if m.curve and all(field in row for row in m.curve)]
    found = [
        (row["step"], row[field], colour)
        for model, colour in zip(shown, category_colours(len(shown)), strict=True)
        for row in model.curve
        if row["step"] == model.early_stop_step
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
