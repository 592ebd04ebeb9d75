"""Labelling speed: from a key to the badge that says the label is on the disk.

Serves the bundle on a free port with a label log of its own in a temporary folder, labels in
Chromium at typing speed and in bursts of twenty keys, and prints milliseconds. The control is a
store alone, without browser and server: what one commit costs on this disk.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import Page, sync_playwright

from galaxy_explorer.labels.log import Change, Provenance
from galaxy_explorer.labels.store import LabelStore
from tests.app_server import served
from tests.browser_path import FLAGS, find

SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 120_000
# One key, and the time until the badge counts one more label as saved.
KEY = """(desk, key) => new Promise((resolve) => {
  const badge = desk.querySelector(".desk-badge")
  const wanted = Number(badge.dataset.saved) + key.length
  const start = performance.now()
  const watcher = new MutationObserver(() => {
    if (Number(badge.dataset.saved) < wanted || badge.dataset.state !== "saved") return
    watcher.disconnect()
    resolve(performance.now() - start)
  })
  watcher.observe(badge, {attributes: true})
  for (const one of key) {
    document.dispatchEvent(new KeyboardEvent("keydown", {key: one, bubbles: true}))
  }
})"""
BURST = "01234560123456012345"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="trained/sdss")
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="--num-threads of panel serve")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        report("commit alone (control)", commits(Path(folder) / "alone.db", asked.keys))
        options = ("--num-threads", str(asked.threads)) if asked.threads else ()
        log = Path(folder) / "labels.db"
        with (
            served(*options, bundle=asked.bundle, labels=log) as address,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
            page = browser.new_context(viewport=SIZE).new_page()
            desk(page, address)
            report("key to saved badge", keys(page, asked.keys))
            report(f"burst of {len(BURST)} keys to saved badge", bursts(page, asked.bursts))
            browser.close()


def desk(page: Page, address: str) -> None:
    """Open the Labels page and say who labels."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}?page=labels")
    page.get_by_label("Your name").fill("benchmark")
    page.keyboard.press("Enter")
    page.locator(".term:not([disabled])").first.wait_for()
    page.wait_for_load_state("networkidle")


def keys(page: Page, count: int) -> list[float]:
    """Milliseconds of single keys, one after the other."""
    node = page.locator(".desk")
    return [node.evaluate(KEY, str(i % 7)) for i in range(count)]


def bursts(page: Page, count: int) -> list[float]:
    """Milliseconds of bursts of keys that are pressed at once."""
    return [page.locator(".desk").evaluate(KEY, BURST) for _ in range(count)]


def commits(log: Path, count: int) -> list[float]:
    """Milliseconds of single commits by the store."""
    store, times = LabelStore(log, Provenance("0" * 64, "none", "0")), []
    for i in range(count):
        start = time.perf_counter()
        store.record("benchmark", [Change(f"g{i}", "stage", "T3")])
        times.append(1000 * (time.perf_counter() - start))
    store.close()
    return times


def report(name: str, values: list[float]) -> None:
    """Print median, 95th percentile and largest of some milliseconds."""
    print(
        f"{name}: n {len(values)}, median {statistics.median(values):.0f} ms, "
        f"95th percentile {np.percentile(values, 95):.0f} ms, largest {max(values):.0f} ms"
    )


if __name__ == "__main__":
    main()
