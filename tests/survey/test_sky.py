from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.survey.photometry import border_mask, sky_level


@pytest.mark.parametrize("level", [0.0, 1000.0, -3.0])
def test_sky_of_noise_with_a_galaxy_and_stars(level):
    generator = np.random.default_rng(1)
    image = generator.normal(level, 2.5, (128, 128))
    image[40:90, 40:90] += 500.0
    image[0:6, 0:20] += 300.0
    sky, sigma = sky_level(image)
    assert sky == pytest.approx(level, abs=0.2)
    assert sigma == pytest.approx(2.5, rel=0.08)


def test_sky_ignores_nan_and_counts_in_whole_numbers():
    generator = np.random.default_rng(2)
    image = np.round(generator.normal(100.0, 0.8, (100, 100)))
    image[:, :3] = np.nan
    sky, sigma = sky_level(image)
    assert sky == 100.0
    assert sigma == pytest.approx(np.hypot(0.8, 1 / np.sqrt(12)), rel=0.05)


def test_sigma_is_never_zero():
    sky, sigma = sky_level(np.full((20, 20), 7.0))
    assert sky == 7.0
    assert 0.0 < sigma < 1e-3
    assert sky_level(np.full((4, 4), np.nan)) == (0.0, 1.0)


@pytest.mark.parametrize("whole", [False, True])
def test_the_sky_is_to_the_last_bit_that_of_clipping_pass_by_pass(whole):
    generator = np.random.default_rng(3)
    for side in (9, 64, 101):
        image = generator.normal(3, 2, (side, side)) + 30 * (generator.random((side, side)) > 0.95)
        image = np.round(image) if whole else image.astype(np.float32)
        left = image[border_mask(side, side)].astype(np.float64)
        for _ in range(10):
            off = np.abs(left - np.median(left))
            near = off <= 3 * 1.4826 * np.median(off)
            if near.all():
                break
            left = left[near]
        assert sky_level(image) == (np.median(left), left.std())


def test_border_is_the_outer_tenth():
    mask = border_mask(50, 20)
    assert not mask[5:45, 2:18].any()
    assert mask.sum() == 50 * 20 - 40 * 16
