"""What galaxies there are: the parameters of one galaxy, drawn along the T sequence.

T is uniform over -5..10. Along it bulges fade (bulge-to-total ratio and Sersic index fall), arms
open (pitch angle), gain contrast until Scd and dissolve, clumps multiply and discs grow fainter,
as in the handbooks (de Vaucouleurs 1959; Kennicutt 1981; Graham & Worley 2008). Scatter is wide on
purpose: types overlap in every parameter, as they do in the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.telescopes import Telescope

T_FIRST, T_LAST = -5.0, 10.0
ELLIPTICAL_BELOW = -3.5
IRREGULAR_FROM = 8.5
ELLIPTICAL_CENTRE = 2.3  # reference brightness over that at the half-light radius: 0.9 mag
BARRED = 0.4  # share of the discs with a bar
LAST_BARRED = 9.5
BARRED_BULGE = 0.55  # bulge of a barred galaxy over that of an unbarred one
EXTENT = (0.30, 0.90)  # isophotal diameter over the width of the stamp

RADII = np.geomspace(1e-3, 60.0, 600)  # of the face-on profile, in scale lengths

# Means along T, joined by straight lines.
STAGES = (-5.0, -3.0, -1.0, 1.0, 3.0, 5.0, 7.0, 9.0, 10.0)
BULGE_TO_TOTAL = (1.0, 0.62, 0.42, 0.32, 0.20, 0.09, 0.03, 0.0, 0.0)
SERSIC_INDEX = (4.6, 3.4, 2.8, 2.5, 2.0, 1.5, 1.1, 1.0, 1.0)
BULGE_RADIUS = (1.0, 0.45, 0.32, 0.28, 0.22, 0.18, 0.15, 0.15, 0.15)  # over the scale length
DISC_BRIGHTNESS = (20.4, 20.2, 20.0, 19.9, 19.9, 20.1, 20.6, 21.3, 21.7)  # central, mag/arcsec^2
PITCH_DEG = (6.0, 6.0, 7.0, 9.0, 14.0, 19.0, 25.0, 30.0, 30.0)
ARM_CONTRAST = (0.0, 0.0, 0.0, 0.38, 0.55, 0.62, 0.55, 0.25, 0.0)
TEXTURE = (0.0, 0.0, 0.02, 0.08, 0.18, 0.26, 0.33, 0.42, 0.50)  # rms of ln(light)
CLUMP_FRACTION = (0.0, 0.0, 0.0, 0.005, 0.03, 0.06, 0.10, 0.16, 0.20)
THICKNESS = (0.3, 0.28, 0.24, 0.20, 0.17, 0.15, 0.17, 0.32, 0.50)  # z0 over the scale length
LOPSIDEDNESS = (0.0, 0.0, 0.02, 0.03, 0.05, 0.08, 0.12, 0.20, 0.25)
DUST = (0.0, 0.0, 0.2, 0.8, 1.1, 1.0, 0.5, 0.15, 0.0)  # face-on optical depth of the centre


@dataclass(frozen=True)
class GalaxyParameters:
    """One galaxy. Lengths in arcsec, angles in degrees, fractions of the light of the disc.

    Parts that a galaxy does not have are zero: `n_arms` 0 for a smooth disc, `bar_fraction` 0
    without a bar, `disc_scale_length_arcsec` 0 for an elliptical.
    """

    ttype: float
    bulge_to_total: float
    sersic_index: float
    bulge_radius_arcsec: float
    bulge_axis_ratio: float  # apparent
    disc_scale_length_arcsec: float
    disc_thickness: float  # scale height over scale length
    central_brightness_mag_arcsec2: float  # of the disc, face-on
    inclination_deg: float
    position_angle_deg: float  # of the major axis, from +y towards -x
    offset_x_px: float
    offset_y_px: float
    isophotal_radius_arcsec: float  # face-on
    half_light_radius_arcsec: float  # face-on, without arms, bar, ring and clumps
    total_flux: float  # before dust
    n_arms: int
    winding: int  # +1 counter-clockwise outwards, -1 clockwise, 0 none
    pitch_angle_deg: float
    arm_contrast: float
    arm_sharpness: float
    texture: float
    bar_fraction: float
    bar_length_arcsec: float
    bar_axis_ratio: float
    bar_angle_deg: float  # in the plane, from the line of nodes
    ring_fraction: float
    ring_radius_arcsec: float
    clump_fraction: float
    n_clumps: int
    lopsidedness: float
    dust_optical_depth: float


def along(ttype: float, means: tuple[float, ...]) -> float:
    """The mean of a property at stage `ttype`."""
    return float(np.interp(ttype, STAGES, means))


def draw_parameters(telescope: Telescope, rng: np.random.Generator) -> GalaxyParameters:
    """Draw one galaxy; `rng` fixes it completely."""
    ttype = float(rng.uniform(T_FIRST, T_LAST))
    elliptical = ttype < ELLIPTICAL_BELOW
    barred = bool(rng.uniform() < BARRED) and not elliptical and ttype < LAST_BARRED
    # Sizes and fluxes such that the isophote spans the drawn part of the stamp.
    share = 1.0 if elliptical else _positive(rng, along(ttype, BULGE_TO_TOTAL), 0.25, top=0.8)
    share *= BARRED_BULGE if barred else 1.0
    index = float(np.clip(along(ttype, SERSIC_INDEX) * np.exp(0.2 * rng.normal()), 0.6, 6.0))
    ratio = 1.0 if elliptical else _positive(rng, along(ttype, BULGE_RADIUS), 0.25)
    brightness = along(ttype, DISC_BRIGHTNESS) + telescope.brightness_offset + 0.4 * rng.normal()
    extent = EXTENT[0] + (EXTENT[1] - EXTENT[0]) * rng.beta(2.2, 1.4)
    isophotal = 0.5 * extent * telescope.width_arcsec
    light, central = _unit_profile(share, index, ratio, elliptical=elliptical)
    fainter = brightness - 2.5 * np.log10(light / central)
    unit = isophotal / float(np.interp(telescope.isophote, fainter, RADII))
    enclosed = np.cumsum(light * RADII**2)  # the radii are spaced in ln
    peak = 10.0 ** (-0.4 * (brightness - telescope.zero_point))  # flux/arcsec^2
    values = {
        "bulge_to_total": share,
        "sersic_index": index,
        "bulge_radius_arcsec": ratio * unit if share > 0.0 else 0.0,
        "disc_scale_length_arcsec": 0.0 if elliptical else unit,
        "central_brightness_mag_arcsec2": brightness,
        "isophotal_radius_arcsec": isophotal,
        "half_light_radius_arcsec": float(np.interp(0.5 * enclosed[-1], enclosed, RADII)) * unit,
        "total_flux": peak * unit**2 / central,
    }
    # Random directions: cos i is uniform; bulges are oblate spheroids seen at the same angle.
    cosine = float(rng.uniform(0.0, 1.0))
    flattening = float(rng.uniform(0.45, 0.95) if elliptical else rng.uniform(0.6, 0.85))
    thickness = _positive(rng, along(ttype, THICKNESS), 0.15)
    offset_x, offset_y = rng.uniform(-0.5, 0.5, size=2).tolist()
    values |= {
        "bulge_axis_ratio": float(np.hypot(flattening * np.sqrt(1.0 - cosine**2), cosine)),
        "disc_thickness": 0.0 if elliptical else thickness,
        "inclination_deg": float(np.degrees(np.arccos(cosine))),
        "position_angle_deg": float(rng.uniform(0.0, 180.0)),
        "offset_x_px": offset_x,
        "offset_y_px": offset_y,
    }
    radius = values["isophotal_radius_arcsec"]
    values |= _bar_and_ring(ttype, radius, rng, elliptical=elliptical, barred=barred)
    structure = _arms(ttype, rng) if not elliptical else dict.fromkeys(ARM_FIELDS, 0.0)
    values |= structure
    whole = {name: round(values.pop(name)) for name in ("n_arms", "winding", "n_clumps")}
    return GalaxyParameters(ttype=ttype, **values, **whole)


def sersic_b(index: float) -> float:
    """The constant b_n that makes the Sersic radius enclose half the light."""
    from scipy.special import gammaincinv

    return float(gammaincinv(2.0 * index, 0.5))


def sersic_profile(radii: NDArray[np.float64], index: float) -> NDArray[np.float64]:
    """Surface brightness of a Sersic profile of unit flux and unit half-light radius."""
    from scipy.special import gamma

    b = sersic_b(index)
    norm = 2.0 * np.pi * index * b ** (-2.0 * index) * gamma(2.0 * index)
    return np.asarray(np.exp(-b * radii ** (1.0 / index)) / norm)


def _unit_profile(
    share: float, index: float, ratio: float, *, elliptical: bool
) -> tuple[NDArray[np.float64], float]:
    """Face-on surface brightness at RADII for unit flux and scale, and that of the disc's centre.

    An elliptical has no disc: 0.9 mag fainter than its reference brightness is its half-light
    radius, which puts it on the relation of Kormendy (1977).
    """
    bulge = sersic_profile(RADII / ratio, index) / ratio**2
    if elliptical:
        return bulge, ELLIPTICAL_CENTRE * float(sersic_profile(np.ones(1), index)[0])
    disc = np.exp(-RADII) / (2.0 * np.pi)
    return (1.0 - share) * disc + share * bulge, (1.0 - share) / (2.0 * np.pi)


def _positive(rng: np.random.Generator, mean: float, spread: float, top: float = 10.0) -> float:
    """A lognormal about `mean` with `spread` in ln, at most `top`."""
    return float(min(mean * np.exp(spread * rng.normal()), top))


def _bar_and_ring(
    ttype: float, radius: float, rng: np.random.Generator, *, elliptical: bool, barred: bool
) -> dict[str, float]:
    """Bars in two discs of five; inner rings at the end of the bar, outer rings in few."""
    ringed = rng.uniform()
    length = radius * float(rng.uniform(0.25, 0.45))
    strength = float(rng.uniform(0.2, 0.4)) * (1.0 if ttype < 5 else 0.6)
    bar = (strength, length, float(rng.uniform(0.22, 0.4)), float(rng.uniform(0.0, 180.0)))
    inner, outer = ringed < 0.18 and -2.0 < ttype < 4.5, ringed > 0.94 and -2.5 < ttype < 3.0
    ring_fraction = float(rng.uniform(0.06, 0.16)) if (inner or outer) and not elliptical else 0.0
    ring_radius = 0.72 * radius if outer else 1.05 * length
    return {
        "bar_fraction": bar[0] if barred else 0.0,
        "bar_length_arcsec": bar[1] if barred else 0.0,
        "bar_axis_ratio": bar[2] if barred else 0.0,
        "bar_angle_deg": bar[3] if barred else 0.0,
        "ring_fraction": ring_fraction,
        "ring_radius_arcsec": ring_radius if ring_fraction else 0.0,
    }


ARM_FIELDS = (
    "n_arms",
    "winding",
    "pitch_angle_deg",
    "arm_contrast",
    "arm_sharpness",
    "texture",
    "clump_fraction",
    "n_clumps",
    "lopsidedness",
    "dust_optical_depth",
)


def _arms(ttype: float, rng: np.random.Generator) -> dict[str, float]:
    """Arms, texture, clumps, lopsidedness and dust of a disc."""
    contrast = float(np.clip(along(ttype, ARM_CONTRAST) * np.exp(0.3 * rng.normal()), 0.0, 0.85))
    armed = contrast > 0.08 and ttype < IRREGULAR_FROM
    n_arms = int(rng.choice((2, 3, 4), p=(0.64, 0.18, 0.18)))
    winding = 1 if rng.uniform() < 0.5 else -1
    pitch = float(np.clip(along(ttype, PITCH_DEG) + 3.5 * rng.normal(), 5.0, 40.0))
    clumps = _positive(rng, along(ttype, CLUMP_FRACTION), 0.5, top=0.4)
    return {
        "n_arms": float(n_arms if armed else 0),
        "winding": float(winding if armed else 0),
        "pitch_angle_deg": pitch if armed else 0.0,
        "arm_contrast": contrast if armed else 0.0,
        "arm_sharpness": float(rng.uniform(1.2, 3.0)) if armed else 0.0,
        "texture": _positive(rng, along(ttype, TEXTURE), 0.3, top=0.8),
        "clump_fraction": clumps,
        "n_clumps": float(rng.poisson(6 + 220 * clumps)) if clumps > 0.002 else 0.0,
        "lopsidedness": float(along(ttype, LOPSIDEDNESS) * rng.rayleigh(0.8)),
        "dust_optical_depth": _positive(rng, along(ttype, DUST), 0.4),
    }
