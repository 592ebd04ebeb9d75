"""The newcomer's tour, in Chromium and, where there is one, in Firefox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect

from tests.browser.conftest import PATIENCE_MS, SIZE, watch
from tests.browser.tour import ADDRESS, Tour
from tests.firefox import NONE_FOUND, find, launched

pytestmark = pytest.mark.browser


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
    contexts = [started.new_context(viewport=SIZE) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for context, page in zip(contexts, pages, strict=True):
        context.set_default_timeout(PATIENCE_MS)
        watch(page, complaints)
    tour = Tour(pages[0], ADDRESS or address, name)
    tour.open()
    tour.zoom()
    galaxy = tour.look_at_a_neighbour(tour.click_a_galaxy())
    assert tour.select_late_types() > 0
    tour.label_them()
    ttype = tour.generate_a_later_one(galaxy)
    link = tour.copy_the_link()
    Tour(pages[1], ADDRESS or address, f"{name}-elsewhere").open_it_elsewhere(link, ttype)
    for context in contexts:
        context.close()
    assert complaints == []
