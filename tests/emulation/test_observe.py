"""Laws of an observation: flux, centroid, PSF, noise, zero point, and the unit of the light."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from msgspec import structs

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.manifest import ExcerptEntry
from galaxy_explorer.emulation.cameras import (
    PROFILES,
    draw_psf,
    plain_setup,
    psf_on_pixels,
    setup_of,
)
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.light import (
    RELATIVE,
    Units,
    light_without_psf,
    units_of,
    usual_magnitude,
)
from galaxy_explorer.emulation.observation import (
    ObservationSettings,
    Observer,
    checked_scale,
    observe,
    resampled,
)
from galaxy_explorer.emulation.output import cards, facts
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import BadImage, BundleError, RequestError
from galaxy_explorer.models.conditions import Field
from galaxy_explorer.models.registry import PRIORS
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.telescopes import CANDELS
from tests.deconvolution.scenes import gaussian
from tests.small_bundle import write_small_bundle
from tests.small_psf_bundle import NAME, write_small_hst_survey, write_small_psf_bundle

FLUX = Units("electron/s", 25.0, 0.01, ArcsinhStretch(), 0.1, "of the survey")
RELATIVE_LIGHT = Units(RELATIVE, None, 1.0, ArcsinhStretch(), None, "the survey states none")


def light(n: int = 2, sigma: float = 3.0) -> np.ndarray:
    """Galaxies (n, 1, 64, 64) off the centre, each of 100 units of flux."""
    made = [np.roll(gaussian(64, sigma, 0.7, turn), (3, -4), (0, 1)) for turn in range(n)]
    return 100 * np.stack(made)[:, None]


def centroid(image: np.ndarray, scale: float) -> np.ndarray:
    """Distance (2,) in arcsec of the centre of the light from that of the picture."""
    axis = (np.arange(image.shape[-1]) - (image.shape[-1] - 1) / 2) * scale
    total = image.sum()
    return np.array([(image.sum(1) * axis).sum(), (image.sum(0) * axis).sum()]) / total


@pytest.mark.parametrize("wanted", [0.03, 0.1, 0.13, 0.2, 0.33])
def test_resampling_keeps_flux_and_centroid(wanted: float) -> None:
    image = light(1)[0, 0].astype(np.float64)
    found = resampled(image, 0.1, wanted)
    assert found.shape[0] * wanted >= 6.4 - 1e-6
    assert found.sum() == pytest.approx(image.sum(), rel=1e-9)
    assert centroid(found, wanted) == pytest.approx(centroid(image, 0.1), abs=1e-3)


def test_a_whole_factor_is_the_sum_of_blocks() -> None:
    image = np.random.default_rng(0).normal(size=(64, 64))
    blocks = image.reshape(32, 2, 32, 2).sum((1, 3))
    assert resampled(image, 0.1, 0.2) == pytest.approx(blocks, abs=1e-10)
    assert np.array_equal(resampled(image, 0.1, 0.1), image)


@pytest.mark.parametrize("name", PROFILES)
def test_a_camera_keeps_flux_and_centroid(name: str) -> None:
    scale = PROFILES[name].camera.pixel_scale_arcsec
    for stamp_scale in (scale, 1.7 * scale):
        seen = observe(light(), FLUX, setup_of(name, sky_sigma=0.0), pixel_scale_arcsec=stamp_scale)
        flux = 100 * 10 ** (0.4 * (seen.setup.camera.zero_point - 25.0))
        # Of the Moffat wings of SDSS a part is outside the stamp: on a dark canvas nothing is lost.
        assert seen.pixels.sum((1, 2, 3)) == pytest.approx(flux, rel=1e-2)
        wide = np.pad(light(), ((0, 0), (0, 0), (40, 40), (40, 40)))
        seen = observe(wide, FLUX, setup_of(name, sky_sigma=0.0), pixel_scale_arcsec=stamp_scale)
        assert seen.pixels.sum((1, 2, 3)) == pytest.approx(flux, rel=1e-4)
        for before, after in zip(wide[:, 0], seen.pixels[:, 0], strict=True):
            expected = centroid(before, stamp_scale)
            assert centroid(after, scale) == pytest.approx(expected, abs=0.01 * scale)


def test_a_point_of_light_becomes_the_psf_of_its_width() -> None:
    point = np.zeros((1, 1, 81, 81))
    point[0, 0, 40, 40] = 1.0
    for name, profile in PROFILES.items():
        scale = profile.camera.pixel_scale_arcsec
        seen = observe(point, FLUX, setup_of(name, sky_sigma=0.0), pixel_scale_arcsec=scale)
        peak = seen.pixels[0, 0] / seen.pixels[0, 0].max()
        # The area above half of the peak is that of a circle of the FWHM, to a pixel or two.
        fine = draw_psf(name, scale / 4)
        area = (fine > fine.max() / 2).sum() * (scale / 4) ** 2
        assert 2 * np.sqrt(area / np.pi) == pytest.approx(profile.camera.psf_fwhm_arcsec, rel=0.1)
        assert np.unravel_index(peak.argmax(), peak.shape) == (40, 40)


def test_a_psf_from_a_file_is_the_profile_itself(tmp_path: Path) -> None:
    psf, scale = draw_psf("euclid-vis", 0.1), 0.1
    header = fits.Header({"PIXSCALE": scale})
    fits.PrimaryHDU(psf, header).writeto(tmp_path / "psf.fits")
    named = setup_of("euclid-vis")
    own = setup_of("euclid-vis", psf_file=tmp_path / "psf.fits")
    a = observe(light(), FLUX, named, seed=3)
    b = observe(light(), FLUX, own, seed=3)
    assert b.pixels == pytest.approx(a.pixels, abs=1e-4 * float(a.pixels.max()))
    assert (named.psf_from, own.psf_from) == ("euclid-vis profile", "psf.fits")
    # On pixels of another scale too, as far as its own samples tell.
    fits.PrimaryHDU(draw_psf("sdss", 0.2), fits.Header({"PIXSCALE": 0.2})).writeto(
        tmp_path / "fine.fits"
    )
    coarse = psf_on_pixels((tmp_path / "fine.fits").read_bytes(), 0.396)
    sdss = draw_psf("sdss", 0.396)
    assert float(coarse.max()) == pytest.approx(float(sdss.max()), rel=2e-2)
    assert coarse.sum() == pytest.approx(1, abs=1e-5)


def test_a_file_that_is_no_psf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "psf.fits").write_bytes(b"SIMPLE  =                    T" + b" " * 100)
    with pytest.raises(BadImage, match=r"psf\.fits"):
        setup_of("sdss", psf_file=tmp_path / "psf.fits")


def test_noise_is_a_function_of_seed_and_number_alone() -> None:
    setup = setup_of("candels-f160w", pixel_scale_arcsec=0.1)
    many = observe(np.repeat(light(1), 4, 0), FLUX, setup, seed=5, numbers=10).pixels
    alone = observe(light(1), FLUX, setup, seed=5, numbers=12).pixels
    assert np.array_equal(alone[0], many[2])
    assert not np.array_equal(many[1], many[2])
    assert not np.array_equal(observe(light(1), FLUX, setup, seed=6, numbers=12).pixels, alone)


def test_the_noise_is_that_of_the_sky_and_of_the_light() -> None:
    dark, setup = np.zeros((1, 1, 200, 200)), setup_of("euclid-vis")
    sky = observe(dark, FLUX, setup).pixels
    assert sky.std() == pytest.approx(setup.camera.sky_sigma, rel=0.02)
    assert sky.mean() == pytest.approx(0, abs=0.02 * setup.camera.sky_sigma)
    bright = dark + 100.0
    seen = observe(bright, FLUX, setup).pixels[..., 40:-40, 40:-40]
    flux = 100 * 10 ** (0.4 * (25.6 - 25.0))
    variance = setup.camera.sky_sigma**2 + flux / setup.camera.electrons_per_flux
    assert seen.std() == pytest.approx(np.sqrt(variance), rel=0.03)
    assert observe(dark, FLUX, setup_of("euclid-vis", sky_sigma=0.0)).pixels.any() == 0


def test_a_magnitude_is_a_magnitude_in_every_zero_point() -> None:
    asked = np.array([18.0, 20.0])
    for zero_point in (22.5, 30.0):
        setup = setup_of("sdss", zero_point=zero_point, sky_sigma=0.0)
        wide = np.pad(light(), ((0, 0), (0, 0), (60, 60), (60, 60)))
        seen = observe(wide, FLUX, setup, pixel_scale_arcsec=0.396, magnitude=asked)
        found = zero_point - 2.5 * np.log10(seen.pixels.sum((1, 2, 3)))
        assert found == pytest.approx(asked, abs=1e-3)
    brighter = setup_of("sdss", zero_point=25.0)
    ratio = 10 ** (0.4 * 2.5)
    assert brighter.sigma == pytest.approx(ratio * setup_of("sdss").sigma, rel=1e-6)


def test_light_without_a_zero_point_needs_a_magnitude() -> None:
    setup = setup_of("sdss")
    with pytest.raises(RequestError, match="magnitude"):
        observe(light(), RELATIVE_LIGHT, setup, pixel_scale_arcsec=0.4)
    seen = observe(light(), RELATIVE_LIGHT, setup, pixel_scale_arcsec=0.4, magnitude=15)
    assert np.isfinite(seen.stretched).all()
    with pytest.raises(RequestError, match="pixel scale: the survey states none"):
        observe(light(), RELATIVE_LIGHT, setup, magnitude=15)


def test_without_a_camera_only_what_was_asked_for_happens() -> None:
    setup = plain_setup(RELATIVE_LIGHT, 0.4)
    seen = observe(light(), RELATIVE_LIGHT, setup, pixel_scale_arcsec=0.4)
    assert np.array_equal(seen.pixels, light().astype(np.float32))
    assert setup.camera.flux_unit == RELATIVE
    with pytest.raises(RequestError, match="zero point"):
        observe(light(), RELATIVE_LIGHT, setup, pixel_scale_arcsec=0.4, magnitude=15)
    scaled = plain_setup(RELATIVE_LIGHT, 0.4, zero_point=20.0)
    seen = observe(light(), RELATIVE_LIGHT, scaled, pixel_scale_arcsec=0.4, magnitude=15)
    assert seen.pixels.sum((1, 2, 3)) == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"telescope": "hubble"}, "known cameras are sdss"),
        ({"pixel_scale_arcsec": 0.0}, "pixel scale of the observation 0.0"),
        ({"zero_point": float("nan")}, "zero point nan"),
        ({"sky_sigma": -1.0}, "sky sigma -1.0"),
    ],
)
def test_what_is_not_possible_is_refused(changes: dict, words: str) -> None:
    options = {"telescope": "sdss"} | changes
    with pytest.raises(RequestError, match=words):
        setup_of(options.pop("telescope"), **options)


def test_a_picture_of_too_many_pixels_is_refused() -> None:
    with pytest.raises(RequestError, match="at most 1024"):
        observe(light(), FLUX, setup_of("euclid-vis"), pixel_scale_arcsec=4.0)
    with pytest.raises(RequestError, match="pixel scale 1000"):
        checked_scale(FLUX, 1000.0)


def test_8_bit_pictures_give_relative_light_with_its_sky_at_zero(tmp_path: Path) -> None:
    bundle = load_bundle(write_small_bundle(tmp_path / "bundle", n=60))
    units = units_of(bundle)
    assert (units.unit, units.zero_point, units.pixel_scale_arcsec) == (RELATIVE, None, None)
    stamps = units.stamps(light()) + 0.01
    found = units.light(stamps)
    assert np.median(found, (1, 2, 3)) == pytest.approx(0, abs=0.02)
    brightest = np.unravel_index(found[0, 0].argmax(), (64, 64))
    assert brightest == np.unravel_index(light()[0, 0].argmax(), (64, 64))
    with pytest.raises(BundleError, match="no model with the PSF layer"):
        light_without_psf(bundle, bundle.codes("k512-modern-8x8")[:1])
    bundle.manifest.survey.stretch["scale"] = 0
    with pytest.raises(BundleError, match="no arcsinh stretch"):
        units_of(bundle)


@pytest.fixture(scope="module")
def hst(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hst")
    survey = write_small_hst_survey(folder / "survey")
    return write_small_psf_bundle(folder / "bundle", survey)


def test_linear_stamps_give_flux_by_the_exact_inverse(hst: Path) -> None:
    bundle = load_bundle(hst)
    assert units_of(bundle).unit == "sky sigma"  # this bundle's catalogue has no sky
    units = replace(units_of(bundle), sky_sigma=0.005)
    flux = 0.005 * light()
    assert units.light(units.stamps(flux)) == pytest.approx(flux, abs=1e-5)
    assert units.pixel_scale_arcsec == CANDELS.pixel_scale_arcsec


def test_an_encoded_survey_says_nothing_of_the_light_that_is_drawn(hst: Path) -> None:
    """Its sky and pixel scale are not those that the networks have learnt from."""
    bundle = load_bundle(hst)
    sky = {"sky_sigma": np.full(len(bundle), 0.005), "zero_point": np.full(len(bundle), 25.9)}
    catalogue = SimpleNamespace(column_names=list(sky), column=sky.__getitem__)
    bundle = replace(bundle, catalogue=catalogue)
    assert units_of(bundle).sky_sigma == 0.005
    excerpt = ExcerptEntry("x", 9, "0" * 64, "", "another")
    other = replace(bundle, manifest=structs.replace(bundle.manifest, excerpt=excerpt))
    assert (units_of(other).unit, units_of(other).sky_sigma) == ("sky sigma", 1.0)
    size = Field("size", "Radius", "arcsec", 0.2, 9.0, 1.0, "radius_arcsec")
    assert np.isnan(Emulator.values(SimpleNamespace(bundle=other), size)).all()


def test_the_psf_layer_can_be_left_out(hst: Path) -> None:
    bundle = load_bundle(hst)
    codes, units = bundle.codes(NAME)[:2], units_of(bundle)
    sharp = light_without_psf(bundle, codes)
    assert sharp.shape == (2, 1, 84, 84)
    assert (sharp > 0).all()
    through = units.light(bundle.draw(NAME, codes))
    setup = replace(setup_of("candels-f160w"), psf=bundle.load_model(NAME).psf.numpy())
    setup = replace(setup, camera=replace(setup.camera, zero_point=float("nan")), sky_sigma=0.0)
    again = observe(sharp, units, setup).pixels
    inner = (..., slice(34, 50), slice(34, 50))  # light beyond the stamp comes into its border
    assert again[inner] == pytest.approx(through[inner], rel=0.05)
    with pytest.raises(RequestError, match="21 x 21"):
        light_without_psf(bundle, codes[:, :8, :8])


def test_the_psf_layer_is_left_out_where_another_psf_follows(hst: Path) -> None:
    bundle = load_bundle(hst)
    emulator: Any = SimpleNamespace(
        bundle=bundle, model=NAME, fields=(), default_guidance=1.0,
        kind=PRIORS["pixelcnn"],
        decode=lambda codes: bundle.draw(NAME, codes),
    )  # fmt: skip
    codes, drawn, seen = (
        bundle.codes(NAME)[:2],
        Observer(emulator),
        Observer(emulator, ObservationSettings("sdss")),
    )
    through = units_of(bundle).light(bundle.draw(NAME, codes))
    assert np.array_equal(drawn.light(codes), through)
    assert np.array_equal(seen.light(codes), light_without_psf(bundle, codes))
    kept = Observer(emulator, ObservationSettings("sdss", psf_layer=True))
    assert np.array_equal(kept.light(codes), through)
    layers = [facts(cards(maker, Request(2)))["PSFLAYER"] for maker in (drawn, seen, kept)]
    assert layers == [True, False, True]


def test_the_usual_magnitude_is_the_one_asked_for_or_the_median() -> None:
    field = Field("magnitude", "B magnitude", "mag", 10, 18, 14.5, "bmag")
    assert usual_magnitude([field], {"magnitude": 13.0}) == (13.0, "B magnitude asked for")
    assert usual_magnitude([field], {}) == (14.5, "median B magnitude of the survey")
    assert usual_magnitude([], {}) is None
