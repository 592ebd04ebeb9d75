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
import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
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

from benchmarks.million_map import Traffic, browser_processes, cpu, settle
from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.pictures.display import DisplaySettings, render_stamps
from galaxy_explorer.explorer.pictures.originals import survey_originals
from galaxy_explorer.survey import Survey
from tests.app_server import served
from tests.attacks.visitors import server_process
from tests.browser_path import FLAGS, find

EMPTY_PAGE = "serve benchmarks/empty_page.py"
SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 120_000
REPEATS = 5
LARGE_MESSAGE = 50_000
CLICKS = 10
# When the first picture of galaxies is there and painted, and when anything is; in milliseconds.
PAINTS = """
globalThis.painted = 0
const look = () => {
  const tiles = document.querySelectorAll("img[src*='stamps/tile/']")
  if (![...tiles].some((one) => one.complete && one.naturalWidth)) requestAnimationFrame(look)
  else requestAnimationFrame(() => setTimeout(() => { painted = performance.now() }))
}
requestAnimationFrame(look)
"""
GALAXIES = "() => painted"
FRAME = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
NOW = "() => performance.now()"
GROUND = "() => getComputedStyle(document.body).backgroundColor"
DARK = "() => Boolean(document.querySelector('.dark'))"
# Notes, of every new galaxy in the drawer, when its picture is painted, and when a button goes up.
WATCH_DRAWER = """(galaxy) => {
  globalThis.shown = []
  globalThis.released = 0
  addEventListener("pointerup", (event) => { released = event.timeStamp }, true)
  new MutationObserver(() => requestAnimationFrame(() => shown.push(performance.now())))
    .observe(galaxy, {attributes: true, attributeFilter: ["data-row"]})
}"""
BOX = """(one) => {
  const {x, y, width, height} = one.getBoundingClientRect()
  return [x, y, width, height]
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
    """Embedding Atlas: its first thumbnails, in a table; the button of its theme."""
    page.locator("img").first.wait_for()
    painted = page.evaluate(NOW)
    before = page.evaluate(DARK)
    page.get_by_title("Toggle light / dark mode").or_(
        page.get_by_label("Toggle light / dark mode")
    ).first.click()
    page.wait_for_function(f"(before) => ({DARK})() !== before", arg=before)
    return painted, page.evaluate(NOW)


def ready(page: Page) -> None:
    """Wait until the page has said that it is there and has drawn what came with it."""
    page.wait_for_function("() => globalThis.Bokeh?.documents.length && Bokeh.documents[0].is_idle")
    page.get_by_label("Toggle theme").wait_for()


def galaxy_in_drawer(page: Page, right: float, down: float) -> Locator:
    """Click the map at these shares of its width and height; what the drawer then shows."""
    page.mouse.click(*on_map(page, right, down))
    return page.locator(".galaxy")


def on_map(page: Page, right: float, down: float) -> tuple[float, float]:
    """Where on the screen a place of the map is, given in shares of its width and height."""
    left, top, width, height = page.evaluate(MIDDLE)
    return left + right * width, top + down * height


def settled(page: Page) -> None:
    """Wait until nothing more is asked for or answered."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2000)


def zoom(page: Page) -> None:
    """Five notches of the wheel."""
    page.mouse.move(*on_map(page, 0.5, 0.5))
    for _ in range(5):
        page.mouse.wheel(0, -240)
        page.wait_for_timeout(200)


def pan(page: Page) -> None:
    """Drag the map by a fifth of its width, and back."""
    for start, end in ((0.6, 0.4), (0.4, 0.6)):
        page.mouse.move(*on_map(page, start, 0.5))
        page.mouse.down()
        page.mouse.move(*on_map(page, end, 0.5), steps=20)
        page.mouse.up()


def brush(page: Page) -> None:
    """Draw a range of T and move it."""
    box = page.locator("[data-column=ttype] .brush-plot").evaluate(BOX)
    places = [box[0] + share * box[2] for share in (0.55, 0.8, 0.7, 0.5)]
    middle = box[1] + box[3] / 2
    for start, end in (places[:2], places[2:]):
        page.mouse.move(start, middle)
        page.mouse.down()
        page.mouse.move(end, middle, steps=20)
        page.mouse.up()


def lasso(page: Page) -> None:
    """Draw around a third of the map."""
    page.locator(".bk-tool-icon-lasso-select").click()
    page.mouse.move(*on_map(page, 0.35, 0.35))
    page.mouse.down()
    for corner in ((0.65, 0.35), (0.65, 0.65), (0.35, 0.65), (0.35, 0.35)):
        page.mouse.move(*on_map(page, *corner), steps=25)
    page.mouse.up()


def messages(page: Page, traffic: Traffic) -> None:
    """Print what the websocket carries of each gesture."""
    for gesture in (zoom, pan, brush, lasso):
        settled(page)
        sent, received = len(traffic.sent), len(traffic.received)
        gesture(page)
        settled(page)
        to, back = traffic.sent[sent:], traffic.received[received:]
        large = sum(size > LARGE_MESSAGE for size in [*to, *back])
        print(
            f"{gesture.__name__}: {len(to)} frames to the server, {sum(to):,} bytes;"
            f" {len(back)} back, {sum(back):,} bytes; largest {max([*to, *back, 0]):,},"
            f" {large} of more than {LARGE_MESSAGE // 1000} kB"
        )


def clicks(page: Page, process: Path) -> None:
    """Print how long the drawer's picture takes, from the release of the button to the paint."""
    galaxy_in_drawer(page, 0.5, 0.5).and_(page.locator("[data-row]")).wait_for()
    settled(page)
    page.locator(".galaxy").evaluate(WATCH_DRAWER)
    times: list[float] = []
    before = cpu(process)
    for place in range(CLICKS):
        page.evaluate("() => { shown.length = 0 }")
        galaxy_in_drawer(page, 0.3 + 0.4 * (place % 5) / 4, 0.3 + 0.4 * (place // 5) / 3)
        settled(page)
        if page.evaluate("() => shown.length"):  # a name on the map selects a cluster instead
            times.append(page.evaluate("() => shown[0] - released"))
    print(
        f"click to the drawer's picture, {len(times)} clicks: median"
        f" {statistics.median(times):.0f} ms, 95th percentile {np.quantile(times, 0.95):.0f} ms;"
        f" {1e3 * (cpu(process) - before) / CLICKS:.0f} ms"
        " processor time of the server each, all of the drawer"
    )


def write_points(bundle_path: Path, survey_path: Path | None, path: Path) -> None:
    """Places on the map, names, T, clusters and, of a survey, JPEG thumbnails, as Parquet."""
    bundle = load_bundle(bundle_path)
    clustering = bundle.clusterings[bundle.manifest.default_clustering]
    points = np.asarray(clustering.coordinates)
    table = {
        "galaxy_id": [str(name) for name in bundle.column("galaxy_id")],
        "x": points[:, 0], "y": points[:, 1],
        "T": np.asarray(bundle.column("ttype"), float),
        "cluster": [str(cluster) for cluster in np.asarray(clustering.labels).tolist()],
    }  # fmt: skip
    if survey_path is not None:
        originals = survey_originals(bundle, Survey.open(survey_path))
        table["image"] = [
            {"bytes": jpeg(picture)}
            for rows in np.array_split(np.arange(len(bundle)), max(1, len(bundle) // 1024))
            for picture in render_stamps(np.nan_to_num(originals(rows)), DisplaySettings())
        ]
    pq.write_table(pa.table(table), path)


def jpeg(pixels: np.ndarray) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@contextmanager
def atlas_served(program: Path, points: Path) -> Iterator[tuple[str, Path]]:
    """Embedding Atlas with these points: its address and its folder under /proc."""
    with socket.create_server(("localhost", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, points, "--x", "x", "--y", "y", "--image", "image"]
    command += ["--disable-projection", "--port", str(port), "--no-auto-port"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        address = f"http://localhost:{port}"
        while server.poll() is None:
            try:
                urllib.request.urlopen(address, timeout=30).close()
            except (urllib.error.URLError, TimeoutError):
                time.sleep(1)
            else:
                break
        yield address, Path("/proc", str(server.pid))
    finally:
        server.terminate()
        server.wait(60)


def report(turns: dict[str, list[Turn]]) -> None:
    """Print medians, and the medians of the ratios to the empty page of the same turn."""
    empty = turns["empty page"]
    for name, own in turns.items():
        print(f"{name}:")
        for part in Turn.__dataclass_fields__:
            values = [getattr(one, part) for one in own]
            pairs = zip(values, empty, strict=True)
            ratio = statistics.median(value / getattr(one, part) for value, one in pairs)
            unit = "ms" if part in {"painted", "answered"} else "s of processor time"
            print(f"  {part}: {statistics.median(values):.4g} {unit}; {ratio:.2f} x the empty page")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=Path("trained/sdss"))
    parser.add_argument("--survey", type=Path, help="originals in place of reconstructions")
    parser.add_argument("--atlas", type=Path, help="the program embedding-atlas, if it is there")
    parser.add_argument("--points", type=Path, help="Parquet for it, made where it is not there")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {"bundle": asked.bundle.resolve(), "cache": folder, "labels": folder / "l.db"}
        if asked.survey is not None:
            settings["survey"] = asked.survey.resolve()
        address = stack.enter_context(served(**settings))
        empty = stack.enter_context(served(command=EMPTY_PAGE, **settings))
        places = [
            Place("empty page", empty, server_process(empty), visit_empty),
            Place("map", address, server_process(address), visit_map),
        ]
        if asked.atlas is not None:
            points = asked.points or folder / "points.parquet"
            if not points.exists():
                write_points(asked.bundle, asked.survey, points)
            there = stack.enter_context(atlas_served(asked.atlas, points))
            places.append(Place("Embedding Atlas", *there, visit_atlas))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
        stack.callback(browser.close)
        measure(browser, places, asked.repeats)
        page, traffic = visitor(browser)
        page.goto(address)
        ready(page)
        messages(page, traffic)
        page.goto(address)
        ready(page)
        clicks(page, server_process(address))


def measure(browser: Browser, places: list[Place], repeats: int) -> None:
    """Open the places in turns; the first turn, in which servers get warm, is left out."""
    turns: dict[str, list[Turn]] = {place.name: [] for place in places}
    for number in range(repeats + 1):
        for place in places:
            settle(place.process)
            once = turn(browser, place)
            if number:
                turns[place.name].append(once)
    print(f"{repeats} turns; load average {os.getloadavg()[0]:.0f}")
    report(turns)


if __name__ == "__main__":
    main()
