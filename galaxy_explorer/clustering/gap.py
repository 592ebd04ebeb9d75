"""The gap statistic: are k clusters tighter than those of galaxies without any?"""

from __future__ import annotations

import numpy as np

DRAWS = 5
NULLS = ("uniform", "gaussian")


def gap_statistic(
    features: np.ndarray, ks: tuple[int, ...], null: str = "uniform", *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gap of k-means for each k, and its error (Tibshirani et al. 2001, eqs. 3 and 5-6).

    features (N, P). The gap is ln of the squared distances from the cluster means that featureless
    reference galaxies have, less that of the features. null: "uniform" in the box along the
    principal axes (the paper's), or "gaussian" with the covariance of the features. Tightness that
    either reference shows as well is not evidence of clusters.
    """
    if null not in NULLS:
        raise ValueError(f"null {null!r}: unknown; choose {', '.join(NULLS)}")
    rng = np.random.default_rng(seed)
    features = np.asarray(features, dtype=np.float64)
    centred = features - features.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    turned = centred @ axes.T
    measured = _log_dispersions(turned, ks, seed)
    drawn = np.stack([_log_dispersions(_draw(turned, null, rng), ks, seed) for _ in range(DRAWS)])
    return drawn.mean(0) - measured, drawn.std(0) * np.sqrt(1 + 1 / DRAWS)


def _draw(turned: np.ndarray, null: str, rng: np.random.Generator) -> np.ndarray:
    if null == "uniform":
        return rng.uniform(turned.min(0), turned.max(0), turned.shape)
    return rng.normal(0, turned.std(0), turned.shape)


def _log_dispersions(features: np.ndarray, ks: tuple[int, ...], seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    models = (KMeans(k, n_init=1, random_state=seed).fit(features) for k in ks)
    return np.log([model.inertia_ for model in models])
