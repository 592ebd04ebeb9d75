"""What one cluster is: its galaxies, their Hubble types, its typical members."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.clustering.mixture import Mixture
from galaxy_explorer.utils.resampling import share_interval

TTYPE_CLASSES = 10
KINDS = ("early", "mixed", "late", "unknown")
EARLY_TTYPE = 0.0  # E and S0, S0a included
MIN_KNOWN = 8  # with fewer, even unanimous members would not decide
LEAST_COVERAGE = 0.3
"""Share of the members of whom a label is known, below which it says nothing of the cluster."""
TYPICAL = 24


@dataclass(frozen=True)
class ClusterSummary:
    """One cluster.

    id: component of the mixture, fixed for ever. count: member galaxies; n_ttype: those with a
    T-type. ttype_mean, ttype_std: over those, NaN where there are none. histogram: members per
    class T = -3..6 (nearest integer, outliers in the end classes). kind: "early", "mixed", "late"
    or "unknown" by the rule of `kind_of`. early_fraction: share of T <= 0, with its 95 %
    interval (Wilson) [early_low, early_high]. medoid: catalogue row of the member nearest all
    others, -1 in an empty cluster. typical: rows of the most typical members: highest
    responsibility (to 0.001), then highest density.
    """

    id: int
    count: int
    n_ttype: int
    ttype_mean: float
    ttype_std: float
    histogram: tuple[int, ...]
    kind: str
    early_fraction: float
    early_low: float
    early_high: float
    medoid: int
    typical: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values: NaN becomes null."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def cluster_summaries(
    mixture: Mixture,
    features: np.ndarray,
    labels: np.ndarray,
    ttype: np.ndarray,
    ttype_class: np.ndarray,
) -> list[ClusterSummary]:
    """Summarise every component of a mixture, empty ones included.

    features (N, P), labels (N,) from the mixture; ttype (N,) with NaN, ttype_class (N,) 0..9 or -1.
    """
    joint = mixture.log_joint(features)
    peak = joint.max(1, keepdims=True)
    certainty = 1 / np.exp(joint - peak).sum(1)
    known = ~np.isnan(ttype)
    overall = float((ttype[known] <= EARLY_TTYPE).mean()) if known.any() else math.nan
    summaries = []
    for number in range(mixture.n_components):
        rows = np.flatnonzero(labels == number)
        order = np.lexsort((-joint[rows, number], -certainty[rows].round(3)))
        types = _hubble_types(ttype[rows], ttype_class[rows])
        hits, n = int((ttype[rows] <= EARLY_TTYPE).sum()), types["n_ttype"]
        low, high = (float(end) for end in share_interval(hits, n))
        medoid = _medoid(features, rows)
        typical = tuple(int(row) for row in rows[order[:TYPICAL]])
        summaries.append(
            ClusterSummary(
                id=number,
                count=len(rows),
                kind=kind_of(len(rows), n, low, high, overall),
                early_fraction=hits / n if n else math.nan,
                early_low=low,
                early_high=high,
                medoid=medoid,
                typical=typical,
                **types,
            )
        )
    return summaries


def _medoid(features: np.ndarray, rows: np.ndarray) -> int:
    """The member with the least sum of squared distances to all members, -1 without any.

    That sum is n |x - mean|^2 plus a constant, so the medoid is the member nearest the mean.
    """
    if len(rows) == 0:
        return -1
    members = features[rows].astype(np.float64)
    return int(rows[np.square(members - members.mean(0)).sum(1).argmin()])


def _hubble_types(ttype: np.ndarray, ttype_class: np.ndarray) -> dict[str, Any]:
    known = ttype[~np.isnan(ttype)]
    n = len(known)
    return {
        "n_ttype": n,
        "ttype_mean": float(known.mean()) if n else math.nan,
        "ttype_std": float(known.std()) if n else math.nan,
        "histogram": tuple(np.bincount(ttype_class[ttype_class >= 0], minlength=10).tolist()),
    }


def covered(known: ArrayLike, count: ArrayLike) -> NDArray[np.bool_]:
    """Whether a label known of `known` of `count` members says anything of their cluster.

    That takes 8 of them, and 30 % of all.
    """
    known = np.asarray(known)
    return np.asarray((known >= MIN_KNOWN) & (known >= LEAST_COVERAGE * np.asarray(count)))


def kind_of(count: int, n_ttype: int, early_low: float, early_high: float, overall: float) -> str:
    """Early, mixed, late or unknown: the rule.

    "early" if the 95 % interval (Wilson) of the cluster's share of T <= 0 lies above one half and
    above the share `overall` in the whole sample, "late" if it lies below both, "mixed" else;
    "unknown" if fewer than 8 of its `count` members, or fewer than 30 % of them, have a T.
    """
    if not covered(n_ttype, count):
        return "unknown"
    if early_low > max(overall, 0.5):
        return "early"
    return "late" if early_high < min(overall, 0.5) else "mixed"


ENOUGH_TTYPES = 20
"""Members with a T from which on the bars of a cluster set the common scale."""
ORDERS = ("mean T", "size", "number")


def ordered(clusters: Iterable[ClusterSummary], order: str) -> list[ClusterSummary]:
    """Clusters by "mean T" (early first; without T behind), "size" (largest first) or "number"."""
    if order == "number":
        return sorted(clusters, key=lambda cluster: cluster.id)
    if order == "size":
        return sorted(clusters, key=lambda cluster: (-cluster.count, cluster.id))
    return sorted(
        clusters,
        key=lambda c: (c.count == 0, c.n_ttype == 0, c.ttype_mean if c.n_ttype else 0.0, c.id),
    )


COLUMNS = 8


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
    spread = attrgetter("ttype_std", "id")
    chosen = [
        min((c for c, at in zip(known, steps, strict=True) if at == step), key=spread)
        for step in np.unique(steps)
    ]
    return [cluster.id for cluster in ordered(chosen, "mean T")]


def group_summaries(
    labels: NDArray[np.int64], k: int, ttype: NDArray[np.floating], classes: NDArray[np.int64]
) -> Sequence[ClusterSummary]:
    """Counts and Hubble types of each group; early or late is not told here."""
    untold: dict[str, Any] = {"kind": "unknown", "medoid": -1, "typical": ()}
    untold |= dict.fromkeys(("early_fraction", "early_low", "early_high"), math.nan)
    members = [labels == number for number in range(k)]
    return [
        ClusterSummary(
            id=number,
            count=int(inside.sum()),
            **_hubble_types(ttype[inside], classes[inside]),
            **untold,
        )
        for number, inside in enumerate(members)
    ]
