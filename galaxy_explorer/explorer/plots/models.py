"""Figures of models: compared, how they were trained, what their PSF does. No state.

Reconstruction against distinction, one point a model; curves of a training, and where the stop rule
was first met; of a model with the PSF layer radial profiles and what the PSF lets through; what
speaks for how many clusters. HoloViews objects, as in `plots.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import holoviews as hv
import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.evaluation import TradeoffPoint
from galaxy_explorer.explorer.plots.figures import (
    GRID,
    INK,
    LINE_COLOUR,
    PRINTED_INK,
    framed,
    intervals,
    styled,
    tooltip,
)
from galaxy_explorer.explorer.plots.palette import MIDDLE_GREY, category_colours
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
    from galaxy_explorer.bundle.evaluation import Band, NumberOfClusters

DISTINCTIONS = {"η² of T": "eta2", "AMI with T": "ami"}
MARKERS = "os^dv*"
"""Shapes for kinds of features, by names that Bokeh (through HoloViews) and matplotlib share."""
CURVE_WORDS = {
    "NMSE": "nmse",
    "Perplexity": "perplexity",
    "Codes that changed": "codes_changed",
}
"""Words for the figures of a training curve."""


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


CLAIM_COLOUR = "#b0760a"
SPREAD = 0.5
"""An interval is shown as far as half the spread of the values beyond them."""


def tradeoff(columns: Mapping[str, Any], words: str, *, height: int = 340) -> Any:
    """Reconstruction against distinction, one point a model; columns: of `tradeoff_columns`.

    Better reconstruction is to the left, better distinction (in words) is up. The dashed line is
    the report's claim (section 4.3.1): with fewer codes, worse reconstruction, better distinction.
    """
    made = {name: np.array(values) for name, values in columns.items()}
    xlim = _extent(made["x"], made["left"], made["right"])
    ylim = _extent(made["y"], made["low"], made["high"])
    x, y, wide, tall = made["x"], made["y"], np.ptp(xlim), np.ptp(ylim)
    claim = [(xlim[0] + a * wide, ylim[0] + b * tall) for a, b in ((0.62, 0.06), (0.95, 0.34))]
    head = {"color": CLAIM_COLOUR, "marker": ">"}
    note = hv.Labels([(*claim[0], "the report: fewer codes  ")], vdims="text")
    numbers = hv.Labels((x + 0.012 * wide, y + 0.02 * tall, made["short"]), vdims="text")
    ends = [np.clip(made[name], *xlim) for name in ("left", "right")]
    parts = [
        intervals(x, y, *ends, horizontal=True),
        intervals(x, y, *(np.clip(made[name], *ylim) for name in ("low", "high"))),
        *(part for kind in dict.fromkeys(columns["kind"]) for part in _series(made, kind)),
        styled(numbers, {**INK, "text_align": "left"},
               {**PRINTED_INK, "horizontalalignment": "left"}),
        styled(hv.Curve(claim), {"line_dash": "dashed"}, {"linestyle": "--", "linewidth": 0.8},
               color=CLAIM_COLOUR),
        styled(hv.Scatter(claim[1:]), {**head, "size": 9}, {**head, "s": 14}),
        styled(note, {**INK, "text_color": CLAIM_COLOUR, "text_align": "right"},
               {"color": CLAIM_COLOUR, "size": 6, "horizontalalignment": "right"}),
    ]  # fmt: skip
    return framed(
        parts, "Agreement of each model's clusters with T against its reconstruction error",
        height=height, tools=("pan", "box_zoom", "reset"), xlim=xlim, ylim=ylim, **GRID,
        xlabel="← better    reconstruction error (NMSE)    worse →", ylabel=f"{words}    better →",
    )  # fmt: skip


def _series(made: Mapping[str, NDArray[Any]], kind: str) -> list[Any]:
    """Models that differ in the number of codes alone: points, and a line that joins them."""
    at = np.flatnonzero(made["kind"] == kind)
    at = at[np.argsort(made["codes"][at], kind="stable")]
    x, y, words, seeds = (made[name][at] for name in ("x", "y", "words", "seeds"))
    colour = str(made["colour"][at[0]])
    shape = {"color": colour, "marker": str(made["marker"][at[0]])}
    points = styled(
        hv.Scatter((x, y, words, seeds), vdims=["y", "words", "seeds"], label=kind),
        {**shape, "size": 10, "line_color": MIDDLE_GREY, "tools": ["hover"], "hover_tooltips":
         tooltip(("", "@words"), ("NMSE", "@x{0.0000}"), ("with T", "@y{0.000}"),
                 ("trainings", "@seeds"))},
        {**shape, "s": 16, "edgecolors": MIDDLE_GREY, "linewidth": 0.4},
    )  # fmt: skip
    coded = made["codes"][at] > 0
    line = hv.Curve((x[coded], y[coded]))
    faint = {"line_alpha": 0.5}, {"alpha": 0.5, "linewidth": 0.8}
    return [styled(line, *faint, color=colour), points]


def _extent(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> tuple[float, float]:
    """Ends of an axis that shows values with intervals.

    An interval far wider than the differences between the models, as of two trainings, runs out of
    the picture instead of making all models one point.
    """
    if not len(values):
        return 0.0, 1.0
    spread = float(np.ptp(values)) or float((high - low).max())
    start = max(float(low.min()), float(values.min()) - SPREAD * spread)
    end = min(float(high.max()), float(values.max()) + SPREAD * spread)
    margin = 0.15 * max(end - start, 1e-4)
    return start - margin, end + 2 * margin


def training_curves(models: Sequence[ModelEntry], words: str) -> Any:
    """A figure against the training step, one line a model; rings: where the stop rule was met.

    words: a key of CURVE_WORDS. Models whose curve is not known are left out.
    """
    field, label = CURVE_WORDS[words], {"NMSE": "validation NMSE"}.get(words, words)
    shown = [m for m in models if m.curve and all(field in row for row in m.curve)]
    parts, values, last = [hv.Curve([])], [0.0], 1.0
    for model, colour in zip(shown, category_colours(len(shown)), strict=True):
        name = format_model(model.name, model.config)
        line = [(row["step"], row[field]) for row in model.curve or ()]
        parts.append(
            styled(hv.Curve(line, "step", "value", label=name), {"line_width": 2,
                   "tools": ["hover"], "hover_tooltips": tooltip(
                       (name.replace("@", ""), ""), ("step", "@step{0,0}"), (label, "@value"))},
                   {"linewidth": 1}, color=colour)
        )  # fmt: skip
        met = [at for at in line if at[0] == model.early_stop_step]
        parts.append(
            styled(hv.Scatter(met, "step", "value"), {"size": 13, "line_width": 2.5,
                   "fill_color": None, "line_color": colour},
                   {"s": 30, "facecolors": "none", "edgecolors": colour, "linewidth": 1})
        )  # fmt: skip
        # The first checks are far above the rest, which would be flat beside them.
        values += [value for _, value in line[len(line) // 10 :]]
        last = max(last, line[-1][0])
    low, high = (min(values[1:]), max(values[1:])) if shown else (0.0, 1.0)
    margin = 0.05 * max(high - low, 1e-6)
    return framed(
        parts, "Training curves of the models, figure against training step", height=300,
        tools=("pan", "box_zoom", "reset"), **GRID,
        xlabel="training step", ylabel=label, xlim=(0, 1.02 * last),
        ylim=(low - margin, high + margin),
    )  # fmt: skip


PROFILE_COLOURS = {
    "original": "#9aa4b2",
    "reconstruction": "#2b8be0",
    "deconvolved": "#e0862b",
    "re-convolved": "#12a594",
    "truth": "#b45adf",
}
FAINTEST = 0.01
"""Sigma of the sky: lower values leave a logarithmic scale."""


def radial_profiles(profiles: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> Any:
    """Profiles of a galaxy by kind, a key of PROFILE_COLOURS: radius in arcsec, brightness."""
    lines = [
        styled(hv.Curve((radius, np.where(value > FAINTEST, value, np.nan)), "r", "v", label=kind),
               {"line_width": 2, "tools": ["hover"], "hover_tooltips": tooltip(
                   (kind, "@v{0.00} σ"), ("radius", "@r{0.00}″"))},
               {"linewidth": 1}, color=PROFILE_COLOURS[kind])
        for kind, (radius, value) in profiles.items()
    ]  # fmt: skip
    return framed(
        lines, "Radial profiles of the galaxy: data, drawings and, where known,"
        " the truth", height=300, tools=("pan", "box_zoom", "reset"), logy=True, **GRID,
        xlabel="radius (arcsec)", ylabel="mean brightness (σ of the sky per pixel)",
    )  # fmt: skip


def mtf(band: Band) -> Any:
    """The MTF of the mean PSF against spatial frequency, with the limit of the data."""
    line = styled(
        hv.Curve((band.frequency, band.mtf), "f", "m"),
        {"line_width": 2, "tools": ["hover"], "hover_tooltips": tooltip(
            ("frequency", "@f{0.00} cycles/arcsec"), ("transfer", "@m{0.000}"))},
        {"linewidth": 1}, color=LINE_COLOUR,
    )  # fmt: skip
    limit = styled(
        hv.VLine(band.limit_cycles_per_arcsec), {"line_dash": "dashed", "line_width": 1},
        {"linestyle": "--", "linewidth": 0.8}, color=MIDDLE_GREY,
    )  # fmt: skip
    return framed(
        [line, limit], "How much of each spatial frequency the mean PSF lets through", height=300,
        tools=("pan", "box_zoom", "reset"), xlabel="spatial frequency (cycles/arcsec)",
        ylabel="modulation transfer", ylim=(0, 1.02), show_grid=True,
    )  # fmt: skip


def number_of_clusters(choice: NumberOfClusters) -> list[Any]:
    """Figures over the number of clusters k, with their ranges or errors where they have them.

    Dashed: the number that is recommended, if there is one.
    """
    known = {
        name: np.array([np.nan if value is None else value for value in values])
        for name, values in choice.curves.items()
    }
    marks = [] if choice.recommended is None else [styled(
        hv.VLine(choice.recommended), {"line_dash": "dashed", "line_width": 1},
        {"linestyle": "--", "linewidth": 0.8}, color=CLAIM_COLOUR,
    )]  # fmt: skip
    figures = []
    for name, values in known.items():
        if ", " in name or not np.isfinite(values).any():
            continue
        error = known.get(f"{name}, error", np.zeros(len(values)))
        low, high = (known.get(f"{name}, {end}", values + sign * error)
                     for end, sign in (("low", -1), ("high", 1)))  # fmt: skip
        line = styled(
            hv.Curve((choice.k, values), "k", "value"), {"line_width": 2, "tools": ["hover"],
            "hover_tooltips": tooltip(("@k clusters", ""), (name, "@value{0.0000}"))},
            {"linewidth": 1}, color=LINE_COLOUR,
        )  # fmt: skip
        band = styled(hv.Area((choice.k, low, high), vdims=["low", "high"]),
                      {"line_color": None, "fill_alpha": 0.25}, {"alpha": 0.25, "linewidth": 0},
                      color=LINE_COLOUR)  # fmt: skip
        figures.append(framed([band, line, *marks], f"{name} over the number of clusters",
                              height=190, title=name, xlabel="number of clusters k", ylabel="",
                              show_grid=True, show_legend=False))  # fmt: skip
    return figures
