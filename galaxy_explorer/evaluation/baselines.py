"""What features of codes must beat: pixels, radial profiles, C A S Gini M20, and chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.bundle_evaluation import Row
from galaxy_explorer.clustering.clusterers import fit_clusterer
from galaxy_explorer.clustering.features import fit_vectors
from galaxy_explorer.clustering.radial_profiles import pixel_vectors, radial_profile_vectors
from galaxy_explorer.emulation.morphology import STATISTICS
from galaxy_explorer.evaluation.agreement import Judging
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.kept_morphology import LIGHT, original_morphology
from galaxy_explorer.evaluation.rows import Subset
from galaxy_explorer.pipeline.cache import StageResult

CLUSTERERS = ("kmeans", "gmm")
MODEL = "baseline"
TYPED_TRAIN = 3  # times `grid.typed` train galaxies are measured for the morphology baseline
LEAST_MEASURED = 20


@dataclass(frozen=True)
class Baseline:
    """Features by name: at most `components` principal components of standardised vectors."""

    name: str
    components: int
    vectors: Callable[[Context], np.ndarray]


def _pixels(context: Context) -> np.ndarray:
    return pixel_vectors(context.survey.model_input(context.sample))


def _radial(context: Context) -> np.ndarray:
    return radial_profile_vectors(context.survey.model_input(context.sample))


def measured_rows(context: Context) -> np.ndarray:
    """Catalogue rows of the galaxies whose morphology is measured, all with a T-type."""
    rng = np.random.default_rng(0)
    train = rng.permutation(context.rows("train", typed=True))[: TYPED_TRAIN * context.grid.typed]
    validation = rng.permutation(context.rows("validation", typed=True))[: context.grid.typed]
    return np.sort(np.concatenate([train, validation, context.rows("test", typed=True)]))


def _morphology(context: Context) -> np.ndarray:
    """Five statistics (M, 5), NaN for galaxies that are not, or cannot be, measured."""
    rows = measured_rows(context)
    found = original_morphology(context, rows, workers=1)
    table = np.full((len(context.sample), len(STATISTICS)), np.nan)
    table[context.places(rows)] = np.stack([found.values[name] for name in STATISTICS], 1)
    return table


BASELINES = (
    Baseline("PCA-30 of pixels", 30, _pixels),
    Baseline("radial profile", 20, _radial),
    Baseline("C, A, S, Gini, M20", 5, _morphology),
)


def baseline_rows(judging: Judging, ks: tuple[int, ...]) -> list[Row]:
    """Agreement with T of every baseline by two clusterers for each k, and of random clusters."""
    context = judging.context
    rows: list[Row] = []
    for baseline in BASELINES:
        stage = f"baseline.{baseline.name.lower().replace(', ', '-').replace(' ', '-')}"
        inputs = {"ks": ks, "light": LIGHT}
        made = context.stage(stage, inputs, lambda b=baseline: _cluster(context, b, ks))  # type: ignore[misc]
        for key, labels in sorted(made.arrays.items()):
            clusterer, _, k = key.partition("-")
            rows += judging.ttype_rows(Subset(MODEL, baseline.name, clusterer, int(k)), labels)
    for count in ks:
        labels = np.random.default_rng(count).integers(count, size=len(context.sample))
        rows += judging.ttype_rows(Subset(MODEL, "none", "random", count), labels)
    return rows


def _cluster(context: Context, baseline: Baseline, ks: tuple[int, ...]) -> StageResult:
    """Clusters (M,) by "<clusterer>-<k>", -1 for galaxies without features."""
    vectors = baseline.vectors(context)
    known = np.flatnonzero(np.isfinite(vectors).all(1))
    train = np.intersect1d(known, context.places(context.rows("train")))
    arrays: dict[str, np.ndarray] = {}
    if len(train) < LEAST_MEASURED:
        return StageResult(arrays, {"fitted_to": len(train)})
    features = fit_vectors(vectors, train, n=baseline.components).apply(vectors[known])
    fit = features[np.searchsorted(known, train)]
    for clusterer in CLUSTERERS:
        for k in ks:
            labels = np.full(len(vectors), -1, np.int16)
            found = fit_clusterer(clusterer, fit, min(k, len(fit)))
            labels[known] = found.predict(features)
            arrays[f"{clusterer}-{k}"] = labels
    return StageResult(arrays, {"fitted_to": len(train)})
