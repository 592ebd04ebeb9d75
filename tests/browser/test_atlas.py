"""The landing page in a browser: map, selection, pictures on the map, light and dark."""

from __future__ import annotations

import io
import json
import math
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import TimeoutError as NoEffect

from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.pictures.tiles import TilePyramid, cells_along, map_tiles
from galaxy_explorer.explorer.urls import FIRST_ZOOM
from tests.browser.conftest import N_GALAXIES, SIZE, watch

pytestmark = pytest.mark.browser

TRIES, EFFECT_MS = 8, 10_000
MAP = "Bokeh.documents[0].get_model_by_name('map')"
TILES = """() => {
  const map = Bokeh.documents[0].get_model_by_name("map")
  return map.renderers.filter((one) => one.tile_source).map((one) => one.tile_source.url)
}"""
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
PLACE = f"""([x, y]) => {{
  const view = Bokeh.index.find_one({MAP}), box = view.canvas_view.el.getBoundingClientRect()
  return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
}}"""
SHOWN = f"() => {MAP}.x_range.end - {MAP}.x_range.start"
LEVEL = f"""() => {{
  const map = {MAP}, {{x_range: x, y_range: y}} = map
  const extent = [x.start, y.start, x.end, y.end]
  const [tiles] = map.renderers.filter((one) => one.tile_source)
  return tiles.tile_source.get_level_by_extent(extent, map.inner_height, map.inner_width)
}}"""
SELECTED = re.compile(r"[\d,]+ selected")
CELL = re.compile(r"/stamps/cell/.*/(\d+)/(\d+)/(\d+)\.json")
OPENING_BYTES = 3_000_000
MESSAGE_BYTES = 10_000


@pytest.fixture(scope="module")
def tiles(small_app) -> TilePyramid:
    """The map that the page shows."""
    bundle = load_bundle(small_app["bundle"])
    return map_tiles(bundle, bundle.manifest.default_clustering)


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
    before = page.evaluate(TILES)
    until(page, lambda: circle(page, share), f"before => ({TILES})()[1] !== before[1]", before)
    page.get_by_text(SELECTED).first.wait_for()


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


def zoom_in(page, notches: int, place: tuple[float, float]) -> tuple[float, float]:
    """Zoom in on a place of the unit map; where it is on the screen."""
    x, y = page.evaluate(PLACE, place)
    page.mouse.move(x, y)
    for _ in range(notches):
        before = page.evaluate(SHOWN)
        until(page, lambda: page.mouse.wheel(0, -120), f"before => ({SHOWN})() < before", before)
    return tuple(page.evaluate(PLACE, place))


def a_cell(tiles: TilePyramid, zoom: int) -> tuple[int, tuple[float, float]]:
    """Row of a galaxy that is shown at a zoom, and the middle of its cell on the unit map."""
    side = cells_along(zoom, N_GALAXIES)
    for line in range(side // 2, side):
        for column in range(side // 2, side):
            row = tiles.shown(side, column, line)
            if row >= 0:
                return row, ((column + 0.5) / side, (line + 0.5) / side)
    raise AssertionError("no galaxy in a quarter of the map")


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
    words = page.get_by_text(SELECTED).first.inner_text()
    return int(re.search(r"([\d,]+) selected", words)[1].replace(",", ""))


def brightness(page) -> float:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    return picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


def test_galaxies_are_there_before_any_script_and_without_a_scroll(
    address, browser, complaints
) -> None:
    context = browser.new_context(viewport=SIZE, java_script_enabled=False)
    page = context.new_page()
    watch(page, complaints)
    page.goto(address)
    pictures = page.locator("#splash img")
    assert pictures.count() == 8
    page.wait_for_load_state("networkidle")
    shown = Image.open(io.BytesIO(page.screenshot())).convert("L")
    left, top, right, bottom = 40, 60, 1000, 890  # where the map will be
    levels = np.asarray(shown.crop((left, top, right, bottom)), int)
    assert (levels > 100).mean() > 0.03
    context.close()
    assert complaints == []


def test_the_page_opens_with_the_map_the_words_and_a_hundred_galaxies(
    atlas, requests, tiles
) -> None:
    atlas.get_by_text("never told their types").wait_for()
    atlas.get_by_text(re.compile(rf"{N_GALAXIES} \w* ?galaxies")).first.wait_for()
    atlas.get_by_text("drawn by the model from its codes").wait_for()
    width, height = frame(atlas)[2:]
    assert width > 900
    assert height > 700
    atlas.locator("#splash").wait_for(state="detached")
    assert atlas.evaluate(LEVEL) == FIRST_ZOOM
    asked = {url.partition("/stamps/")[2] for url in requests if "/tile/" in url}
    assert {tuple(url.rsplit("/", 3)[1:]) for url in asked} == {
        (str(FIRST_ZOOM), str(x), f"{y}.webp") for x in range(2) for y in range(2)
    }
    rows = [tiles.rows(FIRST_ZOOM, x, y) for x in range(2) for y in range(2)]
    assert 100 <= sum(int((one >= 0).sum()) for one in rows) <= 200


def test_what_a_visitor_gets_does_not_grow_with_the_galaxies(open_page) -> None:
    """Not one byte for each of them: neither places nor names are sent."""
    received: list[int] = []
    page = open_page()
    page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda f: received.append(len(f)))
    )
    page.reload()
    page.get_by_label("Toggle theme").wait_for()
    page.locator(".gallery[data-painted]").first.wait_for()
    assert 0 < sum(received) < OPENING_BYTES
    longest = page.evaluate(
        """() => Math.max(...Array.from(Bokeh.documents[0]._all_models.values())
          .filter((one) => one.type === "ColumnDataSource")
          .flatMap((one) => Object.values(one.data).map((column) => column.length)))"""
    )
    assert longest < 100


def test_a_lasso_agrees_with_histogram_count_and_gallery(atlas) -> None:
    lasso(atlas)
    chosen = number_selected(atlas)
    assert 0 < chosen < N_GALAXIES
    atlas.wait_for_function(f"n => ({HISTOGRAM})() === n", arg=chosen)
    atlas.locator(".gallery-heading", has_text=f"{chosen:,} galaxies").wait_for()


def test_a_lasso_sends_one_short_message_when_the_button_is_released(
    atlas, frames_sent, tiles
) -> None:
    left, top, width, height = frame(atlas)
    x, y, size = left + width / 2, top + height / 2, 0.25 * height
    atlas.locator(".bk-tool-icon-lasso-select").click()
    atlas.wait_for_timeout(1000)
    before = len(frames_sent)
    atlas.mouse.move(x, y - size)
    atlas.mouse.down()
    for step in range(90):
        angle = 2 * math.pi * step / 90
        atlas.mouse.move(x + size * math.sin(angle), y - size * math.cos(angle))
    assert frames_sent[before:] == []
    assert atlas.locator("#galaxy-tooltip:visible").count() == 0
    atlas.mouse.up()
    atlas.get_by_text(SELECTED).first.wait_for()
    sent = [frame for frame in frames_sent[before:] if '"lasso"' in frame]
    assert len(sent) == 1
    assert len(sent[0]) < MESSAGE_BYTES
    assert not [frame for frame in frames_sent[before:] if "indices" in frame]
    shape = json.loads(sent[0])["events"][0]["new"][0]["entries"]
    outline = np.array(dict(shape)["xy"]).reshape(-1, 2)
    assert number_selected(atlas) == len(tiles.inside(outline))


def test_shift_adds_to_the_selection_and_escape_ends_it(atlas) -> None:
    left, top, width, height = frame(atlas)
    atlas.locator(".bk-tool-icon-box-select").first.click()
    middle, side = (left + width / 2, top + height / 2), 0.2 * height

    def box(across: int) -> None:
        atlas.mouse.move(middle[0], middle[1] - side)
        atlas.mouse.down()
        atlas.mouse.move(middle[0] + across * side, middle[1] + side, steps=4)
        atlas.mouse.up()

    box(1)
    atlas.get_by_text(SELECTED).first.wait_for()
    first = number_selected(atlas)
    atlas.keyboard.down("Shift")
    box(-1)
    atlas.keyboard.up("Shift")
    while number_selected(atlas) == first:
        atlas.wait_for_timeout(100)
    assert number_selected(atlas) > first
    atlas.keyboard.press("Escape")
    atlas.get_by_text("Nothing selected: all galaxies").wait_for()


def test_clear_selects_nothing_again_and_the_map_shows_all(atlas) -> None:
    everything = atlas.evaluate(TILES)
    lasso(atlas)
    atlas.wait_for_function(f"before => ({TILES})()[1] !== before", arg=everything[1])
    atlas.get_by_role("button", name="Clear").click()
    atlas.wait_for_function(f"before => ({TILES})().join() === before.join()", arg=everything)
    atlas.wait_for_function(f"n => ({HISTOGRAM})() === n", arg=N_GALAXIES)


def test_pan_and_zoom_send_nothing_and_bring_more_galaxies(open_page, frames_sent, tiles) -> None:
    page = open_page()
    page.wait_for_load_state("networkidle")
    while not any("document_ready" in frame for frame in frames_sent):
        page.wait_for_timeout(200)
    seen = -1
    while seen < len(frames_sent):  # until the page has said all that it says of itself
        seen = len(frames_sent)
        page.wait_for_timeout(2000)
    asked: list[tuple[int, str]] = []
    page.on("response", lambda r: asked.append((r.status, r.url)) if "/tile/" in r.url else None)
    sent = len(frames_sent)
    zoom_in(page, 5, a_cell(tiles, 4)[1])
    left, top, width, height = frame(page)
    page.mouse.move(left + width / 2, top + height / 2)
    before = page.evaluate(f"() => {MAP}.x_range.start")
    page.mouse.down()
    page.mouse.move(left + width / 2 + 60, top + height / 2 + 30, steps=4)
    page.mouse.up()
    page.wait_for_function(f"before => {MAP}.x_range.start !== before", arg=before)
    while page.evaluate(LEVEL) <= FIRST_ZOOM or not asked:  # tiles come a moment after the zoom
        page.wait_for_timeout(200)
    page.wait_for_load_state("networkidle")
    assert frames_sent[sent:] == []
    level = page.evaluate(LEVEL)
    assert level > FIRST_ZOOM
    assert {status for status, _ in asked} == {200}
    assert {int(url.rsplit("/", 3)[1]) for _, url in asked} <= set(range(FIRST_ZOOM, level + 1))


def test_pointing_at_a_galaxy_asks_for_it_alone_and_a_click_selects_it(
    atlas, requests, tiles, small_app
) -> None:
    row, place = a_cell(tiles, FIRST_ZOOM)
    x, y = atlas.evaluate(PLACE, place)
    assert not [url for url in requests if CELL.search(url)]
    atlas.mouse.move(x + 1, y + 1)
    name = load_bundle(small_app["bundle"]).column("galaxy_id")[row]
    atlas.locator("#galaxy-tooltip", has_text=name).wait_for()
    atlas.locator(f"#galaxy-tooltip img[src$='/{row}.jpg']").wait_for()
    assert len([url for url in requests if CELL.search(url)]) == 1
    atlas.mouse.move(x + 3, y + 3)  # the same galaxy: nothing more is asked
    atlas.wait_for_timeout(300)
    assert len([url for url in requests if CELL.search(url)]) == 1
    atlas.mouse.click(x + 3, y + 3)
    atlas.get_by_text("1 selected").wait_for()
    atlas.get_by_text(re.compile(rf"1 selected, {re.escape(name)}")).first.wait_for()


def test_a_click_beside_the_galaxies_selects_nothing(atlas) -> None:
    lasso(atlas)
    left, top, width, _ = frame(atlas)
    atlas.mouse.click(left + width / 2, top + 3)
    atlas.get_by_text("Nothing selected: all galaxies").wait_for()


def test_dots_alone_where_a_visitor_asks_for_them(atlas, requests) -> None:
    atlas.get_by_role("button", name="Dots").click()
    atlas.wait_for_function(
        f"() => {MAP}.renderers.filter((one) => one.tile_source && one.visible).length === 1"
    )
    left, top, width, height = frame(atlas)
    atlas.mouse.move(left + width / 2, top + height / 2)
    atlas.wait_for_timeout(1000)
    sides = [int(CELL.search(url)[1]) for url in requests if CELL.search(url)]
    assert sides  # cells of a few pixels, not those of the pictures
    assert min(sides) >= 64


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
    chosen = number_selected(atlas)
    before = atlas.evaluate(TILES)
    atlas.get_by_role("button", name="Clusters", exact=True).click()
    atlas.get_by_role("button", name=re.compile("^Grouping")).click()
    atlas.get_by_label("Model", exact=True).click()
    atlas.get_by_role("menuitem", name="16 codes, modern, by index map").click()
    atlas.wait_for_function(f"before => ({TILES})()[1] !== before[1]", arg=before)
    assert number_selected(atlas) == chosen


def test_the_pages_are_reached_without_a_reload_and_by_address(atlas, open_page) -> None:
    atlas.evaluate("() => { window.stayed = true }")
    atlas.get_by_role("link", name="Find").click()
    atlas.wait_for_selector(".search-form:not(.slim)")
    assert atlas.evaluate("() => window.stayed")
    assert "page=find" in atlas.url
    atlas.get_by_role("link", name="Atlas").click()
    atlas.wait_for_function(f"() => Bokeh.index.find_one({MAP}).canvas_view.el.offsetWidth > 0")
