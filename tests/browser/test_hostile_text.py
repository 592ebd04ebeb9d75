"""Ten texts that would run as scripts, in labels and in the headers of files, run nowhere."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from playwright.sync_api import Page, expect

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.labels.log import Change, Provenance
from galaxy_explorer.labels.scheme import DEFAULT, MAX_NAME, LabelScheme, Term
from galaxy_explorer.labels.store import LabelStore
from tests.attacks.payloads import PAYLOADS, RAN
from tests.browser.conftest import PATIENCE_MS

pytestmark = pytest.mark.browser
TEXTS = [payload.replace("window.", "") for payload in PAYLOADS]
"""As the payloads, and short enough for a name."""
KEYS = "!#$%&*+=@~"
CARDS = (
    *("OBJECT", "FILTER", "BUNIT", "TELESCOP", "CTYPE1", "CUNIT2", "RADESYS"),
    *("DATE-OBS", "PIXSCALE"),
)
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def address(hst_address: str) -> str:
    """The app whose label log no other test reads."""
    return hst_address


def nothing_ran(page: Page) -> None:
    assert page.evaluate(RAN) is None
    assert page.locator("[onerror], [onload], [ontoggle], [onfocus], [onmouseover]").count() == 0


def write_labels(folder: Path) -> None:
    """Each text as an annotator, a label with words of its own, and a note, on every galaxy."""
    galaxies = load_bundle(folder / "bundle").column("galaxy_id").tolist()
    store = LabelStore(folder / "labels.db", Provenance("0" * 64, "none", "0"))
    terms = [Term(text, key, text, "feature") for text, key in zip(TEXTS, KEYS, strict=True)]
    store.edit_vocabulary("A", LabelScheme((*DEFAULT.terms, *terms)))
    for text, payload in zip(TEXTS, PAYLOADS, strict=True):
        assert len(text) <= MAX_NAME
        labels = [Change(galaxy, text, text) for galaxy in galaxies]
        store.record(text, labels + [Change(galaxy, "note", note=payload) for galaxy in galaxies])
    store.close()


def test_labels_notes_and_names(open_page, hst_folder) -> None:
    write_labels(hst_folder)
    page = open_page("labels", ".desk")
    page.get_by_label("Your name").fill(f"{TEXTS[1]} too")
    page.keyboard.press("Enter")
    page.locator(".term:not([disabled])").first.wait_for()
    page.get_by_role("switch").first.click()
    words = page.get_by_text("Who said what").locator("..")
    for text, payload in zip(TEXTS, PAYLOADS, strict=True):
        expect(words).to_contain_text(text)
        expect(words).to_contain_text(payload)
    labels = page.locator(".term").evaluate_all("all => all.map((one) => one.dataset.label)")
    assert set(TEXTS) < set(labels)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text(TEXTS[0])
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.type(PAYLOADS[0])
    page.keyboard.press("Enter")
    page.keyboard.press(KEYS[2])
    expect(page.locator(".desk-badge[data-state=saved]")).to_have_attribute("data-saved", "2")
    nothing_ran(page)


def linear_image(header: dict[str, str]) -> bytes:
    y, x = np.mgrid[-50:51, -50:51]
    pixels = 80 * np.exp(-np.hypot(x, 1.5 * y) / 9) + np.random.default_rng(0).normal(0, 1, x.shape)
    buffer = io.BytesIO()
    fits.PrimaryHDU(pixels.astype(np.float32), fits.Header(header)).writeto(buffer)
    return buffer.getvalue()


def test_headers_of_files(open_page) -> None:
    """Structural cards are quoted when a file is refused; the others of one that is examined."""
    page = open_page("my_galaxy", ".drop-field")
    field = page.locator("input[type=file]")
    for number, payload in enumerate(PAYLOADS):
        data = linear_image({})
        place = data.index(b"NAXIS1  ")
        data = data[:place] + f"NAXIS1  = {payload:<70.70}".encode() + data[place + 80 :]
        name = f"{number}{payload.replace('/', '')}.fits"
        field.set_input_files({"name": name, "mimeType": "image/fits", "buffer": data})
        page.locator("[role=status]", has_text=re.compile(rf"^\W*{number}.*NAXIS1")).wait_for()
    cards = dict(zip(CARDS, PAYLOADS, strict=False)) | {"HISTORY": PAYLOADS[9]}
    data = linear_image(cards)
    field.set_input_files({"name": "mine.fits", "mimeType": "image/fits", "buffer": data})
    expect(page.locator(".shots figure")).to_have_count(4)
    page.get_by_text("Look-alikes, most alike first").wait_for()
    nothing_ran(page)
