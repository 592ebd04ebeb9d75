"""The drawer: a selection and a galaxy for every page; bars that select; walking; going back."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.explorer.brushing import parse_brushes
from galaxy_explorer.explorer.widgets.detail import GalaxyTab, catalogue_entries, format_value
from galaxy_explorer.explorer.widgets.drawer import CLUSTERS, TYPES, Drawer, SelectionTab
from galaxy_explorer.explorer.wording import typical_order


@pytest.fixture
def drawer(state, context) -> Drawer:
    return Drawer(state, context, lambda: None)


@pytest.fixture
def tab(drawer) -> SelectionTab:
    return drawer.made["selection"]


def bars(tab: SelectionTab, key: str) -> dict[int, dict]:
    (group,) = (one for one in tab.summary.groups if one["key"] == key)
    return {bar["key"]: bar for bar in group["bars"]}


def test_tabs_are_made_when_they_are_opened(state, context) -> None:
    aside = Drawer(state, context, lambda: None, on_map=False)
    assert aside.made == {}
    state.focus = 4
    assert set(aside.made) == {"galaxy"}
    assert (state.drawer, aside.head.active) == ("open", True)


def test_bars_count_everything_once(tab, state) -> None:
    counts, none = state.ttype_histogram(np.arange(len(state.bundle)))
    assert [bar["count"] for bar in bars(tab, TYPES).values()] == counts.tolist()
    assert f"{none:,} without T" in tab.summary.groups[0]["note"]
    state.select(range(50), "fifty")
    assert sum(bar["of"] for bar in bars(tab, TYPES).values()) == (state.t_classes[:50] >= 0).sum()
    assert tab.summary.count == "50 galaxies selected"
    state.select([3], "one")
    assert tab.summary.count == "1 galaxy selected"


@pytest.mark.parametrize(("group", "of"), [(TYPES, "t_classes"), (CLUSTERS, "labels")])
def test_a_bar_selects_its_galaxies_shift_adds_and_again_all(tab, state, group, of) -> None:
    state.select(range(0, 200, 2), "even")
    first, second = [key for key, bar in bars(tab, group).items() if bar["of"]][:2]
    places = getattr(state, of)
    tab.summary._handle_msg({"group": group, "bar": first, "add": False})
    inside = np.arange(0, 200, 2)
    np.testing.assert_array_equal(state.selection, inside[places[inside] == first])
    assert bars(tab, group)[first]["chosen"]
    assert bars(tab, group)[second]["of"] > 0  # the others stay, to be added
    tab.summary._handle_msg({"group": group, "bar": second, "add": True})
    wanted = np.isin(places[inside], [first, second])
    np.testing.assert_array_equal(state.selection, inside[wanted])
    assert state.selection_label.endswith(" of even")
    tab.summary._handle_msg({"group": group, "bar": second, "add": True})
    tab.summary._handle_msg({"group": group, "bar": first, "add": False})
    np.testing.assert_array_equal(state.selection, inside)
    assert state.selection_label == "even"


def test_bars_choose_among_what_passes_the_brushes(tab, state) -> None:
    state.brush(parse_brushes("magnitude:..15"))
    passed = state.selection
    assert 0 < len(passed) < 200
    assert (
        sum(bar["of"] for bar in bars(tab, TYPES).values()) == (state.t_classes[passed] >= 0).sum()
    )


def test_where_no_galaxy_passes_the_drawer_says_so_and_offers_to_clear(tab, drawer, state) -> None:
    for base in ((), [4, 9]):
        state.select(base, "two" if base else "")
        state.brush(parse_brushes("T:-5..-4;magnitude:..-100"))
        assert tab.summary.count == "0 galaxies"
        assert tab.summary.label == state.none_words
        assert tab.summary.actions == [["clear", "Clear"]]
        assert sum(bar["count"] for bar in bars(tab, CLUSTERS).values()) == 0
        assert tab.gallery.sheet.heading.startswith("No galaxy passes: ")
        assert tab.gallery.sheet.rows == [{"tiles": []}]
        drawer.head._handle_msg({"back": True})
        assert len(state.brushes) == 0
        assert tab.gallery.sheet.heading.startswith("Nothing selected")


@pytest.mark.parametrize(
    "message", [{}, {"do": "explode"}, {"group": "else", "bar": 1}, {"group": TYPES, "bar": "1"}]
)
def test_impossible_messages_change_nothing(tab, state, message) -> None:
    tab.summary._handle_msg(message)
    assert len(state.selection) == 0


def test_arrows_walk_through_the_selection_as_its_gallery_shows_it(drawer, state) -> None:
    state.select([4, 9, 30, 31], "four")
    order = typical_order(state.bundle.clusterings[state.clustering], state.selection)
    seen = []
    for _ in range(5):
        drawer.head._handle_msg({"walk": 1})
        seen.append(state.focus)
    assert seen == [*order, order[0]]
    drawer.head._handle_msg({"walk": -1})
    assert state.focus == order[-1]
    assert drawer.place() == "4 of 4"
    assert state.tab == "galaxy"
    assert state.selection.tolist() == [4, 9, 30, 31]


def test_with_nothing_selected_one_walks_through_the_cluster(drawer, state) -> None:
    state.focus = 8
    drawer.head._handle_msg({"walk": 1})
    assert state.labels[state.focus] == state.labels[8]


def test_escape_goes_back_from_galaxy_to_selection_to_nothing(drawer, state) -> None:
    state.select([4, 9], "two")
    state.focus = 9
    for expected in ((None, [4, 9]), (None, [])):
        drawer.head._handle_msg({"back": True})
        assert (state.focus, state.selection.tolist()) == expected
        assert state.tab == "selection"


def test_whoever_selects_turns_to_the_selection(drawer, state) -> None:
    state.focus = 9
    state.select([1, 2], "two")
    assert (state.tab, state.focus) == ("selection", 9)
    drawer.head._handle_msg({"tab": "galaxy"})
    assert (state.tab, state.focus) == ("galaxy", 9)


def test_the_galaxy_in_focus_is_told_with_its_pictures(drawer, state) -> None:
    state.focus = 7
    galaxy = drawer.made["galaxy"]
    assert isinstance(galaxy, GalaxyTab)
    told = galaxy.large.galaxy
    assert (told["row"], told["name"]) == (7, "galaxy-0007")
    assert [kind[0] for kind in galaxy.large.kinds] == ["reconstruction"]  # no survey here
    assert "@row.jpg" in galaxy.large.kinds[0][3]
    assert all(words in galaxy.facts.object for words in ("Position", "Hubble type", "Magnitude"))
    alike = [tile["id"] for tile in galaxy.alike.rows[0]["tiles"]]
    assert len(alike) == 12
    assert 7 not in alike


def test_what_a_galaxys_card_offers(drawer, state) -> None:
    state.focus = 7
    galaxy = drawer.made["galaxy"]
    galaxy.large._handle_msg({"do": "code_map"})
    model = state.bundle.manifest.display_model
    assert galaxy.code_map.codes == state.bundle.codes(model)[7].ravel().tolist()
    galaxy.large._handle_msg({"do": "label"})
    assert (state.page, state.label_way, state.selection.tolist()) == ("labels", "one", [7])
    galaxy.alike._handle_msg({"tile": 10**9})
    galaxy.large._handle_msg({"kind": "secret"})
    assert (state.focus, state.pictures) == (7, "reconstruction")


def test_a_galaxy_that_brushes_leave_out_is_labelled_all_the_same(drawer, state) -> None:
    magnitude = state.bundle.column("magnitude")
    state.focus = row = int(np.argmax(magnitude))
    told = []
    state.param.watch(lambda event: told.append(event.new.tolist()), "selection")
    state.brush(parse_brushes(f"source:{state.bundle.column('source')[row]};magnitude:..15"))
    assert row not in state.selection
    drawer.made["galaxy"].large._handle_msg({"do": "label"})
    assert (state.page, state.selection.tolist(), len(told)) == ("labels", [row], 2)
    assert [brush.column for brush in state.brushes.brushes] == ["source"]


def test_how_a_galaxy_is_drawn_is_shown_with_its_pixels(drawer, state) -> None:
    state.focus = 3
    galaxy = drawer.made["galaxy"]
    assert galaxy.pixels.object == ""  # nobody sees it
    galaxy.controls.active = [0]
    galaxy.drawing.draw_at_once()
    before = galaxy.pixels.object
    assert "<polygon" in before
    assert "0.2 % are darker" in before or "0.3 % are darker" in before
    state.display.percentile = 80
    galaxy.drawing.draw_at_once()
    assert "10.0 % are darker" in galaxy.pixels.object
    drawn = galaxy.pixels.object
    state.page_words = {"picture": "original"}  # of a link from where the survey is
    galaxy.drawing.draw_at_once()
    assert galaxy.pixels.object == drawn


def test_the_catalogue_is_told_in_words_with_units(state) -> None:
    entries, _ = catalogue_entries(state.bundle, 3)
    names = [one["name"] for one in entries]
    assert len(set(names)) == len(names)
    assert not any("_" in name for name in names)
    assert {
        "name": "Magnitude",
        "value": format_value(state.bundle.column("magnitude")[3], "mag"),
    } in entries


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (np.float64(-0.51234567), "mag", "−0.51235 mag"),
        (np.float32("nan"), "mag", ""),
        (3, "", "3"),
        (39627788403084375, "", "39627788403084375"),
        (True, "", "1"),
        ("Sb", "", "Sb"),
        (None, "mag", ""),
        (-2.0, "T", "−2"),
    ],
)
def test_values_are_written_as_readers_do(value, unit, words) -> None:
    assert format_value(value, unit) == words
