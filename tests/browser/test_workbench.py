"""Find, take home, My galaxy in a browser; and text that must never run as a script."""

from __future__ import annotations

import io
import re
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from galaxy_explorer.utils.tables import decode_table
from tests.attacks.payloads import PAYLOADS, RAN
from tests.browser.conftest import PATIENCE_MS, SIZE, watch

pytestmark = pytest.mark.browser
FIELD = "Find galaxies"


def ask(page, text: str) -> None:
    box = page.get_by_role("searchbox", name=FIELD)
    box.fill(text)
    box.press("Enter")


@pytest.fixture
def find(open_page):
    page = open_page("find")
    expect.set_options(timeout=PATIENCE_MS)
    return page


def test_a_search_is_shown_selected_and_taken_home(find, browser, complaints):
    ask(find, "T < 0 and cluster < 9")
    find.locator(".chosen-words span", has_text="T < 0 and cluster < 9").wait_for()
    count = re.match("[0-9]+", find.locator(".chosen-words b").inner_text())[0]
    find.get_by_text(f"{count} galaxies, T < 0 and cluster < 9").first.wait_for()
    find.locator(".gallery .tile").first.click()
    find.locator(".galaxy[data-row]").wait_for()
    galaxy = find.locator(".galaxy-name").inner_text()
    assert find.get_by_role("link", name="SIMBAD").get_attribute("href").startswith("https://")
    find.get_by_role("button", name="Take it home: table, figures, link, citation").click()
    find.get_by_text("Link that reopens this view").wait_for()
    with find.expect_download(timeout=120_000) as download:
        find.get_by_role("button", name="Table ECSV").click()
    table = decode_table(download.value.path().read_bytes(), "ecsv")
    assert len(table) == int(count)
    assert (table["ttype"] < 0).all()
    assert table.meta["selection"] == "T < 0 and cluster < 9"
    link = find.get_by_role("textbox", name="Link that reopens this view").input_value()
    assert len(link) < 2048
    assert link in find.get_by_role("textbox", name="Cite this view").input_value()
    reopened = browser.new_context(viewport=SIZE)
    reopened.set_default_timeout(PATIENCE_MS)
    page = reopened.new_page()
    watch(page, complaints)
    page.goto(link)
    expect(page.locator(".galaxy-name")).to_have_text(galaxy)
    page.get_by_role("tab", name="Selection").click()
    page.get_by_text(f"{count} galaxies, T < 0 and cluster < 9").first.wait_for()
    reopened.close()


def test_look_alikes_and_odd_ones_carry_their_figures(find):
    ask(find, "galaxy-0007")
    find.locator(".galaxy-name", has_text="galaxy-0007").wait_for()
    find.get_by_text("Look-alikes, nearest first").wait_for()
    find.get_by_role("button", name="Select these look-alikes").click()
    expect(find.locator(".tile-note").first).to_have_text("d 0.00")
    find.locator(".chosen-words span", has_text="look-alikes of galaxy-0007").wait_for()
    find.get_by_role("button", name="More ways to select").click()
    find.get_by_role("button", name="Odd ones out").click()
    expect(find.locator(".tile-note").first).to_have_text(re.compile(r"error [0-9.]+ · alone"))


def test_a_search_in_vain_says_why(open_page):
    page = open_page()
    ask(page, "cluster = 5")
    page.locator(".chosen-words span", has_text=re.compile("^cluster = 5$")).wait_for()
    ask(page, "nonsense < 5")
    page.get_by_text("there is no column 'nonsense'").wait_for()


def test_a_picture_of_mine_is_examined(open_page):
    page = open_page("my_galaxy", ".drop-field")
    y, x = np.mgrid[-32:32, -32:32]
    buffer = io.BytesIO()
    Image.fromarray((220 * np.exp(-np.hypot(x, 2 * y) / 9)).astype(np.uint8)).save(buffer, "PNG")
    field = page.locator("input[type=file]")
    field.set_input_files({"name": "no.png", "mimeType": "image/png", "buffer": b"nothing"})
    page.get_by_text("neither FITS, PNG nor JPEG").wait_for()
    field.set_input_files({"name": "m.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    expect(page.locator(".shots figure")).to_have_count(4, timeout=PATIENCE_MS)
    page.get_by_role("button", name="Place on the map and codes").click()
    page.locator(".code-map-cell").first.wait_for()
    alike = page.get_by_role("group", name="Look-alikes, most alike first")
    expect(alike.locator(".tile-note").first).to_have_text(re.compile(r"^(no T|T −?\d)"))
    found = alike.get_by_role("button").evaluate_all("all => all.map((one) => one.dataset.tile)")
    page.get_by_role("button", name="Select these look-alikes").click()
    page.get_by_role("link", name="Map", exact=True).click()
    page.locator(".chosen-words span", has_text="look-alikes of my galaxy").wait_for()
    chosen = page.get_by_role("group", name="look-alikes of my galaxy")
    expect(chosen.locator(".tile-note").first).to_have_text(re.compile(r"^d \d"))
    rows = chosen.get_by_role("button").evaluate_all("all => all.map((one) => one.dataset.tile)")
    assert rows == found
    page.get_by_role("link", name="My galaxy", exact=True).click()
    page.get_by_role("button", name="Forget it").click()
    page.locator(".shots").wait_for(state="hidden")


def test_script_in_text_runs_nowhere(browser, address, complaints):
    """Ten texts in every field: address, searches, names of files and galaxies, link, citation."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    watch(page, complaints)
    words = ("model", "compare", "colour", "pictures", "display", "selection", "galaxy", "bundle")
    query = "&".join(f"{w}={quote(p)}" for w, p in zip(words, PAYLOADS, strict=False))
    page.goto(f"{address}?page=find&{query}&extra={quote(PAYLOADS[8])}")
    page.get_by_text("The link asks for model").first.wait_for()
    page.locator(".gallery[data-painted]").first.wait_for()
    for number, payload in enumerate(PAYLOADS):
        ask(page, f"galaxy_id ~ q{number} {payload}")
        page.get_by_text(f"galaxy_id ~ q{number} ").first.wait_for()
    ask(page, "galaxy_id ~ itRan")  # the galaxies whose names are such texts
    page.get_by_text(f"{len(PAYLOADS)} galaxies, galaxy_id ~ itRan").first.wait_for()
    page.locator(".gallery .tile").first.click()
    page.locator(".galaxy-name", has_text="itRan").wait_for()
    page.get_by_role("button", name="Select these look-alikes").click()
    page.get_by_text("look-alikes of").first.wait_for()
    page.get_by_role("tab", name="Galaxy").click()
    page.locator(".galaxy-name", has_text="itRan").wait_for()
    page.get_by_role("button", name="Take it home: table, figures, link, citation").click()
    link = page.get_by_role("textbox", name="Link that reopens this view").input_value()
    assert "itRan" in parse_qs(urlsplit(link).query)["galaxy"][0]
    page.keyboard.press("Escape")
    page.get_by_role("link", name="My galaxy", exact=True).click()
    for payload in (PAYLOADS[1], PAYLOADS[3]):
        name = f"{payload.replace('/', '')}.png"
        file = {"name": name, "mimeType": "image/png", "buffer": b"no picture"}
        page.locator("input[type=file]").set_input_files(file)
        page.locator("[role=status]", has_text="neither FITS, PNG nor JPEG").wait_for()
    assert page.evaluate(RAN) is None
    assert page.locator("[onerror], [onload], [ontoggle], [onfocus]").count() == 0
    context.close()
    assert complaints == []
