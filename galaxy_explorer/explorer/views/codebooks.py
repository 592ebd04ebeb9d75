"""The Codebooks page: two models side by side, from pictures to clusters to figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.explorer.cluster_words import STYLES
from galaxy_explorer.explorer.comparison import Comparison
from galaxy_explorer.explorer.controls import display_controls
from galaxy_explorer.explorer.detail import Detail
from galaxy_explorer.explorer.esm import ScoreTable
from galaxy_explorer.explorer.scoreboard import choice_words, choices, header, scoreboard
from galaxy_explorer.explorer.strips import Strips

if TYPE_CHECKING:
    from galaxy_explorer.explorer.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

PAGE_HEIGHT = "calc(100vh - 84px)"
NOT_CLUSTERED = (
    "Only models with an 8×8 code map are clustered, as in the report (64 codes, 64 clusters)."
    " Choose such a model on both sides to compare clusters."
)
SCORES_NOTE = (
    "Measured on galaxies kept back from training. Point at a heading for what it means; click it"
    " to sort. Bold: the best of a column. Small: 95 % interval and chance level."
)


class Codebooks(pn.viewable.Viewer):
    """Two models side by side; clusterings chosen here are those of the state."""

    left: Any = param.Selector(doc="Clustering or model on the left.")
    right: Any = param.Selector(doc="Clustering or model on the right.")

    def __init__(self, state: ExplorerState, stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        offered = choices(state.bundle)
        for side, key in (("left", state.clustering), ("right", state.compare)):
            self.param[side].objects = offered
            setattr(self, side, key)
        self.strips = Strips(state, stamps, left=self.model("left"), right=self.model("right"))
        self.detail = Detail(state, stamps)
        self.comparison = Comparison(state)
        self.table = ScoreTable(columns=header())
        self.unclustered = _note(NOT_CLUSTERED)
        self.param.watch(self._choose, ["left", "right"])
        state.param.watch(self._follow, ["clustering", "compare"])
        self._show()
        self.view = self._layout()
        self.view.param.watch(self._appear, "visible")

    def __panel__(self) -> pn.Column:
        return self.view

    def _appear(self, event: param.parameterized.Event) -> None:
        self.strips.drawing.shown = self.detail.drawing.shown = event.new

    def model(self, side: str) -> str:
        """Name of the model on a side."""
        key = getattr(self, side)
        clustering = self.state.bundle.clusterings.get(key)
        return key if clustering is None else clustering.model

    def _choose(self, *_: param.parameterized.Event) -> None:
        clusterings = self.state.bundle.clusterings
        chosen = {"clustering": self.left, "compare": self.right}
        self.state.param.update(**{name: key for name, key in chosen.items() if key in clusterings})
        self._show()

    def _follow(self, *events: param.parameterized.Event) -> None:
        side = {"clustering": "left", "compare": "right"}
        self.param.update(**{side[event.name]: event.new for event in events})

    def _show(self) -> None:
        self.strips.param.update(left=self.model("left"), right=self.model("right"))
        self.table.rows = scoreboard(self.state.bundle, self.left, self.right)
        clustered = {self.left, self.right} <= self.state.bundle.clusterings.keys()
        self.comparison.view.visible = self.comparison.heat_view.visible = clustered
        self.unclustered.visible = not clustered

    def _layout(self) -> pn.Column:
        options = {choice_words(self.state.bundle, key): key for key in choices(self.state.bundle)}
        selects = [
            pmui.Select.from_param(
                self.param[side], label=side.capitalize(), options=options, size="small",
                description="", sizing_mode="stretch_width", margin=(10, 8, 4, 0),
            )
            for side in ("left", "right")
        ]  # fmt: skip
        pictures = pn.Column(
            _title("Reconstructions"), self.strips, display_controls(self.state),
            sizing_mode="stretch_width", styles={"flex": "2 1 720px", "min-width": "0"},
        )  # fmt: skip
        agreement = pn.Column(
            _title("Clusters compared"), self.unclustered, self.comparison.heat_view,
            sizing_mode="stretch_width", styles={"flex": "1 1 380px", "min-width": "0"},
        )  # fmt: skip
        return pn.Column(
            pn.Row(*selects, sizing_mode="stretch_width"),
            self.detail,
            pn.Row(
                pictures, agreement, sizing_mode="stretch_width",
                styles={"flex-wrap": "wrap", "gap": "0 20px", "max-height": "none"},
            ),
            _title("Scoreboard"), _note(SCORES_NOTE), self.table,
            self.comparison,
            sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip


def _title(words: str) -> pn.pane.HTML:
    return pn.pane.HTML(
        f"<h2>{words}</h2>", stylesheets=[STYLES], margin=(10, 0, 2, 0), sizing_mode="stretch_width"
    )


def _note(words: str) -> pn.pane.HTML:
    return pn.pane.HTML(
        f'<p class="soft">{words}</p>', stylesheets=[STYLES], margin=(0, 0, 6, 0),
        sizing_mode="stretch_width",
    )  # fmt: skip
