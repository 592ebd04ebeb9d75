"""The map: what a visitor may ask of it, and where the names of clusters stand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from galaxy_explorer.explorer.pages.atlas import AtlasPage
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from galaxy_explorer.explorer.plots.galaxy_map import (
    FRAME_PIXELS,
    LETTER,
    LINE,
    NAME_ZOOMS,
    NEVER,
    cluster_centres,
    free_zooms,
)
from galaxy_explorer.explorer.plots.gestures import Cell, Name, Region, combined, parse_asked

LASSO = {"kind": "lasso", "xy": [0.1, 0.1, 0.9, 0.1, 0.5, 0.9], "mode": "replace"}


def test_what_the_browser_sends_is_understood() -> None:
    region = parse_asked({**LASSO, "count": 3})
    assert isinstance(region, Region)
    assert region.outline.tolist() == [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
    box = parse_asked({"kind": "box", "xy": [0, 0.2, 1, 0.4], "mode": "append"})
    assert isinstance(box, Region)
    assert box.outline.tolist() == [[0, 0.2], [1, 0.2], [1, 0.4], [0, 0.4]]
    assert parse_asked({"kind": "tap", "cell": [16, 3, 15]}) == Cell(16, 3, 15)
    shift = {"kind": "tap", "cell": [16, 3, 15], "mode": "append"}
    assert parse_asked(shift) == Cell(16, 3, 15, add=True)
    assert parse_asked({"kind": "name", "cluster": 5}) == Name(5)
    assert parse_asked({"kind": "clear"}) is None


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"kind": "else"},
        {**LASSO, "mode": "explode"},
        {**LASSO, "xy": "0.1"},
        {**LASSO, "xy": []},
        {**LASSO, "xy": [0.1, 0.2, 0.3]},
        {**LASSO, "xy": [0.1, math.nan] * 4},
        {**LASSO, "xy": [0.1, math.inf] * 4},
        {**LASSO, "xy": [0.1, "0.2"] * 4},
        {**LASSO, "xy": [0.1] * 4000},
        {"kind": "box", "xy": [0, 1], "mode": "replace"},
        {"kind": "box", "xy": [0] * 8, "mode": "replace"},
        {"kind": "tap"},
        {"kind": "name"},
        {"kind": "name", "cluster": -1},
        {"kind": "name", "cluster": True},
        {"kind": "tap", "cell": [16, 3]},
        {"kind": "tap", "cell": [16, 16, 0]},
        {"kind": "tap", "cell": [16, -1, 0]},
        {"kind": "tap", "cell": [15, 1, 0]},
        {"kind": "tap", "cell": [2**40, 1, 0]},
        {"kind": "tap", "cell": [16, True, 0]},
        {"kind": "tap", "cell": [16.0, 1, 0]},
    ],
)
def test_nothing_else_is(message) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_asked(message)


def test_regions_add_to_the_selection_as_sets_do() -> None:
    before, rows = np.array([1, 3, 5]), np.array([3, 4])
    made = {m: combined(before, rows, m).tolist() for m in ("replace", "append", "intersect")}
    assert made == {"replace": [3, 4], "append": [1, 3, 4, 5], "intersect": [3]}
    assert combined(before, rows, "subtract").tolist() == [1, 5]


@pytest.fixture
def page(context, state) -> AtlasPage:
    return AtlasPage(state, context)


def cell_of(page: AtlasPage, row: int) -> list[int]:
    """A small cell with a galaxy in it."""
    side = 2**12
    return [side, *(int(one * side) for one in map_tiles(*shown_by(page)).point_of(row))]


def shown_by(page: AtlasPage):
    return page.state.bundle, page.state.clustering


def test_a_lasso_selects_what_is_in_it(page, state) -> None:
    tiles = map_tiles(*shown_by(page))
    page._on_map(LASSO)
    np.testing.assert_array_equal(
        state.selection, tiles.inside(np.array(LASSO["xy"]).reshape(-1, 2))
    )
    assert state.selection_label == "drawn on the map"
    n = len(state.selection)
    page._on_map({"kind": "box", "xy": [0.3, 0.3, 0.6, 0.6], "mode": "subtract"})
    assert 0 < len(state.selection) < n
    page._on_map({"kind": "nonsense"})
    page._on_map({"kind": "clear"})
    assert len(state.selection) == 0


def test_a_click_opens_who_is_shown_and_keeps_the_selection(page, state) -> None:
    state.select([3, 4, 5], "three")
    page._on_map({"kind": "tap", "cell": cell_of(page, 5)})
    assert (state.focus, state.tab, state.drawer) == (5, "galaxy", "open")
    assert state.selection.tolist() == [3, 4, 5]
    marked = page.map.figure.select_one({"name": "mark"}).data
    np.testing.assert_allclose(
        [marked["x"][0], marked["y"][0]], map_tiles(*shown_by(page)).point_of(5)
    )
    page._on_map({"kind": "clear"})
    assert state.selection.tolist() == []
    assert state.focus == 5
    page._on_map({"kind": "clear"})
    assert state.focus is None
    assert page.map.figure.select_one({"name": "mark"}).data["x"] == []


def test_the_galaxy_in_focus_is_not_marked_where_a_selected_one_has_its_place(page, state) -> None:
    state.focus = 5
    state.select([4, 6], "others")
    assert page.map.figure.select_one({"name": "mark"}).data["x"] == []
    state.select([4, 5], "with it")
    assert len(page.map.figure.select_one({"name": "mark"}).data["x"]) == 1


def test_a_click_with_shift_adds_and_takes_away(page, state) -> None:
    for row in (5, 9):
        page._on_map({"kind": "tap", "cell": cell_of(page, row), "mode": "append"})
    assert state.selection.tolist() == [5, 9]
    page._on_map({"kind": "tap", "cell": cell_of(page, 5), "mode": "append"})
    assert state.selection.tolist() == [9]
    assert state.selection_label == state.bundle.column("galaxy_id")[9]
    assert state.focus is None


def test_the_name_of_a_cluster_selects_it(page, state) -> None:
    page._on_map({"kind": "name", "cluster": 3})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(state.labels == 3))
    page._on_map({"kind": "name", "cluster": 10**6})
    np.testing.assert_array_equal(state.selection, np.flatnonzero(state.labels == 3))


def test_the_map_of_a_visitor_holds_nothing_of_each_galaxy(page, state) -> None:
    """Neither places nor names nor rows: a selection of many changes addresses alone."""
    lengths = [
        len(column)
        for model in page.map.figure.references()
        if hasattr(model, "column_names")
        for column in model.data.values()
    ]
    assert max(lengths) <= len(cluster_centres(state.bundle, state.clustering))
    before = {r.tile_source.url for r in page.map.figure.renderers if hasattr(r, "tile_source")}
    state.select(range(0, 200, 2), "half")
    after = {r.tile_source.url for r in page.map.figure.renderers if hasattr(r, "tile_source")}
    assert not before & after
    assert all(len(url) < 300 for url in after)
    lengths_then = [
        len(column)
        for model in page.map.figure.references()
        if hasattr(model, "column_names")
        for column in model.data.values()
    ]
    assert lengths_then == lengths


def test_a_cluster_is_named_in_its_middle_the_largest_first(bundle) -> None:
    key = bundle.manifest.default_clustering
    labels = bundle.clusterings[key].labels
    places = cluster_centres(bundle, key)
    counts = [int((labels == cluster).sum()) for cluster in places]
    assert counts == sorted(counts, reverse=True)
    tiles = map_tiles(bundle, key)
    points = np.empty_like(tiles.points)
    points[tiles.order] = tiles.points
    for cluster, place in places.items():
        np.testing.assert_allclose(place, np.median(points[labels == cluster], axis=0), atol=1e-6)


def test_what_colours_mean_is_said_where_no_name_on_the_map_says_it(page, state) -> None:
    assert "coloured by" not in page._introduction("cluster", state.clustering)
    words = page._introduction("ttype", state.clustering)
    assert "coloured by Hubble type T" in words
    assert "no T in the catalogue" in words


def test_names_stand_between_rows_of_galaxies(page) -> None:
    places = page.map.figure.select_one({"name": "names"}).data["y"]
    assert len(places) > 3
    assert all(place * 16 == round(place * 16) for place in places)


def test_all_galaxies_fit_into_the_first_view_and_few_gaps(page) -> None:
    tiles = map_tiles(*shown_by(page))
    x0, y0, x1, y1 = tiles.extent
    assert ((tiles.points >= [x0, y0]) & (tiles.points <= [x1, y1])).all()
    room = np.array([x1, y1]) - [x0, y0] - np.ptp(tiles.points, axis=0)
    assert (room < 2 / 16 + 1e-6).all()


def test_names_that_are_shown_together_cover_none_of_each_other() -> None:
    rng = np.random.default_rng(3)
    places = list(rng.uniform(0.2, 0.8, (60, 2)))
    texts = ["n" * int(n) for n in rng.integers(4, 30, 60)]
    zooms = free_zooms(places, texts)
    assert zooms[0] == NAME_ZOOMS[0]
    assert set(zooms) <= {*NAME_ZOOMS, NEVER}
    assert len(set(zooms)) > 2
    size = [np.array([LETTER * len(text) + LINE, LINE]) / FRAME_PIXELS for text in texts]
    for zoom in NAME_ZOOMS:
        shown = [i for i, first in enumerate(zooms) if first <= zoom]
        for i in shown:
            for j in shown:
                apart = np.abs(places[i] - places[j]) * zoom >= (size[i] + size[j]) / 2
                assert i == j or apart.any()
