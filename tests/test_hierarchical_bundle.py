"""A bundle with a model of two code maps: read, given a prior, drawn from, refused where wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.writer import add_prior_files
from galaxy_explorer.cli import app
from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.models.vqvae2 import VQVAE2Config
from tests.small_proof import write_proof_bundle
from tests.small_survey import write_small_survey

LEVELS = VQVAE2Config(num_embeddings=16)
NAME = LEVELS.name


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory):
    return write_small_survey(tmp_path_factory.mktemp("levels") / "blobs", n=220)


@pytest.fixture(scope="module")
def path(survey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a user makes it: the model is there, the command gives it a prior."""
    folder = tmp_path_factory.mktemp("levels") / "sky"
    write_proof_bundle(folder, survey, further=(LEVELS,))
    words = ["prior", str(folder), "--survey", str(survey.path), "--model", NAME]
    done = CliRunner().invoke(app, [*words, "--recipe", "tiny"])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.slow
def test_the_bundle_has_both_maps_and_their_prior(path: Path) -> None:
    bundle = load_bundle(path)
    assert bundle.encoded(NAME).shape == (220, 8 * 8 + 16 * 16)
    with pytest.raises(KeyError, match="two code maps"):
        bundle.codes(NAME)
    entry = bundle.prior(NAME)
    assert entry.kind == "hierarchical"
    assert (entry.config["height"], entry.config["num_embeddings"]) == (16, 16)
    assert {"nll", "bits", "label_gain", "nll_withheld"} <= entry.metrics.keys()
    assert entry.metrics["bits"] == pytest.approx(entry.metrics["nll"] / 320 / np.log(2))
    assert isinstance(Emulator.open(bundle), CodeEmulator)
    assert NAME in bundle.card


@pytest.mark.slow
def test_it_draws_both_maps_the_same_for_the_same_seed(path: Path) -> None:
    emulator = Emulator.open(load_bundle(path), NAME)
    assert emulator.kind.name == "hierarchical"
    asked = Request(3, seed=2, condition={"ttype": 3.0}, guidance=1.5)
    codes = emulator.codes(asked)
    assert (codes.shape, codes.dtype) == ((3, 320), np.uint16)
    assert np.array_equal(codes[1:2], emulator.codes(Request(1, 2, asked.condition, 1.0, 1.5, 1)))
    assert emulator.decode(codes).shape == (3, 1, 64, 64)
    assert np.isfinite(emulator.log_prob(codes, asked.condition)).all()
    with pytest.raises(RequestError, match="cancelled"):
        emulator.codes(asked, cancelled=lambda: True)


@pytest.mark.slow
def test_generate_writes_both_maps(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.fits"
    words = ["generate", str(path), "--model", NAME, "--ttype", "4", "-n", "2", "--seed", "1"]
    done = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert done.exit_code == 0, done.output
    with fits.open(out) as opened:
        assert opened["CODES"].data.shape == (2, 320)
        assert opened[0].data.shape == (2, 64, 64)


@pytest.mark.slow
def test_a_prior_of_other_maps_is_refused(path: Path) -> None:
    bundle = load_bundle(path)
    entry = json.loads((path / "manifest.json").read_text())["priors"][f"{NAME}/hierarchical"]
    for wrong in ({"height": 8, "width": 8}, {"num_embeddings": 17}):
        changed = {**entry, "config": {**entry["config"], **wrong}}
        with pytest.raises(BundleError, match="are not the codes of"):
            add_prior_files(path, NAME, changed, b"", lambda _: "")
    plain = {**entry, "kind": "pixelcnn"}
    with pytest.raises(BundleError, match="are not the codes of"):
        add_prior_files(path, NAME, plain, b"", lambda _: "")
    assert load_bundle(path).hash == bundle.hash
