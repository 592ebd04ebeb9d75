from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from galaxy_explorer.models.autoencoder_training import VQVAE2Task, train_model
from galaxy_explorer.models.inference import (
    decode_codes,
    encode_stamps,
    load_weights,
    orbit_mean_vectors,
    reconstruction_errors,
    save_weights,
)
from galaxy_explorer.models.training import Recipe
from galaxy_explorer.models.vqvae2 import VQVAE2, VQVAE2Config
from galaxy_explorer.pipeline.autoencoders import level_ablation

SMALL = VQVAE2Config(stamp_size=16, bottom_size=4, num_embeddings=4)
RECIPE = Recipe(
    "test",
    steps=120,
    batch_size=16,
    learning_rate=2e-3,
    final_learning_rate=1e-4,
    number_format="float32",
)


def stamps(n: int, seed: int = 0) -> np.ndarray:
    """Broad light, the same for a whole stamp, with one narrow spot: something for each level."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    centre = rng.uniform(3, 12, (2, n, 1, 1))
    spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 3)
    return (rng.uniform(0, 3, (n, 1, 1)) + spot)[:, None].astype(np.float32)


def test_both_maps_have_the_sizes_they_should() -> None:
    model = VQVAE2(VQVAE2Config()).eval()
    levels = model.quantize(torch.rand(2, 1, 64, 64))
    assert [tuple(level.shape) for level in levels.code_indices] == [(2, 8, 8), (2, 16, 16)]
    assert model.decode_vectors(levels.top, levels.bottom).shape == (2, 1, 64, 64)
    assert model.config.name == "k512-hierarchical-16x16"


@pytest.mark.parametrize("wrong", [{"stamp_size": 84}, {"stamp_size": 60, "bottom_size": 15}])
def test_impossible_shapes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"halving|half"):
        VQVAE2Config(**wrong)


def test_codes_are_top_then_bottom_row_by_row() -> None:
    config = VQVAE2Config(stamp_size=16, bottom_size=4)
    codes = np.arange(2 * 20).reshape(2, 20)
    maps = config.code_maps(codes)
    np.testing.assert_array_equal(maps["_top"][1], [[20, 21], [22, 23]])
    np.testing.assert_array_equal(maps[""][0], np.arange(4, 20).reshape(4, 4))


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    task = VQVAE2Task(SMALL, stamps(16), stamps(4), RECIPE)
    task.loss(task.warmup_without_quantization).backward()
    silent = [n for n, p in task.model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> VQVAE2:
    folder = tmp_path_factory.mktemp("hierarchical")
    model, result = train_model(SMALL, stamps(256), stamps(64, 1), folder, RECIPE)
    assert result.curve[-1]["nmse"] < 0.5 * result.curve[0]["nmse"]
    assert {"perplexity", "perplexity_top"} <= result.curve[0].keys()
    assert isinstance(model, VQVAE2)
    return model


def test_both_levels_are_used(trained: VQVAE2) -> None:
    x = stamps(64, 2)
    codes = encode_stamps(trained, x)
    intact = float(reconstruction_errors(trained, x, codes).mean()) / float(x.var())
    spoilt = level_ablation(trained, x, codes, variance=float(x.var()))
    assert min(spoilt.values()) > 1.1 * intact


def test_a_level_that_is_not_used_costs_nothing_when_spoilt(trained: VQVAE2) -> None:
    model = copy.deepcopy(trained)
    torch.nn.init.zeros_(model.upsample.weight)  # the decoder no longer sees the top
    x = stamps(64, 2)
    codes = encode_stamps(model, x)
    intact = float(reconstruction_errors(model, x, codes).mean())
    spoilt = level_ablation(model, x, codes, variance=1.0)
    assert spoilt["nmse_top_permuted"] == pytest.approx(intact, rel=1e-5)
    assert spoilt["nmse_top_mean"] == pytest.approx(intact, rel=1e-5)
    assert spoilt["nmse_bottom_permuted"] > 1.01 * intact


def test_saved_weights_are_the_models_own_afterwards(trained: VQVAE2, tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(trained, path)
    again = load_weights(trained.config, path)
    codes = encode_stamps(trained, stamps(6))
    np.testing.assert_array_equal(codes, encode_stamps(again, stamps(6)))
    np.testing.assert_array_equal(codes, encode_stamps(again, stamps(6), batch=1))
    np.testing.assert_allclose(decode_codes(trained, codes), decode_codes(again, codes), atol=1e-5)


def test_no_orbit_mean_of_two_maps(trained: VQVAE2) -> None:
    with pytest.raises(TypeError, match="k4-hierarchical-4x4"):
        orbit_mean_vectors(trained, stamps(2))
