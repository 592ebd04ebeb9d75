"""The classic answers, and how near any answer comes to the truth.

Wiener and Richardson-Lucy deconvolution are those of scikit-image, with settings chosen on
validation. Both see the stamp with a border of sky, so that nothing wraps round, and each galaxy's
own PSF. Measures (flux, size, shape, pixels, another telescope) take light (N, S, S), linear and
un-convolved, centred on the stamp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.deconvolution.observations import Array, ObservedStamps

Floats = NDArray[np.float64]
Images = NDArray[np.floating]

EUCLID_FWHM_ARCSEC = 0.16
EUCLID_SCALE_ARCSEC = 0.1
MTF_LIMIT = 0.1  # below it structure is the prior's, not the data's


def radii(size: int) -> Floats:
    """Distance of each pixel from the centre of a stamp, (S, S), in pixels."""
    axis = np.arange(size) - (size - 1) / 2
    return np.asarray(np.hypot(axis[:, None], axis))


def flux(light: Images) -> Floats:
    """Sum of the pixels of each stamp, (N,)."""
    return np.asarray(light.sum((1, 2), dtype=np.float64))


def half_light_radius(light: Images) -> Floats:
    """Radius in pixels, (N,), of the circle on the centre that holds half of a stamp's light.

    The whole is the light within the largest circle of the stamp. The growth of the light is read
    at steps of half a pixel from circles whose edge pixels count by their covered share.
    """
    size = light.shape[-1]
    distance = radii(size).ravel()
    steps = np.arange(0.5, size / 2 + 0.01, 0.5)
    cover = np.clip(steps[:, None] - distance + 0.5, 0, 1)  # (R, S S)
    growth = light.reshape(len(light), -1).astype(np.float64) @ cover.T  # (N, R)
    half = growth[:, -1:] / 2
    first = np.maximum((growth >= half).argmax(1), 1)
    rows = np.arange(len(light))
    low, high = growth[rows, first - 1], growth[rows, first]
    along = (half[:, 0] - low) / np.where(high > low, high - low, 1.0)
    return np.asarray(steps[first - 1] + along * 0.5)


def ellipticity(light: Images, weight_radius: Floats) -> Floats:
    """Ellipticity (e1, e2) of each stamp, (N, 2), from moments within a Gaussian weight.

    e1 = (Qxx - Qyy) / (Qxx + Qyy), e2 = 2 Qxy / (Qxx + Qyy). weight_radius: sigma of the weight
    in pixels, (N,); the same for every method that is compared.
    """
    size = light.shape[-1]
    y, x = np.indices((size, size)) - (size - 1) / 2
    weight = np.exp(-0.5 * (x**2 + y**2) / weight_radius[:, None, None] ** 2)  # (N, S, S)
    weighted = weight * light
    qxx, qyy, qxy = ((weighted * m).sum((1, 2)) for m in (x * x, y * y, x * y))
    return np.asarray(np.stack([qxx - qyy, 2 * qxy], 1) / (qxx + qyy)[:, None])


def psnr(light: Images, truth: Images) -> Floats:
    """Peak of the truth squared over the mean squared error, (N,), in dB."""
    mse = np.square(light - truth, dtype=np.float64).mean((1, 2))
    return np.asarray(10 * np.log10(truth.max((1, 2)) ** 2 / mse), np.float64)


def nmse(image: Images, truth: Images) -> Floats:
    """Mean squared error over the variance of the true image, (N,)."""
    mse = np.square(image - truth, dtype=np.float64).mean((1, 2))
    return np.asarray(mse / truth.var((1, 2), dtype=np.float64))


def reduced_chi2(
    residual: Images, sigma: Images | float, axis: tuple[int, ...] | None = (1, 2)
) -> Floats:
    """Mean squared residual in units of sigma, (N,); axis: that of the pixels, None for all."""
    return np.asarray(np.square(residual / sigma, dtype=np.float64).mean(axis))


def euclid_view(light: Images, scale_arcsec: float) -> NDArray[np.float64]:
    """The light as Euclid VIS would image it, without noise: (N, S', S') at 0.1"/px.

    A Gaussian PSF of 0.16" FWHM, as an example profile; pixels by the area they share.
    """
    from scipy.ndimage import gaussian_filter

    sigma = EUCLID_FWHM_ARCSEC / scale_arcsec / np.sqrt(8 * np.log(2))
    blurred = gaussian_filter(light.astype(np.float64), (0, sigma, sigma), mode="constant")
    # Share of each fine pixel that each coarse pixel, `ratio` times as wide, covers, (S', S).
    size = light.shape[-1]
    ratio = EUCLID_SCALE_ARCSEC / scale_arcsec
    coarse = int(size / ratio)
    start = (size - coarse * ratio) / 2
    left = start + ratio * np.arange(coarse)[:, None]
    fine = np.arange(size)
    shared = np.minimum(left + ratio, fine + 1) - np.maximum(left, fine)
    overlap = np.asarray(np.clip(shared, 0, 1))
    return np.asarray(overlap @ blurred @ overlap.T)


def mtf(psf: Images, scale_arcsec: float) -> tuple[Floats, Floats]:
    """Modulation transfer of a PSF (P, P): frequencies in cycles/arcsec and its mean on circles."""
    n = 4 * max(psf.shape)
    transfer = np.abs(np.fft.fft2(psf / psf.sum(), (n, n)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n), indexing="ij"))
    ring = np.rint(frequency * n).astype(np.int64).ravel()
    counts = np.bincount(ring)[: n // 2]
    mean = np.bincount(ring, transfer.ravel())[: n // 2] / counts
    return np.arange(n // 2) / n / scale_arcsec, mean


def band_limit(psf: Images, scale_arcsec: float) -> float:
    """Spatial frequency in cycles/arcsec beyond which the MTF stays below MTF_LIMIT."""
    frequencies, transfer = mtf(psf, scale_arcsec)
    above = np.flatnonzero(transfer >= MTF_LIMIT)
    return float(frequencies[min(above[-1] + 1, len(frequencies) - 1)])


def root_mean_square(values: Floats, axis: int = 0) -> Floats:
    """Root of the mean of the squares over galaxies, and over components where there are two."""
    squares = np.square(values)
    return np.asarray(np.sqrt(squares.mean() if values.ndim > 1 else squares.mean(axis)))


BORDER = 30  # pixels of sky around the stamp: half of the PSF

Method = TypeVar("Method", bound="Deconvolver")


class Deconvolver(Protocol):
    """A method with its settings."""

    def __call__(self, observed: ObservedStamps) -> Array:
        """Un-convolved light (N, S, S)."""


@dataclass(frozen=True)
class Wiener:
    """Wiener-Hunt deconvolution (Hunt 1971) with the Laplacian as regulariser.

    balance: weight of smoothness against the data. positive: negative light is set to zero.
    """

    balance: float
    positive: bool

    def __call__(self, observed: ObservedStamps) -> Array:
        """Un-convolved light (N, S, S)."""
        from skimage.restoration import wiener

        light = np.empty_like(observed.pixels)
        for row, psf in enumerate(observed.psf):
            padded = np.pad(observed.pixels[row], BORDER).astype(np.float64)
            made = wiener(padded, psf / psf.sum(), self.balance, clip=False)  # type: ignore[no-untyped-call]
            light[row] = made[BORDER:-BORDER, BORDER:-BORDER]
        return np.maximum(light, 0) if self.positive else light


@dataclass(frozen=True)
class RichardsonLucy:
    """Richardson (1972) and Lucy (1974), `iterations` steps from a flat start.

    The method wants positive pixels: a pedestal of so many sigma is added before and taken off
    after; what is still negative counts as zero.
    """

    iterations: int
    pedestal: float

    def __call__(self, observed: ObservedStamps) -> Array:
        """Un-convolved light (N, S, S)."""
        from skimage.restoration import richardson_lucy

        light = np.empty_like(observed.pixels)
        for row, psf in enumerate(observed.psf):
            level = self.pedestal * float(observed.sky_sigma[row])
            padded = np.pad(observed.pixels[row] + level, BORDER, constant_values=level)
            whole = np.maximum(padded, 0).astype(np.float64)
            made = richardson_lucy(whole, psf / psf.sum(), self.iterations, clip=False)  # type: ignore[no-untyped-call]
            light[row] = made[BORDER:-BORDER, BORDER:-BORDER] - level
        return light


def wiener_settings() -> Iterator[Wiener]:
    """The settings that are tried."""
    for balance, positive in product(10.0 ** np.arange(-6, 2.1, 0.5), (False, True)):
        yield Wiener(float(balance), positive)


def richardson_lucy_settings() -> Iterator[RichardsonLucy]:
    """The settings that are tried."""
    for pedestal, iterations in product((0.0, 3.0), (3, 6, 12, 25, 50, 100, 200, 400)):
        yield RichardsonLucy(iterations, pedestal)


def tuned(settings: Iterator[Method], observed: ObservedStamps, truth: Array) -> Method:
    """The method with the highest mean PSNR on galaxies with known truth (N, S, S)."""
    return max(settings, key=lambda method: float(psnr(method(observed), truth).mean()))


def facts(method: Any) -> dict[str, float | bool]:
    """The settings of a method as plain values."""
    return asdict(method)
