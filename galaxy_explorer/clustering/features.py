"""What a clustering knows of a galaxy: vectors of its code maps, or of the stamp itself.

Five kinds of features come of code maps, behind one interface: the report's index map as it is,
code vectors, and what remains of them after pooling over rings about the centre, which stays the
same when a galaxy is turned; principal components shorten them. A galaxy is given as its code maps
in O orientations, (N, O, h, w): O = 1 for the stamp as it is, O = 8 for the four rotations and
their mirror images. Averages run over the orientations as they come, not turned back, so that a
galaxy turned by 90 degrees keeps its features.

Simple features of the stamps (pixels, radial profiles) are what features of codes must beat. What
a bundle stores of a clustering's features is enough to make those of a new galaxy alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np


def index_features(codes: np.ndarray) -> np.ndarray:
    """The map of code indices (N, h, w) as h w real numbers, float64 (N, h w).

    This is the input of the report's mixture (section 4.3.1). Indices are names, not amounts:
    renumbering the codebook changes these features, which is why `codes` stands beside them.
    """
    return codes.reshape(len(codes), -1).astype(np.float64)


@dataclass(frozen=True)
class FeatureMap:
    """Principal components: features = (vectors - mean) components^T.

    mean (F,) and components (P, F) float32, scaled alike; fitted on the training galaxies only.
    """

    mean: np.ndarray
    components: np.ndarray

    def apply(self, vectors: Any) -> np.ndarray:
        """Project vectors (N, F), dense or sparse, on the components, float64 (N, P)."""
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise ValueError(f"vectors {vectors.shape} where (N, {len(self.mean)}) is expected")
        if not isinstance(vectors, np.ndarray):
            components = self.components.T.astype(np.float64)
            return np.asarray(vectors @ components - self.mean @ components)
        centred = vectors - self.mean
        projected: np.ndarray = centred.astype(np.float64) @ self.components.T.astype(np.float64)
        return projected

    def arrays(self) -> dict[str, np.ndarray]:
        """The map as plain float32 arrays."""
        return {"pca_mean": self.mean, "pca_components": self.components}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> FeatureMap:
        """Rebuild a map. Raises ValueError where the arrays do not fit together."""
        mean, components = arrays.get("pca_mean"), arrays.get("pca_components")
        if mean is None or components is None:
            raise ValueError("pca_mean or pca_components is missing")
        if mean.ndim != 1 or components.ndim != 2 or components.shape[1] != len(mean):
            raise ValueError(f"pca_mean {mean.shape} does not fit {components.shape}")
        if mean.dtype != np.float32 or components.dtype != np.float32:
            raise ValueError("pca_mean and pca_components must be float32")
        return cls(mean, components)


def fit_pca(
    vectors: Any, n: int = 30, *, seed: int = 0, standardise: bool = False, overwrite: bool = False
) -> FeatureMap:
    """Principal components of vectors (N, F), at most `n`; deterministic, sign included.

    vectors: dense, or sparse from scipy. standardise: divide each dense column by its standard
    deviation first. overwrite: use the memory of `vectors` as scratch.

    The entry of largest size of each component is positive. All components are scaled by one
    number so that the first has unit variance: code vectors differ in size from model to model,
    and the mixture's floor on variances should not.
    """
    from sklearn.decomposition import PCA

    dense = isinstance(vectors, np.ndarray)
    n = min(n, vectors.shape[0] - 1, vectors.shape[1] - (not dense))
    spread: Any = 1.0
    if standardise:
        spread = vectors.std(0)
        spread = np.where(spread > 0, spread, 1)  # 1 where a column never changes
    model = PCA(
        n_components=n,
        svd_solver="randomized" if dense else "arpack",
        random_state=seed,
        iterated_power=7,
        copy=not overwrite,
    )
    with np.errstate(invalid="ignore"):  # vectors that are all alike have no share of variance
        model.fit(vectors / spread if standardise else vectors)
    components = model.components_ / spread
    largest = components[np.arange(n), np.abs(components).argmax(1)]
    unit = np.sqrt(model.explained_variance_[0]) or 1.0  # 0 where all vectors are alike
    components = components * (np.sign(largest)[:, None] / unit)
    return FeatureMap(
        np.ascontiguousarray(model.mean_ * spread, dtype=np.float32),
        np.ascontiguousarray(components, dtype=np.float32),
    )


def fit_vectors(
    vectors: np.ndarray, train: np.ndarray, *, n: int = 30, seed: int = 0, standardise: bool = True
) -> FeatureMap:
    """Features of vectors that are no code maps: latents, pixels, radial profiles, measurements.

    vectors (N, F); standardised and reduced to at most `n` principal components by the statistics
    of the rows `train` alone. `FeatureMap.apply` gives the features of all galaxies.
    """
    return fit_pca(vectors[train], n, seed=seed, standardise=standardise)


MOST_COMPONENTS = 60
MOVE_FLOOR = 1e-3
"""Of the mean variance between galaxies: no direction is taken for one in which nothing moves."""


def fit_aligned(
    vectors: np.ndarray, moves: Sequence[np.ndarray], n: int = 8, *, seed: int = 0
) -> FeatureMap:
    """Directions in which galaxies differ most for how little each of them moves.

    vectors (N, F): the training galaxies. moves: by what makes a galaxy look different without
    being another one (a turn, a zoom, somebody else's rendering), differences (M, F) of the
    vectors of two looks at the same galaxy. With T the scatter of the galaxies and
    W = sum over these of E[d d^T] / 2, both in the first principal components, the features are
    the generalized eigenvectors T v = lambda W v of the `n` largest lambda, with v^T W v = 1 and
    then all scaled by one number so that the first has unit variance: equal distances are equally
    many moves. No label is used. This is Fisher's discriminant with each galaxy as a class of its
    own.

    Raises ValueError where there are no moves, or fewer galaxies than components.
    """
    from scipy.linalg import eigh

    if not sum(map(len, moves)):
        raise ValueError("no galaxy was looked at twice")
    if len(vectors) <= n:
        raise ValueError(f"{len(vectors)} galaxies are too few for {n} components")
    first = fit_pca(vectors, MOST_COMPONENTS, seed=seed)
    between = np.cov(first.apply(vectors), rowvar=False)
    within = np.eye(len(between)) * MOVE_FLOOR * np.trace(between) / len(between)
    for seen in moves:
        steps = seen.astype(np.float64) @ first.components.T
        within += steps.T @ steps / (2 * max(len(steps), 1))
    values, directions = eigh(between, within)
    components = directions[:, ::-1][:, :n].T @ first.components.astype(np.float64)
    largest = components[np.arange(len(components)), np.abs(components).argmax(1)]
    components *= np.sign(largest)[:, None] / np.sqrt(values[-1])
    return FeatureMap(first.mean, np.ascontiguousarray(components, dtype=np.float32))


def moved_share(fitted: FeatureMap, vectors: np.ndarray, moves: np.ndarray) -> float:
    """How far a galaxy moves, of how far two galaxies lie apart: E|d|^2 / E|a - b|^2 of features.

    vectors (N, F), moves (M, F) as in `fit_aligned`, of galaxies that the fit did not see. 0 where
    every look at a galaxy gives the same features, 1 where it might as well be another galaxy.
    """
    apart = 2 * fitted.apply(vectors).var(0).sum()
    moved = np.square(moves.astype(np.float64) @ fitted.components.T.astype(np.float64))
    return float(moved.sum(1).mean() / apart)


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
    count, orders, cells = rings.waves.shape
    waves = rings.waves.reshape(-1, cells)
    # One product for all of them: three times as fast as four sums
    sums = np.matmul(np.concatenate([rings.mean, waves.real, waves.imag]), values)
    mean, real, imaginary = np.split(sums, [count, count + len(waves)], axis=1)
    square = np.matmul(rings.mean, np.square(values))
    scatter = np.sqrt(np.maximum(square - np.square(mean), 0))
    return mean, scatter, np.hypot(real, imaginary).reshape(len(values), count, orders, -1)


COMPONENTS = 30
BLOCK_ROWS = 256


def index_vectors(maps: np.ndarray, codebook: np.ndarray) -> np.ndarray:  # noqa: ARG001
    """Code indices as real numbers, the report's features (section 4.3.1), float64 (n, h w).

    Renumbering the codebook changes them.
    """
    return np.asarray(maps.reshape(*maps.shape[:2], -1).mean(1, dtype=np.float64))


def onehot_vectors(maps: np.ndarray, codebook: np.ndarray) -> Any:
    """Share of the orientations with code k at each place, sparse (n, h w K) float32.

    For one orientation |difference|^2 is twice the Hamming distance of the maps.
    """
    from scipy.sparse import csr_array

    n, turns, cells = len(maps), maps.shape[1], maps[0, 0].size
    columns = maps.reshape(n, turns, cells) + len(codebook) * np.arange(cells)  # (n, O, h w)
    starts = np.arange(n + 1) * turns * cells
    shares = np.full(columns.size, 1 / turns, np.float32)
    vectors = csr_array((shares, columns.ravel(), starts), shape=(n, cells * len(codebook)))
    vectors.sum_duplicates()
    return vectors


def code_vectors(maps: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Code vector at each place, averaged over the orientations, float32 (n, h w D)."""
    turns = maps.shape[1]
    vectors = np.zeros((*maps.shape[:1], *maps.shape[2:], codebook.shape[1]), np.float32)
    for turn in range(turns):
        vectors += codebook[maps[:, turn]] / np.float32(turns)  # (n, h, w, D)
    return vectors.reshape(len(maps), -1)


def histogram_vectors(maps: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Share of the places that hold each code, float32 (n, K): where they are is forgotten."""
    n, K = len(maps), len(codebook)
    flat = maps.reshape(n, -1)
    counts = np.bincount((flat + K * np.arange(n)[:, None]).ravel(), minlength=n * K)
    return (counts.reshape(n, K) / flat.shape[1]).astype(np.float32)


def ring_vectors(maps: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Code vectors pooled over rings about the centre, float32 (n, F).

    For each ring the mean and the standard deviation of each of the D numbers, and the amplitude
    of their azimuthal waves of order 1 to 4, summed over D; averaged over the orientations.
    """
    side = maps.shape[-1]
    rings = rings_of(side, RING_WIDTHS.get(side, 1.0))
    total: np.ndarray | float = 0.0
    codebook = codebook.astype(np.float32, copy=False)
    for turn in range(maps.shape[1]):
        values = codebook[maps[:, turn]].reshape(len(maps), side * side, -1)
        mean, scatter, waves = pool_rings(values, rings)
        power = np.sqrt(np.square(waves).sum(3))
        parts = [part.reshape(len(maps), -1) for part in (mean, scatter, power)]
        total = total + np.concatenate(parts, axis=1) / maps.shape[1]
    return np.asarray(total, dtype=np.float32)


VECTORS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "index": index_vectors,
    "onehot": onehot_vectors,
    "codes": code_vectors,
    "histogram": histogram_vectors,
    "rings": ring_vectors,
}
FEATURE_KINDS = tuple(VECTORS)
POOLED = ("rings", "aligned")
"""Kinds of features that are made of the same vectors: together they know more."""


@dataclass(frozen=True)
class CodeFeatures:
    """Features of one kind, ready for new galaxies.

    kind: one of FEATURE_KINDS. codebook (K, D) float32. feature_map: principal components fitted
    on the training galaxies, None for "index", which the report uses as it is.
    """

    kind: str
    codebook: np.ndarray
    feature_map: FeatureMap | None

    def apply(self, maps: np.ndarray) -> np.ndarray:
        """Features (N, P) float64 of code maps (N, O, h, w), block by block."""
        blocks = []
        for start in range(0, len(maps), BLOCK_ROWS):
            vectors = VECTORS[self.kind](maps[start : start + BLOCK_ROWS], self.codebook)
            fitted = self.feature_map
            blocks.append(vectors if fitted is None else fitted.apply(vectors))
        return np.concatenate(blocks)


def fit_code_features(
    kind: str,
    maps: np.ndarray,
    codebook: np.ndarray,
    train: np.ndarray,
    *,
    n: int = COMPONENTS,
    seed: int = 0,
) -> CodeFeatures:
    """Fit the features of a kind on the training galaxies.

    maps (N, O, h, w) code indices, codebook (K, D), train: rows of the training galaxies. At most
    `n` principal components. Raises ValueError for an unknown kind or maps of another shape.
    """
    if kind not in VECTORS:
        raise ValueError(f"features {kind!r}: unknown; choose {', '.join(FEATURE_KINDS)}")
    if maps.ndim != 4:
        raise ValueError(f"code maps {maps.shape} where (N, orientations, h, w) is expected")
    codebook = np.asarray(codebook, dtype=np.float32)
    if kind == "index":
        return CodeFeatures(kind, codebook, None)
    blocks = [train[i : i + BLOCK_ROWS] for i in range(0, len(train), BLOCK_ROWS)]
    first = VECTORS[kind](maps[blocks[0]], codebook)
    vectors: Any
    if isinstance(first, np.ndarray):  # one array: the largest that is ever held
        vectors = np.empty((len(train), first.shape[1]), np.float32)
        for number, rows in enumerate(blocks):
            start = number * BLOCK_ROWS
            vectors[start : start + len(rows)] = VECTORS[kind](maps[rows], codebook)
    else:
        from scipy.sparse import vstack

        vectors = vstack([first, *(VECTORS[kind](maps[rows], codebook) for rows in blocks[1:])])
    return CodeFeatures(kind, codebook, fit_pca(vectors, n, seed=seed, overwrite=True))


RING_PIXELS = 2.0
PROFILE_BLOCK_ROWS = 512
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
    for start in range(0, len(stamps), PROFILE_BLOCK_ROWS):
        block = np.asarray(stamps[start : start + PROFILE_BLOCK_ROWS], dtype=np.float32)
        values = np.moveaxis(block, 1, -1).reshape(len(block), side * side, -1)  # (n, S S, C)
        mean, scatter, waves = pool_rings(values, rings)
        level = np.abs(mean) + mean.max(1, keepdims=True).clip(FAINTEST) / 100
        parts = (mean, scatter / level, waves / level[:, :, None])
        blocks.append(np.concatenate([part.reshape(len(block), -1) for part in parts], axis=1))
    return np.concatenate(blocks).astype(np.float32)


FINE_PX = (1.0, 2.0)
FLOOR_RINGS = 14


def light_vectors(stamps: np.ndarray) -> np.ndarray:
    """What rings of the stamps (N, C, S, S) say for which nothing is trained, float32 (N, F).

    For each of 14 rings about the centre and each channel: mean; scatter; energy of what a
    Gaussian of 1 and of 2 px smooths away; mean difference from the stamp turned by 180 degrees;
    amplitude of the azimuthal waves m = 1..4, both over the mean brightness; the difference of the
    mean from that of the first channel. Then the axis ratio of the light's second moments.
    Unchanged by a rotation of 90 degrees or a mirror image.
    """
    from scipy.ndimage import gaussian_filter

    side = stamps.shape[-1]
    rings = rings_of(side, side / 2 / FLOOR_RINGS, full=False)
    blocks = []
    for start in range(0, len(stamps), PROFILE_BLOCK_ROWS):
        block = np.asarray(stamps[start : start + PROFILE_BLOCK_ROWS], dtype=np.float32)

        def per_ring(maps: np.ndarray, n: int = len(block)) -> np.ndarray:
            flat = maps.reshape(n, -1, side * side)
            return np.asarray(np.einsum("rs,ncs->nrc", rings.mean, flat))

        values = np.moveaxis(block, 1, -1).reshape(len(block), side * side, -1)
        mean, scatter, waves = pool_rings(values, rings)
        level = np.abs(mean) + mean.max(1, keepdims=True).clip(FAINTEST) / 100
        fine = [
            per_ring(np.square(block - gaussian_filter(block, (0, 0, px, px)))) for px in FINE_PX
        ]
        turned = per_ring(np.abs(block - block[..., ::-1, ::-1])) / level
        parts = (mean, scatter, *fine, turned, waves / level[:, :, None], (mean - mean[..., :1]))
        flat = [part.reshape(len(block), -1) for part in parts]
        blocks.append(np.concatenate([*flat, _axis_ratio(block)[:, None]], axis=1))
    return np.concatenate(blocks).astype(np.float32)


def _axis_ratio(stamps: np.ndarray) -> np.ndarray:
    """Axis ratio (n,) of the second moments of the light of stamps (n, C, S, S) above its edge."""
    light = stamps.mean(1, dtype=np.float64)
    sides = (light[:, 0], light[:, -1], light[:, :, 0], light[:, :, -1])
    edge = np.median(np.concatenate(sides, axis=1), axis=1)
    light = (light - edge[:, None, None]).clip(0)
    y, x = np.indices(light.shape[1:]) - (light.shape[-1] - 1) / 2
    total = light.sum((1, 2)).clip(FAINTEST)
    xx, yy, xy = ((light * part).sum((1, 2)) / total for part in (x * x, y * y, x * y))
    spread = np.hypot((xx - yy) / 2, xy)
    middle = (xx + yy) / 2
    return np.asarray(np.sqrt((middle - spread).clip(0) / (middle + spread).clip(FAINTEST)))


def pixel_vectors(stamps: np.ndarray) -> np.ndarray:
    """All pixels of stamps (N, C, S, S), float32 (N, C S S), a view where that is possible."""
    return np.asarray(stamps.reshape(len(stamps), -1), dtype=np.float32)


def serve_features(
    kind: str, codes: np.ndarray, codebook: np.ndarray | None, feature_map: FeatureMap | None
) -> np.ndarray:
    """Features (n, P) of galaxies by what they are encoded to, (n, O, ...) in O orientations.

    kinds "codes", "rings" and "aligned" average over all orientations, which must be the eight of
    the stamp, and need the codebook (K, D); "index" and "latents" look at the first.
    """
    if feature_map is None:
        return index_features(codes[:, 0])
    return feature_map.apply(served_vectors(kind, codes, codebook))


def served_vectors(kind: str, codes: np.ndarray, codebook: np.ndarray | None) -> np.ndarray:
    """What `serve_features` projects, (n, F): of all kinds in POOLED the same."""
    if kind == "latents" or codebook is None:
        return codes[:, 0].astype(np.float32)
    return (ring_vectors if kind in POOLED else code_vectors)(codes, codebook)
