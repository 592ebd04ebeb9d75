"""The figures agree with what is known of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.deconvolution import classics as metrics
from tests.deconvolution.scenes import galaxies, gaussian, psfs

SCALE = 0.06


@pytest.mark.parametrize("sigma", [2.0, 5.0, 9.0])
def test_half_light_radius_of_a_gaussian(sigma: float) -> None:
    found = metrics.half_light_radius(gaussian(sigma=sigma)[None])
    assert found[0] == pytest.approx(np.sqrt(2 * np.log(2)) * sigma, rel=0.02)


def test_ellipticity_knows_size_and_angle_and_not_flux() -> None:
    flat = np.stack([gaussian(sigma=6, ratio=0.5, angle=a) for a in (0, np.pi / 4, np.pi / 2)])
    e = metrics.ellipticity(np.concatenate([flat, 7 * flat]), np.full(6, 1e3))
    expected = (1 - 0.25) / (1 + 0.25)
    signs = np.array([[1, 0], [0, 1], [-1, 0]] * 2)
    assert e == pytest.approx(expected * signs, abs=5e-3)


def test_errors_are_zero_for_the_truth_and_one_for_its_mean() -> None:
    truth = galaxies()
    mean = np.broadcast_to(truth.mean((1, 2), keepdims=True), truth.shape)
    assert metrics.nmse(truth, truth) == pytest.approx(0)
    assert metrics.nmse(mean, truth) == pytest.approx(1)
    assert metrics.psnr(truth + 0.01 * truth.max((1, 2), keepdims=True), truth) == pytest.approx(40)


def test_euclid_sees_all_the_light_on_larger_pixels_and_blurred() -> None:
    light = gaussian(sigma=3)[None]
    seen = metrics.euclid_view(light, SCALE)
    assert seen.shape == (1, 50, 50)
    assert seen.sum() == pytest.approx(1, rel=1e-3)
    sigma = np.hypot(3, 0.16 / SCALE / 2.3548) * 0.6  # pixels of 0.1"
    radius = metrics.half_light_radius(seen)[0]
    assert radius == pytest.approx(np.sqrt(2 * np.log(2)) * sigma, rel=0.03)


def test_band_limit_of_a_gaussian_psf() -> None:
    sigma_arcsec = 3.1 / 2.3548 * SCALE
    expected = np.sqrt(-np.log(metrics.MTF_LIMIT) / (2 * np.pi**2)) / sigma_arcsec
    assert metrics.band_limit(psfs(1)[0], SCALE) == pytest.approx(expected, rel=0.02)


def test_reduced_chi2_of_pure_noise_is_one() -> None:
    noise = np.random.default_rng(0).normal(0, 3, (4, 84, 84))
    assert metrics.reduced_chi2(noise, np.full(noise.shape, 3.0)) == pytest.approx(1, abs=0.05)
