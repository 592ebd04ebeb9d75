"""The Codebooks page in a browser: one slider, and two models with one selection for experts."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import N_GALAXIES

pytestmark = pytest.mark.browser

SHOWN_CELLS = """() => {
  const {documents: [own], index} = Bokeh
  for (const plot of own.all_models) {
    if (plot.type !== "Figure") continue
    const view = index.find_one(plot)  // none of a figure that was replaced
    const cells = plot.renderers.find((one) => one.data_source?.data.strength)
    if (view && cells) return [view, cells.data_source.data]
  }
}"""
COUNTS = f"() => Array.from(({SHOWN_CELLS})()[1].count)"
LARGEST_CELL = f"""() => {{
  const [{{canvas_view, frame}}, data] = ({SHOWN_CELLS})(), counts = Array.from(data.count)
  const place = counts.indexOf(Math.max(...counts))
  canvas_view.el.scrollIntoView({{block: "center"}})
  const edge = canvas_view.el.getBoundingClientRect()
  const x = frame.x_scale.compute((data.left[place] + data.right[place]) / 2)
  const y = frame.y_scale.compute((data.bottom[place] + data.top[place]) / 2)
  const clusters = [data.left_cluster[place], data.right_cluster[place]]
  return [...clusters, counts[place], edge.x + x, edge.y + y]
}}"""


@pytest.fixture
def front(open_page):
    return open_page("codebooks", ".codes-page[data-painted]")


@pytest.fixture
def codebooks(open_page):
    """The two clusterings side by side."""
    return open_page("codebooks&unfolded=groups", ".panels")


SHOWN = """() => {
  const own = document.querySelector("body"), found = []
  const look = (root) => root.querySelectorAll("*").forEach((one) => {
    if (one.shadowRoot) look(one.shadowRoot)
    if (one.matches(".codes-tile")) found.push(one.style.backgroundPosition)
  })
  look(own)
  return found.join(" ")
}"""
QUICK = """(input) => new Promise((resolve) => {
  const began = performance.now()
  input.value = 0
  input.dispatchEvent(new Event("input", {bubbles: true}))
  const tiles = input.getRootNode().querySelectorAll(".codes-tile").length
  resolve([tiles, performance.now() - began])
})"""


def test_the_five_questions_are_answered_in_sentences(front):
    questions = front.locator(".codes-page h3").all_inner_texts()
    assert len(questions) == 5
    assert all(question.endswith("?") for question in questions)
    for answer in front.locator(".codes-page .answer").all_inner_texts():
        assert answer.endswith(".")
        assert re.search(r"[0-9]", answer)


def test_the_slider_redraws_the_same_galaxies_at_once(front):
    before, names = front.evaluate(SHOWN), front.locator(".codes-name").all_inner_texts()
    slider = front.get_by_role("slider", name="Number of codes")
    slider.focus()
    slider.press("Home")
    front.locator(".codes-page[data-codes='16']").wait_for()
    assert slider.get_attribute("aria-valuetext") == "16 codes"
    assert front.evaluate(SHOWN) != before
    assert front.locator(".codes-name").all_inner_texts() == names
    front.get_by_text("where it starts").wait_for()
    slider.press("End")
    front.locator(".codes-page[data-codes='512']").wait_for()
    assert front.evaluate(SHOWN) == before


def test_the_slider_asks_nobody(front):
    sheets = front.evaluate(SHOWN)
    tiles, took = front.get_by_role("slider", name="Number of codes").evaluate(QUICK)
    assert tiles >= 10
    assert front.evaluate(SHOWN) != sheets  # in the same turn: nothing was waited for
    assert took < 100


def test_a_size_that_a_way_lacks_is_marked(front):
    front.get_by_label("by gradients").check()
    front.get_by_text("In brackets").wait_for()
    front.get_by_role("slider", name="Number of codes").press("Home")
    front.locator("output", has_text="figures only").wait_for()
    assert front.locator(".codes-tile.missing").count() == front.locator(".codes-galaxy").count()


def test_a_flow_selects_its_galaxies_with_the_keyboard(front):
    front.locator(".flow-node").first.focus()
    front.keyboard.press("ArrowDown")
    front.keyboard.press("Enter")
    front.locator(".flow-picked").first.wait_for()
    front.get_by_role("button", name="Back to one of each type").click()
    front.locator(".flow-picked").first.wait_for(state="detached")


def test_the_larger_map_is_set_beside(front):
    rows = front.locator(".codes-names div").count()
    front.get_by_role("button", name="Show 16×16 beside 8×8").click()
    front.get_by_text("16×16, 512 codes").wait_for()
    assert front.locator(".codes-names div").count() == rows + 1
    front.get_by_role("slider", name="Number of codes").press("Home")  # there it was not trained
    front.locator(".codes-page[data-codes='16']").wait_for()
    assert "undefined" not in front.locator(".codes-dials").inner_text()


def test_a_link_opens_a_codebook(open_page):
    page = open_page("codebooks&k=16&codebook=averages&unfolded=table", ".scores")
    page.locator(".codes-page[data-codes='16']").wait_for()


def choose(page, side: str, words: str) -> None:
    page.get_by_role("combobox", name=side).click()
    page.get_by_role("menuitem", name=words, exact=True).click()


def test_both_clusterings_are_there(codebooks):
    assert codebooks.locator(".panels").count() == 2
    assert codebooks.locator(".panels .row-head").count() == 128
    codebooks.get_by_text(re.compile("Agreement of left and right: ARI [−-]?[0-9.]+")).wait_for()


def test_another_codebook_changes_the_contingency(codebooks):
    codebooks.wait_for_function(SHOWN_CELLS)
    before = codebooks.evaluate(COUNTS)
    choose(codebooks, "Right", "512 codes, paper, 8×8 map, by code vectors")
    codebooks.wait_for_function(
        f"before => ({SHOWN_CELLS})() && String(({COUNTS})()) !== String(before)", arg=before
    )
    assert sum(codebooks.evaluate(COUNTS)) == sum(before) == N_GALAXIES


def test_a_model_without_clusters_says_so(codebooks):
    choose(codebooks, "Left", "512 codes, modern, 16×16 map, not clustered")
    codebooks.get_by_text("Only models with 64 features").wait_for()
    codebooks.locator(".panels").first.wait_for(state="hidden")


def test_any_galaxies_are_shown_by_any_models(open_page):
    page = open_page("codebooks&unfolded=pictures", ".strips[data-painted]")
    assert page.locator(".strips th[scope=row]").count() == 3
    assert page.locator(".tile-foot", has_text="MSE").count() >= 3
    field = page.get_by_label("Galaxies by name, separated by commas")
    field.fill("galaxy-0004, NGC 9, galaxy-9999")
    field.press("Enter")
    page.get_by_text("Not in this survey: galaxy-9999.").wait_for()
    page.locator(".strips[data-columns='2']").wait_for()
    page.locator(".MuiChip-root").first.locator("svg").click()
    page.locator(".strips th[scope=row]").nth(2).wait_for(state="detached")
    assert page.locator(".strips th[scope=row]").count() == 2


def test_the_tradeoff_switches_between_two_distinctions(open_page):
    page = open_page("codebooks&unfolded=curves", ".bk-panel-models-layout-Column canvas")
    axis = """() => [...Bokeh.documents[0].all_models].map((one) => one.data ?? {}).map(
      (data) => Object.values(data).map((column) => Array.from(column ?? []).join(" ")).join("|")
    ).join("#")"""
    before = page.evaluate(axis)
    page.get_by_role("button", name="AMI with T", exact=True).first.click()
    page.wait_for_function(f"before => ({axis})() !== before", arg=before)


def test_a_cell_selects_as_many_galaxies_as_it_says(codebooks):
    codebooks.wait_for_function(SHOWN_CELLS)
    left, right, count, *place = codebooks.evaluate(LARGEST_CELL)
    codebooks.mouse.click(*place)
    words = f"cluster {left} on the left, {right} on the right"
    codebooks.get_by_text(f"{count} selected").wait_for()
    assert codebooks.get_by_text(words).count() >= 1
    codebooks.locator(".codes-galaxy").first.wait_for()
    assert codebooks.locator(".codes-galaxy").count() <= 10


def test_a_cluster_on_the_left_is_highlighted_on_the_right(codebooks):
    left, right = codebooks.locator(".panels").all()
    panel = left.locator(".row-head").first
    count = panel.locator(".row-count").inner_text()
    panel.click()
    codebooks.get_by_text(f"{count} selected").wait_for()
    assert left.locator(".row-head[aria-pressed=true]").count() == 1
    fills = right.locator(".row-fill").evaluate_all(
        "nodes => nodes.filter(node => parseFloat(node.style.width) > 0).length"
    )
    assert 0 < fills <= int(count.replace(",", ""))


def test_the_scoreboard_sorts(open_page):
    page = open_page("codebooks&unfolded=table", ".scores")
    page.get_by_role("button", name="Model and clustering").click()
    names = page.locator(".scores tbody th").evaluate_all(
        "nodes => nodes.map(node => node.firstChild.textContent)"
    )
    assert names == sorted(names)
    page.get_by_role("button", name="Model and clustering").click()
    again = page.locator(".scores tbody th").evaluate_all(
        "nodes => nodes.map(node => node.firstChild.textContent)"
    )
    assert again == names[::-1]


def test_what_a_link_unfolds_lies_over_no_heading(open_page):
    page = open_page("codebooks&unfolded=table", ".codes-page[data-painted]")
    row = page.locator("table tbody tr").last
    row.wait_for()
    below = page.get_by_role("button", name="Two clusterings side by side")
    row_box, heading_box = row.bounding_box(), below.bounding_box()
    assert row_box["y"] + row_box["height"] <= heading_box["y"]
