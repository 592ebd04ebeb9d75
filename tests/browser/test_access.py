"""Every page for everybody: screen readers, keyboards, large text, narrow and wide screens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import PATIENCE_MS, SIZE

pytestmark = [pytest.mark.browser, pytest.mark.long]

GROUND = "() => getComputedStyle(document.body).backgroundColor"
RULES = "axe.run({resultTypes: ['violations']}).then((found) => found.violations)"
NAMES = "() => [...document.querySelectorAll('*')].flatMap(function deep(one) {" + (
    "return one.shadowRoot ? [...one.shadowRoot.querySelectorAll('*')].flatMap(deep)"
    " : one.matches('.pages a') ? [one.dataset.page] : [] })"
)
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
SIZES = {
    "at 200 %": {"width": 720, "height": 450},  # CSS pixels of a 1440 x 900 screen
    "narrow": {"width": 1000, "height": 700},
    "wide": {"width": 1920, "height": 1080},
}


@pytest.fixture(scope="module")
def tour(address, browser) -> Iterator[Page]:
    """One visitor who goes from page to page."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{address}?page=claims")
    page.locator(".card").first.wait_for()
    page.evaluate(Axe().axe_script)
    yield page
    context.close()


def pages(tour: Page) -> Iterator[str]:
    """Open every page in turn."""
    for name in tour.evaluate(NAMES):
        tour.locator(f".pages a[data-page='{name}']").click()
        settle(tour, name)
        yield name


def settle(tour: Page, name: str) -> None:
    tour.wait_for_function("(name) => location.search.includes(`page=${name}`)", arg=name)
    tour.mouse.move(0, 400)  # no hint over what is looked at
    tour.locator("[role=tooltip]").first.wait_for(state="hidden")
    tour.locator(".MuiLinearProgress-determinate").wait_for(state="attached")


def test_axe_finds_nothing_on_any_page_in_either_theme(tour) -> None:
    found = []
    for name in pages(tour):
        for _ in range(2):
            found += [
                f"{name}: {rule['id']}: {node['html'][:120]}"
                for rule in tour.evaluate(RULES)
                for node in rule["nodes"]
            ]
            before = tour.evaluate(GROUND)
            tour.get_by_label("Toggle theme").click()
            tour.wait_for_function(f"(before) => ({GROUND})() !== before", arg=before)
            settle(tour, name)
    assert found == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_out_of_reach(tour, size: str) -> None:
    tour.set_viewport_size(SIZES[size])
    beyond = {name: tour.evaluate(BEYOND) for name in pages(tour)}
    tour.set_viewport_size(SIZE)
    assert {name: found for name, found in beyond.items() if found} == {}


def test_the_tab_key_leads_into_every_page(tour) -> None:
    for name in pages(tour):
        tour.locator(f".pages a[data-page='{name}']").focus()
        stops = []
        for _ in range(12):
            tour.keyboard.press("Tab")
            stops.append(tour.evaluate(FOCUSED))
        inside = {stop for stop in stops if stop.startswith("main") and "BODY" not in stop}
        assert len(inside) >= 2, f"{name}: {stops}"
