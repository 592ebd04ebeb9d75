"""Addresses of pictures, and the handlers behind them.

    stamps/one/<view>/<row>.jpg                       one galaxy
    stamps/tile/<view>/<clustering>/<column>/<selection>/<z>/<x>/<y>.webp
                                                      a tile of the map, framed in the colours
    stamps/glow/<hash>/<clustering>/<column>/<selection>/<z>/<x>/<y>.webp
                                                      its galaxies as dots in the colours
    stamps/cell/<hash>/<clustering>/<selection>/<side>/<x>/<y>.json
                                                      who is in a cell of side x side on the map

<selection> is "all" or the digest of a kept one, whose galaxies stand out. <view> is bundle,
pictures and display settings: "<hash>.reconstruction.linear-...". An address says everything, so
its picture never changes and the browser keeps it. Nothing else is accepted.
Whoever imports this module has every server of the process serve `ROUTES`; with
`--plugins galaxy_explorer.explorer.routes` they are there before the first page is.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote

import numpy as np
from bokeh.server.views.auth_request_handler import AuthRequestHandler
from numpy.typing import NDArray
from tornado.web import HTTPError

from galaxy_explorer.bundle.bundle import psf_model, psf_model_name
from galaxy_explorer.errors import GalaxyExplorerError
from galaxy_explorer.explorer.context import AppContext, app_context
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    absent,
    encode,
    encode_sheet,
    encode_soft,
    render_stamps,
)
from galaxy_explorer.explorer.pictures.tiles import (
    VEILED,
    draw_tile,
    is_cell,
    is_tile,
    map_tiles,
)
from galaxy_explorer.explorer.plots.clusterings import residual_pictures
from galaxy_explorer.explorer.plots.colouring import Colouring, map_colouring
from galaxy_explorer.explorer.plots.density import glow_tile
from galaxy_explorer.explorer.server.sessions import guard_server
from galaxy_explorer.explorer.state import LEARNT, PICTURES, ExplorerState, colour_columns
from galaxy_explorer.explorer.urls import ALL, HASH_DIGITS, first_tiles
from galaxy_explorer.explorer.widgets.detail import DECONVOLVED, RESIDUAL, RESIDUAL_LIMIT
from galaxy_explorer.explorer.wording import describe_galaxy, format_position
from galaxy_explorer.settings import read_settings

FOR_EVER = "public, max-age=31536000, immutable"
KEPT_COLOURINGS = 16
"""Colourings kept ready: one is 4 bytes a galaxy."""
KEPT_MASKS = 8
"""Selections kept ready: one is a byte a galaxy."""
RENDERERS = 2
"""Threads that draw: numpy and Pillow let go of the interpreter for most of the work."""


@cache
def transparent_tile() -> bytes:
    """The picture of a tile without galaxies."""
    return encode(np.zeros((1, 1, 4), np.uint8))


@cache
def _renderers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RENDERERS, "renderer")


@lru_cache(KEPT_COLOURINGS)
def frame_colours(context: AppContext, key: str, column: str) -> Colouring:
    """The colours of one clustering's map by a column. Raises KeyError if it is not offered."""
    if key in context.bundle.clusterings and column.startswith(LEARNT):
        return context.colourings.get(column)[0]
    if key not in context.bundle.clusterings or column not in colour_columns(context.bundle):
        raise KeyError(column)
    return map_colouring(context.bundle, key, column)


@lru_cache(KEPT_MASKS)
def selection_mask(context: AppContext, digest: str) -> NDArray[np.bool_] | None:
    """Which galaxies a selection holds, (N,); None for all. Raises KeyError if it is not kept."""
    if digest == ALL:
        return None
    mask = np.zeros(len(context.bundle), bool)
    mask[context.selections.get(digest)[0]] = True
    return mask


class PictureCache:
    """The most recently used pictures, at most `megabytes` of them."""

    def __init__(self, megabytes: float) -> None:
        self._limit = megabytes * 1e6
        self._size = 0
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> bytes | None:
        """The picture kept under `key`, if there is one."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[str, ...], data: bytes) -> None:
        """Keep a picture; the least recently used go."""
        with self._lock:
            self._size += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._size > self._limit and self._kept:
                self._size -= len(self._kept.popitem(last=False)[1])


@cache
def _picture_cache() -> PictureCache:
    return PictureCache(read_settings().picture_cache)


def context_of(digest: str) -> AppContext:
    """The context of this process, if it shows the bundle of this <hash>. Raises KeyError."""
    try:
        context = app_context()
    except GalaxyExplorerError as error:
        raise KeyError(digest) from error
    if digest != context.bundle.hash[:HASH_DIGITS]:
        raise KeyError(digest)
    return context


def view_of(key: str, kinds: Sequence[str] = PICTURES) -> tuple[AppContext, str, DisplaySettings]:
    """Context, kind of pictures and display settings of a <view>. Raises KeyError."""
    try:
        digest, pictures, token = key.split(".", 2)
        settings = DisplaySettings.from_token(token)
    except (GalaxyExplorerError, ValueError) as error:
        raise KeyError(key) from error
    if pictures not in kinds:
        raise KeyError(pictures)
    return context_of(digest), pictures, settings


def draw_one(key: str, row: str) -> bytes:
    """The picture of one galaxy, a JPEG.

    Raises KeyError for a row outside the catalogue, and where there is no such picture of it.
    """
    context, kind, settings = view_of(key, (*PICTURES, RESIDUAL, DECONVOLVED))
    if int(row) >= len(context.bundle):
        raise KeyError(row)
    return encode_sheet(draw_kind(context, np.array([int(row)]), kind, settings), 1)


def draw_kind(
    context: AppContext, rows: NDArray[np.int64], kind: str, settings: DisplaySettings
) -> NDArray[np.uint8]:
    """Pictures (n, S, S, 3): originals, reconstructions, what is left over, light without PSF."""
    stamps = context.stamps
    if kind == DECONVOLVED:
        from galaxy_explorer.deconvolution.network import drawn_light

        name = psf_model_name(context.bundle)
        if name is None:
            raise KeyError(kind)
        codes = context.bundle.codes(name)[rows]
        light = stamps.submit(lambda: drawn_light(psf_model(context.bundle), codes)[0]).result()
        return render_stamps(light, settings)
    if kind == "reconstruction":
        return stamps.pictures(rows, settings, kind)
    if stamps.originals is None:
        raise KeyError(kind)
    original = stamps.get(rows, "original")
    if absent(original).any():
        raise KeyError(kind)
    if kind == RESIDUAL:
        return residual_pictures(original - stamps.get(rows), RESIDUAL_LIMIT)
    return stamps.rendered(original, settings)


def draw_galaxies(key: str, name: str, column: str, digest: str, *place: str) -> bytes:
    """A tile of the map, a WebP; transparent where there is no galaxy or no such tile."""
    context, pictures, settings = view_of(key)
    clustering, (zoom, x, y) = name.replace("~", "/"), map(int, place)
    colours = frame_colours(context, clustering, column)
    selected = selection_mask(context, digest)
    if not is_tile(zoom, x, y):
        return transparent_tile()
    rows = map_tiles(context.bundle, clustering).rows(zoom, x, y, selected)
    shown = rows[rows >= 0]
    if not len(shown):
        return transparent_tile()
    stamps = context.stamps.pictures(shown, settings, pictures)
    opacity = None if selected is None else np.where(selected[shown], 1.0, VEILED)
    return encode(draw_tile(stamps, rows, colours.rgb(shown), opacity))


def draw_glow(key: str, name: str, column: str, digest: str, *place: str) -> bytes:
    """A tile of dots of the map, a WebP; transparent where there is no such tile."""
    context = context_of(key)
    clustering, (zoom, x, y) = name.replace("~", "/"), map(int, place)
    colours = frame_colours(context, clustering, column)
    selected = selection_mask(context, digest)
    if not is_tile(zoom, x, y):
        return transparent_tile()
    tiles = map_tiles(context.bundle, clustering)
    return encode_soft(glow_tile(tiles, colours, (zoom, x, y), selected))


def tell_cell(key: str, name: str, digest: str, *place: str) -> bytes:
    """Who is shown by a cell of the map, as JSON (see `describe_galaxy`); null for nobody."""
    context, clustering = context_of(key), name.replace("~", "/")
    side, x, y = map(int, place)
    if clustering not in context.bundle.clusterings or not is_cell(side, x, y):
        raise KeyError(name)
    selected = selection_mask(context, digest)
    row = map_tiles(context.bundle, clustering).shown(side, x, y, selected)
    known = describe_galaxy(context.bundle, clustering, row) if row >= 0 else None
    return json.dumps(known).encode()


def is_lasting(view: str) -> bool:
    """Whether a picture never changes: an original from elsewhere may be there the next time."""
    if not any(f".{kind}." in view for kind in ("original", RESIDUAL)):
        return True
    try:
        return app_context().cutouts is None
    except GalaxyExplorerError:
        return False


class PictureHandler(AuthRequestHandler):
    """Draws off the event loop, answers with a picture that the browser may keep for ever."""

    def initialize(self, draw: Callable[..., bytes], content_type: str) -> None:
        """Take what draws, given the parts of the address, and what it draws."""
        self._draw, self._content_type = draw, content_type

    async def prepare(self) -> None:
        """Refuse, where the server asks for a login, whoever has none."""
        await super().prepare()
        if self.current_user is None:
            raise HTTPError(403)

    async def get(self, *parts: str) -> None:
        """Answer with what is drawn; 404 for what there is not."""
        keep = is_lasting(parts[0])
        key = self._draw.__name__, *parts
        made = _picture_cache().get(key) if keep else None
        if made is None:
            loop = asyncio.get_running_loop()
            try:
                made = await loop.run_in_executor(_renderers(), self._draw, *parts)
            except KeyError as error:
                raise HTTPError(404) from error
            if keep:
                _picture_cache().put(key, made)
        self.set_header("Content-Type", self._content_type)
        self.set_header("Cache-Control", FOR_EVER if keep else "no-store")
        self.finish(made)


@cache
def warm_map(context: AppContext) -> None:
    """Draw in the background, once a process, the tiles that the map shows first."""
    state = ExplorerState(context.bundle, pictures=context.first_pictures)

    def draw(make: Callable[..., bytes], address: str) -> None:
        parts = unquote(address).rsplit(".", 1)[0].split("/")[2:]
        _picture_cache().put((make.__name__, *parts), make(*parts))

    _renderers().submit(format_position, 0.0, 0.0)  # a large library is read for the first one
    for address, _ in first_tiles(state):
        make = draw_galaxies if "/tile/" in address else draw_glow
        _renderers().submit(draw, make, address)


_VIEW = r"([0-9a-f.a-z-]{10,120})"
_MAP = r"([\w~.-]{1,100})"
_COLUMN = r"([^/]{1,300})"
_SELECTION = rf"({ALL}|[0-9a-f]{{24}})"
_ZXY = r"(-?\d{1,2})/(-?\d{1,6})/(-?\d{1,6})\.webp"
_WEBP, _JSON = "image/webp", "application/json"
_CELL = r"(\d{1,5})/(\d{1,5})/(\d{1,5})\.json"
_HASH = rf"([0-9a-f]{{{HASH_DIGITS}}})"
ROUTES: list[tuple[str, Any, dict[str, Any]]] = [
    (rf"/stamps/{path}", PictureHandler, {"draw": draw, "content_type": kind})
    for path, draw, kind in (
        (rf"one/{_VIEW}/(\d{{1,9}})\.jpg", draw_one, "image/jpeg"),
        (rf"tile/{_VIEW}/{_MAP}/{_COLUMN}/{_SELECTION}/{_ZXY}", draw_galaxies, _WEBP),
        (rf"glow/{_HASH}/{_MAP}/{_COLUMN}/{_SELECTION}/{_ZXY}", draw_glow, _WEBP),
        (rf"cell/{_HASH}/{_MAP}/{_SELECTION}/{_CELL}", tell_cell, _JSON),
    )
]
guard_server(ROUTES)
