"""One galaxy: parameters to light on the pixels, before any blurring.

The scene is drawn on a canvas wider than the stamp, at OVERSAMPLING pixels in one, so that
neighbours beyond the stamp shed their light into it and nothing wraps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.simulation.disc import draw_plane, dust_column, make_plane, project
from galaxy_explorer.survey.simulation.population import GalaxyParameters
from galaxy_explorer.survey.telescopes import Telescope

Array = NDArray[np.float32]

OVERSAMPLING = 2
CORE_PX = 9  # fine pixels across the square at a cusp that is integrated
CORE_SAMPLES = 9  # samples along one side of a fine pixel there
BEHIND_DUST = 0.8  # share of a disc's light that its dust can hide
YOUNG_HEIGHT = 0.15  # scale height of clumps over that of the disc
STAR_SIGMA_PX = 0.35


class Canvas:
    """Light per fine pixel on a square wider than the stamp; (0, 0) arcsec is its middle."""

    def __init__(self, telescope: Telescope) -> None:
        self.size = telescope.stamp_size + 2 * telescope.margin
        self.step = telescope.pixel_scale_arcsec / OVERSAMPLING
        fine = self.size * OVERSAMPLING
        self.light = np.zeros((fine, fine), np.float32)
        self.centre = 0.5 * (fine - 1)

    def pixels(self) -> Array:
        """Light per pixel of the telescope, (size, size)."""
        n = OVERSAMPLING
        blocks = self.light.reshape(self.size, n, self.size, n)
        return np.asarray(blocks.sum(axis=(1, 3)))


def draw_galaxy(telescope: Telescope, galaxy: GalaxyParameters, rng: np.random.Generator) -> Array:
    """Un-convolved light of the galaxy on its canvas, (size, size), in flux per pixel."""
    canvas = Canvas(telescope)
    x = galaxy.offset_x_px * telescope.pixel_scale_arcsec
    y = galaxy.offset_y_px * telescope.pixel_scale_arcsec
    disc_flux = galaxy.total_flux * (1.0 - galaxy.bulge_to_total)
    column = None
    if galaxy.disc_scale_length_arcsec:
        plane = make_plane(galaxy, canvas.step)
        height = galaxy.disc_thickness * galaxy.disc_scale_length_arcsec
        stars, clumps = draw_plane(galaxy, plane, rng)
        disc = project(galaxy, stars, plane, scale_height=height)
        disc += project(galaxy, clumps, plane, scale_height=YOUNG_HEIGHT * height)
        disc *= np.float32(disc_flux)
        column = dust_column(galaxy, plane)
        disc *= 1.0 - BEHIND_DUST * -np.expm1(-column)
        canvas.light += _turned(canvas, disc, galaxy.position_angle_deg, (x, y))
    if galaxy.bulge_to_total:
        flux = galaxy.total_flux * galaxy.bulge_to_total
        shape = (galaxy.bulge_axis_ratio, galaxy.position_angle_deg)
        profile = _sersic(galaxy.sersic_index, galaxy.bulge_radius_arcsec, flux, shape)
        bulge = _sampled(canvas, profile, (x, y))
        if column is not None:
            # The near half of the disc lies before the bulge, the far half behind it.
            half = column.shape[0] // 2
            near = 0.5 + 0.5 * np.tanh(np.arange(-half, half + 1) / (0.15 * half + 1.0))
            hidden = (near[:, None] * -np.expm1(-column)).astype(np.float32)
            bulge *= 1.0 - _turned(canvas, hidden, galaxy.position_angle_deg, (x, y))
        canvas.light += bulge
    return canvas.pixels()


def draw_companions(
    telescope: Telescope, galaxy: GalaxyParameters, rng: np.random.Generator
) -> tuple[Array, dict[str, int]]:
    """Neighbouring galaxies and stars on the same canvas, and how many there are."""
    import galsim

    canvas = Canvas(telescope)
    n_galaxies = int(rng.poisson(telescope.mean_neighbours))
    n_stars = int(rng.poisson(telescope.star_probability))
    for _ in range(n_galaxies):
        fainter = rng.uniform(1.0, 4.5)
        flux = galaxy.total_flux * 10.0 ** (-0.4 * fainter)
        radius = galaxy.half_light_radius_arcsec * 10.0 ** (-0.1 * fainter) * rng.uniform(0.25, 0.6)
        radius = max(radius, telescope.pixel_scale_arcsec)
        index = float(rng.choice((1.0, 1.0, 2.5, 4.0)))
        shape = (float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.0, 180.0)))
        profile = _sersic(index, radius, flux, shape)
        canvas.light += _sampled(canvas, profile, _elsewhere(canvas, galaxy, rng))
    for _ in range(n_stars):
        flux = galaxy.total_flux * 10.0 ** (-0.4 * rng.uniform(0.3, 5.0))
        # A point source: a Gaussian far below the PSF in width, so that it may lie between pixels.
        profile = galsim.Gaussian(sigma=STAR_SIGMA_PX * telescope.pixel_scale_arcsec, flux=flux)
        canvas.light += _sampled(canvas, profile, _elsewhere(canvas, galaxy, rng))
    return canvas.pixels(), {"n_neighbours": n_galaxies, "n_stars": n_stars}


def _turned(canvas: Canvas, disc: Array, angle_deg: float, at: tuple[float, float]) -> Array:
    """A picture in the frame of its major axis, turned and shifted onto the canvas."""
    from scipy.ndimage import affine_transform

    angle = np.radians(angle_deg)
    major = np.array([np.cos(angle), -np.sin(angle)])  # (row, column) of the major axis
    minor = np.array([-np.sin(angle), -np.cos(angle)])
    matrix = np.stack([minor, major])
    origin = canvas.centre + np.array([at[1], at[0]]) / canvas.step
    offset = 0.5 * (np.array(disc.shape) - 1.0) - matrix @ origin
    turned = affine_transform(
        disc, matrix, offset, output_shape=canvas.light.shape, output=np.float32, order=1
    )
    return np.asarray(turned)


def _sersic(index: float, radius: float, flux: float, shape: tuple[float, float]) -> Any:
    """A galsim Sersic profile; `shape` is axis ratio and position angle (+y towards -x)."""
    import galsim

    profile = galsim.Sersic(n=index, half_light_radius=radius, flux=flux)
    turn = (shape[1] + 90.0) * galsim.degrees
    return profile.shear(q=max(shape[0], 0.1), beta=turn)


def _sampled(canvas: Canvas, profile: Any, at: tuple[float, float]) -> Array:
    """A profile on the canvas; the cusp is averaged over its pixels, the rest is sampled."""
    import galsim

    fine = canvas.light.shape[0]
    shift = galsim.PositionD(at[0] / canvas.step, at[1] / canvas.step)
    image = galsim.ImageF(fine, fine, scale=canvas.step)
    profile.drawImage(image=image, method="no_pixel", offset=shift)
    light: Array = image.array
    middle = [round(canvas.centre + c / canvas.step) for c in (at[1], at[0])]
    low = [m - CORE_PX // 2 for m in middle]
    n = CORE_PX * CORE_SAMPLES
    core = galsim.ImageF(n, n, scale=canvas.step / CORE_SAMPLES)
    rest = [
        (canvas.centre + c / canvas.step) - m for c, m in zip((at[1], at[0]), middle, strict=True)
    ]
    within = galsim.PositionD(rest[1] * CORE_SAMPLES, rest[0] * CORE_SAMPLES)
    profile.drawImage(image=core, method="no_pixel", offset=within)
    blocks = core.array.reshape(CORE_PX, CORE_SAMPLES, CORE_PX, CORE_SAMPLES).sum(axis=(1, 3))
    light[low[0] : low[0] + CORE_PX, low[1] : low[1] + CORE_PX] = blocks
    return light


def _elsewhere(
    canvas: Canvas, galaxy: GalaxyParameters, rng: np.random.Generator
) -> tuple[float, float]:
    """A place on the canvas outside the inner part of the galaxy."""
    half = 0.5 * canvas.size * OVERSAMPLING * canvas.step - CORE_PX * canvas.step
    while True:
        x, y = rng.uniform(-half, half, 2)
        if np.hypot(x, y) > 0.45 * galaxy.isophotal_radius_arcsec:
            return float(x), float(y)
