"""The landing page in a browser: map, selection, pictures on the map, light and dark."""

from __future__ import annotations

import io
import math
import re

import pytest
from PIL import Image
from playwright.sync_api import TimeoutError as NoEffect

from tests.browser.conftest import N_GALAXIES

pytestmark = pytest.mark.browser

TRIES, EFFECT_MS = 8, 10_000
MAP = "Bokeh.documents[0].get_model_by_name('map')"
POINTS = "Bokeh.documents[0].get_model_by_name('galaxies')"
HISTOGRAM = """() => {
  const bars = Bokeh.documents[0].get_model_by_name("ttypes")
  const rest = Bokeh.documents[0].get_model_by_name("no_t")
  const counts = Array.from(bars.data.count)
  return counts.reduce((a, b) => a + b, 0) + Number(rest.data.text[0].replace(/,/g, ""))
}"""
FRAME = f"""() => {{
  const view = Bokeh.index.find_one({MAP})
  const box = view.canvas_view.el.getBoundingClientRect(), frame = view.frame.bbox
  return [box.x + frame.left, box.y + frame.top, frame.width, frame.height]
}}"""
CELLS = "Bokeh.documents[0].get_model_by_name('cells')"
CELL_OF_FIRST = f"""() => {{
  const {{x, y}} = {POINTS}.data, cells = {CELLS}.data
  const i = cells.row.findIndex((_, i) => Math.abs(x[0] - cells.x[i]) <= cells.side[i] / 2
    && Math.abs(y[0] - cells.y[i]) <= cells.side[i] / 2)
  return [cells.row[i], cells.id[i]]
}}"""
FIRST = f"""() => {{
  const view = Bokeh.index.find_one({MAP}), {{x, y}} = {POINTS}.data
  const box = view.canvas_view.el.getBoundingClientRect()
  return [box.x + view.frame.x_scale.compute(x[0]), box.y + view.frame.y_scale.compute(y[0])]
}}"""
SHOWN = f"() => {MAP}.x_range.end - {MAP}.x_range.start"
N_SELECTED = f"() => {POINTS}.selected.indices.length"


@pytest.fixture
def atlas(open_page):
    page = open_page()
    page.wait_for_function(f"() => {MAP}.inner_width > 0")
    page.wait_for_load_state("networkidle")
    return page


def frame(page) -> tuple[float, float, float, float]:
    """Left, top, width and height of the map on the screen."""
    return tuple(page.evaluate(FRAME))


def lasso(page, share: float = 0.3) -> None:
    """Select what is in a circle around the middle of the map, `share` of its height wide."""
    until(page, lambda: circle(page, share), f"() => ({N_SELECTED})() > 0")


def circle(page, share: float) -> None:
    left, top, width, height = frame(page)
    x, y, radius = left + width / 2, top + height / 2, share * height
    page.locator(".bk-tool-icon-lasso-select").click()
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for degree in range(0, 350, 10):
        angle = math.radians(degree)
        page.mouse.move(x + radius * math.cos(angle), y + radius * math.sin(angle))
    page.mouse.up()


def zoom_in(page, notches: int) -> tuple[float, float]:
    """Zoom in on the first galaxy; where it is on the screen."""
    x, y = page.evaluate(FIRST)
    page.mouse.move(x, y)
    for _ in range(notches):
        before = page.evaluate(SHOWN)
        until(page, lambda: page.mouse.wheel(0, -120), f"before => ({SHOWN})() < before", before)
    return x, y


def until(page, act, condition: str, argument: object = None) -> None:
    """Act until the page shows it: a page that is still settling swallows gestures."""
    for _ in range(TRIES):
        act()
        try:
            page.wait_for_function(condition, arg=argument, timeout=EFFECT_MS)
        except NoEffect:
            continue
        return
    raise AssertionError(f"no effect after {TRIES} tries: {condition}")


def number_selected(page) -> int:
    words = page.get_by_text(re.compile(r"[\d,]+ selected")).first.inner_text()
    return int(re.search(r"([\d,]+) selected", words)[1].replace(",", ""))


def brightness(page) -> float:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    return picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


def test_the_page_opens_with_the_map_the_words_and_the_pictures(atlas) -> None:
    atlas.get_by_text("never told their types").wait_for()
    atlas.get_by_text(re.compile(rf"{N_GALAXIES} \w* ?galaxies")).first.wait_for()
    atlas.get_by_text("drawn by the model from its codes").wait_for()
    assert atlas.evaluate(f"() => {POINTS}.data.x.length") == N_GALAXIES
    width, height = frame(atlas)[2:]
    assert width > 900
    assert height > 700


def test_a_lasso_agrees_with_histogram_count_and_gallery(atlas) -> None:
    lasso(atlas)
    atlas.get_by_text(re.compile(r"[\d,]+ selected")).first.wait_for()
    chosen = atlas.evaluate(N_SELECTED)
    assert 0 < chosen < N_GALAXIES
    assert number_selected(atlas) == chosen
    atlas.wait_for_function(f"n => ({HISTOGRAM})() === n", arg=chosen)
    atlas.locator(".gallery-heading", has_text=f"{chosen:,} galaxies").wait_for()


def test_clear_selects_nothing_again(atlas) -> None:
    lasso(atlas)
    atlas.get_by_text(re.compile(r"[\d,]+ selected")).first.wait_for()
    atlas.get_by_role("button", name="Clear").click()
    atlas.wait_for_function(f"() => ({N_SELECTED})() === 0")
    atlas.wait_for_function(f"n => ({HISTOGRAM})() === n", arg=N_GALAXIES)


def test_pan_and_zoom_send_nothing_and_bring_the_galaxies(open_page, frames_sent) -> None:
    page = open_page()
    page.wait_for_load_state("networkidle")
    seen = -1
    while seen < len(frames_sent):  # until the page has said all that it says of itself
        seen = len(frames_sent)
        page.wait_for_timeout(2000)
    tiles: list[tuple[int, str]] = []
    page.on("response", lambda r: tiles.append((r.status, r.url)) if "/tile/" in r.url else None)
    sent = len(frames_sent)
    zoom_in(page, 5)
    left, top, width, height = frame(page)
    page.mouse.move(left + width / 2, top + height / 2)
    before = page.evaluate(f"() => {MAP}.x_range.start")
    page.mouse.down()
    page.mouse.move(left + width / 2 + 60, top + height / 2 + 30, steps=4)
    page.mouse.up()
    page.wait_for_function(f"before => {MAP}.x_range.start !== before", arg=before)
    page.wait_for_load_state("networkidle")
    assert frames_sent[sent:] == []
    assert tiles
    assert {status for status, _ in tiles} == {200}


def test_far_out_no_tile_is_asked_for(open_page, requests) -> None:
    page = open_page()
    page.wait_for_load_state("networkidle")
    assert not [url for url in requests if "/tile/" in url]


def test_pointing_at_a_picture_shows_the_galaxy_and_a_click_selects_it(atlas, requests) -> None:
    x, y = zoom_in(atlas, 6)
    atlas.wait_for_function(f"() => {CELLS}.data.row.length > 0")
    atlas.mouse.move(x + 1, y + 1)
    row, galaxy_id, *_ = atlas.evaluate(CELL_OF_FIRST)
    atlas.get_by_text(galaxy_id).first.wait_for()
    atlas.locator(f"img[src$='/{row}.jpg']:visible").first.wait_for()
    atlas.wait_for_load_state("networkidle")
    passed_on_the_way = len(requests)
    atlas.mouse.move(x + 2, y + 2)
    atlas.mouse.click(x + 2, y + 2)
    atlas.get_by_text("1 selected").wait_for()
    asked = {url for url in requests[passed_on_the_way:] if "/one/" in url}
    assert {url.rsplit("/", 1)[1] for url in asked} <= {f"{row}.jpg"}
    assert atlas.evaluate(f"() => Array.from({POINTS}.selected.indices)") == [row]


def test_the_cell_of_a_picture_is_where_its_galaxy_lies(atlas) -> None:
    zoom_in(atlas, 6)
    atlas.wait_for_function(f"() => {CELLS}.data.row.length > 0")
    assert atlas.evaluate(
        f"""() => {{
          const {{x, y}} = {POINTS}.data, cells = {CELLS}.data
          return cells.row.every((row, i) => Math.abs(x[row] - cells.x[i]) <= cells.side[i] / 2
            && Math.abs(y[row] - cells.y[i]) <= cells.side[i] / 2)
        }}"""
    )


def test_light_and_dark(atlas) -> None:
    dark = brightness(atlas)
    atlas.get_by_label("Toggle theme").click()
    atlas.wait_for_selector(".mui-light")
    atlas.wait_for_timeout(500)
    assert dark < 60
    assert brightness(atlas) > 170


def test_colour_by_a_type_shows_its_legend(atlas) -> None:
    atlas.get_by_label("Colour by").click()
    atlas.get_by_role("menuitem", name="Hubble type T", exact=True).click()
    atlas.get_by_text("no T in the catalogue").wait_for()


def test_another_model_moves_the_map_and_keeps_the_selection(atlas) -> None:
    lasso(atlas)
    atlas.get_by_text(re.compile(r"[\d,]+ selected")).first.wait_for()
    chosen = number_selected(atlas)
    before = atlas.evaluate(f"() => {POINTS}.data.x[0]")
    atlas.get_by_label("Model", exact=True).click()
    atlas.get_by_role("menuitem", name="16 codes, modern, by index map").click()
    atlas.wait_for_function(f"before => {POINTS}.data.x[0] !== before", arg=before)
    assert number_selected(atlas) == chosen


def test_the_pages_are_reached_without_a_reload_and_by_address(atlas, open_page) -> None:
    atlas.evaluate("() => { window.stayed = true }")
    atlas.get_by_role("link", name="Clusters").click()
    atlas.wait_for_selector(".panel")
    assert atlas.evaluate("() => window.stayed")
    assert "page=clusters" in atlas.url
    atlas.get_by_role("link", name="Atlas").click()
    atlas.wait_for_function(f"() => Bokeh.index.find_one({MAP}).canvas_view.el.offsetWidth > 0")
