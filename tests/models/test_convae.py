from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_explorer.errors import DeadNetwork, TrainingError
from galaxy_explorer.models.autoencoder_training import MOST_STARTS, ConvAETask, train_model
from galaxy_explorer.models.convae import ConvAE, ConvAEConfig
from galaxy_explorer.models.inference import (
    decode_codes,
    encode_stamps,
    load_weights,
    reconstruction_errors,
    save_weights,
)
from galaxy_explorer.models.training import CHECKPOINT, CURVE, Recipe

SMALL = ConvAEConfig("conv", stamp_size=16)
RECIPE = Recipe(
    "test",
    steps=40,
    batch_size=8,
    learning_rate=1e-3,
    final_learning_rate=1e-4,
    number_format="float32",
)
# Report, section 4.3.2: what stands in place of the residual stack and makes 64 features.
INNER = {
    "conv": [("Conv2D", 64), ("Conv2D", 16), ("Conv2D", 4), ("Conv2D", 1)],
    "dense": [("Conv2D", 64), ("Dense", 1024), ("Dense", 256), ("Dense", 64)],
}
# The way back: the 3x3 convolution of 128 to 128 has no mirror image, as in Table 1.
OUTER = {"conv": [4, 16, 64, 128, 128, 64, 1], "dense": [256, 1024, 4096, 128, 128, 64, 1]}


def stamps(n: int, size: int = 16, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    centre = rng.uniform(0.4 * size, 0.6 * size, (2, n, 1, 1))
    width = rng.uniform(2, 12, n)[:, None, None]
    drawn = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / width)
    return drawn[:, None].astype(np.float32)


@pytest.mark.parametrize("design", ["conv", "dense"])
def test_layers_are_those_of_the_report_and_the_decoder_mirrors_the_encoder(design: str) -> None:
    rows = ConvAE(ConvAEConfig(design)).layer_table()
    kinds = [(row.name.split("_")[0], row.features) for row in rows]
    encoder = [("Conv2D", 64), *[("Conv2D", 128)] * 3, *INNER[design]]
    assert kinds[: len(encoder)] == encoder
    assert [row.filter for row in rows if row.stride == "2x2"] == ["4x4"] * 6
    assert [i for i, row in enumerate(rows) if not row.nonlinearity] == [
        len(encoder) - 1,
        len(rows) - 1,
    ]
    assert [features for _, features in kinds[len(encoder) :]] == OUTER[design]


@pytest.mark.parametrize("design", ["conv", "dense"])
@pytest.mark.parametrize("channels", [1, 3])
def test_64_features_a_stamp_whatever_the_channels(design: str, channels: int) -> None:
    model = ConvAE(ConvAEConfig(design, stamp_size=32, channels=channels))
    latents = model.encode(torch.rand(2, channels, 32, 32))
    assert latents.shape == (2, 64)
    assert model.decode(latents).shape == (2, channels, 32, 32)


@pytest.mark.parametrize("design", ["conv", "dense"])
def test_every_parameter_gets_a_gradient(design: str) -> None:
    torch.manual_seed(0)
    model = ConvAE(ConvAEConfig(design))
    x = torch.rand(8, 1, 64, 64)
    (model(x) - x).square().mean().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("wrong", [{"design": "none"}, {"design": "conv", "stamp_size": 84}])
def test_impossible_shapes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"halving|none"):
        ConvAEConfig(**wrong)  # type: ignore[arg-type]


def test_config_round_trip_and_name() -> None:
    config = ConvAEConfig("dense", channels=3)
    assert ConvAEConfig.from_dict(config.to_dict()) == config
    assert config.name == "convae-dense"


@pytest.mark.parametrize("design", ["conv", "dense"])
def test_batches_do_not_change_the_latents(design: str) -> None:
    model = ConvAE(ConvAEConfig(design, stamp_size=16)).eval()
    together = encode_stamps(model, stamps(10))
    assert together.shape == (10, 64)
    alone = encode_stamps(model, stamps(10), batch=1)
    np.testing.assert_allclose(together.astype(float), alone.astype(float), atol=2e-3)
    drawn = decode_codes(model, together, batch=3)
    errors = np.square(drawn - stamps(10)).mean((1, 2, 3))
    np.testing.assert_allclose(
        reconstruction_errors(model, stamps(10), together), errors, rtol=1e-4
    )


@pytest.mark.parametrize(("design", "megabytes"), [("conv", 1.2), ("dense", 10.1)])
def test_what_is_measured_is_what_is_stored(design: str, megabytes: float, tmp_path: Path) -> None:
    """After `save_weights` the model's own weights are the stored ones, rounded, bit for bit."""
    torch.manual_seed(1)
    model = ConvAE(ConvAEConfig(design)).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    path = tmp_path / "weights.safetensors"
    save_weights(model, path)
    assert path.stat().st_size < megabytes * 1e6
    again = load_weights(model.config, path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        largest = float(before[name].abs().max())
        steps = 127 if value.ndim > 1 else 1024
        assert float((value - before[name]).abs().max()) <= 0.51 * largest / steps
    assert any(not torch.equal(before[k], v) for k, v in model.state_dict().items())


class _InterruptedTask(ConvAETask):
    def loss(self, step: int) -> torch.Tensor:
        if step == 27:
            raise KeyboardInterrupt
        return super().loss(step)


def test_an_interrupted_run_ends_as_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, held_out = stamps(64), stamps(16, seed=1)
    whole, result = train_model(SMALL, training, held_out, tmp_path / "whole", RECIPE)
    with monkeypatch.context() as patch:
        patch.setattr("galaxy_explorer.models.autoencoder_training.ConvAETask", _InterruptedTask)
        with pytest.raises(KeyboardInterrupt):
            train_model(SMALL, training, held_out, tmp_path / "cut", RECIPE)
    resumed, again = train_model(SMALL, training, held_out, tmp_path / "cut", RECIPE)
    assert again.curve == result.curve
    assert all(torch.equal(v, resumed.state_dict()[k]) for k, v in whole.state_dict().items())
    assert result.curve[-1]["nmse"] < result.curve[0]["nmse"]
    assert result.curve[-1]["codes_changed"] < result.curve[1]["codes_changed"]


def test_a_checkpoint_of_the_other_design_is_refused(tmp_path: Path) -> None:
    short = dataclasses.replace(RECIPE, steps=2)
    train_model(SMALL, stamps(8), stamps(4), tmp_path, short)
    assert (tmp_path / CHECKPOINT).is_file()
    other = dataclasses.replace(SMALL, design="dense")
    with pytest.raises(TrainingError, match="another model"):
        train_model(other, stamps(8), stamps(4), tmp_path, short)


class _DyingTask(ConvAETask):
    """Whose first network gives every galaxy the same latents from step 4 on."""

    def after_step(self, step: int, steps: int) -> None:
        super().after_step(step, steps)
        if step == 3 and self.recipe.seed == RECIPE.seed:
            with torch.no_grad():
                self.model.narrow[-1].weight.zero_()


def test_a_network_that_dies_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dataclasses.replace(RECIPE, steps=20)
    monkeypatch.setattr("galaxy_explorer.models.autoencoder_training.ConvAETask", _DyingTask)
    model, result = train_model(SMALL, stamps(64), stamps(16, seed=1), tmp_path, short)
    assert result.starts == 2
    assert result.curve[-1]["nmse"] < result.curve[0]["nmse"]
    assert encode_stamps(model, stamps(16, seed=1)).astype(float).std(0).max() > 0
    again, resumed = train_model(SMALL, stamps(64), stamps(16, seed=1), tmp_path, short)
    assert (resumed.starts, resumed.curve) == (2, result.curve)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())


def test_a_network_that_always_dies_is_an_error(tmp_path: Path) -> None:
    alike = np.repeat(stamps(1), 16, 0)
    short = dataclasses.replace(RECIPE, steps=2)
    with pytest.raises(DeadNetwork, match="convae-conv: all galaxies have the same latents"):
        train_model(SMALL, stamps(16), alike, tmp_path, short)
    assert len(list(tmp_path.rglob(CURVE))) == 0
    assert len(list(tmp_path.glob("start-*"))) == MOST_STARTS - 1
