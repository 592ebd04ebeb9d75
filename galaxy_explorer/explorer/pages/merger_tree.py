"""The Merger tree page: Ward's tree of an evaluation, which the visitor cuts into groups."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param
from numpy.typing import NDArray

from galaxy_explorer.clustering.merger_tree import MergerTree
from galaxy_explorer.clustering.summary import group_summaries
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.plots.ttype_histogram import panels
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.cluster_list import PANEL, card
from galaxy_explorer.explorer.widgets.components import HtmlPane, TileSheet, View
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, keep_in_address, label_these
from galaxy_explorer.explorer.widgets.figures import MergerTreeView
from galaxy_explorer.explorer.widgets.gallery import Gallery
from galaxy_explorer.explorer.wording import format_entry

if TYPE_CHECKING:
    from galaxy_explorer.bundle.evaluation import Evaluation
    from galaxy_explorer.bundle.evaluation import StoredMergerTree as StoredTree
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
    " alike what it joins. The slider, or a click at a height of the tree, cuts it into more or"
    " fewer groups. Colour: mean T of a branch."
)


class MergerGroups(View):
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
        self.groups = TileSheet(self.on_message, row_width=PANEL)
        self.tree_view.param.watch(self._show, "k")
        state.param.watch(self._mark, "selection")
        self.param.watch(self._show_tree, "tree")
        self._show_tree()
        keep_in_address(state, self, {"tree": "tree"})
        keep_in_address(state, self.tree_view, {"cut": "k"})
        note = HtmlPane(
            render("parts.soft", words=NOTE), stylesheets=[STYLES], sizing_mode="stretch_width",
            margin=(0, 0, 6, 0),
        )  # fmt: skip
        which = choice("Tree", self.param.tree, names) if len(trees) > 1 else None
        parts = [part for part in (which, note, self.tree_view, self.groups) if part is not None]
        self.view = pn.Column(*parts, sizing_mode="stretch_width", margin=0)

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
        drawn = panels(summaries, share=True, order="number")
        self.groups.param.update(
            rows=[card(one, panel) for one, panel in zip(summaries, drawn, strict=True)],
            label=f"Hubble types of {k} groups of the merger tree",
        )
        self._mark()

    def _mark(self, *_: param.parameterized.Event) -> None:
        """Mark the group whose members are exactly the selection."""
        found = np.unique(self.labels[self.state.selection])
        whole = len(found) == 1 and (self.labels == found[0]).sum() == len(self.state.selection)
        self.groups.chosen_rows = found.tolist() if whole else []

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        number = message.get("row")
        if isinstance(number, int) and 0 <= number <= int(self.labels.max()):
            rows = np.flatnonzero(self.labels == number)
            words = f"group {number} of the merger tree cut into {self.tree_view.k}"
            self.state.select(rows, words)


class MergerTreePage(View):
    """The tree and its groups on the left, the galaxies of the chosen group on the right."""

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        evaluation: Evaluation | None = state.bundle.evaluation
        trees = () if evaluation is None else evaluation.trees
        self.merger = MergerGroups(state, trees)
        self.gallery = Gallery(state, context.stamps)
        half = {"height": PAGE_HEIGHT, "overflow": "hidden auto", "min-width": "0", "flex": "1 1 0"}
        self.view = pn.Row(
            pn.Column(
                self.merger, margin=(0, 12, 0, 0), sizing_mode="stretch_width", styles=half
            ),
            pn.Column(
                label_these(state), self.gallery, sizing_mode="stretch_width",
                styles=half,
            ),
            sizing_mode="stretch_width", margin=8,
        )  # fmt: skip
        self.view.param.watch(self.appear, "visible")

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.gallery.task.shown = event.new
