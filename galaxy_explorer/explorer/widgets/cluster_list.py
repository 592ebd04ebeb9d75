"""The clusters of the map as cards beside it, or all their Hubble types in place of it.

In the order of mean T the list is the sequence of Hubble types (report, Fig. 15), and so it is
printed; the small multiples are Figs. 13 and 14.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.clustering.summary import ordered, representative
from galaxy_explorer.errors import LabelError
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import encode_sheet
from galaxy_explorer.explorer.plots.palette import cluster_colours
from galaxy_explorer.explorer.plots.print import TrendColumn, trend_figure
from galaxy_explorer.explorer.plots.ttype_histogram import format_mean, format_number, panels
from galaxy_explorer.explorer.state import cluster_rows
from galaxy_explorer.explorer.widgets.cluster_headings import (
    STYLES,
    choice,
    cluster_heading,
    seen_twice,
    several_clusters,
    type_key,
)
from galaxy_explorer.explorer.widgets.cluster_names import (
    ClusterNaming,
    given_names,
    name_cluster,
    shown_names,
)
from galaxy_explorer.explorer.widgets.components import HtmlPane, TileSheet, View
from galaxy_explorer.explorer.widgets.controls import (
    COMPACT,
    Downloads,
    Made,
    clustering_select,
    label_these,
)
from galaxy_explorer.explorer.wording import format_ttype

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.bundle.evaluation import Evaluation
    from galaxy_explorer.clustering.naming import ClusterName
    from galaxy_explorer.clustering.summary import ClusterSummary
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

ORDERS = {"T": "mean T", "Size": "size", "Name": "name"}
LIST, MULTIPLES = "List", "All histograms"
PICTURES = 5
"""Galaxies on a card."""
SHEET_COLUMNS = 16
FEW = 16
"""Up to so many clusters keep their pictures where all histograms are shown."""
TILE, PANEL, WIDE = 44, 128, 300
"""Least width of a picture, and of one of many or of few small multiples (CSS pixels)."""
PRINTED = 12
"""Clusters that a printed figure has room for."""
HASH_DIGITS = 12
LIST_STYLES = """
:host {
  flex: 0 0 clamp(300px, 24vw, 370px) !important; box-sizing: border-box; padding: 8px 10px;
  overflow: hidden auto; background: var(--panel-background-color);
  border-right: 1px solid color-mix(in srgb, var(--panel-on-background-color) 18%, transparent);
}
:host(.multiples) {
  position: absolute !important; inset: 0; z-index: 6; width: auto !important;
}
@media (max-width: 700px) {
  :host {
    position: fixed !important; inset: auto 0 0 !important; z-index: 1100; max-height: 62vh;
    height: auto !important; border-right: 0; border-radius: 12px 12px 0 0;
    box-shadow: 0 -4px 18px #0006;
  }
  :host(.multiples) { max-height: 88vh; }
}
"""
FOOT_STYLES = """
:host {
  position: sticky; bottom: -8px; z-index: 2; padding: 4px 0 8px; overflow: auto;
  background: var(--panel-background-color);
}
"""


def card(cluster: ClusterSummary, panel: dict[str, Any]) -> dict[str, Any]:
    """A row of a sheet: name, Hubble types, their mean and scatter, of how many they are known.

    panel: what `panels` has of the cluster.
    """
    mean, scatter = format_number(cluster.ttype_mean), format_number(cluster.ttype_std)
    return {
        "id": cluster.id,
        "title": panel["name"] or f"Group {cluster.id}",
        "words": "; ".join(filter(None, [panel["words"], panel["stability_words"]])),
        "notes": [
            f"mean T {mean}, scatter {scatter}" if cluster.n_ttype else "mean T not known",
            f"{cluster.n_ttype:,} of {cluster.count:,} have a T",
        ],
        "unstable": panel["unstable"],
        "tiles": [],
        **{name: panel[name] for name in ("bars", "tints", "colour")},
    }


class ClusterList(View):
    """Cards of the clusters; a click selects the members of one, with shift those of several.

    What it lies in has to be positioned: the small multiples take its place.
    """

    open = param.Boolean(default=False, doc="Whether the list can be seen.")
    order: Any = param.Selector(default="mean T", objects=list(ORDERS.values()))
    show: Any = param.Selector(default=LIST, objects=[LIST, MULTIPLES])
    renamed = param.Integer(default=0, doc="Counts the names that were given here.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.stamps = state, context.stamps
        self.sheet = TileSheet(
            self.on_message, tile_width=TILE, sheet_columns=SHEET_COLUMNS, kind="clusters"
        )
        self.task = LatestTask(self.prepare, self.fill, self._ready, shown=self.open)
        self.key, self.about, self.twice = (
            HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=(2, 0))
            for _ in range(3)
        )
        self.downloads = Downloads("Print as", ["pdf", "svg", "png"], self.prepare_file)
        self.naming = ClusterNaming(self._rename)
        self._named: dict[str, tuple[ClusterName, ...]] = {}
        self.view = self._layout()
        state.param.watch(self._show_clustering, "clustering")
        state.param.watch(self._mark, ["selection", "focus"])
        state.param.watch(self.task.ask, "pictures")
        state.display.param.watch(self.task.ask, list(state.display.param.values()))
        self.param.watch(self._show_rows, ["order", "show"])
        self.param.watch(self._appear, "open")
        self._show_clustering()

    @property
    def _clustering(self) -> Clustering:
        clustering: Clustering = self.state.bundle.clusterings[self.state.clustering]
        return clustering

    @property
    def names(self) -> tuple[ClusterName, ...]:
        """What each cluster is called, by its number."""
        key = self.state.clustering
        if key not in self._named:
            self._named[key] = shown_names(self.state.bundle, key)
        return self._named[key]

    @property
    def _jaccard(self) -> tuple[float | None, ...]:
        """How well each cluster comes back in bootstraps; empty where that was not measured."""
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return () if evaluation is None else evaluation.jaccard(self.state.clustering)

    def ordered(self) -> list[ClusterSummary]:
        """The clusters that hold galaxies, in the order of the list."""
        filled = [cluster for cluster in self._clustering.clusters if cluster.count]
        if self.order == "name":
            return sorted(filled, key=lambda cluster: self.names[cluster.id].name.casefold())
        return ordered(filled, self.order)

    def chosen(self) -> list[int]:
        """Numbers of the clusters of which every member is selected, and nobody else is."""
        clusters = self._clustering.clusters
        labels = self.state.labels[self.state.selection].astype(np.int64)
        beside, *counts = np.bincount(labels + 1, minlength=len(clusters) + 1).tolist()
        found = [number for number, count in enumerate(counts) if count]
        whole = not beside and all(counts[one] == clusters[one].count for one in found)
        return found if whole else []

    def choose(self, cluster: int, *, add: bool = False) -> None:
        """Select the members of a cluster; add: beside those chosen before, or without them."""
        chosen = self.chosen() if add else []
        wanted = [one for one in chosen if one != cluster] + [cluster] * (cluster not in chosen)
        rows = [cluster_rows(self.state.bundle, self.state.clustering, one) for one in wanted]
        names = [self.names[one].name for one in wanted]
        words = " and ".join(names) if len(names) < 3 else f"{len(names)} clusters"
        self.state.select(np.concatenate([*rows, np.zeros(0, np.int64)]), words)

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        match message:
            case {"row": int(cluster), "add": bool(add)}:
                if 0 <= cluster < len(self._clustering.clusters):
                    self.choose(cluster, add=add)
            case {"tile": row}:
                self.state.focus_on(row)

    def _appear(self, *_: param.parameterized.Event) -> None:
        self._named.clear()  # others may have named some meanwhile
        self._show_clustering()
        self.view.visible = self.task.shown = self.open

    def _show_clustering(self, *_: param.parameterized.Event) -> None:
        if not self.open:
            return
        self.sheet.sheet = None  # pictures of another clustering
        entry = self.state.bundle.manifest.clusterings[self.state.clustering]
        twice = seen_twice(entry.alignment)
        self.twice.param.update(object=twice, visible=bool(twice))
        self._show_rows()
        self.task.ask()

    def _show_rows(self, *_: param.parameterized.Event) -> None:
        multiples, few = self.show == MULTIPLES, len(self._clustering.clusters) <= FEW
        drawn = panels(
            self._clustering.clusters, share=True, jaccard=self._jaccard,
            names=[one.name for one in self.names],
        )  # fmt: skip
        self.key.object = type_key(self._clustering.clusters, self._jaccard, drawn[0]["top"])
        values = {panel["id"]: panel for panel in drawn}
        clusters = self.ordered()
        self.sheet.param.update(
            rows=[
                card(one, values[one.id])
                | {"tiles": [] if multiples and not few else self._tiles(one)}
                for one in clusters
            ],
            row_width=(WIDE if few else PANEL) if multiples else 0,
            label=f"{len(clusters)} clusters",
        )
        self.view.css_classes = ["cluster-list", *["multiples"] * multiples]
        self._mark()

    def _exemplars(self) -> list[int]:
        """The most typical galaxies of each cluster, in the order of the sheet of pictures."""
        return [row for one in self._clustering.clusters for row in one.typical[:PICTURES]]

    def _tiles(self, cluster: ClusterSummary) -> list[dict[str, Any]]:
        bundle = self.state.bundle
        before = self._clustering.clusters[: cluster.id]
        first = sum(len(one.typical[:PICTURES]) for one in before)
        words = [
            f"{bundle.column('galaxy_id')[row]}, {format_ttype(float(bundle.column('ttype')[row]))}"
            for row in cluster.typical[:PICTURES]
        ]
        return [
            {"id": int(row), "words": words[place], "place": first + place}
            for place, row in enumerate(cluster.typical[:PICTURES])
        ]

    def _mark(self, *_: param.parameterized.Event) -> None:
        if not self.open:
            return
        chosen = self.chosen()
        focus = self.state.focus
        self.sheet.param.update(chosen_rows=chosen, chosen=[] if focus is None else [focus])
        self.actions.visible = bool(chosen)
        self.naming.view.visible = len(chosen) == 1
        if len(chosen) == 1:
            self.naming.begin(self.names[chosen[0]].name)
            cluster = self._clustering.clusters[chosen[0]]
            jaccard = self._jaccard[cluster.id] if cluster.id < len(self._jaccard) else None
            colour = cluster_colours(self._clustering.clusters)[cluster.id]
            given = given_names(self.state.bundle, self.state.clustering).get(cluster.id)
            rule = self.state.bundle.cluster_names(self.state.clustering)[cluster.id].name
            by = f"Named so by {given[1]}; by the rule: {rule}." if given else ""
            self.about.object = cluster_heading(
                cluster, self.names[cluster.id], colour, jaccard, by=by
            )
        elif chosen:
            self.about.object = several_clusters(len(chosen), len(self.state.selection))

    async def _rename(self, name: str, annotator: str) -> None:
        """Call the chosen cluster so, for everybody. Raises LabelError."""
        chosen = self.chosen()
        if len(chosen) != 1:
            raise LabelError("choose the cluster first")
        (cluster,) = chosen
        bundle, key = self.state.bundle, self.state.clustering
        await asyncio.to_thread(name_cluster, bundle, key, cluster, name, annotator)

        def show() -> None:
            self._named.clear()
            self._show_rows()
            self.state.select(self.state.selection, self.names[cluster].name)
            self.renamed += 1

        # What follows the waiting has no longer the document's lock.
        pn.state.execute(show, schedule=True)

    def _ready(self) -> bool:
        return self.stamps.ready(np.array(self._exemplars(), np.int64), self.state.pictures)

    def prepare(self) -> Callable[[], dict[str, Any]]:
        """What to draw now; it is made in a thread."""
        return partial(self._pictures, np.array(self._exemplars(), np.int64))

    def _pictures(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        pictures = self.stamps.pictures(rows, self.state.display, self.state.pictures)
        return {
            "sheet": encode_sheet(pictures, SHEET_COLUMNS),
            "sheet_rows": max(1, -(-len(rows) // SHEET_COLUMNS)),
            "pictures_words": f"{self._source()} of",
        }

    def fill(self, content: dict[str, Any]) -> None:
        """Show what was made."""
        self.sheet.param.update(**content, stamp=self.task.number)

    def _source(self) -> str:
        original = self.state.pictures == "original" and self.stamps.originals is not None
        return "Original" if original else "Reconstruction by the model"

    def printed(self) -> list[ClusterSummary]:
        """Clusters of the printed figure, in the order of the list.

        Those that are chosen, or all; where that are too many, some that span the mean T.
        """
        listed, chosen = self.ordered(), self.chosen()
        if len(chosen) > 1:
            return [cluster for cluster in listed if cluster.id in chosen][:PRINTED]
        if len(listed) <= PRINTED:
            return listed
        spanning = representative(self._clustering.clusters)
        return [cluster for cluster in listed if cluster.id in spanning]

    def prepare_file(self, kind: str) -> Callable[[], Made]:
        """The printed list; it is made in a thread."""
        return partial(self._file, kind, self._clustering, self.printed(), self.names)

    def _file(
        self, kind: str, clustering: Clustering, clusters: list[ClusterSummary],
        names: tuple[ClusterName, ...],
    ) -> Made:  # fmt: skip
        columns = []
        colours = cluster_colours(clustering.clusters)
        for cluster in clusters:
            rows = np.array(cluster.typical[:PICTURES], np.int64)
            pictures = self.stamps.pictures(rows, self.state.display, self.state.pictures)
            words = [
                *textwrap.wrap(names[cluster.id].name, 18, max_lines=2),
                f"n = {cluster.count:,}",
            ]
            title = "\n".join([*words, f"T = {format_mean(cluster)}"])
            histogram = np.array(cluster.histogram)
            columns.append(TrendColumn(title, histogram, colours[cluster.id], pictures))
        bundle = self.state.bundle
        source = (
            f"{self._source().partition(' ')[0]}s of {bundle.name}, {bundle.hash[:HASH_DIGITS]},\n"
            f"clustering {clustering.key}; T: mean ± s.d."
        )
        data = trend_figure(columns, f"Clusters by {self.order}", source, kind)
        return f"clusters-{clustering.key.replace('/', '-')}", data

    def _layout(self) -> pn.Column:
        close = pmui.Button(label="Close", icon="close", size="small", variant="text", margin=0)
        close.on_click(lambda _: self.param.update(open=False))
        self.opener = pmui.Button(label="Clusters", size="small", variant="outlined")
        self.opener.on_click(lambda _: self.param.update(open=not self.open))
        bar = {"justify-content": "space-between", "align-items": "center"}
        head = pn.Row(
            choice("Sorted by", self.param.order, ORDERS), close,
            sizing_mode="stretch_width", margin=0, styles=bar,
        )  # fmt: skip
        self.actions = pn.Column(
            self.about, pn.Row(label_these(self.state), self.naming.opener, margin=0),
            self.naming.view,
            sizing_mode="stretch_width", margin=0, visible=False, stylesheets=[FOOT_STYLES],
        )  # fmt: skip
        advanced = pn.Column(
            clustering_select(self.state), self.twice, sizing_mode="stretch_width", margin=0
        )
        fold = pmui.Accordion(
            ("Grouping: recommended, or choose (advanced)", advanced), active=[],
            disable_gutters=True, sizing_mode="stretch_width", margin=(8, 0), sx=COMPACT,
        )  # fmt: skip
        return pn.Column(
            head, choice("Shown as", self.param.show), self.key, self.sheet, self.actions,
            self.downloads.buttons, fold,
            visible=self.open, sizing_mode="stretch_both", margin=0, stylesheets=[LIST_STYLES],
        )  # fmt: skip
