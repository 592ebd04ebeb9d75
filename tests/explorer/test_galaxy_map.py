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
from galaxy_explorer.explorer.plots.gestures import Cell, Region, combined, parse_asked

LASSO = {"kind": "lasso", "xy": [0.1, 0.1, 0.9, 0.1, 0.5, 0.9], "mode": "replace"}


def test_what_the_browser_sends_is_understood() -> None:
    region = parse_asked({**LASSO, "count": 3})
    assert isinstance(region, Region)
    assert region.outline.tolist() == [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
    box = parse_asked({"kind": "box", "xy": [0, 0.2, 1, 0.4], "mode": "append"})
    assert isinstance(box, Region)
    assert box.outline.tolist() == [[0, 0.2], [1, 0.2], [1, 0.4], [0, 0.4]]
    assert parse_asked({"kind": "tap", "cell": [16, 3, 15]}) == Cell(16, 3, 15)
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


def test_a_lasso_selects_what_is_in_it_and_a_click_who_is_shown(context, state) -> None:
    page = AtlasPage(state, context)
    tiles = map_tiles(state.bundle, state.clustering)
    page._on_map(LASSO)
    np.testing.assert_array_equal(
        state.selection, tiles.inside(np.array(LASSO["xy"]).reshape(-1, 2))
    )
    assert state.selection_label == "chosen on the map"
    n = len(state.selection)
    page._on_map({"kind": "box", "xy": [0.3, 0.3, 0.6, 0.6], "mode": "subtract"})
    assert 0 < len(state.selection) < n
    row, side = int(state.selection[0]), 64
    place = tiles.points[np.flatnonzero(tiles.order == row)[0]]
    page._on_map({"kind": "tap", "cell": [side, *(int(one * side) for one in place)]})
    assert len(state.selection) == 1
    assert state.selection_label == state.bundle.column("galaxy_id")[state.selection[0]]
    page._on_map({"kind": "nonsense"})
    assert len(state.selection) == 1
    page._on_map({"kind": "clear"})
    assert len(state.selection) == 0


def test_the_map_of_a_visitor_holds_nothing_of_each_galaxy(context, state) -> None:
    """Neither places nor names nor rows: a selection of many changes addresses alone."""
    page = AtlasPage(state, context)

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
