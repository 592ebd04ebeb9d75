"""Navigation in a browser: one page at a time, by keyboard too, on a narrow screen too."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser
OPENER = "Behind the map"


@pytest.fixture
def claims(open_page):
    return open_page("claims", ".card")


def test_a_link_opens_its_page_and_the_address_follows(claims):
    assert claims.get_by_role("link", name="Scoreboard").count() == 0  # the menu is shut
    claims.get_by_role("button", name=OPENER).click()
    claims.get_by_role("link", name="Scoreboard").click()
    claims.locator(".score-group").first.wait_for()
    claims.locator(".card").first.wait_for(state="hidden")
    claims.wait_for_function("() => location.search.includes('page=scoreboard')")
    current = claims.locator(".pages a[aria-current=page]")
    assert {words.strip() for words in current.all_inner_texts()} == {"Scoreboard"}
    claims.go_back()
    claims.locator(".card").first.wait_for()


def test_a_link_opens_a_queue_of_labels_as_it_was(open_page):
    page = open_page("labels&queue=cluster&way=grid&cluster=3", ".desk-name")
    page.get_by_role("button", name="Grid of 24", pressed=True).wait_for()
    page.get_by_role("combobox", name="Queue").get_by_text("One cluster").wait_for()
    page.get_by_role("combobox", name="Cluster").get_by_text("3, ").wait_for()


def test_the_menu_is_worked_by_keys(claims):
    opener = claims.get_by_role("button", name=OPENER)
    opener.focus()
    claims.keyboard.press("Enter")
    assert opener.get_attribute("aria-expanded") == "true"
    claims.keyboard.press("ArrowDown")
    focused = "() => [...document.querySelectorAll('*')].flatMap(function deep(node) {"
    focused += " return node.shadowRoot ? [node.shadowRoot.activeElement, ..."
    focused += "[...node.shadowRoot.querySelectorAll('*')].flatMap(deep)] : [] })"
    focused += ".filter(Boolean).map(node => node.dataset.page).filter(Boolean)[0]"
    first = claims.evaluate(f"({focused})()")
    claims.keyboard.press("ArrowDown")
    assert first
    assert claims.evaluate(f"({focused})()") not in {first, None}
    claims.keyboard.press("Escape")
    assert opener.get_attribute("aria-expanded") == "false"
    claims.get_by_role("link", name="Label", exact=True).focus()
    claims.keyboard.press("Enter")
    claims.wait_for_function("() => location.search.includes('page=labels')")


@pytest.mark.parametrize("width", [390, 700, 1000])
def test_no_page_is_out_of_reach_on_a_narrow_screen(claims, width):
    claims.set_viewport_size({"width": width, "height": 700})
    opener = claims.locator(".opener")
    opener.click()
    for name in ("Scoreboard", "Claims", "Map"):
        box = claims.get_by_role("link", name=name, exact=True).last.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    toggle = claims.get_by_label("Toggle theme").bounding_box()
    assert toggle["x"] + toggle["width"] <= width


@pytest.mark.parametrize("former", ["find", "clusters", "trend"])
def test_addresses_of_before_open_the_map(open_page, former):
    page = open_page(former)
    page.wait_for_function("() => location.search.includes('page=atlas')")
    if former != "find":
        page.locator(".clusters").first.wait_for()
