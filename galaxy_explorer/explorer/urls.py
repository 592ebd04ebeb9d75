"""Addresses of pictures: of one galaxy, and of the map's tiles.

<view> is bundle, pictures and display settings: "<hash>.reconstruction.linear-...". An address
says everything, so its picture never changes and the browser keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import ExplorerState

HASH_DIGITS = 16


def view_key(state: ExplorerState, pictures: str = "") -> str:
    """The <view> of an address: bundle, pictures (else the visitor's), display settings."""
    parts = (state.bundle.hash[:HASH_DIGITS], pictures or state.pictures, state.display.token())
    return ".".join(parts)


def one_url(state: ExplorerState, row: int | str, pictures: str = "") -> str:
    """Address of the picture of one galaxy; `row` may be a placeholder such as "@row"."""
    return f"stamps/one/{view_key(state, pictures)}/{row}.jpg"


def tile_url(state: ExplorerState) -> str:
    """Address of the map's tiles, with Bokeh's {Z}, {X} and {Y}."""
    clustering, column = state.clustering.replace("/", "~"), quote(state.colour_by, safe="")
    return f"stamps/tile/{view_key(state)}/{clustering}/{column}/{{Z}}/{{X}}/{{Y}}.webp"
