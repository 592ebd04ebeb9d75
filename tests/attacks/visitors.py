"""A visitor without a browser: opens the page, holds its websocket, says what a page would say."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

PATIENCE_S = 300.0
TOKEN = re.compile(r'"token":"([^"]+)"')
BUSY = "All places are taken"


def page_of(address: str) -> str:
    """The page; where all places are taken, the one that asks to wait."""
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:  # noqa: S310
            return answer.read().decode()
    except HTTPError as refusal:
        if refusal.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return refusal.read().decode()


async def read_page(address: str) -> str:
    return await asyncio.to_thread(page_of, address)


async def connect(address: str, token: str, origin: str | None = None) -> WebSocketClientConnection:
    headers = {"Origin": origin} if origin else {}
    place = address.partition("?")[0].replace("http", "ws", 1)
    request = HTTPRequest(f"{place}/ws", headers=headers, request_timeout=PATIENCE_S)
    return await websocket_connect(
        request, subprotocols=["bokeh", token], max_message_size=100_000_000
    )


class Visitor:
    """An open page: `models` are all objects of the document by id, without what is at its default;
    `properties` are the names of all that each kind of component has.
    """

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.models: dict[str, dict[str, Any]] = {}
        self.properties: dict[str, list[str]] = {}

    @classmethod
    async def open(cls, address: str) -> Visitor | None:
        """Come in; None where all places are taken."""
        page = await read_page(address)
        if BUSY in page:
            return None
        visitor = cls(await connect(address, TOKEN.search(page)[1]))
        assert (await visitor.hear())["header"]["msgtype"] == "ACK"
        await visitor.pull()
        await visitor.event("document_ready", {"type": "map"})
        return visitor

    async def pull(self) -> None:
        """Take over the document as the server has it."""
        document = (await self.ask("PULL-DOC-REQ", {}))["content"]["doc"]
        self.models = {one["id"]: one for one in objects(document)}
        self.properties = {
            kind["name"]: [one["name"] for one in kind.get("properties", [])]
            for kind in document["defs"]
        }

    async def hear(self) -> dict[str, Any]:
        """The next whole message."""
        async with asyncio.timeout(PATIENCE_S):
            header, _, content = [json.loads(await self.frame()) for _ in range(3)]
            for _ in range(2 * header.get("num_buffers", 0)):
                await self.frame()
        return {"header": header, "content": content}

    async def frame(self) -> str | bytes:
        frame = await self.socket.read_message()
        if frame is None:
            raise ConnectionError("the server closed the connection")
        return frame

    async def ask(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """Send a message and wait for the reply to it, whatever else is heard before."""
        number = uuid.uuid4().hex
        for part in ({"msgid": number, "msgtype": kind}, {}, content):
            await self.socket.write_message(json.dumps(part))
        while (heard := await self.hear())["header"].get("reqid") != number:
            continue
        return heard

    async def change(self, model: str, attribute: str, value: object) -> str:
        """Set a property, as a widget does; the kind of the reply."""
        event = {"kind": "ModelChanged", "model": {"id": model}, "attr": attribute, "new": value}
        return (await self.ask("PATCH-DOC", {"events": [event]}))["header"]["msgtype"]

    async def say(self, model: str, **data: object) -> str:
        """Send a component's message; the kind of the reply."""
        entries = [["model", {"id": model}], ["data", {"type": "map", "entries": [*data.items()]}]]
        return await self.event("data_event", {"type": "map", "entries": entries})

    async def event(self, name: str, values: dict[str, Any]) -> str:
        """Send an event; the kind of the reply."""
        event = {
            "kind": "MessageSent",
            "msg_type": "bokeh_event",
            "msg_data": {"type": "event", "name": name, "values": values},
        }
        return (await self.ask("PATCH-DOC", {"events": [event]}))["header"]["msgtype"]

    def find(self, attribute: str) -> str:
        """Id of the component whose data have an attribute of this name."""
        return next(
            one["id"]
            for one in self.models.values()
            if attribute in one.get("attributes", {}).get("data", {}).get("attributes", {})
        )

    def leave(self) -> None:
        """Close the connection without a word."""
        self.socket.close()


def objects(content: object) -> Iterator[dict[str, Any]]:
    """Every object with an id anywhere inside a message."""
    if isinstance(content, dict):
        if content.get("type") == "object" and "id" in content:
            yield content
        for value in content.values():
            yield from objects(value)
    elif isinstance(content, list):
        for value in content:
            yield from objects(value)


async def come_in(address: str) -> Visitor:
    """Try until there is a place, as the page for those who wait does."""
    async with asyncio.timeout(PATIENCE_S):
        while (visitor := await Visitor.open(address)) is None:
            await asyncio.sleep(0.2)
    return visitor


async def go(visitor: Visitor) -> None:
    """Leave as a browser does."""
    await visitor.say(visitor.find("visit"), left=True)
    visitor.leave()


def server_process(address: str) -> Path:
    """Folder under /proc of the server, which is a child of this process."""
    port = address.split(":")[2].partition("/")[0]
    children = Path("/proc/self/task").glob("*/children")
    found = {Path("/proc", child) for path in children for child in path.read_text().split()}
    return next(one for one in found if port in (one / "cmdline").read_text().split("\0"))


def held(process: Path) -> tuple[int, int, float]:
    """File descriptors, threads and resident memory (MB) of a process."""
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    memory = int(status["VmRSS"].split()[0]) / 1000
    return len(list((process / "fd").iterdir())), int(status["Threads"]), memory


def settled(process: Path) -> tuple[int, int, float]:
    """What is held once nothing has changed for two seconds: sessions end a little later."""
    last, since, end = held(process), time.monotonic(), time.monotonic() + 30
    while time.monotonic() < min(since + 2, end):
        time.sleep(0.2)
        if (now := held(process))[:2] != last[:2]:
            since = time.monotonic()
        last = now
    return last
