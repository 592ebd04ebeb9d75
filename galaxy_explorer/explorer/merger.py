"""Ward's merger tree for the Clusters page: its layout, and the groups of a cut. No widgets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.clustering.merger_tree import MergerTree
from galaxy_explorer.clustering.summary import ClusterSummary
from galaxy_explorer.explorer.palette import type_colour

if TYPE_CHECKING:
    from galaxy_explorer.bundle_evaluation import MergerTree as StoredTree


def tree_of(stored: StoredTree) -> MergerTree:
    """The tree of an evaluation, ready to be cut."""
    merges = np.stack([stored.left, stored.right], axis=1).astype(np.int32)
    heights = np.array([np.nan if h is None else h for h in stored.height], np.float32)
    return MergerTree(merges, heights)


def branches(stored: StoredTree) -> list[list[Any]]:
    """What the drawing of a tree needs: one entry a merge, the lowest first.

    [x left, x right, y left, y right, y, colour left, colour right]: x in 0..1 along the leaves in
    the order of the branches, y in 0..1 with the root at 1. y is the square root of the height,
    which spreads the many low mergers. Colours are those of the mean T of the two branches.
    """
    tree = tree_of(stored)
    n = tree.n_leaves
    x = np.empty(2 * n - 1)
    x[:n] = (tree.cut(n) + 0.5) / n  # the number of a leaf is its place in the order
    top = max(float(np.nanmax(tree.heights, initial=0.0)), 1e-12)
    y = np.concatenate([np.zeros(n), np.sqrt(np.nan_to_num(tree.heights) / top)])
    drawn: list[list[Any]] = []
    for number, (left, right) in enumerate(tree.merges):
        node = n + number
        x[node] = (x[left] + x[right]) / 2
        tints = [_tint(stored.ttype_mean[side]) for side in (left, right)]
        places = [x[left], x[right], y[left], y[right], y[node]]
        drawn.append([*(round(float(value), 4) for value in places), *tints])
    return drawn


def _tint(ttype: float | None) -> str:
    return type_colour(math.nan if ttype is None else ttype)


def groups(stored: StoredTree, k: int) -> NDArray[np.int64]:
    """Group 0..k-1 of each galaxy when the tree is cut into k, in the order of the branches."""
    return np.asarray(tree_of(stored).cut(k)[np.asarray(stored.leaf)], np.int64)


def group_summaries(
    labels: NDArray[np.int64], k: int, ttype: NDArray[np.floating], classes: NDArray[np.int64]
) -> Sequence[ClusterSummary]:
    """Counts and Hubble types of each group; early or late is not told here."""
    return [_summary(number, labels == number, ttype, classes) for number in range(k)]


def _summary(
    number: int, inside: NDArray[np.bool_], ttype: NDArray[np.floating], classes: NDArray[np.int64]
) -> ClusterSummary:
    known = ttype[inside & ~np.isnan(ttype)]
    types = classes[inside & (classes >= 0)]
    return ClusterSummary(
        id=number, count=int(inside.sum()), n_ttype=len(known),
        ttype_mean=float(known.mean()) if len(known) else math.nan,
        ttype_std=float(known.std()) if len(known) else math.nan,
        histogram=tuple(np.bincount(types, minlength=10).tolist()), kind="unknown",
        early_fraction=math.nan, early_low=math.nan, early_high=math.nan, medoid=-1, typical=(),
    )  # fmt: skip
