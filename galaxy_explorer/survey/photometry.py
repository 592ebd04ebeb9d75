"""Simple measurements of stamps: where the galaxy is, how large, how round, at what angle.

Meant to tell what clusters follow besides the Hubble type. In the units of the stamp: of an
arcsinh-stretched one the measures are those of the stretched light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.sky import sky_level

Floats = NDArray[np.float64]

SMOOTHING_PX = 1.0
DETECTION_SIGMA = 1.5  # of the sky of the unsmoothed stamp
SMALLEST_SOURCE_PX = 8
SMALLEST_SIGMA = 1 / 255  # a step of an 8-bit picture
COLUMNS = ("size", "axis_ratio", "position_angle", "signal_to_noise", "neighbours")


@dataclass(frozen=True)
class Segments:
    """A stamp's sources. labels (S, S): 0 sky, 1 the galaxy, 2.. its neighbours."""

    labels: NDArray[np.int32]
    sky: float
    sky_sigma: float

    @property
    def neighbours(self) -> int:
        """Number of other sources in the frame."""
        return max(int(self.labels.max()) - 1, 0)


def segment(stamp: Floats) -> Segments:
    """Sources of a stamp (S, S) above 1.5 sigma of its sky, of at least 8 pixels.

    The galaxy is the source that holds the centre, else the one nearest to it. Without any source
    it is the disc of a quarter of the stamp's side about the centre.
    """
    from scipy import ndimage

    sky, sigma = sky_level(stamp)
    sigma = max(sigma, SMALLEST_SIGMA)
    smooth = ndimage.gaussian_filter(stamp - sky, SMOOTHING_PX)
    found, count = ndimage.label(smooth > DETECTION_SIGMA * sigma)
    sizes = np.bincount(found.ravel(), minlength=count + 1)
    sizes[0] = 0
    distance = _distance_from_centre(stamp.shape[-1])
    kept = np.flatnonzero(sizes >= SMALLEST_SOURCE_PX)
    if len(kept) == 0:
        disc = distance <= stamp.shape[-1] / 4
        return Segments(disc.astype(np.int32), sky, sigma)
    nearest = ndimage.minimum(distance, found, kept)
    order = kept[np.argsort(nearest, kind="stable")]
    renamed = np.zeros(count + 1, np.int32)
    renamed[order] = np.arange(1, len(order) + 1)
    return Segments(renamed[found], sky, sigma)


def _distance_from_centre(side: int) -> Floats:
    y, x = np.indices((side, side)) - (side - 1) / 2
    return np.asarray(np.hypot(x, y))


def measure_stamp(stamp: Floats) -> dict[str, float]:
    """Measures of the galaxy of one stamp (S, S), one for each of COLUMNS.

    size: radius in pixels that holds half of the galaxy's light, about its centroid. axis_ratio
    (0 to 1) and position_angle (degrees from the x axis towards y, 0 to 180): of its second
    moments. signal_to_noise: mean surface brightness over the sky's sigma, a pixel. neighbours:
    other sources in the frame.
    """
    segments = segment(stamp)
    member = segments.labels == 1
    light = np.where(member, stamp - segments.sky, 0).clip(0)
    if not light.any():
        light = member.astype(np.float64)
    total = light.sum()
    y, x = np.indices(stamp.shape).astype(np.float64)
    x, y = (axis - (light * axis).sum() / total for axis in (x, y))
    radius = np.hypot(x, y)[member]
    order = np.argsort(radius)
    half = np.searchsorted(np.cumsum(light[member][order]), total / 2)
    xx, yy, xy = ((light * product).sum() / total for product in (x * x, y * y, x * y))
    spread, mean = np.hypot((xx - yy) / 2, xy), (xx + yy) / 2
    return {
        "size": float(radius[order][min(half, len(order) - 1)]),
        "axis_ratio": float(np.sqrt(max(mean - spread, 0) / (mean + spread))),
        "position_angle": float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) % 180),
        "signal_to_noise": float(light[member].mean() / segments.sky_sigma),
        "neighbours": float(segments.neighbours),
    }


def measure_stamps(stamps: NDArray[np.float32]) -> dict[str, Floats]:
    """Measures (N,) of stamps (N, C, S, S), by name; of the mean over the bands."""
    rows = [measure_stamp(stamp) for stamp in stamps.mean(1, dtype=np.float64)]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}
