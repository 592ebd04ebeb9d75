"""The codes of a codebook as a vocabulary: how often each is used, where, and what it looks like.

Arrays in, arrays out: code maps (N, h, w), T classes (N,), stamps (n, S, S) or
(n, S, S, 3). No state, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MARGIN = 1
"""Cells around a code that belong to its surroundings: the picture is 3 x 3 cells."""
SAMPLE = 600
"""Galaxies whose pictures are averaged: some 75 places of each of 512 codes."""
OCCURRENCES = 100
"""Places averaged for one code at most."""
ORDERS = ("use", "mean T", "similarity", "number")


@dataclass(frozen=True)
class CodeUse:
    """How the codes of a model are used, K of them.

    places (K,): cells of all code maps that hold the code. galaxies (K,): galaxies that hold it at
    least once. ttype_mean (K,): mean T of those with a T, NaN without any. histogram (K, 10): those
    galaxies by T class, T = -3..6. no_t (K,): those without a T.
    """

    places: NDArray[np.int64]
    galaxies: NDArray[np.int64]
    ttype_mean: NDArray[np.float64]
    histogram: NDArray[np.int64]
    no_t: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of all places that hold each code, (K,); they sum to 1."""
        return np.asarray(self.places / max(1, self.places.sum()))


def code_use(
    codes: NDArray[np.integer], count: int, ttype: NDArray[np.floating], classes: NDArray[np.int64]
) -> CodeUse:
    """Count the use of `count` codes in code maps (N, h, w).

    ttype (N,): NaN where unknown; classes (N,): 0..9 for T = -3..6, -1 unknown.
    """
    holds = presence(codes, count)
    galaxies = holds.sum(0, dtype=np.int64)
    weights = holds[classes >= 0].T.astype(np.float32)  # products of floats are fast; counts exact
    by_class = np.eye(10, dtype=np.float32)[classes[classes >= 0]]
    members = weights.sum(1)
    sums = weights @ ttype[classes >= 0].astype(np.float32)
    return CodeUse(
        places=np.bincount(codes.ravel(), minlength=count),
        galaxies=galaxies,
        ttype_mean=np.where(members > 0, sums / np.maximum(1, members), np.nan),
        histogram=np.asarray(weights @ by_class).astype(np.int64),
        no_t=galaxies - members.astype(np.int64),
    )


def presence(codes: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Whether each galaxy holds each code, (N, K)."""
    holds = np.zeros((len(codes), count), bool)
    holds[np.arange(len(codes))[:, None], codes.reshape(len(codes), -1)] = True
    return holds


def heaviest_users(codes: NDArray[np.integer], code: int, n: int) -> NDArray[np.int64]:
    """The `n` galaxies with the most places that hold `code`, most first; none without it."""
    places = (codes == code).sum(axis=(1, 2))
    order = np.argsort(-places, kind="stable")[:n]
    return np.asarray(order[places[order] > 0], np.int64)


def code_order(use: CodeUse, codebook: NDArray[np.floating], order: str) -> NDArray[np.int64]:
    """Codes in one of ORDERS: most used first, early first, similar ones together, by number."""
    if order == "number":
        return np.arange(len(codebook))
    if order == "use":
        return np.asarray(np.argsort(-use.places, kind="stable"))
    if order == "mean T":
        return np.asarray(np.argsort(use.ttype_mean, kind="stable"))  # NaN behind
    return similarity_order(codebook)


def similarity_order(codebook: NDArray[np.floating]) -> NDArray[np.int64]:
    """Codes so that neighbours are alike: the leaves of their average-linkage tree, (K,)."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    return np.asarray(leaves_list(linkage(codebook.astype(np.float64), "average")), np.int64)


def sample_rows(codes: NDArray[np.integer], count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Galaxies to average: SAMPLE at random, and the heaviest users of codes that those lack."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(codes))[:SAMPLE]
    held = np.bincount(codes[rows].ravel(), minlength=count)
    missing = [heaviest_users(codes, int(code), 4) for code in np.flatnonzero(held == 0)]
    return np.unique(np.concatenate([rows, *missing]))


def surroundings(
    codes: NDArray[np.integer], stamps: NDArray[np.floating], count: int
) -> NDArray[np.float32]:
    """Mean picture (K, 3 p, 3 p) of each code's cell and the cells around it, p pixels a cell.

    codes (n, h, w) and stamps (n, S, S) of the same galaxies, p = S / h; of stamps (n, S, S, 3) the
    pictures are (K, 3 p, 3 p, 3). Pixels beyond the edge and
    pixels that are not finite do not count; NaN where none does.
    """
    cell = stamps.shape[1] // codes.shape[1]
    edge, width = MARGIN * cell, (1 + 2 * MARGIN) * cell
    bands = stamps.shape[3:]
    around = [(0, 0), (edge, edge), (edge, edge), *[(0, 0)] * len(bands)]
    padded = np.pad(stamps.astype(np.float32), around, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width), axis=(1, 2))
    galaxy, line, column = np.unravel_index(
        np.argsort(codes, axis=None, kind="stable"), codes.shape
    )
    bounds = np.cumsum([0, *np.bincount(codes.ravel(), minlength=count)])
    pictures = np.full((count, width, width, *bands), np.nan, np.float32)
    for code in range(count):
        start, stop = int(bounds[code]), int(bounds[code + 1])
        places = np.arange(start, stop)
        if len(places) > OCCURRENCES:  # so many, evenly spread
            places = np.linspace(start, stop - 1, OCCURRENCES).astype(np.int64)
        if len(places):
            patches = windows[galaxy[places], line[places] * cell, column[places] * cell]
            finite = np.isfinite(patches)
            total, number = np.where(finite, patches, 0).sum(0), finite.sum(0)
            # mean of what is finite, ([3,] 3 p, 3 p); NaN where nothing is
            mean = np.where(number > 0, total / np.maximum(1, number), np.nan).astype(np.float32)
            pictures[code] = np.moveaxis(mean, 0, -1) if bands else mean
    return pictures


def constant_maps(count: int, side: int) -> NDArray[np.int64]:
    """One map (K, h, h) for each code that holds nothing else."""
    return np.broadcast_to(np.arange(count)[:, None, None], (count, side, side)).copy()


def marked(
    pictures: NDArray[np.uint8], places: NDArray[np.bool_], colour: ArrayLike, *, zoom: int = 2
) -> NDArray[np.uint8]:
    """Pictures (n, S, S, 3), `zoom` times as large, with frames around cells `places` (n, h, h)."""
    large = pictures.repeat(zoom, axis=1).repeat(zoom, axis=2)
    cell = large.shape[1] // places.shape[1]
    inside = places.repeat(cell, axis=1).repeat(cell, axis=2)
    step = np.arange(large.shape[1]) % cell
    border = (step == 0) | (step == cell - 1)
    frame = inside & (border[None, :, None] | border[None, None, :])
    large[frame] = np.asarray(colour, np.uint8)
    return large
