"""A map of the galaxies for the eye: UMAP of the features. Never used for clustering."""

from __future__ import annotations

import warnings

import numpy as np

NEIGHBOURS = 15
MIN_DISTANCE = 0.1
BLOCK_ROWS = 256
SAME = 1e-12


def fit_map(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Two-dimensional UMAP of features (N, P): coordinates (N, 2) float32.

    Deterministic by seed, for which UMAP needs a single thread. The first call in a process
    compiles for about half a minute.
    """
    from umap import UMAP

    neighbours = min(NEIGHBOURS, len(features) - 1)
    model = UMAP(n_neighbors=neighbours, min_dist=MIN_DISTANCE, random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        # Small surveys have fewer galaxies than the spectral start needs; it then starts at random.
        warnings.simplefilter("ignore", UserWarning)
        coordinates = model.fit_transform(np.asarray(features, dtype=np.float32))
    return np.ascontiguousarray(coordinates, dtype=np.float32)


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
