"""SAMP: tables and positions to TOPCAT, Aladin, DS9, and rows back from them.

SAMP is a matter of one machine: it is offered where a setting says that server and browser are on
the same one, and where pyvo is installed (`pip install "galaxy_explorer[samp]"`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import NoHub
from galaxy_explorer.utils.tables import write_table

if TYPE_CHECKING:
    from astropy.table import Table

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
