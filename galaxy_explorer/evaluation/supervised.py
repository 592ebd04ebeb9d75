"""The ceiling: what a supervised network reads of the Hubble type in the same pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from galaxy_explorer.bundle_evaluation import Row
from galaxy_explorer.clustering.intervals import chance_level
from galaxy_explorer.clustering.summary import EARLY_TTYPE
from galaxy_explorer.clustering.two_class import accuracy, balanced_accuracy
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.rows import Subset, make_row, over_galaxies
from galaxy_explorer.pipeline.cache import StageResult
from galaxy_explorer.pipeline.plan import SPLITS

JUDGE = Subset("supervised network", "pixels")
LEAST_TYPED = 20


def ceiling_rows(context: Context) -> list[Row]:
    """r, MAE, R^2 and two-class accuracy of the network on the test galaxies with a T-type.

    Trained on the train galaxies with one; the step is chosen on the validation galaxies, and so
    is the threshold of the two classes. Empty where fewer than 20 have a type in a split.
    """
    if min(len(context.rows(split, typed=True)) for split in SPLITS) < LEAST_TYPED:
        return []
    judged = context.stage("judge", {"judge": 1}, lambda: _judge(context))
    arrays = judged.arrays
    threshold = best_threshold(arrays["early_validation"], _early(context, "validation"))
    return network_rows(context, arrays["ttype"], arrays["early"] >= threshold)


def _early(context: Context, split: str) -> np.ndarray:
    return np.asarray(context.ttype[context.rows(split, typed=True)] <= EARLY_TTYPE)


def _judge(context: Context) -> StageResult:
    from galaxy_explorer.models.judge import JUDGE_RECIPE, judge_stamps, train_judge

    everyone = np.flatnonzero((context.splits == "train") & np.isfinite(context.ttype))
    validation, test = (context.rows(split, typed=True) for split in ("validation", "test"))
    read = context.survey.model_input
    recipe = replace(JUDGE_RECIPE, steps=context.grid.judge_steps)
    model = train_judge(
        read(everyone),
        context.ttype[everyone],
        (read(validation), context.ttype[validation]),
        context.work / f"judge-{recipe.steps}",
        recipe,
    )
    ttype, early = judge_stamps(model, read(test))
    _, early_validation = judge_stamps(model, read(validation))
    arrays = {"ttype": ttype, "early": early, "early_validation": early_validation}
    return StageResult(arrays, {"n_train": len(everyone)})


def best_threshold(odds: np.ndarray, early: np.ndarray) -> float:
    """The threshold on the probability of "early" that is right most often; near 0.5 in a tie."""
    levels = np.unique(np.append(odds, 0.5))
    right = np.array([((odds >= level) == early).mean() for level in levels])
    best = levels[right == right.max()]
    return float(best[np.abs(best - 0.5).argmin()])


def network_rows(context: Context, found: np.ndarray, side: np.ndarray) -> list[Row]:
    """Scores of predicted T (n,) and side (n,), True for early, of the typed test galaxies."""
    truth = context.ttype[context.rows("test", typed=True)]
    early = truth <= EARLY_TTYPE
    figures: list[tuple[str, Callable[[np.ndarray, np.ndarray], float], np.ndarray, np.ndarray]]
    figures = [
        ("r with T", _correlation, truth, found),
        ("R^2 of T", _explained, truth, found),
        ("MAE of T", lambda t, f: float(np.abs(f - t).mean()), truth, found),
        ("two-class accuracy", accuracy, early, side),
        ("balanced accuracy", balanced_accuracy, early, side),
    ]
    rows = []
    for name, score, right, guess in figures:
        value = over_galaxies(
            lambda rows, s=score, t=right, g=guess: s(t[rows], g[rows]),  # type: ignore[misc]
            len(truth),
            context.grid.bootstraps,
        )
        value["chance"] = chance_level(
            lambda rows, s=score, t=right, g=guess: s(t, g[rows]),  # type: ignore[misc]
            len(truth),
            permutations=context.grid.permutations,
        )
        unit = "stages" if name == "MAE of T" else ""
        note = "trained on T-types of the train split; all that r-band stamps this small tell"
        rows.append(make_row(JUDGE, "ceiling", name, value, n=len(truth), unit=unit, note=note))
    return rows


def _correlation(truth: np.ndarray, found: np.ndarray) -> float:
    return float(np.corrcoef(truth, found)[0, 1]) if truth.std() > 0 < found.std() else 0.0


def _explained(truth: np.ndarray, found: np.ndarray) -> float:
    """R^2: share of the variance of T that the prediction removes."""
    return float(1 - np.square(truth - found).mean() / max(truth.var(), 1e-12))
