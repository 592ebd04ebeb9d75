"""The front of the Codebooks page: slider, galaxies, figures and flow, for one visitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param

from galaxy_explorer.bundle.codebooks import map_sides
from galaxy_explorer.explorer.pages.codebooks.flow import BAND_WORDS, UNTOLD, picked
from galaxy_explorer.explorer.pages.codebooks.steps import (
    Sides,
    dial_values,
    shipped,
    sides_of,
    step_values,
    way_values,
)
from galaxy_explorer.explorer.widgets.components import CodebookSteps
from galaxy_explorer.explorer.widgets.strips import Strips

if TYPE_CHECKING:
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

SHARED = ("codes", "way", "code_map")
"""What the browser and the state both say of the codebook that is shown."""


class Front(pn.viewable.Viewer):
    """The codebooks from few codes to many; what is clicked becomes the selection."""

    def __init__(self, state: ExplorerState, stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state, bundle = state, state.bundle
        self.view = CodebookSteps(
            self.on_message, steps=step_values(bundle), dials=dial_values(bundle),
            ways=way_values(bundle), sides=[str(side) for side in map_sides(bundle)],
            **{name: getattr(state, name) for name in SHARED},
        )  # fmt: skip
        self.strips = Strips(state, stamps, table=self.view, models=shipped(bundle))
        self.view.param.watch(self._take, list(SHARED))
        state.param.watch(self._follow, list(SHARED))
        state.param.watch(self._show_picked, ["selection", *SHARED])
        self._show_picked()

    def __panel__(self) -> CodebookSteps:
        return self.view

    def sides(self) -> Sides | None:
        """The two clusterings whose groups are shown."""
        state = self.state
        return sides_of(state.bundle, state.codes, state.way, state.code_map)

    def _take(self, *events: param.parameterized.Event) -> None:
        for event in events:
            if event.new in self.state.param[event.name].objects:
                setattr(self.state, event.name, event.new)

    def _follow(self, *events: param.parameterized.Event) -> None:
        self.view.param.update(**{event.name: event.new for event in events})

    def _show_picked(self, *_: param.parameterized.Event) -> None:
        rows, sides = self.state.selection, self.sides()
        self.view.param.update(
            picked=picked(sides.flow(self.state.bundle), rows) if sides and len(rows) else [],
            selected=bool(len(rows)),
        )

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if "focus" in message:
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
