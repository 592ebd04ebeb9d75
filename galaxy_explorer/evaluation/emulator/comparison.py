"""Generated galaxies against real ones: slopes against T, distances, classifiers, neighbours.

Every function takes arrays that were measured under the same noise, sky and segmentation, whatever
they came from: held-out galaxies, their reconstructions, samples, a control. Intervals hold 95 % of
400 resamples of the galaxies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.evaluation.emulator.sets import Floats, Galaxies, Rows, Score, resampled

FLOOR_PAIRS = 20
FOLDS = 5
TREES = 200
EARLY_TTYPE = 0.0
PAIRS = 4000  # random pairs behind a mean distance
BLOCK = 256


def fitted_slope(ttype: Floats, values: Floats) -> float:
    """Least-squares slope a stage of T; no pair may be NaN; 0 where T does not vary."""
    spread = ttype - ttype.mean()
    variance = float(spread @ spread)
    return float(spread @ values) / variance if variance > 0 else 0.0


def _pairs(galaxies: Galaxies, statistic: str) -> tuple[Floats, Floats]:
    values = galaxies.statistics[statistic]
    known = np.isfinite(values) & np.isfinite(galaxies.ttype)
    return galaxies.ttype[known], values[known]


def slope_of(galaxies: Galaxies, statistic: str) -> Score:
    """Slope of a statistic against T."""
    x, y = _pairs(galaxies, statistic)
    return resampled(lambda rows: fitted_slope(x[rows], y[rows]), len(x))


def slope_ratio(samples: Galaxies, reconstructions: Galaxies, statistic: str) -> Score:
    """Slope of samples over the slope of reconstructions."""
    (x, y), (u, v) = _pairs(samples, statistic), _pairs(reconstructions, statistic)

    def ratio(rows: Rows, others: Rows) -> float:
        below = fitted_slope(u[others], v[others])
        return fitted_slope(x[rows], y[rows]) / below if below else 0.0

    return resampled(ratio, len(x), len(u))


def _scaled(
    first: Galaxies, second: Galaxies, names: Sequence[str], sigma: Mapping[str, float]
) -> list[tuple[Floats, Floats]]:
    return [
        (first.statistics[name] / sigma[name], second.statistics[name] / sigma[name])
        for name in names
    ]


def sigmas_of(galaxies: Galaxies) -> dict[str, float]:
    """Standard deviation of each statistic, the unit of distances."""
    return {n: float(np.nanstd(v)) or 1.0 for n, v in galaxies.statistics.items()}


def wasserstein(first: Floats, second: Floats) -> float:
    """Wasserstein-1 distance of two samples, NaN left out."""
    from scipy.stats import wasserstein_distance

    a, b = first[np.isfinite(first)], second[np.isfinite(second)]
    return float(wasserstein_distance(a, b)) if len(a) and len(b) else 0.0


def mean_distance(
    first: Galaxies, second: Galaxies, names: Sequence[str], sigma: Mapping[str, float]
) -> Score:
    """Mean over statistics of the Wasserstein-1 distance over sigma."""
    pairs = _scaled(first, second, names, sigma)

    def mean(rows: Rows, others: Rows) -> float:
        return float(np.mean([wasserstein(a[rows], b[others]) for a, b in pairs]))

    return resampled(mean, len(first), len(second), centred=True)


def distance_floor(
    real: Galaxies, sizes: tuple[int, int], names: Sequence[str], sigma: Mapping[str, float]
) -> float:
    """The mean distance between two random sets of the same galaxies, of these sizes."""
    rng, n = np.random.default_rng(1), len(real)
    drawn = []
    for _ in range(FLOOR_PAIRS):
        first, second = (real.rows(rng.integers(n, size=size)) for size in sizes)
        pairs = _scaled(first, second, names, sigma)
        drawn.append(np.mean([wasserstein(a, b) for a, b in pairs]))
    return float(np.mean(drawn))


def two_sample_auc(first: NDArray[np.floating], second: NDArray[np.floating]) -> Score:
    """How well a classifier tells two sets of features (n, F) apart: area under the curve.

    Scored on held-out folds; the better of a logistic regression and a forest; 0.5: not at all.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.nan_to_num(np.concatenate([first, second]).astype(np.float64))
    side = np.repeat([0, 1], [len(first), len(second)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    forest = ExtraTreesClassifier(TREES, min_samples_leaf=5, random_state=0)
    odds = [
        cross_val_predict(model, x, side, cv=folds, method="predict_proba")[:, 1]
        for model in (linear, forest)
    ]
    best = max(odds, key=lambda values: area(values[side == 0], values[side == 1]))
    before, after = best[side == 0], best[side == 1]
    return resampled(lambda a, b: area(before[a], after[b]), len(before), len(after))


def area(first: Floats, second: Floats) -> float:
    """Chance that a value of the second set is above one of the first, ties by halves."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([first, second]))[len(first) :]
    n, m = len(first), len(second)
    return float((ranks.sum() - m * (m + 1) / 2) / (n * m))


def split_auc(features: NDArray[np.floating]) -> float:
    """The same between two random halves of one set: its floor."""
    order = np.random.default_rng(2).permutation(len(features))
    half = len(order) // 2
    return two_sample_auc(features[order[:half]], features[order[half:]]).value


def nearest_distances(vectors: NDArray[np.floating], others: NDArray[np.floating]) -> Floats:
    """Distance (n,) of each of vectors (n, V) to the nearest of others (m, V)."""
    known = np.asarray(others, np.float32)
    square = np.square(known).sum(1)
    parts = []
    for start in range(0, len(vectors), BLOCK):
        part = np.asarray(vectors[start : start + BLOCK], np.float32)
        apart = square - 2 * part @ known.T + np.square(part).sum(1)[:, None]  # (b, m)
        parts.append(np.sqrt(apart.min(1).clip(0)))
    return np.concatenate(parts).astype(np.float64)


def neighbour_ratio(
    vectors: NDArray[np.floating], train: NDArray[np.floating], held_out: NDArray[np.floating]
) -> Score:
    """Mean distance to the nearest training galaxy over that to the nearest held-out one.

    As many training as held-out galaxies must be given; below 1: training galaxies are copied.
    Raises ValueError for unequal numbers.
    """
    if len(train) != len(held_out):
        raise ValueError(f"{len(train)} training and {len(held_out)} held-out galaxies")
    near, far = nearest_distances(vectors, train), nearest_distances(vectors, held_out)
    return resampled(lambda rows: float(near[rows].mean() / far[rows].mean()), len(near))


def diversity(samples: Galaxies, reconstructions: Galaxies) -> float:
    """Mean distance between two samples in code space over that between two reconstructions."""
    below = spread(reconstructions.vectors)
    return spread(samples.vectors) / below if below > 0 else 0.0


def spread(vectors: NDArray[np.floating]) -> float:
    """Mean distance between two random ones of vectors (n, V)."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(len(vectors), size=(2, PAIRS))
    return float(np.linalg.norm(vectors[first] - vectors[second], axis=1).mean())


def correlation(galaxies: Galaxies) -> Score:
    """Correlation of T, asked or catalogued, with T as judged; needs a judge."""
    x, y = galaxies.ttype, _judged(galaxies)
    return resampled(lambda rows: _r(x[rows], y[rows]), len(x))


def correlation_ratio(samples: Galaxies, reconstructions: Galaxies) -> Score:
    """Correlation of asked and judged T on samples over that on reconstructions."""
    x, y, u, v = samples.ttype, _judged(samples), reconstructions.ttype, _judged(reconstructions)

    def ratio(rows: Rows, others: Rows) -> float:
        below = _r(u[others], v[others])
        return _r(x[rows], y[rows]) / below if below else 0.0

    return resampled(ratio, len(x), len(u))


def _judged(galaxies: Galaxies) -> Floats:
    if galaxies.judged is None:
        raise ValueError("no judge has read these galaxies")
    return galaxies.judged


def _r(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 < y.std() else 0.0


def training_set_accuracy(
    samples: Galaxies, training: Galaxies, real: Galaxies
) -> tuple[Score, Score]:
    """Two-class accuracy on real galaxies: a forest that learnt samples over one of `training`.

    The first Score is the ratio, the second the accuracy of the forest that learnt `training`; both
    forests see as many galaxies.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    n = min(len(samples), len(training))
    truth = real.ttype <= EARLY_TTYPE
    right = []
    for teacher in (samples, training):
        rows = np.random.default_rng(4).permutation(len(teacher))[:n]
        early = teacher.ttype[rows] <= EARLY_TTYPE
        guess = np.full(len(real), bool(early[0]))  # where it has seen one side only
        if early.any() and not early.all():
            forest = ExtraTreesClassifier(TREES, min_samples_leaf=3, random_state=0)
            forest.fit(teacher.features[rows], early)
            guess = np.asarray(forest.predict(real.features), bool)
        right.append(guess == truth)

    def ratio(rows: Rows) -> float:
        below = float(right[1][rows].mean())
        return float(right[0][rows].mean()) / below if below else 0.0

    by_real = resampled(lambda rows: float(right[1][rows].mean()), len(truth))
    return resampled(ratio, len(truth)), by_real
