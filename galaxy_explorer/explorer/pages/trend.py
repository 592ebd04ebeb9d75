"""The Trend page: clusters that stand for the sequence of Hubble types (report, Fig. 15).

They come in the order of their mean T: a histogram above, the most typical members below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.clustering.summary import COLUMNS, ENOUGH_TTYPES, ordered, representative
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import encode_sheet
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.plots.print import TrendColumn, trend_figure
from galaxy_explorer.explorer.plots.ttype_histogram import format_mean, panels
from galaxy_explorer.explorer.widgets.cluster_headings import BUTTONS, STYLES, choice, type_key
from galaxy_explorer.explorer.widgets.components import HtmlPane, TrendColumns
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    SOURCE_WORDS,
    Downloads,
    Made,
    clustering_select,
    display_controls,
)
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.wording import caption

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.clustering.summary import ClusterSummary
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

RULE = (
    f"Chosen for you: the range of mean T is cut into {COLUMNS} equal steps, and each step is"
    f" represented by the cluster with the least spread of T among those with at least"
    f" {ENOUGH_TTYPES} members with a T."
)
HOW = "Drag a column, or use its arrows, to change the order. Below: the most typical members."


def moved(order: Sequence[int], start: int, end: int) -> list[int]:
    """The order with the entry at place `start` at place `end`; unchanged for places outside."""
    places = range(len(order))
    if start not in places or end not in places:
        return list(order)
    rest = [entry for place, entry in enumerate(order) if place != start]
    return [*rest[:end], order[start], *rest[end:]]


MAX_COLUMNS = 12
NONE = -1
HASH_DIGITS = 12


class TrendPage(pn.viewable.Viewer):
    """Clusters of the clustering that is shown, picked and ordered by the visitor."""

    chosen = param.List(default=[], doc="Numbers of the clusters, left to right.")
    members: Any = param.Selector(default=5, objects=[3, 5, 8], doc="Galaxies below each.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.stamps = state, context.stamps
        self.columns = TrendColumns(self.on_message)
        self.detail = Detail(state, context.stamps)
        self.task = LatestTask(self.prepare, self.fill)
        self.downloads = Downloads("Download as", ["png", "svg", "pdf"], self.prepare_file)
        self.key = HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=0)
        self.add = pmui.Select(
            label="Add a cluster",
            size="small",
            width=240,
            margin=(10, 0, 4, 0),
            value=NONE,
            options={"choose …": NONE},
        )
        self.add.param.watch(self._add, "value")
        state.param.watch(self._start, "clustering")
        state.param.watch(self.task.ask, "pictures")
        state.display.param.watch(self.task.ask, list(state.display.param.values()))
        self.param.watch(self._offer, "chosen")
        self.param.watch(self.task.ask, ["chosen", "members"])
        self._start()
        rule = HtmlPane(
            render("parts.soft", words=f"{RULE} {HOW}"),
            stylesheets=[STYLES], sizing_mode="stretch_width", margin=(0, 0, 4, 0),
        )  # fmt: skip
        sources = choice("Pictures", self.state.param.pictures, SOURCE_WORDS)
        sources.visible = self.stamps.originals is not None
        select = clustering_select(self.state)
        select.param.update(margin=(10, 8, 4, 0), styles={"flex": "1 1 280px"})
        bar = pn.Row(
            _button("Choose for me", self._start), _button("Sort by mean T", self.sort),
            choice("Members", self.param.members), sources, self.downloads.buttons,
            margin=(4, 0), sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap", "gap": "6px 14px", "align-items": "center"},
        )  # fmt: skip
        self.view = pn.Column(
            pn.Row(select, self.add, sizing_mode="stretch_width"),
            bar, self.key, rule, self.detail, self.columns, display_controls(self.state),
            sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip
        self.view.param.watch(self.appear, "visible")

    def __panel__(self) -> pn.Column:
        return self.view

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.task.shown = self.detail.task.shown = event.new

    @property
    def _clustering(self) -> Clustering:
        clustering: Clustering = self.state.bundle.clusterings[self.state.clustering]
        return clustering

    def _start(self, *_: Any) -> None:
        self.key.object = type_key(self._clustering.clusters)
        self.chosen = representative(self._clustering.clusters)
        self._offer()
        self.task.ask()

    def sort(self, *_: Any) -> None:
        """Put the chosen clusters in order of mean T."""
        chosen = [self._clustering.clusters[number] for number in self.chosen]
        self.chosen = [cluster.id for cluster in ordered(chosen, "mean T")]

    def _offer(self, *_: Any) -> None:
        rest = [c for c in self._clustering.clusters if c.count and c.id not in self.chosen]
        options = {"choose …": NONE}
        options |= {
            f"{cluster.id}: T {format_mean(cluster)}, {cluster.count:,} galaxies": cluster.id
            for cluster in ordered(rest, "mean T")
        }
        full = len(self.chosen) >= MAX_COLUMNS or not rest
        self.add.param.update(options=options, value=NONE, disabled=full)

    def _add(self, event: param.parameterized.Event) -> None:
        if event.new != NONE and event.new not in self.chosen:
            self.chosen = [*self.chosen, event.new]

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        match message:
            case {"move": [int(start), int(end)]}:
                self.chosen = moved(self.chosen, start, end)
            case {"remove": int(place)} if 0 <= place < len(self.chosen) > 1:
                self.chosen = [c for at, c in enumerate(self.chosen) if at != place]
            case {"cluster": int(number)} if number in self.chosen:
                self.state.select_cluster(number)
            case {"focus": int(row)} if 0 <= row < len(self.state.bundle):
                self.state.focus = row

    def _rows(self, clustering: Clustering, chosen: list[int]) -> list[NDArray[np.int64]]:
        """The most typical members of each chosen cluster."""
        typical = (clustering.clusters[number].typical for number in chosen)
        return [np.array(rows[: self.members], np.int64) for rows in typical]

    def prepare(self) -> Callable[[], dict[str, Any]]:
        """What to draw now; it is made in a thread."""
        return partial(self._content, self._clustering, list(self.chosen))

    def _content(self, clustering: Clustering, chosen: list[int]) -> dict[str, Any]:
        rows = self._rows(clustering, chosen)
        flat = np.concatenate(rows)
        pictures = self.stamps.pictures(flat, self.state.display, self.state.pictures)
        drawn = {panel["id"]: panel for panel in panels(_of(clustering, chosen), share=True)}
        first = np.cumsum([0, *map(len, rows)])
        columns = [
            drawn[number]
            | {"n": member_counts(clustering.clusters[number]), "tiles": self._tiles(own, at)}
            for number, own, at in zip(chosen, rows, first[:-1].tolist(), strict=True)
        ]
        return {
            "sheet": encode_sheet(pictures, MAX_COLUMNS),
            "sheet_columns": MAX_COLUMNS,
            "sheet_rows": -(-len(flat) // MAX_COLUMNS),
            "columns": columns,
            "pictures_words": "Original" if self._originals() else "Reconstruction by the model",
        }

    def _tiles(self, rows: NDArray[np.int64], first: int) -> list[list[Any]]:
        bundle = self.state.bundle
        return [
            [int(row), caption(bundle, self._clustering, int(row)), first + place]
            for place, row in enumerate(rows)
        ]

    def fill(self, content: dict[str, Any]) -> None:
        """Show what was made."""
        self.columns.param.update(**content, stamp=self.task.number)

    def _originals(self) -> bool:
        return self.state.pictures == "original" and self.stamps.originals is not None

    def prepare_file(self, kind: str) -> Callable[[], Made]:
        """The file that is asked for; it is made in a thread."""
        return partial(self._file, kind, self._clustering, list(self.chosen))

    def _file(self, kind: str, clustering: Clustering, chosen: list[int]) -> Made:
        columns = []
        for cluster, rows in zip(
            _of(clustering, chosen), self._rows(clustering, chosen), strict=True
        ):
            pictures = self.stamps.pictures(rows, self.state.display, self.state.pictures)
            title = f"cluster {cluster.id}\nn = {cluster.count:,}\nT = {format_mean(cluster)}"
            colour = type_colour(cluster.ttype_mean)
            columns.append(TrendColumn(title, np.array(cluster.histogram), colour, pictures))
        bundle = self.state.bundle
        source = (
            f"{'Originals' if self._originals() else 'Reconstructions'} of {bundle.name}, bundle"
            f" {bundle.hash[:HASH_DIGITS]}, clustering {clustering.key}; T: mean ± s.d."
        )
        data = trend_figure(columns, self.state.words(clustering.key), source, kind)
        return f"trend-{clustering.key.replace('/', '-')}", data


def _of(clustering: Clustering, chosen: list[int]) -> list[ClusterSummary]:
    return [clustering.clusters[number] for number in chosen]


def member_counts(cluster: ClusterSummary) -> str:
    """Members of a cluster, and how many of them have a T."""
    return f"{cluster.count:,} ({cluster.n_ttype:,} with T)"


def _button(words: str, action: Callable[..., Any]) -> pmui.Button:
    button = pmui.Button(label=words, size="small", variant="outlined", margin=0, sx=BUTTONS)
    button.on_click(action)
    return button
