"""The two cameras that simulated surveys imitate: pixels, point spread function, sky and noise.

SDSS r: fluxes in nanomaggies, Moffat seeing. CANDELS F160W (HST WFC3/IR, drizzled to 0.06"):
fluxes in electrons per second, an obscured aperture with struts or a measured PSF.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage, SurveyError

Array = NDArray[np.float32]

DEFAULT_PSF = Path("psfs/egg_hst-f160w.fits")
PSF_CANVAS = 167  # pixels of the synthetic HST PSF before the cut to `psf_size`


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How one camera sees. Fluxes are linear: magnitude = zero_point - 2.5 log10(flux)."""

    name: str
    band: str
    pixel_scale_arcsec: float
    zero_point: float
    flux_unit: str
    psf_size: int  # odd, pixels
    psf_fwhm_arcsec: float  # median
    sky_brightness: float  # mag/arcsec^2
    electrons_per_flux: float  # median
    read_noise_electrons: float
    noise_correlation: float  # weight of the next pixels in the drizzle kernel; 0: white

    @property
    def sky_sigma(self) -> float:
        """Standard deviation of the median sky, per pixel, in flux."""
        return sky_noise(self, self.sky_brightness, self.electrons_per_flux)


@dataclass(frozen=True, kw_only=True)
class Telescope(Camera):
    """A camera with the stamps that a survey cuts from it, and how its sky and PSF vary."""

    stamp_size: int
    isophote: float  # mag/arcsec^2 that bounds a galaxy, about D25 in B
    brightness_offset: float  # mag/arcsec^2 added to the surface brightness of local discs in r
    psf_scatter: float  # of ln(FWHM)
    psf_ellipticity: float  # per component
    sky_scatter: float  # mag
    exposure_scatter: float  # of ln(electrons_per_flux)
    mean_neighbours: float
    star_probability: float

    @property
    def margin(self) -> int:
        """Pixels drawn beyond the stamp on each side, so that no light wraps."""
        return self.psf_size // 2

    @property
    def width_arcsec(self) -> float:
        """Width of the stamp."""
        return self.stamp_size * self.pixel_scale_arcsec

    def facts(self) -> dict[str, Any]:
        """Every number of the camera, for `survey.json`."""
        return asdict(self)


SDSS = Telescope(
    name="sdss",
    band="r",
    stamp_size=64,
    pixel_scale_arcsec=0.396,
    zero_point=22.5,
    flux_unit="nanomaggy",
    isophote=23.9,
    brightness_offset=0.0,
    psf_size=41,
    psf_fwhm_arcsec=1.3,
    psf_scatter=0.1,
    psf_ellipticity=0.02,
    sky_brightness=20.9,
    sky_scatter=0.12,
    electrons_per_flux=940.0,
    exposure_scatter=0.06,
    read_noise_electrons=5.0,
    noise_correlation=0.0,
    mean_neighbours=1.0,
    star_probability=0.25,
)
CANDELS = Telescope(
    name="candels",
    band="F160W",
    stamp_size=84,
    pixel_scale_arcsec=0.06,
    zero_point=25.946,
    flux_unit="electron/s",
    isophote=24.6,
    brightness_offset=0.8,
    psf_size=61,
    psf_fwhm_arcsec=0.185,
    psf_scatter=0.02,
    psf_ellipticity=0.01,
    sky_brightness=22.7,
    sky_scatter=0.12,
    electrons_per_flux=4000.0,
    exposure_scatter=0.4,
    read_noise_electrons=10.0,
    noise_correlation=0.34,
    mean_neighbours=1.6,
    star_probability=0.05,
)
TELESCOPES = {telescope.name: telescope for telescope in (SDSS, CANDELS)}


def default_psf(like: str) -> Path | None:
    """The measured PSF of a telescope that lies below the working folder; None: there is none."""
    return DEFAULT_PSF if like == "candels" and DEFAULT_PSF.is_file() else None


def draw_psf(
    telescope: Telescope, rng: np.random.Generator, psf_file: Path | None = None
) -> tuple[Array, dict[str, float]]:
    """One object's PSF (P, P), sum 1 and centred on the middle pixel, and its parameters.

    The PSF is sampled, not averaged, on the pixels: the response of the pixel is already in
    the light that it is convolved with. One of a file has the width that it has there; each is
    wider or narrower by the scatter.
    """
    import galsim

    scatter = float(np.exp(telescope.psf_scatter * rng.normal()))
    fwhm = telescope.psf_fwhm_arcsec * scatter
    e1, e2 = (telescope.psf_ellipticity * rng.normal(size=2)).clip(-0.2, 0.2).tolist()
    facts = {"psf_e1": e1, "psf_e2": e2}
    if telescope.name == "sdss":
        beta = float(rng.uniform(2.8, 4.2))
        facts["psf_moffat_beta"] = beta
        profile = galsim.Moffat(beta=beta, fwhm=fwhm)
    else:
        profile, base_fwhm = _hst_psf(telescope, psf_file)
        if psf_file is not None:
            fwhm = base_fwhm * scatter
        profile = profile.dilate(fwhm / base_fwhm)
    image = profile.shear(e1=e1, e2=e2).drawImage(
        nx=telescope.psf_size,
        ny=telescope.psf_size,
        scale=telescope.pixel_scale_arcsec,
        method="no_pixel",
        dtype=np.float64,
    )
    light = np.maximum(image.array, 0.0)
    return (light / light.sum()).astype(np.float32), {"psf_fwhm_arcsec": fwhm, **facts}


@lru_cache(maxsize=4)
def _hst_psf(telescope: Telescope, psf_file: Path | None) -> tuple[Any, float]:
    """A measured PSF, or an obscured aperture with struts, as a profile with its FWHM in arcsec.

    Raises SurveyError for a file that is no PSF, or that is on coarser pixels than the stamps.
    """
    import galsim

    scale = telescope.pixel_scale_arcsec
    if psf_file is not None:
        from galaxy_explorer.survey.scales import read_psf, same_scale

        try:
            psf = read_psf(psf_file)
        except BadImage as error:
            raise SurveyError(f"--psf {error}") from error
        own = psf.scale or scale / (psf.oversampling or 1.0)
        if own > scale and not same_scale(own, scale):
            words = f"{own:.4g} arcsec/px, the stamps {scale:.4g}; give it at that scale, or finer"
            raise SurveyError(f"--psf {psf_file}: PSF of {words}")
        image = galsim.Image(psf.values.astype(np.float64), scale=own)
    else:
        optics = galsim.OpticalPSF(
            lam=1545.0, diam=2.4, obscuration=0.33, nstruts=4, strut_thick=0.02, pad_factor=1.5
        )
        # WFC3/IR pixels of 0.128", drizzled, and the diffusion of charge between them.
        pixel = galsim.Convolve([galsim.Pixel(0.128), galsim.Gaussian(sigma=0.02)])
        image = galsim.Convolve([optics, pixel]).drawImage(
            nx=PSF_CANVAS, ny=PSF_CANVAS, scale=scale, method="no_pixel", dtype=np.float64
        )
    profile = galsim.InterpolatedImage(image, x_interpolant="lanczos5", flux=1.0)
    return profile, float(image.calculateFWHM())


def draw_sky(telescope: Telescope, rng: np.random.Generator) -> dict[str, float]:
    """Sky of one exposure: `sky_sigma` per pixel from its brightness, gain and read noise.

    The stamps are sky-subtracted; `sky` is what the subtraction left, a few per cent of sigma.
    """
    brightness = telescope.sky_brightness + telescope.sky_scatter * rng.normal()
    electrons = telescope.electrons_per_flux * np.exp(telescope.exposure_scatter * rng.normal())
    sigma = sky_noise(telescope, brightness, electrons)
    return {
        "sky": float(0.05 * sigma * rng.normal()),
        "sky_sigma": float(sigma),
        "sky_brightness_mag_arcsec2": float(brightness),
        "electrons_per_flux": float(electrons),
    }


def sky_noise(camera: Camera, brightness: float, electrons: float) -> float:
    """Sigma of a sky of `brightness` (mag/arcsec^2) a pixel, in flux; electrons: per unit flux."""
    area = camera.pixel_scale_arcsec**2
    flux = 10.0 ** (-0.4 * (brightness - camera.zero_point)) * area
    return float(np.sqrt(flux / electrons + (camera.read_noise_electrons / electrons) ** 2))


def noise_sigma(light: Array, sky_sigma: float, electrons_per_flux: float) -> Array:
    """Standard deviation of each pixel: sky and the photons of the light itself."""
    variance = sky_sigma**2 + np.maximum(light, 0.0) / electrons_per_flux
    return np.sqrt(variance).astype(np.float32)


def unit_noise(camera: Camera, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Gaussian noise of unit variance; drizzling correlates that of neighbouring pixels."""
    from scipy.ndimage import convolve

    weight = camera.noise_correlation
    if weight == 0.0:
        return rng.standard_normal(shape, dtype=np.float32)
    line = np.array([weight, 1.0, weight])
    kernel = np.outer(line, line)
    kernel /= np.sqrt((kernel**2).sum())
    white = rng.standard_normal((shape[0] + 2, shape[1] + 2), dtype=np.float32)
    return np.asarray(convolve(white, kernel.astype(np.float32)), dtype=np.float32)[1:-1, 1:-1]
