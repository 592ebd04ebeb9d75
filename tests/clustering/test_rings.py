from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.features import (
    ORDERS,
    light_vectors,
    pixel_vectors,
    pool_rings,
    radial_profile_vectors,
    rings_of,
)


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_every_cell_belongs_to_one_ring(side):
    rings = rings_of(side, 1.0)
    assert ((rings.mean > 0).sum(0) == 1).all()
    np.testing.assert_allclose(rings.mean.sum(1), 1, rtol=1e-6)
    y, x = np.indices((side, side)) - (side - 1) / 2
    assert (np.diff(rings.mean @ np.hypot(x, y).ravel()) > 0).all(), "from the centre outwards"


def test_rings_without_corners_leave_out_what_a_turn_brings_in():
    rings = rings_of(8, 1.0, full=False)
    y, x = np.indices((8, 8)) - 3.5
    np.testing.assert_array_equal((rings.mean > 0).any(0), (np.hypot(x, y) <= 4).ravel())


@pytest.mark.parametrize("order", ORDERS)
def test_a_wave_shows_in_its_own_order(order):
    y, x = np.indices((33, 33)) - 16.0
    wave = np.cos(order * np.arctan2(y, x)).reshape(1, -1, 1).astype(np.float32)
    _, _, amplitude = pool_rings(wave, rings_of(33, 4.0, full=False))
    outer = amplitude[0, -1, :, 0]
    assert outer.argmax() == order - 1
    assert outer[order - 1] == pytest.approx(0.5, abs=0.02)


def test_a_uniform_map_has_no_scatter_and_no_waves():
    mean, scatter, waves = pool_rings(np.full((2, 64, 3), 5, np.float32), rings_of(8, 1.0))
    np.testing.assert_allclose(mean, 5, rtol=1e-6)
    assert scatter.max() < 5e-3
    assert waves.max() < 1e-5


def stamps(n=6):
    return np.random.default_rng(0).uniform(0, 1, (n, 2, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("turn", [lambda s: np.rot90(s, axes=(2, 3)), lambda s: s[..., ::-1]])
def test_radial_profiles_do_not_know_how_a_galaxy_is_turned(turn):
    before, after = radial_profile_vectors(stamps()), radial_profile_vectors(turn(stamps()))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("turn", [lambda s: np.rot90(s, axes=(2, 3)), lambda s: s[..., ::-1]])
def test_rings_of_light_do_not_know_how_a_galaxy_is_turned(turn):
    before, after = light_vectors(stamps()), light_vectors(turn(stamps()))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)


def test_rings_of_light_see_knots_arms_and_how_long_a_galaxy_is():
    y, x = np.indices((64, 64)) - 31.5
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    disc = np.exp(-radius / 8)
    arms = disc * (1 + 0.6 * np.cos(2 * angle - 4 * np.log(radius + 1)))
    one_sided = disc * (1 + 0.6 * np.cos(angle))
    knots = disc * (1 + 0.5 * np.sign(np.sin(2 * x) * np.sin(2 * y)))
    long = np.exp(-np.hypot(x, 2.5 * y) / 8)
    found = light_vectors(np.float32([disc, arms, one_sided, knots, long])[:, None])
    flat, armed, lopsided, knotty, edge_on = found
    rings = 14
    fine, turned = slice(2 * rings, 3 * rings), slice(4 * rings, 5 * rings)
    waves = found[:, 5 * rings : 9 * rings].reshape(5, rings, 4)
    assert armed[fine].sum() < knotty[fine].sum()
    assert lopsided[turned].mean() > 5 * max(flat[turned].mean(), armed[turned].mean())
    assert waves[1, 3:10].mean(0).argmax() == 1
    assert waves[2, 3:10].mean(0).argmax() == 0
    assert flat[-1] == pytest.approx(1, abs=0.01)
    assert edge_on[-1] < 0.5


def test_radial_profile_is_the_mean_brightness_outwards():
    y, x = np.indices((32, 32)) - 15.5
    disc = np.exp(-np.hypot(x, y) / 5)[None, None].astype(np.float32)
    profile = radial_profile_vectors(disc)[0, :8]
    assert (np.diff(profile) < 0).all()
    assert profile[0] == pytest.approx(disc[0, 0][np.hypot(x, y) < 2].mean())


def test_an_empty_stamp_gives_numbers():
    assert np.isfinite(radial_profile_vectors(np.zeros((1, 1, 32, 32)))).all()
    assert np.isfinite(light_vectors(np.zeros((1, 2, 32, 32)))).all()


def test_pixels_are_the_stamp_row_by_row():
    assert pixel_vectors(stamps()).shape == (6, 2 * 32 * 32)
    assert pixel_vectors(stamps())[3, 1024 + 33] == stamps()[3, 1, 1, 1]
