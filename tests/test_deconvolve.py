"""`galaxy-explorer deconvolve`, and what a bundle says of its model with the PSF layer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

import galaxy_explorer as ge
from galaxy_explorer.bundle.bundle import load_bundle, psf_model, psf_model_name, read_deconvolution
from galaxy_explorer.bundle.evaluation import DECONVOLUTION
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.cli import app
from galaxy_explorer.deconvolution.files import PLANES, result_names
from galaxy_explorer.errors import BundleError
from tests.deconvolution.scenes import galaxies, psfs
from tests.small_bundle import write_small_bundle
from tests.small_psf_bundle import NAME, write_small_hst_survey, write_small_psf_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("psf")
    survey = write_small_hst_survey(folder / "survey")
    write_small_psf_bundle(folder / "bundle", survey)
    return folder


def write_image(path: Path, side: int = 101) -> Path:
    rng = np.random.default_rng(0)
    margin = (side - 84) // 2
    pixels = 0.3 + np.pad(1000 * galaxies(1)[0], (margin, side - 84 - margin))
    place = {"CRPIX1": 51.0, "CRPIX2": 51.0, "CRVAL1": 53.1, "CRVAL2": -27.8}
    words = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "BUNIT": "ELECTRONS/S"}
    header = fits.Header({**place, **words})
    noisy = (pixels + rng.normal(0, 0.2, pixels.shape)).astype(np.float32)
    fits.PrimaryHDU(noisy, header).writeto(path)
    return path


def test_an_image_becomes_a_fits_file_that_says_everything(folder: Path, tmp_path: Path) -> None:
    image = write_image(tmp_path / "mine.fits")
    fits.PrimaryHDU(psfs(1)[0]).writeto(tmp_path / "psf.fits")
    (tmp_path / "bad.fits").write_bytes(b"SIMPLE")
    out = tmp_path / "out"
    command = ["deconvolve", str(folder / "bundle"), str(image), str(tmp_path / "bad.fits")]
    done = CliRunner().invoke(
        app, [*command, "--psf", str(tmp_path / "psf.fits"), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "1 deconvolved, 1 could not be used" in done.output
    with fits.open(out / "mine_deconvolved.fits") as made:
        assert [hdu.name for hdu in made[1:]] == [*PLANES, "PSF"]
        light, header = made["DECONVOLVED"].data, made["DECONVOLVED"].header
        assert light.shape == (84, 84)
        assert (header["CRPIX1"], header["CRVAL1"]) == (51.0 - 8, 53.1)
        assert header["BUNIT"] == "ELECTRONS/S"
        assert made[0].header["SKY"] == pytest.approx(0.3, abs=0.05)
        residual = made["RESIDUAL"].data
        assert made[0].header["CHI2RED"] == pytest.approx(np.square(residual).mean(), rel=1e-3)
        assert made[0].header["PSFFILE"] == "psf.fits"
        expected = (made["INPUT"].data - made["RECONVOLVED"].data) / made["SIGMA"].data
        assert residual == pytest.approx(expected, abs=1e-3)


def test_every_file_of_a_folder_that_is_not_taken_is_said_with_its_reason(
    folder: Path, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    write_image(given / "mine.fits")
    (given / "bad.fits").write_bytes(b"SIMPLE")
    (given / "notes.txt").write_text("x")
    (given / "mine_psf.fits").write_bytes(b"SIMPLE")
    command = ["deconvolve", str(folder / "bundle"), str(given), "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(app, command).stdout
    assert f"- {given}: left out: 1 x .txt (notes.txt)" in said
    assert "1 pictures are called like masks, weights, errors or PSFs (mine_psf.fits)" in said
    assert f"{given / 'bad.fits'}: truncated" in said
    found = ge.deconvolve(folder / "bundle", given)
    assert (len(found), len(found.rejected)) == (1, 2)
    assert any("notes.txt" in note for note in found.notes)


def test_where_no_image_can_be_used_the_status_is_1(folder: Path, tmp_path: Path) -> None:
    command = ["deconvolve", str(folder / "bundle"), "absent.fits", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "0 deconvolved, 1 could not be used" in done.output


def test_images_of_one_name_have_a_result_each(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "north").mkdir()
    (tmp_path / "south").mkdir()
    images = [write_image(tmp_path / place / "mine.fits") for place in ("north", "south")]
    command = ["deconvolve", str(folder / "bundle"), *map(str, images)]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["mine-2_deconvolved.fits", "mine_deconvolved.fits"]


def test_names_of_results_are_those_of_the_images_and_never_twice_the_same() -> None:
    given = ["a/m31.r.fits", "a/m31.g.fits", "b/M31.R.fits.gz", "b/m31.r-2.fit", "c/x.FTS"]
    names = [name.removesuffix("_deconvolved.fits") for name in result_names(map(Path, given))]
    assert names == ["m31.r", "m31.g", "M31.R-2", "m31.r-2-2", "x"]


def test_a_bundle_knows_its_model_with_the_psf_layer(folder: Path, tmp_path: Path) -> None:
    bundle = load_bundle(folder / "bundle")
    assert psf_model_name(bundle) == NAME
    assert psf_model(bundle).psf.sum() == pytest.approx(1, abs=1e-2)
    other = load_bundle(write_small_bundle(tmp_path / "other", n=60))
    assert psf_model_name(other) is None
    assert read_deconvolution(other) is None
    with pytest.raises(BundleError, match="no model with the PSF layer"):
        psf_model(other)


def test_figures_that_are_none_are_refused(folder: Path, tmp_path: Path) -> None:
    survey = write_small_hst_survey(tmp_path / "survey")
    path = write_small_psf_bundle(tmp_path / "bundle", survey)
    assert read_deconvolution(load_bundle(path)) is not None
    found = json.loads((path / DECONVOLUTION).read_bytes())
    found["figures"][1]["value"] = "<b>1</b>"
    add_files(path, {DECONVOLUTION: json.dumps(found).encode()}, lambda _: "card")
    with pytest.raises(BundleError, match=r"figures\[1\]"):
        read_deconvolution(load_bundle(path))
