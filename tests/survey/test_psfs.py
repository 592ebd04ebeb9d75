"""PSFs of the user's own: what becomes of them on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image as Pictures

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.scales import fwhm, read_psf


def star(shape: tuple[int, int], y: float, x: float, width: float = 3.0) -> np.ndarray:
    rows, columns = np.indices(shape)
    light = np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / width**2)
    return np.asarray(light / light.sum())


def write(path: Path, *images: np.ndarray, **header: object) -> Path:
    hdus = [fits.PrimaryHDU(images[0].astype(np.float32), fits.Header(header))]
    hdus += [fits.ImageHDU(image.astype(np.float32)) for image in images[1:]]
    fits.HDUList(hdus).writeto(path)
    return path


def centroid(psf: np.ndarray) -> tuple[float, float]:
    y, x = np.indices(psf.shape) - psf.shape[0] // 2
    return float((y * psf).sum()), float((x * psf).sum())


def test_negative_wings_stay_and_the_sum_is_one(tmp_path: Path) -> None:
    ringing = star((41, 41), 20, 20) - 0.2 * star((41, 41), 20, 27)
    psf = read_psf(write(tmp_path / "p.fits", 500 * ringing))
    assert psf.values.shape == (41, 41)
    assert psf.values.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(psf.values, ringing / ringing.sum(), atol=1e-7)
    assert psf.values.min() < -0.01


@pytest.mark.parametrize("level", [700.0, -30.0])
def test_a_pedestal_is_measured_and_taken_away(tmp_path: Path, level: float) -> None:
    true = star((51, 51), 25, 25)
    noise = np.random.default_rng(0).normal(0, 2, true.shape)
    psf = read_psf(write(tmp_path / "p.fits", 1e5 * true + level + noise))
    assert any("a pedestal of" in note for note in psf.notes)
    assert np.abs(psf.values - true).max() < 1e-3
    clean = read_psf(write(tmp_path / "q.fits", 1e5 * true))
    assert not any("a pedestal of" in note for note in clean.notes)


def test_wings_that_reach_the_border_are_no_pedestal(tmp_path: Path) -> None:
    y, x = np.indices((31, 31)) - 15
    moffat = (1 + (x**2 + y**2) / 9) ** -1.5
    psf = read_psf(write(tmp_path / "p.fits", moffat))
    np.testing.assert_allclose(psf.values, moffat / moffat.sum(), rtol=1e-5)
    assert any("cut short" in note for note in psf.notes)


@pytest.mark.parametrize("where", [(8, 22), (30, 5)])
def test_an_off_centre_psf_is_padded_and_nothing_is_cut(tmp_path: Path, where: tuple) -> None:
    image = star((40, 46), *where)
    image[39, 45] += 1e-3  # a ghost in the corner
    psf = read_psf(write(tmp_path / "p.fits", image))
    side = len(psf.values)
    assert side % 2 == 1
    assert np.unravel_index(psf.values.argmax(), psf.values.shape) == (side // 2, side // 2)
    kept = psf.values[side // 2 - where[0] :, side // 2 - where[1] :][:40, :46]
    np.testing.assert_allclose(kept, image / image.sum(), atol=1e-7)
    assert any("off-centre" in note for note in psf.notes)


def test_a_psf_of_even_size_is_centred_between_its_pixels(tmp_path: Path) -> None:
    for where, size in ((19.5, 40), (24.5, 50)):
        psf = read_psf(write(tmp_path / f"{size}.fits", star((size, size), where, where)))
        assert np.hypot(*centroid(psf.values)) < 0.02
        assert fwhm(psf.values) == pytest.approx(3.0, rel=0.03)
    odd = read_psf(write(tmp_path / "n.fits", star((40, 40), 20, 20)))
    np.testing.assert_allclose(centroid(odd.values), 0, atol=1e-6)


def test_finer_pixels_are_summed_and_coarser_ones_refused(tmp_path: Path) -> None:
    for ratio, size in ((4, 124), (4, 125), (2.5, 101)):
        middle = (size - 1) / 2
        fine = star((size, size), middle, middle, 3.0 * ratio)
        path = write(tmp_path / f"{ratio}-{size}.fits", fine, PIXELSCL=0.06 / ratio)
        values, words = read_psf(path).on_pixels(0.06)
        assert values.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
        assert fwhm(values) == pytest.approx(np.hypot(3.0, 0.66), rel=0.02)  # with its pixel
        assert np.hypot(*centroid(values)) < 0.01
        assert f"{0.06 / ratio:.4g} arcsec/px, the image 0.06" in words[0]
        with pytest.raises(BadImage, match=r"0\.0\d+ arcsec/px, the image 0\.002"):
            read_psf(path).on_pixels(0.002)
    same, words = read_psf(path).on_pixels(0.0242)
    assert words == ()
    assert same is not None


def test_a_psf_says_how_far_it_is_oversampled_where_it_has_no_scale(tmp_path: Path) -> None:
    fine = star((81, 81), 40, 40, 9.0)
    psf = read_psf(write(tmp_path / "p.fits", fine, OVERSAMP=3))
    for scale in (0.2, None):
        values, words = psf.on_pixels(scale)
        assert fwhm(values) == pytest.approx(3.05, rel=0.02)
        assert "summed 3 to one pixel" in words[0]
    silent = read_psf(write(tmp_path / "q.fits", fine))
    values, words = silent.on_pixels(0.2)
    assert values.shape == (81, 81)
    assert "no pixel scale" in words[0]


def test_of_webbpsf_the_plane_on_the_detector_is_taken(tmp_path: Path) -> None:
    hdus = fits.HDUList()
    for name, scale, size in (
        ("OVERSAMP", 0.0155, 124), ("DET_SAMP", 0.062, 31), ("OVERDIST", 0.0155, 124),
        ("DET_DIST", 0.062, 31),
    ):  # fmt: skip
        middle = (size - 1) / 2
        width = 0.2 / scale * (1.1 if "DIST" in name else 1)
        data = star((size, size), middle, middle, width).astype(np.float32)
        hdu = (fits.ImageHDU if hdus else fits.PrimaryHDU)(data)
        hdu.header["EXTNAME"], hdu.header["PIXELSCL"] = name, scale
        hdus.append(hdu)
    hdus.writeto(tmp_path / "w.fits")
    for last, name in ((4, "DET_DIST"), (2, "DET_SAMP"), (1, "OVERSAMP")):
        fits.HDUList(hdus[:last]).writeto(tmp_path / f"{last}.fits")
        psf = read_psf(tmp_path / f"{last}.fits")
        assert name in psf.notes[0]
        values, _ = psf.on_pixels(0.062)
        assert fwhm(values) == pytest.approx(0.2 / 0.062, rel=0.15)
    assert read_psf(tmp_path / "4.fits", 0).scale == 0.0155


def test_what_is_no_psf_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    saturated = star((31, 31), 15, 15)
    saturated[14:16, 15] = np.nan
    rim = star((31, 31), 1, 15)
    for number, (image, words) in enumerate((
        (np.eye(3), "two pixels from the edge"),
        (rim, "two pixels from the edge"),
        (np.ones((31, 31)), "same value"),
        (rng.normal(0, 1, (31, 31)), "stands out"),
        (1 + 0.1 * star((31, 31), 15, 15, 9.0) + 1e-3 * rng.normal(0, 1, (31, 31)), "stands out"),
        (star((31, 31), 15, 15, 40.0), "stands out"),
        (saturated, "saturated"),
        (np.full((31, 31), np.nan), "NaN"),
        (np.stack([star((31, 31), 15, 15)] * 3), "3 planes"),
    )):  # fmt: skip
        with pytest.raises(BadImage, match=words):
            read_psf(write(tmp_path / f"{number}.fits", image))
    Pictures.new("L", (31, 31)).save(tmp_path / "p.png")
    with pytest.raises(BadImage, match="FITS"):
        read_psf(tmp_path / "p.png")


def test_of_several_images_the_one_named_psf_is_taken(tmp_path: Path) -> None:
    true = star((31, 31), 15, 15)
    others = [fits.ImageHDU(np.ones((31, 31), np.uint8), name="MASK")]
    others.append(fits.ImageHDU(np.ones((40, 40), np.float32), name="IMAGE"))
    hdus = [fits.PrimaryHDU(), *others, fits.ImageHDU(true.astype(np.float32), name="PSF")]
    fits.HDUList(hdus).writeto(tmp_path / "a.fits")
    psf = read_psf(tmp_path / "a.fits")
    assert "HDU 3 PSF of 3 images" in psf.notes[0]
    np.testing.assert_allclose(psf.values, true, atol=1e-6)
    with pytest.raises(BadImage, match=r"2 images .* none is named PSF"):
        read_psf(write(tmp_path / "b.fits", true, star((31, 31), 15, 15, 6.0)))
    table = fits.BinTableHDU.from_columns([fits.Column("PSF_MASK", "9E", array=np.ones((1, 9)))])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "c.psf")
    with pytest.raises(BadImage, match="tables alone, as the models of PSFEx"):
        read_psf(tmp_path / "c.psf")


def test_a_plane_on_the_detectors_pixels_is_not_oversampled_whatever_the_card_says(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "d.fits", star((31, 31), 15, 15), EXTNAME="DET_DIST", OVERSAMP=4)
    values, _ = read_psf(path).on_pixels(None)
    assert fwhm(values) == pytest.approx(3.0, rel=0.02)
    for cards in ({"OVERSAMP": "3"}, {"OVERSMPL": 3}, {"PSF_SAMP": 1 / 3}):
        fine = write(tmp_path / "f.fits", star((81, 81), 40, 40, 9.0), **cards)
        assert read_psf(fine).oversampling == pytest.approx(3)
        fine.unlink()
    coarse = write(tmp_path / "e.fits", star((31, 31), 15, 15), PSF_SAMP=1.3)
    with pytest.raises(BadImage, match="at the image's scale, or finer"):
        read_psf(coarse).on_pixels(None)


def test_a_psf_in_logarithms_is_none(tmp_path: Path) -> None:
    log = np.log10(star((31, 31), 15, 15) + 1e-6)
    with pytest.raises(BadImage, match="give linear flux, not its log"):
        read_psf(write(tmp_path / "l.fits", log))
