"""The drawer beside every page: the selection, and the galaxy in focus.

Its tabs are made when they are first opened. Below 700 px it is a sheet at the bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param
from numpy.typing import NDArray

from galaxy_explorer.explorer.assets import asset
from galaxy_explorer.explorer.state import cluster_rows
from galaxy_explorer.explorer.widgets.components import MessageComponent, script
from galaxy_explorer.explorer.widgets.detail import GalaxyTab
from galaxy_explorer.explorer.widgets.results import current_results
from galaxy_explorer.explorer.widgets.selection import SelectionTab
from galaxy_explorer.explorer.wording import typical_order

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

TITLES = {"selection": "Selection", "galaxy": "Galaxy"}
MOST_WALKED = 20_000
"""Of a larger selection the order is that of the catalogue: sorting would hold a visitor up."""


class DrawerHead(MessageComponent):
    """Tabs and fold; reports {"tab": name}, {"drawer": mode}, {"back": true} and {"walk": ±1}."""

    entries = param.List(default=[], doc="[name, title] of each tab.")
    tab = param.String(doc="Name of the tab that is open.")
    mode = param.String(default="auto", doc="Whether the drawer is open; see `ExplorerState`.")
    active = param.Boolean(default=True, doc="Whether it can be seen.")

    _esm = script("drawer.js")


class Drawer(pn.viewable.Viewer):
    """Tabs about what is selected and about one galaxy; on the map always, elsewhere when asked."""

    def __init__(
        self, state: ExplorerState, context: AppContext, on_export: Callable[[], None],
        *, on_map: bool = True, **params: Any,
    ) -> None:  # fmt: skip
        super().__init__(**params)
        self.state, self.context, self._export = state, context, on_export
        self.on_map = on_map
        self.made: dict[str, SelectionTab | GalaxyTab] = {}
        self.walked: tuple[Any, NDArray[np.int64]] = (None, np.zeros(0, np.int64))
        self.head = DrawerHead(self.on_message, entries=[*map(list, TITLES.items())], margin=0)
        self.body = pn.Column(
            sizing_mode="stretch_both", scroll="y-auto", margin=0, css_classes=["drawer-body"],
            stylesheets=[asset("drawer.css")],
        )  # fmt: skip
        self.view = pn.Column(
            self.head, self.body, margin=0, sizing_mode="stretch_both",
            stylesheets=[asset("drawer.css")],
        )  # fmt: skip
        state.param.watch(self.show, ["tab", "drawer"])
        self.show()
        if on_map:
            pn.state.onload(self.prepare)  # the first click on the map is answered at once

    def __panel__(self) -> pn.Column:
        return self.view

    def show(self, *_: param.parameterized.Event) -> None:
        """Show the tab that is open, if the drawer is."""
        state = self.state
        seen = state.drawer == "open" or (self.on_map and state.drawer == "auto")
        place = "map" if self.on_map else "aside"
        self.view.css_classes = ["drawer", state.drawer, place]
        self.head.param.update(tab=state.tab, mode=state.drawer, active=seen)
        if seen:
            self._made(state.tab)
        for name, part in self.made.items():
            part.view.visible = name == state.tab
        if isinstance(galaxy := self.made.get("galaxy"), GalaxyTab):
            galaxy.appear(shown=seen and state.tab == "galaxy")
        if isinstance(chosen := self.made.get("selection"), SelectionTab):
            chosen.gallery.task.shown = seen and state.tab == "selection"

    def prepare(self) -> None:
        """Make the tab of one galaxy before it is asked for."""
        self._made("galaxy").view.visible = self.state.tab == "galaxy"

    def _made(self, tab: str) -> SelectionTab | GalaxyTab:
        if tab not in self.made:
            if tab == "galaxy":
                made: Any = GalaxyTab(self.state, self.context, self.walk, self.place)
            else:
                made = SelectionTab(self.state, self.context, self._export)
            self.made[tab] = made
            self.body.append(made)
        return self.made[tab]

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        state = self.state
        if message.get("tab") in TITLES:
            state.param.update(tab=message["tab"], drawer="open")
            if state.tab == "galaxy" and state.focus is None:
                self.walk(1)
        elif message.get("drawer") in {"open", "closed"}:
            state.drawer = message["drawer"]
        elif message.get("back"):
            self.back()
        elif message.get("walk") in (1, -1):
            self.walk(message["walk"])

    def back(self) -> None:
        """From a galaxy to the selection, from there to nothing selected."""
        state = self.state
        if state.focus is not None:
            state.focus = None
            if not self.on_map:
                state.drawer = "auto"
        elif len(state.selection):
            state.clear()

    def walk(self, step: int) -> None:
        """Go to the next galaxy of the selection, or to the one before."""
        order = self.order()
        here = np.flatnonzero(order == self.state.focus)
        if len(order):
            place = (int(here[0]) + step) % len(order) if len(here) else 0
            self.state.focus = int(order[place])

    def place(self) -> str:
        """Where the galaxy in focus stands among those walked through, in words."""
        order = self.order()
        here = np.flatnonzero(order == self.state.focus)
        return f"{int(here[0]) + 1:,} of {len(order):,}" if len(here) else ""

    def order(self) -> NDArray[np.int64]:
        """The galaxies that are walked through: the selection as its gallery shows it.

        With nothing selected, those of the cluster of the galaxy in focus.
        """
        state, bundle = self.state, self.state.bundle
        clustering, results = bundle.clusterings[state.clustering], current_results(state)
        rows = state.selection
        if not len(rows):
            cluster = 0 if state.focus is None else int(clustering.labels[state.focus])
            rows = cluster_rows(bundle, state.clustering, cluster)
        known = (state.clustering, rows.tobytes(), results)
        if self.walked[0] != known:
            if results is not None:
                rows = results.rows
            elif len(rows) <= MOST_WALKED:
                rows = typical_order(clustering, rows)
            self.walked = known, rows
        return self.walked[1]
