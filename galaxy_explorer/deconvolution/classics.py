"""Wiener and Richardson-Lucy deconvolution by scikit-image, with settings chosen on validation.

Both see the stamp with a border of sky, so that nothing wraps round, and each galaxy's own PSF.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Protocol, TypeVar

import numpy as np

from galaxy_explorer.deconvolution.metrics import psnr
from galaxy_explorer.deconvolution.observations import Array, ObservedStamps

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
