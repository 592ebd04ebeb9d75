from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.evaluation.encoding import reorient, rotated, shifted, with_noise
from galaxy_explorer.models.inference import d4


def orbit(stamps: np.ndarray) -> np.ndarray:
    """The eight orientations themselves, in place of their codes: (N, 8, S, S)."""
    return np.stack([d4(stamps, turn) for turn in range(8)], axis=1)


@pytest.mark.parametrize("turn", range(8))
def test_orientations_of_a_turned_stamp_are_those_of_the_stamp_in_another_order(turn):
    stamps = np.random.default_rng(0).normal(size=(3, 6, 6)).astype(np.float32)
    np.testing.assert_array_equal(reorient(orbit(stamps), turn), orbit(d4(stamps, turn)))


def blob(side=33, x=16.0, y=16.0):
    rows, columns = np.mgrid[:side, :side]
    light = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    return light[None, None].astype(np.float32)


def test_rotating_by_90_degrees_is_a_quarter_turn():
    stamps = blob(x=12, y=19)
    np.testing.assert_allclose(rotated(stamps, 90), np.rot90(stamps, axes=(-2, -1)), atol=1e-5)


def test_rotating_by_45_degrees_keeps_a_round_galaxy():
    np.testing.assert_allclose(
        rotated(blob(), 45)[0, 0, 8:25, 8:25], blob()[0, 0, 8:25, 8:25], atol=1e-3
    )


def test_shifting_moves_by_one_pixel():
    np.testing.assert_allclose(shifted(blob())[..., 1:], blob()[..., :-1])
    assert shifted(blob()).shape == blob().shape


def test_noise_is_that_of_the_sky_and_differs_by_seed():
    rng = np.random.default_rng(0)
    stamps = blob(side=64, x=32, y=32) + rng.normal(0, 0.02, (200, 1, 64, 64)).astype(np.float32)
    one, other = (with_noise(stamps, seed) - stamps for seed in (1, 2))
    assert one.std() == pytest.approx(0.02, rel=0.05)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.01
