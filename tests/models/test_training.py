from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models.autoencoder_training import (
    VQVAETask,
    data_variance,
    share_changed,
    train_model,
)
from galaxy_explorer.models.inference import d4
from galaxy_explorer.models.training import (
    CHECKPOINT,
    CURVE,
    RECIPES,
    Precision,
    Recipe,
    StopRule,
    choose_precision,
    choose_threads,
)
from galaxy_explorer.models.vqvae import VQVAEConfig

CONFIG = VQVAEConfig(stamp_size=16, map_size=4, num_embeddings=8)
RECIPE = Recipe(
    "test",
    steps=40,
    batch_size=8,
    learning_rate=1e-3,
    final_learning_rate=1e-4,
    number_format="float32",
)


def blobs(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    width = rng.uniform(2, 12, n)[:, None, None]
    centre = rng.uniform(6, 10, (2, n, 1, 1))
    stamps = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / width)
    return stamps[:, None].astype(np.float32)


def state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("unbroken")
    model, _ = train_model(CONFIG, blobs(64), blobs(16, 1), folder, RECIPE)
    return folder, state(model)


class _InterruptedTask(VQVAETask):
    def loss(self, step: int) -> torch.Tensor:
        if step == 27:
            raise KeyboardInterrupt
        return super().loss(step)


@pytest.mark.parametrize("quantizer", ["modern", "paper"])
def test_an_interrupted_run_ends_as_an_unbroken_one(
    quantizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, quantizer=quantizer)
    stamps, held_out = blobs(64), blobs(16, 1)
    whole, result = train_model(config, stamps, held_out, tmp_path / "whole", RECIPE)
    with monkeypatch.context() as patch:
        patch.setattr("galaxy_explorer.models.autoencoder_training.VQVAETask", _InterruptedTask)
        with pytest.raises(KeyboardInterrupt):
            train_model(config, stamps, held_out, tmp_path / "cut", RECIPE)
    resumed, again = train_model(config, stamps, held_out, tmp_path / "cut", RECIPE)
    assert again.precision == result.precision
    assert again.curve == result.curve
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_validation_score_that_is_no_number_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VQVAETask, "validate", lambda _: {"score": float("nan")})
    with pytest.raises(TrainingError, match=r"validation score is nan at step \d+"):
        train_model(CONFIG, blobs(64), blobs(16, 1), tmp_path, RECIPE)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.models.test_training import CONFIG, RECIPE, blobs
import galaxy_explorer.models.training as training
training.SAVE_INTERVAL_S = 0.0
from galaxy_explorer.models.autoencoder_training import train_model
train_model(CONFIG, blobs(64), blobs(16, 1), Path(sys.argv[1]), RECIPE)
"""


@pytest.mark.long
def test_a_killed_run_ends_as_an_unbroken_one(
    tmp_path: Path, unbroken: tuple[Path, dict[str, torch.Tensor]]
) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(root)])
    deadline = time.monotonic() + 120
    while not (tmp_path / CHECKPOINT).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    model, result = train_model(CONFIG, blobs(64), blobs(16, 1), tmp_path, RECIPE)
    assert result.steps == RECIPE.steps
    for name, value in state(model).items():
        torch.testing.assert_close(value, unbroken[1][name], rtol=0, atol=0, msg=name)


def test_a_finished_run_returns_at_once(
    unbroken: tuple[Path, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VQVAETask, "after_step", None)  # any further step would fail
    model, result = train_model(CONFIG, blobs(64), blobs(16, 1), unbroken[0], RECIPE)
    assert result.steps == RECIPE.steps
    assert all(torch.equal(v, unbroken[1][k]) for k, v in state(model).items())


def test_a_run_with_another_recipe_is_refused(
    unbroken: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    other = dataclasses.replace(RECIPE, learning_rate=1.0)
    with pytest.raises(TrainingError, match="another recipe"):
        train_model(CONFIG, blobs(64), blobs(16, 1), unbroken[0], other)


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(
    unbroken: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    whole = (unbroken[0] / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole)
    other = dataclasses.replace(CONFIG, num_embeddings=9)
    with pytest.raises(TrainingError, match="another model"):
        train_model(other, blobs(64), blobs(16, 1), tmp_path, RECIPE)
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="no checkpoint"):
        train_model(CONFIG, blobs(64), blobs(16, 1), tmp_path, RECIPE)


def test_the_curve_is_written_and_the_error_falls(
    unbroken: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    lines = (unbroken[0] / CURVE).read_text().splitlines()
    assert lines[0].startswith("step,score,nmse,perplexity,used_share,codes_changed")
    errors = [float(line.split(",")[2]) for line in lines[1:]]
    assert len(errors) == 20
    assert errors[-1] < 0.7 * errors[0]


@pytest.mark.slow
def test_training_learns_what_shuffled_pixels_do_not_have(tmp_path: Path) -> None:
    real = blobs(256)
    shuffled = np.random.default_rng(0).permuted(real.reshape(256, -1), axis=1).reshape(real.shape)
    recipe = dataclasses.replace(RECIPE, steps=120)
    _, good = train_model(CONFIG, real[64:], real[:64], tmp_path / "real", recipe)
    _, bad = train_model(CONFIG, shuffled[64:], shuffled[:64], tmp_path / "shuffled", recipe)
    assert good.curve[-1]["nmse"] < 0.3
    assert bad.curve[-1]["nmse"] > 0.6


def test_batches_depend_on_seed_and_step_alone() -> None:
    task = VQVAETask(CONFIG, blobs(64), blobs(16, 1), RECIPE)
    assert torch.equal(task.batch(5), task.batch(5))
    assert not torch.equal(task.batch(5), task.batch(6))


def test_d4_has_eight_different_orientations_and_keeps_the_pixels() -> None:
    stamp = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    turned = {d4(stamp, t).tobytes() for t in range(8)}
    assert len(turned) == 8
    assert all(sorted(d4(stamp, t).ravel()) == list(range(16)) for t in range(8))


def test_data_variance_is_numpys() -> None:
    stamps = np.random.default_rng(0).normal(3, 2, (3000, 1, 4, 4)).astype(np.float32)
    assert data_variance(stamps) == pytest.approx(stamps.var(dtype=np.float64), rel=1e-9)


def test_learning_rate_warms_up_and_falls_to_its_end() -> None:
    recipe = RECIPES["quick"]
    rates = [recipe.learning_rate_at(s) for s in range(recipe.steps + 1)]
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=1e-3)
    assert rates[0] < 0.02 * recipe.learning_rate
    assert rates[-1] == pytest.approx(recipe.final_learning_rate)
    paper = RECIPES["paper"]
    assert {paper.learning_rate_at(s) for s in (0, 50_000, 99_999)} == {3e-4}
    assert paper.steps == 100_000
    assert paper.batch_size == 32


def figures(score: float, perplexity: float, changed: float) -> dict[str, float]:
    return {"score": score, "perplexity": perplexity, "codes_changed": changed}


def test_the_stop_rule_wants_all_three_to_have_settled() -> None:
    rule = StopRule()
    for step, row in enumerate(
        [
            figures(1.0, 100, 1.0),
            figures(0.9, 100, 0.01),  # error still falls
            figures(0.899, 120, 0.01),  # vocabulary still grows
            figures(0.899, 120, 0.10),  # codes still change
            figures(0.898, 121, 0.01),  # settled
            figures(0.898, 121, 0.01),
        ]
    ):
        rule.update(step, row)
    assert rule.step == 4


def test_codes_are_compared_with_those_of_the_same_galaxies_only() -> None:
    memory: dict[str, torch.Tensor] = {}
    before, now = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 5]])
    assert [share_changed(memory, codes) for codes in (before, before, now)] == [1.0, 0.0, 0.25]
    assert share_changed(memory, now[:1]) == 1.0  # the training was begun with more held out
    assert share_changed(memory, now[:1]) == 0.0


def test_a_run_may_end_where_the_rule_says(tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        RECIPE, stop_early=True, learning_rate=0.0, final_learning_rate=0.0
    )
    config = dataclasses.replace(CONFIG, quantizer="paper")
    _, result = train_model(config, blobs(64), blobs(16, 1), tmp_path, recipe)
    assert result.early_stop_step == result.steps < recipe.steps


def test_an_augmented_recipe_varies_stamps_and_asks_for_them_without_the_noise() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] - 31.5
    blob = np.exp(-np.hypot(x, y) / 8)
    stamps = (blob * rng.uniform(0.3, 0.8, (40, 3, 1, 1))).astype(np.float32)
    recipe = dataclasses.replace(RECIPES["long"], batch_size=40)
    config = VQVAEConfig(channels=3, map_size=8, num_embeddings=16)
    task, plain = (
        VQVAETask(config, stamps, stamps[:4], made)
        for made in (recipe, dataclasses.replace(recipe, augmented=False))
    )
    seen, drawn = task.pair(3)
    assert all(torch.equal(a, b) for a, b in zip((seen, drawn), task.pair(3), strict=True))
    noise = (seen - drawn).flatten(1).std(1)
    assert 0 < int((noise > 0).sum()) < 25  # about a quarter
    assert float(noise.max()) < 0.03
    same, still = plain.pair(3)
    assert torch.equal(same, still)
    changed = (drawn - same).abs().flatten(1).amax(1)
    assert 0 < int((changed == 0).sum()) < 25  # about a fifth keep their pixels
    assert torch.isfinite(seen).all()
    assert float(drawn.max()) < 1.1
    light = drawn.sum((1, 2, 3)) / same.sum((1, 2, 3))
    assert float(light.std()) > 0.05


def test_smoothing_keeps_the_light_and_lowers_the_peak(monkeypatch) -> None:
    from galaxy_explorer.models import autoencoder_training as training

    monkeypatch.setattr(training, "MOVED", 0.0)
    monkeypatch.setattr(training, "BRIGHTENED", 0.0)
    monkeypatch.setattr(training, "SMOOTHED", 1.0)
    stamps = torch.zeros(2, 1, 64, 64)
    stamps[:, 0, 30, 20] = 1.0
    made = training.varied(stamps, np.random.default_rng(0))
    assert made.sum((1, 2, 3)).tolist() == pytest.approx([1.0, 1.0])
    assert float(made.max()) < 0.99
    monkeypatch.setattr(training, "SMOOTHED", 0.0)
    assert torch.equal(training.varied(stamps, np.random.default_rng(0)), stamps)


def test_a_processor_without_bfloat16_is_not_asked_to_try_it(monkeypatch) -> None:
    """Some layers would take a minute there."""
    timed = []

    def loss() -> torch.Tensor:
        timed.append(torch.is_autocast_enabled("cpu"))
        return torch.zeros((), requires_grad=True)

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert choose_precision("auto", loss).name == "cpu float32"
    assert timed == []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    choose_precision("auto", loss)
    assert set(timed) == {False, True}


@pytest.mark.parametrize(("cost", "best"), [({1: 1.0, 4: 5.0}, 1), ({1: 1.0, 4: 0.5}, 4)])
def test_as_many_threads_as_are_faster_unless_the_user_named_a_number(
    cost: dict[int, float], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, threads = [0.0], [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: threads.__setitem__(0, count))
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def loss() -> torch.Tensor:
        clock[0] += cost[threads[0]]
        return torch.zeros((), requires_grad=True)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert choose_threads(Precision("cpu float32"), loss) == best
    assert threads == [4]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert choose_threads(Precision("cpu float32"), loss) == 4


def test_a_run_that_goes_on_takes_as_many_threads_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("galaxy_explorer.models.training.choose_threads", lambda *_: 3)
    before = torch.get_num_threads()
    taken = []

    class Noted(_InterruptedTask):
        def loss(self, step: int) -> torch.Tensor:
            taken.append(torch.get_num_threads())
            return super().loss(step)

    with monkeypatch.context() as patch:
        patch.setattr("galaxy_explorer.models.training.SAVE_INTERVAL_S", 0.0)
        patch.setattr("galaxy_explorer.models.autoencoder_training.VQVAETask", Noted)
        with pytest.raises(KeyboardInterrupt):
            train_model(CONFIG, blobs(64), blobs(16, 1), tmp_path, RECIPE)
    monkeypatch.setattr("galaxy_explorer.models.training.choose_threads", None)  # not asked again
    train_model(CONFIG, blobs(64), blobs(16, 1), tmp_path, RECIPE)
    assert set(taken) == {3}
    assert torch.get_num_threads() == before
