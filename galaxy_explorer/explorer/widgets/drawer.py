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
from galaxy_explorer.explorer.brushing import all_of, passing
from galaxy_explorer.explorer.plots.palette import T_COLOURS, UNKNOWN_COLOUR, cluster_colours
from galaxy_explorer.explorer.plots.ttype_histogram import T_NAMES
from galaxy_explorer.explorer.state import cluster_rows
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import MessageComponent, View, script
from galaxy_explorer.explorer.widgets.controls import folded
from galaxy_explorer.explorer.widgets.detail import GalaxyTab
from galaxy_explorer.explorer.widgets.finder import Finder
from galaxy_explorer.explorer.widgets.results import ResultGallery, current_results
from galaxy_explorer.explorer.wording import format_galaxies, typical_order

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

TITLES = {"selection": "Selection", "galaxy": "Galaxy"}
MOST_WALKED = 20_000
"""Of a larger selection the order is that of the catalogue: sorting would hold a visitor up."""


GALLERY_PAGE = 48
TYPES, CLUSTERS = "types", "clusters"
MOST_CLUSTERS = 12
"""Bars of clusters, of those with most galaxies."""


class SelectionSummary(MessageComponent):
    """Count, actions and bars; reports {"do": name} and {"group": key, "bar": key, "add": bool}."""

    count = param.String(doc="How many galaxies, in words.")
    label = param.String(doc="How they were selected.")
    actions = param.List(default=[], doc="[name, title] of each button.")
    groups = param.List(default=[], doc="key, title, note, bars and ends of each histogram.")

    _esm = script("selection.js")


class SelectionTab(View):
    """The drawer's view of the selection; with none, of all galaxies.

    Bars show the galaxies among which one chooses: those that were selected by other means. A
    click on a bar selects its galaxies, with the Shift key beside those of other bars; a second
    click all of them.
    """

    def __init__(
        self, state: ExplorerState, context: AppContext, on_export: Callable[[], None],
        **params: Any,
    ) -> None:  # fmt: skip
        super().__init__(**params)
        self.state, self._export = state, on_export
        self.summary = SelectionSummary(self.on_message, margin=(0, 12))
        self.gallery = ResultGallery(state, context.stamps, page_size=GALLERY_PAGE, tile_width=62)
        self.base: NDArray[np.int64] = state.base
        self.base_label = state.base_label
        self.chosen: set[tuple[str, int]] = set()
        self._own = False
        state.param.watch(
            self._changed, ["base", "selection", "selection_label", "brushes", "clustering"]
        )
        self.show()
        self.view = pn.Column(
            self.summary,
            pn.Column(self.gallery, margin=(8, 12), sizing_mode="stretch_width"),
            folded("More ways to select", lambda: Finder(state)),
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip

    def _changed(self, *events: param.parameterized.Event) -> None:
        if not self._own and {"base", "clustering"} & {event.name for event in events}:
            self.base, self.base_label = self.state.base, self.state.base_label
            self.chosen = set()
        self.show()

    def _places(self, group: str) -> NDArray[np.integer[Any]]:
        """The bar of each galaxy of the bundle, (N,)."""
        return self.state.t_classes if group == TYPES else self.state.labels

    def _all(self) -> NDArray[np.int64]:
        """The galaxies among which one chooses: of the brushes' too."""
        rows = self.base if len(self.base) else np.arange(len(self.state.bundle))
        brushes = self.state.brushes.brushes
        passed = all_of([passing(self.state.bundle, brush) for brush in brushes])
        return rows if passed is None else rows[passed[rows]]

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        actions = {
            "clear": self.state.clear, "label": self.state.label_these, "export": self._export,
        }  # fmt: skip
        group, bar = message.get("group"), message.get("bar")
        if message.get("do") in actions:
            actions[message["do"]]()
        elif group in {TYPES, CLUSTERS} and type(bar) is int:
            self.choose(group, bar, add=message.get("add") is True)

    def choose(self, group: str, bar: int, *, add: bool = False) -> None:
        """Select the galaxies of a bar, beside those of the bars chosen before or instead."""
        one = (group, bar)
        same = {other for other in self.chosen if other[0] == group} if add else set()
        self.chosen = same ^ {one} if add else ({one} - self.chosen)
        rows, words = self.base, ""
        if self.chosen:
            rows = self._all()
            bars = sorted(number for _, number in self.chosen)
            rows = rows[np.isin(self._places(group)[rows], bars)]
            names = [self._bar_name(group, number) for number in bars]
            words = f"{'T ' * (group == TYPES)}{' or '.join(names)}"
            words += f" of {self.base_label}" if self.base_label else ""
        self._own = True
        self.state.select(rows, words or self.base_label)
        self._own = False

    def _bar_name(self, group: str, bar: int) -> str:
        if group == TYPES:
            return T_NAMES[bar] if bar >= 0 else "not known"
        names = shown_names(self.state.bundle, self.state.clustering)
        return names[bar].name if 0 <= bar < len(names) else "in no cluster"

    def show(self) -> None:
        """Show what is selected."""
        rows = self._all()
        selected, none_words = len(self.state.selection) > 0, self.state.none_words
        n = len(self.state.selection) if selected or none_words else len(rows)
        typed = self.state.t_classes[rows] >= 0
        none = int(len(rows) - typed.sum())
        label, export, clear = ["label", "Label these"], ["export", "Export"], ["clear", "Clear"]
        every = "all; draw, search or click a bar"
        clusters = np.bincount(self.state.labels[rows] + 1)[1:]
        largest = np.argsort(-clusters, kind="stable")[:MOST_CLUSTERS]
        left_out = int((clusters > 0).sum() - (clusters[largest] > 0).sum())
        shown = [int(number) for number in largest if clusters[number]]
        self.summary.param.update(
            count=f"{format_galaxies(n)}{' selected' * selected}",
            label=self.state.selection_label if selected else none_words or every,
            actions=[label, export, clear] if selected else [clear if none_words else export],
            groups=[
                self._group(TYPES, "Hubble type T", f"{none:,} without T", range(len(T_NAMES)))
                | {"ends": ["early", "late"]},
                self._group(
                    CLUSTERS, "Clusters", f"and {left_out} more" if left_out else "", shown
                ),
            ],
        )  # fmt: skip

    def _group(self, key: str, title: str, note: str, bars: Any) -> dict[str, Any]:
        """One histogram: `of` counts those among which one chooses, `count` the selected ones."""
        places, rows = self._places(key), self._all()
        chosen = len(self.state.selection) or self.state.none_pass
        now = self.state.selection if chosen else rows
        size = int(places.max(initial=0)) + 2
        of = np.bincount(places[rows] + 1, minlength=size)
        count = np.bincount(places[now] + 1, minlength=size)
        drawn = []
        clusters = self.state.bundle.clusterings[self.state.clustering].clusters
        colours = cluster_colours(clusters)
        for bar in bars:
            name = self._bar_name(key, bar)
            colour = T_COLOURS[bar] if key == TYPES else colours[bar]
            n, all_of = int(count[bar + 1]), int(of[bar + 1])
            words = f"{'T ' * (key == TYPES)}{name}: {format_galaxies(all_of)}"
            drawn.append({
                "key": bar, "name": name, "count": n, "of": all_of, "words": words,
                "colour": colour if all_of else UNKNOWN_COLOUR, "chosen": (key, bar) in self.chosen,
            })  # fmt: skip
        return {"key": key, "title": title, "note": note, "bars": drawn}


class DrawerHead(MessageComponent):
    """Tabs and fold; reports {"tab": name}, {"drawer": mode}, {"back": true} and {"walk": ±1}."""

    entries = param.List(default=[], doc="[name, title] of each tab.")
    tab = param.String(doc="Name of the tab that is open.")
    mode = param.String(default="auto", doc="Whether the drawer is open; see `ExplorerState`.")
    active = param.Boolean(default=True, doc="Whether it can be seen.")

    _esm = script("drawer.js")


class Drawer(View):
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
        elif len(state.selection) or state.none_pass:
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
