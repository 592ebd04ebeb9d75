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
from galaxy_explorer.explorer.pages.atlas import TOP_WITH_LEGEND
from galaxy_explorer.explorer.pictures.tiles import TilePyramid, cells_along, map_tiles
from galaxy_explorer.explorer.urls import FIRST_ZOOM
from tests.browser.conftest import N_GALAXIES, PATIENCE_MS, SIZE, watch

pytestmark = pytest.mark.browser

TRIES, EFFECT_MS = 8, 10_000
MAP = "Bokeh.documents[0].get_model_by_name('map')"
TILES = """() => {
  const map = Bokeh.documents[0].get_model_by_name("map")
  return map.renderers.filter((one) => one.tile_source).map((one) => one.tile_source.url)
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
SELECTED = re.compile(r"^[\d,]+ galax(y|ies) selected$")
ALL = re.compile(rf"^{N_GALAXIES} galaxies$")
CELL = re.compile(r"/stamps/cell/.*/(\d+)/(\d+)/(\d+)\.json")
BARS = """() => {
  const deep = (root) => [...root.querySelectorAll("*")].flatMap((one) =>
    [one, ...(one.shadowRoot ? deep(one.shadowRoot) : [])])
  const figure = deep(document).find((one) => one.matches?.(".chosen-figure"))
  const number = (text) => Number(text.replace(/[^0-9]/g, ""))
  const bars = [...figure.querySelectorAll(".bar-count")].map((one) => number(one.textContent))
  const without = number(figure.querySelector("figcaption span").textContent)
  return bars.reduce((a, b) => a + b, 0) + without
}"""
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
    words = page.locator(".chosen-words b", has_text="selected").inner_text()
    return int(re.match(r"[\d,]+", words)[0].replace(",", ""))


def types_shown(page) -> int:
    """Galaxies of the histogram of Hubble types: with T and without."""
    return page.evaluate(BARS)


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
    atlas.get_by_text(re.compile(rf"{N_GALAXIES} galaxies of")).first.wait_for()
    atlas.get_by_text(ALL).first.wait_for()
    width, height = frame(atlas)[2:]
    assert width > 900
    assert height > 600
    atlas.locator("#splash").wait_for(state="detached")
    # All galaxies are in view, and fill it: one side touches, but for a little room.
    x0, y0, x1, y1 = tiles.extent
    (left, top), (right, bottom) = (atlas.evaluate(PLACE, place) for place in ((x0, y1), (x1, y0)))
    box = frame(atlas)
    assert left >= box[0] - 1
    assert top >= box[1] - 1
    assert right <= box[0] + width + 1
    assert bottom <= box[1] + height + 1
    assert (right - left) / width > 0.9 or (bottom - top) / (height - TOP_WITH_LEGEND) > 0.9
    assert atlas.evaluate(LEVEL) in (1, 2)
    asked = {url.partition("/stamps/")[2] for url in requests if "/tile/" in url}
    assert {int(url.rsplit("/", 3)[1]) for url in asked} <= {1, 2}
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
    assert types_shown(atlas) == chosen
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
    atlas.get_by_text(ALL).first.wait_for()


def test_clear_selects_nothing_again_and_the_map_shows_all(atlas) -> None:
    everything = atlas.evaluate(TILES)
    lasso(atlas)
    atlas.wait_for_function(f"before => ({TILES})()[1] !== before", arg=everything[1])
    atlas.locator(".chosen-tools").get_by_role("button", name="Clear").click()
    atlas.wait_for_function(f"before => ({TILES})().join() === before.join()", arg=everything)
    atlas.get_by_text(ALL).first.wait_for()
    assert types_shown(atlas) == N_GALAXIES


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


def test_pointing_at_a_galaxy_asks_for_it_alone_and_a_click_opens_its_card(
    atlas, requests, tiles, small_app
) -> None:
    row, place = a_cell(tiles, FIRST_ZOOM)
    x, y = atlas.evaluate(PLACE, place)
    assert not [url for url in requests if CELL.search(url)]
    atlas.mouse.move(x + 1, y + 1)
    bundle = load_bundle(small_app["bundle"])
    name, key = bundle.column("galaxy_id")[row], bundle.manifest.default_clustering
    atlas.locator("#galaxy-tooltip", has_text=name).wait_for()
    cluster = bundle.clusterings[key].labels[row]
    called = f"cluster {cluster}, {bundle.cluster_names(key)[cluster].name}"
    assert atlas.locator("#galaxy-tooltip div").inner_text().endswith(called)
    atlas.locator(f"#galaxy-tooltip img[src$='/{row}.jpg']").wait_for()
    assert len([url for url in requests if CELL.search(url)]) == 1
    atlas.mouse.move(x + 3, y + 3)  # the same galaxy: nothing more is asked
    atlas.wait_for_timeout(300)
    assert len([url for url in requests if CELL.search(url)]) == 1
    atlas.mouse.click(x + 3, y + 3)
    atlas.locator(f".galaxy[data-row='{row}'] .galaxy-name", has_text=name).wait_for()
    atlas.wait_for_function(f"() => location.search.includes('galaxy={name}')")
    atlas.locator(".galaxy-place", has_text=" of ").wait_for()
    atlas.keyboard.press("ArrowRight")
    atlas.locator(f".galaxy:not([data-row='{row}'])").wait_for()
    atlas.keyboard.press("Escape")
    atlas.get_by_text(ALL).first.wait_for()


def test_a_click_beside_the_galaxies_selects_nothing(atlas) -> None:
    lasso(atlas)
    left, _, width, height = frame(atlas)
    atlas.mouse.click(left + width - 8, height)
    atlas.get_by_text(ALL).first.wait_for()


def test_a_bar_selects_its_galaxies_and_shift_adds(atlas) -> None:
    bars = atlas.locator(".bars.upright .bar:enabled")
    bars.nth(1).click()
    atlas.get_by_text(SELECTED).first.wait_for()
    first = number_selected(atlas)
    bars.nth(2).click(modifiers=["Shift"])
    while number_selected(atlas) == first:
        atlas.wait_for_timeout(100)
    assert number_selected(atlas) > first
    assert bars.nth(1).get_attribute("aria-pressed") == "true"


def test_the_address_bar_is_the_view(atlas, browser, complaints, tiles) -> None:
    """What it says in one browser opens the same in another one that has never been here."""
    lasso(atlas)
    chosen = number_selected(atlas)
    zoom_in(atlas, 3, a_cell(tiles, 3)[1])
    atlas.wait_for_function("() => /selection=.*view=/.test(location.search)")
    atlas.keyboard.press("Tab")
    atlas.get_by_role("tab", name="Galaxy").click()
    atlas.locator(".galaxy[data-row]").wait_for()
    atlas.wait_for_function("() => location.search.includes('galaxy=')")
    row = atlas.locator(".galaxy").get_attribute("data-row")
    ranges = f"() => [{MAP}.x_range.start, {MAP}.x_range.end, {MAP}.y_range.start]"
    atlas.wait_for_timeout(600)  # the address follows a moment later
    other = browser.new_context(viewport=SIZE, color_scheme="dark")
    page = other.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watch(page, complaints)
    page.goto(atlas.url)
    page.locator(f".galaxy[data-row='{row}']").wait_for()
    page.wait_for_function(f"() => {MAP}.inner_width > 0")
    page.wait_for_load_state("networkidle")
    np.testing.assert_allclose(page.evaluate(ranges), atlas.evaluate(ranges), atol=2e-4)
    page.get_by_role("tab", name="Selection").click()
    page.get_by_text(SELECTED).first.wait_for()
    assert number_selected(page) == chosen
    other.close()


def test_dots_alone_where_a_visitor_asks_for_them(atlas, requests) -> None:
    atlas.get_by_role("button", name="View").click()
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


def test_the_theme_is_that_of_the_system_until_another_is_chosen(address, browser) -> None:
    context = browser.new_context(viewport=SIZE, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(address)
    page.locator(".mui-light").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert brightness(page) > 150
    page.get_by_label("Toggle theme").click()
    page.locator(".mui-dark").first.wait_for()
    page.goto(address)
    page.locator(".mui-dark").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert brightness(page) < 70
    context.close()


def test_colour_by_a_type_shows_its_legend(atlas) -> None:
    atlas.get_by_role("button", name="View").click()
    atlas.get_by_label("Colour by").click()
    atlas.get_by_role("menuitem", name="Hubble type T", exact=True).click()
    atlas.get_by_text("no T in the catalogue").wait_for()


def test_another_model_moves_the_map_and_keeps_the_selection(atlas) -> None:
    lasso(atlas)
    chosen = number_selected(atlas)
    before = atlas.evaluate(TILES)
    atlas.get_by_role("button", name="Clusters", exact=True).click()
    atlas.get_by_role("button", name=re.compile("^Grouping")).click()
    atlas.get_by_role("button", name="View").click()
    atlas.get_by_role("button", name="Advanced: the model").click()
    atlas.get_by_label("Codes", exact=True).click()
    atlas.get_by_role("menuitem", name="16 codes, modern, 8×8 map", exact=True).click()
    atlas.wait_for_function(f"before => ({TILES})()[1] !== before[1]", arg=before)
    assert number_selected(atlas) == chosen


def test_the_pages_are_reached_without_a_reload_and_by_address(atlas) -> None:
    atlas.evaluate("() => { window.stayed = true }")
    atlas.get_by_role("button", name="Behind the map").click()
    atlas.get_by_role("link", name="Claims").click()
    atlas.wait_for_selector(".card")
    assert atlas.evaluate("() => window.stayed")
    atlas.wait_for_function("() => location.search.includes('page=claims')")
    atlas.go_back()
    atlas.wait_for_function(f"() => Bokeh.index.find_one({MAP}).canvas_view.el.offsetWidth > 0")
    assert atlas.evaluate("() => window.stayed")


def test_on_a_phone_the_drawer_is_a_sheet_below_the_map(open_page, tiles) -> None:
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_load_state("networkidle")
    x, y = page.evaluate(PLACE, a_cell(tiles, 1)[1])
    page.mouse.click(x + 1, y + 1)
    page.locator(".galaxy[data-row]").wait_for()
    sheet = page.locator(".galaxy-name").bounding_box()
    left, top, width, height = frame(page)
    assert sheet["y"] > top + height
    assert left + width <= 391
    assert height > 100
    page.get_by_role("button", name="Close the drawer").click()
    page.locator(".galaxy-name").wait_for(state="hidden")
