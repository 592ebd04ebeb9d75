"""The list of clusters beside the map, in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from tests.browser.test_access import axe

pytestmark = pytest.mark.browser

ASKED = "Bokeh.documents[0].get_model_by_name('asked')"
HEADS = "button.row-head"


@pytest.fixture
def clusters(open_page):
    page = open_page()
    page.get_by_role("button", name="Clusters", exact=True).click()
    page.locator(".clusters[data-painted]").wait_for()
    return page


def members(card) -> int:
    return int(re.search(r"of ([\d,]+) have", card.inner_text())[1].replace(",", ""))


def test_clusters_run_from_early_to_late_each_with_pictures(clusters, small_app):
    bundle = load_bundle(small_app["bundle"])
    filled = [c for c in bundle.clusterings[bundle.manifest.default_clustering].clusters if c.count]
    heads = clusters.locator(HEADS)
    assert heads.count() == len(filled)
    words = " ".join(heads.all_inner_texts()).replace("−", "-")
    means = [float(mean) for mean in re.findall(r"mean T (-?[0-9.]+)", words)]
    assert means == sorted(means)
    assert clusters.locator(".tile-row.titled").first.locator(".tile").count() > 0


def test_a_card_selects_its_members_and_shift_adds(clusters):
    heads = clusters.locator(HEADS)
    heads.nth(1).click()
    clusters.locator(f"{HEADS}[aria-pressed=true]").wait_for()
    first, second = members(heads.nth(1)), members(heads.nth(2))
    clusters.locator(".gallery-heading", has_text=f"{first:,} galaxies,").wait_for()
    heads.nth(2).click(modifiers=["Shift"])
    clusters.get_by_text(f"2 clusters, {first + second:,} galaxies").wait_for()
    assert clusters.locator(f"{HEADS}[aria-pressed=true]").count() == 2


def test_arrow_keys_walk_through_cards_and_enter_selects(clusters):
    heads = clusters.locator(HEADS)
    heads.first.focus()
    clusters.keyboard.press("ArrowDown")
    assert heads.nth(1).evaluate("node => node.getRootNode().activeElement === node")
    clusters.keyboard.press("Enter")
    number = heads.nth(1).get_attribute("data-row")
    clusters.locator(f"{HEADS}[data-row='{number}'][aria-pressed=true]").wait_for()


def test_a_picture_on_a_card_brings_that_galaxy_into_focus(clusters):
    tile = clusters.locator(".clusters .tile").nth(3)
    assert tile.get_attribute("aria-label").startswith("Reconstruction by the model of ")
    tile.click()
    number = tile.get_attribute("data-tile")
    clusters.locator(f".clusters .tile[data-tile='{number}'][aria-pressed=true]").wait_for()


def test_all_histograms_take_the_place_of_the_map(clusters):
    count = clusters.locator(HEADS).count()
    clusters.get_by_role("button", name="All histograms", exact=True).click()
    clusters.locator(".tile-body.beside").wait_for()
    assert clusters.locator(HEADS).count() == count
    assert clusters.locator("section.clusters").bounding_box()["width"] > 1000
    clusters.locator(HEADS).nth(5).click()
    clusters.locator(f"{HEADS}[aria-pressed=true]").wait_for()
    clusters.get_by_role("button", name="Close", exact=True).click()
    clusters.locator(HEADS).first.wait_for(state="hidden")


def test_axe_finds_nothing_in_the_list_and_in_all_histograms(clusters):
    clusters.evaluate(Axe().axe_script)
    clusters.locator(HEADS).first.click()
    clusters.locator(f"{HEADS}[aria-pressed=true]").wait_for()
    assert axe(clusters) == []
    clusters.get_by_role("button", name="All histograms", exact=True).click()
    clusters.locator(".tile-body.beside").wait_for()
    assert axe(clusters) == []


def test_a_cluster_is_given_a_name(clusters):
    clusters.locator(HEADS).first.click()
    clusters.get_by_role("button", name="Rename", exact=True).click()
    clusters.get_by_label("Name of the cluster").fill("<i>smudges</i>")
    clusters.get_by_label("Your name").fill("Anna")
    clusters.get_by_role("button", name="Save", exact=True).click()
    clusters.locator(".row-name", has_text="<i>smudges</i>").wait_for()
    clusters.get_by_role("button", name="Rename", exact=True).click()
    clusters.get_by_role("button", name="Name by the rule", exact=True).click()
    clusters.locator(".row-name", has_text="smudges").wait_for(state="detached")


def test_the_list_is_printed_as_a_vector(clusters):
    with clusters.expect_download(timeout=120_000) as download:
        clusters.get_by_role("button", name="Print as SVG").click()
    assert Path(download.value.path()).read_text().count("<text") > 10
    assert download.value.suggested_filename.endswith(".svg")


def test_pages_hold_each_selected_galaxy_once(open_page, small_app):
    page = open_page()
    page.wait_for_function(f"() => {ASKED}")
    bundle = load_bundle(small_app["bundle"])
    galaxies = map_tiles(bundle, bundle.manifest.default_clustering)
    x = np.sort(galaxies.points[:, 0])
    box = {"kind": "box", "xy": [0, 0, float(x[119:121].mean()), 1], "mode": "replace"}
    page.evaluate(f"(box) => {{ {ASKED}.tags = [box] }}", box)
    gallery = page.locator(".gallery:visible").filter(has_text="120 galaxies")
    where = gallery.locator(".gallery-where")
    seen: set[str] = set()
    for number in (1, 2, 3):
        where.filter(has_text=f"page {number} of 3").wait_for()
        tiles = gallery.locator(".tile")
        rows = tiles.evaluate_all("nodes => nodes.map(node => node.dataset.tile)")
        assert seen.isdisjoint(rows)
        seen.update(rows)
        tiles.first.focus()
        page.keyboard.press("PageDown")
    assert seen == {str(row) for row in galaxies.order[galaxies.points[:, 0] <= x[119]]}
    page.keyboard.press("Home")
    where.filter(has_text="page 1 of 3").wait_for()


def test_the_list_has_a_dark_and_a_light_side(clusters):
    colour = "node => getComputedStyle(node).color"
    head = clusters.locator(".row-name").first
    before = head.evaluate(colour)
    clusters.get_by_label("Toggle theme").click()
    clusters.wait_for_function(
        f"([node, before]) => ({colour})(node) !== before", arg=[head.element_handle(), before]
    )
