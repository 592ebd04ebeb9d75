"""The merger tree on the Clusters page: cut by the visitor, its groups as small histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param

from galaxy_explorer.explorer.cluster_words import STYLES, choice
from galaxy_explorer.explorer.esm import MergerTreeView, SmallMultiples
from galaxy_explorer.explorer.evaluation_words import entry_words
from galaxy_explorer.explorer.merger import branches, group_summaries, groups
from galaxy_explorer.explorer.plots_types import panels

if TYPE_CHECKING:
    from galaxy_explorer.bundle_evaluation import MergerTree
    from galaxy_explorer.explorer.state import ExplorerState

FIRST_K = 8
NOTE = (
    "Ward's method joins the two most similar groups again and again; the higher a join, the less"
    " alike what it joins. Drag the dashed line, or use the arrow keys on it, to cut the tree into"
    " more or fewer groups. Colour: mean T of a branch."
)


class MergerGroups(pn.viewable.Viewer):
    """A tree of the evaluation, and the groups it falls into where it is cut."""

    tree: Any = param.Selector(doc="Number of the tree, where the evaluation holds several.")

    def __init__(self, state: ExplorerState, trees: tuple[MergerTree, ...], **params: Any) -> None:
        super().__init__(**params)
        self.state, self.trees = state, trees
        names = {
            f"{entry_words(state.bundle, tree.model)}, {tree.features}": f"{number}"
            for number, tree in enumerate(trees)
        }
        self.param["tree"].objects = list(names.values())
        self.tree = "0"
        self.drawing = MergerTreeView(k=min(FIRST_K, len(trees[0].left) + 1))
        self.multiples = SmallMultiples(self._on_message, panel_width=75)
        self.drawing.param.watch(self._show, "k")
        state.param.watch(self._mark, "selection")
        self.param.watch(self._show_tree, "tree")
        self._show_tree()
        note = pn.pane.HTML(
            f'<p class="soft">{NOTE}</p>', stylesheets=[STYLES], sizing_mode="stretch_width",
            margin=(0, 0, 6, 0),
        )  # fmt: skip
        which = choice("Tree", self.param.tree, names) if len(trees) > 1 else None
        parts = [part for part in (which, note, self.drawing, self.multiples) if part is not None]
        self.view = pn.Column(*parts, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> pn.Column:
        return self.view

    @property
    def _shown(self) -> MergerTree:
        return self.trees[int(self.tree)]

    def _show_tree(self, *_: param.parameterized.Event) -> None:
        self.drawing.param.update(
            branches=branches(self._shown), k=min(self.drawing.k, len(self._shown.left) + 1)
        )
        self._show()

    def _show(self, *_: param.parameterized.Event) -> None:
        k = min(self.drawing.k, len(self._shown.left) + 1)
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

    def _on_message(self, message: dict[str, Any]) -> None:
        number = message.get("cluster")
        if isinstance(number, int) and 0 <= number <= int(self.labels.max()):
            rows = np.flatnonzero(self.labels == number)
            words = f"group {number} of the merger tree cut into {self.drawing.k}"
            self.state.select(rows, words)
