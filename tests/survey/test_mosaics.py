"""Mosaics: cut at positions, whatever the file and its pixels are packed in."""

from __future__ import annotations

import bz2
import gzip
import math
import re
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from galaxy_explorer.errors import BadImage, SurveyError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.mosaics import MosaicSource
from galaxy_explorer.survey.readers import Wanted

STEP = 0.3 / 3600
SHAPE = (180, 220)
PLACE = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": -5.0, "CRPIX1": 110.0,
    "CRPIX2": 90.0, "CD1_1": -STEP, "CD2_2": STEP, "CD1_2": 0.0, "CD2_1": 0.0,
}  # fmt: skip
SIP = {
    "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2,
    "A_0_2": 8e-4, "B_2_0": -7e-4,
}  # fmt: skip
GALAXY = (151.3, 62.8)  # x, y from 0


def sky(*galaxies: tuple[float, float]) -> np.ndarray:
    y, x = np.indices(SHAPE)
    image = 200 + np.random.default_rng(0).normal(0, 2, SHAPE)
    for one in galaxies:
        image += 1000 * np.exp(-((x - one[0]) ** 2 + (y - one[1]) ** 2) / 12)
    return image


def row_at(header: fits.Header, x: float, y: float) -> CatalogRow:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ra, dec = WCS(header).all_pix2world([[x, y]], 0)[0]
    return CatalogRow(0, "a", "", float(ra), float(dec), math.nan)


def centre(stamp: np.ndarray) -> tuple[float, float]:
    light = np.clip(stamp - np.median(stamp) - 30, 0, None)
    y, x = np.indices(stamp.shape)
    middle = (stamp.shape[0] - 1) / 2
    return float((x * light).sum() / light.sum() - middle), float(
        (y * light).sum() / light.sum() - middle
    )


def kinds() -> dict[str, fits.HDUList]:
    header, image = fits.Header(PLACE), sky(GALAXY)
    scaled = fits.PrimaryHDU(((image - 7) / 0.05).astype(np.int16), header)
    for key, value in (("BSCALE", 0.05), ("BZERO", 7.0), ("BLANK", -32768)):
        scaled.header[key] = value
    primary = fits.PrimaryHDU()
    primary.header["FILTER"] = "F125W"
    weight = fits.ImageHDU(np.ones(SHAPE, np.float32), header, name="WHT")
    science = fits.ImageHDU(image.astype(np.float32), header, name="SCI")
    return {
        "floats": fits.HDUList([fits.PrimaryHDU(image.astype(np.float32), header)]),
        "unsigned": fits.HDUList([fits.PrimaryHDU(image.astype(np.uint16), header)]),
        "scaled": fits.HDUList([scaled]),
        "distorted": fits.HDUList(
            [fits.PrimaryHDU(image.astype(np.float32), fits.Header({**PLACE, **SIP}))]
        ),
        "extensions": fits.HDUList([primary, weight, science]),
        "tiles": fits.HDUList(
            [fits.PrimaryHDU(), fits.CompImageHDU(image.astype(np.float32), header)]
        ),
        "whole tiles": fits.HDUList(
            [fits.PrimaryHDU(), fits.CompImageHDU(image.astype(np.uint16), header)]
        ),
        "one plane": fits.HDUList([fits.PrimaryHDU(image[None].astype(np.float32), header)]),
    }


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("side", [32, 33])
def test_a_galaxy_is_in_the_middle_of_its_stamp(tmp_path: Path, kind: str, side: int) -> None:
    hdus = kinds()[kind]
    hdus.writeto(tmp_path / "m.fits")
    header = fits.Header({**PLACE, **(SIP if kind == "distorted" else {})})
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=side)
    image = source.fetch(row_at(header, *GALAXY))
    assert image.data.shape == (1, side, side)
    assert image.data.max() == pytest.approx(1200, rel=0.03)
    assert np.abs(centre(image.data[0])).max() <= 0.55
    assert image.pixel_scale_arcsec == pytest.approx(0.3, rel=0.02)
    assert image.band == ("F125W" if kind == "extensions" else None)
    assert "0.3 arcsec/px" in " ".join(source.notes())


def test_blank_pixels_are_none(tmp_path: Path) -> None:
    image = sky(GALAXY).astype(np.uint16)
    image[50:53, 140:143] = 0
    hdu = fits.PrimaryHDU(image, fits.Header(PLACE))
    hdu.header["BLANK"] = -32768  # 0 in unsigned numbers
    hdu.writeto(tmp_path / "m.fits")
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=40)
    stamp = source.fetch(row_at(fits.Header(PLACE), *GALAXY)).data
    assert stamp.min() > 150


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_a_packed_mosaic_is_unpacked_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, pack: object
) -> None:
    kinds()["floats"].writeto(tmp_path / "m.fits")
    packed = tmp_path / f"m.fits{suffix}"
    packed.write_bytes(pack((tmp_path / "m.fits").read_bytes()))
    staging = tmp_path / "staging"
    staging.mkdir()
    plain = MosaicSource(tmp_path / "m.fits", side_arcsec=6.0, side_px=1)
    source = MosaicSource(packed, side_arcsec=6.0, side_px=1, staging=staging)
    row = row_at(fits.Header(PLACE), *GALAXY)
    np.testing.assert_array_equal(source.fetch(row).data, plain.fetch(row).data)
    assert "was unpacked" in source.notes()[0]
    full = SimpleNamespace(total=1, used=1, free=1)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: full)
        with pytest.raises(SurveyError, match="no room"):
            MosaicSource(packed, side_arcsec=6.0, side_px=1, staging=staging)
    packed.write_bytes(packed.read_bytes()[:-400])
    with pytest.raises(BadImage, match="damaged"):
        MosaicSource(packed, side_arcsec=6.0, side_px=1, staging=staging)


def test_chips_are_cut_where_they_are_and_two_on_one_place_refused(tmp_path: Path) -> None:
    second = {**PLACE, "CRVAL1": 10.2}
    chips = [
        fits.ImageHDU(sky(at).astype(np.float32), fits.Header(place), name="SCI", ver=number)
        for number, (at, place) in enumerate(((GALAXY, PLACE), ((60.0, 70.0), second)), 1)
    ]
    fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(tmp_path / "m.fits")
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=32)
    for place, at in ((PLACE, GALAXY), (second, (60.0, 70.0))):
        stamp = source.fetch(row_at(fits.Header(place), *at)).data[0]
        assert np.abs(centre(stamp)).max() <= 0.55
    fits.HDUList([fits.PrimaryHDU(), chips[0], chips[0].copy()]).writeto(tmp_path / "n.fits")
    doubled = MosaicSource(tmp_path / "n.fits", side_arcsec=None, side_px=32)
    with pytest.raises(BadImage, match="choose one by --hdu"):
        doubled.fetch(row_at(fits.Header(PLACE), *GALAXY))
    one = MosaicSource(tmp_path / "n.fits", side_arcsec=None, side_px=32, hdu=2)
    assert np.abs(centre(one.fetch(row_at(fits.Header(PLACE), *GALAXY)).data[0])).max() <= 0.55


def test_chips_of_two_pixel_scales_are_refused(tmp_path: Path) -> None:
    twice = {"CRVAL1": 10.2, "CD1_1": -2 * STEP, "CD2_2": 2 * STEP}
    places = (PLACE, {**PLACE, **twice})
    chips = [fits.ImageHDU(sky(GALAXY), fits.Header(place), name="SCI") for place in places]
    fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(tmp_path / "m.fits")
    with pytest.raises(SurveyError, match=r"0\.3 \(HDU 1 SCI\) and 0\.6 .*choose one by --hdu"):
        MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=32)
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=19.2, side_px=64, hdu=2)
    image = source.fetch(row_at(fits.Header({**PLACE, **twice}), *GALAXY))
    assert image.pixel_scale_arcsec == pytest.approx(0.6)
    assert image.data.shape == (1, 32, 32)


def test_a_position_that_is_not_there_is_refused_with_the_reason(tmp_path: Path) -> None:
    fits.HDUList(kinds()["distorted"]).writeto(tmp_path / "m.fits")
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=32)
    header = fits.Header({**PLACE, **SIP})
    for row, words in (
        (row_at(header, 10, 90), "too near to its edge"),
        (row_at(fits.Header(PLACE), 500, 90), "outside"),
        (CatalogRow(0, "a", "", 190.0, 5.0, math.nan), "outside"),  # behind the observer
        (CatalogRow(0, "a", "", 10.0, 60.0, math.nan), "outside"),
        (CatalogRow(0, "a", "", math.nan, 5.0, math.nan), "no position"),
    ):
        with pytest.raises(BadImage, match=words):
            source.fetch(row)


def test_ra_goes_round(tmp_path: Path) -> None:
    header = fits.Header({**PLACE, "CRVAL1": 359.999})
    fits.PrimaryHDU(sky(GALAXY, (60, 62.8)).astype(np.float32), header).writeto(tmp_path / "m.fits")
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=32)
    for x in (GALAXY[0], 60):
        row = row_at(header, x, 62.8)
        for ra in (row.ra % 360, row.ra % 360 - 360):
            stamp = source.fetch(CatalogRow(0, "a", "", ra, row.dec, math.nan)).data[0]
            assert np.abs(centre(stamp)).max() <= 0.55


def test_a_mosaic_without_sky_is_refused(tmp_path: Path) -> None:
    fits.PrimaryHDU(sky().astype(np.float32)).writeto(tmp_path / "m.fits")
    with pytest.raises(BadImage, match="no celestial WCS"):
        MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=32)
    broken = fits.Header({**PLACE, "CPDIS1": "LOOKUP", "CPDIS2": "LOOKUP"})
    fits.PrimaryHDU(sky().astype(np.float32), broken).writeto(tmp_path / "n.fits")
    with pytest.raises(BadImage, match="lookup tables of its distortion"):
        MosaicSource(tmp_path / "n.fits", side_arcsec=None, side_px=32)


def test_the_galaxy_is_in_the_middle_where_the_declination_is_the_first_axis(tmp_path):
    header = fits.Header(PLACE)
    header.update({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": -5.0, "CRVAL2": 10.0})
    header.update({"CD1_1": STEP, "CD2_2": -STEP})
    fits.writeto(tmp_path / "m.fits", sky(GALAXY).astype(np.float32), header)
    dec, ra = WCS(header).all_pix2world([GALAXY], 0)[0]
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=31)
    image = source.fetch(CatalogRow(0, "a", "", float(ra), float(dec), math.nan))
    assert max(map(abs, centre(image.data[0]))) < 1


def test_a_mosaic_in_magnitudes_is_refused(tmp_path):
    header = fits.Header({**PLACE, "BUNIT": "mag/arcsec2"})
    fits.writeto(tmp_path / "m.fits", sky(GALAXY).astype(np.float32), header)
    with pytest.raises(BadImage, match="not linear in flux"):
        MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=31)


@pytest.mark.parametrize("kind", kinds())
def test_a_block_of_positions_is_cut_as_they_are_one_by_one(tmp_path: Path, kind: str) -> None:
    kinds()[kind].writeto(tmp_path / "m.fits")
    header = fits.Header({**PLACE, **(SIP if kind == "distorted" else {})})
    source = MosaicSource(tmp_path / "m.fits", side_arcsec=None, side_px=32)
    places = [[60.0, 70.0], *np.random.default_rng(0).uniform(-10, 230, (40, 2)).tolist()]
    rows = [row_at(header, x, y) for x, y in places]
    wanted = [Wanted(source.locate(row), source.file_of(row)) for row in rows]
    taken = 0
    for row, found in zip(rows, source.reader.images(wanted), strict=True):
        if isinstance(found, BadImage):
            with pytest.raises(BadImage, match=re.escape(found.reason)):
                source.fetch(row)
            continue
        image = source.fetch(row)
        taken += 1
        np.testing.assert_array_equal(found.data, image.data)
        chip = source.reader.chips[0]
        left, top = chip.corners(SkyCoord([row.ra], [row.dec], unit="deg"), 32)[0]
        section = chip.cut(chip.hdu.section, left, top, 32)
        np.testing.assert_array_equal(image.data, section.astype(np.float32))
    assert 10 < taken < 41
