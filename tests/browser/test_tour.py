"""The newcomer's tour, in Chromium and, where there is one, in Firefox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.browser.conftest import PATIENCE_MS, SIZE, watch
from tests.browser.tour import ADDRESS, LATE, Tour
from tests.firefox import NONE_FOUND, find, launched

pytestmark = pytest.mark.browser

FOCUSED = "(one) => one.getRootNode().activeElement === one"
MOST_TABS = 80


@pytest.fixture(scope="module")
def firefox(driver: Playwright, tmp_path_factory) -> Iterator[Browser]:
    """Firefox, driven by the Playwright that drives Chromium."""
    if find() is None:
        pytest.skip(NONE_FOUND)
    with launched(driver, tmp_path_factory.mktemp("firefox")) as started:
        yield started


@pytest.mark.parametrize("name", ["browser", "firefox"])
def test_a_newcomers_tour(request, address: str, name: str) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    started, complaints = request.getfixturevalue(name), []
    page = started.new_context(viewport=SIZE).new_page()
    page.set_default_timeout(PATIENCE_MS)
    watch(page, complaints)
    tour = Tour(page, ADDRESS or address, name)
    tour.open()
    tour.zoom()
    tour.look_at_a_neighbour(tour.click_a_galaxy())
    assert tour.select_late_types() > 0
    page.context.close()
    assert complaints == []


def test_the_keyboard_leads_from_a_question_to_a_label(address: str, browser: Browser) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    page = browser.new_context(viewport=SIZE).new_page()
    page.set_default_timeout(PATIENCE_MS)
    tour = Tour(page, ADDRESS or address, "keyboard")
    tour.open()
    tab_to(page, page.get_by_role("searchbox", name="Find galaxies"))
    page.keyboard.type("T > -9")
    page.keyboard.press("Enter")
    expect(tour.selection).to_contain_text("selected")
    bar = tour.selection.get_by_role("button", name=LATE).last
    tab_to(page, bar)
    page.keyboard.press("Enter")
    expect(bar).to_have_attribute("aria-pressed", "true")
    picture = page.get_by_role("group", name="most typical first").get_by_role("button")
    tab_to(page, picture.filter(visible=True).and_(page.locator("[tabindex='0']")).first)
    page.keyboard.press("Enter")
    name = page.get_by_role("article").get_by_role("heading")
    expect(name).to_be_visible()
    first = name.inner_text()
    page.keyboard.press("ArrowRight")
    expect(name).not_to_have_text(first)
    page.keyboard.press("Escape")
    expect(tour.tab("Selection")).to_have_attribute("aria-selected", "true")
    tab_to(page, page.get_by_role("button", name="Label these"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your name")).to_be_visible()
    page.context.close()


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate(FOCUSED):
            return
    raise AssertionError(f"{MOST_TABS} stops do not lead to {wanted}")
