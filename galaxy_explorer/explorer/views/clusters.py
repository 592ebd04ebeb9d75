"""The Clusters page: Hubble types of every cluster, and one cluster in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param
from bokeh.plotting import figure

from galaxy_explorer.explorer.cluster_words import (
    STYLES,
    choice,
    cluster_heading,
    selection_heading,
    type_key,
)
from galaxy_explorer.explorer.components import Gallery
from galaxy_explorer.explorer.controls import SOURCE_WORDS, clustering_select, display_controls
from galaxy_explorer.explorer.detail import Detail
from galaxy_explorer.explorer.esm import SmallMultiples
from galaxy_explorer.explorer.merger_view import MergerGroups
from galaxy_explorer.explorer.palette import SELECTION_COLOUR, cluster_colour
from galaxy_explorer.explorer.plots_compare import place_figure, set_map, update_place
from galaxy_explorer.explorer.plots_types import (
    ORDERS,
    panels,
    t_histogram,
    update_t_histogram,
)

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.bundle_evaluation import Evaluation, MergerTree
    from galaxy_explorer.clustering.summary import ClusterSummary
    from galaxy_explorer.explorer.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

SCALES = {"share": True, "counts": False}
SHOWN = ("clusters", "merger tree")
PAGE_HEIGHT = "calc(100vh - 84px)"
"""The page below the application bar: each half scrolls by itself."""


class Clusters(pn.viewable.Viewer):
    """All clusters as small histograms on the left, the selection on the right."""

    order: Any = param.Selector(default="mean T", objects=list(ORDERS), doc="Order of clusters.")
    scale: Any = param.Selector(default="share", objects=list(SCALES), doc="What bars show.")
    show: Any = param.Selector(default=SHOWN[0], objects=list(SHOWN), doc="What is on the left.")

    def __init__(self, state: ExplorerState, stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.multiples = SmallMultiples(self._on_message, panel_width=75)
        self.merger: MergerGroups | None = None
        self.gallery = Gallery(state, stamps)
        self.detail = Detail(state, stamps)
        self.histogram = t_histogram(np.zeros(10, int), 0, height=210)
        self.place = place_figure(self._clustering.coordinates, height=210)
        self.legend, self.heading = (
            pn.pane.HTML("", margin=(0, 0, 6, 0), sizing_mode="stretch_width", stylesheets=[STYLES])
            for _ in range(2)
        )
        state.param.watch(self._show_all, "clustering")
        state.param.watch(self._show_selection, ["selection", "clustering"])
        self.param.watch(self._show_all, ["order", "scale"])
        self._show_all()
        self._show_selection()
        self.view = self._layout()
        self.view.param.watch(self._appear, "visible")

    def __panel__(self) -> pn.Row:
        return self.view

    def _appear(self, event: param.parameterized.Event) -> None:
        self.gallery.drawing.shown = self.detail.drawing.shown = event.new

    @property
    def _clustering(self) -> Clustering:
        clustering: Clustering = self.state.bundle.clusterings[self.state.clustering]
        return clustering

    @property
    def _jaccard(self) -> tuple[float | None, ...]:
        """How well each cluster comes back in bootstraps; empty where that was not measured."""
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return () if evaluation is None else evaluation.jaccard(self.state.clustering)

    def chosen(self) -> ClusterSummary | None:
        """The cluster whose members are exactly the selection; None if there is no such cluster."""
        selected = self.state.selection
        labels = np.unique(self._clustering.labels[selected])
        if len(labels) != 1:
            return None
        cluster = self._clustering.clusters[int(labels[0])]
        return cluster if cluster.count == len(selected) else None

    def _on_message(self, message: dict[str, Any]) -> None:
        cluster = message.get("cluster")
        if isinstance(cluster, int) and 0 <= cluster < len(self._clustering.clusters):
            self.state.select_cluster(cluster)

    def _show_all(self, *_: param.parameterized.Event) -> None:
        clusters = self._clustering.clusters
        set_map(self.place, self._clustering.coordinates)
        self.multiples.param.update(
            panels=panels(
                clusters, share=SCALES[self.scale], order=self.order, jaccard=self._jaccard
            ),
            label=f"Hubble types of {len(clusters)} clusters, by {self.order}",
        )
        self.legend.object = type_key(clusters, self._jaccard)

    def _show_selection(self, *_: param.parameterized.Event) -> None:
        rows, cluster = self.state.selection, self.chosen()
        shown = rows if len(rows) else np.arange(len(self.state.bundle))
        counts, no_t = self.state.ttype_histogram(shown)
        everyone = self.state.ttype_histogram(np.arange(len(self.state.bundle)))[0]
        reference = everyone if len(rows) else None
        update_t_histogram(self.histogram, counts, no_t, reference=reference)
        colour = SELECTION_COLOUR if cluster is None else cluster_colour(cluster.id)
        update_place(self.place, self._clustering.coordinates, rows, colour)
        self.multiples.chosen = -1 if cluster is None else cluster.id
        if cluster is None:
            label = self.state.selection_label
            self.heading.object = selection_heading(label, len(shown), no_t)
        else:
            jaccard = self._jaccard[cluster.id] if cluster.id < len(self._jaccard) else None
            self.heading.object = cluster_heading(cluster, jaccard)

    def _layout(self) -> pn.Row:
        bar = pn.Row(
            choice("Sorted by", self.param.order),
            choice("Bars", self.param.scale),
            margin=(4, 0, 4, 0), sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap", "gap": "4px 12px"},
        )  # fmt: skip
        figures = pn.Row(
            _part(self.histogram, 2), _part(self.place, 1), sizing_mode="stretch_width"
        )
        half = {"height": PAGE_HEIGHT, "overflow": "hidden auto", "min-width": "0"}
        self.all_clusters = pn.Column(
            clustering_select(self.state), bar, self.legend, self.multiples,
            margin=0, sizing_mode="stretch_width", styles={"max-height": "none"},
        )  # fmt: skip
        shown = choice("Show", self.param.show)
        shown.param.update(visible=bool(self._trees), margin=(0, 0, 8, 0))
        self.left = pn.Column(
            shown, self.all_clusters,
            margin=(0, 12, 0, 0), sizing_mode="stretch_width", styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        self.param.watch(self._switch, "show")
        right = pn.Column(
            self.heading, figures, self.detail, self._sources(), self.gallery,
            display_controls(self.state), sizing_mode="stretch_width",
            styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        return pn.Row(self.left, right, sizing_mode="stretch_width", margin=8)

    def _switch(self, *_: param.parameterized.Event) -> None:
        """Show the clusters or the merger tree, which is made when it is first asked for."""
        tree = self.show == SHOWN[1]
        if tree and self.merger is None:
            self.merger = MergerGroups(self.state, self._trees)
            self.left.append(self.merger.view)
        if self.merger is not None:
            self.merger.view.visible = tree
        self.all_clusters.visible = not tree

    @property
    def _trees(self) -> tuple[MergerTree, ...]:
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return () if evaluation is None else evaluation.trees

    def _sources(self) -> pn.Row:
        sources = choice("Pictures", self.state.param.pictures, SOURCE_WORDS)
        sources.visible = self.gallery.stamps.originals is not None
        return sources


def _part(plot: figure, share: int) -> pn.Column:
    """A figure that takes so many parts of the width of its row."""
    pane = pn.pane.Bokeh(plot, sizing_mode="stretch_width", margin=0)
    styles = {"flex": f"{share} 1 0", "min-width": "0"}
    return pn.Column(pane, sizing_mode="stretch_width", margin=0, styles=styles)
