"""The Codebooks page: any models side by side, from pictures to figures; two of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pages.codebooks.comparison import Comparison
from galaxy_explorer.explorer.pages.codebooks.figures import Tradeoff, Training
from galaxy_explorer.explorer.pages.codebooks.table import (
    choices,
    format_choice,
    header,
    scoreboard,
)
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.components import HtmlPane, ScoreTable
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    display_controls,
    model_choices,
    named_galaxies,
    report_models,
)
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.widgets.strips import Strips

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

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
