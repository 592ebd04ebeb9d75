"""Every page for everybody: screen readers, keyboards, large text, narrow and wide screens."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from galaxy_explorer.explorer.pages.registry import PAGES
from tests.browser.conftest import PATIENCE_MS, SIZE

pytestmark = pytest.mark.browser
whole = pytest.mark.long
"""Of the whole check, what `make test` leaves out; the page is opened once for all of it."""

GROUND = "() => Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"
DARK = f"() => ({GROUND})() < 25"
LIGHT = f"() => ({GROUND})() > 230"
RULES = "axe.run({resultTypes: ['violations']}).then((found) => found.violations)"
SETTLING_S = PATIENCE_MS / 1000
"""How long colours may stay between two themes on a loaded machine."""
READY = {
    "my_galaxy": ".drop-field",
    "labels": ".term:not([disabled])",
    "codebooks": ".codes-page[data-painted]",
    "emulator": ".samples[data-compared='16']",
    "vocabulary": ".codes[data-painted]",
    "deconvolution": ".strips[data-painted]",
    "merger": ".tile-row.titled",
    "scoreboard": ".score-group",
    "claims": ".card",
}
"""What a page shows last; of the others, a gallery."""
BUNDLES = {"deconvolution": "hst_address"}
"""Where the pages are that a small bundle without a PSF model does not have."""
SLOW = "emulator"
FOCUSED = """() => {
  let one = document.activeElement, path = []
  while (one) { path.push(one); one = one.shadowRoot?.activeElement }
  const last = path.at(-1), box = last.getBoundingClientRect()
  const header = path.some((node) => node.getRootNode().host?.closest?.("header")
    || node.closest("header"))
  return [header ? "header" : "main", last.tagName, Math.round(box.x), Math.round(box.y)].join(" ")
}"""
BEYOND = """() => {
  const found = []
  const look = (root) => root.querySelectorAll("*").forEach((one) => {
    if (one.shadowRoot) look(one.shadowRoot)
    if (!one.matches("button, input, a, select, h2, h3, p, label") || !one.checkVisibility()) return
    const box = one.getBoundingClientRect()
    if (!box.width || (box.x >= -1 && box.right <= innerWidth + 1)) return
    let parent = one
    while (parent && !["auto", "scroll"].includes(getComputedStyle(parent).overflowX)) {
      parent = parent.parentElement ?? parent.getRootNode().host
    }
    const words = one.textContent.slice(0, 30)
    if (!parent) found.push(`${one.tagName} ${words} ${Math.round(box.right)}`)
  })
  look(document)
  return found
}"""
WORDLESS = """() => {
  const found = []
  const look = (root) => root.querySelectorAll("*").forEach((one) => {
    if (one.shadowRoot) look(one.shadowRoot)
    if (!one.matches("canvas:not(.bk-glyph), img") || !one.checkVisibility()) return
    if (one.ariaHidden !== "true" && !one.ariaLabel && !one.alt) found.push(one.outerHTML)
  })
  look(document)
  return found
}"""
WIDTHS = (390, 700, 1000, 1440, 1920)
"""A telephone, the last with the drawer as a sheet, half a screen, a laptop, a large screen."""
HEIGHTS = {390: 844, 1440: 900, 1920: 1080}
OFTEN = (390, 1440)
"""Widths at which `make test` has axe look; the others only where there is time for the whole."""


@pytest.fixture(scope="module")
def visitor(browser) -> Iterator[BrowserContext]:
    """One visitor, who has a name."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script("localStorage.setItem('galaxy-explorer-name', '\"Visitor\"')")
    yield context
    context.close()


@pytest.fixture(scope="module")
def slow_page(visitor, address) -> Page:
    """The page that takes longest, opened first: it draws while others are looked at."""
    return open_tab(visitor, address, SLOW)


@pytest.fixture(scope="module", params=enumerate(PAGES), ids=list(PAGES))
def page(request, visitor, slow_page) -> Iterator[Page]:
    """Each page in turn, every other one in the light theme."""
    place, name = request.param
    address = request.getfixturevalue(BUNDLES.get(name, "address"))
    opened = slow_page if name == SLOW else open_tab(visitor, address, name)
    opened.locator(READY.get(name, ".gallery[data-painted]")).first.wait_for()
    if name == "my_galaxy":
        give_picture(opened)
    if place % 2:
        turn_theme(opened)
    opened.evaluate(Axe().axe_script)
    rest(opened)
    yield opened
    opened.close()


def open_tab(visitor: BrowserContext, address: str, name: str) -> Page:
    """A page that is on its way."""
    tab = visitor.new_page()
    tab.goto(f"{address}?page={name}", wait_until="commit")
    return tab


def turn_theme(page: Page) -> None:
    wanted = LIGHT if page.evaluate(GROUND) < 25 else DARK
    page.get_by_label("Toggle theme").click()
    page.wait_for_function(wanted)
    rest(page)


def give_picture(page: Page) -> None:
    y, x = np.mgrid[-32:32, -32:32]
    buffer = io.BytesIO()
    Image.fromarray((220 * np.exp(-np.hypot(x, 2 * y) / 9)).astype(np.uint8)).save(buffer, "PNG")
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.locator("input[type=file]").set_input_files(file)
    alike = page.get_by_role("group", name="Look-alikes")
    alike.locator(".tile-note", has_text=re.compile(r"^(no T|T −?\d)")).first.wait_for()


def rest(page: Page) -> None:
    """Wait until no hint lies over what is looked at."""
    page.mouse.move(0, 400)
    page.locator("[role=tooltip]").first.wait_for(state="hidden")


def resize(page: Page, width: int) -> None:
    """Give the window a width, and what is in it the time to move there."""
    page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 700)})
    rest(page)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 200)))")


def axe(page: Page) -> list[str]:
    """What axe still finds once the colours have come to rest."""
    end = time.monotonic() + SETTLING_S
    while (found := violations(page)) and time.monotonic() < end:
        if not any(rule.startswith("color-contrast") for rule in found):
            break  # nothing that will pass by itself
    return found


def violations(page: Page) -> list[str]:
    return [
        f"{rule['id']}: {node['html'][:120]}"
        for rule in page.evaluate(RULES)
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize(
    "width", [width if width in OFTEN else pytest.param(width, marks=whole) for width in WIDTHS]
)
def test_axe_finds_nothing(page, width: int) -> None:
    resize(page, width)
    assert axe(page) == []


def test_every_picture_has_words(page) -> None:
    assert page.evaluate(WORDLESS) == []


def test_nothing_is_out_of_reach(page) -> None:
    beyond = {}
    for width in WIDTHS:
        resize(page, width)
        beyond[width] = page.evaluate(BEYOND)
    page.set_viewport_size(SIZE)
    assert beyond == {width: [] for width in WIDTHS}


def test_the_tab_key_leads_into_the_page(page) -> None:
    page.set_viewport_size(SIZE)
    page.locator(".opener").focus()
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
    inside = {stop for stop in stops if stop.startswith("main") and "BODY" not in stop}
    assert len(inside) >= 2, stops


@whole
def test_axe_finds_nothing_in_the_other_theme(page) -> None:
    turn_theme(page)
    found = {}
    for width in WIDTHS:
        resize(page, width)
        found[width] = axe(page)
    assert found == {width: [] for width in WIDTHS}
