"""Which clusters stand for the sequence of Hubble types, and in which order (report, Fig. 15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.explorer.plots_types import ENOUGH_TTYPES, ordered

if TYPE_CHECKING:
    from galaxy_explorer.clustering.summary import ClusterSummary

COLUMNS = 8
RULE = (
    f"Chosen for you: the range of mean T is cut into {COLUMNS} equal steps, and each step is"
    f" represented by the cluster with the least spread of T among those with at least"
    f" {ENOUGH_TTYPES} members with a T."
)


def representative(clusters: Sequence[ClusterSummary], n: int = COLUMNS) -> list[int]:
    """Numbers of at most `n` clusters that span the mean T, early first; at least one.

    The range of mean T of the clusters with enough T (of all with any, if none has enough) is cut
    into `n` equal steps; of each, the cluster with the least standard deviation of T.
    """
    known = [c for c in clusters if c.n_ttype >= ENOUGH_TTYPES]
    known = known or [c for c in clusters if c.n_ttype]
    if not known:
        return [ordered(clusters, "size")[0].id]
    means = np.array([cluster.ttype_mean for cluster in known])
    span = max(float(np.ptp(means)), 1e-9)
    steps = np.minimum((n * (means - means.min()) / span).astype(int), n - 1)
    chosen = [
        min((c for c, at in zip(known, steps, strict=True) if at == step), key=_spread)
        for step in np.unique(steps)
    ]
    return [cluster.id for cluster in ordered(chosen, "mean T")]


def _spread(cluster: ClusterSummary) -> tuple[float, int]:
    return cluster.ttype_std, cluster.id


def moved(order: Sequence[int], start: int, end: int) -> list[int]:
    """The order with the entry at place `start` at place `end`; unchanged for places outside."""
    places = range(len(order))
    if start not in places or end not in places:
        return list(order)
    rest = [entry for place, entry in enumerate(order) if place != start]
    return [*rest[:end], order[start], *rest[end:]]
