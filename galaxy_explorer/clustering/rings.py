"""Pooling over rings about the centre: what stays the same when a galaxy is turned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

ORDERS = (1, 2, 3, 4)
RING_WIDTHS = {8: 0.9, 16: 1.0}  # cells; other maps use whole cells


@dataclass(frozen=True)
class Rings:
    """Rings about the centre of a square map of side S.

    mean (R, S S): weights that average over each ring, rows sum 1. waves (R, m, S S): the same
    times exp(-i m phi) for the azimuthal orders m = 1..4, less their mean over the ring: the few
    cells of an inner ring would make a wave of a uniform map.
    """

    mean: np.ndarray
    waves: np.ndarray


@lru_cache(maxsize=16)
def rings_of(side: int, width: float, *, full: bool = True) -> Rings:
    """Rings of `width` cells on a map of `side` x `side` cells.

    full: the last ring takes the corners as well; without it cells further out than the edge are
    left out, because a turned galaxy brings other pixels there.
    """
    y, x = np.indices((side, side)) - (side - 1) / 2
    radius, angle = np.hypot(x, y).ravel(), np.arctan2(y, x).ravel()
    last = max(int(side / 2 / width) - 1, 0)
    ring = np.minimum((radius / width).astype(int), last)
    member = ring == np.arange(last + 1)[:, None]
    if not full:
        member &= radius <= side / 2
    mean = member / member.sum(1, keepdims=True)
    waves = mean[:, None] * np.exp(-1j * np.array(ORDERS)[:, None] * angle)
    waves -= mean[:, None] * waves.sum(2, keepdims=True)
    return Rings(mean.astype(np.float32), waves.astype(np.complex64))


def pool_rings(values: np.ndarray, rings: Rings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, scatter and azimuthal amplitude of maps over rings.

    values: (n, S S, D) float32. Returns mean (n, R, D), standard deviation (n, R, D), and
    amplitude (n, R, m, D) of the azimuthal waves of order m = 1..4. All three are unchanged where
    a map is turned by 90 degrees or mirrored, for then the cells of a ring only change places.
    """
    mean = np.einsum("rs,nsd->nrd", rings.mean, values, optimize=True)
    square = np.einsum("rs,nsd->nrd", rings.mean, np.square(values), optimize=True)
    scatter = np.sqrt(np.maximum(square - np.square(mean), 0))
    real = np.einsum("rms,nsd->nrmd", rings.waves.real, values, optimize=True)
    imaginary = np.einsum("rms,nsd->nrmd", rings.waves.imag, values, optimize=True)
    return mean, scatter, np.hypot(real, imaginary)
