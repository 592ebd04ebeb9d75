"""What features of codes must beat: pixels, radial profiles, C A S Gini M20, and chance.

Above them the ceiling, what a supervised network reads of the Hubble type in the same pictures; and
the goals that were set for the recommended clustering, with how far it got.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.bundle.card import BASELINE, NETWORK
from galaxy_explorer.bundle.evaluation import EvaluationRow, Target
from galaxy_explorer.bundle.manifest import JUDGE as JUDGE_FILE
from galaxy_explorer.clustering.clusterers import fit_clusterer
from galaxy_explorer.clustering.features import (
    fit_vectors,
    light_vectors,
    pixel_vectors,
    radial_profile_vectors,
)
from galaxy_explorer.clustering.summary import EARLY_TTYPE
from galaxy_explorer.clustering.validation import accuracy, balanced_accuracy
from galaxy_explorer.emulation.morphology import STATISTICS
from galaxy_explorer.evaluation.agreement import LabelScorer
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.judge import judge_of
from galaxy_explorer.evaluation.reconstruction import LIGHT, original_morphology
from galaxy_explorer.evaluation.rows import RowKey, find_row, make_row
from galaxy_explorer.survey.store import RowStamps
from galaxy_explorer.utils.files import StageResult
from galaxy_explorer.utils.resampling import bootstrap, chance_level

Vectors = Callable[[np.ndarray], np.ndarray]
CLUSTERERS = ("kmeans", "gmm")
BLOCK_ROWS = 1024
TYPED_TRAIN = 3  # times `grid.typed` train galaxies are measured for the morphology baseline
LEAST_MEASURED = 20


@dataclass(frozen=True)
class Baseline:
    """Features by name: at most `components` principal components of standardised vectors.

    vectors: of a context gives what makes vectors (n, F) of n catalogue rows, NaN for galaxies that
    have none. ranked: each number is first replaced by the normal quantile of its rank among the
    training galaxies.
    """

    name: str
    components: int
    vectors: Callable[[Context], Vectors]
    ranked: bool = False


def measured_rows(context: Context) -> np.ndarray:
    """Catalogue rows of the galaxies whose morphology is measured, all with a T-type."""
    rng = np.random.default_rng(0)
    train = rng.permutation(context.rows("train", typed=True))[: TYPED_TRAIN * context.grid.typed]
    validation = rng.permutation(context.rows("validation", typed=True))[: context.grid.typed]
    return np.sort(np.concatenate([train, validation, context.rows("test", typed=True)]))


def _morphology(context: Context) -> Vectors:
    """Five statistics (n, 5), NaN for galaxies that are not, or cannot be, measured."""
    rows = measured_rows(context)
    found = original_morphology(context, rows, workers=1)
    table = np.full((len(context.sample), len(STATISTICS)), np.nan)
    table[context.places(rows)] = np.stack([found.values[name] for name in STATISTICS], 1)
    return lambda rows: table[context.places(rows)]


def _of_stamps(vectors: Callable[[np.ndarray], np.ndarray]) -> Callable[[Context], Vectors]:
    """Vectors (n, F) of stamps (n, C, S, S)."""
    return lambda context: lambda rows: vectors(context.survey.model_input(rows))


BASELINES = (
    Baseline("PCA-30 of pixels", 30, _of_stamps(pixel_vectors)),
    Baseline("radial profile", 20, _of_stamps(radial_profile_vectors)),
    Baseline("C, A, S, Gini, M20", 5, _morphology),
    # The floor: the best that is known for which nothing is trained.
    Baseline("rings of light", 12, _of_stamps(light_vectors), ranked=True),
)


def baseline_rows(judging: LabelScorer, ks: tuple[int, ...]) -> list[EvaluationRow]:
    """Agreement with T of every baseline by two clusterers for each k, and of random clusters."""
    context = judging.context
    rows: list[EvaluationRow] = []
    for baseline in BASELINES:
        stage = f"baseline.{baseline.name.lower().replace(', ', '-').replace(' ', '-')}"
        inputs = {"ks": ks, "light": LIGHT}
        made = context.stage(stage, inputs, lambda b=baseline: _cluster(context, b, ks))  # type: ignore[misc]
        for key, labels in sorted(made.arrays.items()):
            clusterer, _, k = key.partition("-")
            rows += judging.ttype_rows(RowKey(BASELINE, baseline.name, clusterer, int(k)), labels)
    for count in ks:
        labels = np.random.default_rng(count).integers(count, size=len(context.sample))
        rows += judging.ttype_rows(RowKey(BASELINE, "none", "random", count), labels)
    return rows


def _cluster(context: Context, baseline: Baseline, ks: tuple[int, ...]) -> StageResult:
    """Clusters (M,) by "<clusterer>-<k>", -1 for galaxies without features.

    Vectors of all galaxies at once, such as their pixels, would fill the memory: of the training
    galaxies alone they are, the others follow block by block.
    """
    vectors_of = baseline.vectors(context)
    train = vectors_of(context.rows("train"))
    train = train[np.isfinite(train).all(1)]
    if len(train) < LEAST_MEASURED:
        return StageResult({}, {"fitted_to": len(train)})
    ranked = _ranks(train) if baseline.ranked else lambda vectors: vectors
    train = ranked(train)
    reduced = fit_vectors(train, np.arange(len(train)), n=baseline.components)
    fit = reduced.apply(train)
    found = {
        f"{clusterer}-{k}": fit_clusterer(clusterer, fit, min(k, len(fit)))
        for clusterer in CLUSTERERS
        for k in ks
    }
    arrays = {name: np.full(len(context.sample), -1, np.int16) for name in found}
    for start in range(0, len(context.sample), BLOCK_ROWS):
        vectors = vectors_of(context.sample[start : start + BLOCK_ROWS])
        known = np.isfinite(vectors).all(1)
        if known.any():
            features = reduced.apply(ranked(vectors[known]))
            for name, clusterer in found.items():
                arrays[name][start + np.flatnonzero(known)] = clusterer.predict(features)
    return StageResult(arrays, {"fitted_to": len(train)})


def _ranks(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What replaces numbers by the normal quantile of their rank among those of `train`."""
    from sklearn.preprocessing import QuantileTransformer

    ranks = QuantileTransformer(
        n_quantiles=min(1000, len(train)), output_distribution="normal", random_state=0
    )
    transform: Callable[[np.ndarray], np.ndarray] = ranks.fit(train).transform
    return transform


JUDGE = RowKey(NETWORK, "pixels")


def ceiling_rows(context: Context) -> list[EvaluationRow]:
    """r, MAE, R^2 and two-class accuracy of the network on the test galaxies with a T-type.

    Trained on the train galaxies with one; the step is chosen on the validation galaxies, and so
    is the threshold of the two classes. Empty where fewer than 20 have a type in a split.
    """
    if not context.enough_typed:
        return []

    def judge() -> StageResult:
        from galaxy_explorer.models.ttype_regressor import judge_stamps

        model = judge_of(context)
        validation, test = (
            RowStamps(context.survey, context.rows(split, typed=True))
            for split in ("validation", "test")
        )
        found = judge_stamps(model, test)
        early = judge_stamps(model, validation).early
        arrays = {"ttype": found.ttype, "early": found.early, "early_validation": early}
        return StageResult(arrays, {})

    stored = context.bundle.manifest.files.get(JUDGE_FILE)
    inputs = {"judge": 2, "network": stored.sha256 if stored else ""}
    judged = context.stage("judge", inputs, judge)
    arrays = judged.arrays
    early = context.ttype[context.rows("validation", typed=True)] <= EARLY_TTYPE
    threshold = best_threshold(arrays["early_validation"], early)
    return network_rows(context, arrays["ttype"], arrays["early"] >= threshold)


def best_threshold(odds: np.ndarray, early: np.ndarray) -> float:
    """The threshold on the probability of "early" that is right most often; near 0.5 in a tie."""
    levels = np.unique(np.append(odds, 0.5))
    right = np.array([((odds >= level) == early).mean() for level in levels])
    best = levels[right == right.max()]
    return float(best[np.abs(best - 0.5).argmin()])


def network_rows(context: Context, found: np.ndarray, side: np.ndarray) -> list[EvaluationRow]:
    """Scores of predicted T (n,) and side (n,), True for early, of the typed test galaxies."""
    truth = context.ttype[context.rows("test", typed=True)]
    early = truth <= EARLY_TTYPE

    def correlation(t: np.ndarray, f: np.ndarray) -> float:
        return float(np.corrcoef(t, f)[0, 1]) if t.std() > 0 < f.std() else 0.0

    def explained(t: np.ndarray, f: np.ndarray) -> float:
        return float(1 - np.square(t - f).mean() / max(t.var(), 1e-12))

    figures: list[tuple[str, Callable[[np.ndarray, np.ndarray], float], np.ndarray, np.ndarray]]
    figures = [
        ("r with T", correlation, truth, found),
        ("R^2 of T", explained, truth, found),
        ("MAE of T", lambda t, f: float(np.abs(f - t).mean()), truth, found),
        ("two-class accuracy", accuracy, early, side),
        ("balanced accuracy", balanced_accuracy, early, side),
    ]
    rows = []
    for name, score, right, guess in figures:
        estimate = bootstrap(
            lambda rows, s=score, t=right, g=guess: s(t[rows], g[rows]),
            len(truth),
            resamples=context.grid.bootstraps,
            most=math.inf if name == "MAE of T" else 1,
        )
        chance = chance_level(
            lambda rows, s=score, t=right, g=guess: s(t, g[rows]),  # type: ignore[misc]
            len(truth),
            permutations=context.grid.permutations,
        )
        value = {**estimate.scores(), "chance": chance}
        unit = "stages" if name == "MAE of T" else ""
        note = "trained on T-types of the train split; all that stamps this small tell"
        rows.append(make_row(JUDGE, "ceiling", name, value, n=len(truth), unit=unit, note=note))
    return rows


ETA2_SHARE = 0.75  # of the R^2 of the supervised network
ACCURACY_SHARE = 0.95  # of its two-class accuracy
AMI_FACTOR = 2.0  # times that of the radial profile at 64 clusters
FIXED = (
    ("ARI, renumbered", 1.0),
    ("ARI, rotated by 90 degrees", 0.99),
    ("ARI, rotated by 45 degrees", 0.75),
    ("ARI, shifted by 1 pixel", 0.80),
    ("ARI, other noise", 0.70),
    ("bootstrap ARI", 0.70),
)
DRAWN = (("NMSE", 0.012), ("blur", 1.7))  # of what is drawn of galaxies in colour; px
ROUNDING = 1e-9
TWO_CLASS = "two-class accuracy"


def judge_targets(rows: list[EvaluationRow], subset: RowKey) -> list[Target]:
    """Every goal, the figure of the recommended clustering, and whether the figure reaches it."""
    key = (subset.model, subset.features, subset.clusterer)
    own = [row for row in rows if (row.model, row.features, row.clusterer) == key]
    targets = [_target(own, figure, goal, "") for figure, goal in FIXED]
    drawn = [row for row in rows if (row.model, row.question) == (subset.model, "reconstruction")]
    targets += [_target(drawn, figure, goal, "at most; of its model") for figure, goal in DRAWN]
    network = {row.figure: row for row in rows if row.model == JUDGE.model}
    radial = find_row(
        rows,
        model=BASELINE,
        features="radial profile",
        clusterer="kmeans",
        clusters=64,
        figure="AMI",
    )
    relative = (
        ("eta^2", network.get("R^2 of T"), ETA2_SHARE, "of the network's R^2"),
        (
            "two-class accuracy",
            network.get("two-class accuracy"),
            ACCURACY_SHARE,
            "of the network's",
        ),
        ("AMI", radial, AMI_FACTOR, "times that of 64 clusters of the radial profile"),
    )
    for figure, reference, factor, words in relative:
        if reference is not None and reference.value is not None:
            note = f"{factor:g} {words}, {reference.value:.3f}"
            targets.append(_target(own, figure, factor * reference.value, note))
    for figure in ("AMI", "eta^2", TWO_CLASS):
        alike = [r for r in rows if r.model == BASELINE and r.clusters == subset.clusters]
        measured = [r for r in alike if r.figure == figure and r.value is not None]
        best = max(measured, key=lambda row: row.value or 0.0, default=None)
        if best is not None and best.value is not None:
            note = f"best baseline with as many clusters: {best.features}, {best.clusterer}"
            targets.append(_target(own, figure, best.value, note))
    return targets


def _target(rows: list[EvaluationRow], figure: str, goal: float, note: str) -> Target:
    row = find_row(rows, figure=figure)
    value = row.value if row else None
    met = None
    if row is not None and value is not None:
        beyond = goal - value if row.better == "lower" else value - goal
        met = int(beyond >= -ROUNDING)
    low, high = (row.low, row.high) if row else (None, None)
    return Target(figure, goal, value, low, high, met, note)
