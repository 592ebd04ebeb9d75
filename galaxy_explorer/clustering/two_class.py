"""Clusters merged into early and late: how many galaxies fall on the right side?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.clustering.intervals import (
    BOOTSTRAPS,
    PERMUTATIONS,
    Scores,
    bootstrap,
    chance_level,
)
from galaxy_explorer.clustering.summary import EARLY_TTYPE

STATISTICS = ("share", "mean")
Pair = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class EarlyRule:
    """Which clusters count as early.

    earliness (k,): by cluster, the share of T <= 0 among its training galaxies, or minus their mean
    T. threshold: a cluster with at least that is early.
    """

    earliness: np.ndarray
    threshold: float

    def predict(self, labels: np.ndarray) -> np.ndarray:
        """True for a galaxy in an early cluster, (N,) bool."""
        early: np.ndarray = self.earliness[labels] >= self.threshold
        return early


def two_class(
    labels: np.ndarray,
    ttype: np.ndarray,
    *,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    statistic: str = "share",
    seed: int = 0,
) -> tuple[Scores, dict[str, EarlyRule]]:
    """Accuracy and balanced accuracy of early (T <= 0) against late, clusters merged to two.

    labels (N,) clusters, ttype (N,) with NaN; train, validation, test: rows. The earliness of each
    cluster ("share" of T <= 0, or "mean" T) is that of its train galaxies; the threshold is the one
    that is best on the validation galaxies, separately for either score; both are judged on the
    test galaxies. Scores have `value`, `low`, `high` and `chance` (labels shuffled among the test
    galaxies). Galaxies without T or with label -1 are left out.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"statistic {statistic!r}: unknown; choose {', '.join(STATISTICS)}")
    known = np.isfinite(ttype) & (labels >= 0)
    train, validation, test = (rows[known[rows]] for rows in (train, validation, test))
    earliness = _earliness(labels, ttype, train, statistic)
    early = ttype <= EARLY_TTYPE
    scores, rules = {}, {}
    for name, score in {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}.items():
        rule = _best_rule(earliness, labels[validation], early[validation], score)
        guess, truth = rule.predict(labels[test]), early[test]
        scores[name] = bootstrap(
            lambda rows, s=score, g=guess, t=truth: s(t[rows], g[rows]),  # type: ignore[misc]
            len(test),
            seed=seed,
            bootstraps=BOOTSTRAPS,
        )
        scores[name]["chance"] = chance_level(
            lambda rows, s=score, g=guess, t=truth: s(t, g[rows]),  # type: ignore[misc]
            len(test),
            seed=seed,
            permutations=PERMUTATIONS,
        )
        rules[name] = rule
    return scores, rules


def _earliness(
    labels: np.ndarray, ttype: np.ndarray, train: np.ndarray, statistic: str
) -> np.ndarray:
    """Earliness of every cluster; one without train galaxies of known T is as the whole sample."""
    types = ttype[train]
    value = (types <= EARLY_TTYPE).astype(float) if statistic == "share" else -types
    k = int(labels.max(initial=0)) + 1
    counts = np.bincount(labels[train], minlength=k)
    sums = np.bincount(labels[train], weights=value, minlength=k)
    overall = value.mean() if len(value) else 0.0
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall)


def _best_rule(
    earliness: np.ndarray, labels: np.ndarray, early: np.ndarray, score: Pair
) -> EarlyRule:
    levels = np.unique(earliness)
    middles = (levels[1:] + levels[:-1]) / 2
    rules = [EarlyRule(earliness, t) for t in (*middles, levels[0], np.inf)]
    return max(rules, key=lambda rule: score(early, rule.predict(labels)) if len(early) else 0.0)


def accuracy(truth: np.ndarray, guess: np.ndarray) -> float:
    """Share of galaxies on the right side."""
    return float((truth == guess).mean())


def balanced_accuracy(truth: np.ndarray, guess: np.ndarray) -> float:
    """Mean of the shares of early and of late galaxies on the right side."""
    sides = [guess[truth] if truth.any() else None, ~guess[~truth] if not truth.all() else None]
    return float(np.mean([side.mean() for side in sides if side is not None]))
