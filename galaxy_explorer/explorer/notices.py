"""Short notices in a corner of the page. Text is shown literally."""

from __future__ import annotations

import panel as pn

DURATION_MS = 8000


def notify(words: str, *, warning: bool = False) -> None:
    """Show a notice to the visitor whose callback this is; nothing without a page."""
    notifications = pn.state.notifications
    if notifications is not None:
        send = notifications.warning if warning else notifications.info
        send(words, duration=DURATION_MS)
