"""The gallery: the selected galaxies as pages of pictures, most typical first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param
from numpy.typing import NDArray

from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import absent, encode_sheet
from galaxy_explorer.explorer.widgets.components import TileSheet, galaxy_tiles
from galaxy_explorer.explorer.wording import caption, format_galaxies, medoids, typical_order

if TYPE_CHECKING:
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

PAGE_SIZE = 96
SHEET_COLUMNS = 12


class Gallery(pn.viewable.Viewer):
    """Pictures of the selected galaxies; with nothing selected, one galaxy of each cluster.

    Where no galaxy passes the brushes it is empty and says so.

    One sheet image a page. A click puts its galaxy in `state.focus`; the display settings and the
    choice of pictures are those of the state.
    """

    page = param.Integer(default=0, bounds=(0, None), doc="Page that is shown, from 0.")

    def __init__(
        self,
        state: ExplorerState,
        stamps: StampStore,
        *,
        page_size: int = PAGE_SIZE,
        tile_width: int = 72,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.state, self.stamps, self.page_size = state, stamps, page_size
        self.sheet = TileSheet(
            self.on_message, tile_width=tile_width, kind="gallery", heading="Drawing …"
        )
        self.order = np.zeros(0, np.int64)
        self.task = LatestTask(self.prepare, self.fill, self._ready, self._at_hand)
        self._ahead: dict[tuple[Any, ...], bytes] = {}
        state.param.watch(self._start, ["selection", "brushes", "clustering"])
        state.param.watch(self.task.ask, "pictures")
        state.display.param.watch(self.task.ask, list(state.display.param.values()))
        state.param.watch(self._mark, "focus")
        self.param.watch(self.task.ask, "page")
        self._start()

    def __panel__(self) -> TileSheet:
        return self.sheet

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(1, -(-len(self.order) // self.page_size))

    def rows(self) -> NDArray[np.int64]:
        """Rows of the galaxies on the page that is shown, in the order of the pictures."""
        return self.order[self.page * self.page_size :][: self.page_size]

    def ordered(self) -> NDArray[np.int64]:
        """Rows of all galaxies that are shown, in the order of the pictures."""
        clustering = self.state.bundle.clusterings[self.state.clustering]
        selected = self.state.selection
        chosen = len(selected) or self.state.none_pass
        return typical_order(clustering, selected) if chosen else medoids(clustering)

    def note(self, _row: int) -> str:
        """What is written on the picture of a galaxy; empty for nothing."""
        return ""

    def format_order(self) -> str:
        """What the order of the selected galaxies is."""
        return "most typical first"

    def _start(self, *_: param.parameterized.Event) -> None:
        self.order = self.ordered()
        with param.parameterized.discard_events(self):
            self.page = 0
        self.task.ask()

    def _ready(self) -> bool:
        return self.stamps.ready(self.rows(), self.state.pictures)

    def _at_hand(self) -> bool:
        return self._key(self.rows()) in self._ahead

    def _key(self, rows: NDArray[np.int64]) -> tuple[Any, ...]:
        return rows.tobytes(), self.state.pictures, self.state.display.token()

    async def _look_ahead(self) -> None:
        """Draw the pages beside the one that is shown, so that turning to them takes no time."""
        ahead = {}
        for page in {self.page - 1, self.page + 1} & set(range(self.pages)):
            rows = self.order[page * self.page_size :][: self.page_size]
            if self.stamps.ready(rows, self.state.pictures):
                key = self._key(rows)
                sheet = await asyncio.to_thread(self._sheet, rows)
                if key == self._key(rows):  # the visitor may have changed how pictures are drawn
                    ahead[key] = sheet
        self._ahead = ahead

    def _sheet(self, rows: NDArray[np.int64]) -> bytes:
        """The pictures of some galaxies as one image file."""
        made = self._ahead.get(self._key(rows))
        if made is not None:
            return made
        pictures = self.stamps.pictures(rows, self.state.display, self.state.pictures)
        return encode_sheet(pictures, SHEET_COLUMNS)

    def _mark(self, *_: param.parameterized.Event) -> None:
        self.sheet.chosen = [] if self.state.focus is None else [self.state.focus]

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        page = message.get("page")
        if isinstance(page, int) and 0 <= page < self.pages:
            self.page = page
        self.state.focus_on(message.get("tile"))

    def prepare(self) -> Callable[[], dict[str, Any]]:
        """What to draw now; it is made in a thread."""
        return partial(self._page, self.rows(), self.page)

    def _page(self, rows: NDArray[np.int64], page: int) -> dict[str, Any]:
        """Everything the sheet shows for the given rows on the given page; may wait for pixels."""
        bundle, clustering = self.state.bundle, self.state.bundle.clusterings[self.state.clustering]
        source = "Original" if self._originals() else "Reconstruction by the model"
        sheet, missing = None, 0
        if len(rows):
            if self._originals():
                stamps = self.stamps.get(rows, "original")
                missing = int(absent(stamps).sum())
            sheet = self._sheet(rows)
        return {
            "sheet": sheet,
            **galaxy_tiles(
                rows,
                [caption(bundle, clustering, int(row)) for row in rows],
                SHEET_COLUMNS,
                [self.note(int(row)) for row in rows],
            ),
            "heading": self._heading(page * self.page_size, len(rows), missing),
            "pictures_words": f"{source} of",
            "page": page,
        }

    def fill(self, page: dict[str, Any]) -> None:
        """Show what was made."""
        self.sheet.param.update(**page, pages=self.pages, stamp=self.task.number)
        if self.pages > 1:
            pn.state.onload(self._look_ahead)

    def _originals(self) -> bool:
        return self.state.pictures == "original" and self.stamps.originals is not None

    def _heading(self, first: int, shown: int, absent: int) -> str:
        if none_words := self.state.none_words:
            return none_words[0].upper() + none_words[1:]
        if len(self.state.selection):
            total = f"{format_galaxies(len(self.order))}, {self.state.selection_label}"
            span = f"{first + 1}–{first + shown}, {self.format_order()}"
        else:
            total = "Nothing selected: the most central galaxy of each cluster"
            span = f"{first + 1}–{first + shown}, early to late"
        words = [total, span]
        if self.state.pictures == "original" and not self._originals():
            words.append("originals are not on this machine: reconstructions by the model")
        elif self._originals():
            words.append(f"originals ({absent} not at hand)" if absent else "originals")
        else:
            words.append("reconstructions by the model")
        return " · ".join(words)
