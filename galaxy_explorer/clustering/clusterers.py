"""Clusterers behind one interface: fit on training galaxies, then give any galaxy its cluster.

`fit_clusterer(name, features, k, seed=...).predict(features)`: "gmm" (the report's Bayesian
Gaussian mixture), "kmeans", "ward", "hdbscan" and "consensus". Labels are int16, 0..k-1, and -1
for a galaxy that the clusterer leaves out: HDBSCAN's clusters are where galaxies are dense, and it
leaves out all others. Those that are known by their centres (k-means, Ward, consensus) give a
galaxy to the nearest, and can be served as a mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from galaxy_explorer.clustering.merger_tree import grow_tree
from galaxy_explorer.clustering.mixture import MEMBER_FRACTION, Mixture, fit_mixture

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


KMEANS_STARTS = 3
FIT_ROWS = 10_000  # Ward keeps the distances of all pairs: 0.4 GB
GMM_REG_COVAR = 3e-3  # as in the shipped mixtures of code vectors
VOTES = 2


class Clusterer(Protocol):
    """A fitted clusterer."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Cluster of each galaxy, int16 (N,), -1 where undecided; features (N, P)."""
        ...


def fit_kmeans(features: np.ndarray, k: int, *, seed: int = 0) -> Centres:
    """K-means: k centres, each galaxy belongs to the nearest. features (N, P)."""
    from sklearn.cluster import KMeans

    features = np.asarray(features, dtype=np.float64)
    k = min(k, len(features))
    model = KMeans(k, n_init=KMEANS_STARTS, random_state=seed).fit(features)
    return centres_of(features, model.labels_)


def fit_ward(features: np.ndarray, k: int, *, seed: int = 0) -> Centres:
    """Ward's tree of (at most 10,000 of) the galaxies cut at k; served by nearest cluster mean."""
    features = np.asarray(features, dtype=np.float64)
    if len(features) > FIT_ROWS:
        features = features[np.random.default_rng(seed).permutation(len(features))[:FIT_ROWS]]
    return centres_of(features, grow_tree(features).cut(min(k, len(features))))


def fit_gmm(features: np.ndarray, k: int, *, seed: int = 0) -> Clusterer:
    """The report's Bayesian Gaussian mixture with full covariances and at most k components."""
    return fit_mixture(features, n_components=k, seed=seed, reg_covar=GMM_REG_COVAR)


@dataclass(frozen=True)
class Consensus:
    """A vote of clusterers whose clusters carry the numbers of the first one's.

    renamed: for each voter the number of the matching cluster of the first, by its own number.
    votes: how many must agree.
    """

    voters: tuple[Clusterer, ...]
    renamed: tuple[np.ndarray, ...]
    votes: int

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Cluster that at least `votes` voters name, -1 where there is none; int16 (N,)."""
        named = np.stack(
            [
                names[voter.predict(features)]
                for voter, names in zip(self.voters, self.renamed, strict=True)
            ]
        )  # (V, N)
        support = (named[:, None] == named[None]).sum(1)  # (V, N)
        best = support.argmax(0)
        columns = np.arange(named.shape[1])
        labels = np.where(support[best, columns] >= self.votes, named[best, columns], -1)
        return labels.astype(np.int16)


def fit_consensus(features: np.ndarray, k: int, *, seed: int = 0, votes: int = VOTES) -> Consensus:
    """Vote of k-means, the Gaussian mixture and Ward; the undecided galaxies are left out.

    Clusters are matched to those of k-means so that as many training galaxies as can be keep
    their number (the assignment problem). votes: 2 for a majority, 3 for unanimity.
    """
    voters = tuple(fit(features, k, seed=seed) for fit in (fit_kmeans, fit_gmm, fit_ward))
    reference = voters[0].predict(features)
    renamed = tuple(match_labels(voter.predict(features), reference, k) for voter in voters)
    return Consensus(voters, renamed, votes)


def match_labels(labels: np.ndarray, reference: np.ndarray, k: int) -> np.ndarray:
    """New number of each cluster 0..k-1 such that labels and reference agree as often as can be.

    labels, reference: clusters (N,) below k, no -1. Returns a permutation (k,).
    """
    from scipy.optimize import linear_sum_assignment

    flat = labels.astype(np.int64) * k + reference
    shared = np.bincount(flat, minlength=k * k).reshape(k, k)
    return np.asarray(linear_sum_assignment(shared, maximize=True)[1], dtype=np.int16)


CLUSTERERS: dict[str, Callable[..., Clusterer]] = {
    "gmm": fit_gmm,
    "kmeans": fit_kmeans,
    "ward": fit_ward,
    "hdbscan": fit_hdbscan,
    "consensus": fit_consensus,
}


def fit_clusterer(name: str, features: np.ndarray, k: int, *, seed: int = 0) -> Clusterer:
    """Fit a clusterer of CLUSTERERS on features (N, P) of the training galaxies.

    Deterministic by seed. Raises ValueError for an unknown name, or fewer galaxies than clusters.
    """
    if name not in CLUSTERERS:
        raise ValueError(f"clusterer {name!r}: unknown; choose {', '.join(CLUSTERERS)}")
    if not 1 <= k <= len(features):
        raise ValueError(f"{k} clusters of {len(features)} galaxies")
    return CLUSTERERS[name](features, k, seed=seed)
