"""Training and judging the model with the PSF layer, from survey to card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.bundle.bundle import load_bundle, read_deconvolution
from galaxy_explorer.bundle.evaluation import DeconvolutionMeasures
from galaxy_explorer.bundle.json_values import build
from galaxy_explorer.deconvolution.classics import RichardsonLucy, Wiener
from galaxy_explorer.deconvolution.network import ReconstructionError
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.evaluation import deconvolution as psf_evaluation
from galaxy_explorer.evaluation.deconvolution import DeconvolutionEvaluation, evaluate_deconvolution
from galaxy_explorer.models.psf import PSFVQVAEConfig
from galaxy_explorer.models.training import Recipe
from galaxy_explorer.pipeline import autoencoders as psf
from galaxy_explorer.pipeline.plan import config_of, features_of
from galaxy_explorer.survey.store import Survey
from tests.small_psf_bundle import METHODS, write_small_hst_survey, write_small_psf_bundle
from tests.small_survey import write_small_survey


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Galaxies of which some are in each split."""
    return write_small_hst_survey(tmp_path_factory.mktemp("hst") / "survey", n=32)


def test_a_name_asks_for_the_psf_layer() -> None:
    config = config_of("k64-psf-21x21", {"stamp_size": 84, "channels": 1})
    assert config == PSFVQVAEConfig(num_embeddings=64, upsampling="resized")
    assert features_of(config) == ("codes",)


def test_a_survey_without_truth_is_refused_with_the_cure(tmp_path: Path) -> None:
    plain = write_small_survey(tmp_path / "plain", n=20)
    with pytest.raises(TrainingError, match="simulate --like candels"):
        psf.observations(plain, "train")


def test_training_leaves_a_model_that_knows_its_error(survey: Survey, tmp_path: Path) -> None:
    config = PSFVQVAEConfig(num_embeddings=16)
    recipe = Recipe("test", steps=2, batch_size=4)
    model, result = psf.train_with_psf(config, survey, tmp_path / "work", recipe)
    assert result.steps == 2
    error = ReconstructionError.of(model)
    assert np.exp(error.levels) == pytest.approx(psf.PEAK_SN)
    assert np.ptp(error.log_power) > 1
    with pytest.raises(TrainingError, match="PSFs of 61 pixels"):
        psf.train_with_psf(PSFVQVAEConfig(psf_size=41), survey, tmp_path / "other", recipe)


def test_the_evaluation_fills_bundle_and_card_and_resumes(
    survey: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_small_psf_bundle(tmp_path / "bundle", survey, figures=False)
    monkeypatch.setattr(psf_evaluation, "PEAK_SN", (50.0,))
    monkeypatch.setattr(psf_evaluation, "TUNED_ON", 2)
    settings = {"wiener_settings": Wiener(0.01, positive=False)}
    settings["richardson_lucy_settings"] = RichardsonLucy(5, 3.0)
    for name, setting in settings.items():
        monkeypatch.setattr(psf_evaluation, name, lambda chosen=setting: iter([chosen]))
    request = DeconvolutionEvaluation(path, survey.path, 10, survey.path, 4000.0)
    found = evaluate_deconvolution(request)
    assert {figure["method"] for figure in found["figures"]} == set(METHODS)
    assert len(found["targets"]) == 6
    assert found["real"]["n"] == len(survey)
    assert read_deconvolution(load_bundle(path)) == build(found, DeconvolutionMeasures)
    card = (path / "README.md").read_text()
    assert "## Deconvolution" in card
    assert str(tmp_path) not in card

    def never(*_: object) -> None:
        raise AssertionError("a finished stage was run again")

    monkeypatch.setattr(psf_evaluation, "deconvolve", never)
    assert evaluate_deconvolution(request) == found
