"""What the map of many galaxies costs a visitor: `python -m benchmarks.million_map BUNDLE ...`.

Serves each bundle, lets one visitor warm the server up, and prints of the next one: seconds to the
first galaxies, bytes by websocket and by HTTP, processor time of the server and, a frame of a pan,
of the browser (software rendering); then the messages of a lasso around 30 % of all galaxies.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from galaxy_explorer.bundle import load_bundle
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from tests.app_server import served
from tests.attacks.visitors import held, server_process
from tests.browser_path import FLAGS, find

SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 300_000
SHARE = 0.3
FRAMES = 40
MAP = "Bokeh.documents[0].get_model_by_name('map')"
# A pan of a few pixels, to the frame that shows it.
PAN = f"""async (frames) => {{
  const {{x_range: range}} = {MAP}
  for (let i = 0; i < frames; i++) {{
    const by = (i % 20 < 10 ? 1 : -1) * (range.end - range.start) / 200
    range.setv({{start: range.start + by, end: range.end + by}})
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  }}
}}"""
ZOOM = f"""(width) => {{
  const {{x_range: x, y_range: y}} = {MAP}
  const share = width / (x.end - x.start)
  for (const range of [x, y]) {{
    const middle = 0.45, half = share * (range.end - range.start) / 2
    range.setv({{start: middle - half, end: middle + half}})
  }}
}}"""
SCREEN = f"""([x, y]) => {{
  const view = Bokeh.index.find_one({MAP}), box = view.canvas_view.el.getBoundingClientRect()
  return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)]
}}"""
PAINTED = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0"""


def cpu(process: Path) -> float:
    """Seconds of processor that a process has taken; 0 where it has ended."""
    try:
        taken = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, taken)) / os.sysconf("SC_CLK_TCK")


def settle(process: Path) -> None:
    """Wait until a process has done what it does in the background."""
    last = -1.0
    while (now := cpu(process)) > last + 0.1:
        last = now
        time.sleep(3)


def browser_processes() -> list[Path]:
    """The browser's processes, which descend from this one."""
    parents: dict[str, list[Path]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(parent, []).append(path)
    found, left = [], [str(os.getpid())]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += [path.name for path in children]
    return [path for path in found if "chrom" in (path / "comm").read_text()]


def browser_cpu(processes: list[Path]) -> float:
    """Seconds of processor that they have taken together."""
    return sum(map(cpu, processes))


@dataclass
class Traffic:
    """Bytes that a page got and sent: frames of the websocket, and answers by kind."""

    received: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    def watch(self, page: Page) -> None:
        """Count from now on."""
        page.on("websocket", self._socket)
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        addresses: dict[str, str] = {}
        session.on(
            "Network.responseReceived",
            lambda event: addresses.update({event["requestId"]: event["response"]["url"]}),
        )
        session.on("Network.loadingFinished", lambda event: self._finished(event, addresses))

    def _socket(self, socket: object) -> None:
        socket.on("framereceived", lambda frame: self.received.append(len(frame)))  # type: ignore[attr-defined]
        socket.on("framesent", lambda frame: self.sent.append(len(frame)))  # type: ignore[attr-defined]

    def _finished(self, event: dict[str, object], addresses: dict[str, str]) -> None:
        address = addresses.get(str(event["requestId"]), "")
        kind = "pictures" if "/stamps/" in address else "scripts and styles"
        size = int(event["encodedDataLength"])  # type: ignore[call-overload]
        self.answers[kind] = self.answers.get(kind, 0) + size


def opened(browser: Browser, address: str) -> tuple[Page, Traffic, float]:
    """A new visitor's page, all of it there; what came; seconds to the first galaxies."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    page, traffic = context.new_page(), Traffic()
    traffic.watch(page)
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(
        """() => [...document.querySelectorAll("#splash img")].some((one) => one.naturalWidth)
          || globalThis.Bokeh?.documents[0]?.get_model_by_name("map")"""
    )
    first = time.perf_counter() - start
    page.locator(".gallery[data-painted]").first.wait_for()
    page.locator("#splash").wait_for(state="detached")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3000)
    return page, traffic, first


def pan(page: Page, words: str) -> None:
    """Print what a frame of a pan takes of the browser."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2000)
    page.evaluate(PAN, 10)
    page.wait_for_load_state("networkidle")
    processes = browser_processes()
    before, start = browser_cpu(processes), time.perf_counter()
    page.evaluate(PAN, FRAMES)
    wall = time.perf_counter() - start
    each = 1e3 * (browser_cpu(processes) - before) / FRAMES
    print(
        f"  pan, {words}: {each:.0f} ms CPU of the browser a frame, {1e3 * wall / FRAMES:.0f} wall"
    )


def lasso(page: Page, bundle_path: Path, traffic: Traffic, process: Path) -> None:
    """Draw around SHARE of the galaxies; print what went each way."""
    bundle = load_bundle(bundle_path)
    points = map_tiles(bundle, bundle.manifest.default_clustering).points
    right = float(np.quantile(points[:, 0], SHARE))
    corners = np.array([[0.01, 0.01], [right, 0.01], [right, 0.99], [0.01, 0.99]])
    page.locator(".bk-tool-icon-lasso-select").click()
    page.wait_for_timeout(2000)
    places = [page.evaluate(SCREEN, corner) for corner in corners.tolist()]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]]:
        page.mouse.move(*place, steps=50)
    sent, received, taken = len(traffic.sent), len(traffic.received), cpu(process)
    while_drawn = sent
    page.mouse.up()
    page.get_by_text("drawn on the map").first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(4000)
    words = page.get_by_text("drawn on the map").first.inner_text()
    back = sorted(traffic.received[received:])
    print(f"  lasso: {words}; sent {sum(traffic.sent[sent:]):,} bytes, none while it was drawn:"
          f" {while_drawn == sent}; {cpu(process) - taken:.2f} s CPU of the server")  # fmt: skip
    print(f"  back: {sum(back):,} bytes, of which the sheet of the gallery {back[-1]:,}")


def measure(browser: Browser, bundle: Path) -> None:
    """Print all figures of a bundle."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(bundle=bundle.resolve(), labels=f"{folder}/l.db", cache=folder) as address,
    ):
        process = server_process(address)
        opened(browser, address)[0].context.close()
        settle(process)
        before = cpu(process)
        page, traffic, first = opened(browser, address)
        print(f"{bundle.name}: second visitor; load average {os.getloadavg()[0]:.0f}")
        print(f"  first galaxies after {first:.2f} s wall, painted {page.evaluate(PAINTED):.0f} ms")
        print(f"  {cpu(process) - before:.2f} s CPU of the server, {held(process)[2]:.0f} MB")
        print(f"  websocket {sum(traffic.received):,} bytes in, {sum(traffic.sent):,} out")
        for kind, size in traffic.answers.items():
            print(f"  {kind} {size:,} bytes")
        pan(page, "all of the map")
        page.evaluate(ZOOM, 0.1)
        pan(page, "a tenth of it")
        page.evaluate(ZOOM, 2)  # clear of the words above and the brushes below
        lasso(page, bundle, traffic, process)
        page.context.close()


def main() -> None:
    """Measure bundles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path)
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
        for bundle in asked.bundles:
            measure(browser, bundle)
        browser.close()


if __name__ == "__main__":
    main()
