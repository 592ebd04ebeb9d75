"""How long a visitor waits: a page to open, 96 thumbnails from click to painted.

    python benchmarks/gallery.py trained/sdss [--repeats 20]

Serves the bundle on a free port, drives a headless Chromium with software rendering, and prints
medians and 95th percentiles in milliseconds. Pictures are decoded before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader")
PAGES = {"clusters": ".gallery[data-painted]", "codebooks": ".strips[data-painted]"}
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
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")
    with serving(arguments.bundle) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for name, ready in PAGES.items():
            waits = [open_time(browser, f"{address}?page={name}", ready) for _ in range(6)]
            report(f"{name} page, open to usable (first: {waits[0]:.0f})", waits[1:])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}?page=clusters")
        page.wait_for_selector(PAGES["clusters"])
        report("96 thumbnails, click to painted", turn_pages(page, arguments.repeats))
        browser.close()


@contextmanager
def serving(bundle: Path) -> Iterator[str]:
    """The app with a bundle, on a free port."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "panel", "serve", "app.py", "--port", str(port)]
    command += ["--plugins", "galaxy_explorer.explorer.routes"]
    environment = {**os.environ, "GALAXY_EXPLORER_BUNDLE": str(bundle.resolve())}
    address = f"http://localhost:{port}/app"
    with subprocess.Popen(command, cwd=ROOT, env=environment) as server:
        try:
            wait_for(address)
            yield address
        finally:
            server.terminate()


def wait_for(address: str) -> None:
    """Return once the address answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address):  # noqa: S310 (localhost)
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(address)


def open_time(browser: Any, address: str, ready: str) -> float:
    """Milliseconds from asking for a page, in a fresh context, to usable content."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(ready)
    waited = 1000 * (time.perf_counter() - start)
    page.context.close()
    return waited


def turn_pages(page: Any, repeats: int) -> list[float]:
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
