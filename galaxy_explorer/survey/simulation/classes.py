"""Simulated galaxies of a known number of classes, to see whether that number is found again.

A class is one galaxy: its members share type, profile, size, brightness, inclination and spiral
pattern up to a little scatter, and differ in position angle, in companions, clumps, seeing, sky and
noise. The continuous population has no classes: every galaxy is drawn along the T sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.simulation.population import GalaxyParameters, draw_parameters
from galaxy_explorer.survey.simulation.survey import observe_galaxy
from galaxy_explorer.survey.telescopes import TELESCOPES, Telescope
from galaxy_explorer.utils.progress import progress

CANDIDATES = 400  # galaxies from which the classes are picked
SCATTER = 0.03  # of ln(size) and ln(flux) within a class
LENGTHS = (
    *("bulge_radius_arcsec", "disc_scale_length_arcsec", "isophotal_radius_arcsec"),
    *("half_light_radius_arcsec", "bar_length_arcsec", "ring_radius_arcsec"),
)


@dataclass(frozen=True)
class ClassedGalaxies:
    """Galaxies of known classes.

    stamps (N, 1, S, S) in linear flux; sky and sky_sigma (N,); label (N,), 0 throughout for a
    continuous population; ttype (N,).
    """

    stamps: NDArray[np.float32]
    sky: NDArray[np.float64]
    sky_sigma: NDArray[np.float64]
    label: NDArray[np.int16]
    ttype: NDArray[np.float64]


def simulate_classes(classes: int, n: int, *, seed: int = 0, like: str = "sdss") -> ClassedGalaxies:
    """`n` galaxies of `classes` classes of about equal size; 0 classes: a continuous population."""
    telescope = TELESCOPES[like]
    rng = np.random.default_rng((seed, classes))
    prototypes = draw_prototypes(telescope, classes, rng)
    label = rng.permutation(np.arange(n) % max(classes, 1)).astype(np.int16)
    size = telescope.stamp_size
    made = ClassedGalaxies(
        np.empty((n, 1, size, size), np.float32), np.empty(n), np.empty(n), label, np.empty(n)
    )
    with progress(n, f"Simulating {classes or 'no'} classes") as advance:
        for row in range(n):
            galaxy = (
                _member(prototypes[label[row]], rng) if classes else draw_parameters(telescope, rng)
            )
            observed = observe_galaxy(telescope, galaxy, rng.spawn(4))
            made.stamps[row, 0] = observed.stamp
            made.sky[row], made.sky_sigma[row] = observed.row["sky"], observed.row["sky_sigma"]
            made.ttype[row] = galaxy.ttype
            advance(1)
    return made


def draw_prototypes(
    telescope: Telescope, classes: int, rng: np.random.Generator
) -> list[GalaxyParameters]:
    """Galaxies far apart in type, concentration, size, brightness and inclination.

    The first is drawn at random, each further one is the candidate farthest from those before.
    """
    candidates = [draw_parameters(telescope, rng) for _ in range(CANDIDATES if classes else 0)]
    if not candidates:
        return []
    table = np.array(
        [
            (
                galaxy.ttype,
                galaxy.bulge_to_total,
                float(np.log(galaxy.isophotal_radius_arcsec)),
                float(np.log(galaxy.total_flux)),
                galaxy.inclination_deg / 30,
            )
            for galaxy in candidates
        ]
    )
    table = (table - table.mean(0)) / table.std(0)
    chosen = [0]
    while len(chosen) < classes:
        apart = np.linalg.norm(table[:, None] - table[chosen], axis=2).min(1)
        chosen.append(int(apart.argmax()))
    return [candidates[row] for row in chosen]


def _member(prototype: GalaxyParameters, rng: np.random.Generator) -> GalaxyParameters:
    """A galaxy of a class: scaled a little, turned by any angle."""
    size, flux = np.exp(SCATTER * rng.normal(size=2))
    scaled = {name: getattr(prototype, name) * float(size) for name in LENGTHS}
    return replace(
        prototype,
        **scaled,
        total_flux=prototype.total_flux * float(flux),
        position_angle_deg=float(rng.uniform(0, 180)),
        offset_x_px=float(rng.uniform(-0.5, 0.5)),
        offset_y_px=float(rng.uniform(-0.5, 0.5)),
    )
