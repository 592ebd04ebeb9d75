"""Hartigan's dip: how far the distribution of a number is from having a single peak."""

from __future__ import annotations

import numpy as np

SIGNIFICANT = 0.61  # dip sqrt(n) that one in a hundred uniform distributions exceeds (n = 200)


def dip(values: np.ndarray) -> float:
    """Largest distance of the empirical distribution of values (n,) from the nearest unimodal one.

    Hartigan & Hartigan (1985): between 1 / 2n and 1/4. Times sqrt(n) it is near 0.35 for a uniform
    distribution, less for any other with one peak, and it grows with n where there is a valley.
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    if n < 4 or x[0] == x[-1]:
        return 0.5 / max(n, 1)
    rank = np.arange(n, dtype=np.float64)
    low, high, deepest = 0, n - 1, 1.0
    while True:
        span = np.arange(low, high + 1)
        below, above = _hull(x[span], rank[span], 1.0), _hull(x[span], rank[span], -1.0)
        convex = np.interp(x[span], x[span][below], rank[span][below])
        concave = np.interp(x[span], x[span][above], rank[span][above])
        touching = np.union1d(below, above)
        gaps = (concave - convex)[touching] + 1.0  # the distribution steps by one at each value
        widest = int(touching[gaps.argmax()])
        left, right = below[below <= widest].max(), above[above >= widest].min()
        if gaps.max() <= deepest or right <= left:
            break
        rise = (rank[span] - convex)[: left + 1].max(initial=0) + 1.0
        fall = (concave - rank[span])[right:].max(initial=0) + 1.0
        deepest = max(deepest, rise, fall)
        if (left, right) == (0, len(span) - 1):
            break
        low, high = low + int(left), low + int(right)
    return deepest / (2 * n)


def _hull(x: np.ndarray, y: np.ndarray, sign: float) -> np.ndarray:
    """Corners of the greatest convex minorant (sign 1) or least concave majorant (-1) of y(x)."""
    corners: list[int] = []
    for i in range(len(x)):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            turn = (x[b] - x[a]) * (y[i] - y[a]) - (x[i] - x[a]) * (y[b] - y[a])
            if sign * turn > 0:
                break
            corners.pop()
        corners.append(i)
    return np.array(corners)
