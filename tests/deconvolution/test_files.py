"""What a deconvolution takes from a file: pixel scale, place on the sky, unit, holes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from galaxy_explorer.deconvolution.files import (
    DeconvolutionOptions,
    deconvolve_images,
    read_stamp,
)
from galaxy_explorer.deconvolution.observations import flux_unit, photon_noise
from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.scales import fwhm, read_psf
from tests.deconvolution.scenes import SIZE, galaxies, network, psfs

SCALE = 0.06
STEP = SCALE / 3600
PLACE = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 33.0, "CRVAL2": -51.0, "CRPIX1": 70.0,
    "CRPIX2": 44.5,
}  # fmt: skip
TURN = np.radians(25.0)
MATRIX = np.array([[-np.cos(TURN), np.sin(TURN)], [np.sin(TURN), np.cos(TURN)]])
CD = {f"CD{i + 1}_{j + 1}": STEP * MATRIX[i, j] for i in range(2) for j in range(2)}
SIP = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2,
    "A_1_1": 2e-5, "B_2_0": 3e-5,
}  # fmt: skip
WAYS = {
    "CD": CD,
    "PC": {
        **{f"PC{i + 1}_{j + 1}": MATRIX[i, j] for i in range(2) for j in range(2)},
        "CDELT1": STEP, "CDELT2": STEP,
    },
    "CROTA2": {"CDELT1": -STEP, "CDELT2": STEP, "CROTA2": 25.0},
    "SIP": {**CD, **SIP},
}  # fmt: skip
MODEL = DeconvolutionOptions(model_scale=SCALE)


def write(path: Path, *, shape: tuple[int, int] = (103, 110), **header: object) -> Path:
    """A galaxy in the middle, in the third HDU after a table, as drizzled images have it."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(0.5, 0.2, shape)
    top, left = (shape[0] - SIZE) // 2, (shape[1] - SIZE) // 2
    pixels[top : top + SIZE, left : left + SIZE] += 1000 * galaxies(1)[0]
    cards = fits.Header({"BUNIT": "ELECTRONS/S", **header})
    science = fits.ImageHDU(pixels.astype(np.float32), cards, name="SCI")
    table = fits.table_to_hdu(Table({"a": [1.0, 2.0]}))
    fits.HDUList([fits.PrimaryHDU(), table, science]).writeto(path)
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("factor", [1.0, 2.0, 0.8])
def test_a_pixel_of_the_stamp_is_where_it_was_on_the_sky(
    tmp_path: Path, way: str, factor: float
) -> None:
    """Pixels that are their own x or y tell where those of the stamp came from."""
    shape = (171, 180)
    path = write(tmp_path / "a.fits", shape=shape, **PLACE, **WAYS["CD"], BUNIT="MJy/sr")
    options = DeconvolutionOptions(model_scale=factor * SCALE, resample=True)
    old = []
    for axis in (1, 0):
        with fits.open(path) as opened:
            opened[2].header.update({**PLACE, **WAYS[way]})
            if not way.startswith(("CD", "SIP")):
                for key in CD:
                    del opened[2].header[key]
            opened[2].data = np.indices(shape)[axis].astype(np.float32)
            opened.writeto(tmp_path / f"{axis}.fits")
        stamp = read_stamp(tmp_path / f"{axis}.fits", SIZE, options)
        old.append(stamp.pixels[10:-10, 10:-10])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = WCS(fits.getheader(tmp_path / "0.fits", 2))
        after = WCS(stamp.header)
        y, x = np.indices(stamp.pixels.shape)
        here = after.pixel_to_world(x[10:-10, 10:-10], y[10:-10, 10:-10])
        there = before.pixel_to_world(*old)
    assert here.separation(there).arcsec.max() / SCALE < (1e-4 if factor == 1 else 0.02)
    assert stamp.header["BUNIT"] == "MJy/sr"
    assert stamp.scale == pytest.approx(factor * SCALE)


def test_another_scale_is_refused_or_resampled_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", shape=(143, 150), **PLACE, **CD)
    coarser = DeconvolutionOptions(model_scale=0.09)
    with pytest.raises(BadImage, match=r"0\.06 arcsec/px.*0\.09; give --resample"):
        read_stamp(path, SIZE, coarser)
    plain = read_stamp(path, SIZE, MODEL)
    stamp = read_stamp(path, SIZE, DeconvolutionOptions(model_scale=0.09, resample=True))
    assert any("resampled" in note for note in stamp.notes)
    assert not any("resampled" in note for note in plain.notes)
    flux = [(one.pixels - one.sky)[20:-20, 20:-20].sum() for one in (plain, stamp)]
    assert flux[1] == pytest.approx(flux[0], rel=0.1)
    nearly = DeconvolutionOptions(model_scale=SCALE * 1.015)
    np.testing.assert_array_equal(read_stamp(path, SIZE, nearly).pixels, plain.pixels)
    small = write(tmp_path / "b.fits", shape=(100, 100), **PLACE, **CD)
    with pytest.raises(BadImage, match="needs 126"):
        read_stamp(small, SIZE, DeconvolutionOptions(model_scale=0.09, resample=True))


def test_a_scale_is_given_where_the_header_is_silent_and_not_against_it(tmp_path: Path) -> None:
    silent = write(tmp_path / "a.fits")
    assert any("no pixel scale, taken as" in n for n in read_stamp(silent, SIZE, MODEL).notes)
    with pytest.raises(BadImage, match=r"0\.1 arcsec/px"):
        read_stamp(silent, SIZE, DeconvolutionOptions(model_scale=SCALE, pixel_scale=0.1))
    given = DeconvolutionOptions(model_scale=SCALE, pixel_scale=0.06)
    assert not any("no pixel scale" in note for note in read_stamp(silent, SIZE, given).notes)
    stated = write(tmp_path / "b.fits", PIXSCALE=0.06)
    with pytest.raises(BadImage, match=r"PIXSCALE says 0\.06 arcsec/px, --pixel-scale 0\.1"):
        read_stamp(stated, SIZE, DeconvolutionOptions(model_scale=SCALE, pixel_scale=0.1))


@pytest.mark.parametrize(
    ("text", "kind", "a_second", "an_area"),
    [
        ("ELECTRONS/S", "electrons", True, False), ("electron s-1", "electrons", True, False),
        ("e-/s", "electrons", True, False), ("E/SEC", "electrons", True, False),
        ("electrons", "electrons", False, False), ("e-", "electrons", False, False),
        ("counts", "counts", False, False), ("COUNTS/S", "counts", True, False),
        ("DN/s", "counts", True, False), ("adu", "counts", False, False),
        ("count s**-1", "counts", True, False), ("cps", "counts", True, False),
        ("counts/s/arcsec2", "counts", True, True), ("nJy", "other", False, False),
        ("10.0*nJy", "other", False, False), ("nanomaggy", "other", False, False),
        ("MJy/sr", "other", False, True), ("Jy/beam", "other", False, True),
        ("erg/s/cm2/Angstrom", "other", True, False), ("mag/arcsec2", "magnitudes", False, True),
        ("", "", False, False), (3.0, "", False, False), (None, "", False, False),
    ],
)  # fmt: skip
def test_a_unit_is_told_in_every_way_of_writing_it(
    text: object, kind: str, a_second: bool, an_area: bool
) -> None:
    assert flux_unit(text)[1:] == (kind, a_second, an_area)


@pytest.mark.parametrize(
    ("header", "exposure", "electrons", "words"),
    [
        ({"BUNIT": "ELECTRONS/S"}, 500.0, 500.0, "--exposure 500"),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 900.0}, None, 900.0, "EXPTIME 900"),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 900.0}, 500.0, 500.0, "--exposure 500"),
        ({"BUNIT": "ELECTRONS/S"}, None, None, "no exposure"),
        ({"BUNIT": "electrons"}, 500.0, 1.0, "--exposure is not needed"),
        ({"BUNIT": "DN/s", "GAIN": 2.5}, 500.0, 1250.0, "GAIN 2.5"),
        ({"BUNIT": "counts", "GAIN": 2.5}, None, 2.5, "GAIN 2.5"),
        ({"BUNIT": "counts"}, 500.0, None, "no GAIN"),
        ({"BUNIT": "counts", "CCDGAIN": 2.5, "NCOADD": 4}, None, 10.0, "NCOADD 4 averaged"),
        ({"BUNIT": "counts/s", "GAIN": 2.0, "NCOADD": 4, "EXPTIME": 9.0}, None, 18.0, "EXPTIME 9"),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 1.0}, None, None, "give --exposure"),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 9e3, "NDRIZIM": 12}, None, 9e3, "NDRIZIM 12"),
        ({"BUNIT": "nJy", "EXPTIME": 900.0}, 500.0, None, "needs electrons/s, not nJy"),
        ({"BUNIT": "MJy/sr"}, None, None, "sky's alone"),
        ({}, 500.0, 500.0, "electrons/s believed"),
        ({"EXPTIME": 900.0}, None, None, "sky's alone"),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 0.0}, None, None, "no exposure"),
    ],
)
def test_photon_noise_is_used_only_where_it_makes_sense(
    header: dict, exposure: float | None, electrons: float | None, words: str
) -> None:
    found = photon_noise(header, exposure)
    assert found[0] == electrons
    assert words in found[1]


def test_magnitudes_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", BUNIT="mag/arcsec2")
    with pytest.raises(BadImage, match="not linear"):
        read_stamp(path, SIZE, MODEL)


def test_a_saturated_core_is_masked_with_a_word(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", **PLACE, **CD)
    with fits.open(path) as opened:
        opened[2].data[49:53, 53:57] = np.nan
        opened.writeto(tmp_path / "b.fits")
    (found,) = deconvolve_images(network(), [tmp_path / "b.fits"], MODEL)
    hole = ~np.isfinite(found.pixels)
    assert hole.sum() == 16
    assert hole[SIZE // 2 - 2 : SIZE // 2 + 2, SIZE // 2 - 2 : SIZE // 2 + 2].all()
    assert np.isfinite(found.light).all()
    assert (np.isnan(found.residual) == hole).all()
    assert found.chi2 == pytest.approx(np.nanmean(found.residual**2), rel=1e-4)
    assert any("16 NaN or blank pixels are masked" in note for note in found.notes)
    assert any("core is a guess" in note for note in found.notes)
    with fits.open(found.write(tmp_path)) as made:
        assert "masked" in " ".join(made[0].header["HISTORY"])
        assert made[0].header["PIXSCALE"] == SCALE
    with fits.open(path) as opened:
        opened[2].data[:50] = np.nan
        opened.writeto(tmp_path / "c.fits")
    (refused,) = deconvolve_images(network(), [tmp_path / "c.fits"], MODEL)
    assert isinstance(refused, BadImage)
    assert "NaN" in refused.reason


def test_names_of_any_script_are_written(tmp_path: Path) -> None:
    path = write(tmp_path / "Großgalaxie.fits", **PLACE, **CD)
    (found,) = deconvolve_images(network(), [path], MODEL, {"PSFFILE": "psf-äöü.fits"})
    header = fits.getheader(found.write(tmp_path))
    assert (header["INFILE"], header["PSFFILE"]) == ("Gro?galaxie.fits", "psf-???.fits")


def test_a_psf_is_put_on_the_pixels_of_the_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", **PLACE, **CD)
    header = fits.Header({"PIXELSCL": 0.02})
    fits.PrimaryHDU(psfs(1, 9.3)[0], header).writeto(tmp_path / "fine.fits")
    header["PIXELSCL"] = 0.12
    fits.PrimaryHDU(psfs(1)[0], header).writeto(tmp_path / "coarse.fits")
    fits.PrimaryHDU(psfs(1, 9.3)[0]).writeto(tmp_path / "silent.fits")

    def made(name: str) -> object:
        psf = read_psf(tmp_path / f"{name}.fits")
        options = DeconvolutionOptions(model_scale=SCALE, psf=psf)
        return next(iter(deconvolve_images(network(), [path], options)))

    fine = made("fine")
    assert fine.observed.psf[0].shape == (21, 21)
    assert any("0.02 arcsec/px, the image 0.06" in note for note in fine.notes)
    coarse = made("coarse")
    assert isinstance(coarse, BadImage)
    assert coarse.source == str(path)
    assert "coarse.fits: PSF of 0.12 arcsec/px, the image 0.06" in coarse.reason
    assert any("is it of these images" in note for note in made("silent").notes)


@pytest.mark.parametrize("oversampled", [None, 3])
def test_a_psf_without_a_scale_is_resampled_with_the_image(
    tmp_path: Path, oversampled: int | None
) -> None:
    path = write(tmp_path / "a.fits", shape=(143, 150), **PLACE, **CD)
    header = fits.Header({"OVERSAMP": oversampled} if oversampled else {})
    width = 3.1 * 1.5 * (oversampled or 1)
    fits.PrimaryHDU(psfs(1, width)[0], header).writeto(tmp_path / "p.fits")
    psf = read_psf(tmp_path / "p.fits")

    def made(scale: float) -> object:
        options = DeconvolutionOptions(model_scale=scale, resample=True, psf=psf)
        return next(iter(deconvolve_images(network(), [path], options)))

    assert fwhm(made(0.09).observed.psf[0]) == pytest.approx(3.1, rel=0.05)
    assert fwhm(made(SCALE).observed.psf[0]) == pytest.approx(3.1 * 1.5, rel=0.05)
    finer = made(0.04)
    assert isinstance(finer, BadImage) == (oversampled is None)
