"""Are the clusters there at all, and are they about the galaxy?

There: clusterings of resampled galaxies are compared with each other, and silhouettes taken. About
the galaxy: a cluster should not change when the codes are renumbered, or the stamp is turned,
mirrored, shifted or observed with other noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from galaxy_explorer.clustering.clusterers import Clusterer
from galaxy_explorer.utils.resampling import FEW_RESAMPLES, bootstrap

RESAMPLES = 20
SILHOUETTE_ROWS = 3000
Fit = Callable[[np.ndarray, int], Clusterer]
Score = dict[str, float]
"""`value`, `low`, `high`, the interval as `utils.resampling` has it; where said, `chance`."""


@dataclass(frozen=True)
class Stability:
    """How far a clustering repeats itself.

    ari: mean pairwise adjusted Rand index of the resampled clusterings on held-out galaxies, with
    its 95 % interval over resamples. jaccard (k,): for each cluster of the reference, the mean over
    resamples of its best overlap |A and B| / |A or B| (Hennig 2007), NaN for a cluster without
    held-out galaxies. labels (R, M): the resampled clusterings of the held-out galaxies.
    """

    ari: Score
    jaccard: np.ndarray
    labels: np.ndarray


def bootstrap_stability(
    fit: Fit,
    train: np.ndarray,
    held_out: np.ndarray,
    reference: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Stability:
    """Fit a clusterer to resampled training galaxies and compare on held-out ones.

    fit: features and seed -> clusterer, for example `lambda x, s: fit_clusterer("gmm", x, 64,
    seed=s)`. train (N, P), held_out (M, P) features; reference (M,): clusters of the held-out
    galaxies by the clustering in question, for the Jaccard overlaps.
    """
    labels = np.stack(list(resampled_labels(fit, train, held_out, resamples, seed)))
    return Stability(
        ari=mean_pairwise_ari(labels, seed=seed),
        jaccard=np.mean([best_overlap(reference, other) for other in labels], axis=0),
        labels=labels,
    )


def resampled_labels(
    fit: Fit, train: np.ndarray, held_out: np.ndarray, resamples: int, seed: int
) -> Iterator[np.ndarray]:
    """Clusters (M,) of the held-out galaxies by clusterers of resampled training galaxies."""
    rng = np.random.default_rng(seed)
    for number in range(resamples):
        rows = rng.integers(len(train), size=len(train))
        yield fit(train[rows], seed + number).predict(held_out)


def mean_pairwise_ari(labels: np.ndarray, *, seed: int = 0) -> Score:
    """Mean adjusted Rand index over all pairs of clusterings (R, M), `value`, `low`, `high`.

    The interval resamples the R clusterings; a pair of one with itself does not count. Label -1
    counts as one more cluster.
    """
    from sklearn.metrics import adjusted_rand_score

    n = len(labels)
    pairs = np.full((n, n), np.nan)
    for i, j in combinations(range(n), 2):
        pairs[i, j] = pairs[j, i] = adjusted_rand_score(labels[i], labels[j])

    def mean(rows: np.ndarray) -> float:
        known = pairs[np.ix_(rows, rows)]
        known = known[np.isfinite(known)]
        return float(known.mean()) if len(known) else float("nan")

    return bootstrap(mean, n, seed=seed, resamples=FEW_RESAMPLES, most=1).scores()


def best_overlap(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Largest Jaccard overlap of each cluster of `reference` with any of `other`, (k,).

    Label -1 is no cluster. NaN for a cluster of `reference` without members.
    """
    k = int(reference.max(initial=-1)) + 1
    m = int(other.max(initial=-1)) + 1
    both = (reference >= 0) & (other >= 0)
    flat = reference[both].astype(np.int64) * m + other[both]
    shared = np.bincount(flat, minlength=k * m).reshape(k, m)
    sizes = np.bincount(reference[reference >= 0], minlength=k)
    others = np.bincount(other[other >= 0], minlength=m)
    union = sizes[:, None] + others - shared
    best = (shared / np.maximum(union, 1)).max(1, initial=0.0)
    return np.where(sizes > 0, best, np.nan)


def silhouette(features: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> Score:
    """Mean silhouette of at most 3,000 galaxies: `value`, `low`, `high` over galaxies.

    1: each is much nearer its own cluster than the next; 0: between them; negative: in the wrong
    one. NaN with fewer than two clusters. Label -1 is left out.
    """
    from sklearn.metrics import silhouette_samples

    rows = np.flatnonzero(labels >= 0)
    if len(rows) > SILHOUETTE_ROWS:
        rows = np.random.default_rng(seed).choice(rows, SILHOUETTE_ROWS, replace=False)
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    values = silhouette_samples(features[rows], labels[rows])
    return bootstrap(lambda drawn: values[drawn].mean(), len(values), seed=seed, most=1).scores()


def renumber(
    codes: np.ndarray, codebook: np.ndarray, permutation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same code maps under other names: code i of a codebook (K, D) becomes permutation[i].

    Every code map still means the same vectors. Features that are about the galaxy stay as they
    were; those of the index map do not.
    """
    renamed = np.empty_like(codebook)
    renamed[permutation] = codebook
    return permutation[codes].astype(codes.dtype), renamed


def invariance(
    labels: np.ndarray, transformed: np.ndarray, *, seed: int = 0, bootstraps: int = FEW_RESAMPLES
) -> Score:
    """Adjusted Rand index between the clusters of galaxies and of the same galaxies transformed.

    labels, transformed (N,): clusters by the same fitted clusterer, -1 counted as one more. 1 where
    every pair of galaxies that shared a cluster still does, 0 on average for unrelated clusters.
    Has `value`, `low`, `high` (95 % over galaxies), `chance` (one shuffle) and `kept`: the share of
    galaxies that keep their cluster.
    """
    from sklearn.metrics import adjusted_rand_score

    def score(rows: np.ndarray) -> float:
        return float(adjusted_rand_score(labels[rows], transformed[rows]))

    result = bootstrap(score, len(labels), seed=seed, resamples=bootstraps, most=1).scores()
    shuffled = np.random.default_rng(seed).permutation(transformed)
    result["chance"] = float(adjusted_rand_score(labels, shuffled))
    result["kept"] = float((labels == transformed).mean())
    return result
