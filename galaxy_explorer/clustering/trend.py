"""Clusters that show the Hubble sequence: a few, in order of their mean type (report, Fig 15)."""

from __future__ import annotations

import numpy as np

CLUSTERS = 8
SMALLEST_SHARE = 0.5  # of an even share of the galaxies
STABLE = 0.5  # Jaccard overlap below which a cluster dissolves (Hennig 2007)


def representative_clusters(
    ttype_mean: np.ndarray,
    counts: np.ndarray,
    jaccard: np.ndarray | None = None,
    *,
    n: int = CLUSTERS,
) -> list[int]:
    """At most n clusters in order of mean T, spread over its range, populous and stable.

    ttype_mean (k,) with NaN where unknown, counts (k,) members, jaccard (k,) or None. The range of
    mean T among clusters with at least half an even share of the galaxies, and a Jaccard overlap of
    at least 0.5 where it is known, is cut into n equal parts; each gives its cluster with the most
    members. Parts without a cluster give none.
    """
    counts = np.asarray(counts)
    known = np.isfinite(ttype_mean) & (counts > 0)
    fit = known & (counts >= SMALLEST_SHARE * counts.sum() / max(len(counts), 1))
    if jaccard is not None:
        fit &= ~(np.asarray(jaccard) < STABLE)
    rows = np.flatnonzero(fit if fit.any() else known)
    if len(rows) == 0:
        return []
    edges = np.linspace(ttype_mean[rows].min(), ttype_mean[rows].max(), n + 1)[1:-1]
    part = np.searchsorted(edges, ttype_mean[rows], side="right")
    chosen = [rows[part == i][counts[rows[part == i]].argmax()] for i in np.unique(part)]
    return sorted((int(row) for row in chosen), key=lambda row: float(ttype_mean[row]))
