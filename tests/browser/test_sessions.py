"""A visitor's place: kept while the connection is gone, given back when the page is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.app_server import served
from tests.browser.conftest import PATIENCE_MS, SIZE

pytestmark = pytest.mark.browser

BUSY = "All places are taken"
SEVERED = """
const Socket = WebSocket
window.severed = false
window.WebSocket = class extends Socket {
  constructor(address, ...rest) {
    super(window.severed ? "ws://localhost:9/gone" : address, ...rest)
    window.theSocket = this
  }
}
"""

# Only when the last vain attempt is over: Bokeh would wait for one that is going on.
BACK = """() => {
  if (window.theSocket.readyState !== WebSocket.CLOSED) return false
  window.severed = false
  return dispatchEvent(new Event("online"))
}"""


@pytest.fixture
def page(browser, small_app, tmp_path) -> Iterator[Page]:
    """The app of one place, open in it."""
    # A second of absence: the request that asks whether the server is up takes the place too.
    settings = {**small_app, "labels": tmp_path / "labels.db", "max_explorers": 1, "absence": 1}
    with served(**settings) as where:
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(SEVERED)
        page = context.new_page()
        enter(page, where)
        yield page
        context.close()


def enter(page: Page, address: str) -> None:
    with page.expect_console_message(lambda message: "document idle" in message.text):
        page.goto(f"{address}?page=claims")
    page.get_by_label("Toggle theme").wait_for()
    page.locator(".card").first.wait_for()


def test_nothing_typed_is_lost_with_the_connection(page) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    field = page.get_by_role("searchbox", name="Find galaxies")
    page.evaluate("() => { window.severed = true; window.theSocket.close() }")
    page.get_by_text("onnection").first.wait_for()
    field.fill("galaxy-0007")
    field.press("Enter")
    page.wait_for_function(BACK)
    page.get_by_text("1 galaxy").first.wait_for()
    expect(field).to_have_value("galaxy-0007")
    page.locator(".card").first.wait_for()


def test_the_next_visitor_waits_and_gets_in_by_itself(page, browser) -> None:
    address = page.url.partition("?")[0]
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    waiting = context.new_page()
    waiting.goto(f"{address}?page=claims")
    waiting.get_by_role("heading", name=BUSY).wait_for()
    page.goto("about:blank")
    waiting.get_by_role("link", name="Try again now").click()
    waiting.locator(".card").first.wait_for()
    assert "page=claims" in waiting.url
    context.close()
