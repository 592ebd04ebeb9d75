"""The Codebooks page in a browser: two models, one selection."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser

CELLS = "() => Bokeh.documents[0].get_model_by_name('cells')"
LARGEST_CELL = f"""() => {{
  const source = ({CELLS})(), counts = Array.from(source.data.count)
  const place = counts.indexOf(Math.max(...counts))
  source.selected.indices = [place]
  return [source.data.left[place], source.data.right[place], counts[place]]
}}"""


@pytest.fixture
def codebooks(open_page):
    return open_page("codebooks", ".strips[data-painted]")


def choose(page, side: str, words: str) -> None:
    page.get_by_role("combobox", name=side).click()
    page.get_by_role("menuitem", name=words, exact=True).click()


def test_pictures_figures_and_clusters_are_there(codebooks):
    assert codebooks.locator(".strips th[scope=row]").count() == 3
    assert codebooks.locator(".tile-foot", has_text="MSE").count() >= 3
    assert codebooks.locator(".panels").count() == 2
    assert codebooks.locator(".panel").count() == 128
    codebooks.get_by_text(re.compile("Agreement of left and right: ARI [−-]?[0-9.]+")).wait_for()


def test_another_codebook_changes_scoreboard_and_contingency(codebooks):
    before = codebooks.evaluate(f"() => Array.from(({CELLS})().data.count).length")
    choose(codebooks, "Right", "512 codes, paper, 8×8 map, by code vectors")
    row = codebooks.locator(".scores tr.right th")
    row.filter(has_text="512 codes, paper, 8×8 map, by code vectors").wait_for()
    codebooks.wait_for_function(f"n => Array.from(({CELLS})().data.count).length !== n", arg=before)


def test_a_model_without_clusters_says_so(codebooks):
    choose(codebooks, "Left", "512 codes, modern, 16×16 map, not clustered")
    codebooks.get_by_text("Only models with 64 features").wait_for()
    codebooks.locator(".panels").first.wait_for(state="hidden")


def test_any_galaxies_are_shown_by_any_models(codebooks):
    field = codebooks.get_by_label("Galaxies by name, separated by commas")
    field.fill("galaxy-0004, NGC 9, galaxy-9999")
    field.press("Enter")
    codebooks.get_by_text("Not in this survey: galaxy-9999.").wait_for()
    codebooks.locator(".strips[data-columns='2']").wait_for()
    codebooks.locator(".MuiChip-root").first.locator("svg").click()
    codebooks.locator(".strips th[scope=row]").nth(2).wait_for(state="detached")
    assert codebooks.locator(".strips th[scope=row]").count() == 2


def test_the_tradeoff_switches_between_two_distinctions(codebooks):
    axis = "() => Bokeh.documents[0].get_model_by_name('tradeoff').data.y.join(' ')"
    before = codebooks.evaluate(axis)
    codebooks.get_by_role("button", name="AMI with T", exact=True).first.click()
    codebooks.wait_for_function(f"before => ({axis})() !== before", arg=before)


def test_a_cell_selects_as_many_galaxies_as_it_says(codebooks):
    left, right, count = codebooks.evaluate(LARGEST_CELL)
    words = f"cluster {left} on the left, {right} on the right"
    codebooks.get_by_text(f"{count} selected").wait_for()
    assert codebooks.get_by_text(words).count() >= 1
    shown = codebooks.locator(".strips").get_attribute("data-columns")
    assert 0 < int(shown) <= 10


def test_a_cluster_on_the_left_is_highlighted_on_the_right(codebooks):
    left, right = codebooks.locator(".panels").all()
    panel = left.locator(".panel").first
    count = panel.locator(".panel-count").inner_text()
    panel.click()
    codebooks.get_by_text(f"{count} selected").wait_for()
    assert left.locator(".panel[aria-pressed=true]").count() == 1
    fills = right.locator(".panel-fill").evaluate_all(
        "nodes => nodes.filter(node => parseFloat(node.style.width) > 0).length"
    )
    assert 0 < fills <= int(count.replace(",", ""))


def test_the_scoreboard_sorts(codebooks):
    codebooks.get_by_role("button", name="Model and clustering").click()
    names = codebooks.locator(".scores tbody th").evaluate_all(
        "nodes => nodes.map(node => node.firstChild.textContent)"
    )
    assert names == sorted(names)
    codebooks.get_by_role("button", name="Model and clustering").click()
    again = codebooks.locator(".scores tbody th").evaluate_all(
        "nodes => nodes.map(node => node.firstChild.textContent)"
    )
    assert again == names[::-1]
