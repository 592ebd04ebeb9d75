"""The navigation in a browser: one page at a time, by keyboard too, on a narrow screen too."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def claims(open_page):
    return open_page("claims", ".card")


def test_a_link_opens_its_page_and_the_address_follows(claims):
    claims.get_by_role("link", name="Scoreboard").click()
    claims.locator(".score-group").first.wait_for()
    claims.locator(".card").first.wait_for(state="hidden")
    claims.wait_for_function("() => location.search.includes('page=scoreboard')")
    current = claims.locator(".pages a[aria-current=page]")
    assert current.all_inner_texts() == ["Scoreboard"]


def test_the_pages_are_one_stop_and_arrows_move_between_them(claims):
    claims.locator(".pages a[aria-current=page]").focus()
    claims.keyboard.press("ArrowLeft")
    focused = "() => [...document.querySelectorAll('*')].flatMap(function deep(node) {"
    focused += " return node.shadowRoot ? [node.shadowRoot.activeElement, ..."
    focused += "[...node.shadowRoot.querySelectorAll('*')].flatMap(deep)] : [] })"
    focused += ".filter(Boolean).map(node => node.dataset.page).filter(Boolean)[0]"
    claims.wait_for_function(f"() => ({focused})() === 'scoreboard'")
    assert claims.locator(".pages a[tabindex='0']").count() == 1
    claims.keyboard.press("Enter")
    claims.locator(".score-group").first.wait_for()


def test_no_page_is_out_of_reach_on_a_narrow_screen(claims):
    claims.set_viewport_size({"width": 1000, "height": 700})
    for name in ("Atlas", "Claims"):
        claims.get_by_role("link", name=name).scroll_into_view_if_needed()
        box = claims.get_by_role("link", name=name).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1000
    toggle = claims.get_by_label("Toggle theme").bounding_box()
    assert toggle["x"] + toggle["width"] <= 1000
