"""Picture addresses: they say everything, and nothing else is answered."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import numpy as np
import pytest
from bokeh.server.auth_provider import NullAuth
from PIL import Image
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from galaxy_explorer.errors import BundleError
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from galaxy_explorer.explorer.server import routes
from galaxy_explorer.explorer.server.routes import ROUTES, PictureCache
from galaxy_explorer.explorer.urls import (
    cell_url,
    first_tiles,
    glow_url,
    one_url,
    tile_url,
    view_key,
)
from galaxy_explorer.settings import read_settings

Fetch = Callable[[str], HTTPResponse]


@pytest.fixture
def fetch(bundle, stamps, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Ask a server with the picture routes, as a browser would."""
    selections = SelectionStore(tmp_path / "selections", bundle.hash, len(bundle), 10)
    context = AppContext(bundle, stamps, None, selections, read_settings({}))
    monkeypatch.setattr(routes, "app_context", lambda: context)
    return ask


class Login(NullAuth):
    """A server that asks for a login, and who has one; None: who has not."""

    def __init__(self, user: str | None) -> None:
        self.user = user

    @property
    def get_user(self) -> Callable[[RequestHandler], str | None]:
        return lambda _: self.user


def ask(path: str, auth: NullAuth | None = None) -> HTTPResponse:
    async def answer() -> HTTPResponse:
        application = Application(ROUTES)
        application.auth_provider = auth or NullAuth()
        server = HTTPServer(application)
        socket, port = bind_unused_port()
        server.add_sockets([socket])
        try:
            address = f"http://127.0.0.1:{port}/{path}"
            return await AsyncHTTPClient().fetch(address, raise_error=False)
        finally:
            server.stop()
            await server.close_all_connections()

    with ThreadPoolExecutor(1) as thread:  # a browser test may hold this thread's event loop
        return thread.submit(lambda: asyncio.run(answer())).result()


def opened(response: HTTPResponse) -> Image.Image:
    return Image.open(io.BytesIO(response.body))


def test_one_galaxy_is_a_picture_to_keep_for_ever(fetch, state) -> None:
    response = fetch(one_url(state, 3))
    assert (response.code, opened(response).size) == (200, (64, 64))
    assert "immutable" in response.headers["Cache-Control"]


def test_a_residual_is_what_the_reconstruction_leaves_over(
    fetch, state, stamps, monkeypatch
) -> None:
    assert fetch(one_url(state, 3, "residual")).code == 404  # there are no originals
    assert fetch(one_url(state, 3, "deconvolved")).code == 404  # nor a PSF model

    def originals(rows: np.ndarray) -> np.ndarray:
        found = np.array(stamps.get(rows))
        found[rows == 4] = np.nan
        found[rows == 5] += 1.0
        return found

    monkeypatch.setattr(stamps, "originals", originals)
    nothing, red = (
        np.asarray(opened(fetch(one_url(state, row, "residual"))).convert("RGB"), int)
        for row in (3, 5)
    )
    assert nothing.min() > 225
    assert (red[..., 0] - red[..., 2]).mean() > 100
    assert fetch(one_url(state, 4, "residual")).code == 404


def test_an_original_that_is_not_at_hand_is_no_black_picture(
    fetch, state, stamps, monkeypatch
) -> None:
    def originals(rows: np.ndarray) -> np.ndarray:
        return np.where((rows == 4)[:, None, None], np.nan, stamps.get(rows))

    monkeypatch.setattr(stamps, "originals", originals)
    assert fetch(one_url(state, 4, "original")).code == 404
    for state.display.shared in (False, True):
        drawn = fetch(one_url(state, 3, "reconstruction"))
        assert fetch(one_url(state, 3, "original")).body == drawn.body


def test_the_picture_follows_the_display_settings(fetch, state) -> None:
    before = np.asarray(opened(fetch(one_url(state, 3))).convert("L"), int)
    state.display.invert = True
    after = np.asarray(opened(fetch(one_url(state, 3))).convert("L"), int)
    assert np.abs(before + after - 255).mean() < 5


def test_a_tile_is_transparent_where_no_galaxy_lies(fetch, state) -> None:
    pattern = tile_url(state)
    whole = opened(fetch(pattern.format(Z=0, X=0, Y=0))).convert("RGBA")
    opacity = np.asarray(whole)[..., 3]
    assert opacity.min() == 0
    assert opacity.max() == 255


@pytest.mark.parametrize("place", [(0, 1, 0), (3, -1, 0), (99, 0, 0), (2, 0, 400)])
def test_a_tile_beyond_the_map_is_transparent_not_an_error(fetch, state, place) -> None:
    z, x, y = place
    response = fetch(tile_url(state).format(Z=z, X=x, Y=y))
    assert response.code == 200
    assert np.asarray(opened(response).convert("RGBA"))[..., 3].max() == 0


def test_the_frames_of_a_tile_follow_the_colours_of_the_map(fetch, state) -> None:
    state.colour_by = "cluster"
    by_cluster = fetch(tile_url(state).format(Z=0, X=0, Y=0)).body
    state.colour_by = "ttype"
    assert fetch(tile_url(state).format(Z=0, X=0, Y=0)).body != by_cluster


def bad_paths(view: str) -> list[str]:
    other = "0" * 16 + view[16:]
    tile = "k512-modern-8x8~codes/cluster/all/0/0/0.webp"
    cell = f"stamps/cell/{view[:16]}/k512-modern-8x8~codes/all"
    return [
        f"stamps/one/{view}/200.jpg",
        f"stamps/one/{view}/-1.jpg",
        f"stamps/one/{view}/1e3.jpg",
        f"stamps/one/{other}/1.jpg",
        f"stamps/one/{view}x/1.jpg",
        f"stamps/one/{view.replace('reconstruction', 'secret')}/1.jpg",
        f"stamps/tile/{view}/no-such/cluster/all/0/0/0.webp",
        f"stamps/tile/{view}/{tile.replace('cluster', 'galaxy_id')}",
        f"stamps/tile/{view}/{tile.replace('cluster', '..%2F..%2Fetc')}",
        f"stamps/tile/{other}/{tile}",
        f"stamps/tile/{view}/{tile.replace('all', 'f' * 24)}",  # a selection that is not kept
        f"stamps/tile/{view}/{tile.replace('all', '..')}",
        f"stamps/glow/{other[:16]}/{tile}",
        f"stamps/glow/{view[:16]}/{tile.replace('8~', '9~')}",
        f"{cell}/7/0/0.json",  # no power of two
        f"{cell}/8/8/0.json",
        f"{cell}/0/0/0.json",
        f"{cell.replace('codes', 'rings')}/8/0/0.json",
    ]


@pytest.mark.parametrize("place", [(0, 1, 0), (3, -1, 0), (99, 0, 0), (2, 0, 400)])
def test_so_is_a_tile_of_dots(fetch, state, place) -> None:
    z, x, y = place
    response = fetch(glow_url(state).format(Z=z, X=x, Y=y))
    assert np.asarray(opened(response).convert("RGBA"))[..., 3].max() == 0


def test_the_dots_of_a_tile_follow_the_colours_of_the_map(fetch, state) -> None:
    state.colour_by = "cluster"
    by_cluster = fetch(glow_url(state).format(Z=0, X=0, Y=0)).body
    state.colour_by = "ttype"
    by_type = fetch(glow_url(state).format(Z=0, X=0, Y=0)).body
    first, second = (np.asarray(Image.open(io.BytesIO(b)), int) for b in (by_cluster, by_type))
    np.testing.assert_array_equal(first[..., 3], second[..., 3])
    assert np.abs(first - second).max() > 100


def test_what_is_selected_stands_out_and_the_rest_stays_faintly(fetch, state, bundle) -> None:
    labels = bundle.clusterings[state.clustering].labels
    rows = np.flatnonzero(labels < 20)
    store = routes.app_context().selections
    digest = store.put(rows, "some")
    tiles = map_tiles(bundle, state.clustering)
    first = np.isin(np.arange(len(bundle)), rows)
    shown = tiles.rows(0, 0, 0, first)
    side = 512 // len(shown)
    tile = opened(fetch(tile_url(state, digest).format(Z=0, X=0, Y=0))).convert("RGBA")
    opacity = np.asarray(tile, int)[side // 2 :: side, side // 2 :: side, 3]
    expected = np.where(np.isin(shown, rows), 255, np.where(shown >= 0, 56, 0))
    np.testing.assert_allclose(opacity, expected, atol=2)
    everything = np.asarray(opened(fetch(glow_url(state).format(Z=0, X=0, Y=0))), int)
    some = np.asarray(opened(fetch(glow_url(state, digest).format(Z=0, X=0, Y=0))), int)
    assert 0 < some[..., 3].sum() < everything[..., 3].sum()


def test_a_cell_tells_who_is_shown_there_and_nothing_where_nobody_is(fetch, state, bundle) -> None:
    tiles = map_tiles(bundle, state.clustering)
    rows = tiles.rows(0, 0, 0)
    side = len(rows)
    for line, column in ((0, 0), *zip(*(part[:3] for part in np.nonzero(rows >= 0)), strict=True)):
        place = {"SIDE": side, "X": column, "Y": side - 1 - line}
        told = json.loads(fetch(cell_url(state).format(**place)).body)
        row = int(rows[line, column])
        if row < 0:
            assert told is None
        else:
            assert (told["row"], told["id"]) == (row, bundle.column("galaxy_id")[row])
            assert told["cluster"] == bundle.clusterings[state.clustering].labels[row]


def kept(address: str) -> bool:
    """Whether a tile is drawn already."""
    draw = routes.draw_galaxies if "/tile/" in address else routes.draw_glow
    parts = unquote(address).removesuffix(".webp").split("/")[2:]
    return routes._picture_cache().get((draw.__name__, *parts)) is not None


def test_what_the_map_shows_first_is_drawn_before_anybody_asks(fetch, state, monkeypatch) -> None:
    routes._picture_cache.cache_clear()
    routes.warm_map.__wrapped__(routes.app_context())
    first = [address for address, _ in first_tiles(state)]
    missing, end = set(first), time.monotonic() + 300
    while missing and time.monotonic() < end:
        time.sleep(0.01)
        missing = {address for address in missing if not kept(address)}
    monkeypatch.setattr(routes, "draw_tile", None)
    monkeypatch.setattr(routes, "glow_tile", None)
    assert {fetch(address).code for address in first} == {200}


@pytest.mark.parametrize("number", range(18))
def test_everything_else_is_not_found(fetch, state, number) -> None:
    assert fetch(bad_paths(view_key(state))[number]).code == 404


def test_without_a_bundle_there_are_no_pictures(state, monkeypatch) -> None:
    def fail() -> AppContext:
        raise BundleError("no such folder")

    monkeypatch.setattr(routes, "app_context", fail)
    assert ask(one_url(state, 1)).code == 404


def test_a_picture_is_drawn_once(fetch, state, stamps, monkeypatch) -> None:
    drawings = []
    draw = stamps.pictures
    monkeypatch.setattr(stamps, "pictures", lambda *a: drawings.append(1) or draw(*a))
    state.display.colour_map = "plasma"
    assert fetch(one_url(state, 9)).body == fetch(one_url(state, 9)).body
    assert len(drawings) == 1


def test_an_address_depends_on_bundle_pictures_and_display(state) -> None:
    first = view_key(state)
    state.pictures = "original"
    second = view_key(state)
    state.display.stretch = "log"
    assert len({first, second, view_key(state)}) == 3
    assert first.startswith(state.bundle.hash[:16])


def test_a_column_with_any_name_makes_a_safe_address(state) -> None:
    state.param.colour_by.objects = [*state.param.colour_by.objects, "a/b {X}?"]
    state.colour_by = "a/b {X}?"
    address = tile_url(state)
    assert json.dumps(address).count("{X}") == 1
    assert "?" not in address


def test_the_cache_keeps_the_latest_and_stays_within_its_size() -> None:
    cache = PictureCache(megabytes=0.003)
    for key in "abc":
        cache.put((key,), bytes(1000))
    cache.get(("a",))
    cache.put(("d",), bytes(1000))
    assert [cache.get((key,)) is not None for key in "abcd"] == [True, False, True, True]
    cache.put(("e",), bytes(5000))
    assert all(cache.get((key,)) is None for key in "abcde")


def test_where_the_server_asks_for_a_login_the_pictures_do_too(fetch, state) -> None:
    place = one_url(state, 3)
    assert fetch(place, Login(None)).code == 403
    assert fetch(place, Login("ada")).code == 200
    tile = tile_url(state).format(Z=0, X=0, Y=0)
    assert fetch(tile, Login(None)).code == 403
