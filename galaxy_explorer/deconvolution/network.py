"""Deconvolution by the VQ-VAE with the PSF layer, alone and made to agree with the data.

The network's light is what a galaxy with these codes looks like. Its error over its local size is
taken for a random field, the same everywhere, with a spectrum that is measured on validation
galaxies in rings of spatial frequency, for a few peak S/N. So is the gain: how much of the
network's structure at a frequency is there in the truth. The posterior mean of that field, given
pixels, noise and PSF, is then exact linear algebra: where the data say something they decide, and
where the PSF has removed everything the network's light stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.deconvolution.observations import BATCH, Array, ObservedStamps
from galaxy_explorer.models.psf import (
    PSFVQVAE,
    RINGS,
    central,
    padded_size,
    stretched,
    transfer_function,
)

FLOOR = 0.3  # size of the error where the light is dark, in sigma of the sky
SHARE = 0.3  # and as a share of the light around a pixel; chosen on the validation split
SMOOTHING_PX = 1.0  # sigma of the Gaussian over which "around" is meant
CORNER = np.sqrt(0.5)  # highest frequency of an image, cycles a pixel

Spectrum = tuple[float, ObservedStamps, Array]


def local_size(light: Tensor) -> Tensor:
    """Expected size of the error of light (B, C, C), both in sigma of the sky."""
    radius = int(4 * SMOOTHING_PX)
    offsets = torch.arange(-radius, radius + 1, dtype=light.dtype)
    kernel = torch.exp(-0.5 * (offsets / SMOOTHING_PX) ** 2)
    kernel = kernel / kernel.sum()
    images = light[:, None]
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        images = torch.nn.functional.conv2d(images, kernel.reshape(shape), padding="same")
    return FLOOR + SHARE * images[:, 0]


def filtered(field: Tensor, transfer: Tensor, size: tuple[int, int]) -> Tensor:
    """Fields (B, C, C) times a real transfer (B, P, Q / 2 + 1) in frequency, padded with zeros."""
    spectrum = torch.fft.rfft2(field, size) * transfer
    image: Tensor = torch.fft.irfft2(spectrum, size)
    return image[..., : field.shape[-2], : field.shape[-1]]


@torch.inference_mode()
def codes_of(model: PSFVQVAE, observed: ObservedStamps) -> Tensor:
    """Code maps (N, h, w) of observed stamps."""
    pixels = torch.from_numpy(observed.pixels / observed.sky_sigma[:, None, None])[:, None]
    return model.encode(stretched(pixels))


@torch.inference_mode()
def network_light(model: PSFVQVAE, observed: ObservedStamps) -> Tensor:
    """The network's light (N, C, C) on its canvas, in sigma of the sky."""
    starts = range(0, len(observed), BATCH)
    parts = [observed.part(slice(start, start + BATCH)) for start in starts]
    return torch.cat([model.canvas(codes_of(model, part))[:, 0] for part in parts])


@dataclass(frozen=True)
class ReconstructionError:
    """Gain and error power of a network in RINGS equal rings of frequency, from 0 to the corner.

    levels (L,): ln of the peak S/N at which gain and log_power (L, RINGS) were measured; in between
    they are interpolated.
    """

    levels: NDArray[np.floating]
    gain: NDArray[np.floating]
    log_power: NDArray[np.floating]

    @classmethod
    def of(cls, model: PSFVQVAE) -> ReconstructionError:
        """What a model carries."""
        buffers = (model.error_levels, model.error_gain, model.error_power)
        return cls(*(buffer.cpu().numpy() for buffer in buffers))

    def store(self, model: PSFVQVAE) -> None:
        """Make it what the model carries."""
        for name, values in (
            ("levels", self.levels),
            ("gain", self.gain),
            ("power", self.log_power),
        ):
            buffer: Tensor = getattr(model, f"error_{name}")
            buffer.copy_(torch.from_numpy(np.asarray(values, np.float32)))

    def gains(self, peak_sn: Array, size: tuple[int, int]) -> Tensor:
        """Gain (B, P, Q / 2 + 1) for galaxies of peak_sn (B,) on a grid of P by Q."""
        return self._on_grid(self.gain, peak_sn, size)

    def powers(self, peak_sn: Array, size: tuple[int, int]) -> Tensor:
        """Power of the error over its local size, likewise."""
        return self._on_grid(self.log_power, peak_sn, size).exp()

    def _on_grid(self, rows: NDArray[np.floating], peak_sn: Array, size: tuple[int, int]) -> Tensor:
        logs = np.log(np.maximum(peak_sn, 1.0))
        rings = np.stack([np.interp(logs, self.levels, ring) for ring in rows.T])  # (RINGS, B)
        frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
        place = np.clip(frequency / CORNER * RINGS - 0.5, 0, RINGS - 1)
        low = np.minimum(place.astype(np.int64), RINGS - 2)
        part = (place - low)[..., None]
        values = rings[low] * (1 - part) + rings[low + 1] * part
        return torch.from_numpy(values.astype(np.float32)).movedim(-1, 0)


def measure_prior_error(model: PSFVQVAE, sets: Sequence[Spectrum]) -> ReconstructionError:
    """Gain and error of a network on sets of (peak S/N, galaxies, their truth (N, S, S) in flux).

    The galaxies should be of the validation split: on those it was trained with it errs less.
    """
    gains, powers = [], []
    for _, observed, truth in sets:
        light = network_light(model, observed)
        scale = local_size(light)
        true = torch.from_numpy(truth / observed.sky_sigma[:, None, None])
        drawn, real = (central(x, truth.shape[-1]) for x in (light, scale))
        first, second = _spectra(drawn / real, true / real)
        cross = _ring_mean((first.conj() * second).real)
        own = _ring_mean(first.abs().square())
        gain = np.clip(cross / own, 0.0, 1.0)
        rest = _ring_mean(second.abs().square()) - 2 * gain * cross + gain**2 * own
        gains.append(gain)
        powers.append(np.log(np.maximum(rest, 1e-6)))
    levels = np.log([level for level, _, _ in sets])
    return ReconstructionError(levels, np.stack(gains), np.stack(powers))


def _spectra(*fields: Tensor) -> list[Tensor]:
    """Fourier transforms of fields (N, S, S), tapered at the edge, of unit power for unit noise."""
    taper = torch.hann_window(fields[0].shape[-1], periodic=False).sqrt()
    window = taper[:, None] * taper
    return [torch.fft.rfft2(field * window) / window.square().sum().sqrt() for field in fields]


def _ring_mean(values: Tensor) -> NDArray[np.float64]:
    """Mean of values (N, S, S / 2 + 1) over galaxies and rings of frequency, (RINGS,)."""
    size = values.shape[-2]
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    ring = np.minimum((frequency / CORNER * RINGS).astype(np.int64), RINGS - 1).ravel()
    counts = np.bincount(ring, minlength=RINGS)
    mean = values.double().mean(0).numpy().ravel()
    return np.asarray(np.bincount(ring, mean, minlength=RINGS) / counts)


FLOOR_SHARE = 0.3  # of the error's size: where light bends towards 0 instead of falling below
DARKEST = 0.01  # likewise: the least light that is expected
SKY_BELOW = 2.0  # sigma: how far light may fall below 0 where the network draws no galaxy
NEWTON_STEPS = 3
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


def positive(eta: Tensor, floor: Tensor) -> Tensor:
    """Light above 0: `eta` where it is far above `floor`, near 0 where it is far below -`floor`."""
    root = (eta.square() + floor.square()).sqrt()
    above, below = eta.clamp(min=0), eta.clamp(max=0)  # each without loss of digits
    return torch.where(eta > 0, (above + root) / 2, floor.square() / (root - below) / 2)


def unbounded(light: Tensor, floor: Tensor) -> Tensor:
    """The inverse of `positive`."""
    return light - floor.square() / (4 * light)


def posterior_light(
    error: ReconstructionError,
    network: Tensor,
    telescope: BlurOperator,
    pixels: Tensor,
    precision: Tensor,
    *,
    free: bool,
) -> Tensor:
    """The most probable light (B, C, C), in sigma of the sky like `network` and `pixels`.

    light = positive(eta + dark) - dark, eta = prior + size * field; the field has the measured
    spectrum, pixels (B, S, S) are the light through the telescope with noise of `precision`
    (B, S, S), and a constant where the sky is free. dark is 0 where there is a galaxy, whose light
    is therefore above 0. In the sky the noise goes both ways: were it bent too, it would add up to
    a few per cent of a faint galaxy. Gauss-Newton from the prior, each step solved for the field
    made white, in which the system is well conditioned.
    """
    peak_sn = pixels.amax((1, 2)).numpy()
    gain, power = (f(peak_sn, telescope.size) for f in (error.gains, error.powers))
    root, size = power.sqrt(), local_size(network)
    floor = FLOOR_SHARE * size
    dark = SKY_BELOW * (1 - (size - FLOOR) / SHARE).clamp(0, 1)
    drawn = (size * filtered(network / size, gain, telescope.size)).maximum(DARKEST * size)
    prior = unbounded(drawn + dark, floor)

    def field(white: Tensor) -> Tensor:
        return size * filtered(white, root, telescope.size)

    eta = prior
    for _ in range(NEWTON_STEPS):
        light = positive(eta, floor)
        slope = light / (2 * light - eta)  # d light / d eta

        def back(seen: Tensor, slope: Tensor = slope) -> Tensor:
            weighted = precision * (seen - fitted_sky(seen, precision, free=free))
            return filtered(size * slope * telescope.back(weighted), root, telescope.size)

        def system(white: Tensor, slope: Tensor = slope) -> Tensor:
            return white + back(telescope.forward(slope * field(white)), slope)

        rest = pixels - telescope.forward(light - dark + slope * (prior - eta))
        eta = prior + field(conjugate_gradients(system, back(rest)))
    return positive(eta, floor) - dark


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
