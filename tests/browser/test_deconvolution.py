"""The Deconvolution page in a browser: live pictures, another page of them, a profile."""

from __future__ import annotations

import pytest

from tests.browser.conftest import elsewhere

pytestmark = pytest.mark.browser


@pytest.fixture
def address(hst_address):
    """The app that has the page."""
    return hst_address


def test_galaxies_are_deconvolved_page_by_page(open_page):
    page = open_page("deconvolution", ".strips[data-painted]")
    lines = page.locator(".strips th[scope=row]")
    lines.filter(has_text="Truth").wait_for()
    assert lines.count() == 6
    assert page.locator(".tile-foot", has_text="χ²").count() == 20
    first = page.locator(".tile-column").first.text_content()
    page.get_by_text("Radial profile of").wait_for()
    page.locator(".strips .tile").nth(2).click()
    title = page.locator(".strips .tile").nth(2).get_attribute("data-words")
    second = title.removeprefix("Original of ")
    page.get_by_text(f"Radial profile of {second}").wait_for()
    page.get_by_role("button", name="Next").click()
    page.locator(".strips[data-columns='2']").wait_for()
    assert page.locator(".tile-column").first.text_content() != first
    second = page.locator(".tile-column").first.text_content()
    with elsewhere(page, "galaxies=1") as other:
        other.locator(".strips[data-columns='2']").wait_for()
        assert other.locator(".tile-column").first.text_content() == second
    page.locator(".deconvolution-figures td").first.wait_for()
