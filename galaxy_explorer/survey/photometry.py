"""Simple measurements of stamps: sky and its noise, the galaxy's size, shape and angle, its colour.

Meant to tell what clusters follow besides the Hubble type, and how much of a colour a
reconstruction keeps. In the units of the stamp: of an arcsinh-stretched one the measures are those
of the stretched light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from galaxy_explorer.survey.limits import MAX_BAD_SHARE
from galaxy_explorer.utils.resampling import bootstrap, slope


def bands_of(text: str | None) -> list[str]:
    """Names of the planes of a survey's stamps, from its field `band`, such as "i, r, g"."""
    return [name.strip() for name in (text or "").split(",")]


def colour_index(stamps: np.ndarray, blue: int, red: int) -> np.ndarray:
    """2.5 log10 of summed red over summed blue pixels, (N,), of stamps (N, C, S, S).

    In stretched pixels this is a proxy of the colour, not the colour in magnitudes: the arcsinh
    stretch flattens bright cores. Only ratios of such numbers made in the same way mean anything.
    """
    sums = stamps.sum(axis=(-2, -1), dtype=np.float64)
    floor = np.maximum(sums, 1e-6)
    index: np.ndarray = 2.5 * np.log10(floor[:, red] / floor[:, blue])
    return index


def slope_kept(
    real: np.ndarray, drawn: np.ndarray, ttype: np.ndarray, *, seed: int = 0
) -> dict[str, float]:
    """Slope of a measure against T, reconstruction over real, galaxies (n,) without T left out.

    slope_real, slope_drawn: least squares. kept: their ratio, with a 95 % interval over galaxies
    resampled in pairs (kept_low, kept_high). kept_control: the same with the reconstructions of
    other galaxies, which should be near 0.
    """
    known = ~np.isnan(ttype)
    t, x, y = ttype[known], real[known], drawn[known]
    rng = np.random.default_rng(seed)
    kept = bootstrap(lambda r: slope(t[r], y[r]) / slope(t[r], x[r]), len(t), seed=seed)
    before = slope(t, x)
    return {
        "slope_real": before,
        "slope_drawn": slope(t, y),
        "kept": kept.value,
        "kept_low": kept.low,
        "kept_high": kept.high,
        "kept_control": slope(t, rng.permutation(y)) / before,
        "n": len(t),
    }


def colour_figures(
    stamps: np.ndarray, drawn: np.ndarray, ttype: np.ndarray, bands: list[str], variance: np.ndarray
) -> dict[str, float]:
    """What reconstructions (n, C, S, S) keep of held-out stamps in several bands.

    nmse_<band>: mean squared error over `variance` (C,) of that band's training pixels. With bands
    g and r: `slope_kept` of the g - r proxy, its fields after `g_r_`.
    """
    errors = np.square(drawn - stamps).mean(axis=(0, 2, 3), dtype=np.float64) / variance
    figures = {f"nmse_{band}": float(error) for band, error in zip(bands, errors, strict=True)}
    if {"g", "r"} <= set(bands):
        blue, red = bands.index("g"), bands.index("r")
        real, made = colour_index(stamps, blue, red), colour_index(drawn, blue, red)
        figures |= {f"g_r_{name}": value for name, value in slope_kept(real, made, ttype).items()}
    return figures


Floats = NDArray[np.float64]

SKY_CLIP_SIGMA = 3.0
SKY_ITERATIONS = 10
SKY_BORDER = 0.1
MAD_TO_SIGMA = 1.4826
SMALLEST_GAP_PX = 8  # of the edge, with one exact value
NOISELESS_SHARE = 0.9  # of the edge
GAP_SIGMA = 5.0
MOST_LOW_VALUES = 16
BESIDE_PX, BEYOND_PX = (1, 3), (5, 8)  # from a frame, where its neighbours are looked at
BOTH_SIDES = 0.1  # of them lie at least on either side of the frame's value, where there is noise
FLAT = 0.1  # at most does their level change
FILL_PX = 1.0
FADE_PX = 4.0


def sky_level(image: ArrayLike, valid: ArrayLike | None = None) -> tuple[float, float]:
    """Sky and its sigma from the border (a tenth of each side), clipped at 3 sigma.

    `image` is (..., H, W); `valid`, of the same shape, is False where there are no data. Each pass
    keeps what lies within 3 scaled median absolute deviations of the median, so neighbours on the
    border hardly count; the sky is the median of what is left and sigma its standard deviation
    (pixels in whole counts make the median deviation too coarse). Sigma is never zero.
    """
    pixels = np.asarray(image)
    border = border_mask(pixels.shape[-2], pixels.shape[-1])
    values = pixels[..., border].ravel().astype(np.float64)
    known = np.isfinite(values)
    if valid is not None:
        known &= np.asarray(valid, bool)[..., border].ravel()
    values = values[known]
    if values.size == 0:
        return 0.0, 1.0
    kept = np.sort(values)  # what is clipped lies at its ends
    for _ in range(SKY_ITERATIONS):
        off = np.abs(kept - _middle(kept))
        sigma = MAD_TO_SIGMA * _middle(np.sort(off))
        near = kept[off <= SKY_CLIP_SIGMA * sigma]
        if near.size == kept.size or sigma == 0.0:
            break
        kept = near
    centre = _middle(kept)
    sigma = float(values[(values >= kept[0]) & (values <= kept[-1])].std())
    smallest = max(abs(centre), _largest(pixels), 1e-30) * 1e-6
    return centre, max(sigma, smallest)


def _middle(ascending: Floats) -> float:
    """The median of values in ascending order."""
    size = len(ascending)
    return float((ascending[(size - 1) // 2] + ascending[size // 2]) / 2)


def _largest(pixels: NDArray[Any]) -> float:
    """The largest size of finite pixels, 0 where there are none."""
    ends = float(pixels.min()), float(pixels.max())
    if np.isfinite(ends).all():
        return max(map(abs, ends))
    return float(np.abs(pixels).max(initial=0.0, where=np.isfinite(pixels)))


def gaps(plane: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Regions of one exact value in linear pixels (H, W) that are no data.

    Those that touch the edge (chip gaps, footprints) with at least 8 pixels of it; among whole
    numbers, where neighbours are often equal, they must lie 5 sigma off the sky. A value on nearly
    all of the edge is a sky without noise, unless the noise begins beside it. And those of at least
    8 pixels anywhere that lie 5 sigma below the sky: saturated cores, masked stars, dead blocks.
    """
    found = np.zeros(plane.shape, bool)
    ordered = np.sort(plane[valid], axis=None)
    if not (ordered[SMALLEST_GAP_PX - 1 :] == ordered[: 1 - SMALLEST_GAP_PX]).any():
        return found  # no value is there so often
    edge = np.zeros(plane.shape, bool)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    values, counts = np.unique(plane[edge & valid], return_counts=True)
    border = border_mask(*plane.shape) & valid
    for value in values[counts >= SMALLEST_GAP_PX].tolist():
        equal = plane == value
        labels, _ = _regions(equal)
        region = np.isin(labels, np.unique(labels[edge & equal]))
        rest = plane[border & ~equal].astype(np.float64)
        if (region & edge).sum() > NOISELESS_SHARE * edge.sum():
            if not _noise_begins(plane, valid, region):
                continue
            rest = plane[_ring(region, *BESIDE_PX) & valid].astype(np.float64)
        if (region & edge).sum() < SMALLEST_GAP_PX or rest.size == 0:
            continue
        kinds = np.unique(rest)
        if len(kinds) < rest.size / 2:  # whole numbers
            step = float(np.diff(kinds).min(initial=np.inf))
            off = np.abs(rest - np.median(rest))
            sigma = max(MAD_TO_SIGMA * float(np.median(off)), step if len(kinds) > 1 else 1.0)
            if abs(value - float(np.median(rest))) <= GAP_SIGMA * sigma:
                continue
        found |= region
    known = valid & ~found
    if known.any():
        with np.errstate(invalid="ignore"):
            sky, sigma = sky_level(plane, known)
        low = known & (plane < sky - GAP_SIGMA * sigma)
        values, counts = np.unique(plane[low], return_counts=True)
        order = np.argsort(-counts)[:MOST_LOW_VALUES]
        for value in values[order][counts[order] >= SMALLEST_GAP_PX].tolist():
            labels, _ = _regions(low & (plane == value))
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            found |= (sizes >= SMALLEST_GAP_PX)[labels]
    return found


def _regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Connected regions of a mask, numbered from 1, and how many there are."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    return labels, int(count)


def _ring(region: NDArray[np.bool_], first: int, last: int) -> NDArray[np.bool_]:
    """The pixels from `first` to `last` px beside a region."""
    from scipy import ndimage

    distance = ndimage.distance_transform_cdt(~region, metric="chessboard")
    return np.asarray((distance >= first) & (distance <= last))


def _noise_begins(plane: NDArray[Any], valid: NDArray[np.bool_], region: NDArray[np.bool_]) -> bool:
    """Whether a region of one value around all of the picture is a frame about a noisy sky.

    Beside it are then values on both sides of its own, or a flat level that is none of it; light
    that fades into a noiseless sky is on one side and rises away from it.
    """
    if region.mean() > MAX_BAD_SHARE:
        return False
    value = float(plane[region][0])
    near, far = (
        plane[_ring(region, *reach) & valid].astype(np.float64) - value
        for reach in (BESIDE_PX, BEYOND_PX)
    )
    if min(near.size, far.size) < SMALLEST_GAP_PX:
        return False
    if min((near < 0).mean(), (near > 0).mean()) > BOTH_SIDES:
        return True
    level = float(np.median(near))
    return level != 0 and abs(float(np.median(far)) / level - 1) < FLAT


def fill_holes(plane: NDArray[Any], valid: NDArray[np.bool_], sky: float) -> None:
    """Fill the pixels (H, W) that are not `valid`, in place, from their neighbours.

    Each takes the mean of the data around the nearest pixel that has some, fading into the sky.
    """
    from scipy import ndimage

    distance, nearest = ndimage.distance_transform_edt(~valid, return_indices=True)
    known = valid.astype(np.float32)
    light = np.where(valid, plane - sky, 0).astype(np.float32)
    share = ndimage.gaussian_filter(known, FILL_PX)
    mean = ndimage.gaussian_filter(light, FILL_PX) / np.maximum(share, 1e-6)
    hole = ~valid
    rows, columns = nearest[0][hole], nearest[1][hole]
    fade = np.exp(-0.5 * np.square(distance[hole] / FADE_PX))
    plane[hole] = sky + mean[rows, columns] * fade


@lru_cache(maxsize=16)
def border_mask(height: int, width: int) -> NDArray[np.bool_]:
    """True on the outer tenth of each side of an (H, W) image, at least one pixel."""
    rows, columns = max(1, round(SKY_BORDER * height)), max(1, round(SKY_BORDER * width))
    mask = np.ones((height, width), dtype=bool)
    mask[rows : height - rows, columns : width - columns] = False
    mask.flags.writeable = False
    return mask


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


def segment(stamp: Floats, smallest: float = SMALLEST_SIGMA) -> Segments:
    """Sources of a stamp (S, S) above 1.5 sigma of its sky, of at least 8 pixels.

    The galaxy is the source that holds the centre, else the one nearest to it. Without any source
    it is the disc of a quarter of the stamp's side about the centre. smallest: sigma that the sky
    has at least, in the unit of the stamp; 0 for linear flux, whose unit may be any.
    """
    from scipy import ndimage

    sky, sigma = sky_level(stamp)
    sigma = max(sigma, smallest)
    smooth = ndimage.gaussian_filter(stamp - sky, SMOOTHING_PX)
    found, count = ndimage.label(smooth > DETECTION_SIGMA * sigma)
    sizes = np.bincount(found.ravel(), minlength=count + 1)
    sizes[0] = 0
    distance = np.hypot(*(np.indices(stamp.shape) - (stamp.shape[-1] - 1) / 2))
    kept = np.flatnonzero(sizes >= SMALLEST_SOURCE_PX)
    if len(kept) == 0:
        disc = distance <= stamp.shape[-1] / 4
        return Segments(disc.astype(np.int32), sky, sigma)
    nearest = ndimage.minimum(distance, found, kept)
    order = kept[np.argsort(nearest, kind="stable")]
    renamed = np.zeros(count + 1, np.int32)
    renamed[order] = np.arange(1, len(order) + 1)
    return Segments(renamed[found], sky, sigma)


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


TONE_DEGREE = 4
TONE_RIDGE = 1e-2
TONE_KEPT = 0.8  # of the pixels, those that the first fit suits best: the others are not aligned
SMOOTHED = 32  # of a stamp's side: so wide are pictures smoothed that are not aligned to a pixel
EDGE, GRID = 8, 16  # likewise: what is left out at the edge, and the distance of compared pixels


@dataclass(frozen=True)
class ToneMap:
    """How the pixels of one rendering look in another: each band a polynomial of all bands.

    coefficients (T, C): of the products of bands in the order of `_products`.
    """

    coefficients: NDArray[np.float64]

    def apply(self, stamps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Stretched stamps (n, C, S, S) in the other rendering, within 0 and 1."""
        pixels = np.moveaxis(np.clip(stamps, 0, 1), 1, -1)
        mapped = _products(pixels.reshape(-1, pixels.shape[-1])) @ self.coefficients
        shown = np.clip(mapped, 0, 1).reshape(pixels.shape).astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(shown, -1, 1))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `survey.json` keeps them."""
        return {"degree": TONE_DEGREE, "coefficients": self.coefficients.tolist()}


def fit_tone(own: NDArray[np.float32], other: NDArray[np.float32]) -> ToneMap:
    """The map from one rendering to another by the same galaxies in both, (n, C, S, S) each.

    Least squares over pixels of smoothed stamps, once more without those that suit it least.
    """
    seen, wanted = _compared(own), _compared(other)
    products = _products(seen)
    first = _ridge(products, wanted)
    off = np.abs(products @ first - wanted).max(1)
    near = off <= np.quantile(off, TONE_KEPT)
    return ToneMap(_ridge(products[near], wanted[near]))


def tone_difference(own: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Mean squared difference of smoothed stamps over the variance of the others'."""
    seen, wanted = _compared(own), _compared(other)
    return float(np.square(seen - wanted).mean() / wanted.var())


def _compared(stamps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pixels (n, C) of smoothed stamps on a grid."""
    side = stamps.shape[-1]
    width = side / SMOOTHED
    smooth = ndimage.gaussian_filter(stamps.astype(np.float64), (0, 0, width, width))
    grid = slice(side // EDGE, side - side // EDGE, max(1, side // GRID))
    pixels = np.moveaxis(smooth[:, :, grid, grid], 1, -1)
    return np.asarray(pixels.reshape(-1, stamps.shape[1]), dtype=np.float64)


def _products(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """All products of at most TONE_DEGREE of the bands of pixels (n, C), (n, T)."""
    bands = range(pixels.shape[1])
    terms = [c for d in range(TONE_DEGREE + 1) for c in combinations_with_replacement(bands, d)]
    return np.stack([np.prod(pixels[:, term], axis=1, dtype=np.float64) for term in terms], axis=1)


def _ridge(products: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    inner = products.T @ products + TONE_RIDGE * np.eye(products.shape[1])
    return np.asarray(np.linalg.solve(inner, products.T @ wanted), dtype=np.float64)


DETAIL = ("noise", "fine detail", "detail", "coarse detail", "light", "peak", "extent")
"""What `detail_measures` measures."""
LITTLE = 1e-3  # in stretched units: below it logarithms say nothing
REFERENCE_PX = 64  # widths below are in pixels of a stamp of so many


def detail_measures(stamps: NDArray[np.floating]) -> NDArray[np.float64]:
    """How much detail, noise and light stretched stamps (n, C, S, S) have: (n, 7), see DETAIL.

    Natural logarithms; of the mean of all bands. noise: of what a Gaussian of 1 px takes off the
    border, by the median deviation. fine detail, detail, coarse detail: root mean square of what
    lies between Gaussians of 0, 1, 2 and 4 px. light, peak: above the border's median. extent: root
    mean square distance of the light from the middle, in sides of the stamp.
    """
    planes = np.asarray(stamps, np.float64).mean(axis=1)  # (n, S, S)
    size = planes.shape[-1]
    unit = size / REFERENCE_PX
    smooth = [planes, *(_smoothed(planes, width * unit) for width in (1.0, 2.0, 4.0))]
    bands = [fine - coarse for fine, coarse in pairwise(smooth)]
    border = border_mask(size, size)
    rim = bands[0][:, border]
    noise = MAD_TO_SIGMA * np.median(np.abs(rim - np.median(rim, axis=1)[:, None]), axis=1)
    above = smooth[1] - np.median(planes[:, border], axis=1)[:, None, None]
    light = np.maximum(above, 0.0)
    y, x = np.indices((size, size)) - (size - 1) / 2
    total = light.sum((1, 2)) + LITTLE
    extent = np.sqrt((light * (x**2 + y**2)).sum((1, 2)) / total) / size
    values = [
        noise, *(np.sqrt(np.square(band).mean((1, 2))) for band in bands),
        total / size**2, light.max((1, 2)), extent,
    ]  # fmt: skip
    return np.log(np.stack(values, axis=1) + LITTLE)


def _smoothed(planes: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    return np.asarray(
        ndimage.gaussian_filter(planes, (0, width, width), mode="nearest", truncate=3)
    )


def rim_level(stamps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Median (n,) of the border of stamps (n, C, S, S), of the mean of all bands."""
    planes = np.asarray(stamps, np.float64).mean(axis=1)
    return np.asarray(np.median(planes[:, border_mask(*planes.shape[1:])], axis=1))
