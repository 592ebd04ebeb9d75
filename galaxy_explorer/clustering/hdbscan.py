"""HDBSCAN: clusters are where galaxies are dense, all others are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxy_explorer.clustering.mixture import MEMBER_FRACTION

SMALLEST_CLUSTER = 5
CORE_NEIGHBOURS = 5


@dataclass(frozen=True)
class DenseClusters:
    """Members of dense clusters, kept to place new galaxies.

    members (M, P) float64 and their clusters (M,) int16; reach (k,): the largest distance from a
    member of a cluster to its fifth neighbour among all galaxies.
    """

    members: np.ndarray
    labels: np.ndarray
    reach: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Cluster of the nearest member where its cluster reaches that far, else -1; int16 (N,)."""
        from sklearn.neighbors import NearestNeighbors

        features = np.asarray(features, dtype=np.float64)
        if not len(self.members) or not len(features):
            return np.full(len(features), -1, np.int16)
        search = NearestNeighbors(n_neighbors=1).fit(self.members)
        distance, nearest = search.kneighbors(features)
        labels = self.labels[nearest[:, 0]]
        return np.where(distance[:, 0] <= self.reach[labels], labels, np.int16(-1))


def fit_hdbscan(features: np.ndarray, k: int, *, seed: int = 0) -> DenseClusters:  # noqa: ARG001
    """HDBSCAN (Campello et al. 2013) of features (N, P) of the training galaxies.

    It finds the number of clusters itself; k only sets the smallest: a tenth of an even share,
    N / (10 k) galaxies, and at least 5. There is no chance in it, so `seed` changes nothing.
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.neighbors import NearestNeighbors

    features = np.asarray(features, dtype=np.float64)
    smallest = max(SMALLEST_CLUSTER, int(MEMBER_FRACTION * len(features) / k))
    model = HDBSCAN(min_cluster_size=smallest, min_samples=CORE_NEIGHBOURS, copy=True)
    labels = model.fit(features).labels_.astype(np.int16)
    kept = labels >= 0
    neighbours = min(CORE_NEIGHBOURS + 1, len(features))
    search = NearestNeighbors(n_neighbors=neighbours).fit(features)
    core = search.kneighbors(features[kept])[0][:, -1] if kept.any() else np.empty(0)
    reach = np.zeros(int(labels.max(initial=-1)) + 1)
    np.maximum.at(reach, labels[kept], core)
    return DenseClusters(features[kept], labels[kept], reach)
