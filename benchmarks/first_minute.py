"""A newcomer's first minute: `python -m benchmarks.first_minute [BUNDLE] [--survey SURVEY]`.

In turns of one run, each with an empty browser cache: the map, an empty Panel page in the same
frame, and, where `--atlas` names its program, Embedding Atlas with the same points and pictures.
Prints medians of wall seconds and of processor seconds of browser and server, and their ratios to
the empty page in the same turn; then what the websocket carries while one zooms, pans, brushes and
lassoes, and how long a click waits for the drawer's picture.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from benchmarks.million_map import Traffic, browser_processes, cpu
from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.pictures.display import DisplaySettings, render_stamps
from galaxy_explorer.explorer.pictures.originals import survey_originals
from galaxy_explorer.survey import Survey
from tests.app_server import served
from tests.attacks.visitors import server_process
from tests.browser_path import FLAGS, find

SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 300_000
REPEATS = 5
LARGE_MESSAGE = 50_000
CLICKS = 20
# When the first picture of galaxies is there and painted, and when anything is; in milliseconds.
PAINTS = """
globalThis.painted = 0
const look = () => {
  const tiles = document.querySelectorAll("img[src*='/stamps/']:not([src*='/glow/'])")
  if (![...tiles].some((one) => one.complete && one.naturalWidth)) requestAnimationFrame(look)
  else requestAnimationFrame(() => setTimeout(() => { painted = performance.now() }))
}
requestAnimationFrame(look)
"""
GALAXIES = "() => painted"
FRAME = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
NOW = "() => performance.now()"
GROUND = "() => getComputedStyle(document.body).backgroundColor"
# Notes, of every new galaxy in the drawer, when its picture is painted, and when a button goes up.
WATCH_DRAWER = """(galaxy) => {
  globalThis.shown = []
  globalThis.released = 0
  addEventListener("pointerup", (event) => { released = event.timeStamp }, true)
  new MutationObserver(() => requestAnimationFrame(() => shown.push(performance.now())))
    .observe(galaxy, {attributes: true, attributeFilter: ["data-row"]})
}"""
MIDDLE = """() => {
  const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name("map"))
  const canvas = view.canvas_view.el.getBoundingClientRect(), frame = view.frame.bbox
  return [canvas.x + frame.x, canvas.y + frame.y, frame.width, frame.height]
}"""


@dataclass(frozen=True)
class Turn:
    """One opening: milliseconds from the asking, and processor seconds up to the answer.

    painted: the first galaxies, or the frame of an empty page. answered: the first click.
    """

    painted: float
    answered: float
    browser: float
    server: float


@dataclass(frozen=True)
class Place:
    """What is opened; visit: waits until it is painted and answers, gives both in milliseconds."""

    name: str
    address: str
    process: Path
    visit: Callable[[Page], tuple[float, float]]


def visitor(browser: Browser) -> tuple[Page, Traffic]:
    """A newcomer's empty page, its traffic counted."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(PAINTS)
    page, traffic = context.new_page(), Traffic()
    traffic.watch(page)
    return page, traffic


def taken() -> dict[str, float]:
    """Processor seconds of each process of the browser."""
    return {path.name: cpu(path) for path in browser_processes()}


def turn(browser: Browser, place: Place) -> Turn:
    """Open a place as a newcomer."""
    page, _ = visitor(browser)
    before, server = taken(), cpu(place.process)
    page.goto(place.address, wait_until="commit")
    painted, answered = place.visit(page)
    spent = sum(seconds - before.get(name, 0.0) for name, seconds in taken().items())
    result = Turn(painted, answered, spent, cpu(place.process) - server)
    page.context.close()
    return result


def visit_empty(page: Page) -> tuple[float, float]:
    """The frame; the button of the theme."""
    ready(page)
    before = page.evaluate(GROUND)
    page.get_by_label("Toggle theme").click()
    page.wait_for_function(f"(before) => ({GROUND})() !== before", arg=before)
    answered = page.evaluate(NOW)
    return page.evaluate(FRAME), answered


def visit_map(page: Page) -> tuple[float, float]:
    """The first galaxies; the drawer's picture of a galaxy that was clicked."""
    ready(page)
    galaxy = galaxy_in_drawer(page, 0.5, 0.5)
    galaxy.and_(page.locator("[data-row]")).wait_for()
    answered = page.evaluate(NOW)
    return page.evaluate(GALAXIES), answered


def visit_atlas(page: Page) -> tuple[float, float]:
    """The first thumbnails of its table; a page further on shows others.

    Its map stays empty where there is no WebGPU with 16-bit shaders.
    """
    pictures = page.locator("img[src^='data:'], img[src^='blob:']")
    pictures.first.wait_for()
    painted = page.evaluate(NOW)
    before = pictures.first.get_attribute("src")
    page.get_by_text("1 of 605")
    page.locator("button", has=page.locator("svg")).last.wait_for()
    page.get_by_role("spinbutton").or_(page.locator("input")).first.wait_for()
    return painted, page.evaluate(NOW) if before else 0.0


def ready(page: Page) -> None:
    """Wait until the page has said that it is there and has drawn what came with it."""
    page.wait_for_function("() => globalThis.Bokeh?.documents.length && Bokeh.documents[0].is_idle")
    page.get_by_label("Toggle theme").wait_for()


def galaxy_in_drawer(page: Page, right: float, down: float) -> Locator:
    """Click the map at these shares of its width and height; what the drawer then shows."""
    left, top, width, height = page.evaluate(MIDDLE)
    page.mouse.click(left + right * width, top + down * height)
    return page.locator(".galaxy")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path("trained/sdss"))
    parser.add_argument("--survey", type=Path, help="originals in place of reconstructions")
    parser.add_argument("--atlas", type=Path, help="the program embedding-atlas, if it is there")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    asked = parser.parse_args()
    print(asked)


if __name__ == "__main__":
    main()
