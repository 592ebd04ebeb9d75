"""What becomes of code maps or latents: the light that they draw, as another camera would see it.

The light of a stamp is brought to the camera's pixels, blurred by the PSF on these pixels, scaled
to the camera's flux and given the noise of its sky and of its own photons. Beyond the stamp there
is darkness. What the light went through before stays in it: the seeing of the survey, and its
pixels; only light without the PSF layer (`light.light_without_psf`) is free of the former.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.emulation.cameras import (
    MAGNITUDE_RANGE,
    MAX_SIDE_PX,
    SCALE_RANGE,
    Setup,
    plain_setup,
    setup_of,
    within,
)
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.light import (
    Units,
    implied_scale,
    light_without_psf,
    units_of,
    usual_magnitude,
)
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.telescopes import noise_sigma, unit_noise

Array = NDArray[np.float32]

NOISE_STREAM = 1  # of the random numbers of a sample; its codes have another


@dataclass(frozen=True)
class ObservedGalaxies:
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
) -> ObservedGalaxies:
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
        from galaxy_explorer.deconvolution.observations import blur

        planes = pixels.reshape(-1, *pixels.shape[-2:])
        psfs = np.repeat(setup.psf[None], len(planes), axis=0)
        pixels = blur(planes, psfs).reshape(pixels.shape)
    if setup.sigma > 0:
        first = np.asarray(numbers)
        counted = first + np.arange(len(pixels)) if first.ndim == 0 else first
        pixels += _noise(pixels, setup, seed, counted)
    sigma = setup.sigma or setup.camera.sky_sigma
    # A camera without a sky shows its pixels as the survey's sky would have them.
    shown = sigma if sigma > 0 else units.sky_sigma * float(np.median(factor))
    return ObservedGalaxies(pixels, setup, units.stretch, shown)


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
        raise RequestError(f"pixel scale: {units.scale_from}; give the arcsec of a stamp's pixel")
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


CHUNK = 16  # galaxies observed at a time: bounds the memory of large pictures


@dataclass(frozen=True)
class ObservationSettings:
    """How the galaxies shall be seen; everything is optional.

    telescope: a name of `cameras.PROFILES`; None: the bundle's own pixels, without noise. psf: a
    FITS image. pixel_scale_arcsec: of a stamp, which says how large the galaxies appear;
    observed_scale_arcsec: of the camera's pixels. magnitude: of each galaxy. psf_layer: draw
    through the PSF layer of the model; None: unless a PSF is to follow.
    """

    telescope: str | None = None
    psf: Path | bytes | None = None
    pixel_scale_arcsec: float | None = None
    observed_scale_arcsec: float | None = None
    magnitude: float | None = None
    zero_point: float | None = None
    sky_sigma: float | None = None
    psf_layer: bool | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Everything here that decides the pixels, as plain values."""
        psf = self.psf.read_bytes() if isinstance(self.psf, Path) else self.psf
        plain = {name: value for name, value in vars(self).items() if name != "psf"}
        return {**plain, "psf": None if psf is None else sha256(psf).hexdigest()}


def numbers_of(request: Request) -> NDArray[np.int64]:
    """Number of each galaxy (n,), which with the seed gives its noise."""
    steps = np.zeros(request.count, np.int64) if request.same_noise else np.arange(request.count)
    return np.asarray(request.first + steps, np.int64)


class Observer:
    """Draws and observes the galaxies of one emulator; raises RequestError for an impossible wish.

    condition: of the requests that follow; a size that is asked for gives the pixel scale. units:
    of the bundle's light. setup: the camera. scale: arcsec of a stamp's pixel, with where it
    is from; None where nobody said. has_layer: whether the model has a PSF layer; through_psf:
    whether the light goes through it.
    """

    def __init__(
        self,
        emulator: Emulator,
        wish: ObservationSettings | None = None,
        condition: Mapping[str, Any] | None = None,
    ) -> None:
        self.emulator, self.wish = emulator, wish or ObservationSettings()
        implied = implied_scale(emulator.bundle, emulator.fields, condition or {})
        self.units = units_of(emulator.bundle)
        if implied is not None and math.isnan(implied):
            words = "another for each size that is asked for"
            self.units = replace(self.units, pixel_scale_arcsec=None, scale_from=words)
        wish, self.scale_from = self.wish, self.units.scale_from
        given: dict[str, Any] = {
            "psf_file": wish.psf,
            "pixel_scale_arcsec": wish.observed_scale_arcsec,
            "zero_point": wish.zero_point,
            "sky_sigma": wish.sky_sigma,
        }
        camera = None if wish.telescope is None else setup_of(wish.telescope, **given)
        self.scale = self.units.pixel_scale_arcsec
        if wish.pixel_scale_arcsec is not None:
            self.scale_from = "chosen"
            self.scale = checked_scale(self.units, wish.pixel_scale_arcsec)
        elif implied is not None and math.isfinite(implied):
            self.scale_from = "size asked for, as the survey frames"
            self.scale = checked_scale(self.units, implied)
        elif camera or wish.psf is not None or wish.observed_scale_arcsec is not None:
            self.scale = checked_scale(self.units, None)
        self.setup = camera or plain_setup(self.units, self.scale or 1.0, **given)
        self.has_layer = AUTOENCODERS[emulator.bundle.models[emulator.model].kind].has_psf_layer
        wanted = self.wish.psf_layer
        follows = self.wish.telescope is not None or self.wish.psf is not None
        self.through_psf = not (self.has_layer and follows) if wanted is None else wanted
        if not (self.through_psf or self.has_layer):
            raise RequestError(f"psf layer: {emulator.model} has none that could be left out")

    @property
    def side(self) -> int:
        """Pixels a side of a picture; raises RequestError where they are too many."""
        stamp = self.emulator.bundle.manifest.survey.stamp_size
        return picture_side(stamp, self.scale or 1.0, self.setup.camera.pixel_scale_arcsec)

    def magnitude(self, request: Request) -> tuple[Any, str] | None:
        """The magnitude that galaxies are scaled to, and where it is from; None: they are not."""
        if self.wish.magnitude is not None:
            return self.wish.magnitude, "chosen"
        if self.wish.telescope is None or self.units.zero_point is not None:
            return None
        return usual_magnitude(self.emulator.fields, request.condition)

    def light(self, codes: NDArray[Any]) -> Array:
        """Linear light (n, C, S, S) of code maps or latents (n, ...), in the bundle's units."""
        if self.through_psf:
            return self.units.light(self.emulator.decode(codes))
        return light_without_psf(self.emulator.bundle, codes)

    def observe(
        self,
        codes: NDArray[Any],
        request: Request,
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> ObservedGalaxies:
        """The galaxies of a request as the wish has them, from its code maps or latents.

        Ends early, with fewer galaxies, once `cancelled()` is true.
        """
        numbers = numbers_of(request)
        found = self.magnitude(request)
        magnitudes = None if found is None else np.broadcast_to(found[0], (request.count,))
        parts: list[ObservedGalaxies] = []
        for start in range(0, len(codes), CHUNK):
            part = slice(start, start + CHUNK)
            parts.append(
                observe(
                    self.light(codes[part]),
                    self.units,
                    self.setup,
                    seed=request.seed,
                    numbers=numbers[part],
                    pixel_scale_arcsec=self.scale or 1.0,
                    magnitude=None if magnitudes is None else magnitudes[part],
                )
            )
            if cancelled():
                break
        pixels = np.concatenate([part.pixels for part in parts])
        return replace(parts[0], pixels=pixels)
