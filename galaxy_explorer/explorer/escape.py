"""The one place where text from catalogues and bundles becomes HTML."""

from __future__ import annotations

import html


def escape(value: object) -> str:
    """Text that shows `value` literally inside HTML: tags, quotes and entities are escaped."""
    return html.escape(str(value), quote=True)
