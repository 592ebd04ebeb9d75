"""The VQ-VAE with the PSF layer: shapes, positivity, likelihood, scenes, training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_explorer.models.autoencoder_training import (
    Observations,
    PSFVQVAETask,
    log_chi2,
    psf_recipe,
    train_model,
)
from galaxy_explorer.models.inference import decode_codes, encode_stamps, load_weights, save_weights
from galaxy_explorer.models.psf import PSFVQVAE, PSFVQVAEConfig, stretched
from galaxy_explorer.models.training import RECIPES, Recipe
from galaxy_explorer.pipeline.plan import config_of
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from tests.deconvolution.scenes import galaxies, network, psfs

RECIPE = Recipe("test", steps=2, batch_size=4)
CONFIG = PSFVQVAEConfig(num_embeddings=16)


def observations(n: int = 12) -> Observations:
    rng = np.random.default_rng(0)
    truth = 1000 * galaxies(n)
    ones = np.ones(n, np.float32)
    stamps = truth + rng.normal(0, 1, truth.shape).astype(np.float32)
    return Observations(stamps, truth, psfs(n), 0 * ones, ones, 4000 * ones)


@pytest.fixture(scope="module")
def task() -> PSFVQVAETask:
    return PSFVQVAETask(CONFIG, observations(), observations(6), RECIPE)


def test_name_and_shapes_are_those_of_candels() -> None:
    assert PSFVQVAEConfig().name == "k512-psf-21x21"
    model = network()
    stamps = stretched(torch.randn(2, 1, 84, 84))
    made = model(stamps, torch.from_numpy(psfs(2)))
    assert made.reconstruction.shape == (2, 1, 84, 84)
    assert made.code_indices.shape == (2, 21, 21)
    light = model.canvas(made.code_indices)
    assert light.shape == (2, 1, 100, 100)
    assert bool((light > 0).all())
    torch.testing.assert_close(model(stamps).reconstruction, made.reconstruction)


def test_new_models_have_no_grid_and_stored_ones_stay_as_they_are() -> None:
    meta = {"stamp_size": 84, "channels": 1}
    assert config_of("k512-psf-21x21", meta).to_dict()["upsampling"] == "resized"
    stored = {name: value for name, value in CONFIG.to_dict().items() if name != "upsampling"}
    assert PSFVQVAEConfig.from_dict(stored).upsampling == "transposed"
    with pytest.raises(ValueError, match="transposed"):
        PSFVQVAEConfig(upsampling="nearest")


def test_it_sees_stamps_as_the_surveys_stretch_shows_them() -> None:
    pixels = torch.linspace(-5, 5000, 50)
    expected = ArcsinhStretch().apply(pixels.numpy(), 0.0, 1.0)
    assert stretched(pixels).numpy() == pytest.approx(expected, abs=1e-5)


def test_the_ordinary_way_to_encode_and_decode_shows_galaxies_through_the_mean_psf() -> None:
    model = network()
    stamps = np.random.default_rng(0).normal(0.1, 0.05, (3, 1, 84, 84)).astype(np.float32)
    codes = encode_stamps(model, stamps)
    drawn = decode_codes(model, codes)
    indices = torch.from_numpy(codes.astype(np.int64))
    with torch.inference_mode():
        psf = torch.from_numpy(psfs(3))
        expected = stretched(model.blur(model.canvas(indices), psf))
    assert drawn == pytest.approx(expected.numpy(), abs=1e-5)


def test_weights_come_back_with_all_that_the_model_carries(tmp_path: Path) -> None:
    model = network()
    model.error_power.fill_(-1.5)
    save_weights(model, tmp_path / "w.safetensors")
    loaded = load_weights(model.config, tmp_path / "w.safetensors")
    assert isinstance(loaded, PSFVQVAE)
    for name, value in model.state_dict().items():
        if not name.endswith(("size", "total")):
            torch.testing.assert_close(loaded.state_dict()[name], value)


def test_chi2_leaves_the_sky_free_and_counts_the_noise_it_is_told() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 2 * torch.randn(3, 1, 84, 84, generator=generator)
    model, variance = torch.rand(3, 1, 84, 84), torch.full((3, 1, 84, 84), 4.0)
    plain = log_chi2(model + noise, model, variance)
    torch.testing.assert_close(plain, log_chi2(model + noise + 7, model, variance))
    assert plain.exp() == pytest.approx(torch.ones(3), abs=0.05)


def test_gradient_reaches_every_weight(task: PSFVQVAETask) -> None:
    task.model.train().zero_grad()
    task.loss(1).backward()
    silent = [n for n, p in task.model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_a_step_is_a_function_of_seed_and_step(task: PSFVQVAETask) -> None:
    assert torch.equal(task.batch(3), task.batch(3))
    assert not torch.equal(task.batch(3), task.batch(4))


def test_galaxies_are_what_psf_and_noise_make_of_the_truth(task: PSFVQVAETask) -> None:
    """Of held-out galaxies, those observed anew: (pixels - truth through the PSF) is the noise."""
    scene = task.held_out
    blurred = task.model.blur(scene.truth, scene.psf)
    residual = (scene.pixels - blurred) / scene.variance.sqrt()
    anew = (scene.variance == 1).all((1, 2, 3))
    assert 0 < int(anew.sum()) < len(anew)
    assert residual[anew].std((1, 2, 3)) == pytest.approx(torch.ones(int(anew.sum())), abs=0.05)


def test_training_resumes_and_keeps_the_mean_psf(tmp_path: Path) -> None:
    data, held_out = observations(), observations(6)
    model, result = train_model(CONFIG, data, held_out, tmp_path, RECIPE)
    again, once_more = train_model(CONFIG, data, held_out, tmp_path, RECIPE)
    assert result.steps == once_more.steps == 2
    assert {"chi2", "nmse", "psnr_db", "perplexity"} <= result.curve[-1].keys()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    assert model.psf.numpy() == pytest.approx(data.psf[0], abs=1e-6)


def test_the_recipe_halves_the_batch() -> None:
    quick = RECIPES["quick"]
    made = psf_recipe(quick)
    assert (made.batch_size, made.steps) == (quick.batch_size // 2, quick.steps * 5 // 4)
