"""How long a visitor waits for the atlas: from nothing, on opening, on zooming.

Serves the bundle on a free port, drives Chromium with software rendering, and prints milliseconds.
The figures of the gallery are in `benchmarks.gallery`.
"""

from __future__ import annotations

import argparse
import statistics
import time

from playwright.sync_api import Browser, Page, sync_playwright

from tests.app_server import served
from tests.browser_path import FLAGS, find

SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 120_000
# The map is laid out, its points are painted and the gallery beside it shows galaxies.
USABLE = """() => {
  const map = globalThis.Bokeh?.documents[0]?.get_model_by_name("map")
  if (!map || map.properties.inner_width.is_unset) { return false }
  return map.inner_width > 0 && Bokeh.index.find_one(map)?.has_finished()
}"""
GALLERY = ".gallery[data-painted]"
# One notch of the wheel, to the frame that shows it.
NOTCH = """delta => new Promise(resolve => {
  const map = Bokeh.documents[0].get_model_by_name("map")
  const start = performance.now()
  const {start: low, end: high} = map.x_range
  const width = high - low, middle = (high + low) / 2
  map.x_range.setv({start: middle - width * delta / 2, end: middle + width * delta / 2})
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)))
})"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="trained/sdss")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    start = time.perf_counter()
    with served(bundle=asked.bundle) as address, sync_playwright() as playwright:
        print(f"start to first answer: {1000 * (time.perf_counter() - start):.0f} ms")
        browser = playwright.chromium.launch(
            executable_path=find(), args=[*FLAGS, "--use-gl=angle", "--use-angle=swiftshader"]
        )
        first = open_time(browser, address)
        print(f"first opening: map {first[0]:.0f} ms, gallery {first[1]:.0f} ms")
        times = [open_time(browser, address) for _ in range(asked.repeats)]
        report("open to map painted", [once[0] for once in times])
        report("open to gallery painted", [once[1] for once in times])
        zoom(browser, address)
        browser.close()


def open_time(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds from asking for the page to the painted map and to the painted gallery."""
    page, _ = opened(browser)
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(USABLE)
    painted = time.perf_counter()
    page.locator(GALLERY).first.wait_for()
    complete = time.perf_counter()
    page.context.close()
    return 1000 * (painted - start), 1000 * (max(complete, painted) - start)


def opened(browser: Browser) -> tuple[Page, list[str]]:
    """A new visitor's empty page, and the websocket frames that it will have sent."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    page, frames = context.new_page(), []

    def note_frame(frame: str) -> None:  # playwright cannot take a method of a list
        frames.append(frame)

    page.on("websocket", lambda socket: socket.on("framesent", note_frame))
    return page, frames


def zoom(browser: Browser, address: str) -> None:
    """Zoom in and out; print the time of a frame and how many messages the server got."""
    page, frames = opened(browser)
    page.goto(address)
    page.wait_for_function(USABLE)
    page.locator(GALLERY).first.wait_for()
    page.wait_for_timeout(3000)
    sent = len(frames)
    report("zoom far out, per notch", [page.evaluate(NOTCH, 0.98) for _ in range(10)])
    for _ in range(8):
        page.evaluate(NOTCH, 0.8)
    page.wait_for_load_state("networkidle")
    report("zoom among the pictures, per notch", [page.evaluate(NOTCH, 0.97) for _ in range(10)])
    print(f"messages to the server while zooming: {len(frames) - sent}")
    page.context.close()


def report(name: str, values: list[float]) -> None:
    """Print median and largest of some milliseconds."""
    print(f"{name}: median {statistics.median(values):.0f} ms, largest {max(values):.0f} ms")


if __name__ == "__main__":
    main()
