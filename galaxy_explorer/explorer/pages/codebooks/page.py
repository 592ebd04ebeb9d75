"""The Codebooks page: what do more codes buy? One slider in front; tables and curves unfold.

What is for experts is made when it is first unfolded: pictures by any models, all models in one
table, trade-off and training curves, two clusterings side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.bundle.codebooks import map_sides, sizes, ways
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pages.codebooks.answers import evidence
from galaxy_explorer.explorer.pages.codebooks.changes import BAND_WORDS, UNTOLD, picked
from galaxy_explorer.explorer.pages.codebooks.comparison import Comparison
from galaxy_explorer.explorer.pages.codebooks.curves import Tradeoff, Training
from galaxy_explorer.explorer.pages.codebooks.steps import (
    Sides,
    dial_values,
    shipped,
    sides_of,
    step_values,
    way_values,
)
from galaxy_explorer.explorer.pages.codebooks.table import (
    choices,
    format_choice,
    header,
    scoreboard,
)
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.components import CodebookSteps, HtmlPane, ScoreTable, View
from galaxy_explorer.explorer.widgets.controls import (
    COMPACT,
    PAGE_HEIGHT,
    display_controls,
    keep_in_address,
    model_choices,
    named_galaxies,
    report_models,
)
from galaxy_explorer.explorer.widgets.strips import Strips

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

INTRODUCTION = (
    "A model draws each galaxy from a small map of codes, taken from a codebook as letters from an"
    " alphabet. Below, nothing differs but the size of that alphabet."
)
NO_STEPS = (
    "This bundle has no codebooks of different sizes to compare; its models are side by side below."
)
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
WORDS = {"k": "codes", "codebook": "way", "map": "code_map"}
"""Words of the address for the codebook that is shown."""


class Front(View):
    """The codebooks from few codes to many; what is clicked becomes the selection."""

    def __init__(self, state: ExplorerState, stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state, bundle = state, state.bundle
        maps, codes = ([str(n) for n in found] for found in (map_sides(bundle), sizes(bundle)))
        self.view = CodebookSteps(
            self.on_message, steps=step_values(bundle), dials=dial_values(bundle),
            ways=way_values(bundle), sides=maps,
        )  # fmt: skip
        for name, offered in (("codes", codes[::-1]), ("way", ways(bundle)), ("code_map", maps)):
            self.view.param[name].objects = offered
            setattr(self.view, name, offered[0])
        keep_in_address(state, self.view, WORDS)
        self.strips = Strips(state, stamps, table=self.view, models=shipped(bundle))
        state.param.watch(self._show_picked, "selection")
        self.view.param.watch(self._show_picked, list(WORDS.values()))
        self._show_picked()

    def sides(self) -> Sides | None:
        """The two clusterings whose groups are shown."""
        view = self.view
        return sides_of(self.state.bundle, view.codes, view.way, view.code_map)

    def _show_picked(self, *_: param.parameterized.Event) -> None:
        rows, sides = self.state.selection, self.sides()
        self.view.param.update(
            picked=picked(sides.flow(self.state.bundle), rows) if sides and len(rows) else [],
            selected=bool(len(rows)),
        )

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if "tile" in message:
            self.strips.on_message(message)
        elif message.get("clear"):
            self.state.clear()
        elif message.get("movers"):
            self.select_movers()
        elif (pair := _bands(message.get("link"))) is not None:
            self.select_bands(*pair)
        elif (node := _bands(message.get("node"))) is not None and node[0] < 2:
            self.select_bands(*((node[1], None) if node[0] == 0 else (None, node[1])))

    def select_movers(self) -> None:
        """Select the galaxies that come into groups of another mean T."""
        if (sides := self.sides()) is not None:
            words = f"change group from {sides.words[0]} to {sides.title(1)}"
            self.state.select(sides.flow(self.state.bundle).movers, words)

    def select_bands(self, left: int | None, right: int | None) -> None:
        """Select what is in a band on the left, in one on the right, or in both."""
        if (sides := self.sides()) is None:
            return
        flow, masks, words = sides.flow(self.state.bundle), [], []
        for side, (labels, band) in enumerate(((flow.left, left), (flow.right, right))):
            if band is not None:
                masks.append(labels == band)
                words.append(f"groups of mean {BAND_WORDS[band]} with {sides.title(side)}")
        self.state.select(np.flatnonzero(np.all(masks, 0)), ", then ".join(words))


def _bands(numbers: Any) -> tuple[int, int] | None:
    """Two numbers of bands as the browser sends them; None for anything else."""
    if not isinstance(numbers, list) or len(numbers) != 2:
        return None
    fine = all(type(number) is int and 0 <= number <= UNTOLD for number in numbers)
    return (numbers[0], numbers[1]) if fine else None


PARTS = {
    "pictures": "Any galaxies by any models",
    "table": "All models in one table",
    "curves": "Reconstruction against distinction, and how the models were trained",
    "groups": "Two clusterings side by side",
}
"""The parts for experts, by their word in the address, in their order."""
GROWING = {"max-height": "none"}
"""Panel lets nothing be higher than what it lies in: what is longer would lie over what follows."""


class CodebooksPage(View):
    """The front, and below it the parts for experts, each made when it is first unfolded."""

    unfolded: Any = param.Selector(default="", objects=["", *PARTS], doc="The part that is open.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        compared = len(sizes(state.bundle)) > 1
        self.front = Front(state, context.stamps) if compared else None
        self.parts: dict[str, Any] = {}
        self.boxes = {
            name: pn.Column(sizing_mode="stretch_width", margin=0, styles=GROWING) for name in PARTS
        }
        self.folded = pmui.Accordion(
            *((words, self.boxes[name]) for name, words in PARTS.items()),
            active=[], toggle=True, disable_gutters=True, sizing_mode="stretch_width",
            margin=(8, 0), sx=COMPACT, styles=GROWING,
        )  # fmt: skip
        self.folded.param.watch(self._take_unfolded, "active")
        self.param.watch(self._unfold, "unfolded")
        front = [_note(INTRODUCTION), self.front, _note(evidence(state.bundle))]
        self.view = pn.Column(
            _title("What do more codes buy?"), *(front if compared else [_note(NO_STEPS)]),
            self.folded, sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip
        self.view.param.watch(self.appear, "visible")
        keep_in_address(state, self, {"unfolded": "unfolded"})

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        pictures = self.parts.get("pictures")
        for one in (self.front, pictures):
            if one is not None:
                one.strips.task.shown = event.new

    def part(self, name: str) -> Any:
        """A part for experts; made when it is first asked for."""
        if name not in self.parts:
            make: dict[str, Callable[[], Any]] = {
                "pictures": lambda: Pictures(self.state, self.context),
                "table": lambda: Table(self.state),
                "curves": lambda: Curves(self.state),
                "groups": lambda: TwoClusterings(self.state),
            }
            self.parts[name] = make[name]()
            self.boxes[name].append(self.parts[name])
        return self.parts[name]

    def _take_unfolded(self, event: param.parameterized.Event) -> None:
        self.unfolded = list(PARTS)[event.new[0]] if event.new else ""

    def _unfold(self, *_: param.parameterized.Event) -> None:
        if self.unfolded:
            self.part(self.unfolded)
        self.folded.active = [list(PARTS).index(self.unfolded)] if self.unfolded else []


class Pictures(View):
    """Any galaxies as any models draw them, with what is left over (report, Fig. 16)."""

    models = param.List(default=[], doc="Models whose reconstructions are shown.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(models=report_models(state.bundle), **params)
        self.bundle = state.bundle
        self.strips = Strips(state, context.stamps, models=self.models)
        self.missing = _note("")
        self.missing.visible = False
        self.param.watch(self._choose_models, "models")
        models = pmui.MultiChoice.from_param(
            self.param.models, label="Models", options=model_choices(state.bundle),
            description="", sizing_mode="stretch_width", margin=(10, 0, 4, 0), sx=SMALL_CHIPS,
        )  # fmt: skip
        galaxies = pmui.TextInput(
            label="Galaxies by name, separated by commas", placeholder=PICK_HINT, size="small",
            sizing_mode="stretch_width", margin=(8, 0, 4, 0), max_length=2000,
        )  # fmt: skip
        galaxies.param.watch(lambda event: self.pick(event.new), "value")
        self.view = _column(models, galaxies, self.missing, self.strips, display_controls(state))

    def _choose_models(self, *_: param.parameterized.Event) -> None:
        self.strips.models = list(self.models)

    def pick(self, text: str) -> None:
        """Show the galaxies named in a text; none: the selection or a varied set."""
        rows, unknown = named_galaxies(self.bundle, text)
        self.strips.picked = rows
        words = f"Not in this survey: {', '.join(unknown)}." if unknown else ""
        self.missing.object = render("parts.paragraph", words=words)
        self.missing.visible = bool(unknown)


class Table(View):
    """Every figure of every clustering; the two that are compared are marked."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.table = ScoreTable(columns=header())
        state.param.watch(self._show, ["clustering", "compare"])
        self._show()
        self.view = _column(_note(SCORES_NOTE), self.table)

    def _show(self, *_: param.parameterized.Event) -> None:
        self.table.rows = scoreboard(self.state.bundle, self.state.clustering, self.state.compare)


class Curves(View):
    """The trade-off, and how all models were trained."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.tradeoff = Tradeoff(state.bundle)
        self.training = Training(state.bundle, models=report_models(state.bundle))
        self.view = pn.Row(
            _column(self.tradeoff), _column(self.training), sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap", "gap": "0 20px", "max-height": "none"},
        )  # fmt: skip


class TwoClusterings(View):
    """Two clusterings, those of the state, or a model without one, which is said."""

    left: Any = param.Selector(doc="Clustering or model on the left.")
    right: Any = param.Selector(doc="Clustering or model on the right.")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        offered = choices(state.bundle)
        for side, key in (("left", state.clustering), ("right", state.compare)):
            self.param[side].objects = offered
            setattr(self, side, key)
        self.comparison = Comparison(state)
        self.unclustered = _note(NOT_CLUSTERED)
        self.param.watch(self._choose, ["left", "right"])
        state.param.watch(self._follow, ["clustering", "compare"])
        self._show()
        options = {format_choice(state.bundle, key): key for key in offered}
        selects = [
            pmui.Select.from_param(
                self.param[side], label=side.capitalize(), options=options, size="small",
                description="", sizing_mode="stretch_width", margin=(10, 8, 4, 0),
            )
            for side in ("left", "right")
        ]  # fmt: skip
        heat = _column(self.unclustered, self.comparison.heat_view)
        self.view = _column(
            pn.Row(*selects, sizing_mode="stretch_width"),
            pn.Row(
                _column(self.comparison, basis="2 1 620px"), heat, sizing_mode="stretch_width",
                styles={"flex-wrap": "wrap", "gap": "0 20px", "max-height": "none"},
            ),
        )  # fmt: skip

    def _choose(self, *_: param.parameterized.Event) -> None:
        clusterings = self.state.bundle.clusterings
        chosen = {"clustering": self.left, "compare": self.right}
        self.state.param.update(**{name: key for name, key in chosen.items() if key in clusterings})
        self._show()

    def _follow(self, *events: param.parameterized.Event) -> None:
        side = {"clustering": "left", "compare": "right"}
        self.param.update(**{side[event.name]: event.new for event in events})

    def _show(self) -> None:
        clustered = {self.left, self.right} <= self.state.bundle.clusterings.keys()
        self.comparison.view.visible = self.comparison.heat_view.visible = clustered
        self.unclustered.visible = not clustered


def _column(*parts: Any, basis: str = "1 1 420px") -> pn.Column:
    return pn.Column(
        *parts, sizing_mode="stretch_width", margin=0,
        styles={"flex": basis, "min-width": "0", "max-height": "none"},
    )  # fmt: skip


def _title(words: str) -> pn.pane.HTML:
    return HtmlPane(
        render("parts.title", words=words),
        stylesheets=[STYLES],
        margin=(4, 0, 2, 0),
        sizing_mode="stretch_width",
    )


def _note(words: str) -> pn.pane.HTML:
    return HtmlPane(
        render("parts.soft", words=words), stylesheets=[STYLES], margin=(0, 0, 6, 0),
        sizing_mode="stretch_width",
    )  # fmt: skip
