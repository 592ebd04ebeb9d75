"""`panel serve app.py`, with the options that change who answers, and from another folder."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.app_server import COMMAND, served
from tests.browser.conftest import PATIENCE_MS, SIZE, watch

pytestmark = pytest.mark.browser


def answer(address: str, host: str, path: str = "", **headers: str) -> tuple[int, dict, str]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", path or parts.path, headers={"Host": host, **headers})
    reply = connection.getresponse()
    return reply.status, dict(reply.headers), reply.read().decode(errors="replace")


def test_the_command_is_the_plain_one() -> None:
    assert COMMAND == "serve app.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [("--num-procs", "2", "--prefix", "/x"), ("--num-threads", "4")], ids=" ".join
)
def test_the_maps_tiles_are_seen(small_app, browser: Browser, options: tuple[str, ...]) -> None:
    complaints: list[str] = []
    tiles: list[int] = []
    with served(*options, **small_app) as where:
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE_MS)
        watch(page, complaints)
        page.on("response", lambda r: tiles.append(r.status) if "/tile/" in r.url else None)
        page.goto(where)
        page.locator(".gallery[data-painted]").first.wait_for()
        assert page.title() == "Galaxy Explorer"
        page.mouse.move(500, 430)
        for _ in range(12):
            page.mouse.wheel(0, -400)
            page.wait_for_timeout(400)
        page.wait_for_timeout(2000)
        page.close()
    assert tiles
    assert set(tiles) == {200}
    assert complaints == []


@pytest.mark.slow
def test_every_process_behind_a_login_has_loaded_the_app(small_app, browser: Browser) -> None:
    complaints: list[str] = []
    login = ("--basic-auth", "word", "--cookie-secret", "0" * 32)
    with served("--num-procs", "2", *login, **small_app) as where:
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(where)
        page.locator("input[name=username]").fill("Ada")
        page.locator("input[name=password]").fill("word")
        watch(page, complaints)
        page.keyboard.press("Enter")
        page.locator(".gallery[data-painted]").first.wait_for()
        page.close()
    assert complaints == []


FOREIGN = "evil.example:5006"


def test_a_foreign_name_gets_neither_page_nor_picture_nor_connection(address: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}  # fmt: skip
    for path, headers in (
        ("/app", {}), ("/stamps/one/x/1.jpg", {}), ("/static/js/bokeh.min.js", {}),
        ("/app/ws", upgrade), ("/nowhere", {}),
    ):  # fmt: skip
        status, _, text = answer(address, FOREIGN, path, **headers)
        assert status == 403, path
        assert "GALAXY_EXPLORER_HOSTS=evil.example" in text
    for own in ("localhost", "127.0.0.1:1", "[::1]:5006"):
        assert answer(address, own)[0] == 200


def test_answers_carry_the_headers_that_protect_them(address: str) -> None:
    for path in ("/app", "/static/js/bokeh.min.js", "/nowhere"):
        _, headers, _ = answer(address, "localhost", path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert "default-src 'self'" in answer(address, "localhost")[1]["Content-Security-Policy"]


@pytest.mark.slow
def test_settings_name_further_hosts_and_frames(small_app: dict) -> None:
    more = {"hosts": "galaxies.example.org, *.lab", "frames": "https://portal.example"}
    with served(**small_app, **more) as where:
        assert answer(where, "a.lab:80")[0] == 200
        assert answer(where, "galaxies.example.org")[0] == 200
        status, headers, _ = answer(where, FOREIGN)
        assert status == 403
        assert "X-Frame-Options" not in headers
        policy = answer(where, "localhost")[1]["Content-Security-Policy"]
        assert "frame-ancestors 'self' https://portal.example" in policy


def test_the_app_finds_its_bundle_beside_it(monkeypatch, tmp_path: Path) -> None:
    from galaxy_explorer.explorer import context

    (tmp_path / "project/trained/mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(context, "PROJECTS", [tmp_path / "project"])
    assert context.found("trained/mine") == tmp_path / "project/trained/mine"
    (tmp_path / "trained/mine").mkdir(parents=True)
    assert context.found("trained/mine") == Path("trained/mine")
    assert context.found("nowhere") == Path("nowhere")
