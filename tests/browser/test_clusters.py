"""The Clusters page in a browser: one selection, shown alike by histogram, gallery and map."""

from __future__ import annotations

import re

import numpy as np
import pytest

from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.pictures.tiles import map_tiles

pytestmark = pytest.mark.browser

HISTOGRAM = """() => {
  const found = [...Bokeh.documents[0].all_models].map((model) => model.data).filter(Boolean)
  const counts = Array.from(found.find((data) => data.interval).count)
  const rest = found.find((data) => data.text?.length === counts.length + 1).text.at(-1)
  return [counts.reduce((a, b) => a + b, 0), Number(rest.replace(/,/g, ""))]
}"""
ASKED = "Bokeh.documents[0].get_model_by_name('asked')"
DOTS = "() => Bokeh.documents[0].get_model_by_name('members').data.x.length"


@pytest.fixture
def clusters(open_page):
    return open_page("clusters")


def panel_counts(page) -> list[int]:
    return [int(text.replace(",", "")) for text in page.locator(".panel-count").all_inner_texts()]


def click_largest(page) -> int:
    """Click the largest cluster; its number of members."""
    counts = panel_counts(page)
    largest = max(range(len(counts)), key=counts.__getitem__)
    page.locator(".panel").nth(largest).click()
    page.wait_for_selector(".panel[aria-pressed=true]")
    return counts[largest]


def wait_for_gallery(page, words: str) -> str:
    heading = page.locator(".gallery-heading", has_text=words)
    heading.wait_for()
    return heading.inner_text()


def test_64_clusters_are_shown_early_to_late(clusters):
    assert clusters.locator(".panel").count() == 64
    means = [
        float(text.removeprefix("T ").replace("−", "-"))
        for text in clusters.locator(".panel-foot span:last-child").all_inner_texts()
        if text.startswith("T")
    ]
    assert means == sorted(means)


def test_gallery_histogram_map_and_panel_agree_on_a_cluster(clusters):
    members = click_largest(clusters)
    words = wait_for_gallery(clusters, f"{members:,} galaxies, cluster")
    shown = int(re.search(r"1–(\d+)", words)[1])
    assert clusters.locator(".gallery-tile").count() == shown == min(members, 96)
    bars, no_t = clusters.evaluate(HISTOGRAM)
    assert bars + no_t == members
    assert clusters.evaluate(DOTS) == members
    rows = [tile.get_attribute("data-row") for tile in clusters.locator(".gallery-tile").all()]
    assert len(set(rows)) == shown


def test_a_click_on_a_picture_opens_the_card_of_that_galaxy(clusters):
    tile = clusters.locator(".gallery-tile").nth(3)
    name = tile.get_attribute("data-caption").split(" · ")[0]
    tile.click()
    clusters.locator(".detail h3", has_text=re.compile(f"^{re.escape(name)}$")).wait_for()
    assert tile.get_attribute("class") == "gallery-tile focused"


def test_pictures_have_names_and_a_caption(clusters):
    tile = clusters.locator(".gallery-tile").first
    assert tile.get_attribute("aria-label").startswith("Reconstruction by the model of ")
    tile.hover()
    caption = clusters.locator(".gallery-caption.shown")
    assert caption.inner_text() == tile.get_attribute("data-caption")


def test_pages_hold_each_selected_galaxy_once(open_page, small_app):
    page = open_page()
    page.wait_for_function(f"() => {ASKED}")
    bundle = load_bundle(small_app["bundle"])
    galaxies = map_tiles(bundle, bundle.manifest.default_clustering)
    x = np.sort(galaxies.points[:, 0])
    box = {"kind": "box", "xy": [0, 0, float(x[249:251].mean()), 1], "mode": "replace"}
    page.evaluate(f"(box) => {{ {ASKED}.tags = [box] }}", box)
    page.get_by_role("link", name="Clusters").click()
    gallery = page.locator(".gallery:visible").filter(has_text="250 galaxies")
    where = gallery.locator(".gallery-where")
    seen: set[str] = set()
    for number in (1, 2, 3):
        where.filter(has_text=f"page {number} of 3").wait_for()
        tiles = gallery.locator(".gallery-tile")
        rows = tiles.evaluate_all("nodes => nodes.map(node => node.dataset.row)")
        assert seen.isdisjoint(rows)
        seen.update(rows)
        tiles.first.focus()
        page.keyboard.press("PageDown")
    assert seen == {str(row) for row in galaxies.order[galaxies.points[:, 0] <= x[249]]}
    page.keyboard.press("Home")
    where.filter(has_text="page 1 of 3").wait_for()


def test_arrow_keys_walk_through_clusters_and_enter_selects(clusters):
    first = clusters.locator(".panel").first
    first.focus()
    clusters.keyboard.press("ArrowRight")
    second = clusters.locator(".panel").nth(1)
    assert second.evaluate("node => node.getRootNode().activeElement === node")
    clusters.keyboard.press("Enter")
    number = second.get_attribute("data-cluster")
    clusters.locator(f".panel[data-cluster='{number}'][aria-pressed=true]").wait_for()


def test_a_click_before_the_page_is_loaded_is_not_lost(open_page):
    page = open_page("clusters", ready=".panel")
    panel = page.locator(".panel").first
    panel.evaluate("node => node.click()")  # does not wait until the page takes clicks
    page.locator(".panel[aria-pressed=true]").wait_for()


def test_order_and_scale_can_be_changed(clusters):
    clusters.get_by_role("button", name="number", exact=True).click()
    clusters.locator(".panel-id").first.filter(has_text=re.compile("^0$")).wait_for()
    ids = clusters.locator(".panel-id").all_inner_texts()
    assert ids == [str(number) for number in range(64)]


def test_the_page_has_a_dark_and_a_light_side(clusters):
    colour = "node => getComputedStyle(node).color"
    panel = clusters.locator(".panel-id").first
    before = panel.evaluate(colour)
    clusters.get_by_label("Toggle theme").click()
    clusters.wait_for_function(
        f"([node, before]) => ({colour})(node) !== before", arg=[panel.element_handle(), before]
    )
