"""Firefox as the distributions ship it, driven by Playwright through WebDriver BiDi.

Playwright asks every page for emulations (colour scheme, ...) that a Firefox of the last long-term
release does not know yet. So Playwright starts this program in Firefox's place: it starts Firefox,
hands on what the two say to each other, and says "done" to Playwright where Firefox says
"unknown command". `python -m tests.firefox` prints Firefox's path, or says that there is none.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright
from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("firefox", "firefox-esr")
MAC_PATH = "/Applications/Firefox.app/Contents/MacOS/firefox"
NONE_FOUND = (
    "no Firefox was found; install one (Debian: apt-get install firefox-esr),"
    " or name it: make test FIREFOX=/path/to/firefox"
)
PATH = "FIREFOX"
LISTENS = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
LARGEST = 256 * 1024**2
"""Bytes of a message: a screenshot."""
QUIET = {
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
    "webgl.force-enabled": True,  # in software, on every machine
}


def find() -> str | None:
    """Path of Firefox: FIREFOX from the environment, else the first found."""
    if named := os.environ.get(PATH):
        return named
    found = [*map(shutil.which, NAMES), MAC_PATH]
    return next((path for path in found if path and Path(path).exists()), None)


@contextmanager
def launched(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Firefox, for as long as it is needed; folder: an empty one."""
    start = folder / "firefox"
    start.write_text(f'#!/bin/sh\ncd "{ROOT}"\nexec "{sys.executable}" -m tests.firefox "$@"\n')
    start.chmod(0o755)
    browser = playwright.firefox.launch(
        channel="moz-firefox", executable_path=start, firefox_user_prefs=QUIET
    )
    try:
        yield browser
    finally:
        browser.close()


class Between(WebSocketHandler):
    """One connection of Playwright's, handed on to Firefox."""

    upstream: WebSocketClientConnection
    asked: dict[int, str]

    def initialize(self, target: str) -> None:
        self.target = target

    def check_origin(self, origin: str) -> bool:
        return True

    async def open(self, *_: str, **__: str) -> None:
        self.upstream = await websocket_connect(self.target, max_message_size=LARGEST)
        self.listening = asyncio.ensure_future(self._listen())

    async def on_message(self, message: str | bytes) -> None:
        while not hasattr(self, "upstream"):
            await asyncio.sleep(0.01)
        await self.upstream.write_message(message)

    def on_close(self) -> None:
        self.upstream.close()

    async def _listen(self) -> None:
        while (message := await self.upstream.read_message()) is not None:
            await self.write_message(forgiven(message))
        self.close()


def forgiven(message: str | bytes) -> str | bytes:
    """What Firefox says; of a command that it does not know, that it is done."""
    if b"unknown command" not in (message if isinstance(message, bytes) else message.encode()):
        return message
    said = json.loads(message)
    if said.get("error") != "unknown command":
        return message
    return json.dumps({"type": "success", "id": said["id"], "result": {}})


async def stand_in(firefox: str, arguments: list[str]) -> int:
    """Start Firefox and stand between it and Playwright until it ends; its exit status."""
    process = await asyncio.create_subprocess_exec(
        firefox, *arguments, stderr=asyncio.subprocess.PIPE
    )
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, process.terminate)
    assert process.stderr is not None
    async for line in process.stderr:
        if found := LISTENS.search(line):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            target = f"{found[1].decode()}/session"
            application = Application(
                [(r"/session.*", Between, {"target": target})], websocket_max_message_size=LARGEST
            )
            HTTPServer(application).listen(port, "127.0.0.1")
            sys.stderr.write(f"WebDriver BiDi listening on ws://127.0.0.1:{port}\n")
        else:
            sys.stderr.buffer.write(line)
        sys.stderr.flush()
    return await process.wait()


def main() -> None:
    """Print the path, or stand in for Firefox where Playwright asks."""
    path = find()
    if path is None:
        sys.exit(NONE_FOUND)
    if len(sys.argv) == 1:
        sys.stdout.write(f"{path}\n")
    else:
        sys.exit(asyncio.run(stand_in(path, sys.argv[1:])))


if __name__ == "__main__":
    main()
