"""Controls that several pages share: which clustering, how pictures are drawn, which pictures."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.explorer.display import COLOUR_MAPS, OWN_COLOURS, has_colour
from galaxy_explorer.explorer.esm import NumberField
from galaxy_explorer.explorer.state import ExplorerState

STRETCH_WORDS = {"Linear": "linear", "Square root": "sqrt", "Log": "log", "Asinh": "asinh"}
INTERVAL_WORDS = {"Percentile": "percentile", "ZScale": "zscale", "Min-max": "minmax"}
COMPACT = {
    "& .MuiAccordionSummary-root": {"minHeight": "36px", "padding": "0 10px"},
    "& .MuiAccordionSummary-content": {"margin": "6px 0"},
    "& .MuiAccordionSummary-content *": {"fontSize": "14px"},
    "& .MuiAccordionDetails-root": {"padding": "4px 0"},
}
SOURCE_WORDS = {"Drawn by the model": "reconstruction", "Original": "original"}


def clustering_select(state: ExplorerState, name: str = "clustering") -> pmui.Select:
    """The choice of a clustering in words; `name` is "clustering" or "compare"."""
    label = "Model" if name == "clustering" else "Compared with"
    return two_way(
        pmui.Select(label=label, options=state.clustering_choices(), **_SMALL), state, name
    )


def display_controls(state: ExplorerState) -> pmui.Accordion:
    """A folded panel: stretch, limits, colours, invert, shared limits."""
    display = state.display
    percentile = two_way(
        pmui.FloatSlider(
            label="Pixels inside the limits (%)", start=80, end=100, step=0.1, **_SMALL
        ),
        display,
        "percentile",
        value="value_throttled",
    )
    percentile.visible = display.param.interval.rx() == "percentile"
    stretch = pmui.Select(label="Stretch", options=STRETCH_WORDS, **_SMALL)
    limits = pmui.Select(label="Limits", options=INTERVAL_WORDS, **_SMALL)
    colours = pmui.Select(label="Colours", options=colour_words(state), **_SMALL)
    controls = pn.Column(
        pn.Row(two_way(stretch, display, "stretch"), two_way(limits, display, "interval")),
        percentile,
        two_way(colours, display, "colour_map"),
        pn.Row(
            two_way(pmui.Switch(label="Invert"), display, "invert"),
            two_way(pmui.Switch(label="Same limits for all"), display, "shared"),
        ),
        sizing_mode="stretch_width",
        margin=0,
    )
    return pmui.Accordion(
        ("How pictures are drawn", controls),
        active=[],
        disable_gutters=True,
        sizing_mode="stretch_width",
        margin=(5, 10),
        sx=COMPACT,
    )


def picture_source(state: ExplorerState) -> pmui.RadioButtonGroup:
    """The switch between the model's reconstructions and the original pictures."""
    return two_way(
        pmui.RadioButtonGroup(label="Pictures", options=SOURCE_WORDS, **_SMALL), state, "pictures"
    )


def whole_number(label: str, value: int, low: int, high: int) -> NumberField:
    """A field for a whole number from low to high; what is none is refused, the old one stays."""

    def take(message: dict[str, Any]) -> None:
        typed = message.get("value")
        if type(typed) is int and low <= typed <= high:  # a bool is an int too
            field.value = typed
        else:
            field.refusals += 1

    field = NumberField(take, label=f"{label} ({low} to {high})", value=value, margin=(4, 10))
    return field


def two_way(widget: Any, owner: param.Parameterized, name: str, value: str = "value") -> Any:
    """Tie a widget to a parameter of the state, in both directions."""
    widget.value = getattr(owner, name)

    def to_state(event: param.parameterized.Event) -> None:
        setattr(owner, name, event.new)

    def to_widget(event: param.parameterized.Event) -> None:
        widget.value = event.new

    widget.param.watch(to_state, value)
    owner.param.watch(to_widget, name)
    return widget


_SMALL: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width"}


def colour_words(state: ExplorerState) -> dict[str, str]:
    """The colour maps in words; the one that shows the colours of three bands says so."""
    words = {name.capitalize(): name for name in COLOUR_MAPS}
    if not has_colour(int(state.bundle.manifest["survey"]["channels"])):
        return words
    own = {"Colours of the survey": OWN_COLOURS}
    return own | {word: name for word, name in words.items() if name != OWN_COLOURS}
