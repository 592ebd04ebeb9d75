"""The real app, served as `make app` does, for the browser tests and the screenshots."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxy_explorer.settings import PREFIX

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 300.0
PLENTY = 100
"""Explorers: a browser that is driven closes pages without saying goodbye."""
COMMAND = "serve app.py"


@contextmanager
def served(*options: str, command: str = COMMAND, **settings: str | int | Path) -> Iterator[str]:
    """Serve the app with these options and settings (bundle=, cache=...); yields its address.

    command: of panel; it ends with the file that is served.

    Raises RuntimeError if it does not answer; what the server says goes to standard error.
    """
    with socket.create_server(("localhost", 0)) as probe:
        port = probe.getsockname()[1]
    everything = {"max_explorers": PLENTY, **settings}
    given = {PREFIX + name.upper(): str(value) for name, value in everything.items()}
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    prefix = options[options.index("--prefix") + 1] if "--prefix" in options else ""
    words = [sys.executable, "-m", "panel", *command.split()]
    words += ["--port", str(port), "--log-level", "warning", *options]
    server = subprocess.Popen(words, cwd=ROOT, env={**others, **given}, start_new_session=True)
    try:
        name = Path(command.rsplit(maxsplit=1)[-1]).stem
        yield _answered(f"http://localhost:{port}{prefix}/{name}", server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # with --num-procs there are several
        server.wait(START_LIMIT_S)


def _answered(address: str, server: subprocess.Popen[bytes]) -> str:
    """Return the address once it answers."""
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=30).close()  # noqa: S310
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
        else:
            return address
    raise RuntimeError(f"{address} did not answer; what the server said is above")
