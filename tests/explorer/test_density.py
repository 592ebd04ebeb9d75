"""Tiles of dots: where a galaxy is, in its colour, however many there are."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.explorer.pictures.tiles import TilePyramid
from galaxy_explorer.explorer.plots.colouring import colouring
from galaxy_explorer.explorer.plots.density import PIXELS, STRONGEST, glow_tile
from galaxy_explorer.explorer.plots.palette import T_COLOURS

N = 4000


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(1).beta(3, 3, (N, 2))


@pytest.fixture(scope="module")
def colours():
    return colouring("ttype", np.random.default_rng(1).integers(5, size=N))


def made(points: np.ndarray) -> TilePyramid:
    return TilePyramid(points, np.zeros(len(points)))


def test_a_galaxy_is_a_dot_of_its_colour_where_it_lies() -> None:
    place = np.array([[0.3, 0.8]])
    tile = glow_tile(made(place), colouring("ttype", np.array([2])), (1, 0, 1))
    row, column = np.unravel_index(tile[..., 3].argmax(), tile.shape[:2])
    assert abs(column - 0.6 * PIXELS) <= 1
    assert abs(row - 0.4 * PIXELS) <= 1  # y = 0.8 is 0.6 up the upper tile
    assert tile[row, column, :3].tolist() == [*bytes.fromhex(T_COLOURS[5][1:])]
    assert tile[..., 3].astype(bool).mean() < 0.01


def test_where_no_galaxy_is_nothing_is_drawn() -> None:
    lonely = made(np.array([[0.1, 0.1]]))
    assert glow_tile(lonely, colouring("ttype", np.array([0])), (3, 6, 6)).max() == 0


def test_a_dot_goes_on_in_the_next_tile(colours) -> None:
    at_edge = made(np.array([[0.5 - 1e-4, 0.25]]))
    one = colouring("ttype", np.array([1]))
    left, right = (glow_tile(at_edge, one, (1, x, 0))[..., 3].astype(int) for x in (0, 1))
    assert left[:, -1].max() > 100
    assert np.abs(left[:, -1] - right[:, 0]).max() < 30


@pytest.mark.parametrize("place", [(0, 0, 0), (1, 1, 0), (4, 8, 7)])
def test_where_more_galaxies_are_it_glows_more_and_never_wholly(points, colours, place) -> None:
    tile = glow_tile(made(points), colours, place)
    zoom, x, y = place
    side = 8
    at = np.floor((points * 2**zoom - [x, y]) * side).astype(int)
    inside = ((at >= 0) & (at < side)).all(axis=1)
    count = np.zeros((side, side))
    np.add.at(count, (side - 1 - at[inside, 1], at[inside, 0]), 1)
    opacity = tile[..., 3].reshape(side, PIXELS // side, side, -1).mean(axis=(1, 3))
    assert np.corrcoef(count.ravel(), opacity.ravel())[0, 1] > 0.8
    assert tile[..., 3].max() <= 255 * STRONGEST + 1


def test_a_selection_of_all_changes_nothing_and_one_of_none_dims_all(points, colours) -> None:
    pyramid = made(points)
    before = glow_tile(pyramid, colours, (1, 0, 0)).astype(int)
    everything = glow_tile(pyramid, colours, (1, 0, 0), np.ones(N, bool)).astype(int)
    visible = before[..., 3] > 20
    np.testing.assert_allclose(everything[visible], before[visible], atol=1)
    nothing = glow_tile(pyramid, colours, (1, 0, 0), np.zeros(N, bool)).astype(int)
    assert nothing[..., 3].max() < before[..., 3].max() / 3
    assert nothing[..., 3].max() > 0
