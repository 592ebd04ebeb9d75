"""The tree of mergers that Ward's method builds: kept as arrays, cut at any number of clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MergerTree:
    """A binary tree over n leaves, merged pair by pair in order of height.

    merges (n - 1, 2) int32: the two nodes joined; leaves are 0..n-1, the node that merge i makes is
    n + i. heights (n - 1,) float32, ascending: Ward's distance at the merger, in units of the
    features. A leaf is a galaxy, or after `trim` a group of galaxies.
    """

    merges: np.ndarray
    heights: np.ndarray

    @property
    def n_leaves(self) -> int:
        """Number of leaves n."""
        return len(self.merges) + 1

    def cut(self, k: int) -> np.ndarray:
        """Cluster 0..k-1 of each leaf, int32 (n,), with all but the last k - 1 mergers done.

        Clusters are numbered in the order of the tree's branches, so that neighbours in number are
        near in the tree. Raises ValueError unless 1 <= k <= n.
        """
        n = self.n_leaves
        if not 1 <= k <= n:
            raise ValueError(f"a tree of {n} leaves cannot be cut at {k}")
        top = self._order(k)
        labels = np.empty(2 * n - 1, np.int32)
        labels[top] = np.arange(k)
        for merge in range(n - k - 1, -1, -1):
            labels[self.merges[merge]] = labels[n + merge]
        return labels[:n]

    def _order(self, k: int) -> np.ndarray:
        """The k nodes that are left after the first n - k mergers, in the order of the branches."""
        below = self.n_leaves + self.n_leaves - k  # the first node that is not yet made
        waiting, found = [2 * self.n_leaves - 2], []
        while waiting:
            node = waiting.pop()
            if node < below:
                found.append(node)
            else:
                waiting.extend(self.merges[node - self.n_leaves][::-1].tolist())
        return np.array(found)

    def trim(self, k: int) -> MergerTree:
        """The top of the tree: its leaves are the k clusters of `cut(k)`, by their number."""
        n, top = self.n_leaves, self._order(k)
        renamed = np.full(2 * n - 1, -1, np.int32)
        renamed[top] = np.arange(k)
        renamed[2 * n - k :] = np.arange(k, 2 * k - 1)
        return MergerTree(renamed[self.merges[n - k :]], self.heights[n - k :])

    def add_up(self, leaf_values: np.ndarray) -> np.ndarray:
        """Sum of a value (n, ...) over the leaves of every node, (2 n - 1, ...).

        The mean T of a node is the sum of T over the number of types, both added up this way.
        """
        n = self.n_leaves
        sums = np.zeros((2 * n - 1, *leaf_values.shape[1:]), np.float64)
        sums[:n] = leaf_values
        for number, (left, right) in enumerate(self.merges):
            sums[n + number] = sums[left] + sums[right]
        return sums

    def arrays(self) -> dict[str, np.ndarray]:
        """The tree as plain arrays."""
        return {"merges": self.merges, "heights": self.heights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> MergerTree:
        """Rebuild a tree. Raises ValueError where the arrays cannot be one."""
        merges, heights = arrays.get("merges"), arrays.get("heights")
        if merges is None or heights is None:
            raise ValueError("merges or heights is missing")
        if merges.dtype != np.int32 or merges.ndim != 2 or merges.shape != (len(heights), 2):
            raise ValueError(f"merges {merges.dtype} {merges.shape} is not int32 (n - 1, 2)")
        n = len(merges) + 1
        unmade = merges >= (n + np.arange(n - 1))[:, None]
        if unmade.any() or not np.array_equal(np.sort(merges, None), np.arange(2 * n - 2)):
            raise ValueError("merges: a node is joined twice, never, or before it is made")
        if heights.dtype != np.float32 or not np.isfinite(heights).all():
            raise ValueError("heights are not finite float32")
        return cls(merges, heights)


def grow_tree(vectors: np.ndarray) -> MergerTree:
    """Ward's tree of vectors (n, F), by scipy: each merger adds the least to the squared distances
    from the cluster means. Takes n^2 / 2 distances of 8 bytes.

    Raises ValueError for a table of distances: Ward's method needs Euclidean vectors. For code maps
    those are one-hot vectors, whose squared distance is twice the Hamming distance.
    """
    from scipy.cluster.hierarchy import linkage

    vectors = np.asarray(vectors, dtype=np.float64)
    square = vectors.ndim == 2 and vectors.shape[0] == vectors.shape[1]
    table = square and not np.diagonal(vectors).any() and np.array_equal(vectors, vectors.T)
    if vectors.ndim != 2 or table:
        raise ValueError(
            "Ward needs vectors (n, F), not distances; for Hamming distances of code maps give"
            " the one-hot vectors"
        )
    joined = linkage(vectors, "ward")
    return MergerTree(joined[:, :2].astype(np.int32), joined[:, 2].astype(np.float32))
