"""Vectors as features: the report's index map, and principal components of any vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    spread = _spread(vectors) if standardise else 1.0
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


def _spread(vectors: np.ndarray) -> np.ndarray:
    """Standard deviation of each column (F,), 1 where a column never changes."""
    spread = vectors.std(0)
    return np.where(spread > 0, spread, 1)


def fit_vectors(
    vectors: np.ndarray, train: np.ndarray, *, n: int = 30, seed: int = 0, standardise: bool = True
) -> FeatureMap:
    """Features of vectors that are no code maps: latents, pixels, radial profiles, measurements.

    vectors (N, F); standardised and reduced to at most `n` principal components by the statistics
    of the rows `train` alone. `FeatureMap.apply` gives the features of all galaxies.
    """
    return fit_pca(vectors[train], n, seed=seed, standardise=standardise)
