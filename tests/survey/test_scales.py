"""Pixel scales and sky coordinates, in all the ways that headers state them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, DistortionLookupTable

from galaxy_explorer.survey.scales import (
    cut_header,
    pixel_scale,
    same_scale,
    sky_wcs,
    stated_scale,
)

SCALE = 0.18
STEP = SCALE / 3600
PLACE = {
    "NAXIS": 2, "NAXIS1": 120, "NAXIS2": 110, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
    "CRVAL1": 201.3, "CRVAL2": 47.1, "CRPIX1": 61.5, "CRPIX2": 40.0,
}  # fmt: skip
TURN = np.radians(33.0)
MATRIX = STEP * np.array([[-np.cos(TURN), np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
CD = {f"CD{i + 1}_{j + 1}": MATRIX[i, j] for i in range(2) for j in range(2)}
PC = {f"PC{i + 1}_{j + 1}": MATRIX[i, j] for i in range(2) for j in range(2)}
SIP = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2,
    "A_2_0": 3e-4, "B_1_1": -2e-4,
}  # fmt: skip
WAYS = {
    "CD": CD,
    "PC in degrees": {**PC, "CDELT1": 1.0, "CDELT2": 1.0},
    "PC and CDELT": {
        **{key: value / STEP for key, value in PC.items()}, "CDELT1": STEP, "CDELT2": STEP,
    },
    "CROTA2": {"CDELT1": -STEP, "CDELT2": STEP, "CROTA2": 33.0},
    "arcsec": {"CDELT1": -SCALE, "CDELT2": SCALE, "CUNIT1": "arcsec", "CUNIT2": "arcsec"},
    "arcmin": {"CDELT1": -SCALE / 60, "CDELT2": SCALE / 60, "CUNIT1": "arcmin", "CUNIT2": "arcmin"},
    "deg": {"CDELT1": -STEP, "CDELT2": STEP, "CUNIT1": "deg", "CUNIT2": "deg"},
    "galactic": {**CD, "CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_scale_is_the_same_in_every_way_of_writing_it(way: str) -> None:
    assert pixel_scale({**PLACE, **WAYS[way]}) == pytest.approx(SCALE, rel=1e-9)
    assert pixel_scale(fits.Header({**PLACE, **WAYS[way]})) == pytest.approx(SCALE, rel=1e-9)


def test_a_cube_has_the_scale_of_its_celestial_axes() -> None:
    third = {
        "NAXIS": 3, "NAXIS3": 4, "WCSAXES": 3, "CTYPE3": "FREQ", "CDELT3": 1e6, "CRPIX3": 1.0,
        "CRVAL3": 1.4e9, "CUNIT3": "Hz",
    }  # fmt: skip
    assert pixel_scale({**PLACE, **WAYS["deg"], **third}) == pytest.approx(SCALE, rel=1e-9)


@pytest.mark.parametrize("keyword", ["PIXSCALE", "PIXSCAL1", "PIXELSCL", "SECPIX", "D001SCAL"])
def test_a_keyword_states_the_scale_where_there_is_no_wcs(keyword: str) -> None:
    found = stated_scale({keyword: 0.27})
    assert found is not None
    assert (found.arcsec, found.said_by) == (0.27, keyword)
    assert pixel_scale({keyword: "0.27"}) == 0.27
    assert pixel_scale({"PIXAR_A2": 0.09}) == pytest.approx(0.3)


def test_what_is_odd_about_a_scale_is_said() -> None:
    assert stated_scale({**PLACE, **CD}).notes == ()
    double = stated_scale({**PLACE, "CDELT1": -2 * STEP, "CDELT2": STEP})
    assert double.arcsec == pytest.approx(SCALE * np.sqrt(2))
    assert "not square: 0.18 x 0.36" in double.notes[0]
    other = stated_scale({**PLACE, **CD, "PIXSCALE": 0.4})
    assert other.arcsec == pytest.approx(SCALE)
    assert "PIXSCALE says 0.4" in other.notes[0]
    far = {**PLACE, "CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL2": 0.0}
    far |= {"CDELT1": -STEP, "CDELT2": STEP, "CRPIX2": 55 - 60 / STEP}
    away = stated_scale(far)  # at 60 deg, where the pixels of a plate carree are half as wide
    assert away.arcsec == pytest.approx(SCALE * np.sqrt(0.5), rel=1e-3)
    assert "projection or distortion" in away.notes[0]


def test_a_scale_in_other_words() -> None:
    for keyword, value, comment in (
        ("PIXSCALE", 180.0, "[mas] pixel scale"), ("PIXSCALE", STEP * 5, "deg/pixel"),
        ("SCALE", SCALE, "[arcsec/pixel]"), ("PIXSCALE", "0.18 arcsec/pix", ""),
        ("PIXSCALE", "0.18 x 0.18", ""), ("PIXAR_SR", (SCALE / 206264.806) ** 2, "sr"),
    ):  # fmt: skip
        header = fits.Header()
        header[keyword] = (value, comment)
        expected = SCALE * 5 if comment == "deg/pixel" else SCALE
        assert pixel_scale(header) == pytest.approx(expected, rel=1e-6), (keyword, comment)
    plate = {"PLTSCALE": 67.2, "XPIXELSZ": 25.28}  # arcsec/mm and microns, of scanned plates
    assert pixel_scale(plate) == pytest.approx(1.699, rel=1e-3)
    for silent in ({"PLTSCALE": 67.2}, {"SCALE": SCALE}, {"PIXSCALE": -1.0}, {"PIXSCALE": "?"}):
        assert pixel_scale(silent) is None


def test_terms_of_sip_that_a_drizzled_image_kept_are_left_out(capfd) -> None:
    far = {**PLACE, **CD, "CRPIX1": -3000.0, "CRPIX2": 4000.0}
    leftover = {**SIP, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    found = stated_scale(fits.Header({**far, **leftover}))
    assert found.arcsec == pytest.approx(SCALE, rel=1e-3)
    assert found.notes == ("SIP terms left out, for CTYPE does not say -SIP",)
    assert stated_scale(fits.Header({**far, **SIP})).arcsec != pytest.approx(SCALE, rel=0.03)
    there = sky_wcs(fits.Header({**far, **leftover})).pixel_to_world(10, 20)
    assert there.separation(sky_wcs(fits.Header(far)).pixel_to_world(10, 20)).arcsec < 1e-6
    assert "SIP" not in capfd.readouterr().err


def test_a_cd_matrix_counts_before_what_may_not_stand_beside_it() -> None:
    header = fits.Header({**PLACE, **CD, "PC1_1": 1.0, "PC2_2": 1.0, "CROTA2": 12.0})
    assert pixel_scale(header) == pytest.approx(SCALE)
    there = sky_wcs(header).pixel_to_world(10, 20)
    alone = sky_wcs(fits.Header({**PLACE, **CD})).pixel_to_world(10, 20)
    assert there.separation(alone).arcsec < 1e-6
    assert "CROTA2" in header, "the caller's header stays"


@pytest.mark.parametrize(
    "header",
    [
        {"CD1_1": 0.0, "CD2_2": 0.0},
        {"PIXSCALE": True},
        {"PIXSCALE": float("nan")},
        {"CDELT1": 1.0, "CDELT2": 1.0, "CTYPE1": "LINEAR", "CTYPE2": "LINEAR"},
        {**PLACE, **CD, "CUNIT1": "Hz", "CUNIT2": "Hz"},
        {**PLACE, "CD1_1": 1e300, "CD2_2": 1e300},
        {**PLACE, "CDELT1": 1.0, "CDELT2": 1.0},
        {**PLACE, **CD, "CTYPE1": "RA---XYZ"},
    ],
)
def test_what_states_no_scale_states_none(header: dict) -> None:
    assert pixel_scale(header) is None


def test_a_distortion_of_absurd_order_takes_no_memory() -> None:
    header = {**PLACE, **CD, **SIP, "A_ORDER": 10**6}
    assert pixel_scale(header) == pytest.approx(SCALE, rel=1e-3)
    with pytest.raises(ValueError, match="order"):
        sky_wcs(fits.Header(header))


def test_two_per_cent_are_one_scale() -> None:
    assert same_scale(0.06, 0.061)
    assert not same_scale(0.06, 0.0615)


def lookup(header: fits.Header) -> fits.HDUList:
    """A file with a lookup table of distortion of a pixel or so."""
    y, x = np.indices((8, 8))
    table = (0.8 * np.sin(x / 2) * np.cos(y / 3)).astype(np.float32)
    wcs = WCS(header)
    wcs.cpdis1 = wcs.cpdis2 = DistortionLookupTable(table, (1.0, 1.0), (1.0, 1.0), (17.0, 17.0))
    hdus = wcs.to_fits(relax=True)
    hdus[0].data = np.zeros((110, 120), np.float32)
    return hdus


TURNED = ("CD", "PC in degrees", "PC and CDELT", "CROTA2")
CUTS = {**{way: WAYS[way] for way in TURNED}, "SIP": {**CD, **SIP}}


@pytest.mark.parametrize("step", [1.0, 1.7])
@pytest.mark.parametrize("way", [*CUTS, "LOOKUP"])
def test_a_pixel_of_a_cut_is_where_it_was_on_the_sky(way: str, step: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = None
        header = fits.Header({**PLACE, **CUTS.get(way, CD)})
        if way == "LOOKUP":
            file = lookup(header)
            header = file[0].header
        before = WCS(header, file)
        after = WCS(cut_header(sky_wcs(header, file), 20, 13, step, 40))
        x, y = np.array([3.0, 37.5, 20.0]), np.array([36.0, 1.0, 20.5])
        old = before.pixel_to_world(20 + (x + 0.5) * step - 0.5, 13 + (y + 0.5) * step - 0.5)
        far = old.separation(after.pixel_to_world(x, y)).arcsec / SCALE
    assert far.max() < (0.1 if way == "LOOKUP" else 1e-6)
    wrong = before.pixel_to_world(21 + (x + 0.5) * step - 0.5, 13 + (y + 0.5) * step - 0.5)
    assert (wrong.separation(after.pixel_to_world(x, y)).arcsec / SCALE).min() > 0.5
