"""Two clusterings of the same galaxies: histograms, contingency and maps, with one selection."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param

from galaxy_explorer.clustering.validation import compare_labels
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.plots.clusterings import (
    compared,
    place_figure,
    set_map,
    update_place,
)
from galaxy_explorer.explorer.plots.figures import contingency_table
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR
from galaxy_explorer.explorer.plots.ttype_histogram import panels
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, type_key
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import HtmlPane, TileSheet, View, when_loaded
from galaxy_explorer.explorer.widgets.figures import FigurePane

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.explorer.state import ExplorerState

SIDES = {"left": "clustering", "right": "compare"}
"""The two sides and the parameters of the state that hold their clusterings."""
ARI = "Adjusted Rand index: 1 if both put the same pairs of galaxies together, 0 as by chance."
AMI = "Adjusted mutual information: what a cluster on one side tells about the other; 0 to 1."


class Comparison(View):
    """The clusterings `state.clustering` (left) and `state.compare` (right) side by side."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.multiples = {
            side: TileSheet(self._reporter(side), row_width=75, kind="panels") for side in SIDES
        }
        self.maps = {
            side: place_figure(self.clustering(side).coordinates, height=110) for side in SIDES
        }
        self.heat = FigurePane()
        self.heads = {side: _text() for side in SIDES}
        self.scores, self.picked = _text(), _text()
        self._scoring = 0
        state.param.watch(self._show_clusterings, ["clustering", "compare"])
        state.param.watch(self._show_selection, "selection")
        self._show_clusterings()
        self.heat_view = pn.Column(self.scores, self.heat, self.picked, sizing_mode="stretch_width")
        self.view = self._layout()

    def clustering(self, side: str) -> Clustering:
        """The clustering on a side."""
        found: Clustering = self.state.bundle.clusterings[getattr(self.state, SIDES[side])]
        return found

    def _reporter(self, side: str) -> Any:
        def report(message: dict[str, Any]) -> None:
            cluster = message.get("row")
            if isinstance(cluster, int) and cluster >= 0:
                self.select_cluster(side, cluster)

        return report

    def select_cluster(self, side: str, cluster: int) -> None:
        """Select the members of a cluster of the left or right clustering."""
        if side == "left":
            names = shown_names(self.state.bundle, self.state.clustering)
            self.state.select_cluster(cluster, names[cluster].name)
            return
        rows = np.flatnonzero(self.clustering(side).labels == cluster)
        self.state.select(rows, f"cluster {cluster} of {self.state.words(self.state.compare)}")

    def _tell_cell(self, left: int, right: int) -> None:
        """What HoloViews tells of a click comes without the document's lock."""
        when_loaded(partial(self.select_cell, left, right))

    def select_cell(self, left: int, right: int) -> None:
        """Select the galaxies that are in one cluster on the left and in another on the right."""
        both = (self.clustering("left").labels == left) & (self.clustering("right").labels == right)
        self.state.select(np.flatnonzero(both), f"cluster {left} on the left, {right} on the right")

    def _show_clusterings(self, *_: param.parameterized.Event) -> None:
        sides = {side: self.clustering(side) for side in SIDES}
        self.heat.object = contingency_table(*compared(*sides.values()), self._tell_cell)
        for side, clustering in sides.items():
            set_map(self.maps[side], clustering.coordinates)
            title = f"{side.capitalize()}: {self.state.words(clustering.key)}"
            key = type_key(clustering.clusters)
            self.heads[side].object = render("pages.side", title=title, key=key)
        self.scores.object = "Agreement of left and right: being computed"
        self._show_selection()
        pn.state.onload(self.score)

    async def score(self) -> None:
        """Compute the agreement of both sides in a thread; late results are dropped."""
        self._scoring += 1
        scoring, labels = self._scoring, [self.clustering(side).labels for side in SIDES]
        found = await asyncio.to_thread(compare_labels, *labels)
        if scoring == self._scoring:
            scores = [
                {"name": name, "explanation": words, "value": f"{found[name.lower()]:.3f}"}
                for name, words in (("ARI", ARI), ("AMI", AMI))
            ]
            self.scores.object = render("pages.scores", scores=scores)

    def _show_selection(self, *_: param.parameterized.Event) -> None:
        rows = self.state.selection
        lines = []
        for side in SIDES:
            clustering = self.clustering(side)
            counts = np.bincount(clustering.labels[rows], minlength=len(clustering.clusters))
            picked = {number: int(count) for number, count in enumerate(counts) if count}
            drawn = panels(clustering.clusters, share=True, picked=picked)
            self.multiples[side].param.update(
                rows=[panel_row(one, picking=bool(len(rows))) for one in drawn],
                chosen_rows=_whole(clustering, picked),
                label=f"Clusters on the {side}, early to late",
            )
            update_place(self.maps[side], clustering.coordinates, rows, SELECTION_COLOUR)
            lines.append(_format_picked(side, picked))
        self.picked.object = self._selection_html(lines)

    def _selection_html(self, lines: list[str]) -> str:
        n = len(self.state.selection)
        if not n:
            return "Nothing is selected. Click a cell, or a cluster of either side."
        label, sides = self.state.selection_label, "; ".join(lines)
        return render("pages.compared", count=f"{n:,}", label=label, sides=sides)

    def _layout(self) -> pn.Row:
        sides = []
        for side in SIDES:
            place = pn.pane.Bokeh(self.maps[side], width=150, height=110, margin=0)
            top = pn.Row(self.heads[side], place, sizing_mode="stretch_width")
            sides.append(
                pn.Column(
                    top,
                    self.multiples[side],
                    sizing_mode="stretch_width",
                    styles={"flex": "1 1 0", "min-width": "0"},
                )
            )
        return pn.Row(
            *sides, sizing_mode="stretch_width", styles={"gap": "16px", "max-height": "none"}
        )


def _text() -> pn.pane.HTML:
    return HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=(0, 0, 6, 0))


def panel_row(panel: dict[str, Any], *, picking: bool) -> dict[str, Any]:
    """A cluster as one of the small multiples; picking: with the share that is selected."""
    notes = [f"{panel['kind']} {panel['mean']}".strip()] if panel["count"] else ["empty"]
    own = {name: panel[name] for name in ("id", "words", "bars", "tints", "colour")}
    own |= {"title": str(panel["id"]), "count": panel["n"], "notes": notes, "tiles": []}
    return own | ({"share": panel["picked"]} if picking else {})


def _whole(clustering: Clustering, picked: dict[int, int]) -> list[int]:
    """The cluster that is selected whole and alone; empty if there is none."""
    whole = [one for one, count in picked.items() if clustering.clusters[one].count == count]
    return whole if len(picked) == 1 else []


def _format_picked(side: str, picked: dict[int, int]) -> str:
    if not picked:
        return ""
    most = max(picked, key=lambda number: picked[number])
    if len(picked) == 1:
        return f"on the {side} all in cluster {most}"
    return f"on the {side} in {len(picked)} clusters, most in {most} ({picked[most]:,})"
