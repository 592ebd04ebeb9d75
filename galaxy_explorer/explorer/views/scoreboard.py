"""The Scoreboard page: every figure of the evaluation, with chance, ceiling and interval."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.bundle_evaluation import Evaluation, Row
from galaxy_explorer.explorer.downloads import Downloads, Made
from galaxy_explorer.explorer.esm import ScoreGroups
from galaxy_explorer.explorer.evaluation_parts import costs_table, curves, targets_table
from galaxy_explorer.explorer.evaluation_words import (
    CLUSTERER_WORDS,
    NOT_EVALUATED,
    QUESTION_WORDS,
    entry_words,
)
from galaxy_explorer.explorer.scores import (
    ALL,
    FILTERS,
    csv_bytes,
    ecsv_bytes,
    groups,
    matching,
    values_of,
)
from galaxy_explorer.explorer.text import plain
from galaxy_explorer.explorer.views.claims import CARD_STYLES

if TYPE_CHECKING:
    from galaxy_explorer.explorer.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

PAGE_HEIGHT = "calc(100vh - 84px)"
FIRST_QUESTION = "agreement"
EVERY = {
    "question": "every question",
    "model": "every model",
    "features": "all features",
    "clusterer": "every clusterer",
}
KEY = (
    '<span class="interval-key"><span><i class="dot"></i>value</span>'
    '<span><i class="range"></i>95 % interval</span>'
    '<span><i class="chance"></i>shuffled labels (chance)</span>'
    '<span><i class="ceiling"></i>the most that the errors of T allow</span></span>'
)


class Scoreboard(pn.viewable.Viewer):
    """Filters above, one table for each figure below; then targets, numbers of clusters, costs."""

    question: Any = param.Selector(doc="Question whose figures are shown; empty: every question.")
    model: Any = param.Selector(doc="Model; empty: every model.")
    features: Any = param.Selector(doc="Features; empty: all.")
    clusterer: Any = param.Selector(doc="Clusterer; empty: every clusterer.")

    def __init__(self, state: ExplorerState, _stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.tables = ScoreGroups()
        self.count = _html("")
        self.downloads = Downloads("Download these as", ["csv", "ecsv"], self._prepare_file)
        evaluation: Evaluation | None = state.bundle.evaluation
        if evaluation is None:
            self.view = _nothing(str(state.bundle.path))
            return
        self.evaluation = evaluation
        for name in FILTERS:
            values = values_of(evaluation.rows, name)
            self.param[name].objects = [ALL, *values]
            first = name == "question" and FIRST_QUESTION in values
            setattr(self, name, FIRST_QUESTION if first else ALL)
        self.param.watch(self._show, list(FILTERS))
        self._show()
        self.view = self._layout()

    def __panel__(self) -> pn.Column:
        return self.view

    def rows(self) -> list[Row]:
        """The rows that pass the filters, in the order of the evaluation."""
        return matching(self.evaluation.rows, {name: getattr(self, name) for name in FILTERS})

    def _show(self, *_: param.parameterized.Event) -> None:
        rows = self.rows()
        self.tables.groups = groups(self.state.bundle, rows, self.evaluation.recommended)
        total = len(self.evaluation.rows)
        words = f"{len(rows):,} of {total:,} figures" if rows else "No figure passes these filters."
        self.count.object = f"<p>{words}&emsp;{KEY}</p>"

    def _prepare_file(self, kind: str) -> Callable[[], Made]:
        return partial(self._file, kind, self.rows())

    def _file(self, kind: str, rows: list[Row]) -> Made:
        if kind == "csv":
            return "scoreboard", csv_bytes(rows)
        return "scoreboard", ecsv_bytes(rows, self.evaluation, self.state.bundle)

    def _filter(self, name: str) -> pmui.Select:
        options = {EVERY[name]: ALL}
        for value in self.param[name].objects[1:]:
            options[self._words(name, value)] = value
        return pmui.Select.from_param(
            self.param[name], label=name.capitalize(), options=options, size="small",
            description="", sizing_mode="stretch_width", margin=(10, 8, 4, 0),
        )  # fmt: skip

    def _words(self, name: str, value: str) -> str:
        if name == "question":
            return QUESTION_WORDS[value]
        if name == "model":
            return entry_words(self.state.bundle, value)
        return CLUSTERER_WORDS.get(value, value)

    def _layout(self) -> pn.Column:
        bar = pn.Row(
            self.count, self.downloads.buttons, sizing_mode="stretch_width", margin=0,
            styles={"flex-wrap": "wrap", "gap": "4px 18px", "align-items": "center"},
        )  # fmt: skip
        return pn.Column(
            pn.Row(*(self._filter(name) for name in FILTERS), sizing_mode="stretch_width"),
            bar, self.tables, *self._parts(), sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip

    def _parts(self) -> list[pn.pane.HTML]:
        found, bundle = self.evaluation, self.state.bundle
        run = ", ".join(f"{plain(n)}: {plain(v)}" for n, v in found.settings.items())
        rule = plain(found.recommended_rule)
        parts = {
            f"<h2>Targets for the recommended clustering</h2><p class='soft'>{rule}</p>": (
                targets_table(found.targets) if found.targets else ""
            ),
            "<h2>How many clusters?</h2>": curves(bundle, found.number_of_clusters),
            f"<h2>What the evaluation cost</h2><p class='soft'>{run}</p>": costs_table(found.costs),
        }
        return [_html(head + body) for head, body in parts.items() if body]


def _html(content: str) -> pn.pane.HTML:
    return pn.pane.HTML(
        content, stylesheets=CARD_STYLES, sizing_mode="stretch_width", margin=(2, 0)
    )


def _nothing(path: str) -> pn.Column:
    return pn.Column(_html(f"<p>{NOT_EVALUATED.format(path=plain(path))}</p>"), margin=8)
