"""Galaxies for GalSim: their light, their scale, whose seeing is in them; the example in docs."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from msgspec import structs

import galaxy_explorer as ge
from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.writer import add_prior_files
from galaxy_explorer.emulation.light import light_without_psf
from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.inference import build_prior, save_weights
from galaxy_explorer.models.pixelcnn import PixelCNNConfig
from tests.small_bundle import write_small_bundle
from tests.small_psf_bundle import NAME, write_small_hst_survey, write_small_psf_bundle

EXAMPLE = Path(__file__).parents[2] / "docs/galsim_scene.py"
SEEN = {"pixel_scale": 0.1, "magnitude": 21.0, "zero_point": 30.0}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("galsim") / "b", n=60)


@pytest.fixture(scope="module")
def samples(path):
    return ge.generate(path, n=3, ttype=2.0, seed=1, **SEEN)


def test_a_profile_has_the_light_and_the_scale_of_its_stamp(samples) -> None:
    catalogue = samples.galsim()
    assert len(catalogue) == len(list(catalogue)) == len(catalogue.table) == 3
    assert catalogue.pixel_scale_arcsec == catalogue.table.meta["PIXSCALE"] == 0.1
    assert "includes the seeing" in catalogue.table.meta["SEEING"]
    for profile, stamp, row in zip(catalogue, samples.stamps, catalogue.table, strict=True):
        assert profile.flux == pytest.approx(float(stamp[0].sum(dtype=np.float64)), rel=1e-5)
        assert row["flux"] == pytest.approx(profile.flux, rel=1e-5)
        drawn = profile.drawImage(nx=64, ny=64, scale=0.1, method="no_pixel").array
        assert drawn == pytest.approx(stamp[0], abs=2e-3 * float(np.abs(stamp).max()))
    assert list(catalogue.table["name"]) == samples.names


def test_what_galsim_cannot_be_given_is_refused(path, samples) -> None:
    for wrong, words in (
        ({"observe": "euclid-vis", "pixel_scale": 0.1, "magnitude": 20.0}, "^galsim: camera"),
        ({"sky_sigma": 2.0, "pixel_scale": 0.1}, "^galsim: camera"),
    ):
        with pytest.raises(RequestError, match=words):
            ge.generate(path, n=1, **wrong).galsim()
    with pytest.raises(RequestError, match=r"^deconvolved: .*no PSF layer"):
        samples.galsim(deconvolved=True)
    with pytest.raises(RequestError, match=r"^band 1: 0 to 0"):
        samples.galsim(1)


def test_without_a_pixel_scale_there_is_no_profile(path) -> None:
    bundle = load_bundle(path)
    survey = structs.replace(bundle.manifest.survey, pixel_scale_arcsec=None)
    manifest = structs.replace(bundle.manifest, survey=survey)
    with pytest.raises(RequestError, match=r"^pixel scale"):
        ge.generate(replace(bundle, manifest=manifest), n=1).galsim()


def test_of_a_model_with_the_psf_layer_they_are_deconvolved(tmp_path) -> None:
    survey = write_small_hst_survey(tmp_path / "survey")
    path = write_small_psf_bundle(tmp_path / "bundle", survey, figures=False)
    shape = {
        "height": 21,
        "width": 21,
        "layers": 2,
        "num_embeddings": 16,
        "features": 8,
        "condition_dim": 8,
    }
    prior = build_prior(PixelCNNConfig(n_fields=0, **shape), 0)
    save_weights(prior, tmp_path / "prior.safetensors")
    entry = {
        "kind": "pixelcnn", "config": prior.config.to_dict(), "fields": [], "steps": 1,
        "metrics": {}, "default_guidance": 1.0,
    }  # fmt: skip
    add_prior_files(path, NAME, entry, (tmp_path / "prior.safetensors").read_bytes(), model_card)
    samples = ge.generate(path, n=2, seed=3)
    twins, seen = samples.galsim(), samples.galsim(deconvolved=False)
    assert twins.seeing.startswith("deconvolved")
    assert "includes the seeing" in seen.seeing
    bundle = samples.observer.emulator.bundle
    light = light_without_psf(bundle, samples.codes)
    for place in range(2):
        assert twins[place].flux == pytest.approx(float(light[place].sum()), rel=1e-4)
        assert seen[place].flux == pytest.approx(float(samples.stamps[place].sum()), rel=1e-4)


def test_the_example_draws_a_scene_with_noise(path, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "scene.fits"
    monkeypatch.setattr(sys, "argv", ["galsim_scene.py", str(path), str(out), "--n", "3"])
    example = runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "3 synthetic galaxies; the light includes the seeing" in capsys.readouterr().out
    with fits.open(out) as file:
        pixels, header = file[0].data, file[0].header
    assert (header["SYNTHETI"], header["NGALAXY"]) == (True, 3)
    assert pixels.shape == (example["SIDE"], example["SIDE"])
    assert float(np.std(pixels)) == pytest.approx(example["SKY"], rel=0.5)
    image, catalogue = example["draw_scene"](path, 3)
    assert np.array_equal(image.array, pixels)
    assert [galaxy.flux for galaxy in catalogue] == pytest.approx(list(catalogue.table["flux"]))
