"""What the labels so far say of all galaxies, and which galaxies to ask for next.

A linear probe on given features: Bayesian logistic regressions with a Gaussian prior, one for two
classes, one against the rest for more (MacKay 1992, Neural Computation 4, 720: the posterior's
width goes into the probability), and for the stage T a ridge of the same prior. It is a view of
the labels, never a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.labels.scheme import STAGE, ttype_of

if TYPE_CHECKING:
    from galaxy_explorer.labels.scheme import LabelScheme
    from galaxy_explorer.labels.store import Annotations

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

PRIOR = 1.0
"""Precision of the prior of a weight, on standardised features; chosen on validation galaxies."""
PRIOR_OF_OFFSET = 0.01
REFIT_EVERY = 20
"""Labels between two fits."""
LEAST_OF_CLASS = 2
LEAST_LABELS = 10
CANDIDATES = 5
"""The most uncertain galaxies from which one batch is spread out, in batches."""
EARLY, LATE = "early", "late"
STEPS = 30
CLOSE = 1e-6


@dataclass(frozen=True, eq=False)
class Lessons:
    """Labels of one annotator in the order in which they were given.

    rows (n,): of the catalogue. classes (n,): number of the class of each. names: of the classes.
    ttype (n,): stage T of each; None where the stages of the scheme have no T.
    """

    rows: Rows
    classes: Rows
    names: tuple[str, ...]
    ttype: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, n: int) -> Lessons:
        """The first n of them."""
        ttype = None if self.ttype is None else self.ttype[:n]
        return Lessons(self.rows[:n], self.classes[:n], self.names, ttype)

    @property
    def enough(self) -> bool:
        """Whether anything can be learnt: ten labels, two classes with two labels each."""
        counts = np.bincount(self.classes, minlength=len(self.names))
        return len(self) >= LEAST_LABELS and int((counts >= LEAST_OF_CLASS).sum()) >= 2


def taught(layer: Annotations, scheme: LabelScheme, rows: Mapping[str, int]) -> Lessons:
    """The stages that an annotator gave to galaxies themselves, oldest first.

    Where stages of the scheme have a T the classes are early (T <= 0) and late, and labels without
    a T are left out; else each stage is a class. Labels of earlier schemes keep their T. rows: of
    the catalogue, by identifier.
    """
    stages = [term for term in scheme.terms if term.aspect == STAGE]
    said = sorted(
        (values[STAGE].seq, rows[galaxy], values[STAGE].label)
        for galaxy, values in layer.galaxies().items()
        if galaxy in rows and STAGE in values
    )
    numbered = any(np.isfinite(term.ttype) for term in stages)
    if numbered:
        names: tuple[str, ...] = (EARLY, LATE)
        given = {label: ttype_of(label) for _, _, label in said}
        number = {label: int(ttype > 0) for label, ttype in given.items() if np.isfinite(ttype)}
    else:
        names = tuple(term.label for term in stages)
        number = {name: place for place, name in enumerate(names)}
    said = [one for one in said if one[2] in number]
    found = np.array([row for _, row, _ in said], np.int64)
    classes = np.array([number[label] for _, _, label in said], np.int64)
    types = np.array([ttype_of(label) for _, _, label in said], np.float64)
    return Lessons(found, classes, names, types if numbered else None)


@dataclass(frozen=True, eq=False)
class Probe:
    """What n labels say of N galaxies.

    shares (N, C): probability of each class. ttype, ttype_error (N,): stage T and its standard
    error, that of a new label included; None where the labels have no T.
    """

    n: int
    names: tuple[str, ...]
    shares: Floats
    ttype: Floats | None = None
    ttype_error: Floats | None = None

    @property
    def classes(self) -> Rows:
        """The most probable class of each galaxy, (N,)."""
        return np.asarray(self.shares.argmax(1), np.int64)

    @property
    def uncertainty(self) -> Floats:
        """From 0, sure, to 1, where the two most probable classes are equally so, (N,)."""
        best = np.partition(self.shares, -2, axis=1)[:, -2:]
        return np.asarray(1 - (best[:, 1] - best[:, 0]), np.float64)

    def words(self, row: int) -> str:
        """What it says of one galaxy: "early 93 %, T -1.2 +- 1.5"."""
        best = int(self.shares[row].argmax())
        words = f"{self.names[best]} {100 * self.shares[row, best]:.0f} %"
        if self.ttype is None or self.ttype_error is None:
            return words
        number = f"{self.ttype[row]:.1f} ± {self.ttype_error[row]:.1f}".replace("-", "−")
        return f"{words}, T {number}"


def standardised(features: NDArray[np.floating]) -> Floats:
    """Features (N, P) with mean 0 and variance 1 over the galaxies; constant ones become 0."""
    values = np.asarray(features, np.float64)
    spread = values.std(0)
    return np.asarray((values - values.mean(0)) / np.where(spread > 0, spread, 1))


def fit_probe(features: Floats, labels: Lessons, *, prior: float = PRIOR) -> Probe:
    """Learn from labels; features (N, P) as `standardised` gives them.

    Some 10 ms for 30,000 galaxies. Raises ValueError where `labels.enough` is false.
    """
    if not labels.enough:
        raise ValueError(f"{len(labels)} labels of {labels.names} are too few to learn from")
    known = features[labels.rows]
    present = np.unique(labels.classes)
    shares = np.zeros((len(features), len(labels.names)))
    if len(present) == 2:
        wanted = present[1]
        share = _probability(features, *_logistic(known, labels.classes == wanted, prior))
        shares[:, wanted], shares[:, present[0]] = share, 1 - share
    else:
        for one in present:
            fitted = _logistic(known, labels.classes == one, prior)
            shares[:, one] = _probability(features, *fitted)
        shares /= shares.sum(1, keepdims=True)
    if labels.ttype is None:
        return Probe(len(labels), labels.names, shares)
    ttype, error = _ridge(features, known, labels.ttype, prior)
    return Probe(len(labels), labels.names, shares, ttype, error)


def _with_offset(values: Floats) -> Floats:
    return np.hstack([values, np.ones((len(values), 1))])


def _precision(n: int, prior: float) -> Floats:
    return np.array([prior] * n + [PRIOR_OF_OFFSET])


def _logistic(known: Floats, wanted: NDArray[np.bool_], prior: float) -> tuple[Floats, Floats]:
    """Weights (P + 1,) of largest posterior and their covariance, by Newton's method."""
    values, precision = _with_offset(known), _precision(known.shape[1], prior)
    weights = np.zeros(values.shape[1])
    for _ in range(STEPS):
        share = _sigmoid(values @ weights)
        slope = values.T @ (share - wanted) + precision * weights
        bend = (values * (share * (1 - share))[:, None]).T @ values + np.diag(precision)
        change = np.linalg.solve(bend, slope)
        weights = weights - change
        if np.abs(change).max() < CLOSE:
            break
    return weights, np.asarray(np.linalg.inv(bend), np.float64)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def _probability(features: Floats, weights: Floats, covariance: Floats) -> Floats:
    """Probability (N,), moderated by the width of the posterior (MacKay 1992, eq. 2.7)."""
    mean = features @ weights[:-1] + weights[-1]
    return _sigmoid(mean / np.sqrt(1 + np.pi * _variance(features, covariance) / 8))


def _variance(features: Floats, covariance: Floats) -> Floats:
    """Variance (N,) of a linear function of the features and an offset."""
    values = _with_offset(features)
    return np.asarray(((values @ covariance) * values).sum(1))


def _ridge(features: Floats, known: Floats, ttype: Floats, prior: float) -> tuple[Floats, Floats]:
    """T (N,) and its standard error (N,), of the scatter of the labels about the fit."""
    values, middle = _with_offset(known), ttype.mean()
    bend = values.T @ values + np.diag(_precision(known.shape[1], prior))
    inverse = np.asarray(np.linalg.inv(bend), np.float64)
    weights = inverse @ values.T @ (ttype - middle)
    freedom = len(ttype) - np.trace(inverse @ values.T @ values)
    scatter = np.square(ttype - middle - values @ weights).sum() / max(freedom, 1.0)
    found = np.asarray(middle + features @ weights[:-1] + weights[-1], np.float64)
    return found, np.asarray(np.sqrt(scatter * (1 + _variance(features, inverse))), np.float64)


@dataclass(frozen=True)
class Agreement:
    """How often predictions agreed with the newest labels before these were learnt from.

    n: newest labels, right: agreed with, common: agreed with by always saying the class that was
    commonest before.
    """

    n: int
    right: int
    common: int


def agreement(features: Floats, labels: Lessons, n: int = REFIT_EVERY) -> Agreement | None:
    """Fit on all but the newest n labels, and compare with these; None: too few before them."""
    before = labels.first(len(labels) - n) if len(labels) > n else labels.first(0)
    if not before.enough:
        return None
    newest, given = labels.rows[-n:], labels.classes[-n:]
    probe = fit_probe(features[np.concatenate([before.rows, newest])], _moved(before))
    said = probe.classes[len(before) :]
    common = int(np.bincount(before.classes).argmax())
    return Agreement(n, int((said == given).sum()), int((given == common).sum()))


def _moved(labels: Lessons) -> Lessons:
    """The same labels of galaxies that come first."""
    return Lessons(np.arange(len(labels)), labels.classes, labels.names, labels.ttype)


def spread_out(features: Floats, n: int, first: int = 0) -> Rows:
    """Places (n,) that lie far from each other: each the furthest from those before it.

    features (M, P). The farthest-point order (Gonzalez 1985) from place `first` on; 0 n M in time.
    """
    n = min(n, len(features))
    chosen = [first][:n]
    far = np.square(features - features[first]).sum(1) if n else np.zeros(0)
    while len(chosen) < n:
        chosen.append(int(far.argmax()))
        far = np.minimum(far, np.square(features - features[chosen[-1]]).sum(1))
    return np.array(chosen, np.int64)


def next_rows(features: Floats, left: Rows, probe: Probe | None, n: int = REFIT_EVERY) -> Rows:
    """Rows `left` in the order in which to ask for them.

    The first n: of the 5 n galaxies whose class is least certain those that lie furthest from each
    other, so that a batch does not ask the same question twice. The rest: the least certain first.
    Without a probe: as they come, for a start that is a fair sample.
    """
    if probe is None or not len(left):
        return left
    order = left[np.argsort(-probe.uncertainty[left], kind="stable")]
    near = order[: CANDIDATES * n]
    first = spread_out(features[near], n)
    return np.concatenate([near[first], np.delete(order, first)])
