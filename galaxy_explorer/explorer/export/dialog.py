"""What a visitor takes along: the selection as a table, figures, a link, a citation; SAMP.

SAMP sends tables and positions to TOPCAT, Aladin and DS9 and takes rows back. It is a matter of one
machine: it is offered where a setting says that server and browser are on the same one, and where
pyvo is installed (`pip install "galaxy_explorer[samp]"`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from numpy.typing import NDArray

from galaxy_explorer.errors import NoHub, in_words
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.links import link_query
from galaxy_explorer.explorer.plots.print import PICTURES, printed
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import CopyTexts, HtmlPane
from galaxy_explorer.explorer.widgets.controls import Downloads, Made
from galaxy_explorer.explorer.widgets.results import current_results
from galaxy_explorer.explorer.wording import format_galaxies
from galaxy_explorer.tables import PAPER, SOFTWARE, galaxy_table
from galaxy_explorer.utils.tables import FORMATS, encode_table, write_table

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


METADATA = {
    "samp.name": "Galaxy Explorer",
    "samp.description.text": "Galaxies sorted by a model that was never told their types.",
}


def samp_installed() -> bool:
    """Whether the library that speaks SAMP is there."""
    return importlib.util.find_spec("pyvo") is not None


class SampLink:
    """One visitor's connection to the hub of this machine.

    on_row: called, in a thread of its own, with the catalogue row that another program highlights
    in a table that was sent from here. Tables lie in a temporary folder until `close`.
    """

    def __init__(self, on_row: Callable[[int], None]) -> None:
        self._on_row = on_row
        self._client: Any = None
        self._folder: TemporaryDirectory[str] | None = None
        self._sent: dict[str, NDArray[np.int64]] = {}

    @property
    def connected(self) -> bool:
        """Whether a hub is listening."""
        return self._client is not None and bool(self._client.is_connected)

    def connect(self) -> None:
        """Find the hub and register. Raises NoHub with the cure."""
        from pyvo.samp import SAMPHubError, SAMPIntegratedClient
        from pyvo.samp.errors import SAMPProxyError

        if self.connected:
            return
        client = SAMPIntegratedClient(metadata=METADATA, addr="localhost")
        try:
            client.connect()
            client.bind_receive_notification("table.highlight.row", self._highlighted)
        except (SAMPHubError, SAMPProxyError, OSError) as error:
            raise NoHub(
                f"SAMP: no hub is running ({error}); start TOPCAT or Aladin first"
            ) from None
        self._client, self._folder = client, TemporaryDirectory(prefix="galaxy-explorer-")

    def send(self, table: Table, rows: NDArray[np.int64], name: str) -> None:
        """Send a table whose lines are `rows` of the catalogue to every program. Raises NoHub."""
        self.connect()
        number = len(self._sent)
        path = Path(self._folder.name) / f"{number}.vot" if self._folder else Path()
        write_table(table, path)
        table_id = f"galaxy-explorer-{id(self)}-{number}"
        self._sent[table_id] = rows
        parts = {"url": path.as_uri(), "table-id": table_id, "name": name}
        self._notify("table.load.votable", parts)

    def point(self, ra: float, dec: float) -> None:
        """Point every program at a position (degrees, ICRS). Raises NoHub."""
        self.connect()
        self._notify("coord.pointAt.sky", {"ra": f"{ra:.7f}", "dec": f"{dec:.7f}"})

    def _notify(self, mtype: str, parts: Mapping[str, str]) -> None:
        self._client.notify_all({"samp.mtype": mtype, "samp.params": dict(parts)})

    def _highlighted(self, *received: Any) -> None:
        """Of key, sender, message number, type, parameters and more the parameters count."""
        parts: Mapping[str, Any] = received[4]
        rows, line = self._sent.get(str(parts.get("table-id"))), str(parts.get("row", ""))
        if rows is not None and line.isdecimal() and int(line) < len(rows):
            self._on_row(int(rows[int(line)]))

    def close(self) -> None:
        """Leave the hub and remove the tables that were sent."""
        if self.connected:
            self._client.disconnect()
        if self._folder is not None:
            self._folder.cleanup()
        self._client = self._folder = None
        self._sent.clear()


MAX_NAME = 60


class ExportDialog(pn.viewable.Viewer):
    """A button for the header; the `dialog` that it opens has its place in the page below."""

    def __init__(
        self, state: ExplorerState, context: AppContext, page: Callable[[], str], **params: Any
    ) -> None:
        super().__init__(**params)
        self.state, self.context, self._page = state, context, page
        self.heading = HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width")
        self.texts = CopyTexts(margin=(8, 0, 0, 0))
        self.table = Downloads("Table", list(FORMATS), self.prepare_table)
        self.map = Downloads("Map", list(PICTURES), self.prepare_map)
        self.types = Downloads("Hubble types", list(PICTURES), self.prepare_types)
        self.dialog = pmui.Dialog(
            title="Take it home", show_close_button=True, close_on_click=True, width_option="md",
            margin=0,
            # Its cross is black where the theme is dark, unless it is told.
            sx={"& .MuiIconButton-root": {"color": "text.primary"}},
        )  # fmt: skip
        self.button = pmui.IconButton(
            icon="ios_share", description="Take it home: table, figures, link, citation",
            on_click=self.open, size="small", margin=(0, 4), sx={"color": "#ffffff"},
        )  # fmt: skip

    def __panel__(self) -> pmui.IconButton:
        return self.button

    def open(self, *_: Any) -> None:
        """Say what there is to take, keep the selection for the link, and show the dialog.

        Where no galaxy passes the brushes there is nothing to take: that is said instead.
        """
        if self.state.none_pass:
            notify(f"There is nothing to take home: {self.state.none_words}", warning=True)
            return
        rows, words = self._chosen()
        clustering = self.state.words(self.state.clustering)
        self.heading.object = render(
            "pages.export", count=format_galaxies(len(rows)), words=words, clustering=clustering
        )
        try:
            query = link_query(self.state, self._page(), self.context.selections)
        except OSError as error:
            why = in_words(error)
            notify(f"The link is without the selection, which cannot be kept ({why})", warning=True)
            query = link_query(self.state, self._page(), None)
        bundle = self.state.bundle
        cite = (
            f"{words[0].upper()}{words[1:]}; {SOFTWARE}, bundle {bundle.name} (SHA-256"
            f" {bundle.hash}), model {self.state.clustering}, {{page}}?{query}\n{PAPER}"
        )
        link = "Link that reopens this view"
        self.texts.texts = [[link, f"{{page}}?{query}", 3], ["Cite this view", cite, 8]]
        if not len(self.dialog):  # a visitor who takes nothing home does not wait for it
            parts = [self.table.buttons, self.map.buttons, self.types.buttons, *self._samp_part()]
            content = pn.Column(
                self.heading, pn.Column(*parts, margin=0, styles={"gap": "6px"}),
                self.texts, sizing_mode="stretch_width",
            )  # fmt: skip
            self.dialog.append(content)
        self.dialog.open = True

    def _chosen(self) -> tuple[NDArray[np.int64], str]:
        """The rows to take, in the order of the search that found them, and what they are."""
        if self.state.none_pass:
            return self.state.selection, self.state.none_words
        if not len(self.state.selection):
            return np.arange(len(self.state.bundle)), "all galaxies"
        results = current_results(self.state)
        rows = self.state.selection if results is None else results.rows
        return rows, self.state.selection_label or "a selection"

    def _samp_part(self) -> list[Any]:
        if not (self.context.settings.samp and samp_installed()):
            return []
        document = pn.state.curdoc

        def focus(row: int) -> None:
            if document is not None:
                document.add_next_tick_callback(partial(setattr, self.state, "focus", row))

        link = SampLink(focus)
        if document is not None and document.session_context:
            document.on_session_destroyed(lambda _: link.close())

        async def send(_: Any) -> None:
            rows, words = self._chosen()
            bundle, key = self.state.bundle, self.state.clustering
            names = shown_names(bundle, key)
            table = galaxy_table(bundle, rows, clustering=key, names=names, words=words)
            await _said(link.send, table, rows, words)

        async def point(_: Any) -> None:
            row, bundle = self.state.focus, self.state.bundle
            if row is not None and np.isfinite(bundle.column("ra")[row]):
                place = float(bundle.column("ra")[row]), float(bundle.column("dec")[row])
                await _said(link.point, *place)

        buttons = [
            pmui.Button(label=label, on_click=work, variant="outlined", size="small")
            for label, work in (("Send the table by SAMP", send), ("Point at the galaxy", point))
        ]
        return [pn.Row(*buttons)]

    def prepare_table(self, kind: str) -> Callable[[], Made]:
        """The table of what is taken, to be made in a thread."""
        rows, words = self._chosen()
        results = current_results(self.state)
        extra = results.columns if results is not None and len(results.rows) == len(rows) else None
        key, bundle = self.state.clustering, self.state.bundle

        def make() -> Made:
            names = shown_names(bundle, key)
            table = galaxy_table(
                bundle, rows, clustering=key, names=names, extra=extra, words=words
            )
            return file_name(bundle.name, words), encode_table(table, kind)

        return make

    def prepare_map(self, kind: str) -> Callable[[], Made]:
        """The map as it is shown, as a figure, to be made in a thread."""
        state = self.state
        coordinates = state.bundle.clusterings[state.clustering].coordinates
        shown = coordinates, self.context.colours(state), state.selection
        return self._figure("map", lambda figures: figures.galaxy_map(*shown), kind)

    def prepare_types(self, kind: str) -> Callable[[], Made]:
        """The Hubble types as a figure, to be made in a thread."""
        shown = self.state.ttype_histogram(self._chosen()[0])
        return self._figure("types", lambda figures: figures.t_histogram(*shown), kind)

    def _figure(self, name: str, draw: Callable[[Any], Any], kind: str) -> Callable[[], Made]:
        _, words = self._chosen()
        bundle = self.state.bundle
        source = f"{SOFTWARE}, bundle {bundle.name} {bundle.hash[:12]}, {self.state.clustering}"

        def make() -> Made:
            from galaxy_explorer.explorer.plots import figures  # HoloViews: when it is asked for

            data = printed(lambda: draw(figures), words, source, kind)
            return file_name(bundle.name, f"{name}-{words}"), data

        return make


async def _said(work: Callable[..., None], *arguments: Any) -> None:
    """Do something off the event loop and tell the visitor if no hub is there."""
    try:
        await asyncio.to_thread(work, *arguments)
    except NoHub as error:
        notify(str(error), warning=True)


def file_name(bundle: str, words: str) -> str:
    """A file name without surprises: letters, digits and "-" only."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{bundle}-{words}".lower())
    return slug[:MAX_NAME].strip("-")
