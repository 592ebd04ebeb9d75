"""The stage of the prior: how often each galaxy is drawn, and what is kept under which inputs."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.pipeline import prior as stage
from galaxy_explorer.pipeline.prior import CodedSurvey, draw_weights, train_prior
from galaxy_explorer.survey.store import Survey
from tests.small_survey import write_small_survey

K = 16


def test_types_are_drawn_more_evenly_than_they_come() -> None:
    classes = np.repeat([-1, 0, 5], [60, 36, 4])
    weights = draw_weights(classes)
    share = [weights[classes == kind].sum() for kind in (-1, 0, 5)]
    assert share == pytest.approx([1 - stage.TYPED_SHARE, 0.45, 0.15])  # 6 to 2, roots of 36 to 4


@pytest.mark.parametrize("classes", [[-1, -1, -1], [0, 0, 0]])
def test_where_all_or_none_have_a_type_no_galaxy_is_left_out(classes: list[int]) -> None:
    assert draw_weights(np.array(classes)) == pytest.approx([1 / 3] * 3)


@pytest.fixture
def coded(tmp_path) -> CodedSurvey:
    from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig

    survey = Survey.open(write_small_survey(tmp_path / "survey").path)
    size, channels = survey.meta["stamp_size"], survey.meta["channels"]
    config = VQVAEConfig(stamp_size=size, channels=channels, map_size=8, num_embeddings=K)
    codes = np.random.default_rng(0).integers(K, size=(len(survey), 8, 8)).astype(np.uint16)
    load = lambda: VQVAE(config).eval()  # noqa: E731
    return CodedSurvey(survey, config.name, "0" * 64, codes, config, load, tmp_path / "work")


@pytest.mark.slow
def test_a_finished_prior_is_not_trained_again_but_for_other_inputs(coded, monkeypatch) -> None:
    made = train_prior(coded, "tiny")
    assert {"nll", "bits", "label_gain", "nll_first", "nll_withheld"} <= made.entry[
        "metrics"
    ].keys()
    assert made.entry["default_guidance"] == stage.DEFAULT_GUIDANCE
    intact = made.weights.read_bytes()
    made.weights.write_bytes(b"")
    assert train_prior(coded, "tiny").weights.read_bytes() == intact
    control = train_prior(coded, "tiny", control=True)
    assert control.weights != made.weights
    assert control.entry["steps"] < made.entry["steps"]
    monkeypatch.setattr(stage, "TYPED_SHARE", 0.5)
    train_prior(coded, "tiny")
    assert made.weights.read_bytes() != intact
