"""Deconvolution by the VQ-VAE with the PSF layer, alone and made to agree with the data.

The network's light is what a galaxy with these codes looks like. Its error is a random field of
known size and spectrum (`prior`). The posterior mean of that field, given pixels, noise and
PSF, is then exact linear algebra: where the data say something they decide, and where the PSF
has removed everything the network's light stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.deconvolution.error_model import (
    ReconstructionError,
    codes_of,
    filtered,
    local_size,
)
from galaxy_explorer.deconvolution.observations import BATCH, Array, ObservedStamps
from galaxy_explorer.models.psf import PSFVQVAE, central, padded_size, transfer_function

STEPS = 80  # of conjugate gradients at most
TOLERANCE = 1e-3  # on the residual of the linear system


@dataclass(frozen=True)
class Deconvolved:
    """N galaxies without their PSF, in the flux unit of the pixels.

    light (N, S, S); network (N, S, S), before the data corrected it; blurred and network_blurred
    (N, S, S), both through the PSF with the fitted sky, to be compared with the pixels; codes
    (N, h, w) int64.
    """

    light: Array
    network: Array
    blurred: Array
    network_blurred: Array
    codes: NDArray[np.int64]


def deconvolve(
    model: PSFVQVAE, observed: ObservedStamps, advance: Callable[[int], None] | None = None
) -> Deconvolved:
    """The network's light, and its posterior mean given the pixels.

    advance: is told how many galaxies are done.
    """
    parts = []
    for start in range(0, len(observed), BATCH):
        part = observed.part(slice(start, start + BATCH))
        parts.append(_deconvolve(model, part))
        if advance is not None:
            advance(len(part))
    return Deconvolved(
        light=np.concatenate([part.light for part in parts]),
        network=np.concatenate([part.network for part in parts]),
        blurred=np.concatenate([part.blurred for part in parts]),
        network_blurred=np.concatenate([part.network_blurred for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
    )


@torch.inference_mode()
def drawn_light(model: PSFVQVAE, codes: NDArray[np.integer]) -> tuple[Array, Array]:
    """What code maps (N, h, w) alone say: light, and light through the mean PSF, (N, S, S) each.

    In sigma of the sky.
    """
    canvas = model.canvas(torch.from_numpy(codes.astype(np.int64)))  # (N, 1, C, C)
    seen = model.blur(canvas, model.psf.expand(len(canvas), -1, -1))
    return central(canvas, model.config.stamp_size)[:, 0].numpy(), seen[:, 0].numpy()


@torch.inference_mode()
def _deconvolve(model: PSFVQVAE, observed: ObservedStamps) -> Deconvolved:
    size, unit = observed.pixels.shape[-1], observed.sky_sigma[:, None, None]
    pixels = torch.from_numpy(observed.pixels / unit)  # (B, S, S)
    precision = torch.from_numpy((unit / observed.sigma) ** 2)
    free = observed.free_sky
    codes = codes_of(model, observed)
    network = model.canvas(codes)[:, 0]  # (B, C, C)
    telescope = BlurOperator(network, torch.from_numpy(observed.psf), size)
    light = posterior_light(
        ReconstructionError.of(model), network, telescope, pixels, precision, free=free
    )
    seen = [telescope.forward(image) for image in (light, network)]
    seen = [image + fitted_sky(pixels - image, precision, free=free) for image in seen]
    within = [central(image, size) for image in (light, network)]
    made = [np.asarray(image.numpy() * unit, np.float32) for image in (*within, *seen)]
    return Deconvolved(made[0], made[1], made[2], made[3], codes.numpy())


def posterior_light(
    error: ReconstructionError,
    network: Tensor,
    telescope: BlurOperator,
    pixels: Tensor,
    precision: Tensor,
    *,
    free: bool,
) -> Tensor:
    """Posterior mean of the light (B, C, C), in sigma of the sky like `network` and `pixels`.

    light = prior + size * field; the field has the measured spectrum, pixels (B, S, S) are the
    light through the telescope with noise of `precision` (B, S, S), and a constant where the sky is
    free. Solved for the field made white, in which the system is well conditioned.
    """
    peak_sn = pixels.amax((1, 2)).numpy()
    gain, power = (f(peak_sn, telescope.size) for f in (error.gains, error.powers))
    root, size = power.sqrt(), local_size(network)
    prior = size * filtered(network / size, gain, telescope.size)

    def field(white: Tensor) -> Tensor:
        return size * filtered(white, root, telescope.size)

    def back(seen: Tensor) -> Tensor:
        weighted = precision * (seen - fitted_sky(seen, precision, free=free))
        return filtered(size * telescope.back(weighted), root, telescope.size)

    def system(white: Tensor) -> Tensor:
        return white + back(telescope.forward(field(white)))

    return prior + field(conjugate_gradients(system, back(pixels - telescope.forward(prior))))


class BlurOperator:
    """The PSF layer and its transpose, between canvas (B, C, C) and stamp (B, S, S)."""

    def __init__(self, canvas: Tensor, psf: Tensor, stamp: int) -> None:
        self.size = padded_size(canvas, psf)
        self.side, self.stamp = canvas.shape[-1], stamp
        self.transfer = transfer_function(psf, self.size)

    def forward(self, light: Tensor) -> Tensor:
        """Blur, and cut to the stamp."""
        blurred = torch.fft.irfft2(torch.fft.rfft2(light, self.size) * self.transfer, self.size)
        return central(blurred[..., : self.side, : self.side], self.stamp)

    def back(self, stamps: Tensor) -> Tensor:
        """The transpose of `forward`."""
        near = (self.side - self.stamp) // 2
        far = self.side - self.stamp - near
        canvas = torch.nn.functional.pad(stamps, (near, far, near, far))
        spectrum = torch.fft.rfft2(canvas, self.size) * self.transfer.conj()
        image: Tensor = torch.fft.irfft2(spectrum, self.size)
        return image[..., : self.side, : self.side]


def fitted_sky(residual: Tensor, precision: Tensor, *, free: bool) -> Tensor:
    """Constant (B, 1, 1) that fits residuals (B, S, S) best; zero unless free."""
    if not free:
        return residual.new_zeros(len(residual), 1, 1)
    total = (precision * residual).sum((1, 2), keepdim=True)
    return total / precision.sum((1, 2), keepdim=True)


def conjugate_gradients(system: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """Solve system(x) = right for each image of a batch (B, C, C); symmetric, positive definite.

    Hestenes and Stiefel (1952). Ends after STEPS, or with residuals below TOLERANCE of `right`.
    """
    x = torch.zeros_like(right)
    residual, direction = right.clone(), right.clone()
    norm = start = _norm(residual)
    for _ in range(STEPS):
        if bool((norm <= TOLERANCE**2 * start).all()):
            break
        image = system(direction)
        along = norm / (direction * image).sum((1, 2), keepdim=True).clamp(min=1e-30)
        x = x + along * direction
        residual = residual - along * image
        after = _norm(residual)
        direction = residual + after / norm.clamp(min=1e-30) * direction
        norm = after
    return x


def _norm(images: Tensor) -> Tensor:
    return images.square().sum((1, 2), keepdim=True)
