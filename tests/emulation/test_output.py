"""Files of generated galaxies: what they say of themselves, and that what they hold reads back."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from msgspec import structs
from PIL import Image

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.light import implied_scale
from galaxy_explorer.emulation.observation import ObservationSettings, Observer
from galaxy_explorer.emulation.output import (
    Card,
    cards,
    catalogue,
    facts,
    file_stem,
    fits_bytes,
    galsim_image,
    names,
    png_bytes,
    sheet_shape,
)
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.conditions import Field
from galaxy_explorer.survey.images import read_image
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.store import SCALE_COLUMN
from tests.deconvolution.scenes import gaussian
from tests.small_bundle import write_small_bundle

REQUEST = Request(3, 7, {"ttype": 3.5, "magnitude": 15.0}, temperature=0.9, first=2)
OBSERVED = ObservationSettings("euclid-vis", pixel_scale_arcsec=0.15, magnitude=20.0)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    folder = write_small_bundle(tmp_path_factory.mktemp("output") / "small", n=200)
    return Emulator.open(load_bundle(folder))


@pytest.fixture(scope="module")
def codes(emulator: Emulator) -> np.ndarray:
    return emulator.codes(REQUEST)


def test_the_header_says_what_the_galaxies_are(emulator: Emulator) -> None:
    said = facts(cards(Observer(emulator, OBSERVED), REQUEST))
    assert said["SYNTHETIC"] is True
    assert said["BUNDHASH"] == emulator.bundle.hash
    assert (said["MODEL"], said["SEED"], said["FIRST"]) == ("k512-modern-8x8", 7, 2)
    assert (said["TEMPERAT"], said["GUIDANCE"]) == (0.9, 1.0)
    assert said["CONDITION TTYPE"] == 3.5
    assert said["ASKED"] == "ttype=3.5, magnitude=15.0"
    assert (said["CAMERA"], said["BUNIT"], said["MAGZERO"]) == ("euclid-vis", "electron/s", 25.6)
    assert (said["PIXSCALE"], said["STAMPSCL"], said["SCALEFRM"]) == (0.1, 0.15, "chosen")
    assert (said["MAGNITUD"], said["MAGFROM"]) == (20.0, "chosen")
    assert said["SKYSIG"] > 0
    assert said["ORIGIN"].startswith("galaxy_explorer ")


def test_without_a_camera_the_light_is_relative_and_says_so(emulator: Emulator) -> None:
    maker = Observer(emulator)
    lines = cards(maker, replace(REQUEST, condition={}))
    said = facts(lines)
    assert said["ASKED"] == "nothing"
    assert said["BUNIT"] == "relative"
    assert {"MAGZERO", "PIXSCALE", "MAGNITUD"}.isdisjoint(said)
    text = " ".join(str(line.value) for line in lines if line.keyword == "COMMENT")
    assert "relative linear light" in text


def test_the_header_gives_the_stretch_back(emulator: Emulator, codes: np.ndarray) -> None:
    maker = Observer(emulator)
    said = facts(cards(maker, REQUEST))
    stretch = ArcsinhStretch(said["STRSOFT"], said["STRSCALE"], said["STRPED"])
    light = maker.observe(codes, REQUEST).pixels
    again = stretch.apply(light, 0.0, said["STRSIGMA"])
    drawn = emulator.decode(codes)
    # Up to the sky, which relative light has at zero.
    linear = stretch.invert(drawn, 0.0, said["STRSIGMA"])
    sky = (linear - stretch.invert(again, 0.0, said["STRSIGMA"])).reshape(len(drawn), -1)
    assert sky.std(axis=1) == pytest.approx(0, abs=1e-4)


def test_a_fits_file_reads_back(emulator: Emulator, codes: np.ndarray, tmp_path: Path) -> None:
    maker = Observer(emulator, OBSERVED)
    pixels = maker.observe(codes, REQUEST).pixels
    read = {"read_ttype": np.arange(3.0)}
    table = catalogue(maker, REQUEST, codes, pixels.sum((1, 2, 3)), measured=read)
    path = tmp_path / "synthetic.fits"
    lines = cards(maker, REQUEST)
    path.write_bytes(fits_bytes(pixels, table, codes, lines, maker.setup.psf))
    with fits.open(path) as opened:
        opened.verify("exception")
        assert np.array_equal(opened[0].data, pixels[:, 0])
        assert np.array_equal(opened["CODES"].data, codes)
        assert opened["PSF"].data == pytest.approx(maker.setup.psf)
        assert all(hdu.header["SYNTHETIC"] is True for hdu in opened)
        header = opened[0].header
        assert {k: header[k] for k in facts(lines)} == facts(lines)
        assert "".join(header["COMMENT"]).count("blur of the survey") == 1
    rows = Table.read(path, hdu="CATALOG")
    assert list(rows["name"]) == names(maker, REQUEST)
    assert list(rows["number"]) == [2, 3, 4]
    assert list(rows["asked_ttype"]) == [3.5] * 3
    assert list(rows["read_ttype"]) == [0, 1, 2]
    expected = emulator.log_prob(codes, REQUEST.condition)
    assert np.asarray(rows["log_prob"]) == pytest.approx(expected)
    assert read_image(path, hdu=0).pixel_scale_arcsec == 0.1


def test_a_galaxy_can_be_made_again_from_its_row(emulator: Emulator, codes: np.ndarray) -> None:
    maker = Observer(emulator, OBSERVED)
    row = catalogue(maker, REQUEST, codes, np.zeros(3))[1]
    again = Request(
        1, int(row["seed"]), REQUEST.condition, temperature=0.9, first=int(row["number"])
    )
    assert np.array_equal(emulator.codes(again)[0], codes[1])
    all_three = maker.observe(codes, REQUEST).pixels
    assert maker.observe(codes[1:2], again).pixels[0] == pytest.approx(all_three[1], abs=1e-4)


def test_samples_of_one_noise_have_the_pixels_noise_in_common(
    emulator: Emulator, codes: np.ndarray
) -> None:
    maker = Observer(emulator, OBSERVED)
    ladder = replace(REQUEST, condition={"ttype": (1.0, 2.0, 3.0)}, same_noise=True)
    same = np.repeat(codes[:1], 3, axis=0)
    pixels = maker.observe(same, ladder).pixels
    assert np.array_equal(pixels[0], pixels[2])
    said = facts(cards(maker, ladder))
    assert (said["SAMENOIS"], said["CONDITION TTYPE"]) == (True, "see CATALOG")
    table = catalogue(maker, ladder, same, np.zeros(3))
    assert list(table["asked_ttype"]) == [1, 2, 3]
    assert len(set(table["name"])) == 3


def test_a_size_that_is_asked_for_is_the_pixel_scale(emulator: Emulator) -> None:
    """Of stamps that are framed by the size of the galaxy."""
    size = Field("size", "Diameter", "arcmin", 0.2, 9.0, 1.0, "majax_arcmin", log=True)
    framed = {"majax_arcmin": np.array([0.5, 2.0, np.nan])}
    framed[SCALE_COLUMN] = 1.2 * framed["majax_arcmin"]
    survey = SimpleNamespace(pixel_scale_arcsec=None)
    about = SimpleNamespace(survey=survey, has_other_galaxies=False)
    bundle = SimpleNamespace(column_names=list(framed), column=framed.__getitem__, manifest=about)
    assert implied_scale(bundle, [size], {"size": 0.3}) == pytest.approx(0.36)
    assert implied_scale(bundle, [size], {"size": (0.3, 0.3)}) == pytest.approx(0.36)
    assert np.isnan(implied_scale(bundle, [size], {"size": (0.3, 0.4)}))
    assert implied_scale(bundle, [size], {}) is None
    survey.pixel_scale_arcsec = 0.396  # the same for all galaxies, whatever their size
    assert implied_scale(bundle, [size], {"size": 0.3}) is None
    assert implied_scale(emulator.bundle, [size], {"size": 0.3}) is None


def test_a_cancelled_observation_ends_early(emulator: Emulator) -> None:
    request = Request(40)
    codes = np.zeros((40, 8, 8), np.uint16)
    assert len(Observer(emulator).observe(codes, request, cancelled=lambda: True).pixels) < 40


def test_a_png_says_that_it_is_synthetic(emulator: Emulator, codes: np.ndarray) -> None:
    maker = Observer(emulator)
    shown = maker.observe(codes, REQUEST).stretched
    data = png_bytes(shown, cards(maker, REQUEST))
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.text["SYNTHETIC"] == "T"
        assert picture.text["ASKED"] == "ttype=3.5, magnitude=15.0"
        sheet = np.asarray(picture)
    first = np.rint(np.clip(shown[0, 0], 0, 1) * 255)
    assert np.array_equal(sheet[:64, :64], first)
    caption = sheet[-14:]
    assert (caption > 150).any(), "the caption is empty"
    colour = np.repeat(shown, 3, axis=1)
    with Image.open(io.BytesIO(png_bytes(colour, [Card("SYNTHETIC", True)]))) as picture:
        assert picture.mode == "RGB"


def test_a_sheet_has_a_largest_size() -> None:
    assert sheet_shape(10, 64) == (3, 4)
    with pytest.raises(RequestError, match="too many for one PNG"):
        sheet_shape(5000, 64)


def test_names_are_plain_and_say_synthetic(emulator: Emulator) -> None:
    manifest = structs.replace(emulator.bundle.manifest, name="../a b")
    maker = Observer(Emulator.open(replace(emulator.bundle, manifest=manifest)))
    assert file_stem(maker, REQUEST) == "synthetic-.._a_b-seed7"
    assert facts(cards(maker, REQUEST))["BUNDLE"] == "../a b"


def test_a_galsim_image_keeps_the_light() -> None:
    light = 50 * gaussian(64, 3.0, 0.6, 0.5)
    profile = galsim_image(light, 0.2)
    drawn = profile.drawImage(nx=64, ny=64, scale=0.2, method="no_pixel").array
    assert profile.flux == pytest.approx(50, rel=1e-5)
    assert drawn == pytest.approx(light, abs=1e-4 * float(light.max()))
