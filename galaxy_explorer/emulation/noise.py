"""The noise that a decoder leaves out, put back, so that drawn and real stamps are measured alike.

It is measured where there is sky only: stamp minus reconstruction has a sigma for each galaxy and
an autocorrelation common to all, since stamps that were resampled have no white noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.photometry import segment

Floats = NDArray[np.float64]
Stamps = NDArray[np.float32]

GROWTH_PX = 3  # about each source, where its faint light may be
LARGEST_LAG_PX = 4
CLIP_SIGMA = 4.0
LEAST_SKY = 0.05  # of the stamp; with less, the sigma is that of all the rest
FAINTEST = 1e-6


@dataclass(frozen=True)
class Noise:
    """sigma (N,) of the galaxies it was measured on; filter (S, S/2+1): amplitude a frequency."""

    sigma: Floats
    filter: Floats

    def draw(self, sigma: Floats, numbers: NDArray[np.int64], kind: int = 0) -> Stamps:
        """Noise (n, 1, S, S) of these sigmas (n,), a function of (kind, number) of each alone."""
        side = len(self.filter)
        out = np.empty((len(sigma), 1, side, side), np.float32)
        for place, (level, number) in enumerate(zip(sigma, numbers, strict=True)):
            white = np.random.default_rng((kind, int(number))).standard_normal((side, side))
            shaped = np.fft.rfft2(white) * self.filter
            out[place, 0] = level * np.fft.irfft2(shaped, s=(side, side))
        return out


def left_out_noise(stamps: Stamps, drawn: Stamps) -> Noise:
    """The noise of stamps (N, C, S, S) that their reconstructions lack; of the mean over bands."""
    real, smooth = stamps.mean(1, dtype=np.float64), drawn.mean(1, dtype=np.float64)
    side, lags = real.shape[-1], LARGEST_LAG_PX
    sigma = np.full(len(real), np.nan)
    products = np.zeros((2 * lags + 1, 2 * lags + 1))
    counts = np.zeros_like(products)
    for number, (stamp, redrawn) in enumerate(zip(real, smooth, strict=True)):
        sky = _sky(stamp)
        if sky.mean() < LEAST_SKY:
            continue
        left = np.where(sky, stamp - redrawn, 0.0)
        left -= np.where(sky, left.sum() / sky.sum(), 0.0)
        spread = max(float(np.sqrt(np.square(left).sum() / sky.sum())), FAINTEST)
        sky &= np.abs(left) < CLIP_SIGMA * spread
        left *= sky
        sigma[number] = max(float(np.sqrt(np.square(left).sum() / sky.sum())), FAINTEST)
        part = left / sigma[number]
        products += _lagged(part, part, lags)
        counts += _lagged(sky, sky, lags)
    known = np.isfinite(sigma)
    sigma[~known] = np.median(sigma[known]) if known.any() else 0.0
    return Noise(sigma, _filter(products / np.maximum(counts, 1), side))


def _sky(stamp: Floats) -> NDArray[np.bool_]:
    from scipy import ndimage

    sources = segment(stamp).labels > 0
    return np.asarray(~ndimage.binary_dilation(sources, iterations=GROWTH_PX))


def _lagged(a: NDArray[Any], b: NDArray[Any], lags: int) -> Floats:
    """Sums (2 L + 1, 2 L + 1) of a(x) b(x + lag) over all pixels, for lags up to L each way."""
    inner = a[lags:-lags, lags:-lags].astype(np.float64)
    height, width = inner.shape
    sums = [
        [(inner * b[i : i + height, j : j + width]).sum() for j in range(2 * lags + 1)]
        for i in range(2 * lags + 1)
    ]
    return np.array(sums)


def _filter(correlation: Floats, side: int) -> Floats:
    """Square root of the power spectrum of an autocorrelation, for unit variance."""
    lags = len(correlation) // 2
    window = np.hanning(2 * lags + 3)[1:-1]
    wrapped = np.zeros((side, side))
    place = np.arange(-lags, lags + 1) % side
    wrapped[np.ix_(place, place)] = correlation * np.outer(window, window)
    wrapped[0, 0] = max(float(wrapped[0, 0]), FAINTEST)
    full = np.fft.fft2(wrapped).real.clip(0)
    return np.asarray(np.sqrt(full / full.mean())[:, : side // 2 + 1])
