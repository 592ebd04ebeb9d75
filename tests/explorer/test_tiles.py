"""Tiles: each cell shows a galaxy that lies in it, the same one every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_explorer.explorer.pictures.tiles import (
    CELLS,
    MARGIN,
    MAX_ZOOM,
    TilePyramid,
    cells_along,
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


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return unit_map(np.random.default_rng(2).normal(size=(N, 2)) * [5, 3])


@pytest.mark.parametrize("zoom", range(6))
def test_the_galaxy_of_a_cell_lies_in_that_cell(pyramid, points, zoom) -> None:
    for place in places(zoom):
        rows = pyramid.rows(*place)
        n = len(rows)
        for line, column in zip(*np.nonzero(rows >= 0), strict=True):
            x, y = points[rows[line, column]] * 2**zoom
            assert place[1] + column / n <= x <= place[1] + (column + 1) / n
            assert place[2] + (n - 1 - line) / n <= y <= place[2] + (n - line) / n


@pytest.mark.parametrize("zoom", range(3))
def test_a_cell_is_empty_only_where_no_galaxy_lies(pyramid, points, zoom) -> None:
    shown = sum(int((pyramid.rows(*place) >= 0).sum()) for place in places(zoom))
    cells = (points * cells_along(zoom, N)).astype(int)
    assert shown == len(np.unique(cells, axis=0))


@pytest.mark.parametrize("zoom", [0, 1, 4])
def test_a_piece_of_the_curve_holds_exactly_the_galaxies_of_a_tile(pyramid, points, zoom) -> None:
    for _, x, y in places(zoom):
        found = pyramid.order[pyramid.within(2**zoom, x, y)]
        inside = ((points * 2**zoom).astype(int) == [x, y]).all(axis=1)
        assert sorted(found) == np.flatnonzero(inside).tolist()


def test_around_a_tile_are_its_galaxies_and_those_within_the_margin(pyramid, points) -> None:
    found = pyramid.order[pyramid.around(2, 1, 2, 0.1)]
    distance = np.abs(points * 4 - [1.5, 2.5]).max(axis=1)
    assert sorted(found) == np.flatnonzero(distance <= 0.6).tolist()


def test_a_cell_tells_the_galaxy_that_its_tile_shows(pyramid) -> None:
    rows = pyramid.rows(2, 1, 2)
    side, n = cells_along(2, N), len(rows)
    told = [[pyramid.shown(side, n + c, 2 * n + n - 1 - a) for c in range(n)] for a in range(n)]
    assert told == rows.tolist()


def test_those_that_are_selected_are_shown_first_and_the_others_stay(pyramid, points) -> None:
    first = np.zeros(N, bool)
    first[::50] = True
    for place in places(1):
        before, after = pyramid.rows(*place), pyramid.rows(*place, first)
        assert ((before >= 0) == (after >= 0)).all()
        n = len(after)
        for line, column in zip(*np.nonzero(after >= 0), strict=True):
            cell = [place[1] * n + column, place[2] * n + n - 1 - line]
            here = ((points * 2 * n).astype(int) == cell).all(axis=1)
            assert first[after[line, column]] == (here & first).any()
            if not (here & first).any():
                assert after[line, column] == before[line, column]


@pytest.mark.parametrize("corners", [3, 5, 9, 40])
def test_inside_an_outline_is_what_a_ray_crosses_it_an_odd_number_of_times_from(
    pyramid, points, corners
) -> None:
    outline = np.random.default_rng(corners).uniform(size=(corners, 2))  # crosses itself
    odd = np.zeros(N, bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        x, y = points.astype(np.float32).astype(float).T
        level = (y >= min(y0, y1)) & (y < max(y0, y1))
        odd ^= level & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    assert 0 < odd.sum() < N
    np.testing.assert_array_equal(pyramid.inside(outline), np.flatnonzero(odd))


def test_a_line_holds_nothing(pyramid) -> None:
    assert len(pyramid.inside(np.array([[0, 0], [1, 1]]))) == 0


@pytest.mark.parametrize("n", [1, 2])
def test_the_map_of_one_galaxy_has_a_width(n) -> None:
    alone = TilePyramid(unit_map(np.zeros((n, 2))), np.ones(n))
    low, high = np.split(alone.extent, 2)
    assert (low < high).all()


def test_of_several_galaxies_the_most_typical_is_shown_and_ties_go_to_the_first() -> None:
    points = np.array([[0.5, 0.5], [0.51, 0.51], [0.51, 0.51], [0.9, 0.9]])
    rows = TilePyramid(points, np.array([0.2, 0.7, 0.7, 0.1])).rows(0, 0, 0)
    assert sorted(rows[rows >= 0]) == [1, 3]


def test_two_pyramids_of_the_same_map_show_the_same(pyramid) -> None:
    rng = np.random.default_rng(2)
    again = TilePyramid(unit_map(rng.normal(size=(N, 2)) * [5, 3]), rng.uniform(size=N).round(2))
    np.testing.assert_array_equal(again.rows(3, 4, 4), pyramid.rows(3, 4, 4))


@pytest.mark.parametrize("n", [1, N, 30_241, 10**6])
def test_a_deeper_zoom_shows_more_galaxies_and_then_the_same_larger(n) -> None:
    along = [cells_along(zoom, n) for zoom in range(MAX_ZOOM + 1)]
    assert along == sorted(along)
    assert all(side & (side - 1) == 0 for side in along)
    assert along[-1] == max(finest_side(n), 2**MAX_ZOOM)
    assert finest_side(n) ** 2 > n
    assert along[3] == min(CELLS * 8, max(8, finest_side(n)))


@pytest.mark.parametrize("place", [(-1, 0, 0), (MAX_ZOOM + 1, 0, 0), (2, 4, 0), (2, 0, -1)])
def test_where_there_is_no_tile_there_are_no_rows(pyramid, place) -> None:
    with pytest.raises(ValueError, match="no tile"):
        pyramid.rows(*place)


def test_a_drawn_tile_has_pictures_in_coloured_frames_and_holes_where_nothing_is() -> None:
    rows = np.array([[-1, 7], [3, -1]])
    pictures = np.full((2, 64, 64, 3), 90, np.uint8)
    pictures[1] = 180
    tile = draw_tile(
        pictures, rows, np.array([[255, 0, 0], [0, 255, 0]], np.uint8), np.array([1, 0.5])
    )
    side = len(tile) // 2
    assert tile.shape == (2 * side, 2 * side, 4)
    assert tile[:side, :side, 3].max() == tile[side:, side:, 3].max() == 0
    assert tile[side // 2, side + side // 2].tolist() == [90, 90, 90, 255]
    assert tile[side + side // 2, side // 2].tolist() == [180, 180, 180, 127]
    edge = round(0.06 * side)  # between the free strip and the picture
    assert tile[side // 2, side + edge, 0] > 200 > tile[side // 2, side + edge, 1]
    assert tile[side + side // 2, edge, 1] > 200 > tile[side + side // 2, edge, 0]
    assert tile[side // 2, side, 3] == 0  # what is left free
    assert tile[0, side, 3] == 0


def test_a_tile_of_few_galaxies_is_drawn_as_finely_as_one_of_many() -> None:
    pictures = np.zeros((1, 64, 64, 3), np.uint8)
    one = draw_tile(pictures, np.array([[0]]), np.zeros((1, 3), np.uint8))
    assert len(one) >= 384
