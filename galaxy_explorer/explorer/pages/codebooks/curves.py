"""For experts: reconstruction against distinction, one point a model, and training curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.plots.models import (
    CURVE_WORDS,
    DISTINCTIONS,
    tradeoff,
    tradeoff_columns,
    tradeoff_points,
    training_curves,
)
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import HtmlPane, View
from galaxy_explorer.explorer.widgets.figures import FigurePane
from galaxy_explorer.explorer.wording import format_model

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, ModelEntry


RULE = (
    "The training could have stopped (ring) where between two checks, 5 % of the steps apart, the"
    " validation error fell by less than 0.5 %, the perplexity moved by less than 2 % and less than"
    " 2 % of the codes changed. The weights that are kept are those of the best check."
)
TRADEOFF_NOTE = (
    "One point a model; bars are 95 % intervals. Numbers: fewest and most codes. Dashed: what the"
    " report says happens with fewer codes."
)


class Tradeoff(View):
    """Reconstruction against distinction, one point a model."""

    distinction: Any = param.Selector(default="η² of T", objects=list(DISTINCTIONS))
    features: Any = param.Selector(doc="Features whose points are shown.")

    def __init__(self, bundle: Bundle, **params: Any) -> None:
        super().__init__(**params)
        self.bundle, self.points = bundle, tradeoff_points(bundle)
        kinds = list(dict.fromkeys(point.features for point in self.points if point.codes))
        self.param["features"].objects = [*kinds, "all"]
        self.features = next((kind for kind in ("index", *kinds) if kind in kinds), "all")
        self.figure = FigurePane()
        self.param.watch(self._show, ["distinction", "features"])
        self._show()
        evaluated = bundle.evaluation is not None and bool(bundle.evaluation.tradeoff)
        note = HtmlPane(
            render("pages.tradeoff", words=TRADEOFF_NOTE, evaluated=evaluated),
            stylesheets=[STYLES], sizing_mode="stretch_width", margin=(2, 0),
        )  # fmt: skip
        bar = pn.Row(
            choice("Distinction", self.param.distinction), choice("Features", self.param.features),
            margin=0, sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap", "gap": "4px 12px", "max-height": "none"},
        )  # fmt: skip
        self.view = pn.Column(
            bar, self.figure, note, sizing_mode="stretch_width", margin=0
        )  # fmt: skip

    def _show(self, *_: param.parameterized.Event) -> None:
        # Features of models without a codebook have other names: they are always shown.
        shown = [
            point
            for point in self.points
            if self.features in ("all", point.features) or not point.codes
        ]
        columns = tradeoff_columns(self.bundle, shown, DISTINCTIONS[self.distinction])
        self.figure.object = tradeoff(columns, self.distinction)


class Training(View):
    """Training curves of some models, and what stopping by the rule would have cost."""

    figure_of: Any = param.Selector(default="NMSE", objects=list(CURVE_WORDS))
    models = param.List(default=[], doc="Names of the models.")

    def __init__(self, bundle: Bundle, **params: Any) -> None:
        super().__init__(**params)
        self.bundle = bundle
        self.figure = FigurePane()
        self.table = HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=0)
        self.param.watch(self._show, ["figure_of", "models"])
        curves = any(model.curve for model in bundle.models.values())
        self.view = pn.Column(
            choice("Curve", self.param.figure_of), self.figure, self.table,
            sizing_mode="stretch_width", margin=0, visible=curves,
        )  # fmt: skip
        self._show()

    def _show(self, *_: param.parameterized.Event) -> None:
        entries = [self.bundle.models[name] for name in self.models]
        self.figure.object = training_curves(entries, self.figure_of)
        self.table.object = rule_table(entries)


def rule_table(models: Sequence[ModelEntry]) -> Html:
    """Steps, step of the rule and its cost, one line a model, as HTML."""
    rows = []
    for model in models:
        rule = "not within these steps"
        if model.early_stop_step is not None:
            cost = model.early_stop_cost
            more = "" if cost is None else f", {100 * cost:.1f} % more error"
            rule = f"step {model.early_stop_step:,}{more}"
        name = format_model(model.name, model.config)
        rows.append({"name": name, "steps": f"{model.steps:,}", "rule": rule})
    return render("pages.stop_rule", explanation=RULE, models=rows)
