"""Simple features of the stamps themselves, which features of codes must beat."""

from __future__ import annotations

import numpy as np

from galaxy_explorer.clustering.rings import pool_rings, rings_of

RING_PIXELS = 2.0
BLOCK_ROWS = 512
FAINTEST = 1e-6


def radial_profile_vectors(stamps: np.ndarray) -> np.ndarray:
    """Radial profile, scatter in rings and azimuthal power of stamps (N, C, S, S), float32 (N, F).

    Rings are 2 pixels wide about the centre of the stamp. For each ring and channel: the mean, the
    standard deviation over the mean brightness, and the amplitude of the azimuthal waves m = 1..4
    over the same. Unchanged by a rotation of 90 degrees or a mirror image.
    """
    side = stamps.shape[-1]
    rings = rings_of(side, RING_PIXELS, full=False)
    blocks = []
    for start in range(0, len(stamps), BLOCK_ROWS):
        block = np.asarray(stamps[start : start + BLOCK_ROWS], dtype=np.float32)
        values = np.moveaxis(block, 1, -1).reshape(len(block), side * side, -1)  # (n, S S, C)
        mean, scatter, waves = pool_rings(values, rings)
        level = np.abs(mean) + mean.max(1, keepdims=True).clip(FAINTEST) / 100
        parts = (mean, scatter / level, waves / level[:, :, None])
        blocks.append(np.concatenate([part.reshape(len(block), -1) for part in parts], axis=1))
    return np.concatenate(blocks).astype(np.float32)


def pixel_vectors(stamps: np.ndarray) -> np.ndarray:
    """All pixels of stamps (N, C, S, S), float32 (N, C S S), a view where that is possible."""
    return np.asarray(stamps.reshape(len(stamps), -1), dtype=np.float32)
