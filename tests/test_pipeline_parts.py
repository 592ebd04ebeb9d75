from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.errors import SurveyError, TrainingError
from galaxy_explorer.models.vqvae import VQVAEConfig
from galaxy_explorer.pipeline.autoencoders import measure
from galaxy_explorer.pipeline.train import make_plan
from galaxy_explorer.utils.files import StageCache, StageResult, exclusive
from tests.small_survey import write_small_survey


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return write_small_survey(tmp_path_factory.mktemp("surveys") / "blobs").path


def test_two_runs_do_not_train_one_model_at_a_time(tmp_path):
    lock = tmp_path / "model.lock"
    refused = pytest.raises(TrainingError, match=r"model\.lock: another run")
    with exclusive(lock), refused, exclusive(lock):
        pass
    with exclusive(lock):  # free again
        pass


class Counter:
    """A stage that counts how often it is run."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> StageResult:
        self.runs += 1
        return StageResult({"squares": np.arange(5.0) ** 2}, {"run": self.runs})


def test_a_finished_stage_is_not_run_again(tmp_path):
    cache, stage = StageCache(tmp_path), Counter()
    first = cache.get("model/stage", {"seed": 1}, stage)
    second = cache.get("model/stage", {"seed": 1}, stage)
    assert stage.runs == 1
    assert cache.has("model/stage", {"seed": 1})
    np.testing.assert_array_equal(first.arrays["squares"], second.arrays["squares"])
    assert second.facts == {"run": 1}


def test_changed_inputs_are_run_again(tmp_path):
    cache, stage = StageCache(tmp_path), Counter()
    cache.get("stage", {"seed": 1}, stage)
    assert not cache.has("stage", {"seed": 2})
    cache.get("stage", {"seed": 2}, stage)
    cache.get("stage", {"seed": 2, "more": None}, stage)
    assert stage.runs == 3


def test_a_damaged_result_is_run_again(tmp_path):
    cache, stage = StageCache(tmp_path), Counter()
    cache.get("stage", {}, stage)
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-3])
    assert cache.get("stage", {}, stage).facts == {"run": 2}
    file.write_bytes(b"")
    assert cache.get("stage", {}, stage).facts == {"run": 3}


def test_a_failed_stage_leaves_nothing(tmp_path):
    def fail() -> StageResult:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        StageCache(tmp_path).get("stage", {}, fail)
    assert list(tmp_path.iterdir()) == []


def test_measures_by_hand():
    errors = np.array([0.01, 0.03], np.float32)
    codes = np.array([[[0, 0], [1, 1]], [[2, 2], [3, 3]]])
    metrics = measure(errors, codes, VQVAEConfig(num_embeddings=8), variance=0.5)
    assert metrics["mse"] == pytest.approx(0.02)
    assert metrics["nmse"] == pytest.approx(0.04)
    assert metrics["psnr_db"] == pytest.approx(16.9897, abs=1e-3)
    assert metrics["perplexity"] == pytest.approx(4)
    assert metrics["used_share"] == 0.5
    assert metrics["n_test"] == 2
    assert metrics["nmse_low"] <= metrics["nmse"] <= metrics["nmse_high"]


def test_one_code_has_perplexity_one():
    one_code, config = np.zeros((3, 2, 2), int), VQVAEConfig(num_embeddings=16)
    metrics = measure(np.ones(3, np.float32), one_code, config, variance=1.0)
    assert metrics["perplexity"] == pytest.approx(1)
    assert metrics["used_share"] == pytest.approx(1 / 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "huge"}, "--recipe huge: unknown"),
        ({"models": ("vae",)}, "--models vae"),
        ({"models": ("k16-modern-8x16",)}, "--models k16-modern-8x16"),
        ({"models": ("k16-modern-7x7",)}, "does not follow"),
        ({"models": ("k16-magic-8x8",)}, "magic"),
        ({"models": ("convae-round",)}, "round"),
        ({"seeds": 0}, "--seeds 0"),
        ({"models": ("k64-modern-16x16",)}, "at least one 8x8 model"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(survey, tmp_path, options, message):
    with pytest.raises(TrainingError, match=message):
        make_plan(survey, tmp_path / "out", **{"recipe": "tiny", **options})
    assert list(tmp_path.iterdir()) == []


def test_steps_of_ones_own_for_every_training_of_the_plan(survey, tmp_path):
    plan = make_plan(survey, tmp_path / "out", recipe="tiny", models=("k16-modern-8x8",), seeds=2)
    longer = plan.with_steps(7)
    assert longer.recipe.steps == longer.with_seed(1).recipe.steps == 7
    assert plan.recipe.steps != 7
    with pytest.raises(TrainingError, match="--steps 0"):
        plan.with_steps(0)


def test_no_survey(tmp_path):
    with pytest.raises(SurveyError, match="nowhere"):
        make_plan(tmp_path / "nowhere", tmp_path / "out", recipe="tiny")


def test_a_survey_of_a_handful_is_refused(tmp_path):
    tiny = write_small_survey(tmp_path / "few", n=3).path
    with pytest.raises(TrainingError, match="galaxies in the"):
        make_plan(tiny, tmp_path / "out", recipe="tiny")
