"""Labelling speed: from a key to the badge that says the label is on the disk.

Serves the bundle on a free port with a label log of its own in a temporary folder, labels in
Chromium at typing speed and in bursts of twenty keys, and prints milliseconds. The control is a
store alone, without browser and server: what one commit costs on this disk.

With --examine the keys are pressed in turns beside nothing else and while another visitor has FITS
examined on My galaxy, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.io import fits
from playwright.sync_api import Page, sync_playwright

from galaxy_explorer.labels.log import Change, Provenance
from galaxy_explorer.labels.store import LabelStore
from tests.app_server import served
from tests.attacks.visitors import come_in, go
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
TURNS = 5
SIDE = 256
"""Pixels of a side of the FITS that are examined."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="trained/sdss")
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="--num-threads of panel serve")
    parser.add_argument("--examine", action="store_true", help="FITS on My galaxy meanwhile")
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
            if asked.examine:
                compare(page, address, asked.keys)
            else:
                report("key to saved badge", keys(page, asked.keys))
                report(f"burst of {len(BURST)} keys to saved badge", bursts(page, asked.bursts))
            browser.close()


def compare(page: Page, address: str, count: int) -> None:
    """Keys beside nothing else and beside examinations, in turns, so that both meet one machine."""
    alone: list[float] = []
    beside: list[float] = []
    done = 0
    for _ in range(TURNS):
        alone += keys(page, count // TURNS)
        with examining(address) as finished:
            beside += keys(page, count // TURNS)
        done += len(finished)
    report("key to saved badge", alone)
    report(f"the same while {done} FITS are examined on My galaxy", beside)
    ratio = np.percentile(beside, 95) / np.percentile(alone, 95)
    print(f"95th percentile, examined over alone: {ratio:.2f}")


@contextmanager
def examining(address: str) -> Iterator[list[float]]:
    """Another visitor has one FITS after the other examined; yields the seconds that each took."""
    finished: list[float] = []
    begun, enough = threading.Event(), threading.Event()

    async def visit() -> None:
        visitor = await come_in(f"{address}?page=my_galaxy")
        zone = visitor.find("accept")
        number = 0
        while not enough.is_set():
            data = base64.b64encode(gzip.compress(galaxy_fits(number))).decode()
            size, number = SIDE * SIDE * 4, number + 1
            start = time.perf_counter()
            await visitor.say(
                zone, name=f"{number}.fits", size=size, data={"type": "bytes", "data": data}
            )
            busy = True
            while busy:
                begun.set()
                events = (await visitor.hear())["content"].get("events", [])
                busy = not any(one.get("attr") == "busy" and not one["new"] for one in events)
            finished.append(time.perf_counter() - start)
        await go(visitor)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(asyncio.run, visit())
        other.add_done_callback(lambda _: begun.set())
        begun.wait()
        try:
            yield finished
        finally:
            enough.set()
            other.result()


def galaxy_fits(seed: int) -> bytes:
    """A FITS file of a disc with noise."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    light = 400 * np.exp(-np.hypot(x, y / 0.7) / 14)
    noise = np.random.default_rng(seed).normal(20, 3, light.shape)
    stream = BytesIO()
    fits.PrimaryHDU((light + noise).astype(np.float32)).writeto(stream)
    return stream.getvalue()


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
