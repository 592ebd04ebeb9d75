"""Exit with a sentence unless PORT can be served: `python .ci/port_is_free.py PORT`."""

from __future__ import annotations

import socket
import sys


def complaint(text: str) -> str | None:
    """Why the port cannot be served, or None."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        return f"PORT={text} is no port; give a number from 1 to 65535: make app PORT=5007"
    with socket.socket() as probe:
        if probe.connect_ex(("localhost", int(text))) == 0:
            return f"port {text} is in use; choose another: make app PORT={int(text) + 1}"
    return None


if __name__ == "__main__":
    sys.exit(complaint(sys.argv[1]))
