"""Grids and the queue that learns in a browser: keys, marks, undo, a connection that drops."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.labels.log import Change, Provenance
from galaxy_explorer.labels.store import LabelStore
from tests.browser.conftest import PATIENCE_MS

pytestmark = pytest.mark.browser

GRID = 24
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def name() -> str:
    """A name that no other test labels under."""
    return f"Ada {uuid.uuid4().hex[:6]}"


@pytest.fixture
def log(label_log: Path) -> LabelStore:
    """The log of the app, as another process sees it."""
    store = LabelStore(label_log, Provenance("0" * 64, "none", "0"))
    yield store
    store.close()


def begin(page: Page, name: str) -> Page:
    page.get_by_label("Your name").filter(visible=True).fill(name)
    page.keyboard.press("Enter")
    expect(page.locator(".desk")).to_have_attribute("data-galaxy", re.compile("galaxy-"))
    return page


@pytest.fixture
def grid(open_page, name) -> Page:
    page = begin(open_page("labels&way=grid", ".desk"), name)
    expect(page.locator(".desk-tile")).to_have_count(GRID)
    return page


def wait_saved(page: Page, count: int) -> None:
    badge = page.locator(".desk-badge[data-state=saved]")
    expect(badge).to_have_attribute("data-saved", str(count))


def events(log: LabelStore, name: str) -> list:
    return [event for event in log.events() if event.annotator == name]


def names_of(page: Page) -> list[str]:
    """Identifiers of the galaxies of the grid; a blind caption is nothing else."""
    return page.locator(".desk-tile").evaluate_all("tiles => tiles.map((tile) => tile.title)")


def test_the_wrong_ones_are_clicked_and_the_rest_accepted_by_one_key(grid, name, log):
    shown = names_of(grid)
    grid.keyboard.press("Enter")
    expect(grid.locator(".desk-side .desk-error")).to_contain_text("Choose the label")
    grid.keyboard.press("w")
    for place in (3, 10):
        grid.locator(".desk-tile").nth(place).click()
    expect(grid.locator(".desk-accept")).to_have_text("Label 22 as S0 (Enter)")
    grid.keyboard.press("Enter")
    wait_saved(grid, GRID - 2)
    stored = events(log, name)
    taken = [galaxy for place, galaxy in enumerate(shown) if place not in {3, 10}]
    assert [event.target for event in stored] == taken
    assert {event.label for event in stored} == {"T-2"}
    assert len({event.grid for event in stored}) == 1
    assert stored[0].grid
    assert not set(names_of(grid)) & set(shown), "the next grid"

    grid.keyboard.press("z")
    wait_saved(grid, GRID - 1)
    assert len(events(log, name)) == 2 * (GRID - 2), "an event for each galaxy"
    assert log.layer(name).galaxies() == {}
    assert names_of(grid) == shown, "it goes back to what was undone, marks and all"
    expect(grid.locator(".desk-tile[aria-pressed=true]")).to_have_count(2)
    grid.keyboard.press("y")
    wait_saved(grid, GRID)
    assert len(log.layer(name).galaxies()) == GRID - 2


def test_the_grid_works_by_keyboard_alone(grid, name, log):
    first = grid.locator(".desk-tile").first
    first.focus()
    grid.keyboard.press("ArrowRight")
    grid.keyboard.press("ArrowDown")
    grid.keyboard.press("Space")
    expect(grid.locator(".desk-tile[aria-pressed=true]")).to_have_count(1)
    grid.keyboard.press("4")
    grid.keyboard.press("Enter")
    wait_saved(grid, GRID - 1)
    assert {event.label for event in events(log, name)} == {"T4"}


def test_a_grid_survives_a_connection_that_drops_in_the_middle(grid, name, log):
    grid.keyboard.press("4")
    script = "() => { window.send = WebSocket.prototype.send; WebSocket.prototype.send = () => {} }"
    grid.evaluate(script)  # what is sent gets lost
    grid.keyboard.press("Enter")
    expect(grid.locator(".desk-badge[data-state=saving]")).to_contain_text(f"Saving {GRID}")
    assert events(log, name) == []
    grid.evaluate("() => { WebSocket.prototype.send = window.send }")
    wait_saved(grid, GRID)
    assert len(events(log, name)) == GRID
    assert len({event.grid for event in events(log, name)}) == 1


def test_galaxies_that_have_a_label_keep_it(grid, name, log):
    third = names_of(grid)[2]
    log.record(name, [Change(third, "stage", "T6")])
    grid.reload()
    expect(grid.locator(".desk-tile")).to_have_count(GRID)
    assert third not in names_of(grid), "what has a label is not asked for again"
    grid.keyboard.press("4")
    grid.keyboard.press("Enter")
    wait_saved(grid, GRID)
    assert log.said(name, third)["stage"].label == "T6"


def test_a_cluster_is_opened_as_a_grid(open_page, name):
    page = open_page()
    page.get_by_role("button", name="Clusters", exact=True).click()
    page.locator("button.row-head").first.click()
    page.locator("button.row-head[aria-pressed=true]").wait_for()
    page.get_by_role("button", name="Label these").last.click()
    begin(page, name)
    assert page.locator(".desk").get_attribute("data-way") == "grid"
    expect(page.locator(".desk-tile").first).to_be_visible()


def test_the_queue_learns_and_says_what_it_knows(open_page, name, log, small_app):
    bundle = load_bundle(small_app["bundle"])
    seen = bundle.clusterings[bundle.manifest.default_clustering].feature_values[:, 0]
    ids = bundle.column("galaxy_id")
    rows = np.flatnonzero(np.char.startswith(ids.astype(str), "galaxy-"))[:60]
    middle = np.median(seen[rows])
    log.record(name, [
        Change(str(ids[row]), "stage", "T4" if seen[row] > middle else "T-2") for row in rows
    ])  # fmt: skip
    page = begin(open_page("labels&queue=learning", ".desk"), name)
    expect(page.get_by_text("Blind: nothing is learnt")).to_be_visible()
    page.get_by_label(re.compile("^Blind")).click()
    expect(page.get_by_text(re.compile(r"Stands on 60 labels; agrees with \d+ %"))).to_be_visible()
    page.get_by_label("Show predictions beside galaxies").click()
    expect(page.locator(".desk-predicted")).to_contain_text(re.compile(r"(early|late) \d+ %, T"))
    words = page.locator(".desk-predicted").inner_text()
    page.keyboard.press("4")
    wait_saved(page, 1)
    assert events(log, name)[-1].prediction in words
    page.get_by_role("button", name="Show on the map").click()
    expect(page.get_by_text(re.compile("Predicted class, learnt from")).first).to_be_visible()
