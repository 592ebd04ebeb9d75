"""Generated galaxies against real ones: slopes against T, distances, classifiers, neighbours.

Every function takes sets of galaxies that were measured under the same noise, sky and segmentation,
whatever they came from: held-out galaxies, their reconstructions, samples, a control.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.emulation import READ_TTYPE
from galaxy_explorer.utils.resampling import FEW_RESAMPLES, Estimate, bootstrap, slope

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

COLLAPSED_TO = 8  # distinct galaxies of a collapsed emulator


@dataclass(frozen=True)
class Galaxies:
    """Galaxies of one kind.

    ttype (n,): catalogued, or asked for; NaN unknown. statistics: name -> (n,), NaN where they
    could not be measured. features (n, F): of the picture, for classifiers. vectors (n, V): code
    vectors. read: what a judge reads, `read_ttype` and attributes, name -> (n,), empty without one;
    judge_features (n, P): what it reads from. failed: share not measurable.
    """

    ttype: Floats
    statistics: Mapping[str, Floats]
    features: NDArray[np.float32]
    vectors: NDArray[np.float32]
    read: Mapping[str, Floats] = field(default_factory=dict)
    judge_features: Floats | None = None
    failed: float = 0.0

    def __len__(self) -> int:
        return len(self.ttype)

    def rows(self, rows: Rows) -> Galaxies:
        """Some of them, repeats allowed."""
        return replace(
            self,
            ttype=self.ttype[rows],
            statistics={name: values[rows] for name, values in self.statistics.items()},
            features=self.features[rows],
            vectors=self.vectors[rows],
            read={name: values[rows] for name, values in self.read.items()},
            judge_features=None if self.judge_features is None else self.judge_features[rows],
        )

    def joined(self, others: Galaxies) -> Galaxies:
        """These and others of the same kind."""
        both = None
        if self.judge_features is not None and others.judge_features is not None:
            both = np.concatenate([self.judge_features, others.judge_features])
        n, m = len(self), len(others)
        return Galaxies(
            ttype=np.concatenate([self.ttype, others.ttype]),
            statistics={
                name: np.concatenate([values, others.statistics[name]])
                for name, values in self.statistics.items()
            },
            features=np.concatenate([self.features, others.features]),
            vectors=np.concatenate([self.vectors, others.vectors]),
            read={
                name: np.concatenate([values, others.read[name]])
                for name, values in self.read.items()
            },
            judge_features=both,
            failed=(n * self.failed + m * others.failed) / max(n + m, 1),
        )

    @property
    def typed(self) -> Galaxies:
        """Those with a T."""
        return self.rows(np.flatnonzero(np.isfinite(self.ttype)))

    @property
    def collapsed(self) -> Galaxies:
        """As many galaxies, the first eight again and again, whatever T was asked for."""
        few = self.rows(np.arange(len(self)) % COLLAPSED_TO)
        return replace(few, ttype=self.ttype)


@dataclass(frozen=True)
class ResampledFigure:
    """A figure of the rows of one or more sets, each set resampled by itself.

    figure: rows of each set -> number; sizes: galaxies of each; most: the largest number it can
    be. Resampling waits until `estimate` is asked for: of floors and controls only the value is.
    """

    figure: Callable[..., float]
    sizes: tuple[int, ...]
    most: float = math.inf

    @cached_property
    def value(self) -> float:
        """Of all galaxies."""
        return float(self.figure(*map(np.arange, self.sizes)))

    @cached_property
    def estimate(self) -> Estimate:
        """The value with its 95 % interval over galaxies and its standard error."""
        return bootstrap(self.figure, *self.sizes, resamples=FEW_RESAMPLES, most=self.most)


FLOOR_PAIRS = 20
FOLDS = 5
TREES = 200
EARLY_TTYPE = 0.0
PAIRS = 4000  # random pairs behind a mean distance


def values_of(galaxies: Galaxies, statistic: str) -> Floats:
    """A statistic (n,), or what a judge reads."""
    read = galaxies.read.get(statistic)
    return galaxies.statistics[statistic] if read is None else read


def _pairs(galaxies: Galaxies, statistic: str) -> tuple[Floats, Floats]:
    values = values_of(galaxies, statistic)
    known = np.isfinite(values) & np.isfinite(galaxies.ttype)
    return galaxies.ttype[known], values[known]


def slope_of(galaxies: Galaxies, statistic: str) -> ResampledFigure:
    """Slope of a statistic against T."""
    x, y = _pairs(galaxies, statistic)
    return ResampledFigure(lambda rows: slope(x[rows], y[rows]), (len(x),))


def slope_ratio(samples: Galaxies, reconstructions: Galaxies, statistic: str) -> ResampledFigure:
    """Slope of samples over the slope of reconstructions."""
    (x, y), (u, v) = _pairs(samples, statistic), _pairs(reconstructions, statistic)

    def ratio(rows: Rows, others: Rows) -> float:
        below = slope(u[others], v[others])
        return slope(x[rows], y[rows]) / below if below else 0.0

    return ResampledFigure(ratio, (len(x), len(u)))


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
) -> ResampledFigure:
    """Mean over statistics of the Wasserstein-1 distance over sigma."""
    pairs = _scaled(first, second, names, sigma)

    def mean(rows: Rows, others: Rows) -> float:
        return float(np.mean([wasserstein(a[rows], b[others]) for a, b in pairs]))

    return ResampledFigure(mean, (len(first), len(second)))


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


def two_sample_auc(first: NDArray[np.floating], second: NDArray[np.floating]) -> ResampledFigure:
    """How well a classifier tells two sets of features (n, F) apart: area under the curve.

    Scored on held-out folds; the better of a logistic regression and a forest; 0.5: not at all.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
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
    best = max(odds, key=lambda values: roc_auc_score(side, values))
    before, after = best[side == 0], best[side == 1]

    def area(a: Rows, b: Rows) -> float:
        drawn = np.concatenate([before[a], after[b]])
        return float(roc_auc_score(np.repeat([0, 1], [len(a), len(b)]), drawn))

    return ResampledFigure(area, (len(before), len(after)), most=1)


def split_auc(features: NDArray[np.floating]) -> float:
    """The same between two random halves of one set: its floor."""
    order = np.random.default_rng(2).permutation(len(features))
    half = len(order) // 2
    return two_sample_auc(features[order[:half]], features[order[half:]]).value


def neighbour_ratio(
    vectors: NDArray[np.floating], train: NDArray[np.floating], held_out: NDArray[np.floating]
) -> ResampledFigure:
    """Mean distance to the nearest training galaxy over that to the nearest held-out one.

    As many training as held-out galaxies must be given; below 1: training galaxies are copied.
    Raises ValueError for unequal numbers.
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    if len(train) != len(held_out):
        raise ValueError(f"{len(train)} training and {len(held_out)} held-out galaxies")
    near, far = (pairwise_distances_argmin_min(vectors, others)[1] for others in (train, held_out))
    return ResampledFigure(lambda rows: float(near[rows].mean() / far[rows].mean()), (len(near),))


def diversity(samples: Galaxies, reconstructions: Galaxies) -> float:
    """Mean distance between two samples in code space over that between two reconstructions."""
    below = spread(reconstructions.vectors)
    return spread(samples.vectors) / below if below > 0 else 0.0


def spread(vectors: NDArray[np.floating]) -> float:
    """Mean distance between two random ones of vectors (n, V)."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(len(vectors), size=(2, PAIRS))
    return float(np.linalg.norm(vectors[first] - vectors[second], axis=1).mean())


def correlation(galaxies: Galaxies) -> ResampledFigure:
    """Correlation of T, asked or catalogued, with T as read; needs a judge."""
    x, y = galaxies.ttype, galaxies.read[READ_TTYPE]
    return ResampledFigure(lambda rows: _r(x[rows], y[rows]), (len(x),), most=1)


def correlation_ratio(samples: Galaxies, reconstructions: Galaxies) -> ResampledFigure:
    """Correlation of asked and read T on samples over that on reconstructions."""
    x, y = samples.ttype, samples.read[READ_TTYPE]
    u, v = reconstructions.ttype, reconstructions.read[READ_TTYPE]

    def ratio(rows: Rows, others: Rows) -> float:
        below = _r(u[others], v[others])
        return _r(x[rows], y[rows]) / below if below else 0.0

    return ResampledFigure(ratio, (len(x), len(u)))


def read_offset(samples: Galaxies, reconstructions: Galaxies) -> ResampledFigure:
    """By how much T is read later on samples than on reconstructions, in the mean, in stages.

    What the T asked of a sample differs from that of a reconstruction by is taken off.
    """
    (x, y), (u, v) = _pairs(samples, READ_TTYPE), _pairs(reconstructions, READ_TTYPE)
    missed, usual = y - x, v - u
    return ResampledFigure(
        lambda rows, others: float(missed[rows].mean() - usual[others].mean()),
        (len(missed), len(usual)),
    )


def frechet(first: Floats, second: Floats, unit: Floats) -> ResampledFigure:
    """Frechet distance of features (n, P), (m, P), each divided by `unit` (P,), over P.

    ||mean difference||^2 + tr(S + R - 2 (S^1/2 R S^1/2)^1/2), of Gaussians (Dowson & Landau 1982).
    """
    a, b = first / unit, second / unit
    return ResampledFigure(
        lambda rows, others: _frechet(a[rows], b[others]), (len(first), len(second))
    )


def _frechet(a: Floats, b: Floats) -> float:
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, axes = np.linalg.eigh(one)
    root = (axes * np.sqrt(values.clip(0))) @ axes.T
    common = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(0)).sum()
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float((shift + np.trace(one) + np.trace(other) - 2 * common) / a.shape[1])


def frechet_floor(real: Floats, sizes: tuple[int, int], unit: Floats) -> float:
    """The same between two random sets of the same galaxies, of these sizes."""
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(FLOOR_PAIRS):
        first, second = (real[rng.integers(len(real), size=size)] for size in sizes)
        drawn.append(frechet(first, second, unit).value)
    return float(np.mean(drawn))


def _r(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 < y.std() else 0.0


def training_set_accuracy(
    samples: Galaxies, training: Galaxies, real: Galaxies
) -> tuple[ResampledFigure, ResampledFigure]:
    """Two-class accuracy on real galaxies: a forest that learnt samples over one of `training`.

    The first figure is the ratio, the second the accuracy of the forest that learnt `training`;
    both forests see as many galaxies.
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

    by_real = ResampledFigure(lambda rows: float(right[1][rows].mean()), (len(truth),), most=1)
    return ResampledFigure(ratio, (len(truth),)), by_real
