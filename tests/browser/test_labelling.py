"""The Labels page in a browser: keys, the badge, several visitors, nothing typed gets lost."""

from __future__ import annotations

import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from galaxy_explorer.labels.log import Provenance
from galaxy_explorer.labels.store import LabelStore
from tests.app_server import served
from tests.browser.conftest import PATIENCE_MS, SIZE, watch

pytestmark = pytest.mark.browser

BURST = """(desk, keys) => [...keys].map((key) => {
  const galaxy = desk.dataset.galaxy
  document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}))
  return [galaxy, key]
})"""
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def name() -> str:
    """A name that no other test labels under."""
    return f"Ada {uuid.uuid4().hex[:6]}"


@pytest.fixture
def stored(label_log):
    """Events of an annotator, read as another process reads them."""
    store = LabelStore(label_log, Provenance("0" * 64, "none", "0"))
    yield lambda name: [event for event in store.events() if event.annotator == name]
    store.close()


@pytest.fixture
def desk(open_page, name) -> Page:
    return begin(open_page("labels", ".desk"), name)


def begin(page: Page, name: str) -> Page:
    """Say who labels, and wait for the first galaxy."""
    page.get_by_label("Your name").filter(visible=True).fill(name)
    page.keyboard.press("Enter")
    expect(page.locator(".desk")).to_have_attribute("data-galaxy", re.compile("galaxy-"))
    return page


def wait_saved(page: Page, count: int) -> None:
    badge = page.locator(".desk-badge[data-state=saved]")
    expect(badge).to_have_attribute("data-saved", str(count))


def shown(page: Page) -> str:
    return page.locator(".desk").get_attribute("data-galaxy")


def pressed(page: Page, key: str, label: str) -> None:
    expect(page.locator(f".term[data-label='{label}']")).to_have_attribute("aria-pressed", key)


def burst_of_twenty(page: Page, name: str, stored) -> None:
    keys = "01234560123456012345"
    typed = page.locator(".desk").evaluate(BURST, keys)
    wait_saved(page, 20)
    events = stored(name)
    assert [(event.target, event.label) for event in events] == [(g, f"T{key}") for g, key in typed]
    assert len({event.target for event in events}) == 20


def test_a_burst_of_twenty_keys_labels_twenty_galaxies(desk, name, stored):
    burst_of_twenty(desk, name, stored)


@pytest.mark.slow
def test_so_it_does_with_four_threads(small_app, browser, name, stored):
    complaints: list[str] = []
    with served("--num-threads", "4", **small_app) as address:
        page = browser.new_context(viewport=SIZE).new_page()
        page.set_default_timeout(PATIENCE_MS)
        watch(page, complaints)
        page.goto(f"{address}?page=labels")
        burst_of_twenty(begin(page, name), name, stored)
        page.context.close()
    assert complaints == []


def test_the_whole_loop_works_by_keyboard_alone(desk, name, stored):
    first = shown(desk)
    desk.keyboard.press("b")
    pressed(desk, "true", "bar")
    assert shown(desk) == first, "a feature stays"
    desk.keyboard.press("n")
    desk.keyboard.type("345 bars? z")
    desk.keyboard.press("Enter")
    wait_saved(desk, 2)
    desk.keyboard.press("n")
    desk.keyboard.type("!")
    desk.get_by_role("button", name="Keys").focus()
    wait_saved(desk, 3)
    desk.keyboard.press("n")
    desk.keyboard.type("not this")
    desk.keyboard.press("Escape")
    desk.keyboard.press("c")
    desk.keyboard.press("4")
    wait_saved(desk, 4)
    assert shown(desk) != first, "a stage goes on"
    desk.keyboard.press("z")
    expect(desk.locator(".desk")).to_have_attribute("data-galaxy", first)
    pressed(desk, "false", "T4")
    desk.keyboard.press("Control+y")
    pressed(desk, "true", "T4")
    events = stored(name)
    assert [(e.action, e.aspect, e.label, e.note, e.confidence) for e in events] == [
        ("set", "bar", "bar", "", ""),
        ("set", "note", "", "345 bars? z", ""),
        ("set", "note", "", "345 bars? z!", ""),
        ("set", "stage", "T4", "", "low"),
        ("undo", "stage", "", "", ""),
        ("redo", "stage", "T4", "", "low"),
    ]
    assert {event.target for event in events} == {first}
    desk.keyboard.press("ArrowRight")
    expect(desk.locator(".desk")).not_to_have_attribute("data-galaxy", first)
    desk.keyboard.press("ArrowLeft")
    expect(desk.locator(".desk")).to_have_attribute("data-galaxy", first)


def test_keys_are_shown_and_a_collision_is_refused(desk, name, stored):
    desk.keyboard.press("?")
    keys = desk.get_by_role("dialog", name="Keys")
    change = keys.get_by_role("button", name="Change the key of Sb", exact=True)
    change.click()
    desk.keyboard.press("b")
    expect(keys.get_by_role("alert")).to_contain_text("already assigns bar")
    change.click()
    desk.keyboard.press("s")
    expect(keys.locator("dt", has_text=re.compile("^s$"))).to_be_visible()
    desk.keyboard.press("5")
    desk.keyboard.press("Escape")
    desk.keyboard.press("3")
    desk.keyboard.press("s")
    wait_saved(desk, 1)
    assert [event.label for event in stored(name)] == ["T3"]


def test_the_name_is_asked_once_and_what_was_left_unsaved_is_stored(desk, name, stored):
    desk.keyboard.press("3")
    wait_saved(desk, 1)
    left = {"do": "set", "event_id": uuid.uuid4().hex, "annotator": name,
            "galaxy": "galaxy-0001", "aspect": "bar", "label": "bar"}  # fmt: skip
    script = "(left) => sessionStorage.setItem('galaxy-explorer-unsaved', JSON.stringify(left))"
    desk.evaluate(script, [left])
    desk.reload()
    wait_saved(desk, 1)
    assert stored(name)[-1].event_id == left["event_id"]
    desk.keyboard.press("z")
    desk.keyboard.press("z")
    wait_saved(desk, 3)
    assert [event.action for event in stored(name)] == ["set", "set", "undo", "undo"]


def test_two_annotators_disagree_see_it_and_export_it(desk, name, browser, address, tmp_path):
    other = browser.new_context(viewport=SIZE)
    page = other.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}?page=labels")
    begin(page, f"Bo of {name}")
    galaxy = shown(desk)
    assert shown(page) == galaxy, "all annotators meet on the same galaxies"
    desk.keyboard.press("3")
    wait_saved(desk, 1)
    page.keyboard.press("5")
    wait_saved(page, 1)
    page.keyboard.press("ArrowLeft")
    words = page.get_by_text("Who said what").locator("..")
    expect(words).to_contain_text("hidden: blind mode")
    page.get_by_role("switch").first.click()
    expect(words).to_contain_text(name)
    expect(words).to_contain_text("T3")
    expect(page.get_by_text("Fleiss")).to_be_visible()
    page.get_by_role("button", name="Export").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_text("Download", exact=False).last.click()
    path = tmp_path / "labels.ecsv"
    download.value.save_as(path)
    from astropy.table import Table

    table = Table.read(path)
    both = table[[galaxy == g and name in n for g, n in table["galaxy_id", "annotator"]]]
    assert sorted(both["stage"]) == ["T3", "T5"]
    assert sorted(both["ttype"]) == [3, 5]
    other.close()


def test_a_selection_is_labelled_after_a_question_that_states_the_number(open_page, name, stored):
    page = open_page()
    page.get_by_role("button", name="Clusters", exact=True).click()
    page.locator("button.row-head").first.click()
    chosen = page.locator("button.row-head[aria-pressed=true]")
    count = re.search(r"of ([\d,]+) have", chosen.inner_text())[1]
    page.get_by_role("link", name="Label", exact=True).click()
    begin(page, name)
    page.get_by_role("button", name="Label many at once").click()
    page.get_by_role("button", name="Label …").click()
    page.get_by_role("button", name=f"Label {count} galaxies").click()
    expect(page.get_by_text("z undoes it")).to_be_visible()
    (event,) = stored(name)
    assert (event.kind, event.label) == ("selection", "T-3")
