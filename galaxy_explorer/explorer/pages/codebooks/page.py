"""The Codebooks page: any models side by side, from pictures to figures; two of them in full.

The trade-off and the training curves have their own switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.pages.codebooks.comparison import Comparison
from galaxy_explorer.explorer.pages.codebooks.table import (
    choices,
    format_choice,
    header,
    scoreboard,
)
from galaxy_explorer.explorer.plots.models import (
    CURVE_WORDS,
    DISTINCTIONS,
    tradeoff,
    tradeoff_columns,
    tradeoff_points,
    training_curves,
)
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import HtmlPane, ScoreTable
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    display_controls,
    model_choices,
    named_galaxies,
    report_models,
)
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.widgets.figures import FigurePane
from galaxy_explorer.explorer.widgets.strips import Strips
from galaxy_explorer.explorer.wording import format_model

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, ModelEntry
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


RULE = (
    "The training could have stopped (ring) where between two checks, 5 % of the steps apart, the"
    " validation error fell by less than 0.5 %, the perplexity moved by less than 2 % and less than"
    " 2 % of the codes changed. The weights that are kept are those of the best check."
)
TRADEOFF_NOTE = (
    "One point a model; bars are 95 % intervals. Numbers: fewest and most codes. Dashed: what the"
    " report says happens with fewer codes."
)


class Tradeoff(pn.viewable.Viewer):
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

    def __panel__(self) -> pn.Column:
        return self.view

    def _show(self, *_: param.parameterized.Event) -> None:
        # Features of models without a codebook have other names: they are always shown.
        shown = [
            point
            for point in self.points
            if self.features in ("all", point.features) or not point.codes
        ]
        columns = tradeoff_columns(self.bundle, shown, DISTINCTIONS[self.distinction])
        self.figure.object = tradeoff(columns, self.distinction)


class Training(pn.viewable.Viewer):
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

    def __panel__(self) -> pn.Column:
        return self.view

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


NOT_CLUSTERED = (
    "Only models with 64 features, an 8×8 code map or 64 latents, are clustered, as in the report."
    " Choose such a model on both sides to compare clusters."
)
SCORES_NOTE = (
    "Measured on galaxies kept back from training. Point at a heading for what it means; click it"
    " to sort. Bold: the best of a column. Small: 95 % interval and chance level."
)
SMALL_CHIPS = {
    "& .MuiSelect-select": {"pt": "9px", "pb": "5px"},
    "& .MuiChip-root": {"height": "24px"},
}
PICK_HINT = "NGC 4565, IC 750; empty: the selection, or one of each type"


class CodebooksPage(pn.viewable.Viewer):
    """Pictures by any models, then two clusterings compared; those are the state's own."""

    models = param.List(default=[], doc="Models whose reconstructions are shown.")
    left: Any = param.Selector(doc="Clustering or model on the left.")
    right: Any = param.Selector(doc="Clustering or model on the right.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        offered = choices(state.bundle)
        for side, key in (("left", state.clustering), ("right", state.compare)):
            self.param[side].objects = offered
            setattr(self, side, key)
        self.models = report_models(state.bundle)
        self.strips = Strips(state, context.stamps, models=self.models)
        self.tradeoff = Tradeoff(state.bundle)
        self.training = Training(state.bundle, models=self.models)
        self.detail = Detail(state, context.stamps)
        self.comparison = Comparison(state)
        self.table = ScoreTable(columns=header())
        self.unclustered = _note(NOT_CLUSTERED)
        self.missing = _note("")
        self.param.watch(self._choose_models, "models")
        self.param.watch(self._choose, ["left", "right"])
        state.param.watch(self._follow, ["clustering", "compare"])
        self._show()
        self.missing.visible = False
        models = pmui.MultiChoice.from_param(
            self.param.models, label="Models", options=model_choices(self.state.bundle),
            description="", sizing_mode="stretch_width", margin=(10, 0, 4, 0), sx=SMALL_CHIPS,
        )  # fmt: skip
        galaxies = pmui.TextInput(
            label="Galaxies by name, separated by commas", placeholder=PICK_HINT, size="small",
            sizing_mode="stretch_width", margin=(8, 0, 4, 0), max_length=2000,
        )  # fmt: skip
        galaxies.param.watch(lambda event: self.pick(event.new), "value")
        choosers = [models, galaxies]
        pictures = _half(
            _title("Reconstructions"), *choosers, self.missing, self.detail, self.strips,
            display_controls(self.state), basis="2 1 620px",
        )  # fmt: skip
        figures = _half(
            _title("Reconstruction against distinction"), self.tradeoff,
            _title("Training") if self.training.view.visible else None, self.training,
            basis="1 1 380px",
        )  # fmt: skip
        agreement = _half(
            self.unclustered, self.comparison.heat_view, basis="1 1 380px",
        )  # fmt: skip
        self.view = pn.Column(
            _side_by_side(pictures, figures),
            _title("Models at a glance"), _note(SCORES_NOTE), self.table,
            _title("Two clusterings compared"),
            pn.Row(*self._sides(), sizing_mode="stretch_width"),
            _side_by_side(_half(self.comparison, basis="2 1 620px"), agreement),
            sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip
        self.view.param.watch(self.appear, "visible")

    def __panel__(self) -> pn.Column:
        return self.view

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.strips.task.shown = self.detail.task.shown = event.new

    def _choose_models(self, *_: param.parameterized.Event) -> None:
        self.strips.models = self.training.models = list(self.models)

    def pick(self, text: str) -> None:
        """Show the galaxies named in a text; none: the selection or a varied set."""
        rows, unknown = named_galaxies(self.state.bundle, text)
        self.strips.picked = rows
        words = f"Not in this survey: {', '.join(unknown)}." if unknown else ""
        self.missing.object = render("parts.paragraph", words=words)
        self.missing.visible = bool(unknown)

    def _choose(self, *_: param.parameterized.Event) -> None:
        clusterings = self.state.bundle.clusterings
        chosen = {"clustering": self.left, "compare": self.right}
        self.state.param.update(**{name: key for name, key in chosen.items() if key in clusterings})
        self._show()

    def _follow(self, *events: param.parameterized.Event) -> None:
        side = {"clustering": "left", "compare": "right"}
        self.param.update(**{side[event.name]: event.new for event in events})

    def _show(self) -> None:
        self.table.rows = scoreboard(self.state.bundle, self.left, self.right)
        clustered = {self.left, self.right} <= self.state.bundle.clusterings.keys()
        self.comparison.view.visible = self.comparison.heat_view.visible = clustered
        self.unclustered.visible = not clustered

    def _sides(self) -> list[pmui.Select]:
        options = {format_choice(self.state.bundle, key): key for key in choices(self.state.bundle)}
        return [
            pmui.Select.from_param(
                self.param[side], label=side.capitalize(), options=options, size="small",
                description="", sizing_mode="stretch_width", margin=(10, 8, 4, 0),
            )
            for side in ("left", "right")
        ]  # fmt: skip


def _side_by_side(*parts: pn.viewable.Viewable) -> pn.Row:
    styles = {"flex-wrap": "wrap", "gap": "0 20px", "max-height": "none"}
    return pn.Row(*parts, sizing_mode="stretch_width", styles=styles)


def _half(*parts: Any, basis: str) -> pn.Column:
    styles = {"flex": basis, "min-width": "0", "max-height": "none"}
    shown = (part for part in parts if part is not None)
    return pn.Column(*shown, sizing_mode="stretch_width", margin=0, styles=styles)


def _title(words: str) -> pn.pane.HTML:
    return HtmlPane(
        render("parts.title", words=words),
        stylesheets=[STYLES],
        margin=(10, 0, 2, 0),
        sizing_mode="stretch_width",
    )


def _note(words: str) -> pn.pane.HTML:
    return HtmlPane(
        render("parts.soft", words=words), stylesheets=[STYLES], margin=(0, 0, 6, 0),
        sizing_mode="stretch_width",
    )  # fmt: skip
