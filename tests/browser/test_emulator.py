"""The Generate page in a browser: the same seed, links, refusals, T under the finger, a game."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS, SIZE, watch

pytestmark = pytest.mark.browser

PICTURE = """async (samples) => {
  const sheet = samples.querySelector(".sample-picture").style.backgroundImage
  const bytes = await (await fetch(sheet.slice(5, -2))).arrayBuffer()
  const digest = await crypto.subtle.digest("SHA-256", bytes)
  return Array.from(new Uint8Array(digest)).join(" ")
}"""
STOP_AT_ONCE = """(job) => {
  const stop = new MutationObserver(() => {
    if (job.dataset.state !== "running") return
    stop.disconnect()
    job.querySelector("button").click()
  })
  stop.observe(job, {attributes: true})
}"""


@pytest.fixture
def emulator(open_page) -> Page:
    expect.set_options(timeout=PATIENCE_MS)
    return opened(open_page("emulator", ".samples[data-painted]"))


def opened(page: Page) -> Page:
    page.locator(".samples[data-compared='16']").wait_for()
    return page


STAGE = PICTURE.replace('samples.querySelector(".sample-picture")', "samples")


def give(page: Page, name: str, number: int) -> None:
    field = page.get_by_role("textbox", name=name, exact=True)
    field.fill(str(number))
    field.press("Enter")


def picture(page: Page, seed: int, count: int = 16) -> str:
    """The finished picture of a seed, as a digest."""
    samples = page.locator(f".samples[data-compared='{count}'][data-words$=' seed {seed}']")
    samples.wait_for()
    return samples.evaluate(PICTURE)


def test_the_same_seed_gives_the_same_galaxies_to_everybody(emulator, browser, complaints) -> None:
    first = picture(emulator, 4)
    give(emulator, "Seed", 2)
    assert picture(emulator, 2) != first
    other = browser.new_context(viewport=SIZE)
    other.set_default_timeout(PATIENCE_MS)
    page = other.new_page()
    watch(page, complaints)
    page.goto(emulator.url)
    opened(page)
    give(emulator, "Seed", 3)
    give(page, "Seed", 5)
    assert picture(emulator, 3) != picture(page, 5)
    give(page, "Seed", 3)
    assert picture(page, 3) == picture(emulator, 3)
    give(page, "Seed", 4)
    assert picture(page, 4) == first
    other.close()


def test_everything_says_that_it_is_synthetic(emulator) -> None:
    pictures = emulator.locator(".sample-picture")
    assert pictures.count() == 16
    assert emulator.locator(".sample-picture .synthetic-mark:visible").count() == 16
    name = re.compile(r"^Synthetic galaxy, T 4, seed 4, 16 of 16$")
    expect(pictures.last).to_have_accessible_name(name)


def test_cancel_stops_what_is_being_drawn(emulator) -> None:
    job = emulator.locator(".job").first  # that of the samples; the stage and the game have others
    job.evaluate(STOP_AT_ONCE)
    give(emulator, "How many", 64)
    expect(job.locator(".job-words")).to_contain_text("Cancelled.")
    assert emulator.locator(".samples[data-compared='64']").count() == 0
    assert emulator.locator(".sample-real:not([aria-label])").count() == 0
    job.get_by_role("button", name="Draw them").click()
    picture(emulator, 4, 64)


def test_what_is_out_of_range_is_refused_at_the_server(emulator) -> None:
    said = emulator.locator(".job-words.refused")
    emulator.get_by_role("button", name="Temperature and guidance").click()
    give(emulator, "Temperature, number", 99)
    expect(said).to_contain_text("temperature 99: a number from")
    expect(emulator.get_by_role("textbox", name="Temperature, number")).to_have_value("1")
    give(emulator, "How many", 1000)
    expect(said).to_contain_text("count 1000: a whole number from 1 to 64")
    expect(emulator.get_by_role("textbox", name="How many")).to_have_value("16")
    picture(emulator, 4)


def test_a_galaxy_changes_under_the_finger_without_the_server(emulator, frames_sent) -> None:
    stage = emulator.locator(".morph[data-painted] .morph-stage")
    stage.wait_for()
    expect(emulator.locator(".job").first).to_have_attribute("data-state", "idle")
    slider = emulator.get_by_role("slider", name="Hubble stage T", exact=True)
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    emulator.mouse.move(box["x"] + box["width"] / 2, middle)
    emulator.mouse.down()
    sent, seen = len(frames_sent), set()
    for step in range(20):
        emulator.mouse.move(box["x"] + box["width"] * step / 20, middle)
        seen.add((stage.get_attribute("data-value"), stage.get_attribute("style")))
    assert len(frames_sent) == sent
    assert len(seen) > 10  # another type and another picture each
    emulator.mouse.up()
    wanted = stage.get_attribute("data-value").removesuffix(".0")
    words = f"T {wanted}, seed 4".replace("-", "−")
    emulator.locator(f".samples[data-compared='16'][data-words$='{words}']").wait_for()
    slider.focus()
    before = stage.get_attribute("data-value")
    slider.press("ArrowRight")
    expect(stage).not_to_have_attribute("data-value", before)


def test_a_ladder_of_types(emulator) -> None:
    emulator.get_by_role("button", name="Ladder", exact=True).click()
    emulator.locator(".ladder[data-ready] .ladder-tile.synthetic").first.wait_for()


def test_a_link_reproduces_the_page_in_a_fresh_browser(emulator, browser, complaints) -> None:
    emulator.get_by_role("button", name="Hubble stage T −3", exact=True).click()
    give(emulator, "Seed", 7)
    give(emulator, "Magnitude, mag", 14)
    asked = "Synthetic galaxy, T −3, Magnitude 14 mag, seed 7"
    emulator.locator(f".samples[data-compared='16'][data-words='{asked}']").wait_for()
    emulator.wait_for_url(re.compile(r"t=-3.*magnitude=14.*seed=7"))
    expect(emulator.locator(".morph-type")).to_have_text("T −3.0")
    other = browser.new_context(viewport=SIZE)
    other.set_default_timeout(PATIENCE_MS)
    page = other.new_page()
    watch(page, complaints)
    page.goto(emulator.url)
    page.locator(f".samples[data-compared='16'][data-words='{asked}']").wait_for()
    expect(page.locator(".morph-type")).to_have_text("T −3.0")
    assert picture(page, 7) == picture(emulator, 7)
    stages = [one.locator(".morph-stage").evaluate(STAGE) for one in (page, emulator)]
    assert stages[0] == stages[1]
    other.close()


def test_a_game_is_played_with_keys_and_scored_at_the_end(emulator) -> None:
    emulator.get_by_role("button", name="Real or synthetic?").click()
    emulator.get_by_role("button", name="Begin").click()
    game = emulator.locator(".game")
    told = game.get_by_text("REAL", exact=True)
    for pair in range(20):
        emulator.locator(f".game[data-pair='{pair}']").wait_for()
        assert told.count() == 0
        emulator.keyboard.press("ArrowLeft" if pair % 2 else "ArrowRight")
    expect(game.locator(".headline")).to_contain_text("interval")
    assert told.count() == game.locator(".game-review .real-mark").count() == 20


def test_a_sample_is_measured_when_it_is_clicked(emulator) -> None:
    emulator.locator(".sample-picture").nth(2).click()
    emulator.get_by_role("rowheader", name="Concentration C").wait_for()
    emulator.locator(".sample-picture[aria-pressed=true]").wait_for()


def test_a_real_neighbour_comes_into_focus(emulator) -> None:
    real = emulator.locator(".sample-real").first
    name = real.get_attribute("title").split(",")[0]
    real.click()
    emulator.locator(".galaxy-name", has_text=name).wait_for()


def test_samples_come_onto_a_map_that_is_open_already(open_page) -> None:
    page = open_page("atlas")
    page.get_by_role("link", name="Generate", exact=True).click()
    opened(page)
    off = page.get_by_role("button", name="Take the synthetic galaxies off the map")
    for _ in range(2):
        page.get_by_role("button", name="Show on the map").click()
        off.wait_for()
        page.wait_for_function("() => location.search.includes('page=atlas')")
        off.click()
        off.wait_for(state="hidden")
        page.get_by_role("link", name="Generate", exact=True).click()
        page.locator(".samples:visible").wait_for()
