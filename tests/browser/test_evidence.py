"""The Scoreboard and Claims pages and the merger tree in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE_MS, elsewhere

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)


TREE = """() => [...Bokeh.documents[0].all_models].find(
  (one) => one.type === "Figure" && one.tags.some((words) => /^Tree of mergers/.test(words))
)"""
BETWEEN_JOINS = f"""(above) => {{
  const plot = ({TREE})(), {{canvas_view, frame}} = Bokeh.index.find_one(plot)
  const joins = plot.renderers.find((one) => one.data_source.data.ys).data_source.data.ys
  const heights = [...new Set(Array.from(joins, (path) => path[1]))].sort((a, b) => b - a)
  const edge = canvas_view.el.getBoundingClientRect()
  const middle = (heights[above - 1] + heights[above]) / 2
  return [edge.x + frame.bbox.x_center, edge.y + frame.y_scale.compute(middle)]
}}"""
"""Where a cut leaves so many joins above it."""
CUT_WORDS = f"""(words) => ({TREE})().renderers.some(
  (one) => Array.from(one.data_source.data.text ?? []).includes(words)
)"""


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
    count = scores.get_by_text(re.compile(r"^[\d,]+ of [\d,]+ figures"))
    choose(scores, "Clusterer", "Ward")
    others = scores.locator(".score-group tbody tr", has_text="k-means")
    expect(others).to_have_count(0)
    with elsewhere(scores, "clusterer=") as other:
        other.get_by_text(count.inner_text().split("\n")[0].strip()).wait_for()
    shown = int(count.inner_text().split(" of ")[0].replace(",", ""))
    with scores.expect_download(timeout=120_000) as download:
        scores.get_by_role("button", name="Download these as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == shown + 1
    assert download.value.suggested_filename == "scoreboard.csv"


def test_rows_are_sorted_as_asked_and_all_shown_by_a_switch(scores):
    first = scores.locator(".score-group").first
    choose(scores, "Sorted by", "features")
    features = first.locator("tbody tr td:nth-child(2)")
    scores.get_by_text("more rows").first.wait_for()
    scores.get_by_role("switch", name="All rows").click()
    expect(scores.get_by_text("more rows")).to_have_count(0)
    shown = features.all_inner_texts()
    assert shown == sorted(shown)


def test_curves_over_k_are_those_of_the_clustering_that_is_chosen(scores):
    chosen = scores.get_by_role("combobox", name="Clustering")
    curves = scores.locator("canvas[aria-label*='over the number of clusters']")
    expect(curves.first).to_be_attached()
    assert curves.count() >= 2
    assert chosen.inner_text()


def test_claims_can_be_chosen_by_verdict_and_taken_away(open_page):
    page = open_page("claims", ".card")
    everything = page.locator(".card").count()
    page.get_by_role("button", name="does not hold").click()
    page.locator(".card.holds").first.wait_for(state="detached")
    failing = page.locator(".card.fails").count()
    assert 0 < failing < everything
    with elsewhere(page, "verdict=does+not+hold") as other:
        other.locator(".card.fails").first.wait_for()
        assert other.locator(".card").count() == failing
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Download as Markdown").click()
    assert Path(download.value.path()).read_text().startswith("# Claims")


def test_the_merger_tree_is_cut_by_keys(open_page):
    page = open_page("merger")
    slider = page.get_by_role("slider", name="Number of groups")
    expect(slider).to_have_value("8")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.locator(".tile-row.titled:visible").nth(8).wait_for()
    slider.focus()
    page.keyboard.press("End")
    page.locator(".tile-row.titled:visible").nth(15).wait_for()
    page.locator("button.row-head:visible").first.click()
    page.get_by_text("group 0 of the merger tree cut into 16").first.wait_for()
    with elsewhere(page, "cut=16") as other:
        expect(other.get_by_role("slider", name="Number of groups")).to_have_value("16")
        other.locator(".tile-row:visible").nth(15).wait_for()


def test_the_merger_tree_is_cut_where_it_is_clicked(open_page):
    page = open_page("merger")
    page.locator(".tile-row.titled:visible").nth(7).wait_for()
    page.wait_for_function(CUT_WORDS, arg="8 groups")
    for joins_above in (4, 10):
        page.mouse.click(*page.evaluate(BETWEEN_JOINS, joins_above))
        count = joins_above + 1
        expect(page.get_by_role("slider", name="Number of groups")).to_have_value(str(count))
        expect(page.locator(".tile-row.titled:visible")).to_have_count(count)
        page.wait_for_function(CUT_WORDS, arg=f"{count} groups")
