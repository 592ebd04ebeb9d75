from __future__ import annotations

import itertools
from dataclasses import replace

import galsim
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from galaxy_explorer.survey.simulation.galaxy import draw_galaxy
from galaxy_explorer.survey.simulation.population import draw_parameters, sersic_profile
from galaxy_explorer.survey.simulation.survey import convolve
from galaxy_explorer.survey.telescopes import SDSS, draw_psf


@pytest.mark.parametrize("inclination", [0.0, 50.0, 75.0, 90.0])
def test_plain_galaxy_agrees_with_galsim(inclination):
    galaxy = _plain(inclination)
    rng = np.random.default_rng(2)
    light = draw_galaxy(SDSS, galaxy, rng)
    psf, facts = draw_psf(SDSS, rng)
    moffat = galsim.Moffat(beta=facts["psf_moffat_beta"], fwhm=facts["psf_fwhm_arcsec"])
    turn = (galaxy.position_angle_deg + 90.0) * galsim.degrees
    length = galaxy.disc_scale_length_arcsec
    share = galaxy.bulge_to_total
    disc = galsim.InclinedExponential(
        inclination * galsim.degrees,
        scale_radius=length,
        scale_height=galaxy.disc_thickness * length,
        flux=galaxy.total_flux * (1.0 - share),
    ).rotate(turn)
    bulge = galsim.Sersic(
        galaxy.sersic_index, galaxy.bulge_radius_arcsec, flux=galaxy.total_flux * share
    ).shear(q=galaxy.bulge_axis_ratio, beta=turn)
    blurred = galsim.Convolve(
        [disc + bulge, moffat.shear(e1=facts["psf_e1"], e2=facts["psf_e2"])]
    ).drawImage(
        nx=light.shape[0],
        ny=light.shape[0],
        scale=SDSS.pixel_scale_arcsec,
        offset=(galaxy.offset_x_px, galaxy.offset_y_px),
    )
    difference = convolve(light, psf) - blurred.array
    assert np.abs(difference).max() < 0.04 * blurred.array.max()


def _plain(inclination):
    drawn = (draw_parameters(SDSS, np.random.default_rng(seed)) for seed in range(1000))
    galaxy = next(g for g in drawn if 1.0 < g.ttype < 2.0 and g.isophotal_radius_arcsec > 8.0)
    nothing = dict.fromkeys(
        ("arm_contrast", "texture", "bar_fraction", "ring_fraction", "clump_fraction"), 0.0
    )
    whole = {"n_arms": 0, "n_clumps": 0, "lopsidedness": 0.0, "dust_optical_depth": 0.0}
    return replace(galaxy, inclination_deg=inclination, **nothing, **whole)


def test_sersic_profile_has_unit_flux_and_unit_half_light_radius():
    radii = np.geomspace(1e-6, 1e4, 40001)
    for index in (0.6, 1.0, 2.5, 4.0, 6.0):
        rings = 2.0 * np.pi * radii**2 * sersic_profile(radii, index) * np.gradient(np.log(radii))
        assert rings.sum() == pytest.approx(1.0, abs=0.002)
        assert rings[radii <= 1.0].sum() == pytest.approx(0.5, abs=0.002)


def test_arms_wind_as_stated():
    """The phase of the m = 2 Fourier mode turns with ln R by winding / tan(pitch)."""
    drawn = (draw_parameters(SDSS, np.random.default_rng(seed)) for seed in range(2000))
    arms = (g for g in drawn if g.n_arms == 2 and g.arm_contrast > 0.4 and not g.bar_fraction)
    spirals = [
        replace(g, inclination_deg=0.0, texture=0.0, n_clumps=0, ring_fraction=0.0)
        for g in itertools.islice((g for g in arms if g.isophotal_radius_arcsec > 7.0), 12)
    ]
    stated = [g.winding / np.tan(np.radians(g.pitch_angle_deg)) for g in spirals]
    measured = [_turn(g) for g in spirals]
    assert {g.winding for g in spirals} == {-1, 1}
    np.testing.assert_array_equal(np.sign(measured), np.sign(stated))
    assert np.median(np.divide(measured, stated)) == pytest.approx(1.0, abs=0.25)


def _turn(galaxy) -> float:
    light = draw_galaxy(SDSS, galaxy, np.random.default_rng(0))
    reach = galaxy.isophotal_radius_arcsec / SDSS.pixel_scale_arcsec
    radius = np.geomspace(0.3, 0.8, 40)[:, None] * reach
    angle = np.linspace(0.0, 2.0 * np.pi, 256, endpoint=False)
    middle = 0.5 * (light.shape[0] - 1)
    rows = middle + galaxy.offset_y_px + radius * np.sin(angle)
    columns = middle + galaxy.offset_x_px + radius * np.cos(angle)
    rings = map_coordinates(light, [rows, columns], order=1)
    phase = np.unwrap(np.angle((rings * np.exp(2j * angle)).sum(axis=1)))
    return float(np.polyfit(np.log(radius[:, 0]), 0.5 * phase, 1)[0])
