"""The Scoreboard and Claims pages and the merger tree in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def scores(open_page):
    return open_page("scoreboard", ".score-group")


def choose(page, filtered: str, words: str) -> None:
    page.get_by_role("combobox", name=filtered).click()
    page.get_by_role("menuitem", name=words, exact=True).click()


def test_every_row_draws_its_figure(scores):
    rows = scores.locator(".score-group tbody tr")
    assert rows.count() == scores.locator(".score-group .interval .dot").count() > 0
    assert scores.locator(".interval .chance").count() >= rows.count()
    scores.get_by_text("Targets for the recommended clustering").wait_for()
    scores.get_by_text("What the evaluation cost").wait_for()


def test_the_cells_of_a_row_stand_side_by_side(scores):
    tops = "cells => cells.map(cell => cell.getBoundingClientRect().top)"
    for row in ("thead tr", "tbody tr"):
        cells = scores.locator(f".score-group:first-child {row}").first.locator("th, td")
        assert cells.count() > 3
        assert len(set(cells.evaluate_all(tops))) == 1


def test_filters_and_a_download_hold_the_same_rows(scores):
    before = scores.locator(".score-list").get_attribute("data-rows")
    choose(scores, "Clusterer", "Ward")
    scores.locator(f".score-list:not([data-rows='{before}'])").wait_for()
    shown = int(scores.locator(".score-list").get_attribute("data-rows"))
    with scores.expect_download(timeout=120_000) as download:
        scores.get_by_role("button", name="Download these as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == shown + 1
    assert download.value.suggested_filename == "scoreboard.csv"


def test_columns_sort_in_both_directions(scores):
    values = ".score-group:first-child tbody .value"
    read = "nodes => nodes.map(node => Number(node.textContent.replace('−', '-')))"
    scores.locator(".score-group").first.get_by_role("button", name="Value").click()
    scores.locator(".score-group:first-child th[aria-sort=descending]").wait_for()
    falling = scores.locator(values).evaluate_all(read)
    assert falling == sorted(falling, reverse=True)
    scores.locator(".score-group").first.get_by_role("button", name="Value").click()
    scores.locator(".score-group:first-child th[aria-sort=ascending]").wait_for()
    rising = scores.locator(values).evaluate_all(read)
    assert rising == sorted(rising)


def test_claims_can_be_chosen_by_verdict_and_taken_away(open_page):
    page = open_page("claims", ".card")
    everything = page.locator(".card").count()
    page.get_by_role("button", name="does not hold").click()
    page.locator(".card.holds").first.wait_for(state="detached")
    assert 0 < page.locator(".card.fails").count() < everything
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download as Markdown").click()
    assert Path(download.value.path()).read_text().startswith("# Claims")


def test_the_merger_tree_is_cut_by_dragging_and_by_keys(open_page):
    page = open_page("merger")
    tree = page.locator(".merger")
    page.locator(".merger[data-k='8']").wait_for()
    page.locator(".merger-cut").focus()
    page.keyboard.press("ArrowDown")
    page.locator(".merger[data-k='9']").wait_for()
    page.locator(".tile-row:visible").nth(8).wait_for()
    box = tree.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] - 3)
    page.mouse.down()
    page.mouse.up()
    page.locator(".merger[data-k='16']").wait_for()
    page.locator(".tile-row:visible").nth(15).wait_for()
    page.locator("button.row-head:visible").first.click()
    page.get_by_text("group 0 of the merger tree cut into 16").first.wait_for()
