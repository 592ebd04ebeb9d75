"""Training the VQ-VAE with the PSF layer: scenes, likelihood, and what validation measures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.inference import d4
from galaxy_explorer.models.psf import PSFConvolution, central
from galaxy_explorer.models.psf_vqvae import PSFVQVAE, PSFVQVAEConfig, stretched
from galaxy_explorer.models.quantizer import perplexity
from galaxy_explorer.models.recipes import Recipe
from galaxy_explorer.models.training import TrainingResult, train
from galaxy_explorer.models.vqvae_training import VQVAETask

PEAK_SN = (10.0, 400.0)  # of galaxies that are observed anew
CORE_WEIGHT = 0.5  # of the logarithm of the light's error beside its arcsinh
VALIDATION_BATCH = 64

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Observations:
    """Observed galaxies with known truth, in linear flux, N of them.

    stamps, truth (N, S, S); psf (N, P, P); sky, sky_sigma, electrons_per_flux (N,). The truth is
    the un-convolved light within the stamp.
    """

    stamps: Array
    truth: Array
    psf: Array
    sky: Array
    sky_sigma: Array
    electrons_per_flux: Array

    def __len__(self) -> int:
        return len(self.stamps)


class Batch(NamedTuple):
    """What one step sees, in units of the sky's sigma, sky subtracted."""

    pixels: Tensor  # (B, 1, S, S)
    variance: Tensor  # (B, 1, S, S)
    truth: Tensor  # (B, 1, S, S)
    psf: Tensor  # (B, P, P)


def log_chi2(pixels: Tensor, model: Tensor, variance: Tensor) -> Tensor:
    """Logarithm of the reduced chi^2 of each image (B,), the level of the sky left free.

    The Gaussian likelihood with the scale of the noise profiled out: a galaxy counts by how far
    it is from its own noise, so the bright ones do not drown the faint.
    """
    weight = 1 / variance
    residual = pixels - model
    sky = (weight * residual).sum((1, 2, 3), keepdim=True) / weight.sum((1, 2, 3), keepdim=True)
    return (weight * (residual - sky).square()).mean((1, 2, 3)).log()


class PSFVQVAETask(VQVAETask):
    """Train on galaxies with known truth, seen through the PSF layer.

    The loss: `log_chi2` of the blurred light, eq. 3 of the codes, and the error of the light itself
    against the truth: of its arcsinh, over the variance of the truth's, which the faint parts
    decide, and the logarithm of its mean square, which the core decides, weighted CORE_WEIGHT.
    Without the truth, what the PSF removes would be left to chance. Every second galaxy is the
    survey's own stamp, light from beyond its edge and correlated noise included. The others are
    observed anew, with white noise that gives them a peak S/N between the two of PEAK_SN.
    """

    def __init__(
        self, config: PSFVQVAEConfig, train: Observations, validation: Observations, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        self.model: PSFVQVAE = PSFVQVAE(config)
        self.model.psf.copy_(torch.from_numpy(train.psf.mean(0)))
        self.train, self.recipe = train, recipe
        light = train.truth / train.sky_sigma[:, None, None]
        self.variance = float(np.arcsinh(light).var(dtype=np.float64))
        rows = np.arange(len(validation))
        self.held_out = _assemble(validation, rows, np.zeros_like(rows), np.random.default_rng(0))
        self._encoded = ()
        self.memory: dict[str, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """The encoder's view of the stamps of a step, (B, 1, S, S)."""
        return stretched(self._scene(step).pixels)

    def _scene(self, step: int) -> Batch:
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.integers(len(self.train), size=self.recipe.batch_size)
        made = _assemble(self.train, rows, rng.integers(8, size=len(rows)), rng)
        device = next(self.model.parameters()).device
        return Batch(*(part.to(device) for part in made))

    def loss(self, step: int) -> Tensor:
        """Likelihood, truth and quantization."""
        scene = self._scene(step)
        encoded = self.model.encoder(stretched(scene.pixels))
        self._encoded = (encoded.detach(),)
        if step < self.lead_in:
            return self._misfit(encoded, scene).mean()
        quantized = self.model.quantizer(encoded)
        loss: Tensor = self._misfit(quantized.vectors, scene).mean() + quantized.loss
        return loss

    def _misfit(self, vectors: Tensor, scene: Batch) -> Tensor:
        light = self.model.draw(vectors)
        likelihood = log_chi2(scene.pixels, self.model.blur(light, scene.psf), scene.variance)
        faint, core = self._light_errors(light, scene.truth)
        return likelihood + faint + CORE_WEIGHT * core

    def _light_errors(self, light: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Error of the arcsinh, and logarithm of the squared error over the squared peak, (B,)."""
        inner = central(light, truth.shape[-1])
        faint = (inner.asinh() - truth.asinh()).square().mean((1, 2, 3)) / self.variance
        error = (inner - truth).square().mean((1, 2, 3))
        return faint, (error / truth.amax((1, 2, 3)).square()).log()

    def validate(self) -> dict[str, float]:
        """Reduced chi^2, error of the light, perplexity, codes used and changed."""
        codes, misfits = [], []
        for start in range(0, len(self.held_out.pixels), VALIDATION_BATCH):
            scene = Batch(*(part[start : start + VALIDATION_BATCH] for part in self.held_out))
            indices = self.model.encode(stretched(scene.pixels))
            light = self.model.canvas(indices)
            fit = log_chi2(scene.pixels, self.model.blur(light, scene.psf), scene.variance)
            misfits.append(torch.stack([fit, *self._light_errors(light, scene.truth)]))
            codes.append(indices)
        return self._figures(torch.cat(codes), torch.cat(misfits, 1).mean(1))

    def _figures(self, codes: Tensor, misfits: Tensor) -> dict[str, float]:
        counts = torch.bincount(codes.ravel(), minlength=self.model.config.num_embeddings)
        now, before = codes.int(), self.memory.get("codes")
        self.memory["codes"] = now
        fit, faint, core = (float(value) for value in misfits)
        return {
            "score": math.exp(fit + faint + CORE_WEIGHT * core),
            "chi2": math.exp(fit),
            "nmse": faint,
            "psnr_db": -10 * core / math.log(10),
            "perplexity": perplexity(counts),
            "used_share": float((counts > 0).double().mean()),
            "codes_changed": 1.0 if before is None else float((before != now).double().mean()),
        }


def _assemble(
    galaxies: Observations,
    rows: NDArray[np.int64],
    turns: NDArray[np.int64],
    rng: np.random.Generator,
) -> Batch:
    """Galaxies of `rows` in the orientations `turns`, every second one observed anew."""
    size = galaxies.stamps.shape[-1]
    sigma = galaxies.sky_sigma[rows, None, None]
    pixels = (galaxies.stamps[rows] - galaxies.sky[rows, None, None]) / sigma
    truth = torch.from_numpy(galaxies.truth[rows] / sigma)[:, None]  # (B, 1, S, S)
    psf = torch.from_numpy(galaxies.psf[rows])
    blurred = PSFConvolution(size)(truth, psf)
    photons = torch.from_numpy(galaxies.electrons_per_flux[rows, None, None] * sigma)[:, None]
    variance = 1 + blurred.clamp(min=0) / photons
    anew = torch.from_numpy(rng.random(len(rows)) < 0.5)[:, None, None, None]
    low, high = (math.log(sn) for sn in PEAK_SN)
    peak_sn = np.exp(rng.uniform(low, high, size=len(rows))).astype(np.float32)
    scale = torch.from_numpy(peak_sn)[:, None, None, None] / blurred.amax((2, 3), keepdim=True)
    noise = torch.from_numpy(rng.standard_normal(blurred.shape, dtype=np.float32))
    seen = torch.where(anew, scale * blurred + noise, torch.from_numpy(pixels)[:, None])
    made = Batch(seen, torch.where(anew, 1.0, variance), torch.where(anew, scale, 1.0) * truth, psf)
    return Batch(*(_turned(part, turns) for part in made))


def _turned(images: Tensor, turns: NDArray[np.int64]) -> Tensor:
    arrays = images.numpy()
    return torch.from_numpy(np.stack([d4(a, t) for a, t in zip(arrays, turns, strict=True)]))


def psf_recipe(recipe: Recipe) -> Recipe:
    """A recipe for stamps of 84 pixels on a larger canvas: half the batch, a quarter more steps."""
    return replace(recipe, batch_size=recipe.batch_size // 2, steps=recipe.steps * 5 // 4)


def train_psf_model(
    config: PSFVQVAEConfig,
    galaxies: Observations,
    validation: Observations,
    work_dir: Path,
    recipe: Recipe,
) -> tuple[PSFVQVAE, TrainingResult]:
    """Train one model on galaxies with known truth, resumable in `work_dir`."""
    task = PSFVQVAETask(config, galaxies, validation, recipe)
    result = train(task, recipe, work_dir, name=config.name)
    return task.model.cpu(), result
