"""The judge of a bundle: trained on the survey's labels, measured as it ships, put into the bundle.

It learns from real stamps of the train split alone, and is measured on held-out galaxies: on their
stamps, and on what the models of the bundle draw of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.manifest import JUDGE, Reading, ReadingsEntry, RegressorEntry
from galaxy_explorer.bundle.networks import open_regressor
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.emulation.likeness import left_out_noise, read_drawn
from galaxy_explorer.errors import BundleError
from galaxy_explorer.evaluation.context import LEAST_TYPED, Context, copied
from galaxy_explorer.survey.store import RowStamps, Survey
from galaxy_explorer.utils.files import training_folder
from galaxy_explorer.utils.resampling import FEW_RESAMPLES, bootstrap

if TYPE_CHECKING:
    from galaxy_explorer.models.ttype_regressor import TTypeRegressor

MOST = 3000  # held-out galaxies of a split that its step is chosen on, or it is measured on
MOST_CLASSED = 20_000  # training galaxies of which only a class is known
TTYPE_SOURCE = "ttype_source"  # column: whose T it is


@dataclass(frozen=True)
class ShippedJudge:
    """Its file, and its entry in the manifest."""

    data: bytes
    entry: RegressorEntry


def trained_judge(context: Context) -> TTypeRegressor:
    """The judge of a survey of which enough galaxies have a T. Resumable."""
    from galaxy_explorer.models.ttype_regressor import JUDGE_RECIPE, train_judge

    labels, splits = context.labels, context.splits
    train, validation = (
        np.flatnonzero(labels.read & (splits == split)) for split in ("train", "validation")
    )
    classed = np.flatnonzero(~labels.read & (labels.classes >= 0) & (splits == "train"))
    classed = np.random.default_rng(0).permutation(classed)[:MOST_CLASSED]
    rows, steps = np.sort(np.concatenate([train, classed])), context.grid.judge_steps
    validation = np.sort(np.random.default_rng(0).permutation(validation)[:MOST])
    return train_judge(
        RowStamps(context.survey, rows),
        labels.rows(rows),
        (RowStamps(context.survey, validation), labels.rows(validation)),
        training_folder(context.work / "judge" / str(steps), context.sample_key),
        replace(JUDGE_RECIPE, steps=steps),
    )


def judge_of(context: Context) -> TTypeRegressor:
    """The judge that the bundle has, else one that is trained. Raises as `trained_judge`.

    One that reads other attributes than the survey's is trained anew, as by `evaluate --judge`.
    """
    bundle = context.bundle
    if (entry := bundle.ttype_regressor) is None or tuple(entry.attributes) != context.labels.names:
        return trained_judge(context)
    return bundle.load_ttype_regressor().model


def shipped_judge(
    context: Context, models: Sequence[str], model: TTypeRegressor | None = None
) -> ShippedJudge | None:
    """The judge as it ships, measured on held-out galaxies and on what each model draws of them.

    model: the judge, by default that of `judge_of`. models: those that are measured; the noise is
    what the first of them leaves out of a stamp, of the median sigma. None where too few galaxies
    have a T.
    """
    if not context.enough_typed:
        return None
    from galaxy_explorer.models.ttype_regressor import StoredRegressor, judge_bytes, judge_stamps

    labels, test = context.labels, context.splits == "test"
    rows = np.flatnonzero(labels.read & test)
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
    typed = np.isfinite(labels.ttype[rows])
    model = judge_of(context) if model is None else model
    bundle, stamps = context.bundle, context.survey.model_input(rows)
    noise = left_out_noise(stamps, bundle.decode(models[0], rows))
    amplitude = (np.median(noise.sigma) * noise.filter).astype(np.float32)
    data = judge_bytes(StoredRegressor(model, amplitude))
    judge = open_regressor(data, bundle.path / JUDGE, bundle.manifest.survey, labels.names)
    drawn = {name: read_drawn(judge, bundle.decode(name, rows), rows) for name in models}
    real = judge_stamps(judge.model, stamps)

    def entry(truth: np.ndarray, place: int | None, members: np.ndarray) -> ReadingsEntry:
        """Of T, or of the attribute in a place, of some of the galaxies."""
        found = {
            name: (r.ttype if place is None else r.attributes[:, place])[members]
            for name, r in {"": real, **drawn}.items()
        }
        of_real = reading(found.pop(""), truth[members])
        others = {name: reading(values, truth[members]) for name, values in found.items()}
        return ReadingsEntry(n=int(members.sum()), real=of_real, drawn=others)

    ttype = partial(entry, labels.ttype[rows], None)
    sources = {}
    if TTYPE_SOURCE in context.survey.column_names:
        words = np.asarray(context.survey.column(TTYPE_SOURCE)[rows], str)
        for word, count in zip(*np.unique(words[typed], return_counts=True), strict=True):
            if word and count >= LEAST_TYPED:
                sources[str(word)] = ttype(typed & (words == word))
    attributes = {}
    for place, name in enumerate(labels.names):
        truth = labels.attributes[rows, place]
        attributes[name] = entry(truth, place, np.isfinite(truth))
    whole = ttype(typed)
    made = RegressorEntry(
        n=whole.n, real=whole.real, drawn=whole.drawn,
        file=JUDGE, sources=sources, attributes=attributes,
    )  # fmt: skip
    return ShippedJudge(data, made)


def reading(found: np.ndarray, truth: np.ndarray) -> Reading:
    """Correlation with the truth, 0 where nothing varies, its interval; rms and mean error."""

    def correlation(rows: np.ndarray) -> float:
        one, other = found[rows], truth[rows]
        return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 < other.std() else 0.0

    estimate = bootstrap(correlation, len(truth), resamples=FEW_RESAMPLES, most=1)
    error = found - truth
    figures = {
        "r": estimate.value, "rms": np.sqrt(np.square(error).mean()), "bias": error.mean(),
        "low": estimate.low, "high": estimate.high,
    }  # fmt: skip
    return Reading(**{name: round(float(value), 4) for name, value in figures.items()})


def models_that_draw(context: Context) -> list[str]:
    """Models that have a prior, or the one that is shown where none has."""
    drawn = dict.fromkeys(prior.model for prior in context.bundle.priors.values())
    return list(drawn) or [context.bundle.manifest.display_model]


def add_judge(
    path: Path,
    survey_path: Path,
    *,
    grid: str = "quick",
    out: Path | None = None,
    say: Callable[[str], None],
) -> RegressorEntry:
    """Train a bundle's judge, measure it, and put it and the new card into the bundle.

    out: a copy of the bundle to write into instead. Raises BundleError where too few galaxies have
    a T, SurveyError, SettingError.
    """
    bundle, survey = load_bundle(path), Survey.open(survey_path)
    work = path.absolute().with_name(f"{path.absolute().name}.work")
    context = Context(bundle, survey, work / "evaluation", grid)
    say("Judge")
    model = trained_judge(context) if context.enough_typed else None
    judge = shipped_judge(context, models_that_draw(context), model)
    if judge is None:
        raise BundleError(
            f"{path}: fewer than {LEAST_TYPED} galaxies of a split have a T in {survey_path},"
            " or all of a split have the same;"
            " a judge of T cannot be trained"
        )
    target = load_bundle(path if out is None else copied(path, out))
    add_files(
        target.path,
        {JUDGE: judge.data},
        lambda manifest: model_card(
            manifest, evaluation=target.evaluation, emulation=target.emulation
        ),
        ttype_regressor=judge.entry,
    )
    return judge.entry
