"""Face-on picture of one disc, and its projection at any inclination.

The disc is light per area Sigma(X, Y) in its plane times sech^2(z / z0) / 2 z0 across it. Such a
body projects exactly to the inclined thin disc convolved across the line of nodes with sech^2 of
width z0 sin i, so one matrix product serves face-on and edge-on alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.simulation.population import IRREGULAR_FROM, GalaxyParameters

Array = NDArray[np.float32]

EDGE = (1.15, 2.8)  # of a disc, the larger of these many isophotal radii and scale lengths
REACH = 1.35  # half width of the plane drawn, in radii of the edge
FADE = 1.05  # where the light begins to fade to nothing at REACH, in radii of the edge
BAR_POWER = 2.5  # of the flat profile of a bar, exp(-rho^2.5)
TEXTURE_MODES = 10


@dataclass(frozen=True)
class Plane:
    """Square grid in the plane of a disc; X along the line of nodes. Lengths in arcsec."""

    x: Array  # (1, n)
    y: Array  # (n, 1)
    radius: Array  # (n, n)
    angle: Array  # (n, n), from X towards Y
    step: float


def edge_radius(galaxy: GalaxyParameters) -> float:
    """Where the exponential of a disc breaks, in arcsec."""
    return max(EDGE[0] * galaxy.isophotal_radius_arcsec, EDGE[1] * galaxy.disc_scale_length_arcsec)


def make_plane(galaxy: GalaxyParameters, step: float) -> Plane:
    """The grid that holds the disc of a galaxy; `step` in arcsec."""
    half = int(np.ceil(REACH * edge_radius(galaxy) / step))
    line = (np.arange(-half, half + 1) * step).astype(np.float32)
    x, y = line[None, :], line[:, None]
    return Plane(x, y, np.sqrt(x**2 + y**2), np.arctan2(y, x), step)


def draw_plane(
    galaxy: GalaxyParameters, plane: Plane, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Light per pixel of the plane, stars (n, n) and clumps (n, n), for a disc of unit flux.

    The stars are the disc with its arms, bar and ring. The sum is below 1 by what the unending
    exponential has beyond the edge of the disc.
    """
    # Radius with lopsided and lumpy isophotes (m = 1 to 3).
    phases = rng.uniform(0.0, 2.0 * pi, 3)
    stretch = np.zeros_like(plane.radius)
    if galaxy.lopsidedness:
        for m, phase in enumerate(phases, start=1):
            stretch += np.cos(m * plane.angle - np.float32(phase)) / m
    growth = np.minimum(plane.radius / galaxy.isophotal_radius_arcsec, 1.0)
    warped = np.asarray(plane.radius * np.exp(-galaxy.lopsidedness * growth * stretch))
    # Exponential to the edge, then falling faster.
    edge = edge_radius(galaxy)
    outside = np.clip((warped - edge) / (0.12 * edge), -30.0, 30.0)
    light = np.exp(-warped / galaxy.disc_scale_length_arcsec) / (1.0 + np.exp(outside))
    smooth = np.asarray(light, dtype=np.float32)
    smooth *= 1.0 - _step((plane.radius / edge_radius(galaxy) - FADE) / (REACH - FADE))
    modulation = np.exp(galaxy.texture * _texture(galaxy, plane, rng))
    if galaxy.n_arms:
        modulation *= _arm_modulation(galaxy, plane, rng)
    if galaxy.bar_fraction:  # what feeds the bar is missing beside it
        modulation *= 1.0 - 0.6 * np.exp(-((plane.radius / galaxy.bar_length_arcsec) ** 2))
    disc = smooth * modulation
    disc *= (1.0 - galaxy.bar_fraction - galaxy.ring_fraction) / disc.sum()
    if galaxy.ring_fraction:
        width = 0.12 * galaxy.ring_radius_arcsec
        ring = np.exp(-0.5 * ((warped - galaxy.ring_radius_arcsec) / width) ** 2)
        ring *= np.sqrt(modulation)
        disc += galaxy.ring_fraction * ring / ring.sum()
    if galaxy.bar_fraction:
        # A flat bar, its sum 1.
        angle = np.radians(galaxy.bar_angle_deg)
        along = float(np.cos(angle)) * plane.x + float(np.sin(angle)) * plane.y
        across = float(np.cos(angle)) * plane.y - float(np.sin(angle)) * plane.x
        length = galaxy.bar_length_arcsec
        rho = np.hypot(along / length, across / (galaxy.bar_axis_ratio * length))
        light = np.exp(-(np.minimum(rho, 4.0) ** np.float32(BAR_POWER)))
        disc += galaxy.bar_fraction * np.asarray(light / light.sum(), dtype=np.float32)
    clumps = np.zeros_like(disc)
    if galaxy.n_clumps:
        disc *= 1.0 - galaxy.clump_fraction
        _add_clumps(galaxy, clumps, smooth * modulation**2, plane, rng)
    unending = 2.0 * pi * (galaxy.disc_scale_length_arcsec / plane.step) ** 2
    kept = smooth.sum() / np.float32(unending)
    return disc * kept, clumps * kept


def project(
    galaxy: GalaxyParameters, face_on: Array, plane: Plane, *, scale_height: float
) -> Array:
    """The inclined disc (n, n), X along the line of nodes, with the sum of `face_on`."""
    inclination = np.radians(galaxy.inclination_deg)
    line = plane.y[:, 0]
    # Below a fiftieth of a pixel the kernel is a step and the disc is infinitely thin.
    width = max(scale_height * float(np.sin(inclination)), 0.02 * plane.step)
    edges = np.append(line - 0.5 * plane.step, line[-1] + 0.5 * plane.step)
    distance = edges[:, None] - float(np.cos(inclination)) * line[None, :]
    kernel = 0.5 * np.diff(np.tanh(distance / width), axis=0)
    return np.asarray(kernel.astype(np.float32) @ face_on)


def dust_column(galaxy: GalaxyParameters, plane: Plane) -> Array:
    """Optical depth through the whole disc along each line of sight (n, n), inclined."""
    length = 1.2 * galaxy.disc_scale_length_arcsec
    face_on = galaxy.dust_optical_depth * np.exp(-plane.radius / length)
    height = 0.35 * galaxy.disc_thickness * galaxy.disc_scale_length_arcsec
    return project(galaxy, face_on.astype(np.float32), plane, scale_height=height)


def _arm_modulation(galaxy: GalaxyParameters, plane: Plane, rng: np.random.Generator) -> Array:
    """Log-spiral arms: 1 between them on average, faded at the centre and at the edge.

    The arms wander by a fraction of a radian and differ in brightness, as real ones do.
    """
    start = galaxy.bar_length_arcsec or 0.12 * galaxy.isophotal_radius_arcsec
    log_radius = np.log(np.maximum(plane.radius, 0.02 * start) / start)
    turn = 1.0 / np.tan(np.radians(galaxy.pitch_angle_deg))
    spiral = plane.angle - galaxy.winding * np.float32(turn) * log_radius
    origin = np.radians(galaxy.bar_angle_deg) if galaxy.bar_fraction else rng.uniform(0, 2 * pi)
    phases = rng.uniform(0.0, 2.0 * pi, 4)
    wander = 0.28 * np.sin(plane.angle + 2.0 * log_radius + phases[0])
    wander += 0.2 * np.sin(2.0 * plane.angle - 3.1 * log_radius + phases[1])
    phase = galaxy.n_arms * (spiral - np.float32(origin) + wander.astype(np.float32))
    k = galaxy.arm_sharpness
    mean = gamma(k + 0.5) / (sqrt(pi) * gamma(k + 1.0))
    crest = (0.5 + 0.5 * np.cos(phase)) ** np.float32(k) / np.float32(mean)
    uneven = 1.0 + 0.3 * np.cos(spiral + phases[2]) * np.sin(1.5 * log_radius + phases[3])
    fade = _step((plane.radius - 0.7 * start) / (0.8 * start))
    fade *= 1.0 - _step((plane.radius / galaxy.isophotal_radius_arcsec - 0.8) / 0.5)
    return np.asarray(1.0 + galaxy.arm_contrast * fade * (crest * uneven - 1.0), dtype=np.float32)


def _step(x: Array) -> Array:
    """Smooth step from 0 at x <= 0 to 1 at x >= 1."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _texture(galaxy: GalaxyParameters, plane: Plane, rng: np.random.Generator) -> Array:
    """A random field of zero mean and unit variance: feathers along the arms, or plain patches.

    Spirals get sheared modes (flocculent arms), irregular galaxies plane waves.
    """
    field = np.zeros_like(plane.radius)
    if galaxy.texture == 0.0:
        return field
    spiral = galaxy.ttype < IRREGULAR_FROM - rng.uniform(0.0, 2.0)
    size = galaxy.isophotal_radius_arcsec
    log_radius = np.log(plane.radius / size + 0.08)
    phases = rng.uniform(0.0, 2.0 * pi, TEXTURE_MODES)
    if spiral:
        pitch = galaxy.pitch_angle_deg or 15.0
        winding = galaxy.winding or 1
        m = rng.integers(1, 7, TEXTURE_MODES)
        turns = m / np.tan(np.radians(pitch + rng.uniform(0.0, 25.0, TEXTURE_MODES)))
        for one, turn, phase in zip(m, turns, phases, strict=True):
            shape = np.float32(one) * plane.angle - np.float32(winding * turn) * log_radius
            field += np.cos(shape + np.float32(phase))
    else:
        waves = 2.0 * pi / (size * rng.uniform(0.35, 1.6, TEXTURE_MODES))
        directions = rng.uniform(0.0, 2.0 * pi, TEXTURE_MODES)
        for wave, to, phase in zip(waves, directions, phases, strict=True):
            along = (
                np.float32(wave * np.cos(to)) * plane.x + np.float32(wave * np.sin(to)) * plane.y
            )
            field += np.cos(along + np.float32(phase))
    return field * np.float32(sqrt(2.0 / TEXTURE_MODES))


def _add_clumps(
    galaxy: GalaxyParameters,
    clumps: Array,
    weight: Array,
    plane: Plane,
    rng: np.random.Generator,
) -> None:
    """Add star-forming clumps where `weight` is high; their fluxes are lognormal."""
    n, step = galaxy.n_clumps, plane.step
    # Stars form farther out than the light of the disc lies, but not beyond its edge.
    crowd = weight**0.6 * (plane.radius < galaxy.isophotal_radius_arcsec)
    crowd = np.cumsum(crowd, dtype=np.float64)
    where = np.searchsorted(crowd, rng.uniform(0.0, crowd[-1], n))
    flux = np.exp(1.0 * rng.normal(size=n))
    flux *= galaxy.clump_fraction / flux.sum()
    sigma = galaxy.isophotal_radius_arcsec * rng.uniform(0.015, 0.05, n)
    sigma = np.maximum(sigma / step, 0.7)
    rows, columns = np.divmod(where, clumps.shape[1])
    for row, column, light, width in zip(rows, columns, flux, sigma, strict=True):
        half = int(np.ceil(3.5 * width))
        low, high = max(row - half, 0), min(row + half + 1, clumps.shape[0])
        left, right = max(column - half, 0), min(column + half + 1, clumps.shape[1])
        y = np.exp(-0.5 * ((np.arange(low, high) - row) / width) ** 2)
        x = np.exp(-0.5 * ((np.arange(left, right) - column) / width) ** 2)
        patch = np.outer(y, x)
        clumps[low:high, left:right] += light * patch / patch.sum()
