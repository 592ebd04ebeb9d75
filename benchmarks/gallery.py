"""How long a visitor waits: a page to open, 96 thumbnails from click to painted.

    python -m benchmarks.gallery trained/sdss [--repeats 20]

Serves the bundle on a free port, drives a headless Chromium with software rendering, and prints
medians and 95th percentiles in milliseconds. Pictures are decoded before the clock starts.
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
PAGES = {
    "clusters": ".gallery[data-painted]",
    "codebooks": ".strips[data-painted]",
    "trend": ".trend[data-painted]",
    "vocabulary": ".codes[data-painted]",
}
# Clicks the button and resolves, after the frame that shows the new pictures, to milliseconds.
CLICK_TO_PAINTED = """button => new Promise(resolve => {
  const root = button.getRootNode().querySelector('.gallery')
  const start = performance.now()
  const watcher = new MutationObserver(() => requestAnimationFrame(() => {
    watcher.disconnect()
    resolve(performance.now() - start)
  }))
  watcher.observe(root, {attributes: true, attributeFilter: ['data-painted']})
  button.click()
})"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", nargs="?", default="trained/sdss")
    parser.add_argument("--repeats", type=int, default=20)
    asked = parser.parse_args()
    with served(bundle=asked.bundle) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find(), args=[*FLAGS, "--use-gl=angle", "--use-angle=swiftshader"]
        )
        for name in PAGES:
            waits = [open_time(browser, address, name) for _ in range(6)]
            report(f"{name} page, open to usable (first: {waits[0]:.0f})", waits[1:])
        page = visit(browser, address, "clusters")
        report("96 thumbnails, click to painted", turn_pages(page, asked.repeats))
        browser.close()


def visit(browser: Browser, address: str, name: str) -> Page:
    """A page of the app in a fresh context, with usable content."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{address}?page={name}", wait_until="commit")
    page.locator(PAGES[name]).first.wait_for()
    return page


def open_time(browser: Browser, address: str, name: str) -> float:
    """Milliseconds from asking for a page to usable content."""
    start = time.perf_counter()
    page = visit(browser, address, name)
    waited = 1000 * (time.perf_counter() - start)
    page.context.close()
    return waited


def turn_pages(page: Page, repeats: int) -> list[float]:
    """Turn the gallery of the largest cluster to and fro; the first turns warm it up."""
    counts = [int(text.replace(",", "")) for text in page.locator(".panel-count").all_inner_texts()]
    page.locator(".panel").nth(counts.index(max(counts))).click()
    page.wait_for_selector(".gallery-where:not(:empty)")
    signs = ["›", "‹"] * (repeats // 2 + 2)
    waits = []
    for sign in signs:
        button = page.locator(".gallery-turn", has_text=sign).element_handle()
        waits.append(button.evaluate(CLICK_TO_PAINTED))
    return waits[4:]


def report(what: str, waits: list[float]) -> None:
    """Print the median, the 95th percentile and the number of measurements."""
    ordered = sorted(waits)
    worst = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(f"{what}: median {statistics.median(waits):.0f} ms, p95 {worst:.0f} ms, n {len(waits)}")


if __name__ == "__main__":
    main()
