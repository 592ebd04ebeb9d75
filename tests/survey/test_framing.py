from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import auto_frame, central_square, fit_stamp

SIZES = st.integers(9, 150)


def picture(side: int, channels: int = 1) -> np.ndarray:
    generator = np.random.default_rng(side)
    return generator.gamma(2.0, 10.0, (channels, side, side)).astype(np.float32)


@settings(deadline=None)
@given(SIZES, st.sampled_from([16, 64, 84]))
def test_linear_resampling_keeps_the_flux(side, size):
    image = picture(side)
    stamp = fit_stamp(image, size, linear=True)
    assert stamp.shape == (1, size, size)
    assert stamp.dtype == np.float32
    total = image.astype(np.float64).sum()
    np.testing.assert_allclose(stamp.astype(np.float64).sum(), total, rtol=1e-6)


@settings(deadline=None)
@given(SIZES)
def test_stretched_resampling_keeps_the_mean(side):
    image = picture(side, 3)
    stamp = fit_stamp(image, 64, linear=False)
    np.testing.assert_allclose(stamp.mean((1, 2)), image.mean((1, 2)), rtol=1e-5)


def test_whole_factors_are_exact_block_means():
    image = (np.random.default_rng(0).integers(0, 256, (1, 256, 256)) / 255).astype(np.float32)
    blocks = image.astype(np.float64).reshape(1, 64, 4, 64, 4).mean(axis=(2, 4))
    np.testing.assert_array_equal(fit_stamp(image, 64, linear=False), blocks.astype(np.float32))
    same = fit_stamp(image, 256, linear=True)
    np.testing.assert_array_equal(same, image)


def test_fractional_factor_weighs_by_area():
    image = np.arange(9, dtype=np.float32).reshape(3, 3)
    one = 1.5 * 1.5
    corner = (image[0, 0] + 0.5 * (image[0, 1] + image[1, 0]) + 0.25 * image[1, 1]) / one
    assert fit_stamp(image, 2, linear=False)[0, 0] == pytest.approx(corner, rel=1e-6)


def test_enlarging_is_smooth():
    y, x = np.mgrid[:32, :32]
    blob = np.exp(-((y - 15.5) ** 2 + (x - 15.5) ** 2) / 50).astype(np.float32)
    stamp = fit_stamp(blob, 64, linear=False)
    y, x = (np.mgrid[:64, :64] - 0.5) / 2
    expected = np.exp(-((y - 15.5) ** 2 + (x - 15.5) ** 2) / 50)
    np.testing.assert_allclose(stamp, expected, atol=0.002)


def test_centre_cut_takes_pixels_as_they_are():
    image = picture(101)
    stamp = fit_stamp(image, 64, frame="centre", linear=True)
    np.testing.assert_array_equal(stamp, image[:, 18:82, 18:82])
    with pytest.raises(BadImage, match="centre cut"):
        fit_stamp(picture(40), 64, frame="centre", linear=True)


def test_longer_side_is_cut_to_a_square():
    image = np.zeros((1, 40, 100), np.float32)
    image[:, :, 30:70] = 1.0
    np.testing.assert_array_equal(fit_stamp(image, 40, linear=True), np.ones((1, 40, 40)))
    assert central_square(image, 41 - 1).shape == (1, 40, 40)


def galaxy(side: int, semi_major: float, axis_ratio: float, angle: float) -> np.ndarray:
    """Exponential disc that falls to 1.3 sky sigmas at `semi_major`, a neighbour, sky noise 1."""
    generator = np.random.default_rng(4)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    u, v = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle))
    radius = np.hypot(u, v / axis_ratio)
    image = 1.3 * np.exp(5.0 * (1.0 - radius / semi_major))
    image += 300.0 * np.exp(-((x - 0.4 * side) ** 2 + (y - 0.4 * side) ** 2) / 18)
    return (image + 1000.0 + generator.normal(size=image.shape)).astype(np.float32)


@pytest.mark.parametrize("semi_major", [15.0, 30.0, 50.0])
@pytest.mark.parametrize("axis_ratio", [0.3, 1.0])
def test_auto_frame_follows_the_size_of_the_central_galaxy(semi_major, axis_ratio):
    image = galaxy(200, semi_major, axis_ratio, 0.6)
    half = auto_frame(image, *sky_level(image))
    assert 0.85 < half / (1.25 * semi_major) < 1.25


def test_auto_frame_does_not_depend_on_level_or_unit():
    image = galaxy(160, 25.0, 0.6, 0.2)
    half = auto_frame(image, *sky_level(image))
    other = ((image - 1000.0) * 1e-9).astype(np.float32)
    assert abs(auto_frame(other, *sky_level(other)) - half) <= 1


def test_auto_frame_without_a_galaxy_is_the_whole_picture():
    image = np.zeros((50, 60), np.float32)
    image[3, 3] = 100.0
    assert auto_frame(image, 0.0, 1.0) == 25


def test_auto_framed_stamps_of_one_galaxy_agree_between_scales():
    fine = galaxy(240, 60.0, 0.5, 1.0) - 1000.0
    coarse = ndimage.zoom(fine, 0.5, order=1, grid_mode=True, mode="nearest").astype(np.float32)
    stamps = [fit_stamp(image, 64, frame="auto", linear=False) for image in (fine, coarse)]
    assert np.corrcoef(stamps[0].ravel(), stamps[1].ravel())[0, 1] > 0.97
