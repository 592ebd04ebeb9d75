"""The Vocabulary page in a browser."""

from __future__ import annotations

import pytest

from tests.browser.conftest import elsewhere

pytestmark = pytest.mark.browser


@pytest.fixture
def vocabulary(open_page):
    page = open_page("vocabulary", ".codes[data-painted]")
    page.locator(".code-map[data-cells='64']").wait_for()
    return page


def test_a_code_shows_its_galaxies_and_where_it_is(vocabulary):
    assert vocabulary.locator(".codes .tile").count() == 512
    code = vocabulary.locator(".codes .tile").nth(7)
    number = code.get_attribute("data-tile")
    code.click()
    vocabulary.get_by_role("heading", name=f"Code {number} of 512").wait_for()
    marked = vocabulary.locator(f".code-map-cell[data-code='{number}'][aria-pressed=true]")
    marked.first.wait_for()
    assert vocabulary.locator(".gallery .tile").count() > 0


def test_a_cell_of_the_map_chooses_its_code(vocabulary):
    cell = vocabulary.locator(".code-map-cell").nth(20)
    number = cell.get_attribute("data-code")
    cell.click()
    vocabulary.get_by_role("heading", name=f"Code {number} of 512").wait_for()
    vocabulary.locator(f".codes .tile[data-tile='{number}'][aria-pressed=true]").wait_for()


def test_another_order_and_another_codebook(vocabulary):
    vocabulary.get_by_role("button", name="number", exact=True).click()
    vocabulary.locator(".codes .tile:first-child[data-tile='0']").wait_for()
    vocabulary.get_by_role("combobox", name="Codebook").click()
    vocabulary.get_by_role("menuitem", name="16 codes, modern, 8×8 map", exact=True).click()
    vocabulary.locator(".codes .tile").nth(16).wait_for(state="detached")
    assert vocabulary.locator(".codes .tile").count() == 16
    vocabulary.locator(".codes .tile").nth(5).click()
    with elsewhere(vocabulary, "code=5") as other:
        other.get_by_role("heading", name="Code 5 of 16").wait_for()
        other.locator(".codes .tile:first-child[data-tile='0']").wait_for()
        assert other.locator(".codes .tile").count() == 16
