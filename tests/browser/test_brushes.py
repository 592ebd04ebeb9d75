"""The strip of brushes under the hand: mouse and keyboard, and what follows them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.brushing import brush_column
from tests.browser.conftest import N_GALAXIES

pytestmark = pytest.mark.browser

MESSAGE_BYTES = 600
STEPS = 24


@pytest.fixture
def bundle(small_app):
    return load_bundle(small_app["bundle"])


@pytest.fixture
def page(open_page):
    opened = open_page()
    opened.locator(".brushes-counted").wait_for()
    return opened


class Hand:
    """What a visitor does with the histogram of T."""

    def __init__(self, page, bundle) -> None:
        self.page, self.stops = page, brush_column(bundle, "ttype").stops
        self.plot = page.locator("[data-column=ttype] .brush-plot")

    def place(self, ttype: float) -> tuple[float, float]:
        """Middle of the bar of a T on the screen."""
        self.plot.scroll_into_view_if_needed()
        box = self.plot.bounding_box()
        bar = self.stops.index(ttype) + 0.5
        return box["x"] + box["width"] * bar / len(self.stops), box["y"] + 0.6 * box["height"]

    def press(self, ttype: float) -> None:
        self.page.mouse.move(*self.place(ttype))
        self.page.mouse.down()

    def drag(self, first: float, last: float) -> None:
        self.press(first)
        self.page.mouse.move(*self.place(last), steps=6)
        self.page.mouse.up()

    def chips(self, *words: str) -> None:
        """Wait for these chips."""
        wanted = [f"{word} ×" for word in words]
        self.page.wait_for_function(
            """wanted => {
              const found = []
              const look = (root) => root.querySelectorAll("*").forEach((one) => {
                if (one.shadowRoot) look(one.shadowRoot)
                if (one.matches(".brushes-chip")) found.push(one.textContent)
              })
              look(document)
              return JSON.stringify(found) === JSON.stringify(wanted)
            }""",
            arg=wanted,
        )


@pytest.fixture
def hand(page, bundle) -> Hand:
    return Hand(page, bundle)


def of_types(bundle, low: float, high: float) -> np.ndarray:
    t = np.floor(bundle.column("ttype") + 0.5)
    return (t >= low) & (t <= high)


def counted(page, number: int) -> None:
    words = f"{number} of {N_GALAXIES}"
    page.locator(".brushes-counted", has_text=words).wait_for()


def test_histograms_follow_a_brush_and_the_selection_follows_when_it_is_let_go(
    page, hand, bundle, frames_sent
) -> None:
    before = len(frames_sent)
    hand.press(3)
    for step in range(STEPS + 1):
        (x, y), (end, _) = hand.place(3), hand.place(6)
        page.mouse.move(x + (end - x) * step / STEPS, y)
    number = int(of_types(bundle, 3, 6).sum())
    counted(page, number)
    assert page.locator(".brushes-chip").count() == 0
    page.mouse.up()
    hand.chips("T 3 to 6")
    page.get_by_text(f"{number} galaxies selected").first.wait_for()
    sent = [json.loads(one) for one in frames_sent[before:] if '"serial"' in one]
    assert 2 <= len(sent) <= 5
    assert max(len(one) for one in frames_sent[before:] if '"serial"' in one) < MESSAGE_BYTES


def test_words_narrow_further_and_all_is_cleared_at_once(page, hand, bundle) -> None:
    hand.drag(-2, 1)
    page.locator("[data-column=source]").get_by_role("button", name="gz1:").click()
    hand.chips("T −2 to 1", "source gz1")
    both = of_types(bundle, -2, 1) & (bundle.column("source") == "gz1")
    counted(page, int(both.sum()))
    page.get_by_role("button", name="Clear the brush: T −2 to 1").click()
    hand.chips("source gz1")
    page.get_by_role("button", name="Clear the selection and all brushes").click()
    hand.chips()


def test_a_range_is_moved_its_ends_are_drawn_and_bars_are_added(page, hand) -> None:
    hand.drag(0, 5)
    hand.chips("T 0 to 5")
    hand.drag(3, 2)
    hand.chips("T −1 to 4")
    end = page.get_by_role("slider", name="T to", exact=True)
    box = end.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(*hand.place(1), steps=4)
    page.mouse.move(hand.place(1)[0] + 4, hand.place(1)[1])
    page.mouse.up()
    hand.chips("T −1 to 1")
    page.keyboard.down("Shift")
    page.mouse.click(*hand.place(7))
    page.keyboard.up("Shift")
    hand.chips("T −1 to 1 or 7")
    page.mouse.click(*hand.place(4))
    hand.chips("T 4")
    page.mouse.click(*hand.place(4))
    hand.chips()


def test_arrow_keys_move_the_ends_and_say_where_they_are(page, hand) -> None:
    first = page.get_by_role("slider", name="magnitude from", exact=True)
    first.focus()
    assert first.get_attribute("aria-valuetext") == "no limit"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    low = first.get_attribute("aria-valuetext")
    hand.chips(f"magnitude from {low}")
    page.keyboard.press("Home")
    hand.chips()
    assert first.evaluate("one => one === one.getRootNode().activeElement")


def test_on_a_narrow_screen_the_strip_scrolls_and_columns_can_be_added(page, hand) -> None:
    page.get_by_label("Add a column").select_option("split")
    page.locator("[data-column=split]").wait_for()
    row = page.locator(".brushes-row")
    row.evaluate("one => { one.style.width = '330px' }")
    assert row.evaluate("one => one.scrollWidth > one.clientWidth + 50")
    page.locator("[data-column=split]").get_by_role("button", name="test:").click()
    hand.chips("split test")
