"""Ways to select beside the search field: a column's condition, look-alikes, odd ones out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.bundle.names import NAME_COLUMNS
from galaxy_explorer.bundle.novelty import known_percentiles
from galaxy_explorer.clustering.embedding import percentiles
from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.search import COMPARE, bundle_sparsity, label_columns
from galaxy_explorer.explorer.widgets.components import View
from galaxy_explorer.explorer.widgets.controls import SMALL, whole_number
from galaxy_explorer.explorer.widgets.results import (
    SearchResults,
    as_results,
    format_count,
    look_alikes,
    next_request,
    publish_results,
    search,
)
from galaxy_explorer.explorer.wording import format_column

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import ExplorerState

FIRST_SHOWN, MAX_SHOWN = 24, 500
ODDITIES = {"error": "badly reconstructed", "sparse": "few look-alikes", "both": "both of these"}
ODD_RULE = (
    "Odd ones, in per cent of galaxies. Error: those of as much detail and noise that are drawn at"
    " least as well (of all, where the bundle does not know better). Alone: all whose 15th"
    " neighbour in code space is at least as near."
)


async def answer(state: ExplorerState, asked: str) -> bool:
    """Select what a question finds, and say how many; a question in vain changes nothing.

    Returns whether it found any, and nothing else was asked for meanwhile.
    """
    latest = next_request(state)
    try:
        derived = await asyncio.to_thread(label_columns, state.bundle)
        found = await asyncio.to_thread(search, state, asked, derived)
    except BadQuery as error:
        notify(str(error), warning=True)
        return False
    notify(format_count(found), warning=not len(found.rows))
    if not (len(found.rows) and latest()):
        return False
    publish_results(state, as_results(found))
    return True


class Finder(View):
    """Choices that select, in words and numbers."""

    odd_by: Any = param.Selector(default="both", objects=list(ODDITIES), doc="Odd in what.")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        columns = {format_column(name): name for name in searchable(state)}
        column = pmui.Select(label="Column", options=columns, **SMALL)
        relation = pmui.Select(
            label="is", options=[*COMPARE, "~"], value="<", width=80, size="small"
        )
        value = pmui.TextInput(label="value", **SMALL)

        async def select(_: Any) -> None:
            typed = value.value_input
            quote = "'" if '"' in typed else '"'
            await answer(state, f"{column.value} {relation.value} {quote}{typed}{quote}")

        self.number: Any = whole_number("How many", FIRST_SHOWN, 1, MAX_SHOWN)
        odd = pmui.Select.from_param(
            self.param.odd_by, label="Odd in what", description="",
            options={words: name for name, words in ODDITIES.items()}, **SMALL,
        )  # fmt: skip
        look: dict[str, Any] = {"variant": "outlined", "size": "small"}
        self.view = pn.Column(
            column,
            pn.Row(relation, value, pmui.Button(label="Select", on_click=select, **look)),
            pmui.Divider(), self.number,
            pmui.Button(label="Look-alikes of the galaxy", on_click=self.look_alikes, **look),
            odd, pmui.Button(label="Odd ones out", on_click=self.odd_ones, **look),
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip

    async def look_alikes(self, *_: Any) -> None:
        """Select the galaxies nearest in code space to the one in focus, which comes first."""
        state, latest = self.state, next_request(self.state)
        if state.focus is None:
            notify("Click a galaxy first: its look-alikes are nearest to it in code space.")
            return
        found = await asyncio.to_thread(
            look_alikes, state.bundle, state.clustering, state.focus, self.number.value + 1
        )
        if latest():
            publish_results(state, found)

    async def odd_ones(self, *_: Any) -> None:
        """Select the galaxies that the model draws worst, or that have the fewest look-alikes."""
        state, latest = self.state, next_request(self.state)
        clustering = state.bundle.clusterings[state.clustering]
        found = await asyncio.to_thread(bundle_sparsity, state.bundle, clustering.key)
        if not latest():
            return
        alone = percentiles(found)
        bad = known_percentiles(state.bundle, clustering.model)
        rank = {"error": bad, "sparse": alone, "both": np.minimum(bad, alone)}[self.odd_by]
        rows = np.argsort(-rank, kind="stable")[: self.number.value]
        notify(ODD_RULE)
        notes = {int(row): f"error {bad[row]:.1f} · alone {alone[row]:.1f}" for row in rows}
        columns = {"error_percentile": bad[rows], "sparsity": alone[rows]}
        words = f"the {len(rows)} oddest: {ODDITIES[self.odd_by]}"
        publish_results(state, SearchResults(rows, words, "oddest first", columns, notes))


def searchable(state: ExplorerState) -> list[str]:
    """Columns that a condition may name: T and the cluster first, then those of the catalogue."""
    first = ["ttype", "cluster", "probability"]
    own = [name for name in state.bundle.column_names if "/" not in name]
    return [*first, *(name for name in own if name not in {*first, *NAME_COLUMNS})]
