"""Simulated galaxies of known T as the sets that a proof compares; cheap statistics in seconds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from galaxy_explorer.clustering.features import radial_profile_vectors
from galaxy_explorer.emulation.morphology import sersic_index
from galaxy_explorer.evaluation.emulator.comparison import Galaxies
from galaxy_explorer.survey.photometry import segment
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.simulation.survey import simulate_galaxy
from galaxy_explorer.survey.telescopes import SDSS

SEED = 5
STRETCH = ArcsinhStretch()
Judge = Callable[[np.ndarray], np.ndarray]


def simulated_stamps(first: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Stretched stamps (n, 1, S, S) with PSF and noise, and T (n,)."""
    galaxies = [simulate_galaxy(SDSS, SEED, first + i) for i in range(n)]
    stamps = np.stack([galaxy.stamp for galaxy in galaxies]).reshape(n, 1, 64, 64)
    sky, sigma, ttype = (
        np.array([g.row[name] for g in galaxies]) for name in ("sky", "sky_sigma", "ttype")
    )
    return STRETCH.apply(stamps, sky, sigma).astype(np.float32), ttype


def as_galaxies(stamps: np.ndarray, ttype: np.ndarray, judge: Judge | None = None) -> Galaxies:
    """Stamps measured by simple means."""
    rows = np.array([_statistics(stamp[0].astype(float)) for stamp in stamps])
    names = ("concentration", "gini", "m20", "sersic_n")
    features = radial_profile_vectors(stamps)
    vectors = stamps.reshape(len(stamps), 8, 8, 8, 8).mean((2, 4)).reshape(len(stamps), -1)
    return Galaxies(
        ttype=ttype,
        statistics=dict(zip(names, rows.T, strict=True)),
        features=features,
        vectors=vectors,
        read={} if judge is None else {"read_ttype": judge(features), "read_arms": arms(features)},
        judge_features=None if judge is None else features[:, :8].astype(float),
    )


def arms(features: np.ndarray) -> np.ndarray:
    """Something that changes with T, from 0 to 1, in place of arms that were read."""
    light = features / features.sum(1, keepdims=True)
    return np.asarray(light @ np.linspace(0, 1, light.shape[1]))


def _statistics(image: np.ndarray) -> list[float]:
    """C, Gini and M20 of linear light within the galaxy's pixels, and the Sersic index."""
    found = segment(image)
    member, light = found.labels == 1, np.sinh((image - found.sky) / STRETCH.scale)
    values = np.sort(light[member].clip(1e-6))
    n, total = len(values), values.sum()
    y, x = np.nonzero(member)
    weight = light[member].clip(1e-6)
    r2 = (x - weight @ x / total) ** 2 + (y - weight @ y / total) ** 2
    inside = np.cumsum(weight[np.argsort(r2)]) / total
    radii = np.sqrt(np.sort(r2))
    r20, r80 = (max(radii[np.searchsorted(inside, share)], 0.5) for share in (0.2, 0.8))
    bright = np.argsort(-weight)
    lit = np.cumsum(weight[bright]) <= 0.2 * total
    moment = (weight * r2)[bright][lit].sum() / (weight * r2).sum()
    gini = ((2 * np.arange(1, n + 1) - n - 1) * values).sum() / (n * total)
    index = sersic_index(light, member, found.labels > 1)
    return [5 * np.log10(r80 / r20), gini, np.log10(max(moment, 1e-4)), index]


def blurred(stamps: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    """Stamps as a bad decoder would draw them."""
    return ndimage.gaussian_filter(stamps, (0, 0, sigma, sigma))
