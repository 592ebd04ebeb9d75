"""The app in a browser: served once, every page watched for complaints and foreign requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from galaxy_explorer.bundle.evaluation import CLAIMS, EVALUATION
from galaxy_explorer.bundle.writer import add_files
from tests.app_server import served
from tests.attacks.payloads import PAYLOADS
from tests.browser_path import FLAGS, find
from tests.small_bundle import write_small_bundle
from tests.small_evaluation import small_evaluation
from tests.small_psf_bundle import write_small_hst_survey, write_small_psf_bundle

N_GALAXIES = 600
SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 120_000  # software rendering on a loaded machine
# No --use-gl: WebGL is drawn in software without it, and so would be the whole page with it.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
OWN = ("http://localhost:", "ws://localhost:", "data:", "blob:")


@pytest.fixture(scope="session")
def label_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that the app writes labels to."""
    return tmp_path_factory.mktemp("labels") / "labels.db"


@pytest.fixture(scope="session")
def small_app(tmp_path_factory: pytest.TempPathFactory, label_log: Path) -> dict[str, Path]:
    """Settings of an app that shows a small bundle."""
    folder = tmp_path_factory.mktemp("app")
    bundle = write_small_bundle(folder / "small", n=N_GALAXIES, names=PAYLOADS)
    evaluation = small_evaluation(N_GALAXIES, {"k512-modern-8x8/codes": 64}).to_bytes()
    files = {EVALUATION: evaluation, CLAIMS: b"# Claims\n\nRandom numbers.\n"}
    add_files(bundle, files, lambda manifest: f"# {manifest.name}\n")
    return {"bundle": bundle, "cache": folder / "cache", "labels": label_log}


@pytest.fixture(scope="session")
def address(small_app: dict[str, Path]) -> Iterator[str]:
    """Where the app shows a small bundle."""
    with served(**small_app) as where:
        yield where


@pytest.fixture(scope="session")
def hst_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with a PSF model, and its survey."""
    folder = tmp_path_factory.mktemp("hst")
    survey = write_small_hst_survey(folder / "survey")
    write_small_psf_bundle(folder / "bundle", survey)
    return folder


@pytest.fixture(scope="session")
def hst_address(hst_folder: Path) -> Iterator[str]:
    """Where the app shows it."""
    places = {name: hst_folder / name for name in ("bundle", "survey", "cache")}
    with served(labels=hst_folder / "labels.db", **places) as where:
        yield where


@pytest.fixture(scope="package")
def driver() -> Iterator[Playwright]:
    """Closed before other tests run: while it is open, its event loop is the thread's."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(driver: Playwright) -> Iterator[Browser]:
    """Chromium."""
    started = driver.chromium.launch(executable_path=find(), args=[*FLAGS, *QUIET])
    yield started
    started.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors on the console, failed requests and requests to other hosts, as they happen."""
    return []


@pytest.fixture
def frames_sent() -> list[str]:
    """Websocket frames that the page sent."""
    return []


@pytest.fixture
def requests() -> list[str]:
    """Addresses that the page asked for."""
    return []


@pytest.fixture
def open_page(
    address: str,
    browser: Browser,
    complaints: list[str],
    frames_sent: list[str],
    requests: list[str],
) -> Iterator[Callable[..., Page]]:
    """Open a page of the app by name; at the end nothing may have been complained of."""
    context = browser.new_context(viewport=SIZE, color_scheme="dark")
    context.set_default_timeout(PATIENCE_MS)

    def note_frame(frame: str) -> None:  # playwright cannot take a method of a list
        frames_sent.append(frame)

    def open_named(name: str = "", ready: str = ".gallery[data-painted]") -> Page:
        page = context.new_page()
        watch(page, complaints)
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: socket.on("framesent", note_frame))
        before = len(loaded())
        page.goto(f"{address}?page={name}" if name else address)
        page.get_by_label("Toggle theme").wait_for()
        page.locator(ready).first.wait_for()
        while len(loaded()) == before:  # until then the page answers nothing
            page.wait_for_timeout(50)
        return page

    def loaded() -> list[str]:
        return [frame for frame in frames_sent if "document_ready" in frame]

    yield open_named
    context.close()
    assert complaints == []


@contextmanager
def elsewhere(page: Page, word: str) -> Iterator[Page]:
    """What the address bar of a page says, once it says `word`, opened in a fresh browser."""
    page.wait_for_function("word => location.search.includes(word)", arg=word)
    browser = page.context.browser
    assert browser is not None
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    opened.goto(page.url)
    yield opened
    context.close()


def watch(page: Page, complaints: list[str]) -> None:
    """Note whatever a page complains of, and every request that leaves the machine."""
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            complaints.append(f"console: {message.text}") if message.type == "error" else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(OWN) else complaints.append(f"foreign: {request.url}")
        ),
    )
    page.on(
        "response",
        lambda response: (
            complaints.append(f"{response.status}: {response.url}")
            if response.status >= 400
            else None
        ),
    )
