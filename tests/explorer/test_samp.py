"""SAMP with a hub of its own: a table and a position go out, a highlighted row comes back."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest

from galaxy_explorer.errors import NoHub
from galaxy_explorer.explorer.export.dialog import SampLink
from galaxy_explorer.tables import galaxy_table
from galaxy_explorer.utils.tables import decode_table

samp = pytest.importorskip("pyvo.samp", reason="SAMP needs pyvo")
PATIENCE_S = 60


@pytest.fixture
def lockfile(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "samp"
    monkeypatch.setenv("SAMP_HUB", path.as_uri().replace("file://", "std-lockurl:file://"))
    return path


@pytest.fixture
def other(lockfile):
    """Another program: what it hears, and its client."""
    hub = samp.SAMPHubServer(addr="localhost", web_profile=False, lockfile=str(lockfile))
    hub.start()
    client = samp.SAMPIntegratedClient(addr="localhost")
    client.connect()
    heard: dict[str, dict] = {}
    event = threading.Event()

    def hear(_key, _sender, _message, mtype, parts, _extra):
        heard[mtype] = parts
        event.set()

    for mtype in ("table.load.votable", "coord.pointAt.sky"):
        client.bind_receive_notification(mtype, hear)
    yield client, heard, event
    client.disconnect()
    hub.stop()


def test_tables_positions_and_rows_travel(bundle, other) -> None:
    client, heard, event = other
    back: list[int] = []
    returned = threading.Event()

    def on_row(row: int) -> None:
        back.append(row)
        returned.set()

    link, rows = SampLink(on_row), np.array([9, 2, 4])
    link.send(galaxy_table(bundle, rows), rows, "three")
    assert event.wait(PATIENCE_S)
    sent = heard["table.load.votable"]
    path = Path(url2pathname(urlsplit(sent["url"]).path))
    table = decode_table(path.read_bytes(), "vot")
    assert list(table["galaxy_id"]) == ["galaxy-0009", "galaxy-0002", "galaxy-0004"]
    event.clear()
    link.point(10.0, -0.5)
    assert event.wait(PATIENCE_S)
    assert float(heard["coord.pointAt.sky"]["dec"]) == -0.5
    for parts in ({"row": "99"}, {"row": "x"}, {"row": "1", "table-id": "other"}, {"row": "1"}):
        params = {"table-id": sent["table-id"], **parts}
        client.notify_all({"samp.mtype": "table.highlight.row", "samp.params": params})
    assert returned.wait(PATIENCE_S)
    assert back == [2]
    link.close()
    assert not path.exists()
    assert not link.connected


def test_without_a_hub_a_sentence_says_so(lockfile) -> None:
    with pytest.raises(NoHub, match="start TOPCAT"):
        SampLink(lambda _: None).point(0, 0)
