"""Addresses of pictures, and the handlers behind them.

    stamps/one/<view>/<row>.jpg                       one galaxy
    stamps/tile/<view>/<clustering>/<column>/<z>/<x>/<y>.webp
                                                      a tile of the map, framed in the colours

<view> is bundle, pictures and display settings: "<hash>.reconstruction.linear-...". An address
says everything, so its picture never changes and the browser keeps it. Nothing else is accepted.
Whoever imports this module has every server of the process serve `ROUTES`; with
`--plugins galaxy_explorer.explorer.routes` they are there before the first page is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

import numpy as np
from bokeh.server.views.auth_request_handler import AuthRequestHandler
from tornado.web import HTTPError

from galaxy_explorer.errors import GalaxyExplorerError
from galaxy_explorer.explorer.context import AppContext, app_context
from galaxy_explorer.explorer.pictures.display import DisplaySettings, encode, encode_sheet
from galaxy_explorer.explorer.pictures.stamps import TilePyramid, draw_tile, is_tile, unit_map
from galaxy_explorer.explorer.plots.colouring import Colouring, map_colouring
from galaxy_explorer.explorer.server.sessions import guard_server
from galaxy_explorer.explorer.state import LEARNT, PICTURES, colour_columns
from galaxy_explorer.explorer.urls import HASH_DIGITS
from galaxy_explorer.settings import read_settings

FOR_EVER = "public, max-age=31536000, immutable"
KEPT_COLOURINGS = 16
"""Colourings kept ready: one is 4 bytes a galaxy."""
RENDERERS = 2
"""Threads that draw: numpy and Pillow let go of the interpreter for most of the work."""


@cache
def transparent_tile() -> bytes:
    """The picture of a tile without galaxies."""
    return encode(np.zeros((1, 1, 4), np.uint8))


@cache
def _renderers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RENDERERS, "renderer")


@cache
def pyramid(context: AppContext, key: str) -> TilePyramid:
    """The tiles of one clustering's map."""
    clustering = context.bundle.clusterings[key]
    return TilePyramid(unit_map(clustering.coordinates), clustering.responsibility)


@lru_cache(KEPT_COLOURINGS)
def frame_colours(context: AppContext, key: str, column: str) -> Colouring:
    """The colours of one clustering's map by a column. Raises KeyError if it is not offered."""
    if key in context.bundle.clusterings and column.startswith(LEARNT):
        return context.colourings.get(column)[0]
    if key not in context.bundle.clusterings or column not in colour_columns(context.bundle):
        raise KeyError(column)
    return map_colouring(context.bundle, key, column)


class PictureCache:
    """The most recently used pictures, at most `megabytes` of them."""

    def __init__(self, megabytes: float) -> None:
        self._limit = megabytes * 1e6
        self._size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """The picture kept under `key`, if there is one."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, data: bytes) -> None:
        """Keep a picture; the least recently used go."""
        self._size += len(data) - len(self._kept.pop(key, b""))
        self._kept[key] = data
        while self._size > self._limit and self._kept:
            self._size -= len(self._kept.popitem(last=False)[1])


@cache
def _picture_cache() -> PictureCache:
    return PictureCache(read_settings().picture_cache)


class PictureHandler(AuthRequestHandler):
    """Draws off the event loop, answers with a picture that the browser may keep for ever."""

    async def prepare(self) -> None:
        """Refuse, where the server asks for a login, whoever has none."""
        await super().prepare()
        if self.current_user is None:
            raise HTTPError(403)

    async def answer(self, content_type: str, draw: Callable[[], bytes], *, keep: bool) -> None:
        """Send what `draw` returns; `keep`: the address determines the picture."""
        kept = _picture_cache().get(self.request.path) if keep else None
        if kept is None:
            loop = asyncio.get_running_loop()
            kept = await loop.run_in_executor(_renderers(), draw)
            if keep:
                _picture_cache().put(self.request.path, kept)
        self.set_header("Content-Type", content_type)
        self.set_header("Cache-Control", FOR_EVER if keep else "no-store")
        self.finish(kept)

    def view(self, key: str) -> tuple[AppContext, str, DisplaySettings]:
        """Context, kind of pictures and display settings of a <view>; else 404."""
        try:
            context = app_context()
            digest, pictures, token = key.split(".", 2)
            settings = DisplaySettings.from_token(token)
        except (GalaxyExplorerError, ValueError) as error:
            raise HTTPError(404) from error
        if digest != context.bundle.hash[:HASH_DIGITS] or pictures not in PICTURES:
            raise HTTPError(404)
        return context, pictures, settings


class OneHandler(PictureHandler):
    """The picture of one galaxy."""

    async def get(self, key: str, row: str) -> None:
        """Answer with a JPEG, or 404 for a row outside the catalogue."""
        context, pictures, settings = self.view(key)
        if int(row) >= len(context.bundle):
            raise HTTPError(404)

        def draw() -> bytes:
            chosen = context.stamps.pictures(np.array([int(row)]), settings, pictures)
            return encode_sheet(chosen, 1, "JPEG")

        await self.answer("image/jpeg", draw, keep=pictures == "reconstruction")


class TileHandler(PictureHandler):
    """A tile of the map."""

    async def get(self, key: str, clustering: str, column: str, *place: str) -> None:
        """Answer with a WebP; transparent where there is no galaxy or no such tile."""
        context, pictures, settings = self.view(key)
        name, zxy = clustering.replace("~", "/"), [int(number) for number in place]
        try:
            colours = frame_colours(context, name, column)
        except KeyError as error:
            raise HTTPError(404) from error

        def draw() -> bytes:
            rows = pyramid(context, name).rows(*zxy) if is_tile(*zxy) else np.array([-1])
            shown = rows[rows >= 0]
            if not len(shown):
                return transparent_tile()
            stamps = context.stamps.pictures(shown, settings, pictures)
            return encode(draw_tile(stamps, rows, colours.rgb(shown)))

        await self.answer("image/webp", draw, keep=pictures == "reconstruction")


_VIEW = r"([0-9a-f.a-z-]{10,120})"
ROUTES: list[tuple[str, Any]] = [
    (rf"/stamps/one/{_VIEW}/(\d{{1,9}})\.jpg", OneHandler),
    (
        rf"/stamps/tile/{_VIEW}/([\w~.-]{{1,100}})/([^/]{{1,300}})/(-?\d{{1,2}})/(-?\d{{1,6}})/(-?\d{{1,6}})\.webp",
        TileHandler,
    ),
]
guard_server(ROUTES)
