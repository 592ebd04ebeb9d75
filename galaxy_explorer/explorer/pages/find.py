"""The Find page: search, look-alikes, odd ones out. Every answer becomes the selection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.bundle.names import NAME_COLUMNS
from galaxy_explorer.bundle.novelty import known_percentiles
from galaxy_explorer.clustering.embedding import percentiles
from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.search import (
    COMPARE,
    bundle_sparsity,
    label_columns,
)
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import HtmlPane, SearchField
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    SMALL,
    SOURCE_WORDS,
    clustering_select,
    display_controls,
    label_these,
    whole_number,
)
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.widgets.results import (
    ResultGallery,
    SearchResults,
    as_results,
    format_count,
    next_request,
    publish_results,
    search,
)
from galaxy_explorer.explorer.wording import format_column

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

FIRST_SHOWN, MAX_SHOWN = 24, 500
ODDITIES = {"error": "badly reconstructed", "sparse": "few look-alikes", "both": "both of these"}
ODD_RULE = (
    "On each picture, in per cent of galaxies: err, those of as much detail and noise that are"
    " drawn at least as well (of all, where the bundle does not know better); thin, of all those"
    " whose 15th neighbour in code space is at least as near."
)
EXAMPLES = (
    "NGC 4565",
    "12:36:20.8 +25:59:16 r=5'",
    "T < 0 and cluster = 5",
    "source = gz1",
)


class FindPage(pn.viewable.Viewer):
    """Questions on the left, the galaxies that answer them on the right."""

    odd_by: Any = param.Selector(default="both", objects=list(ODDITIES), doc="Odd in what.")
    busy = param.Boolean(default=False, doc="Whether an answer is being looked for.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        self.gallery = ResultGallery(state, context.stamps, tile_width=92)
        self.detail = Detail(state, context.stamps)
        self.question = SearchField(
            self.on_message, label="Name, position or condition", margin=(0, 10), hint="NGC 4565"
        )
        self.message = HtmlPane(
            "", stylesheets=[STYLES], sizing_mode="stretch_width", margin=(0, 0, 8, 0)
        )
        half = {"height": PAGE_HEIGHT, "overflow": "hidden auto", "min-width": "0"}
        words = HtmlPane(
            render("pages.examples", examples=EXAMPLES), stylesheets=[STYLES],
            margin=(4, 10, 14, 10), sizing_mode="stretch_width",
        )  # fmt: skip
        # Column, relation, value: one more condition, in the words of the search field.
        columns = {format_column(name): name for name in searchable(self.state)}
        column = pmui.Select(label="Column", options=columns, **SMALL)
        relation = pmui.Select(
            label="is", options=[*COMPARE, "~"], value="<", width=80, size="small"
        )
        value = pmui.TextInput(label="value", **SMALL)

        async def add(_: Any) -> None:
            condition = f"{column.value} {relation.value} {value.value_input or value.value}"
            before = self.question.text.strip()
            await self.search(f"{before} and {condition}" if before else condition)

        button = pmui.Button(label="Add", variant="outlined", size="small", on_click=add)
        builder = [column, pn.Row(relation, value, button, sizing_mode="stretch_width")]
        search_part = [_heading("Search"), self.question, words, *builder]
        left = pn.Column(
            clustering_select(self.state), *search_part, pmui.Divider(), *self._odd_part(),
            margin=(0, 12, 0, 0), sizing_mode="stretch_width",
            styles={**half, "flex": "0 0 clamp(280px, 26vw, 400px)"},
        )  # fmt: skip
        sources = choice("Pictures", self.state.param.pictures, SOURCE_WORDS)
        sources.visible = self.context.stamps.originals is not None
        right = pn.Column(
            self.message, label_these(state), self.detail, sources, self.gallery,
            display_controls(self.state),
            sizing_mode="stretch_width", styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        self.view = pn.Row(left, right, sizing_mode="stretch_width", margin=8)
        self.view.param.watch(self.appear, "visible")

    def __panel__(self) -> pn.Row:
        return self.view

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.gallery.task.shown = self.detail.task.shown = event.new

    async def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        asked = message.get("ask")
        if isinstance(asked, str):
            await self.search(asked)

    async def search(self, asked: str) -> None:
        """Answer a question."""
        self.question.text, latest = asked, next_request(self.state)
        try:
            found = await self._slowly(search, self.state, asked, label_columns(self.state.bundle))
        except BadQuery as error:
            found, words = None, str(error)
        else:
            words = format_count(found)
        if not latest():
            return
        self._say(words)
        if found is not None and len(found.rows):
            publish_results(self.state, as_results(found))

    async def look_alikes(self, *_: Any) -> None:
        """Select the galaxies nearest in code space to the one in focus, which comes first."""
        row = self.state.focus
        if row is None:
            self._say("Click a galaxy first: its look-alikes are nearest to it in code space.")
            return
        latest = next_request(self.state)
        rows, far = await self._slowly(
            neighbours, self.state.bundle, self.state.clustering, row, self.number.value + 1
        )
        if not latest():
            return
        name = str(self.state.bundle.column("galaxy_id")[row])
        words = f"the {len(rows) - 1} look-alikes of {name}"
        self._say(f"{words[0].upper()}{words[1:]}, by {self.state.words(self.state.clustering)}")
        notes = {int(r): f"d {d:.2f}" for r, d in zip(rows, far, strict=True)}
        order = "nearest in code space first"
        publish_results(
            self.state, SearchResults(rows, words, order, {"code_distance": far}, notes)
        )

    async def odd_ones(self, *_: Any) -> None:
        """Select the galaxies that the model draws worst, or that have the fewest look-alikes."""
        latest = next_request(self.state)
        clustering = self.state.bundle.clusterings[self.state.clustering]
        self._say("Measuring how dense code space is around every galaxy …")
        found = await self._slowly(bundle_sparsity, self.state.bundle, clustering.key)
        if not latest():
            return
        thin = percentiles(found)
        bad = known_percentiles(self.state.bundle, clustering.model)
        rank = {"error": bad, "sparse": thin, "both": np.minimum(bad, thin)}[self.odd_by]
        rows = np.argsort(-rank, kind="stable")[: self.number.value]
        self._say(ODD_RULE)
        notes = {int(row): f"err {bad[row]:.1f} · thin {thin[row]:.1f}" for row in rows}
        columns = {"error_percentile": bad[rows], "sparsity": thin[rows]}
        words = f"the {len(rows)} oddest: {ODDITIES[self.odd_by]}"
        publish_results(self.state, SearchResults(rows, words, "oddest first", columns, notes))

    async def _slowly(self, work: Any, *arguments: Any) -> Any:
        self.busy = True
        try:
            return await asyncio.to_thread(work, *arguments)
        finally:
            self.busy = False

    def _say(self, words: str) -> None:
        self.message.object = render("parts.status", words=words)

    def _odd_part(self) -> list[Any]:
        self.number: Any = whole_number("How many", FIRST_SHOWN, 1, MAX_SHOWN)
        name = HtmlPane(
            pn.bind(self._focus_html, self.state.param.focus), stylesheets=[STYLES], margin=(0, 10)
        )
        odd = pmui.Select.from_param(
            self.param.odd_by,
            label="Odd in what",
            description="",
            options={words: name for name, words in ODDITIES.items()},
            **SMALL,
        )
        buttons = [
            pmui.Button(label=label, on_click=work, variant="outlined", **SMALL)
            for label, work in (
                ("Show look-alikes", self.look_alikes),
                ("Show odd ones", self.odd_ones),
            )
        ]
        return [
            self.number, _heading("Look-alikes"), name, buttons[0],
            _heading("Odd ones out"), odd, buttons[1],
        ]  # fmt: skip

    def _focus_html(self, row: int | None) -> str:
        if row is None:
            return render("parts.soft", words="Of a galaxy that you click on any page.")
        return render("pages.focus", name=self.state.bundle.column("galaxy_id")[row])


def neighbours(
    bundle: Bundle, key: str, row: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The galaxies nearest in code space to one of them, which comes first, and how far they are.

    One that another has exactly the features of still comes first.
    """
    vector = bundle.clusterings[key].feature_values[row]
    rows, far = bundle.clusterings[key].placing.neighbours.nearest(vector, count)
    others = rows != row
    rows, far = rows[others][: count - 1], far[others][: count - 1]
    return np.concatenate([[row], rows]), np.concatenate([[0.0], far])


def searchable(state: ExplorerState) -> list[str]:
    """Columns that a condition may name: T and the cluster first, then those of the catalogue."""
    first = ["ttype", "cluster", "probability"]
    own = [name for name in state.bundle.column_names if "/" not in name]
    return [*first, *(name for name in own if name not in {*first, *NAME_COLUMNS})]


def _heading(words: str) -> pn.pane.HTML:
    title = render("parts.heading", words=words)
    return HtmlPane(title, stylesheets=[STYLES], margin=(10, 10, 0, 10))
