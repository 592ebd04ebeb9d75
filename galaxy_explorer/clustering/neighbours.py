"""Neighbours in code space: look-alikes of a galaxy, and galaxies that have hardly any.

Code space is that of a clustering's features (N, P); distances are Euclidean, exact, in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def sparsity(features: ArrayLike) -> Floats:
    """Distance (N,) of each galaxy to its 15th neighbour: large where code space is thin.

    Of more than MAX_REFERENCE galaxies an even sample is searched for the neighbours.
    """
    known = np.asarray(features, np.float64)
    step = -(-len(known) // MAX_REFERENCE)
    reference = known[::step]
    k = min(DENSITY_NEIGHBOUR, len(reference) - 1)
    norms = np.square(reference).sum(1)
    found = np.empty(len(known))
    for start in range(0, len(known), BLOCK):
        block = known[start : start + BLOCK]
        squared = norms - 2 * block @ reference.T + np.square(block).sum(1)[:, None]
        kth = np.partition(squared, k, axis=1)[:, k]
        found[start : start + BLOCK] = np.sqrt(np.maximum(kth, 0.0))
    return found


def kth_distance(features: ArrayLike, vector: ArrayLike) -> float:
    """Distance of a vector (P,) that is no galaxy's own to its 15th neighbour among features."""
    return float(nearest(features, vector, DENSITY_NEIGHBOUR)[1][-1])


def percentiles(values: ArrayLike) -> Floats:
    """Share (N,) of the values that are at most as large as each, in per cent."""
    array = np.asarray(values)
    return 100.0 * np.searchsorted(np.sort(array), array, side="right") / len(array)
