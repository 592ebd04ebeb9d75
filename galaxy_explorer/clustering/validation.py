"""What do clusters follow? Scores of a clustering against T or any other column.

Every score stands beside its interval over galaxies and its chance level. Against the Hubble type:
adjusted mutual information, homogeneity, eta squared, and the share of galaxies on the right side
when clusters are merged into early and late. Against size, angle, noise and the like: the same by
the kind of the column. Against another clustering of the same galaxies: how far the two agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.clustering.summary import EARLY_TTYPE
from galaxy_explorer.utils.resampling import FEW_RESAMPLES, PERMUTATIONS, bootstrap, chance_level

Scores = dict[str, dict[str, float]]
"""By name: `value`, `low`, `high`, the interval as `utils.resampling` has it, and `chance`."""
Pair = Callable[[np.ndarray, np.ndarray], float]
"""A score of truth and labels, galaxy by galaxy; 1 at most."""


def agreement(
    labels: np.ndarray,
    ttype: np.ndarray,
    ttype_class: np.ndarray,
    *,
    seed: int = 0,
    bootstraps: int = FEW_RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> Scores:
    """Adjusted mutual information, homogeneity and eta squared of clusters against T.

    labels (N,) clusters; ttype (N,) with NaN where unknown; ttype_class (N,) 0..9, -1 unknown.
    Only galaxies with a T-type count. Each score has `value`, `low`, `high` (95 % over galaxies)
    and `chance` (mean over permuted labels). All are NaN with fewer than two galaxies.
    """
    from sklearn.metrics import adjusted_mutual_info_score, homogeneity_score

    known = ~np.isnan(ttype)
    labels, ttype, classes = labels[known], ttype[known], ttype_class[known]
    scores: dict[str, tuple[Pair, np.ndarray]] = {
        "ami": (adjusted_mutual_info_score, classes),
        "homogeneity": (homogeneity_score, classes),
        "eta2": (eta_squared, ttype),
    }
    options = {"seed": seed, "bootstraps": bootstraps, "permutations": permutations}
    return {
        name: pair_score(score, truth, labels, **options) for name, (score, truth) in scores.items()
    }


def pair_score(
    score: Pair,
    truth: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    bootstraps: int = FEW_RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> dict[str, float]:
    """`value`, `low`, `high` and `chance` of a score of truth (N,) or (N, V) and labels (N,).

    All are NaN with fewer than two galaxies.
    """
    n = len(labels)
    if n < 2:
        return dict.fromkeys(("value", "low", "high", "chance"), float("nan"))
    found = bootstrap(
        lambda rows: score(truth[rows], labels[rows]), n, seed=seed, resamples=bootstraps, most=1
    )
    chance = chance_level(
        lambda rows: score(truth, labels[rows]), n, seed=seed, permutations=permutations
    )
    return {**found.scores(), "chance": chance}


def eta_squared(ttype: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of T that lies between clusters (the correlation ratio), 0 to 1."""
    total = np.square(ttype - ttype.mean()).sum()
    if total == 0:
        return 0.0
    _, inverse = np.unique(labels, return_inverse=True)
    counts = np.bincount(inverse)
    means = np.bincount(inverse, weights=ttype) / counts
    return float((counts * np.square(means - ttype.mean())).sum() / total)


def compare_labels(left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Adjusted Rand index and adjusted mutual information of two clusterings of N galaxies.

    left, right: clusters (N,). Both scores are 1 for the same partition, whatever its numbers, and
    0 on average for independent ones.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return {
        "ari": adjusted_rand(left, right),
        "ami": float(adjusted_mutual_info_score(left, right)),
    }


def adjusted_rand(left: np.ndarray, right: np.ndarray) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of two clusterings of N galaxies, (N,) each."""
    first, second = (np.unique(labels, return_inverse=True)[1] for labels in (left, right))
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    together, of_first, of_second, pairs = (
        float((counts * (counts - 1) / 2).sum())
        for counts in (table, table.sum(1), table.sum(0), table.sum())
    )
    chance = of_first * of_second / max(pairs, 1.0)
    most = (of_first + of_second) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)


BINS = 10  # of a continuous column, for its mutual information: equal numbers of galaxies
ERROR_TTYPE = 1.0  # what catalogues differ by


def dependence(
    labels: np.ndarray,
    column: np.ndarray,
    kind: str = "continuous",
    *,
    seed: int = 0,
    bootstraps: int = FEW_RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> Scores:
    """How much clusters (N,) tell about a column (N,): scores with interval and chance level.

    kind "categorical": any values, "" and negative numbers unknown; `ami`, `homogeneity` and
    `v_measure`. "continuous": NaN unknown; `eta2`, the share of the variance between clusters, and
    `ami` with the column's tenths. "angle": degrees modulo 180, such as a position angle, NaN
    unknown; `eta2` of the vectors (cos 2a, sin 2a), and `ami` with ten sectors. Each score has
    `value`, `low`, `high` (95 % bootstrap over galaxies) and `chance` (mean over shuffles).
    Galaxies with unknown value or label -1 are left out; fewer than two left give NaN.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: unknown; choose {', '.join(KINDS)}")
    known = _known(column, kind) & (labels >= 0)
    labels, values = labels[known], column[known]
    if len(labels) < 2:
        names = ("ami", "homogeneity", "v_measure") if kind == "categorical" else ("eta2", "ami")
        nothing = dict.fromkeys(("value", "low", "high", "chance"), float("nan"))
        return {name: dict(nothing) for name in names}
    options = {"seed": seed, "bootstraps": bootstraps, "permutations": permutations}
    return {
        name: pair_score(score, truth, labels, **options)
        for name, score, truth in KINDS[kind](values)
    }


def _known(column: np.ndarray, kind: str) -> np.ndarray:
    if kind != "categorical" or column.dtype.kind == "f":
        return np.isfinite(column.astype(np.float64))
    return column >= 0 if column.dtype.kind in "iu" else column.astype(str) != ""


def _categorical(values: np.ndarray) -> list[tuple[str, Pair, np.ndarray]]:
    from sklearn import metrics

    classes = np.unique(values, return_inverse=True)[1]
    return [
        ("ami", metrics.adjusted_mutual_info_score, classes),
        ("homogeneity", metrics.homogeneity_score, classes),
        ("v_measure", metrics.v_measure_score, classes),
    ]


def _continuous(values: np.ndarray) -> list[tuple[str, Pair, np.ndarray]]:
    from sklearn.metrics import adjusted_mutual_info_score

    edges = np.quantile(values, np.arange(1, BINS) / BINS)
    bins = np.searchsorted(edges, values, side="right")
    return [("eta2", vector_eta2, values), ("ami", adjusted_mutual_info_score, bins)]


def _angle(values: np.ndarray) -> list[tuple[str, Pair, np.ndarray]]:
    from sklearn.metrics import adjusted_mutual_info_score

    doubled = np.radians(2 * values.astype(np.float64))
    directions = np.stack([np.cos(doubled), np.sin(doubled)], axis=1)
    sectors = (np.mod(values, 180) / 180 * BINS).astype(int)
    return [("eta2", vector_eta2, directions), ("ami", adjusted_mutual_info_score, sectors)]


KINDS = {"categorical": _categorical, "continuous": _continuous, "angle": _angle}


def vector_eta2(values: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of values (N,) or vectors (N, V) that lies between clusters, 0 to 1."""
    vectors = values.reshape(len(values), -1).astype(np.float64)
    vectors = vectors - vectors.mean(0)
    total = np.square(vectors).sum()
    if total == 0:
        return 0.0
    _, inverse = np.unique(labels, return_inverse=True)
    counts = np.bincount(inverse)
    sums = np.stack([np.bincount(inverse, weights=column) for column in vectors.T], axis=1)
    return float((np.square(sums).sum(1) / counts).sum() / total)


def ideal_clusters(
    ttype: np.ndarray, k: int, *, error: float = ERROR_TTYPE, seed: int = 0
) -> np.ndarray:
    """The best that k clusters can do where T is known only to +- `error`: int16 (N,).

    Quantile bins of T plus Gaussian error, -1 where T is unknown. Their scores are the ceiling.
    """
    noisy = ttype + np.random.default_rng(seed).normal(0, error, len(ttype))
    known = np.isfinite(noisy)
    edges = np.quantile(noisy[known], np.arange(1, k) / k) if known.any() else np.empty(0)
    return np.where(known, np.searchsorted(edges, noisy, side="right"), -1).astype(np.int16)


def undecided_share(labels: np.ndarray) -> float:
    """Share of galaxies that a clusterer leaves out (label -1)."""
    return float((labels < 0).mean()) if len(labels) else float("nan")


STATISTICS = ("share", "mean")


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
    # Earliness of every cluster; one without train galaxies of known T is as the whole sample.
    types = ttype[train]
    value = (types <= EARLY_TTYPE).astype(float) if statistic == "share" else -types
    k = int(labels.max(initial=0)) + 1
    counts = np.bincount(labels[train], minlength=k)
    sums = np.bincount(labels[train], weights=value, minlength=k)
    overall = value.mean() if len(value) else 0.0
    earliness = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    early = ttype <= EARLY_TTYPE
    scores, rules = {}, {}
    for name, score in {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}.items():
        rule = _best_rule(earliness, labels[validation], early[validation], score)
        guess, truth = rule.predict(labels[test]), early[test]
        scores[name] = pair_score(score, truth, guess, seed=seed)
        rules[name] = rule
    return scores, rules


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
