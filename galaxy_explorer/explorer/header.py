"""What every page has above it: a search field, and the way to take things home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import panel as pn

from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.esm import SearchField
from galaxy_explorer.explorer.label_search import label_columns
from galaxy_explorer.explorer.notices import notify
from galaxy_explorer.explorer.results import as_answer, ask, count_words, give, search
from galaxy_explorer.explorer.take_home import TakeHome

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

EXPLANATION = (
    "A name (NGC 4565), a position (12:36:20.8 +25:59:16 r=5'), or conditions (T < 0 and"
    " cluster = 5); what is found becomes the selection"
)

FIELD_WIDTH = "clamp(112px, 13vw, 230px)"
OWN_WIDTH = f":host {{ flex: 0 0 calc({FIELD_WIDTH} + 46px) !important; min-width: 0; }}"
"""Field and button; what is left of the header belongs to the navigation."""


class HeaderTools(pn.viewable.Viewer):
    """Search field and take-home button; page: name of the page that is open."""

    def __init__(
        self, state: ExplorerState, context: AppContext, page: Callable[[], str], **params: Any
    ) -> None:
        super().__init__(**params)
        self.state = state
        self.field = SearchField(
            self._on_message, hint="Name, position, T < 0", slim=True, margin=(0, 4),
            explanation=EXPLANATION, sizing_mode=None, styles={"width": FIELD_WIDTH}
        )  # fmt: skip
        self.take_home = TakeHome(state, context, page)
        self._view = pn.Row(
            self.field, self.take_home, margin=0, align="center", stylesheets=[OWN_WIDTH]
        )

    def __panel__(self) -> pn.Row:
        return self._view

    async def _on_message(self, message: dict[str, Any]) -> None:
        asked = message.get("ask")
        if isinstance(asked, str):
            await self.search(asked)

    async def search(self, asked: str) -> None:
        """Select what a question finds, and say how many; a question in vain changes nothing."""
        latest = ask(self.state)
        try:
            derived = await asyncio.to_thread(label_columns, self.state.bundle)
            found = await asyncio.to_thread(search, self.state, asked, derived)
        except BadQuery as error:
            notify(str(error), warning=True)
            return
        notify(count_words(found), warning=not len(found.rows))
        if len(found.rows) and latest():
            give(self.state, as_answer(found))
