"""The Vocabulary and Trend pages in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def vocabulary(open_page):
    page = open_page("vocabulary", ".codes[data-painted]")
    page.locator(".code-map[data-cells='64']").wait_for()
    return page


@pytest.fixture
def trend(open_page):
    return open_page("trend", ".trend[data-painted]")


def test_a_code_shows_its_galaxies_and_where_it_is(vocabulary):
    assert vocabulary.locator(".code").count() == 512
    code = vocabulary.locator(".code").nth(7)
    number = code.get_attribute("data-code")
    code.click()
    vocabulary.get_by_role("heading", name=f"Code {number} of 512").wait_for()
    marked = vocabulary.locator(f".code-map-cell[data-code='{number}'][aria-pressed=true]")
    marked.first.wait_for()
    assert vocabulary.locator(".gallery-tile").count() > 0


def test_a_cell_of_the_map_chooses_its_code(vocabulary):
    cell = vocabulary.locator(".code-map-cell").nth(20)
    number = cell.get_attribute("data-code")
    cell.click()
    vocabulary.get_by_role("heading", name=f"Code {number} of 512").wait_for()
    vocabulary.locator(f".code[data-code='{number}'][aria-pressed=true]").wait_for()


def test_another_order_and_another_codebook(vocabulary):
    vocabulary.get_by_role("button", name="number", exact=True).click()
    vocabulary.locator(".code:first-child[data-code='0']").wait_for()
    vocabulary.get_by_role("combobox", name="Codebook").click()
    vocabulary.get_by_role("menuitem", name="16 codes, modern, 8×8 map", exact=True).click()
    vocabulary.locator(".code").nth(16).wait_for(state="detached")
    assert vocabulary.locator(".code").count() == 16


def test_columns_are_moved_by_buttons_keys_and_dragging(trend):
    order = trend.locator(".trend").get_attribute("data-order").split()
    swapped = " ".join([order[1], order[0], *order[2:]])
    trend.get_by_role("button", name=f"Move cluster {order[0]} right", exact=True).click()
    trend.locator(f".trend[data-order='{swapped}']").wait_for()
    trend.locator(f".trend-column[data-cluster='{order[0]}'] .trend-name").focus()
    trend.keyboard.press("ArrowLeft")
    trend.locator(f".trend[data-order='{' '.join(order)}']").wait_for()
    trend.get_by_role("button", name=f"Take cluster {order[-1]} out", exact=True).click()
    trend.locator(f".trend[data-order='{' '.join(order[:-1])}']").wait_for()


def test_the_figure_is_downloaded_as_a_vector(trend):
    with trend.expect_download(timeout=120_000) as download:
        trend.get_by_role("button", name="Download as SVG").click()
    text = Path(download.value.path()).read_text()
    assert text.count("<text") > 10
    assert download.value.suggested_filename.endswith(".svg")
