"""From pictures to model stamps: frame, sky, stretch, splits, classes, balanced samples."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from galaxy_explorer.survey.framing import Frame, auto_frame, fit_stamp
from galaxy_explorer.survey.sky import sky_level

__all__ = [
    "ArcsinhStretch",
    "Frame",
    "auto_frame",
    "balanced_sample",
    "fit_stamp",
    "rotate_stamps",
    "sky_level",
    "split_of",
    "ttype_class",
]

Floats = NDArray[np.float64]

TTYPE_MIN = -3
TTYPE_MAX = 6
UNKNOWN_CLASS = -1
TRAIN_SHARE = 0.8
VALIDATION_SHARE = 0.1
SPLITS = ("train", "validation", "test")


def split_of(galaxy_id: str) -> str:
    """Split of a galaxy: 80 % train, 10 % validation, 10 % test, by its id alone.

    The first 8 bytes of the id's SHA-256 are read as a number u in [0, 1), so the split depends
    neither on the order nor on the size of a survey, and rotated copies stay with their galaxy.
    """
    digest = hashlib.sha256(galaxy_id.encode()).digest()
    u = int.from_bytes(digest[:8], "big") / 2**64
    if u < TRAIN_SHARE:
        return "train"
    return "validation" if u < TRAIN_SHARE + VALIDATION_SHARE else "test"


def ttype_class(ttype: ArrayLike) -> NDArray[np.int8]:
    """Class 0..9 of the Hubble stages T = -3..6; -1 where T is NaN (report, section 4.3).

    T goes to the nearest integer, halves up; stages outside go to the nearest end, so that
    E (-5) shares class 0 with -3 and Im (10) shares class 9 with 6.
    """
    values = np.asarray(ttype, dtype=np.float64)
    stage = np.clip(np.floor(values + 0.5), TTYPE_MIN, TTYPE_MAX) - TTYPE_MIN
    return np.where(np.isnan(values), UNKNOWN_CLASS, stage).astype(np.int8)


@dataclass(frozen=True)
class ArcsinhStretch:
    """The arcsinh stretch of linear flux and its exact inverse.

    y = scale * arcsinh((flux - sky) / (softening * sky_sigma)) + pedestal, without clipping.
    The defaults give linear SDSS r frames the sky level, the noise and the brightness of centres
    that the survey's own 8-bit arcsinh pictures have when divided by 255.
    """

    softening: float = 4.5
    scale: float = 0.17
    pedestal: float = 0.02

    def apply(self, flux: ArrayLike, sky: ArrayLike, sky_sigma: ArrayLike) -> Floats:
        """Stretch `flux` (..., H, W); `sky` and `sky_sigma` are scalars or one value a stamp."""
        pixels = np.asarray(flux, dtype=np.float64)
        width = self.softening * _per_stamp(sky_sigma, pixels.ndim)
        y = np.arcsinh((pixels - _per_stamp(sky, pixels.ndim)) / width)
        return self.scale * y + self.pedestal

    def invert(self, stretched: ArrayLike, sky: ArrayLike, sky_sigma: ArrayLike) -> Floats:
        """Flux of a stretched stamp: the inverse of `apply`."""
        y = np.asarray(stretched, dtype=np.float64)
        width = self.softening * _per_stamp(sky_sigma, y.ndim)
        return np.sinh((y - self.pedestal) / self.scale) * width + _per_stamp(sky, y.ndim)

    def to_dict(self) -> dict[str, float]:
        """Parameters by name, as `survey.json` keeps them."""
        return asdict(self)


def _per_stamp(value: ArrayLike, ndim: int) -> Floats:
    array = np.asarray(value, dtype=np.float64)
    return array.reshape(array.shape + (1,) * (ndim - array.ndim)) if array.ndim else array


def balanced_sample(
    classes: ArrayLike, per_class: int, seed: int
) -> tuple[NDArray[np.int64], Floats]:
    """`per_class` galaxies of each class as rows and rotation angles in degrees.

    Rich classes are drawn without repetition and not rotated (angle 0). Poor classes give every
    member once, then members drawn again at random angles. Class -1 (unknown) is left out. Same
    seed, same sample. Pass the classes of one split only: copies stay where their galaxy is.
    """
    values = np.asarray(classes)
    generator = np.random.default_rng(seed)
    rows: list[NDArray[np.int64]] = []
    angles: list[Floats] = []
    for label in np.unique(values[values >= 0]):
        members = np.flatnonzero(values == label).astype(np.int64)
        once = generator.permutation(members)[:per_class]
        missing = per_class - once.size
        rows += [once, generator.choice(members, missing)]
        angles += [np.zeros(once.size), generator.uniform(0.0, 360.0, missing)]
    if not rows:
        return np.empty(0, np.int64), np.empty(0)
    return np.concatenate(rows), np.concatenate(angles)


def rotate_stamps(
    stamps: NDArray[np.float32], angles: ArrayLike, *, order: Literal[1, 2, 3] = 1
) -> NDArray[np.float32]:
    """Stamps (N, C, S, S) each turned by its angle in degrees, counted from the y to the x axis.

    Spline interpolation of `order` 1 to 3; corners that turn in are filled by mirroring the stamp
    at its edge (scipy mode "mirror"), so no dark wedges appear. Angle 0 changes nothing.
    """
    turned = stamps.copy()
    for row, angle in enumerate(np.asarray(angles, dtype=np.float64).tolist()):
        if angle:
            turned[row] = ndimage.rotate(
                stamps[row], angle, axes=(1, 2), reshape=False, order=order, mode="mirror"
            )
    return turned
