"""Which galaxies change group: groups of two codebooks, merged by their mean T, and the flows.

A band is what all groups of about the same mean T hold; the last band is that of the groups with
too few members that have a T.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.clustering.validation import adjusted_rand
from galaxy_explorer.explorer.plots.clusterings import contingency
from galaxy_explorer.explorer.plots.palette import T_COLOURS, UNKNOWN_COLOUR

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle, Clustering

ENOUGH = 8
"""Members with a T below which a group's mean T is not told."""
EDGES = (-2, 0, 2, 4)
BAND_WORDS = ("T < −2", "T −2 to 0", "T 0 to 2", "T 2 to 4", "T > 4", "too few T")
BAND_COLOURS = (*T_COLOURS[::2], UNKNOWN_COLOUR)
"""Bands of mean T, two steps wide: the mean of a group is no better known."""
UNTOLD = len(EDGES) + 1
MOST_FLOWS = 24
KEPT_FLOWS = 32


@dataclass(frozen=True, eq=False)
class Flow:
    """The bands (N,) of all galaxies on two sides, (6, 6) galaxies in both, and what that tells.

    changed: share of the galaxies in another band, of those whose bands are both told; chance: the
    same if the sides had nothing to do with each other. agreement: adjusted Rand index of the
    groups themselves.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    table: NDArray[np.int64]
    changed: float
    chance: float
    agreement: float

    @property
    def movers(self) -> NDArray[np.int64]:
        """Rows of the galaxies that change band, of those whose bands are both told."""
        told = (self.left < UNTOLD) & (self.right < UNTOLD)
        return np.flatnonzero(told & (self.left != self.right))

    @property
    def links(self) -> list[tuple[int, int, int]]:
        """The largest flows: band on the left, band on the right, galaxies; early bands first."""
        pairs = np.argwhere(self.table > 0)
        sizes = self.table[tuple(pairs.T)]
        largest = np.sort(np.argsort(-sizes, kind="stable")[:MOST_FLOWS])
        return [(int(i), int(j), int(self.table[i, j])) for i, j in pairs[largest]]


def bands(clustering: Clustering) -> NDArray[np.int64]:
    """The band of each galaxy's group, (N,): early ones first, `UNTOLD` for too few T."""
    own = [
        int(np.digitize(cluster.ttype_mean, EDGES)) if cluster.n_ttype >= ENOUGH else UNTOLD
        for cluster in clustering.clusters
    ]
    return np.asarray(np.array([*own, UNTOLD])[clustering.labels])  # label -1: in no group


@lru_cache(KEPT_FLOWS)
def flow_between(bundle: Bundle, left: str, right: str) -> Flow:
    """The flow from one clustering to another; the same for all visitors."""
    first, second = (bundle.clusterings[key] for key in (left, right))
    sides = bands(first), bands(second)
    table = contingency(*sides, n=UNTOLD + 1)
    told = table[:UNTOLD, :UNTOLD]
    n = max(1, int(told.sum()))
    by_chance = float((told.sum(1) / n) @ (told.sum(0) / n))
    agreement = adjusted_rand(first.labels, second.labels)
    return Flow(*sides, table, 1 - float(np.trace(told)) / n, 1 - by_chance, agreement)


def flow_values(flow: Flow, bundle: Bundle, sides: tuple[str, str]) -> dict[str, Any]:
    """What the browser draws; sides: what is on the left and on the right, in words."""
    typed = bundle.column("ttype_class") >= 0
    nodes = [
        [
            _node(band, int(n), int((typed & (own == band)).sum()), words)
            for band, n in enumerate(flow.table.sum(1 - axis))
            if n
        ]
        for axis, (own, words) in enumerate(zip((flow.left, flow.right), sides, strict=True))
    ]
    links = [
        {
            "left": i, "right": j, "count": n, "colour": BAND_COLOURS[i],
            "words": f"{n:,} galaxies from {BAND_WORDS[i]} with {sides[0]} to {BAND_WORDS[j]} with"
            f" {sides[1]}",
        }
        for i, j, n in flow.links
    ]  # fmt: skip
    return {"sides": list(sides), "nodes": nodes, "links": links}


def picked(flow: Flow, rows: NDArray[np.int64]) -> list[list[int]]:
    """Of each band on the left and on the right, how many of some rows are in both, (6, 6)."""
    counts = contingency(flow.left[rows], flow.right[rows], n=UNTOLD + 1)
    return [[int(count) for count in line] for line in counts]


def _node(band: int, count: int, typed: int, words: str) -> dict[str, Any]:
    what = f"mean {BAND_WORDS[band]}" if band < UNTOLD else "too few members with a T"
    return {
        "band": band, "label": BAND_WORDS[band], "count": count, "colour": BAND_COLOURS[band],
        "words": f"{count:,} galaxies with {words} in groups of {what}; {typed:,} have a T",
    }  # fmt: skip
