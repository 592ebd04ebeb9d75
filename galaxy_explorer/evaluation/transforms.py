"""The same galaxy seen otherwise: turned, mirrored, shifted, with other noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.sky import sky_level

Stamps = NDArray[np.float32]

SHIFT_PX = 1
# What must be encoded anew, for eight orientations do not hold it.
ENCODED = ("rotated by 45 degrees", "shifted by 1 pixel", "noise", "other noise")
# What the eight orientations hold: number of the orientation that a stamp becomes.
QUARTER_TURN, MIRROR = 1, 4
ORIENTATIONS = {"rotated by 90 degrees": QUARTER_TURN, "mirrored": MIRROR}


def rotated(stamps: Stamps, degrees: float) -> Stamps:
    """Stamps (N, C, S, S) turned about their centre by cubic splines.

    What comes from beyond the edges is the mirror image of the stamp.
    """
    from scipy import ndimage

    turned = ndimage.rotate(
        stamps, degrees, axes=(-2, -1), reshape=False, order=3, mode="mirror", prefilter=True
    )
    return np.asarray(turned, dtype=np.float32)


def shifted(stamps: Stamps, pixels: int = SHIFT_PX) -> Stamps:
    """Stamps (N, C, S, S) moved to the right; the first column is repeated."""
    moved = np.roll(stamps, pixels, axis=-1)
    moved[..., :pixels] = stamps[..., :1]
    return moved


def with_noise(stamps: Stamps, seed: int) -> Stamps:
    """Stamps (N, C, S, S) with as much white noise added as their sky has, each its own."""
    rng = np.random.default_rng(seed)
    sigma = np.array([[sky_level(band)[1] for band in stamp] for stamp in stamps])
    drawn = rng.standard_normal(stamps.shape, dtype=np.float32)
    return stamps + drawn * sigma[..., None, None].astype(np.float32)


TRANSFORMS: dict[str, Callable[[Stamps], Stamps]] = {
    "rotated by 45 degrees": lambda stamps: rotated(stamps, 45),
    "shifted by 1 pixel": shifted,
    # Two draws beside each other: both are noisier than the stamp, by the same amount.
    "noise": lambda stamps: with_noise(stamps, 1),
    "other noise": lambda stamps: with_noise(stamps, 2),
}


def reorient(maps: np.ndarray, turn: int) -> np.ndarray:
    """Codes of the eight orientations (N, 8, ...) of a stamp that was itself brought to `turn`.

    Orientation i of `inference.d4` is i % 4 quarter turns, then for i >= 4 a mirror image.
    """
    return np.asarray(maps[:, [_combined(turn, other) for other in range(8)]])


def _combined(first: int, then: int) -> int:
    """The orientation that comes of bringing a stamp to `first` and the result to `then`."""
    mirrored = first >= 4
    quarter = first % 4 - then % 4 if mirrored else first % 4 + then % 4
    return quarter % 4 + 4 * (mirrored != (then >= 4))
