"""The Clusters page: Hubble types of every cluster, and one cluster in full.

Or Ward's merger tree, which the visitor cuts, with the groups of the cut as small histograms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param
from numpy.typing import NDArray

from galaxy_explorer.clustering.merger_tree import MergerTree
from galaxy_explorer.clustering.summary import ORDERS, ClusterSummary, group_summaries
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.plots.clusterings import place_figure, set_map, update_place
from galaxy_explorer.explorer.plots.figures import t_histogram
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR, cluster_colour, type_colour
from galaxy_explorer.explorer.plots.ttype_histogram import panels
from galaxy_explorer.explorer.widgets.cluster_headings import (
    STYLES,
    choice,
    cluster_heading,
    seen_twice,
    selection_heading,
    type_key,
)
from galaxy_explorer.explorer.widgets.components import HtmlPane, SmallMultiples
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    SOURCE_WORDS,
    clustering_select,
    display_controls,
    label_these,
)
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.widgets.figures import FigurePane, MergerTreeView
from galaxy_explorer.explorer.widgets.gallery import Gallery
from galaxy_explorer.explorer.wording import format_entry

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Clustering
    from galaxy_explorer.bundle.evaluation import Evaluation
    from galaxy_explorer.bundle.evaluation import StoredMergerTree as StoredTree
    from galaxy_explorer.clustering.naming import ClusterName
    from galaxy_explorer.clustering.summary import ClusterSummary
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


def tree_of(stored: StoredTree) -> MergerTree:
    """The tree of an evaluation, ready to be cut."""
    merges = np.stack([stored.left, stored.right], axis=1).astype(np.int32)
    heights = np.array([np.nan if h is None else h for h in stored.height], np.float32)
    return MergerTree(merges, heights)


def branches(stored: StoredTree) -> list[list[Any]]:
    """What the drawing of a tree needs: one entry a merge, the lowest first.

    [x left, x right, y left, y right, y, colour left, colour right]: x in 0..1 along the leaves in
    the order of the branches, y in 0..1 with the root at 1. y is the square root of the height,
    which spreads the many low mergers. Colours are those of the mean T of the two branches.
    """
    tree = tree_of(stored)
    n = tree.n_leaves
    x = np.empty(2 * n - 1)
    x[:n] = (tree.cut(n) + 0.5) / n  # the number of a leaf is its place in the order
    top = max(float(np.nanmax(tree.heights, initial=0.0)), 1e-12)
    y = np.concatenate([np.zeros(n), np.sqrt(np.nan_to_num(tree.heights) / top)])
    drawn: list[list[Any]] = []
    for number, (left, right) in enumerate(tree.merges):
        node = n + number
        x[node] = (x[left] + x[right]) / 2
        means = (stored.ttype_mean[side] for side in (left, right))
        tints = [type_colour(math.nan if mean is None else mean) for mean in means]
        places = [x[left], x[right], y[left], y[right], y[node]]
        drawn.append([*(round(float(value), 4) for value in places), *tints])
    return drawn


def groups(stored: StoredTree, k: int) -> NDArray[np.int64]:
    """Group 0..k-1 of each galaxy when the tree is cut into k, in the order of the branches."""
    return np.asarray(tree_of(stored).cut(k)[np.asarray(stored.leaf)], np.int64)


FIRST_K = 8
NOTE = (
    "Ward's method joins the two most similar groups again and again; the higher a join, the less"
    " alike what it joins. The slider, or a click on the tree, cuts it into more or fewer groups."
    " Colour: mean T of a branch."
)


class MergerGroups(pn.viewable.Viewer):
    """A tree of the evaluation, and the groups it falls into where it is cut."""

    tree: Any = param.Selector(doc="Number of the tree, where the evaluation holds several.")

    def __init__(self, state: ExplorerState, trees: tuple[StoredTree, ...], **params: Any) -> None:
        super().__init__(**params)
        self.state, self.trees = state, trees
        names = {
            f"{format_entry(state.bundle, tree.model)}, {tree.features}": f"{number}"
            for number, tree in enumerate(trees)
        }
        self.param["tree"].objects = list(names.values())
        self.tree = "0"
        self.tree_view = MergerTreeView(k=min(FIRST_K, len(trees[0].left) + 1))
        self.multiples = SmallMultiples(self.on_message, panel_width=75)
        self.tree_view.param.watch(self._show, "k")
        state.param.watch(self._mark, "selection")
        self.param.watch(self._show_tree, "tree")
        self._show_tree()
        note = HtmlPane(
            render("parts.soft", words=NOTE), stylesheets=[STYLES], sizing_mode="stretch_width",
            margin=(0, 0, 6, 0),
        )  # fmt: skip
        which = choice("Tree", self.param.tree, names) if len(trees) > 1 else None
        parts = [part for part in (which, note, self.tree_view, self.multiples) if part is not None]
        self.view = pn.Column(*parts, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> pn.Column:
        return self.view

    @property
    def _shown(self) -> StoredTree:
        return self.trees[int(self.tree)]

    def _show_tree(self, *_: param.parameterized.Event) -> None:
        self.tree_view.param.update(
            branches=branches(self._shown), k=min(self.tree_view.k, len(self._shown.left) + 1)
        )
        self._show()

    def _show(self, *_: param.parameterized.Event) -> None:
        k = min(self.tree_view.k, len(self._shown.left) + 1)
        self.labels = groups(self._shown, k)
        summaries = group_summaries(
            self.labels, k, self.state.bundle.column("ttype"), self.state.t_classes
        )
        self.multiples.param.update(
            panels=panels(summaries, share=True, order="number"),
            label=f"Hubble types of {k} groups of the merger tree",
        )

        self._mark()

    def _mark(self, *_: param.parameterized.Event) -> None:
        """Mark the group whose members are exactly the selection."""
        found = np.unique(self.labels[self.state.selection])
        whole = len(found) == 1 and (self.labels == found[0]).sum() == len(self.state.selection)
        self.multiples.chosen = int(found[0]) if whole else -1

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        number = message.get("cluster")
        if isinstance(number, int) and 0 <= number <= int(self.labels.max()):
            rows = np.flatnonzero(self.labels == number)
            words = f"group {number} of the merger tree cut into {self.tree_view.k}"
            self.state.select(rows, words)


SCALES = {"share": True, "counts": False}
SHOWN = ("clusters", "merger tree")
FEW, NARROW, WIDE = 16, 75, 150
"""Up to so many clusters have wide panels, px, with their names."""


class ClustersPage(pn.viewable.Viewer):
    """All clusters as small histograms on the left, the selection on the right."""

    order: Any = param.Selector(default="mean T", objects=list(ORDERS), doc="Order of clusters.")
    scale: Any = param.Selector(default="share", objects=list(SCALES), doc="What bars show.")
    show: Any = param.Selector(default=SHOWN[0], objects=list(SHOWN), doc="What is on the left.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.multiples = SmallMultiples(self.on_message, panel_width=NARROW)
        self.merger: MergerGroups | None = None
        self.gallery = Gallery(state, context.stamps)
        self.detail = Detail(state, context.stamps)
        self.histogram = FigurePane()
        self.place = place_figure(self._clustering.coordinates, height=210)
        self.legend, self.heading, self.twice = (
            HtmlPane("", margin=(0, 0, 6, 0), sizing_mode="stretch_width", stylesheets=[STYLES])
            for _ in range(3)
        )
        state.param.watch(self._show_all, "clustering")
        state.param.watch(self._show_selection, ["selection", "clustering"])
        self.param.watch(self._show_all, ["order", "scale"])
        self._show_all()
        self._show_selection()
        bar = pn.Row(
            choice("Sorted by", self.param.order),
            choice("Bars", self.param.scale),
            margin=(4, 0, 4, 0), sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap", "gap": "4px 12px"},
        )  # fmt: skip
        figures = pn.Row(
            _part(self.histogram, 2),
            _part(pn.pane.Bokeh(self.place, sizing_mode="stretch_width", margin=0), 1),
            sizing_mode="stretch_width",
        )
        half = {"height": PAGE_HEIGHT, "overflow": "hidden auto", "min-width": "0"}
        self.all_clusters = pn.Column(
            clustering_select(self.state), bar, self.legend, self.multiples, self.twice,
            margin=0, sizing_mode="stretch_width", styles={"max-height": "none"},
        )  # fmt: skip
        shown = choice("Show", self.param.show)
        shown.param.update(visible=bool(self._trees), margin=(0, 0, 8, 0))
        self.left = pn.Column(
            shown, self.all_clusters,
            margin=(0, 12, 0, 0), sizing_mode="stretch_width", styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        self.param.watch(self._switch, "show")
        sources = choice("Pictures", self.state.param.pictures, SOURCE_WORDS)
        sources.visible = self.gallery.stamps.originals is not None
        right = pn.Column(
            self.heading, label_these(state), figures, self.detail, sources, self.gallery,
            display_controls(self.state), sizing_mode="stretch_width",
            styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        self.view = pn.Row(self.left, right, sizing_mode="stretch_width", margin=8)
        self.view.param.watch(self.appear, "visible")

    def __panel__(self) -> pn.Row:
        return self.view

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.gallery.task.shown = self.detail.task.shown = event.new

    @property
    def _clustering(self) -> Clustering:
        clustering: Clustering = self.state.bundle.clusterings[self.state.clustering]
        return clustering

    @property
    def _names(self) -> tuple[ClusterName, ...]:
        names: tuple[ClusterName, ...] = self.state.bundle.cluster_names(self.state.clustering)
        return names

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

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        cluster = message.get("cluster")
        if isinstance(cluster, int) and 0 <= cluster < len(self._clustering.clusters):
            self.state.select_cluster(cluster)

    def _show_all(self, *_: param.parameterized.Event) -> None:
        clusters = self._clustering.clusters
        set_map(self.place, self._clustering.coordinates)
        self.multiples.param.update(
            panels=panels(
                clusters,
                share=SCALES[self.scale],
                order=self.order,
                jaccard=self._jaccard,
                names=[one.name for one in self._names],
            ),
            panel_width=NARROW if len(clusters) > FEW else WIDE,
            label=f"Hubble types of {len(clusters)} clusters, by {self.order}",
        )
        self.legend.object = type_key(clusters, self._jaccard)
        entry = self.state.bundle.manifest.clusterings[self.state.clustering]
        twice = seen_twice(entry.alignment)
        self.twice.param.update(object=twice, visible=bool(twice))

    def _show_selection(self, *_: param.parameterized.Event) -> None:
        rows, cluster = self.state.selection, self.chosen()
        shown = rows if len(rows) else np.arange(len(self.state.bundle))
        counts, no_t = self.state.ttype_histogram(shown)
        everyone = self.state.ttype_histogram(np.arange(len(self.state.bundle)))[0]
        reference = everyone if len(rows) else None
        self.histogram.object = t_histogram(counts, no_t, reference=reference, height=210)
        colour = SELECTION_COLOUR if cluster is None else cluster_colour(cluster.id)
        update_place(self.place, self._clustering.coordinates, rows, colour)
        self.multiples.chosen = -1 if cluster is None else cluster.id
        if cluster is None:
            label = self.state.selection_label
            self.heading.object = selection_heading(label, len(shown), no_t)
        else:
            jaccard = self._jaccard[cluster.id] if cluster.id < len(self._jaccard) else None
            self.heading.object = cluster_heading(cluster, self._names[cluster.id], jaccard)

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
    def _trees(self) -> tuple[StoredTree, ...]:
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return () if evaluation is None else evaluation.trees


def _part(pane: pn.viewable.Viewable, share: int) -> pn.Column:
    """A figure that takes so many parts of the width of its row."""
    styles = {"flex": f"{share} 1 0", "min-width": "0"}
    return pn.Column(pane, sizing_mode="stretch_width", margin=0, styles=styles)
