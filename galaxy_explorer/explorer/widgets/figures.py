"""HoloViews figures on a page. Imported by pages that open later: see `plots.figures`."""

from __future__ import annotations

from functools import partial
from typing import Any

import holoviews as hv
import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.explorer.plots.figures import merger_tree
from galaxy_explorer.explorer.widgets.components import View, when_loaded


class FigurePane(pn.pane.HoloViews):
    """A figure as wide as its place; its axes are tied to those of no other."""

    priority = None  # never chosen by Panel itself

    def __init__(self, object: Any = None, **params: Any) -> None:  # noqa: A002 (Panel's name)
        defaults = {"sizing_mode": "stretch_width", "margin": 0, "linked_axes": False}
        super().__init__(object, **{**defaults, **params})


class MergerTreeView(View):
    """A tree of mergers that the visitor cuts: by the slider, or by a click on the tree."""

    branches = param.List(default=[], doc="What `branches` of the Merger tree page gives.")
    k = param.Integer(default=8, bounds=(1, None), doc="Number of groups.")

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        # Linked: else HoloViews hears no click on several elements that are drawn anew.
        stream = hv.streams.Params(self, ["branches", "k"], linked=True)
        tree = hv.DynamicMap(self._draw, streams=[stream])
        self.taps = hv.streams.Tap(source=tree)
        self.taps.add_subscriber(self._cut)
        self.slider = pmui.IntSlider.from_param(
            self.param.k, label="Number of groups", start=1, end=2, description="",
            sizing_mode="stretch_width", margin=(0, 12),
        )  # fmt: skip
        self.param.watch(self._bound, "branches")
        self._bound()
        self.view = pn.Column(self.slider, FigurePane(tree), sizing_mode="stretch_width", margin=0)

    @property
    def heights(self) -> list[float]:
        """Heights of the mergers, 0..1, the last one first: k groups are left below place k - 2."""
        return [float(branch[4]) for branch in reversed(self.branches)]

    def _bound(self, *_: Any) -> None:
        self.slider.end = max(2, len(self.branches) + 1)

    def _draw(self, branches: list[Any], k: int) -> Any:
        heights = self.heights
        above = heights[k - 2] if 2 <= k < len(heights) + 2 else 1.03
        below = heights[k - 1] if k - 1 < len(heights) else 0.0
        return merger_tree(branches, (above + below) / 2, f"{k} groups")

    def _cut(self, y: float | None = None, **_: Any) -> None:
        """Cut at a height that was clicked."""
        if y is not None:
            k = 1 + sum(height > y for height in self.heights)
            # HoloViews tells of a click off the document's lock, which the figure needs.
            when_loaded(partial(self.param.update, k=k))
