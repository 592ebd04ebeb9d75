"""Galaxies as another camera would see them: its PSF, its pixels, its sky, its zero point.

The light of a stamp is brought to the camera's pixels, blurred by the PSF on these pixels, scaled
to the camera's flux and given the noise of its sky and of its own photons. Beyond the stamp there
is darkness. What the light went through before stays in it: the seeing of the survey, and its
pixels; only light without the PSF layer (`light.light_without_psf`) is free of the former.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.emulation.cameras import (
    MAGNITUDE_RANGE,
    MAX_SIDE_PX,
    SCALE_RANGE,
    Setup,
    within,
)
from galaxy_explorer.emulation.light import Units
from galaxy_explorer.errors import RequestError
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.telescopes import noise_sigma, unit_noise

Array = NDArray[np.float32]

NOISE_STREAM = 1  # of the random numbers of a sample; its codes have another


@dataclass(frozen=True)
class Observed:
    """Pixels (n, C, T, T) as a camera has them, in its flux unit, sky subtracted.

    stretch, display_sigma: how the survey shows its own pictures, and the sigma of this sky.
    """

    pixels: Array
    setup: Setup
    stretch: ArcsinhStretch
    display_sigma: float

    @property
    def stretched(self) -> Array:
        """The pixels stretched for the eye: the survey's arcsinh, by the sigma of this sky."""
        return self.stretch.apply(self.pixels, 0.0, self.display_sigma).astype(np.float32)


def observe(
    light: NDArray[Any],
    units: Units,
    setup: Setup,
    *,
    seed: int = 0,
    numbers: ArrayLike = 0,
    pixel_scale_arcsec: float | None = None,
    magnitude: ArrayLike | None = None,
) -> Observed:
    """Light (n, C, S, S) in `units` as a camera would have it.

    pixel_scale_arcsec: of the light, where it shall not be that of the survey. magnitude: of all
    light in the first band of each stamp, (n,) or one for all; needed for light without a zero
    point. numbers: (n,), or of the first; the noise is a function of (seed, number) alone.

    Raises RequestError where pixel scale or magnitude are not known, out of range, or where the
    picture would be larger than MAX_SIDE_PX.
    """
    scale = checked_scale(units, pixel_scale_arcsec)
    factor = _flux_factor(light, units, setup.camera.zero_point, magnitude)
    out = setup.camera.pixel_scale_arcsec
    pixels = resampled(light * factor[:, None, None, None], scale, out).astype(np.float32)
    if setup.psf is not None:
        pixels = _blurred(pixels, setup.psf)
    if setup.sigma > 0:
        first = np.asarray(numbers)
        counted = first + np.arange(len(pixels)) if first.ndim == 0 else first
        pixels += _noise(pixels, setup, seed, counted)
    sigma = setup.sigma or setup.camera.sky_sigma
    # A camera without a sky shows its pixels as the survey's sky would have them.
    shown = sigma if sigma > 0 else units.sky_sigma * float(np.median(factor))
    return Observed(pixels, setup, units.stretch, shown)


def check_flux(units: Units, zero_point: float, *, magnitude: bool) -> None:
    """Raise RequestError where flux of a zero point (NaN: none) cannot be told from the light.

    magnitude: whether the galaxies have one.
    """
    if magnitude and math.isnan(zero_point):
        raise RequestError("zero point: a magnitude needs one; name a camera or give the number")
    if not magnitude and units.zero_point is None and not math.isnan(zero_point):
        raise RequestError(
            f"magnitude: the light of this bundle is in units of {units.unit!r}, without a zero"
            " point; give the total magnitude of a galaxy"
        )


def checked_scale(units: Units, given: float | None) -> float:
    """Pixel scale of a stamp in arcsec: the given one, else the survey's; raises RequestError."""
    scale = units.pixel_scale_arcsec if given is None else given
    if scale is None:
        raise RequestError(
            "pixel scale: the survey states none; give the arcsec of a stamp's pixel"
        )
    within("pixel scale", scale, SCALE_RANGE)
    return scale


def _flux_factor(
    light: NDArray[Any], units: Units, zero_point: float, magnitude: ArrayLike | None
) -> NDArray[np.float64]:
    """What brings each stamp (n,) to the flux of a camera."""
    check_flux(units, zero_point, magnitude=magnitude is not None)
    if magnitude is None:
        if units.zero_point is None or math.isnan(zero_point):
            return np.ones(len(light))
        return np.full(len(light), 10 ** (0.4 * (zero_point - units.zero_point)))
    wanted = np.broadcast_to(np.asarray(magnitude, np.float64), (len(light),))
    for value in wanted.tolist():
        within("magnitude", value, MAGNITUDE_RANGE)
    total = light[:, 0].sum((1, 2), dtype=np.float64)
    # Where a sky below zero outweighs a faint galaxy, its light is what is above zero.
    total = np.where(total > 0, total, np.maximum(light[:, 0], 0).sum((1, 2), dtype=np.float64))
    if not (total > 0).all():
        raise RequestError("magnitude: a galaxy without light cannot be scaled to a magnitude")
    return np.asarray(10 ** (0.4 * (zero_point - wanted)) / total, np.float64)


def resampled(images: NDArray[Any], scale: float, wanted: float) -> NDArray[np.float64]:
    """Images (..., S, S) of pixel scale `scale` on pixels of scale `wanted`, about the same centre.

    Keeps the flux: the light below each edge of a pixel is interpolated by a cubic spline, pixels
    are its differences. Whole factors are sums of blocks. The field is the same, rounded up.
    Raises RequestError where that would be more than MAX_SIDE_PX pixels a side.
    """
    side = images.shape[-1]
    size = picture_side(side, scale, wanted)
    if size == side and abs(scale / wanted - 1) < 1e-6:
        return np.asarray(images, np.float64)
    weights = _weights(side, scale, size, wanted)
    return np.asarray(weights @ np.asarray(images, np.float64) @ weights.T, np.float64)


def picture_side(side: int, scale: float, wanted: float) -> int:
    """Pixels of scale `wanted` across `side` pixels of `scale`; RequestError above MAX_SIDE_PX."""
    size = max(int(np.ceil(side * scale / wanted - 1e-6)), 1)
    if size > MAX_SIDE_PX:
        raise RequestError(
            f"pixel scale {wanted:g} arcsec: {size} pixels a side; at most {MAX_SIDE_PX}. Draw the"
            f" galaxies smaller, with stamp pixels of less than {scale * MAX_SIDE_PX / size:.3g}"
            " arcsec, or observe them with larger pixels"
        )
    return size


@lru_cache(maxsize=16)
def _weights(side: int, scale: float, size: int, wanted: float) -> NDArray[np.float64]:
    """(size, side): what each pixel gives to each new pixel, along one axis."""
    from scipy.interpolate import CubicSpline

    edges = (np.arange(side + 1) - side / 2) * scale
    new = (np.arange(size + 1) - size / 2) * wanted
    below = np.vstack([np.zeros(side), np.tri(side)])  # (side + 1, side)
    spline = CubicSpline(edges, below)
    return np.asarray(np.diff(spline(np.clip(new, edges[0], edges[-1])), axis=0), np.float64)


def _blurred(pixels: Array, psf: Array) -> Array:
    from galaxy_explorer.deconvolution.observations import blur

    planes = pixels.reshape(-1, *pixels.shape[-2:])
    blurred = blur(planes, np.repeat(psf[None], len(planes), axis=0))
    return blurred.reshape(pixels.shape)


def _noise(
    pixels: NDArray[Any], setup: Setup, seed: int, numbers: NDArray[np.integer[Any]]
) -> Array:
    noise = np.empty(pixels.shape, np.float32)
    for row, number in enumerate(numbers.tolist()):
        rng = np.random.default_rng((seed, number, NOISE_STREAM))
        for band, plane in enumerate(pixels[row]):
            sigma = noise_sigma(
                plane.astype(np.float32), setup.sigma, setup.camera.electrons_per_flux
            )
            noise[row, band] = sigma * unit_noise(setup.camera, plane.shape, rng)
    return noise
