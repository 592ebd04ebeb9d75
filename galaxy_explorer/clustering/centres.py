"""Clusters as their centres: each galaxy belongs to the nearest. Servable as a mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxy_explorer.clustering.mixture import Mixture

SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class Centres:
    """k cluster means (k, P) float64, and the members' spread about them in each feature."""

    means: np.ndarray
    spread: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Nearest centre of each galaxy, int16 (N,), for features (N, P)."""
        return self.mixture().predict(features)

    def mixture(self) -> Mixture:
        """The same clusters as Gaussians of equal weight and equal, round covariance.

        The most probable of those is the nearest, so a bundle can serve these clusters; the
        responsibilities then say how much nearer it is, in units of the spread.
        """
        k, p = self.means.shape
        normaliser = -np.log(k) - p * np.log(self.spread) - 0.5 * p * np.log(2 * np.pi)
        return Mixture(
            weights=np.full(k, 1 / k),
            means=self.means,
            precisions_cholesky=np.full((k, p), 1 / self.spread),
            log_constants=np.full(k, normaliser),
        )


def centres_of(features: np.ndarray, labels: np.ndarray) -> Centres:
    """Means of the clusters `labels` (N,) of features (N, P), in order of their number."""
    features = np.asarray(features, dtype=np.float64)
    labels = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(labels)
    means = np.stack([np.bincount(labels, weights=column) / counts for column in features.T], 1)
    variance = np.square(features - means[labels]).mean()
    return Centres(np.ascontiguousarray(means), float(max(np.sqrt(variance), SMALLEST_SPREAD)))
