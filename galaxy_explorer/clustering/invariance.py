"""Are the clusters about the galaxy, or about how it was observed and encoded?"""

from __future__ import annotations

import numpy as np

from galaxy_explorer.clustering.intervals import BOOTSTRAPS, Score, bootstrap


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
    labels: np.ndarray, transformed: np.ndarray, *, seed: int = 0, bootstraps: int = BOOTSTRAPS
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

    result = bootstrap(score, len(labels), seed=seed, bootstraps=bootstraps)
    shuffled = np.random.default_rng(seed).permutation(transformed)
    result["chance"] = float(adjusted_rand_score(labels, shuffled))
    result["kept"] = float((labels == transformed).mean())
    return result
