"""Galaxies drawn from formulas, and an untrained network: enough for the laws of deconvolution."""

from __future__ import annotations

import numpy as np
import torch

from galaxy_explorer.models.psf import PSFVQVAE, PSFVQVAEConfig

SIZE = 84


def gaussian(
    size: int = SIZE, sigma: float = 4.0, ratio: float = 1.0, angle: float = 0.0
) -> np.ndarray:
    """A Gaussian galaxy (S, S) of unit flux, `sigma` px along, `ratio` of it across."""
    y, x = np.indices((size, size)) - (size - 1) / 2
    along = x * np.cos(angle) + y * np.sin(angle)
    across = (y * np.cos(angle) - x * np.sin(angle)) / ratio
    light = np.exp(-0.5 * (along**2 + across**2) / sigma**2)
    return (light / light.sum()).astype(np.float32)


def galaxies(n: int = 6, seed: int = 0) -> np.ndarray:
    """Un-convolved light (n, S, S): a sharp core on a wide body."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        ratio, angle = rng.uniform(0.4, 0.9), rng.uniform(0, np.pi)
        made.append(0.3 * gaussian(sigma=0.8) + gaussian(sigma=6, ratio=ratio, angle=angle))
    return np.stack(made).astype(np.float32)


def psfs(n: int = 6, fwhm: float = 3.1) -> np.ndarray:
    """PSFs (n, 61, 61)."""
    return np.repeat(gaussian(61, fwhm / 2.3548)[None], n, 0)


def network() -> PSFVQVAE:
    """An untrained network of few codes."""
    torch.manual_seed(0)
    model = PSFVQVAE(PSFVQVAEConfig(num_embeddings=16)).eval()
    model.psf.copy_(torch.from_numpy(psfs(1)[0]))
    return model
