"""Tiles: each cell shows a galaxy that lies in it, the same one every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.explorer.pictures.stamps import (
    MARGIN,
    MAX_ZOOM,
    MOST_CELLS,
    TilePyramid,
    draw_tile,
    finest_side,
    unit_map,
)

N = 3000


@pytest.fixture(scope="module")
def pyramid() -> TilePyramid:
    rng = np.random.default_rng(2)
    points = unit_map(rng.normal(size=(N, 2)) * [5, 3])
    return TilePyramid(points, rng.uniform(size=N).round(2))


def places(zoom: int) -> list[tuple[int, int, int]]:
    side = 2 ** min(zoom, 3)
    return [(zoom, x, y) for x in range(side) for y in range(side)]


@given(
    points=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=50)
)
@settings(deadline=None)
def test_the_unit_map_keeps_shapes_and_stays_inside(points) -> None:
    given_points = np.array(points)
    mapped = unit_map(given_points)
    assert mapped.min() >= MARGIN - 1e-6
    assert mapped.max() <= 1 - MARGIN + 1e-6
    span = float(np.ptp(given_points, axis=0).max())
    if span > 1e-3:
        stretch = np.ptp(mapped, axis=0) * span / (1 - 2 * MARGIN)
        np.testing.assert_allclose(stretch, np.ptp(given_points, axis=0), atol=1e-5 * span)


@pytest.mark.parametrize("zoom", range(6))
def test_the_galaxy_of_a_cell_lies_in_that_cell(pyramid, zoom) -> None:
    for place in places(zoom):
        rows = pyramid.rows(*place)
        n = len(rows)
        for line, column in zip(*np.nonzero(rows >= 0), strict=True):
            x, y = pyramid.points[rows[line, column]] * 2**zoom
            assert place[1] + column / n <= x <= place[1] + (column + 1) / n
            assert place[2] + (n - 1 - line) / n <= y <= place[2] + (n - line) / n


@pytest.mark.parametrize("zoom", [0, 2])
def test_a_cell_is_empty_only_where_no_galaxy_lies(pyramid, zoom) -> None:
    shown = sum(int((pyramid.rows(*place) >= 0).sum()) for place in places(zoom))
    cells = (pyramid.points * MOST_CELLS * 2**zoom).astype(int)
    assert shown == len(np.unique(cells, axis=0))


def test_of_several_galaxies_the_most_typical_is_shown_and_ties_go_to_the_first() -> None:
    points = np.array([[0.5, 0.5], [0.51, 0.51], [0.51, 0.51], [0.9, 0.9]])
    rows = TilePyramid(points, np.array([0.2, 0.7, 0.7, 0.1])).rows(0, 0, 0)
    assert sorted(rows[rows >= 0]) == [1, 3]


def test_two_pyramids_of_the_same_map_show_the_same(pyramid) -> None:
    again = TilePyramid(pyramid.points.copy(), pyramid.rank.copy())
    np.testing.assert_array_equal(again.rows(3, 4, 4), pyramid.rows(3, 4, 4))


def test_deeper_tiles_show_fewer_and_larger_galaxies(pyramid) -> None:
    sides = [len(pyramid.rows(zoom, 0, 0)) for zoom in range(MAX_ZOOM + 1)]
    assert sides == sorted(sides, reverse=True)
    assert (sides[0], sides[-1]) == (MOST_CELLS, 1)
    assert finest_side(N) ** 2 > N


@pytest.mark.parametrize("place", [(-1, 0, 0), (MAX_ZOOM + 1, 0, 0), (2, 4, 0), (2, 0, -1)])
def test_where_there_is_no_tile_there_are_no_rows(pyramid, place) -> None:
    with pytest.raises(ValueError, match="no tile"):
        pyramid.rows(*place)


def test_a_drawn_tile_has_pictures_in_coloured_frames_and_holes_where_nothing_is() -> None:
    rows = np.array([[-1, 7], [3, -1]])
    pictures = np.full((2, 64, 64, 3), 90, np.uint8)
    pictures[1] = 180
    tile = draw_tile(pictures, rows, np.array([[255, 0, 0], [0, 255, 0]], np.uint8))
    assert tile.shape == (128, 128, 4)
    assert tile[:64, :64, 3].max() == tile[64:, 64:, 3].max() == 0
    assert tile[32, 96].tolist() == [90, 90, 90, 255]
    assert tile[96, 32].tolist() == [180, 180, 180, 255]
    assert tile[32, 66, 0] > 200 > tile[32, 66, 1]
    assert tile[96, 2, 1] > 200 > tile[96, 2, 0]
    assert tile[0, 64, 3] == 0  # a rounded corner
