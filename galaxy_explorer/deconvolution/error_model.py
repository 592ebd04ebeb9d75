"""The network's light as a prior, and how far it is from the truth.

The error over its local size is taken for a random field, the same everywhere, with a spectrum
that is measured on validation galaxies in rings of spatial frequency, for a few peak S/N. So
is the gain: how much of the network's structure at a frequency is there in the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.deconvolution.observations import BATCH, Array, ObservedStamps
from galaxy_explorer.models.psf import PSFVQVAE, RINGS, central, stretched

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
