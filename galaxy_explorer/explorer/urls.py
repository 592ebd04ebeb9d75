"""Addresses of pictures: of one galaxy, and of the map's tiles; and of what a cell shows.

<view> is bundle, pictures and display settings: "<hash>.reconstruction.linear-...". An address
says everything, so its picture never changes and the browser keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import ExplorerState

HASH_DIGITS = 16
FIRST_ZOOM = 1
"""Zoom of the map on most screens before anybody has zoomed."""
ALL = "all"
"""In place of the digest of a selection: every galaxy."""


def view_key(state: ExplorerState, pictures: str = "") -> str:
    """The <view> of an address: bundle, pictures (else the visitor's), display settings."""
    parts = (state.bundle.hash[:HASH_DIGITS], pictures or state.pictures, state.display.token())
    return ".".join(parts)


def one_url(state: ExplorerState, row: int | str, pictures: str = "") -> str:
    """Address of the picture of one galaxy; `row` may be a placeholder such as "@row"."""
    return f"stamps/one/{view_key(state, pictures)}/{row}.jpg"


def tile_url(state: ExplorerState, selection: str = ALL) -> str:
    """Address of the map's pictures, with Bokeh's {Z}, {X} and {Y}.

    selection: the digest of the galaxies that stand out (see `links.SelectionStore`), ALL for all.
    """
    return f"stamps/tile/{view_key(state)}/{_map_key(state, selection)}/{{Z}}/{{X}}/{{Y}}.webp"


def glow_url(state: ExplorerState, selection: str = ALL) -> str:
    """Address of the tiles of dots beneath, with Bokeh's {Z}, {X} and {Y}."""
    digest = state.bundle.hash[:HASH_DIGITS]
    return f"stamps/glow/{digest}/{_map_key(state, selection)}/{{Z}}/{{X}}/{{Y}}.webp"


def cell_url(state: ExplorerState, selection: str = ALL) -> str:
    """Address of what is told of the galaxy in a cell, with {SIDE}, {X} and {Y}."""
    digest, clustering = state.bundle.hash[:HASH_DIGITS], state.clustering.replace("/", "~")
    return f"stamps/cell/{digest}/{clustering}/{selection}/{{SIDE}}/{{X}}/{{Y}}.json"


def first_tiles(state: ExplorerState) -> list[tuple[str, tuple[float, float]]]:
    """Addresses of the tiles that the map shows first, and where: shares from the left and top.

    Dots come before what lies on them.
    """
    along = 2**FIRST_ZOOM
    return [
        (url(state).format(Z=FIRST_ZOOM, X=x, Y=y), (x / along, 1 - (y + 1) / along))
        for url in (glow_url, tile_url)
        for x in range(along)
        for y in range(along)
    ]


def _map_key(state: ExplorerState, selection: str) -> str:
    clustering, column = state.clustering.replace("/", "~"), quote(state.colour_by, safe="")
    return f"{clustering}/{column}/{selection}"
