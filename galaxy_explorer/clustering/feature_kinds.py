"""Features of code maps of one orientation, or averaged over several: five kinds, one interface.

A galaxy is given as its code maps in O orientations, (N, O, h, w): O = 1 for the stamp as it is,
O = 8 for the four rotations and their mirror images. Averages run over the orientations as they
come, not turned back, so that a galaxy turned by 90 degrees keeps its features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from galaxy_explorer.clustering.features import FeatureMap, fit_pca
from galaxy_explorer.clustering.rings import RING_WIDTHS, pool_rings, rings_of

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
    for turn in range(maps.shape[1]):
        values = codebook[maps[:, turn]].reshape(len(maps), side * side, -1)
        mean, scatter, waves = pool_rings(values.astype(np.float32, copy=False), rings)
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
        blocks = [self._project(maps[i : i + BLOCK_ROWS]) for i in range(0, len(maps), BLOCK_ROWS)]
        return np.concatenate(blocks)

    def _project(self, maps: np.ndarray) -> np.ndarray:
        vectors = VECTORS[self.kind](maps, self.codebook)
        return vectors if self.feature_map is None else self.feature_map.apply(vectors)


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
    vectors = _training_vectors(VECTORS[kind], maps, codebook, train)
    return CodeFeatures(kind, codebook, fit_pca(vectors, n, seed=seed, overwrite=True))


def _training_vectors(
    vectors_of: Callable[[np.ndarray, np.ndarray], Any],
    maps: np.ndarray,
    codebook: np.ndarray,
    train: np.ndarray,
) -> Any:
    """The vectors of the training galaxies in one array: the largest that is ever held."""
    blocks = [train[i : i + BLOCK_ROWS] for i in range(0, len(train), BLOCK_ROWS)]
    first = vectors_of(maps[blocks[0]], codebook)
    if not isinstance(first, np.ndarray):
        from scipy.sparse import vstack

        return vstack([first, *(vectors_of(maps[rows], codebook) for rows in blocks[1:])])
    vectors = np.empty((len(train), first.shape[1]), np.float32)
    for number, rows in enumerate(blocks):
        start = number * BLOCK_ROWS
        vectors[start : start + len(rows)] = vectors_of(maps[rows], codebook)
    return vectors
