"""A prior for a finished bundle: trained on its code maps, put into it, drawn from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.emulation import EMULATION, EmulatorEvaluation, PriorEvaluation
from galaxy_explorer.bundle.writer import add_files, add_prior_files
from galaxy_explorer.cli import app
from galaxy_explorer.emulation.emulator import Emulator, Request
from galaxy_explorer.errors import BundleError, SurveyError, TrainingError
from galaxy_explorer.pipeline.plan import best_for_prior, config_of
from galaxy_explorer.pipeline.prior import add_prior
from tests.small_bundle import PRIOR, write_small_bundle
from tests.small_proof import write_proof_bundle
from tests.small_psf_bundle import NAME, write_small_hst_survey, write_small_psf_bundle
from tests.small_survey import write_small_survey

STAMPS = {"stamp_size": 64, "channels": 1}


@pytest.mark.parametrize(
    ("models", "chosen"),
    [
        (["k16-modern-8x8", "k512-paper-8x8", "k512-modern-8x8"], "k512-modern-8x8"),
        (["k512-modern-16x16", "k16-paper-8x8", "convae-conv"], "k16-paper-8x8"),
        (["k512-modern-16x16", "convae-conv", "k16-hierarchical-16x16"], None),
    ],
)
def test_the_model_with_the_largest_codebook_at_8_x_8_gets_it(models, chosen) -> None:
    best = best_for_prior([config_of(name, STAMPS) for name in models])
    assert (None if best is None else best.name) == chosen


@pytest.mark.slow
def test_a_bundle_with_the_psf_layer_is_given_a_prior(tmp_path) -> None:
    """Without T the prior has no field, and draws all the same, with un-convolved twins."""
    survey = write_small_hst_survey(tmp_path / "survey", 40)
    path = write_small_psf_bundle(tmp_path / "bundle", survey)
    before = load_bundle(path)
    with pytest.raises(BundleError, match="galaxy-explorer prior"):
        Emulator.open(before)
    assert add_prior(path, survey.path, recipe="tiny") == NAME
    after = load_bundle(path)
    emulator = Emulator.open(after)
    codes = emulator.codes(Request(2))
    assert codes.shape == (2, 21, 21)
    assert emulator.decode(codes).shape == (2, 1, 84, 84)
    assert emulator.fields == ()
    assert after.card != before.card
    others = before.manifest.files.keys() - {"README.md"}
    assert all(after.manifest.files[f] == before.manifest.files[f] for f in others)
    again = add_prior(path, survey.path, recipe="tiny")
    assert load_bundle(path).manifest.files == after.manifest.files
    assert again == NAME


def test_a_prior_that_does_not_fit_leaves_the_bundle_as_it_was(tmp_path) -> None:
    path = write_small_bundle(tmp_path / "b")
    bundle = load_bundle(path)
    entry = json.loads((path / "manifest.json").read_text())["priors"][f"{PRIOR}/pixelcnn"]
    entry["config"] = {**entry["config"], "num_embeddings": 17}
    with pytest.raises(BundleError, match="are not the codes of"):
        add_prior_files(path, PRIOR, entry, b"", lambda _: "")
    assert load_bundle(path).hash == bundle.hash


def test_what_was_measured_of_a_prior_goes_with_it(tmp_path) -> None:
    path = write_small_bundle(tmp_path / "b")
    nothing = {"settings": {}, "figures": (), "trends": (), "histograms": (), "curve": ()}
    nothing |= {"guidance": 1.0, "guidance_rule": "", "model": PRIOR}
    other = PriorEvaluation(**nothing, kind="rectified")
    measured = EmulatorEvaluation(**nothing, kind="pixelcnn", others=(other,))
    add_files(path, {EMULATION: measured.to_bytes()}, model_card)
    assert measured.without("another", "pixelcnn") == measured
    assert measured.without(PRIOR, "pixelcnn") is None
    left = measured.without(PRIOR, "rectified")
    assert left.others == ()
    bundle = load_bundle(path)
    entry = json.loads((path / "manifest.json").read_text())["priors"][f"{PRIOR}/pixelcnn"]
    weights = (path / bundle.prior(PRIOR).file).read_bytes()
    add_prior_files(path, PRIOR, entry, weights, model_card, emulation=left)
    assert load_bundle(path).emulation == left
    add_prior_files(path, PRIOR, entry, weights, model_card)
    assert load_bundle(path).emulation is None


@pytest.mark.slow
def test_a_flow_is_put_beside_the_prior_that_is_there(tmp_path) -> None:
    survey = write_small_survey(tmp_path / "survey", n=220)
    path = write_proof_bundle(tmp_path / "bundle", survey)
    before = load_bundle(path)
    first = Emulator.open(before).model
    assert add_prior(path, survey.path, model="convae-conv", recipe="tiny") == "convae-conv"
    after = load_bundle(path)
    assert list(after.priors) == [f"{first}/pixelcnn", "convae-conv/flow"]
    assert after.prior(first) == before.prior(first)
    assert Emulator.open(after).model == first
    metrics = after.prior("convae-conv").metrics
    assert {"nll", "nll_gaussian", "label_gain", "label_gain_error"} <= metrics.keys()
    flow = Emulator.open(after, "convae-conv")
    assert flow.decode(flow.codes(Request(2, condition={"ttype": 1.0}))).shape == (2, 1, 64, 64)
    add_prior(path, survey.path, model="convae-conv", recipe="tiny")
    assert load_bundle(path).manifest.files == after.manifest.files
    with pytest.raises(TrainingError, match="for the latents of convae-conv choose tiny, modern"):
        add_prior(path, survey.path, model="convae-conv", recipe="paper")


@pytest.mark.parametrize("wrong", [{"recipe": "long"}, {"model": "convae-conv"}, {}])
def test_what_cannot_be_trained_is_refused_at_once(tmp_path, wrong) -> None:
    path = write_small_bundle(tmp_path / "b")
    survey = write_small_survey(tmp_path / "s").path
    with pytest.raises((TrainingError, SurveyError), match=r"unknown|none of the galaxies"):
        add_prior(path, survey, **wrong)


@pytest.mark.slow
def test_a_rectified_flow_draws_beside_the_pixelcnn_of_the_same_codes(tmp_path) -> None:
    """Asked for by its kind, of the model whose pictures are shown; drawn from like any other."""
    survey = write_small_survey(tmp_path / "survey", n=220)
    path = write_proof_bundle(tmp_path / "bundle", survey)
    name = load_bundle(path).manifest.display_model
    assert add_prior(path, survey.path, recipe="tiny", kind="rectified") == name
    after = load_bundle(path)
    assert list(after.priors) == [f"{name}/pixelcnn", f"{name}/rectified"]
    assert "A rectified flow draws the vectors" in after.card
    metrics = after.prior(name).metrics
    assert metrics["bits"] == pytest.approx(metrics["nll"] / (64 * np.log(2)))
    emulator = Emulator.open(after)
    assert emulator.kind.name == "rectified"
    assert emulator.guided
    request = Request(2, condition={"ttype": 1.0}, guidance=2.0)
    codes = emulator.codes(request)
    assert (codes.shape, codes.dtype) == ((2, 8, 8), np.uint16)
    assert emulator.decode(codes).shape == (2, 1, 64, 64)
    assert np.isfinite(emulator.log_prob(codes, {"ttype": 1.0})).all()
    out = tmp_path / "drawn.fits"
    done = CliRunner().invoke(app, ["generate", str(path), "-n", "2", "--out", str(out)])
    assert done.exit_code == 0, done.output
    add_prior(path, survey.path, recipe="tiny", kind="rectified")
    assert load_bundle(path).manifest.files == after.manifest.files
    first = after.prior(name, "rectified")
    add_prior(path, survey.path, recipe="tiny", kind="rectified", steps=20, go_on=True)
    longer = load_bundle(path).prior(name, "rectified")
    assert (first.steps, longer.steps) == (60, 80)
    assert longer.curve[: len(first.curve)] == first.curve
    assert longer.curve[-1]["step"] == 80
    # Twenty steps move a warmed-up flow less than sixty make one.
    assert longer.metrics["nll"] < first.curve[0]["nll"]
    with pytest.raises(TrainingError, match="of convae-conv yet"):
        add_prior(path, survey.path, model="convae-conv", recipe="tiny", go_on=True)
    with pytest.raises(TrainingError, match=r"--go-on: .* another shape .* --recipe tiny"):
        add_prior(path, survey.path, recipe="quick", kind="rectified", go_on=True)
    with pytest.raises(TrainingError, match="does not draw what convae-conv encodes to"):
        add_prior(path, survey.path, model="convae-conv", recipe="tiny", kind="rectified")
    with pytest.raises(TrainingError, match="--kind gan: unknown; choose pixelcnn"):
        add_prior(path, survey.path, kind="gan")
    with pytest.raises(TrainingError, match="--recipe quick: not of a PixelCNN"):
        add_prior(path, survey.path, recipe="quick", kind="pixelcnn")
