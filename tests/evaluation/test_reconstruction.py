from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from galaxy_explorer.evaluation.reconstruction import (
    FWHM,
    blur_of,
    fine_structure,
    light_kept,
    similarity,
    sky_and_core,
    spectra,
)
from galaxy_explorer.models.quantizer import perplexity
from tests.small_survey import blobs
from tests.survey.test_photometry import ellipse


@pytest.fixture(scope="module")
def clean():
    return ellipse(noise=0).astype(np.float32)


@pytest.fixture(scope="module")
def stamp(clean):
    return (clean + np.random.default_rng(0).normal(0, 0.02, clean.shape)).astype(np.float32)


def test_the_truth_leaves_a_chi_squared_of_one(stamp, clean):
    sky, core = sky_and_core(stamp, clean)
    assert sky == pytest.approx(1, abs=0.15)
    assert core == pytest.approx(1, abs=0.2)


def test_a_wrong_core_shows_in_the_core_alone(stamp, clean):
    wrong = clean + np.where(clean > 0.5, 0.2, 0).astype(np.float32)
    sky, core = sky_and_core(stamp, wrong)
    assert core > 5
    assert sky == pytest.approx(1, abs=0.15)


def test_a_picture_is_like_itself(stamp, clean):
    assert similarity(stamp[None], stamp[None]) == pytest.approx(1)
    assert similarity(stamp[None], clean[None]) < 0.95


def test_smoothing_takes_fine_structure_and_no_light(stamp):
    smooth = ndimage.gaussian_filter(stamp, 1.5)
    assert fine_structure(smooth) < 0.6 * fine_structure(stamp)
    assert light_kept(stamp, stamp) == pytest.approx(1)
    assert light_kept(stamp, smooth) == pytest.approx(1, abs=0.05)


def summed_spectra(stamps, pictures):
    pairs = (spectra(stamp, picture) for stamp, picture in zip(stamps, pictures, strict=True))
    return [sum(parts) for parts in zip(*pairs, strict=True)]


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("fwhm", [0.0, 1.2, 2.0, 4.0])
def test_the_blur_of_a_gaussian_is_its_width(fwhm, bands):
    rng = np.random.default_rng(2)
    stamps = np.repeat(blobs(np.arange(-5.0, 9.0), rng), bands, axis=1)
    width = (0, 0, fwhm / FWHM, fwhm / FWHM)
    pictures = np.fft.ifftn(ndimage.fourier_gaussian(np.fft.fftn(stamps), width)).real
    assert blur_of(*summed_spectra(stamps, pictures), 64) == pytest.approx(fwhm, abs=0.1)


def test_noise_that_is_not_drawn_is_blur():
    rng = np.random.default_rng(2)
    stamps = blobs(np.arange(-5.0, 9.0), rng)
    noisy = stamps + rng.normal(0, 0.1, stamps.shape)
    assert blur_of(*summed_spectra(noisy, stamps), 64) > 0.8


def test_perplexity_by_hand():
    assert perplexity(np.bincount([0, 1, 2, 3], minlength=8)) == pytest.approx(4)
    assert perplexity(np.bincount(np.zeros(5, int), minlength=8)) == pytest.approx(1)
