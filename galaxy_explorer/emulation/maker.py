"""What becomes of code maps or latents: the light that they draw, and how it shall be observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle_deconvolution import PSF_KIND
from galaxy_explorer.emulation.cameras import Setup, plain_setup, setup_of
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.light import (
    implied_scale,
    light_without_psf,
    units_of,
    usual_magnitude,
)
from galaxy_explorer.emulation.observe import Observed, checked_scale, observe, picture_side
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError

Array = NDArray[np.float32]

CHUNK = 16  # galaxies observed at a time: bounds the memory of large pictures


@dataclass(frozen=True)
class Wish:
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


class Maker:
    """Draws and observes the galaxies of one emulator; raises RequestError for an impossible wish.

    condition: of the requests that follow; a size that is asked for gives the pixel scale. units:
    of the bundle's light. setup: the camera. scale: arcsec of a stamp's pixel, with where it
    is from; None where nobody said. has_layer: whether the model has a PSF layer; through_psf:
    whether the light goes through it.
    """

    def __init__(
        self,
        emulator: Emulator,
        wish: Wish | None = None,
        condition: Mapping[str, Any] | None = None,
    ) -> None:
        self.emulator, self.wish = emulator, wish or Wish()
        self._implied = implied_scale(emulator.bundle, emulator.fields, condition or {})
        self.units = units_of(emulator.bundle)
        camera = None if self.wish.telescope is None else self._camera(self.wish.telescope)
        self.scale, self.scale_from = self._scale()
        self.setup = camera or self._plain()
        self.has_layer = emulator.bundle.models[emulator.model].kind == PSF_KIND
        wanted = self.wish.psf_layer
        follows = self.wish.telescope is not None or self.wish.psf is not None
        self.through_psf = not (self.has_layer and follows) if wanted is None else wanted
        if not (self.through_psf or self.has_layer):
            raise RequestError(f"psf layer: {emulator.model} has none that could be left out")

    def _scale(self) -> tuple[float | None, str]:
        wish = self.wish
        if wish.pixel_scale_arcsec is not None:
            return checked_scale(self.units, wish.pixel_scale_arcsec), "chosen"
        if self._implied is not None:
            return checked_scale(self.units, self._implied), "size asked for, as the survey frames"
        if wish.telescope is None and wish.psf is None and wish.observed_scale_arcsec is None:
            return self.units.pixel_scale_arcsec, self.units.scale_from
        return checked_scale(self.units, None), self.units.scale_from

    def _camera(self, telescope: str) -> Setup:
        wish = self.wish
        return setup_of(
            telescope,
            psf_file=wish.psf,
            pixel_scale_arcsec=wish.observed_scale_arcsec,
            zero_point=wish.zero_point,
            sky_sigma=wish.sky_sigma,
        )

    def _plain(self) -> Setup:
        wish = self.wish
        return plain_setup(
            self.units,
            self.scale or 1.0,
            psf_file=wish.psf,
            pixel_scale_arcsec=wish.observed_scale_arcsec,
            zero_point=wish.zero_point,
            sky_sigma=wish.sky_sigma,
        )

    @property
    def side(self) -> int:
        """Pixels a side of a picture; raises RequestError where they are too many."""
        stamp = int(self.emulator.bundle.manifest["survey"]["stamp_size"])
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
    ) -> Observed:
        """The galaxies of a request as the wish has them, from its code maps or latents.

        Ends early, with fewer galaxies, once `cancelled()` is true.
        """
        numbers = numbers_of(request)
        found = self.magnitude(request)
        magnitudes = None if found is None else np.broadcast_to(found[0], (request.count,))
        parts: list[Observed] = []
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
