"""Pictures of the real app: `python -m benchmarks.screenshots FOLDER`, `--readme` or `--docs`.

FOLDER gets every page, light and dark, at 1440x900 and 1000x700 (a page that the bundle has
nothing for shows the atlas); `--readme` renews the picture of the README, `--docs` those of the
tutorial, which show the bundle that comes with the package. Exits with a sentence if a page writes
an error to the console or asks another host.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from galaxy_explorer.bundle.bundle import demo_folder, load_demo
from galaxy_explorer.explorer.pages.registry import PAGES
from tests.app_server import served
from tests.browser_path import FLAGS, find

ROOT = Path(__file__).resolve().parent.parent
README_PICTURE = ROOT / "screenshot.webp"
DOCS_FOLDER = ROOT / "docs" / "pictures"
DOCS_PICTURES = {
    "atlas": "page=atlas",
    "atlas-ttype": "page=atlas&colour=ttype",
    "galaxy": "page=atlas&galaxy=NGC3893",
    "clusters": "page=atlas&clusters=histograms",
    "find": "page=atlas",
    "my-galaxy": "page=my_galaxy",
    "emulator": "page=emulator",
    "labels": "page=labels",
}
"""Pictures of the documentation by name: the query of the address that each shows."""
DOCS_SIZE = (1280, 800)
DRAWN_MS = 30_000  # samples, which are drawn while one looks
EXAMINED_MS = 300_000  # a galaxy of one's own, on a machine with other work
ASKED = "T > 4 and cluster = 4"
OWN = "NGC3893"
SIZES = ((1440, 900), (1000, 700))
THEMES = ("light", "dark")
SETTLE_MS = 4000  # map tiles and sheets that follow the page
MIDDLE_GREY = 128
COMPLAINTS: set[str] = set()


def opened(browser: Browser, address: str, size: tuple[int, int], theme: str) -> Page:
    """Open one page of the app as a new visitor, in the theme that is asked for."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.on("console", note_error)
    page.on("request", note_foreign)
    page.goto(address)
    page.get_by_label("Toggle theme").wait_for()
    page.wait_for_timeout(SETTLE_MS)
    if is_dark(page) != (theme == "dark"):
        page.get_by_label("Toggle theme").click()
        page.wait_for_timeout(SETTLE_MS)
    return page


def is_dark(page: Page) -> bool:
    """Whether most of what is shown is dark."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
    return picture.resize((1, 1), Image.Resampling.BOX).tobytes()[0] < MIDDLE_GREY


def note_error(message: ConsoleMessage) -> None:
    """Note an error that a page wrote to the console."""
    if message.type == "error":
        COMPLAINTS.add(message.text)


def note_foreign(request: Request) -> None:
    """Note a request that leaves the machine."""
    if not request.url.startswith(("http://localhost:", "data:", "blob:")):
        COMPLAINTS.add(request.url)


def save_all(browser: Browser, address: str, folder: Path) -> None:
    """Every page, size and theme into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, size, theme in itertools.product(PAGES, SIZES, THEMES):
        page = opened(browser, f"{address}?page={name}", size, theme)
        page.screenshot(path=folder / f"{name}-{size[0]}x{size[1]}-{theme}.png")
        page.context.close()


def save_readme(browser: Browser, address: str) -> None:
    """The map as a small WebP."""
    page = opened(browser, address, SIZES[0], "dark")
    page.mouse.move(0, SIZES[0][1] - 1)  # off the button whose hint would be in the picture
    page.wait_for_timeout(2 * SETTLE_MS)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.save(README_PICTURE, quality=80, method=6)
    page.context.close()


def act(page: Page, name: str) -> None:
    """Do what the reader of the tutorial does on a page."""
    match name:
        case "atlas-ttype":
            page.get_by_role("button", name="View").click()
            page.get_by_text("Dots", exact=True).click()
        case "galaxy":
            page.get_by_text("Look-alikes, nearest first").wait_for()
        case "find":
            box = page.get_by_role("searchbox", name="Find galaxies")
            box.fill(ASKED)
            box.press("Enter")
        case "my-galaxy":
            file = {"name": f"{OWN}.png", "mimeType": "image/png", "buffer": own_galaxy()}
            page.locator("input[type=file]").set_input_files(file)
            found = page.get_by_role("button", name="Select these look-alikes")
            found.wait_for(timeout=EXAMINED_MS)
        case "labels":
            page.get_by_label("Your name").fill("Ada")
            page.keyboard.press("Enter")


def own_galaxy() -> bytes:
    """A PNG to drop: a galaxy of the demo as its model draws it."""
    demo = load_demo()
    row = np.flatnonzero(demo.column("galaxy_id") == OWN)
    drawn = demo.decode(demo.manifest.display_model, row)[0].clip(0, 1).transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray((255 * drawn).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def save_docs(browser: Browser, address: str, names: Iterable[str]) -> None:
    """Pictures of the tutorial, as WebP of some tens of kB."""
    DOCS_FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        page = opened(browser, f"{address}?{DOCS_PICTURES[name]}", DOCS_SIZE, "light")
        act(page, name)
        page.mouse.move(0, DOCS_SIZE[1] - 1)
        page.wait_for_timeout(DRAWN_MS if name == "emulator" else 2 * SETTLE_MS)
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.save(DOCS_FOLDER / f"{name}.webp", quality=75, method=6)
        page.context.close()


def main() -> None:
    """Take the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the pictures of all pages go")
    parser.add_argument("--readme", action="store_true", help="renew the picture of the README")
    parser.add_argument("--docs", action="store_true", help="renew the pictures of the tutorial")
    parser.add_argument("--only", nargs="+", choices=DOCS_PICTURES, help="of the tutorial, these")
    other = "the bundle to show; else trained/sdss or, with --docs, the demo"
    parser.add_argument("--bundle", help=other)
    asked = parser.parse_args()
    if asked.folder is None and not asked.readme and not asked.docs:
        parser.error("name a folder, or say --readme or --docs")
    bundle = asked.bundle or (demo_folder() if asked.docs else "trained/sdss")
    with (
        TemporaryDirectory() as folder,
        served(bundle=bundle, labels=Path(folder) / "labels.db") as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
        if asked.folder is not None:
            save_all(browser, address, asked.folder)
        if asked.docs:
            save_docs(browser, address, asked.only or DOCS_PICTURES)
        if asked.readme:
            save_readme(browser, address)
        browser.close()
    if COMPLAINTS:
        sys.exit("the pages complained:\n" + "\n".join(sorted(COMPLAINTS)))


if __name__ == "__main__":
    main()
