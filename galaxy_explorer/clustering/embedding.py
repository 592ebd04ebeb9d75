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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEIGHBOURS = 15
MIN_DISTANCE = 0.1
BLOCK_ROWS = 256
SAME = 1e-12


def fit_map(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Two-dimensional UMAP of features (N, P): coordinates (N, 2) float32.

    Deterministic by seed, for which UMAP needs a single thread. The first call in a process
    compiles for about half a minute.
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


def place_on_map(
    new_features: np.ndarray,
    features: np.ndarray,
    coordinates: np.ndarray,
    k: int = NEIGHBOURS,
) -> np.ndarray:
    """Put new galaxies among their nearest neighbours on an existing map, (M, 2) float32.

    new_features (M, P), features (N, P), coordinates (N, 2). Each lands at the mean of its k
    nearest neighbours weighted by 1 / distance squared, so a known galaxy lands on itself.
    """
    known = np.asarray(features, dtype=np.float64)
    new = np.asarray(new_features, dtype=np.float64)
    k = min(k, len(known))
    norms = np.square(known).sum(1)
    placed = np.empty((len(new), 2), dtype=np.float32)
    for start in range(0, len(new), BLOCK_ROWS):
        block = new[start : start + BLOCK_ROWS]
        rough = norms - 2 * block @ known.T
        nearest = np.argpartition(rough, k - 1, axis=1)[:, :k]
        squared = np.square(known[nearest] - block[:, None]).sum(2)
        weights = 1 / (squared + SAME * np.maximum(squared.max(1, keepdims=True), SAME))
        weights /= weights.sum(1, keepdims=True)
        placed[start : start + BLOCK_ROWS] = np.einsum("mk,mkx->mx", weights, coordinates[nearest])
    return placed


BLOCK = 1024
DENSITY_NEIGHBOUR = 15
MAX_REFERENCE = 20_000
"""Galaxies that the density is estimated from: an even sample where there are more."""

Floats = NDArray[np.float64]


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
FEW = 100_000
"""Galaxies that are looked at one by one, without a tree."""


class LookAlikes:
    """Finds the galaxies nearest to a vector among many, exactly: features (N, P), kept.

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
        k = min(k, len(self._features))
        far, rows = self._tree.query(np.asarray(vector, np.float64), k=np.arange(1, k + 1))
        order = np.lexsort((rows, far))
        return np.asarray(rows[order], np.int64), np.asarray(far[order], np.float64)


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
    k = min(DENSITY_NEIGHBOUR, len(reference) - 1)
    tree = _tree(reference) if reference.shape[1] <= MAX_TREE_FEATURES else None
    norms = np.square(reference).sum(1)
    found = np.empty(len(known))
    for start in range(0, len(known), BLOCK):
        block = known[start : start + BLOCK].astype(np.float64)
        if tree is not None:
            found[start : start + BLOCK] = tree.query(block, k=[k + 1])[0][:, 0]
        else:
            squared = norms - 2 * block @ reference.T + np.square(block).sum(1)[:, None]
            kth = np.partition(squared, k, axis=1)[:, k]
            found[start : start + BLOCK] = np.sqrt(np.maximum(kth, 0.0))
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
