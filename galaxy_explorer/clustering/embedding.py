"""Where a galaxy lies: a map for the eye (UMAP, never used for clustering), and its neighbours.

Neighbours are those in the space of a clustering's features (N, P): look-alikes of a galaxy, and
galaxies that have hardly any. Distances are Euclidean, exact, in float64.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 15
MIN_DISTANCE = 0.1
BLOCK_ROWS = 256
SAME = 1e-12

Floats = NDArray[np.float64]


def fit_map(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Two-dimensional UMAP of features (N, P): coordinates (N, 2) float32.

    Deterministic by seed, for which UMAP needs a single thread. The first call in a process
    compiles for about half a minute. Time grows as N^1.1 (100,000 take eight minutes): a larger
    survey's map is drawn from `landmarks`, and the rest placed by `place_rest`.
    """
    _keep_compiled()
    from umap import UMAP

    neighbours = min(NEIGHBOURS, len(features) - 1)
    model = UMAP(n_neighbors=neighbours, min_dist=MIN_DISTANCE, random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        # Small surveys have fewer galaxies than the spectral start needs; it then starts at random.
        warnings.simplefilter("ignore", UserWarning)
        coordinates = model.fit_transform(np.asarray(features, dtype=np.float32))
    return np.ascontiguousarray(coordinates, dtype=np.float32)


def _keep_compiled() -> None:
    """Give numba a folder for what it compiles where it would find none and refuse to start.

    It looks beside the package, which may be read-only, and in the user's cache, whose home there
    may not be.
    """
    import platformdirs

    from galaxy_explorer.utils.files import can_write, temporary_folder

    spec = importlib.util.find_spec("umap")
    beside = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    own = Path(platformdirs.user_cache_dir("numba"))
    if os.environ.get("NUMBA_CACHE_DIR") or os.access(beside, os.W_OK):
        return
    if own.is_absolute() and can_write(own):
        return
    folder = str(temporary_folder("numba"))
    os.environ["NUMBA_CACHE_DIR"] = folder
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = folder


PLACED_BY = 5
"""Neighbours among which a galaxy is placed: of 3 to 30 the best (benchmarks/README.md)."""
LANDMARKS = 100_000
HELD_OUT = 2000
"""Landmarks that are placed again, to say by how much a placed galaxy misses; a tenth at most."""


class Placing:
    """Where new galaxies lie on a map, among the nearest of its own.

    features (N, P), coordinates (N, 2). neighbours: what finds them, made once, so one `Placing`
    should serve all that is asked.
    """

    def __init__(self, features: ArrayLike, coordinates: ArrayLike) -> None:
        self.features = np.asarray(features)
        self.coordinates = np.asarray(coordinates)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Finds the nearest of the known galaxies."""
        return Neighbours(self.features)

    def place(self, new_features: ArrayLike, k: int = PLACED_BY) -> NDArray[np.float32]:
        """Places (M, 2) of galaxies with features (M, P); see `among`."""
        return self.among(new_features, k)[0]

    def among(
        self, new_features: ArrayLike, k: int = PLACED_BY
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Places (M, 2) of galaxies with features (M, P), and how far they lie from known ones.

        Each lands at the mean of its k nearest neighbours weighted by 1 / distance squared, so a
        known galaxy lands on itself. The distance (M,) is the mean of those to the k, in units of
        the features: small where galaxies of its kind are frequent.
        """
        near, distances = self.neighbours.of(new_features, k)
        squared = np.square(distances)
        weights = 1 / (squared + SAME * np.maximum(squared.max(1, keepdims=True), SAME))
        weights /= weights.sum(1, keepdims=True)
        placed = np.einsum("mk,mkx->mx", weights, self.coordinates[near])
        return placed.astype(np.float32), distances.mean(1).astype(np.float32)


def place_on_map(
    new_features: ArrayLike, features: ArrayLike, coordinates: ArrayLike, k: int = PLACED_BY
) -> NDArray[np.float32]:
    """Put new galaxies (M, P) once among those of an existing map, (M, 2); see `Placing`."""
    return Placing(features, coordinates).place(new_features, k)


class Placed(NamedTuple):
    """A map of which some galaxies were drawn by UMAP and the others placed among them.

    coordinates (N, 2) float32. error: median distance between where UMAP drew a landmark and where
    its neighbours put it, for `held` of the landmarks, over the root mean square distance of the
    landmarks from their centre.
    """

    coordinates: NDArray[np.float32]
    held: int
    error: float


def landmarks(count: int, most: int = LANDMARKS, seed: int = 0) -> NDArray[np.int64]:
    """Which of `count` galaxies UMAP draws, ascending: at most so many, drawn at random."""
    drawn = np.random.default_rng(seed).permutation(count)[:most]
    return np.sort(drawn).astype(np.int64)


def place_rest(
    features: ArrayLike,
    rows: NDArray[np.int64],
    places: NDArray[np.float32],
    *,
    seed: int = 0,
    advance: Callable[[int], None] = lambda _: None,
) -> Placed:
    """The map of all galaxies from that of its landmarks.

    features (N, P); rows (L,): the landmarks; places (L, 2): where UMAP drew them, and where they
    stay. advance: is told of each galaxy placed.
    """
    every = np.asarray(features)
    coordinates = np.empty((len(every), 2), np.float32)
    coordinates[rows] = places
    rest = np.setdiff1d(np.arange(len(every)), rows)
    among = Placing(every[rows], places)
    for start in range(0, len(rest), BLOCK_ROWS):
        part = rest[start : start + BLOCK_ROWS]
        coordinates[part] = among.place(every[part])
        advance(len(part))
    held = np.random.default_rng((seed, 1)).permutation(len(rows))[: min(HELD_OUT, len(rows) // 10)]
    others = np.delete(np.arange(len(rows)), held)
    again = Placing(every[rows[others]], places[others]).place(every[rows[held]])
    spread = np.sqrt(np.square(places - places.mean(0)).sum(1).mean())
    missed = np.linalg.norm(again - places[held], axis=1)
    return Placed(coordinates, len(held), float(np.median(missed) / spread))


BLOCK = 1024
DENSITY_NEIGHBOUR = 15
MAX_REFERENCE = 20_000
"""Galaxies that the density is estimated from: an even sample where there are more."""


def nearest(features: ArrayLike, vector: ArrayLike, k: int) -> tuple[NDArray[np.int64], Floats]:
    """The `k` galaxies nearest to a vector (P,): rows and distances, nearest first.

    Ties are broken by row. A galaxy of the catalogue finds itself first, at distance 0.
    """
    known = np.asarray(features)
    target = np.asarray(vector, np.float64)
    squared = np.empty(len(known))
    for start in range(0, len(known), BLOCK):
        offset = known[start : start + BLOCK].astype(np.float64) - target
        squared[start : start + BLOCK] = np.einsum("np,np->n", offset, offset)
    rows = np.argsort(squared, kind="stable")[:k]
    return rows.astype(np.int64), np.sqrt(squared[rows])


MAX_TREE_FEATURES = 24
"""Features of a galaxy up to which a tree finds neighbours faster than a look at all of them."""
FEW = 10_000
"""Galaxies that are looked at one by one, without a tree."""
COMPARED = 32
"""Galaxies that are compared with all others at a time: N numbers each."""


class Neighbours:
    """Finds the nearest among many galaxies, exactly: features (N, P), kept.

    Of FEW galaxies or more, of few features, a k-d tree is built: a second for a million galaxies,
    8 (P + 2) bytes each. Elsewhere each question is a look at all of them.
    """

    def __init__(self, features: np.ndarray) -> None:
        self._features = features
        many = len(features) >= FEW and features.shape[1] <= MAX_TREE_FEATURES
        self._tree = _tree(features) if many else None

    def nearest(self, vector: ArrayLike, k: int) -> tuple[NDArray[np.int64], Floats]:
        """As `nearest`; ties are broken by row among those that are returned."""
        if self._tree is None:
            return nearest(self._features, vector, k)
        rows, far = self.of(np.asarray(vector)[None], k)
        return rows[0], far[0]

    def of(self, vectors: ArrayLike, k: int) -> tuple[NDArray[np.int64], Floats]:
        """The same of each of many vectors (M, P): rows and distances, (M, k) both."""
        new, k = np.asarray(vectors, np.float64), min(k, len(self._features))
        rows, far = np.empty((len(new), k), np.int64), np.empty((len(new), k))
        for start in range(0, len(new), COMPARED):
            part = slice(start, start + COMPARED)
            near, distances = self._of_some(new[part], k)
            order = np.lexsort((near, distances))
            rows[part] = np.take_along_axis(near, order, 1)
            far[part] = np.take_along_axis(distances, order, 1)
        return rows, far

    def _of_some(self, block: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
        """Rows and distances of the nearest, in any order."""
        if self._tree is not None:
            far, rows = self._tree.query(block, k=np.arange(1, k + 1))
            return rows, far
        known, norms = self._known
        rough = norms - 2 * block @ known.T
        rows = np.argpartition(rough, k - 1, axis=1)[:, :k]
        return rows, np.sqrt(np.square(known[rows] - block[:, None]).sum(2))

    @cached_property
    def _known(self) -> tuple[Floats, Floats]:
        known = self._features.astype(np.float64)
        return known, np.square(known).sum(1)


def _tree(features: np.ndarray) -> Any:
    from scipy.spatial import cKDTree

    # Unbalanced and of wide leaves: built several times faster, asked about as fast.
    return cKDTree(features, balanced_tree=False, compact_nodes=False)


def sparsity(features: ArrayLike, advance: Callable[[int], object] = lambda _: None) -> Floats:
    """Distance (N,) of each galaxy to its 15th neighbour: large where code space is thin.

    Of more than MAX_REFERENCE galaxies an even sample is searched for the neighbours. advance: is
    told how many galaxies are done, block by block.
    """
    known = np.asarray(features)
    reference = _reference(known).astype(np.float64)
    # Galaxies of the sample find themselves first.
    ranks = [min(DENSITY_NEIGHBOUR + itself, len(reference)) for itself in (0, 1)]
    sampled = np.zeros(len(known), bool)
    _reference(sampled)[:] = True
    tree = _tree(reference) if reference.shape[1] <= MAX_TREE_FEATURES else None
    norms = np.square(reference).sum(1)
    found = np.empty(len(known))
    for start in range(0, len(known), BLOCK):
        block = known[start : start + BLOCK].astype(np.float64)
        if tree is not None:
            near = tree.query(block, k=ranks)[0]
        else:
            squared = norms - 2 * block @ reference.T + np.square(block).sum(1)[:, None]
            places = np.array(ranks) - 1
            kth = np.partition(squared, places, axis=1)[:, places]
            near = np.sqrt(np.maximum(kth, 0.0))
        own = sampled[start : start + BLOCK]
        found[start : start + BLOCK] = np.where(own, near[:, 1], near[:, 0])
        advance(len(block))
    return found


def kth_distance(features: ArrayLike, vector: ArrayLike) -> float:
    """Distance of a vector (P,) that is no galaxy's own to its 15th neighbour among features.

    Among the same sample as `sparsity`, with which it may so be compared.
    """
    return float(nearest(_reference(np.asarray(features)), vector, DENSITY_NEIGHBOUR)[1][-1])


def _reference(known: np.ndarray) -> np.ndarray:
    """The galaxies that the density is estimated from."""
    return known[:: -(-len(known) // MAX_REFERENCE)]


def percentiles(values: ArrayLike) -> Floats:
    """Share (N,) of the values that are at most as large as each, in per cent."""
    array = np.asarray(values)
    return 100.0 * np.searchsorted(np.sort(array), array, side="right") / len(array)
