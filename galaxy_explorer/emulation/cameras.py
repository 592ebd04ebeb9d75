"""Named cameras, and the set-up of an observation: pixels, PSF, sky, zero point."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation.light import Units
from galaxy_explorer.errors import RequestError
from galaxy_explorer.survey.scales import read_psf
from galaxy_explorer.survey.telescopes import CANDELS, SDSS, Camera

Array = NDArray[np.float32]

EUCLID_VIS = Camera(
    name="euclid-vis",
    band="VIS",
    pixel_scale_arcsec=0.1,
    zero_point=25.6,
    flux_unit="electron/s",
    psf_size=61,
    psf_fwhm_arcsec=0.18,
    sky_brightness=22.35,
    electrons_per_flux=4 * 565.0,
    read_noise_electrons=2 * 4.2,
    noise_correlation=0.0,
)
HST_F814W = Camera(
    name="hst-f814w",
    band="F814W",
    pixel_scale_arcsec=0.05,
    zero_point=25.94,
    flux_unit="electron/s",
    psf_size=81,
    psf_fwhm_arcsec=0.1,
    sky_brightness=22.0,
    electrons_per_flux=2028.0,
    read_noise_electrons=2 * 5.0,
    noise_correlation=0.0,
)
MOFFAT_BETA = 3.5
MAX_SIDE_PX = 1024
SCALE_RANGE = (1e-3, 100.0)  # arcsec
MAGNITUDE_RANGE = (-10.0, 40.0)


@dataclass(frozen=True)
class Aperture:
    """A telescope in space: wavelength (nm), diameter (m), obscured share of it, pixel (arcsec)."""

    wavelength: float
    diameter: float
    obscuration: float
    pixel: float


@dataclass(frozen=True)
class Profile:
    """A named camera; without an aperture its PSF is a Moffat profile."""

    camera: Camera
    words: str
    aperture: Aperture | None = None


PROFILES = {
    "sdss": Profile(SDSS, "SDSS r: 0.396 arcsec/px, seeing of 1.3 arcsec"),
    "candels-f160w": Profile(
        CANDELS,
        "CANDELS F160W (HST WFC3/IR, drizzled): 0.06 arcsec/px, PSF of 0.185 arcsec",
        Aperture(1545.0, 2.4, 0.33, 0.128),
    ),
    # Optics and sky: Racca et al. 2016, Cropper et al. 2024; four exposures of the wide survey.
    "euclid-vis": Profile(
        EUCLID_VIS,
        "Euclid VIS, wide survey: 0.1 arcsec/px, PSF of 0.18 arcsec",
        Aperture(725.0, 1.2, 0.35, 0.1),
    ),
    # One orbit of COSMOS: Koekemoer et al. 2007, Leauthaud et al. 2007.
    "hst-f814w": Profile(
        HST_F814W,
        "HST ACS F814W, one orbit: 0.05 arcsec/px, PSF of 0.1 arcsec",
        Aperture(805.0, 2.4, 0.33, 0.05),
    ),
}


@dataclass(frozen=True)
class Setup:
    """A camera with a PSF (P, P) of unit sum on its pixels; None: no blur.

    psf_from: what the PSF is, for the header. sky_sigma: of the sky in the camera's flux unit, None
    for the camera's own, 0 for pixels without any noise.
    """

    camera: Camera
    psf: Array | None
    psf_from: str
    sky_sigma: float | None = None

    @property
    def sigma(self) -> float:
        """Standard deviation of the sky, per pixel, in the camera's flux unit."""
        return self.camera.sky_sigma if self.sky_sigma is None else self.sky_sigma


def setup_of(
    telescope: str,
    *,
    psf_file: Path | bytes | None = None,
    pixel_scale_arcsec: float | None = None,
    zero_point: float | None = None,
    sky_sigma: float | None = None,
) -> Setup:
    """The set-up of a named camera, with what the user chose otherwise.

    psf_file: FITS image of a PSF; at the pixel scale of its header, without one at the camera's.
    Raises RequestError for a camera or a value that is not possible, BadImage for the file.
    """
    if telescope not in PROFILES:
        raise RequestError(f"observe {telescope!r}: known cameras are {', '.join(PROFILES)}")
    profile = PROFILES[telescope]
    camera = _changed(profile.camera, pixel_scale_arcsec, zero_point)
    _check_sky(sky_sigma)
    if psf_file is None:
        psf = draw_psf(telescope, camera.pixel_scale_arcsec)
        return Setup(camera, psf, f"{telescope} profile", sky_sigma)
    psf = psf_on_pixels(psf_file, camera.pixel_scale_arcsec)
    return Setup(camera, psf, _name(psf_file), sky_sigma)


def plain_setup(
    units: Units,
    stamp_scale: float,
    *,
    psf_file: Path | bytes | None = None,
    pixel_scale_arcsec: float | None = None,
    zero_point: float | None = None,
    sky_sigma: float | None = None,
) -> Setup:
    """No camera: the light itself on its own pixels, with what the user chose otherwise.

    Without a sky_sigma there is no noise, and never any of the light's photons. stamp_scale: arcsec
    of a stamp's pixel. Raises RequestError for values that are not possible, BadImage.
    """
    own = units.zero_point if zero_point is None else zero_point
    camera = Camera(
        name="none", band="", pixel_scale_arcsec=stamp_scale,
        zero_point=math.nan if own is None else own,
        flux_unit=units.unit if zero_point is None else f"flux of zero point {zero_point:g}",
        psf_size=1, psf_fwhm_arcsec=0.0, sky_brightness=math.inf,
        electrons_per_flux=math.inf, read_noise_electrons=0.0, noise_correlation=0.0,
    )  # fmt: skip
    camera = _changed(camera, pixel_scale_arcsec, None)
    _check_sky(sky_sigma)
    sigma = 0.0 if sky_sigma is None else sky_sigma
    if psf_file is None:
        return Setup(camera, None, "none", sigma)
    return Setup(camera, psf_on_pixels(psf_file, camera.pixel_scale_arcsec), _name(psf_file), sigma)


def _name(psf_file: Path | bytes) -> str:
    return psf_file.name if isinstance(psf_file, Path) else "uploaded"


def _check_sky(sky_sigma: float | None) -> None:
    if sky_sigma is not None and not 0 <= sky_sigma < math.inf:
        raise RequestError(f"sky sigma {sky_sigma!r}: a number from 0 (no noise) is possible")


def _changed(camera: Camera, scale: float | None, zero_point: float | None) -> Camera:
    if scale is not None:
        within("pixel scale of the observation", scale, SCALE_RANGE)
        camera = replace(camera, pixel_scale_arcsec=scale)
    if zero_point is not None:
        # The same electrons in another unit of flux.
        within("zero point", zero_point, MAGNITUDE_RANGE)
        ratio = 10 ** (0.4 * (zero_point - camera.zero_point))
        electrons = camera.electrons_per_flux / ratio
        unit = f"flux of zero point {zero_point:g}"
        camera = replace(
            camera, zero_point=zero_point, electrons_per_flux=electrons, flux_unit=unit
        )
    return camera


def within(name: str, value: float, span: tuple[float, float]) -> None:
    """Raise RequestError unless a value is in its span, ends included."""
    low, high = span
    if not low <= value <= high:
        raise RequestError(f"{name} {value!r}: a number from {low:g} to {high:g} is possible")


@lru_cache(maxsize=16)
def draw_psf(telescope: str, pixel_scale_arcsec: float) -> Array:
    """The PSF (P, P) of a named camera on pixels of a scale: odd, centred, of unit sum.

    An obscured aperture or a Moffat profile of the camera's FWHM, the response of its pixel
    included: it is sampled, not averaged, on the pixels. Read-only.
    """
    import galsim

    profile, camera = PROFILES[telescope], PROFILES[telescope].camera
    if profile.aperture is None:
        light = galsim.Moffat(beta=MOFFAT_BETA, fwhm=camera.psf_fwhm_arcsec)
    else:
        optics = galsim.OpticalPSF(
            lam=profile.aperture.wavelength, diam=profile.aperture.diameter,
            obscuration=profile.aperture.obscuration,
        )  # fmt: skip
        light = galsim.Convolve([optics, galsim.Pixel(profile.aperture.pixel)])
        light = light.dilate(camera.psf_fwhm_arcsec / light.calculateFWHM())
    width = camera.psf_size * camera.pixel_scale_arcsec / pixel_scale_arcsec
    return _sampled(light, min(2 * round(width / 2) + 1, MAX_SIDE_PX - 1), pixel_scale_arcsec)


def _sampled(profile: Any, side: int, scale: float) -> Array:
    image = profile.drawImage(nx=side, ny=side, scale=scale, method="no_pixel", dtype=np.float64)
    values = np.maximum(image.array, 0.0)
    psf: Array = (values / values.sum()).astype(np.float32)
    psf.setflags(write=False)
    return psf


def psf_on_pixels(source: Path | bytes, pixel_scale_arcsec: float) -> Array:
    """The PSF of a FITS image on pixels of another scale, odd and of unit sum; raises BadImage.

    A file that does not state its scale is taken as it is.
    """
    found = read_psf(source, name=None if isinstance(source, Path) else "PSF")
    psf, scale = found.values, found.scale
    if scale is None and found.oversampling is not None:
        scale = pixel_scale_arcsec / found.oversampling
    if scale is None or abs(scale / pixel_scale_arcsec - 1) < 1e-6:
        return psf
    import galsim

    image = galsim.Image(psf.astype(np.float64), scale=scale)
    profile = galsim.InterpolatedImage(image, x_interpolant="lanczos5", flux=1.0)
    half = int((len(psf) // 2) * scale / pixel_scale_arcsec)
    return _sampled(profile, min(2 * max(half, 1) + 1, MAX_SIDE_PX - 1), pixel_scale_arcsec)
