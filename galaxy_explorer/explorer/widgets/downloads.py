"""Files made for the visitor: in a thread, and handed to the browser when they are ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn

from galaxy_explorer.errors import GalaxyExplorerError
from galaxy_explorer.explorer.widgets.components import DownloadButtons, notify

MEDIA_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "ecsv": "text/plain",
    "fits": "application/fits",
    "vot": "application/x-votable+xml",
    "parquet": "application/vnd.apache.parquet",
    "md": "text/markdown",
}
TITLES = {"md": "Markdown", "vot": "VOTable", "parquet": "Parquet"}
Made = tuple[str, bytes]


class Downloads:
    """Buttons for the kinds of file that a page offers.

    prepare: reads the state and returns the slow step, which runs in a thread and gives the name
    of the file without its ending, and its bytes.
    """

    def __init__(
        self, label: str, kinds: list[str], prepare: Callable[[str], Callable[[], Made]]
    ) -> None:
        titles = [[kind, TITLES.get(kind, kind.upper())] for kind in kinds]
        self.kinds, self._prepare = kinds, prepare
        self.buttons = DownloadButtons(
            self.on_message, label=label, kinds=titles, sizing_mode=None, margin=0
        )

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if message.get("kind") in self.kinds:
            pn.state.execute(partial(self.deliver, str(message["kind"])))

    async def deliver(self, kind: str) -> None:
        """Make a file and hand it over; the buttons wake up again also where that fails."""
        data, name = None, ""
        try:
            name, data = await asyncio.to_thread(self._prepare(kind))
        except GalaxyExplorerError as error:
            notify(str(error), warning=True)
        finally:
            self.buttons.param.update(
                data=data, file_name=f"{name}.{kind}", media_type=MEDIA_TYPES[kind],
                stamp=self.buttons.stamp + 1,
            )  # fmt: skip
