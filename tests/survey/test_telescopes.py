from __future__ import annotations

import galsim
import numpy as np
import pytest
from astropy.io import fits

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey.scales import fwhm
from galaxy_explorer.survey.telescopes import CANDELS, SDSS, draw_psf, unit_noise


@pytest.mark.parametrize("telescope", [SDSS, CANDELS], ids=lambda t: t.name)
def test_psf_sums_to_one_is_centred_and_has_the_stated_width(telescope):
    rng = np.random.default_rng(1)
    drawn = [draw_psf(telescope, rng) for _ in range(200)]
    widths = []
    for psf, facts in drawn:
        assert psf.sum() == pytest.approx(1.0, abs=1e-5)
        assert psf.min() >= 0.0
        middle = telescope.psf_size // 2
        assert np.unravel_index(psf.argmax(), psf.shape) == (middle, middle)
        image = galsim.Image(psf.astype(np.float64), scale=telescope.pixel_scale_arcsec)
        widths.append(image.calculateFWHM())
        assert widths[-1] == pytest.approx(facts["psf_fwhm_arcsec"], rel=0.05)
    assert np.median(widths) == pytest.approx(telescope.psf_fwhm_arcsec, rel=0.03)
    assert np.std(np.log(widths)) == pytest.approx(telescope.psf_scatter, rel=0.3)


def test_drizzled_noise_has_unit_variance_and_correlates_neighbours():
    noise = unit_noise(CANDELS, (400, 400), np.random.default_rng(0))
    assert noise.var() == pytest.approx(1.0, abs=0.03)
    assert np.mean(noise[:, 1:] * noise[:, :-1]) == pytest.approx(0.55, abs=0.05)
    white = unit_noise(SDSS, (400, 400), np.random.default_rng(0))
    assert abs(np.mean(white[:, 1:] * white[:, :-1])) < 0.02


def test_measured_psf_is_used(tmp_path):
    y, x = np.mgrid[-30:31, -30:31]
    path = tmp_path / "psf.fits"
    fits.writeto(path, np.exp(-0.5 * (x**2 + y**2) / 4.0))
    psf, _ = draw_psf(CANDELS, np.random.default_rng(0), path)
    usual, _ = draw_psf(CANDELS, np.random.default_rng(0))
    assert np.abs(psf - usual).max() > 0.1 * usual.max()  # no diffraction in a Gaussian


def test_measured_psf_keeps_its_width_at_the_scale_that_it_states(tmp_path):
    y, x = np.mgrid[-60:61, -60:61]
    for name, cards in (("same", {}), ("finer", {"PIXELSCL": 0.03}), ("fine", {"OVERSAMP": 3})):
        step = cards.get("PIXELSCL", 0.06 / cards.get("OVERSAMP", 1))
        path, sigma = tmp_path / f"{name}.fits", 0.27 / 2.3548 / step
        data = np.exp(-0.5 * (x**2 + y**2) / sigma**2)
        fits.writeto(path, data, fits.Header(cards))
        rng = np.random.default_rng(0)
        drawn = [draw_psf(CANDELS, rng, path) for _ in range(20)]
        assert np.median([facts["psf_fwhm_arcsec"] for _, facts in drawn]) == pytest.approx(
            0.27, rel=0.02
        )
        for psf, facts in drawn:
            assert 0.06 * fwhm(psf) == pytest.approx(facts["psf_fwhm_arcsec"], rel=0.02)
    fits.writeto(tmp_path / "coarse.fits", data, fits.Header({"PIXELSCL": 0.13}))
    with pytest.raises(SurveyError, match=r"coarse\.fits: PSF of 0\.13 arcsec/px, the stamps 0\."):
        draw_psf(CANDELS, np.random.default_rng(0), tmp_path / "coarse.fits")


@pytest.mark.parametrize(
    "data",
    [np.ones((4, 4)), np.ones((5, 7)), np.ones(9), np.full((5, 5), np.nan), -np.ones((5, 5))],
)
def test_unusable_psf_is_refused(tmp_path, data):
    fits.writeto(tmp_path / "psf.fits", data)
    with pytest.raises(SurveyError, match=r"psf\.fits"):
        draw_psf(CANDELS, np.random.default_rng(0), tmp_path / "psf.fits")
