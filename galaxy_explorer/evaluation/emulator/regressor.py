"""The judge: a network that has learnt T from real stamps, and how well it reads held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle.manifest import JUDGE, Reading, RegressorEntry
from galaxy_explorer.bundle.networks import open_regressor
from galaxy_explorer.emulation.likeness import judged_ttype, left_out_noise
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.references import LEAST_TYPED

if TYPE_CHECKING:
    from galaxy_explorer.models.ttype_regressor import TTypeRegressor

MOST = 3000  # held-out galaxies that it is measured on


@dataclass(frozen=True)
class ShippedJudge:
    """Its file, and its entry in the manifest."""

    data: bytes
    entry: RegressorEntry


def trained_judge(context: Context) -> TTypeRegressor | None:
    """The judge of a survey; None where too few galaxies have a type. Resumable."""
    from galaxy_explorer.models.ttype_regressor import JUDGE_RECIPE, train_judge

    typed = np.isfinite(context.ttype)
    rows = [np.flatnonzero(typed & (context.splits == s)) for s in ("train", "validation")]
    if min(map(len, rows)) < LEAST_TYPED:
        return None
    (train, validation), steps = rows, context.grid.judge_steps
    read = context.survey.model_input
    return train_judge(
        read(train),
        context.ttype[train],
        (read(validation), context.ttype[validation]),
        context.work / f"judge-{steps}",
        replace(JUDGE_RECIPE, steps=steps),
    )


def shipped_judge(context: Context, models: Sequence[str]) -> ShippedJudge | None:
    """The judge as it ships, measured on held-out galaxies and on what each model draws of them.

    models: those that have a prior; the noise is what the first of them leaves out of a stamp, of
    the median sigma. None where there is no judge, or too few held-out galaxies have a T.
    """
    from galaxy_explorer.models.ttype_regressor import StoredRegressor, judge_bytes, judge_stamps

    typed = np.flatnonzero(np.isfinite(context.ttype) & (context.splits == "test"))
    rows = np.sort(np.random.default_rng(0).permutation(typed)[:MOST])
    model = trained_judge(context) if len(rows) >= LEAST_TYPED else None
    if model is None:
        return None
    bundle, stamps, truth = context.bundle, context.survey.model_input(rows), context.ttype[rows]
    noise = left_out_noise(stamps, bundle.decode(models[0], rows))
    amplitude = (np.median(noise.sigma) * noise.filter).astype(np.float32)
    data = judge_bytes(StoredRegressor(model, amplitude))
    judge = open_regressor(data, bundle.path / JUDGE, bundle.manifest.survey)
    drawn = {
        name: _reading(judged_ttype(judge, bundle.decode(name, rows), rows), truth)
        for name in models
    }
    real = _reading(judge_stamps(judge.model, stamps)[0], truth)
    return ShippedJudge(data, RegressorEntry(JUDGE, len(rows), real, drawn))


def _reading(found: np.ndarray, truth: np.ndarray) -> Reading:
    """Correlation with T, 0 where nothing varies; rms and mean error in stages."""
    varies, error = found.std() > 0 < truth.std(), found - truth
    r = np.corrcoef(found, truth)[0, 1] if varies else 0.0
    figures = {"r": r, "rms": np.sqrt(np.square(error).mean()), "bias": error.mean()}
    return Reading(**{name: round(float(value), 4) for name, value in figures.items()})
