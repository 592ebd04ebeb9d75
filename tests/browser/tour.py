"""A newcomer's tour of the app, step by step, by what a visitor sees: names, roles, pictures.

The same steps in every browser. Where TOUR_PICTURES names a folder a picture of each step is left
there; TOUR_ADDRESS names an app that is served already, in place of that of a small bundle.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

PICTURES = os.environ.get("TOUR_PICTURES")
ADDRESS = os.environ.get("TOUR_ADDRESS")
SHOWN = """() => {
  const {x_range: range} = Bokeh.documents[0].get_model_by_name("map")
  return range.end - range.start
}"""
MAP = """() => {
  const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name("map"))
  const box = view.canvas_view.el.getBoundingClientRect(), frame = view.frame.bbox
  return {x: box.x + frame.left, y: box.y + frame.top, width: frame.width, height: frame.height}
}"""
CONTRAST, LEAST = 10, 0.02
"""Of 255 in a block of pixels; share of the map that has it where there are galaxies."""
BLOCK, TRIES, CARD_MS = 24, 8, 10_000
SELECTED = re.compile(r"([\d,]+) galax(?:y|ies) selected")
LATE = re.compile("^T (≥ ?6|[3-9])\\b")


class Tour:
    """One visitor's way through the app; each step waits until it sees what it came for."""

    def __init__(self, page: Page, address: str, name: str) -> None:
        self.page, self.address, self.name, self.steps = page, address, name, 0

    def keep(self, words: str) -> None:
        """Leave a picture, if somebody wants to see the tour."""
        self.steps += 1
        if PICTURES is not None:
            folder = Path(PICTURES, self.name)
            folder.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(1500)
            self.page.screenshot(path=folder / f"{self.steps}-{words}.png")

    def open(self) -> None:
        """The address is all that a newcomer has."""
        self.page.goto(self.address)
        expect(self.page.get_by_role("link", name="Map", exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        expect(self.selection).to_contain_text(re.compile(r"[\d,]+ galaxies"))
        until(self.page, self.shows_galaxies)
        self.keep("open")

    def zoom(self) -> None:
        """The wheel over the map: fewer galaxies, and larger."""
        before = self.page.evaluate(SHOWN)
        self.page.mouse.move(*self.galaxy_places()[0])
        for _ in range(3):
            self.page.mouse.wheel(0, -200)
            self.page.wait_for_timeout(100)
        until(self.page, lambda: self.page.evaluate(SHOWN) < 0.9 * before)
        until(self.page, self.shows_galaxies)
        self.keep("zoom")

    def click_a_galaxy(self) -> str:
        """One galaxy of the map, pointed at, then large in the drawer; its name."""
        for place in self.galaxy_places():
            pointed_at = self.point_at(*place)
            if pointed_at is None:
                continue
            self.page.mouse.click(*place)
            until(self.page, lambda: self.is_open("Galaxy") or self.has_selection())
            if self.is_open("Galaxy"):
                break
            self.page.keyboard.press("Escape")  # the name of a cluster lay over it
            until(self.page, lambda: not self.has_selection())
        expect(self.tab("Galaxy")).to_have_attribute("aria-selected", "true")
        picture = self.page.get_by_role("img", name=re.compile("^(Original|Reconstruction) of "))
        until(self.page, lambda: picture.evaluate("(one) => one.complete && one.naturalWidth > 0"))
        name = (picture.get_attribute("alt") or "").partition(" of ")[2]
        assert name == pointed_at
        expect(self.page.get_by_role("article").get_by_role("heading", name=name)).to_be_visible()
        self.keep("galaxy")
        return name

    def point_at(self, x: float, y: float) -> str | None:
        """The name on the card of the galaxy at a place; None where there is no galaxy.

        Only where there is one a click is sure to be answered: one that is given up might be
        answered later, and close what another one has opened.
        """
        self.page.mouse.move(x - BLOCK / 4, y)  # a pointer that was there already does not move
        self.page.mouse.move(x, y)
        card = self.page.get_by_role("tooltip").filter(
            has=self.page.get_by_role("img", name="the galaxy")
        )
        try:
            expect(card).to_be_visible(timeout=CARD_MS)
        except AssertionError:
            return None
        return card.locator("b").inner_text()

    def look_at_a_neighbour(self, name: str) -> str:
        """The look-alike that is nearest, in place of the galaxy itself; its name."""
        alike = self.gallery("Look-alikes").get_by_role("button").first
        alike.click()
        heading = self.page.get_by_role("article").get_by_role("heading")
        expect(heading).not_to_have_text(name)
        self.keep("neighbour")
        return heading.inner_text()

    def select_late_types(self) -> int:
        """A bar of the histogram of T; how many galaxies that selects."""
        self.tab("Selection").click()
        bar = self.selection.get_by_role("button", name=LATE).last
        bar.click()
        expect(bar).to_have_attribute("aria-pressed", "true")
        expect(self.selection).to_contain_text(SELECTED)
        count = SELECTED.search(self.selection.inner_text())
        assert count is not None
        self.keep("late-types")
        return int(count[1].replace(",", ""))

    def label_them(self) -> None:
        """Under a name, by keys, from the drawer's button; the page says that it is saved."""
        self.page.get_by_role("button", name="Label these").click()
        expect(self.page.get_by_role("link", name="Label", exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        field = self.page.get_by_label("Your name")
        field.fill(f"Newcomer in {self.name}")
        field.press("Enter")
        term = self.page.get_by_role("button", name=re.compile("^Scd and later"))
        expect(self.page.get_by_role("group", name="Galaxies of this grid")).to_be_visible()
        self.page.keyboard.press("6")
        expect(term).to_have_attribute("aria-pressed", "true")
        self.page.get_by_role("button", name=re.compile(r"^Label \d+ as")).click()
        expect(self.page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
        self.keep("label")

    def generate_a_later_one(self, name: str) -> float:
        """Back on the map: galaxies like the one in the drawer, then of a later type; their T."""
        self.page.get_by_role("link", name="Map", exact=True).click()
        self.tab("Galaxy").click()
        self.page.get_by_role("button", name="Generate like this").click()
        expect(self.page.get_by_role("link", name="Generate", exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        self.keep("like")
        before = self.stage()
        for _ in range(4):
            self.slider.press("ArrowRight")
        until(self.page, lambda: self.stage() > before)
        synthetic = self.page.get_by_role("button", name=re.compile("^Synthetic galaxy"))
        expect(synthetic.first).to_be_visible()
        self.keep("later")
        return self.stage()

    def copy_the_link(self) -> str:
        """The link that the page offers; the address bar says the same."""
        self.page.get_by_role("button", name=re.compile("Take it home")).click()
        link = self.page.get_by_role("textbox", name="Link that reopens this view").input_value()
        self.page.keyboard.press("Escape")
        self.keep("link")
        return link

    def open_it_elsewhere(self, link: str, ttype: float) -> None:
        """In a browser that knows nothing of this one."""
        self.page.goto(link)
        expect(self.page.get_by_role("link", name="Generate", exact=True)).to_have_attribute(
            "aria-current", "page"
        )
        until(self.page, lambda: self.stage() == ttype)
        self.keep("elsewhere")

    @property
    def slider(self) -> Locator:
        """What asks for a type on the Generate page."""
        return self.page.get_by_role("slider", name="Hubble stage T", exact=True).first

    def stage(self) -> float:
        """The type that it asks for."""
        words = self.slider.get_attribute("aria-valuetext") or ""
        found = re.search(r"-?\d+\.?\d*", words.replace("−", "-"))
        assert found is not None, words
        return float(found[0])

    @property
    def selection(self) -> Locator:
        """The drawer's part about what is selected."""
        return self.page.get_by_role("region", name="Selection")

    def tab(self, name: str) -> Locator:
        """A tab of the drawer."""
        return self.page.get_by_role("tab", name=name, exact=True)

    def is_open(self, name: str) -> bool:
        """Whether this tab of the drawer is the one that is open."""
        return self.tab(name).get_attribute("aria-selected") == "true"

    def has_selection(self) -> bool:
        """Whether the drawer shows that galaxies are selected."""
        return self.selection.filter(has_text=SELECTED).count() > 0

    def gallery(self, words: str) -> Locator:
        """The gallery with these words above it."""
        return self.page.get_by_role("group", name=words)

    def shows_galaxies(self) -> bool:
        """Whether some of the map has more on it than its ground."""
        _, contrast = self.map_blocks()
        return bool((contrast > CONTRAST).mean() > LEAST)

    def galaxy_places(self) -> list[tuple[float, float]]:
        """Where on the screen the map has the most contrast: galaxies, or names of clusters."""
        corner, contrast = self.map_blocks()
        order = np.argsort(-contrast, axis=None)[: TRIES * 5 : 5]
        lines, columns = np.unravel_index(order, contrast.shape)
        return [
            (corner["x"] + BLOCK * (column + 0.5), corner["y"] + BLOCK * (line + 0.5))
            for line, column in zip(lines.tolist(), columns.tolist(), strict=True)
        ]

    def map_blocks(self) -> tuple[dict[str, float], np.ndarray]:
        """The map without its edges: the box, and the scatter of the light in blocks of it."""
        box = self.page.evaluate(MAP)
        middle = {
            "x": box["x"] + 0.1 * box["width"], "y": box["y"] + 0.15 * box["height"],
            "width": 0.8 * box["width"], "height": 0.75 * box["height"],
        }  # fmt: skip
        picture = Image.open(io.BytesIO(self.page.screenshot(clip=middle)))
        pixels = np.asarray(picture.convert("L"), float)
        down, right = (size // BLOCK for size in pixels.shape)
        blocks = pixels[: down * BLOCK, : right * BLOCK].reshape(down, BLOCK, right, BLOCK)
        return middle, blocks.std(axis=(1, 3))


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait until something holds, at most as long as the page's expectations."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"not within two minutes: {holds}")
