"""From pictures to model stamps.

Which part of a picture becomes the stamp and on which pixels, its stretch, and what is made of a
catalogue before training: splits, classes of T, balanced samples, rotated copies.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.photometry import border_mask, sky_level

Frame = Literal["whole", "centre", "auto", "measured"]
Floats = NDArray[np.float64]

FRAME_MARGIN = 1.25  # the NGC/IC training pictures span 1.25 x D25
ISOPHOTE_SIGMAS = 1.3  # about 25 mag/arcsec^2 in B for SDSS imaging
SMOOTHING_PX = 1.5
SMALLEST_HALF_PX = 8
CENTRE_TOLERANCE = 0.1
BLOCK_PX = 1024

HALF_OF_MEAN = 0.5  # brightness of a ring over the mean within, where the measured radius lies
RADII_A_HALF_SIDE = 1.05
OUTLINE_SHARE = 0.1  # of the peak: the light above it says how long and how wide a galaxy is
LEAST_AXIS_RATIO = 0.2
SKY_PERCENTILE = 20.0  # of the picture's border, which neighbours and the galaxy itself may reach
RINGS = 48
RINGS_REACH = 0.7  # of the side: the corners
LEAST_RING = 3  # pixels
TINY = 1e-9
RIM_GROWTH = 2.0  # such that galaxies cut to half their frame come out nearly twice as large
RINGS_BEYOND = 1.5  # frames, where no ring is as faint as the radius asks
LEAST_LIGHT = 1e-3  # of a core, in stretched units
MEASURED_PX = 256  # what is larger is measured on so many pixels


class Framing(NamedTuple):
    """Which central square becomes the stamp.

    side: in pixels. radius: of the galaxy, semi-major, in pixels, NaN where none was measured.
    axis_ratio: of its outline. wanted: the side of the frame over that of the picture; above 1 the
    picture ends within the frame and is taken whole; NaN where no radius was found. size: width and
    height of the picture, before anything was cut.
    """

    side: int
    radius: float = float("nan")
    axis_ratio: float = float("nan")
    wanted: float = float("nan")
    size: tuple[int, int] = (0, 0)


def fit_stamp(
    image: NDArray[np.float32], size: int, *, frame: Frame = "whole", linear: bool
) -> NDArray[np.float32]:
    """A picture (H, W) or (C, H, W) as a stamp of `size` x `size` pixels.

    "whole" resamples the largest central square, "centre" cuts the central `size` pixels without
    resampling, "auto" resamples the central square that `auto_frame` finds, "measured" that of
    `measured_frame`. For `linear` data resampling keeps the summed flux; for stretched pictures it
    keeps the mean.

    Raises BadImage where the picture is smaller than a centre cut needs.
    """
    side = find_frame(image, size, frame=frame, linear=linear).side
    return resample(central_square(image, side), size, linear=linear)


def find_frame(
    image: NDArray[np.float32],
    size: int,
    *,
    frame: Frame,
    linear: bool,
    valid: NDArray[np.bool_] | None = None,
) -> Framing:
    """The central square that becomes the stamp (see `fit_stamp`).

    valid: where the picture has data, for the sky that is measured plane by plane.

    Raises BadImage where the picture is smaller than a centre cut needs.
    """
    height, width = image.shape[-2:]
    if frame == "whole":
        return Framing(min(height, width))
    if frame == "centre":
        if min(height, width) < size:
            reason = f'{width} x {height} px is less than a centre cut of {size}; use frame "whole"'
            raise BadImage("stamp", reason)
        return Framing(size)
    planes = image.reshape(-1, height, width)
    if frame == "measured" and not linear:
        return measured_frame(planes.astype(np.float64).mean(axis=0))
    masks = [None] * len(planes) if valid is None else valid.reshape(planes.shape)
    levels = [sky_level(p, mask) for p, mask in zip(planes, masks, strict=True)]
    skies, sigmas = np.array(levels).T
    if frame == "measured":
        return measured_frame(ArcsinhStretch().apply(planes, skies, sigmas).mean(axis=0))
    plane = planes[0] if len(planes) == 1 else (planes - skies[:, None, None]).mean(axis=0)
    sky = float(skies[0]) if len(planes) == 1 else 0.0
    return Framing(2 * auto_frame(plane, sky, float(np.sqrt(np.square(sigmas).mean()))))


def central_square(image: NDArray[Any], side: int) -> NDArray[Any]:
    """The central `side` x `side` pixels of (..., H, W); the odd pixel is cut from the end."""
    height, width = image.shape[-2:]
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def resample(image: NDArray[np.float32], size: int, *, linear: bool) -> NDArray[np.float32]:
    """Square images (..., S, S) on `size` x `size` pixels, worked in float64.

    Shrinking weighs each input pixel by the area it shares with the output pixel; whole factors
    are exact block means. Enlarging is a cubic spline, then shifted to keep the mean. `linear`
    multiplies by the ratio of pixel areas, which keeps the sum.
    """
    side = image.shape[-1]
    if side == size:
        return image.astype(np.float32)
    if image.ndim > 2:  # a plane and a part at a time: 4096 x 4096 are 128 MiB in float64
        return np.stack([resample(plane, size, linear=linear) for plane in image])
    if side % size == 0:
        factor = side // size
        blocks = image.reshape(size, factor, size, factor)
        out = np.stack([row.astype(np.float64).mean(axis=(0, -1)) for row in blocks])
    elif side > size:
        weights = _area_weights(side, size)
        parts = range(0, side, BLOCK_PX)
        columns = [weights @ image[:, at : at + BLOCK_PX].astype(np.float64) for at in parts]
        out = np.concatenate(columns, axis=1) @ weights.T
    else:
        pixels = image.astype(np.float64)
        out = ndimage.zoom(pixels, size / side, order=3, mode="nearest", grid_mode=True)
        out = np.asarray(out + (pixels.mean() - out.mean()), dtype=np.float64)
    flux = out * (side / size) ** 2 if linear else out
    return np.asarray(flux, dtype=np.float32)


@lru_cache(maxsize=64)
def _area_weights(side: int, size: int) -> Floats:
    """(size, side) matrix: share of each output pixel that each input pixel covers."""
    edges = np.arange(size + 1) * (side / size)
    pixel = np.arange(side)
    low = np.maximum(edges[:-1, None], pixel[None, :])
    high = np.minimum(edges[1:, None], pixel[None, :] + 1)
    overlap = np.maximum(high - low, 0.0)
    return np.asarray(overlap * (size / side), dtype=np.float64)


def auto_frame(image: NDArray[np.float32], sky: float, sigma: float) -> int:
    """Half the side in pixels of the central square that frames the central galaxy (H, W).

    The picture is smoothed (1.5 px), the object at the centre is what stays connected above
    sky + 1.3 sigma, near the 25 mag/arcsec^2 isophote of the catalogues in SDSS imaging. Its
    semi-major axis from second moments, times 1.25, is the half-size: the frame of the NGC/IC
    training pictures. Without an object at the centre the whole picture is the frame.
    """
    height, width = image.shape
    largest: int = min(height, width) // 2
    smooth = ndimage.gaussian_filter(image.astype(np.float64), SMOOTHING_PX, mode="nearest")
    labels, _ = ndimage.label(smooth > sky + ISOPHOTE_SIGMAS * sigma)
    # Label of the brightest pixel within a tenth of the side of the centre; 0 for sky.
    height, width = labels.shape
    reach = max(1, int(CENTRE_TOLERANCE * min(height, width)))
    rows = slice(height // 2 - reach, height // 2 + reach + 1)
    columns = slice(width // 2 - reach, width // 2 + reach + 1)
    near = smooth[rows, columns]
    peak = np.unravel_index(int(np.argmax(near)), near.shape)
    label = int(labels[rows, columns][peak])
    if label == 0:
        return largest
    y, x = np.nonzero(labels == label)
    covariance = np.cov(np.stack([y, x])) if y.size > 2 else np.zeros((2, 2))
    semi_major = 2.0 * np.sqrt(np.linalg.eigvalsh(covariance)[-1])
    half = max(int(np.ceil(FRAME_MARGIN * float(semi_major))), SMALLEST_HALF_PX)
    return min(half, largest)


def measured_frame(picture: Floats) -> Framing:
    """The frame of a stretched picture (H, W) by the size of its galaxy.

    The radius is where a ring is half as bright as the mean within it, as Petrosian's is, but of
    stretched light: two renderings of one galaxy and two depths then agree best. Rings are
    ellipses of the outline's axis ratio and angle, their brightness is a median, so that
    neighbours and stars count little. Half the side is RADII_A_HALF_SIDE of it; the picture is
    taken whole where it is smaller than that, and where no ring falls so low. The sky is that of
    the picture's border, so a round galaxy that fills its picture passes for one that just fits.
    """
    whole = min(picture.shape)
    light = central_square(picture, whole)
    if whole > MEASURED_PX:
        light = resample(light.astype(np.float32), MEASURED_PX, linear=False).astype(np.float64)
    side = len(light)
    rim = max(2, side // 32)
    border = np.concatenate(
        [light[:rim].ravel(), light[-rim:].ravel(), light[:, :rim].ravel(), light[:, -rim:].ravel()]
    )
    light = light - np.percentile(border, SKY_PERCENTILE)
    outline = _outline(light)
    if outline is None:
        return Framing(whole)
    distance, axis_ratio = outline
    radius = _half_of_mean_radius(light, distance) * whole / side
    wanted = 2 * RADII_A_HALF_SIDE * radius
    if not wanted <= whole:
        return Framing(whole, radius, axis_ratio, wanted / whole)
    taken = min(whole, max(2 * SMALLEST_HALF_PX, round(wanted)))
    return Framing(taken, radius, axis_ratio, wanted / whole)


def _outline(light: Floats) -> tuple[Floats, float] | None:
    """Semi-major axis (S, S) of the ellipse through each pixel, and the axis ratio of them all.

    About the brightest pixel near the centre, by the second moments of what is connected with it
    above OUTLINE_SHARE of its brightness; None where nothing is.
    """
    side = len(light)
    smooth = ndimage.gaussian_filter(light, side / 64)
    middle, reach = side // 2, max(1, side // 16)
    near = smooth[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    top, left = middle - reach + int(row), middle - reach + int(column)
    labels, _ = ndimage.label(smooth > OUTLINE_SHARE * smooth[top, left])
    if labels[top, left] == 0:
        return None
    y, x = np.nonzero(labels == labels[top, left])
    weight = smooth[y, x] / smooth[y, x].sum()
    dy, dx = y - (weight * y).sum(), x - (weight * x).sum()
    across = float((weight * dy * dx).sum())
    moments = [[float((weight * dy * dy).sum()), across], [across, float((weight * dx * dx).sum())]]
    spread, axes = np.linalg.eigh(np.array(moments))
    small, large = max(spread[0], 0.05), max(spread[1], 0.1)  # px^2: no object is thinner
    axis_ratio = min(1.0, max(LEAST_AXIS_RATIO, float(np.sqrt(small / large))))
    rows, columns = np.mgrid[:side, :side] - np.array([top, left])[:, None, None]
    along = columns * axes[1, 1] + rows * axes[0, 1]
    beside = columns * axes[1, 0] + rows * axes[0, 0]
    return np.hypot(along, beside / axis_ratio), axis_ratio


def _half_of_mean_radius(light: Floats, distance: Floats) -> float:
    """Where a ring's median falls to HALF_OF_MEAN of the mean within, in pixels; NaN if nowhere."""
    edges = np.linspace(0.0, RINGS_REACH * len(light), RINGS + 1)
    rings = (np.digitize(distance.ravel(), edges) - 1).astype(np.uint8)
    by_light = np.argsort(light.ravel())
    order = by_light[np.argsort(rings[by_light], kind="stable")]  # ring by ring, by brightness
    values, counts = light.ravel()[order], np.bincount(rings, minlength=RINGS + 1)[:RINGS]
    starts, known = np.cumsum(counts) - counts, counts >= LEAST_RING
    radii = ((edges[1:] + edges[:-1]) / 2)[known]
    starts, counts = starts[known], counts[known]
    medians = (values[starts + (counts - 1) // 2] + values[starts + counts // 2]) / 2
    within = np.cumsum(np.clip(medians, 0, None) * radii) / np.cumsum(radii)
    ratio = medians / np.maximum(within, TINY)
    low = np.flatnonzero(ratio[1:] < HALF_OF_MEAN)
    if not low.size:
        return float("nan")
    after = int(low[0]) + 1
    above, below = ratio[after - 1], ratio[after]
    part = float(np.clip((above - HALF_OF_MEAN) / (above - below), 0, 1)) if above > below else 1.0
    return float(radii[after - 1] + part * (radii[after] - radii[after - 1]))


def frame_filled(stamps: NDArray[np.floating], sky: float) -> NDArray[np.float64]:
    """Size (n,) of the galaxies of stamps (n, C, S, S) in their frames, 1 where they just fit.

    By `measured_frame`. A galaxy that reaches beyond its stamp passes there for a smaller one,
    because its own light is taken for sky; the more of its light there is on the border, above the
    level `sky` of borders without a galaxy, the larger it is taken to be.
    """
    planes = np.asarray(stamps, np.float64).mean(axis=1)
    size = planes.shape[-1]
    border, middle = border_mask(size, size), slice(size * 3 // 8, size - size * 3 // 8)
    dark = np.percentile(planes[:, border], 20, axis=1)
    core = planes[:, middle, middle].mean((1, 2))
    rim = np.clip((dark - sky) / np.maximum(core - sky, LEAST_LIGHT), 0.0, 1.0)
    wanted = np.array([measured_frame(plane).wanted for plane in planes])
    wanted = np.where(np.isfinite(wanted), wanted, RINGS_BEYOND)
    return np.asarray(wanted * (1 + RIM_GROWTH * rim))


__all__ = [
    "ArcsinhStretch",
    "Frame",
    "auto_frame",
    "balanced_sample",
    "fit_stamp",
    "frame_filled",
    "measured_frame",
    "rotate_stamps",
    "seen_again",
    "sky_level",
    "split_of",
    "ttype_class",
]

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


ZOOM = 1.25
SHIFT_PX = 2.0
GAIN = 0.2
NOISE = 0.02


def seen_again(stamps: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Another look at each galaxy of stamps (N, C, S, S): the same galaxy in another picture.

    Turned by any angle, perhaps mirrored, larger or smaller by up to a quarter, moved by up to two
    pixels, brighter or fainter by up to a fifth, with up to 0.02 of noise in stretched units. What
    turns in is mirrored at the edge. The same seed gives the same looks.
    """
    rng = np.random.default_rng(seed)
    count, _, side, _ = stamps.shape
    angle = rng.uniform(0, 2 * np.pi, (count,))
    step = ZOOM ** rng.uniform(-1, 1, (count,))
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, (count, 2))
    gain = np.float32(rng.uniform(1 - GAIN, 1 + GAIN, (count, 1, 1, 1)))
    sigma = np.float32(rng.uniform(0, NOISE, (count, 1, 1, 1)))
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    middle = np.full(2, (side - 1) / 2)
    seen = np.empty_like(stamps)
    for row in range(count):
        c, s = np.cos(angle[row]) / step[row], np.sin(angle[row]) / step[row]
        matrix = np.array([[c, -s * mirror[row]], [s, c * mirror[row]]])
        offset = middle + shift[row] - matrix @ middle
        for plane, target in zip(stamps[row], seen[row], strict=True):
            ndimage.affine_transform(plane, matrix, offset, output=target, order=1, mode="mirror")
    seen *= gain
    seen += sigma * rng.standard_normal(seen.shape, dtype=np.float32)
    return seen
