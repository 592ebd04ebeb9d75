"""The figures that prove an emulator, or refute it: each with its goal, floor and controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.card import LEADING
from galaxy_explorer.bundle.emulation import CLASSES, LOWEST_CLASS, READ_TTYPE, EmulationFigure
from galaxy_explorer.evaluation.emulator import comparison as compare
from galaxy_explorer.evaluation.emulator.comparison import Galaxies, ResampledFigure
from galaxy_explorer.labels.games import ORIGINAL, RECONSTRUCTION, Game
from galaxy_explorer.utils.resampling import share_interval

Goal = tuple[float | None, float | None]

NO_GOAL: Goal = (None, None)
SLOPE_GOAL: Goal = (0.9, 1.1)
SIGMAS_GOAL: Goal = (5.0, None)
CONTROL_GOAL: Goal = (-2.0, 2.0)
JUDGED_GOAL: Goal = (0.97, None)
ATTRIBUTE_GOAL: Goal = (0.8, 1.2)
OFFSET_GOAL: Goal = (-0.5, 0.5)  # stages
READ_GOALS = {
    READ_TTYPE: SLOPE_GOAL,
    "read_arms": ATTRIBUTE_GOAL,
    "read_flocculence": ATTRIBUTE_GOAL,
}
READ_SLOPE = "slope against T of what the judge reads, sample over reconstruction"
LEAST_SLOPE = 3.0  # of reconstructions, in its errors: below it a ratio to it says nothing
TRAINING_SET_GOAL: Goal = (0.85, None)
REAL_GOAL: Goal = (None, 0.10)
RECONSTRUCTIONS_GOAL: Goal = (None, 0.06)
AUC_GOAL: Goal = (None, 0.60)
MEMORY_GOAL: Goal = (0.95, 1.05)
FEWEST = 20  # galaxies with a T below which nothing is said of T


@dataclass(frozen=True)
class Sets:
    """What is compared.

    real, reconstructions: held-out galaxies and their reconstructions; samples: drawn for the T of
    these; samples_with_ttype: those asked for a known T; control: samples of a prior that was
    trained with, or asked for, the labels of other galaxies; training: training galaxies with a T,
    stamps as they are.
    train, held_out: code vectors of as many galaxies each. Empty where there are none.
    """

    real: Galaxies
    reconstructions: Galaxies
    samples: Galaxies
    samples_with_ttype: Galaxies
    control: Galaxies | None
    training: Galaxies | None
    train: NDArray[np.float32]
    held_out: NDArray[np.float32]

    @property
    def follows(self) -> bool:
        """Whether there are galaxies enough to say whether samples follow T."""
        return min(len(self.samples_with_ttype), len(self.reconstructions.typed)) >= FEWEST

    @property
    def names(self) -> list[str]:
        """The statistics."""
        return list(self.real.statistics)


def verdict(
    value: float | None,
    low: float | None,
    high: float | None,
    goal: Goal,
    floor: float | None = None,
) -> str:
    """Whether a value reaches its goal, in the words of `bundle_emulation.EmulationFigure`."""
    if goal == NO_GOAL:
        return "no goal"
    if value is None or not math.isfinite(value):
        return "not measured"
    least = -math.inf if goal[0] is None else goal[0]
    most = math.inf if goal[1] is None else goal[1]
    if least <= value <= most:
        return "reached"
    if low is None or high is None:
        return "not reached"
    if low <= most and high >= least:
        return "within error"
    return "at the floor" if floor is not None and low <= floor else "not reached"


def _figure(
    group: str, name: str, score: ResampledFigure | float | None, goal: Goal, n: int, **others: Any
) -> EmulationFigure:
    """A figure; others: statistic, floor, collapsed, control, reference, note."""
    if isinstance(score, ResampledFigure):
        ends = (score.estimate.low, score.estimate.high)
        value, low, high = (known(v) for v in (score.value, *ends))
    else:
        value, low, high = known(score), None, None
    return EmulationFigure(
        group=group,
        name=name,
        value=value,
        low=low,
        high=high,
        n=n,
        goal_low=goal[0],
        goal_high=goal[1],
        verdict=verdict(value, low, high, goal, others.get("floor")),
        **{**BLANK, **others},
    )


BLANK: dict[str, Any] = {
    "statistic": "",
    "floor": None,
    "collapsed": None,
    "control": None,
    "reference": None,
    "note": "",
}


def known(value: float | None) -> float | None:
    """The value itself, None where it is not a number."""
    return None if value is None or not math.isfinite(value) else float(value)


def classes_of(ttype: NDArray[np.float64]) -> NDArray[np.float64]:
    """Class of each T (n,), -3 to 6; what lies beyond is in the end classes."""
    return np.asarray(np.floor(ttype + 0.5).clip(LOWEST_CLASS, LOWEST_CLASS + CLASSES - 1))


def all_figures(sets: Sets) -> list[EmulationFigure]:
    """Every figure that these sets allow."""
    label = [*label_figures(sets), *judge_figures(sets)] if sets.follows else []
    return [*label, *distribution_figures(sets), *memory_figures(sets)]


def label_figures(sets: Sets) -> list[EmulationFigure]:
    """Do C, Gini and M20 of samples follow T as those of reconstructions do?"""
    figures, n = [], len(sets.samples_with_ttype)
    for name in LEADING:
        reconstructions, samples = sets.reconstructions.typed, sets.samples_with_ttype
        collapsed = compare.slope_ratio(samples.collapsed, reconstructions, name).value
        control = None
        if sets.control is not None:
            control = compare.slope_ratio(sets.control, reconstructions, name).value
        real = compare.slope_ratio(reconstructions, sets.real.typed, name).value
        figures.append(
            _figure(
                "label", "slope against T, sample over reconstruction",
                compare.slope_ratio(samples, reconstructions, name), SLOPE_GOAL, n,
                statistic=name, collapsed=collapsed, control=control, reference=real,
                note=f"{len(reconstructions)} reconstructions; reference: reconstruction over real",
            )
        )  # fmt: skip
        figures.append(_sigmas("slope of samples, in its errors", samples, name, SIGMAS_GOAL))
        if sets.control is not None:
            words = "slope with mismatched labels, in its errors"
            figures.append(_sigmas(words, sets.control, name, CONTROL_GOAL))
    return figures


def _sigmas(words: str, galaxies: Galaxies, name: str, goal: Goal) -> EmulationFigure:
    slope = compare.slope_of(galaxies, name)
    error = slope.estimate.error
    sigmas = slope.value / error if error > 0 else 0.0
    # How far from nothing has no sign; that of a control that should be nothing keeps it.
    value = abs(sigmas) if goal is SIGMAS_GOAL else sigmas
    return _figure("label", words, value, goal, len(galaxies), statistic=name)


def judge_figures(sets: Sets) -> list[EmulationFigure]:
    """As read by networks and forests that have seen real galaxies."""
    figures = []
    if READ_TTYPE in sets.samples_with_ttype.read:
        figures = [_read_correlation(sets), *_read_slopes(sets), *_read_offsets(sets)]
    if sets.training is not None:
        figures.append(_accuracy_by_training_set(sets, sets.training))
    return figures


def _read_correlation(sets: Sets) -> EmulationFigure:
    samples, reconstructions = sets.samples_with_ttype, sets.reconstructions.typed
    values = {"asked": samples, "reconstructions": reconstructions, "real": sets.real.typed}
    found = {word: compare.correlation(galaxies) for word, galaxies in values.items()}
    words = ", ".join(f"{word} {r.value:.3f}" for word, r in found.items())
    control = None
    if sets.control is not None:
        control = compare.correlation_ratio(sets.control, reconstructions).value
    return _figure(
        "judge", "correlation with the judge's T, sample over reconstruction",
        compare.correlation_ratio(samples, reconstructions), JUDGED_GOAL, len(samples),
        control=control,
        collapsed=compare.correlation_ratio(samples.collapsed, reconstructions).value,
        reference=found["reconstructions"].value, note=f"r: {words}",
    )  # fmt: skip


def _read_slopes(sets: Sets) -> list[EmulationFigure]:
    """Slope against T of what the judge reads: of T itself, and of what changes with T at all."""
    samples, reconstructions = sets.samples_with_ttype, sets.reconstructions.typed
    figures = []
    for name in samples.read:
        below = compare.slope_of(reconstructions, name)
        if abs(below.value) < LEAST_SLOPE * below.estimate.error:
            continue
        score = compare.slope_ratio(samples, reconstructions, name)
        control = None
        if sets.control is not None:
            control = compare.slope_ratio(sets.control, reconstructions, name).value
        note = (
            f"{compare.slope_of(samples, name).value:.3f} a stage, reconstructions"
            f" {below.value:.3f}; reference: reconstruction over real"
        )
        figures.append(
            _figure(
                "judge", READ_SLOPE, score, READ_GOALS.get(name, NO_GOAL), len(samples),
                statistic=name, control=control, note=note,
                collapsed=compare.slope_ratio(samples.collapsed, reconstructions, name).value,
                reference=compare.slope_ratio(reconstructions, sets.real.typed, name).value,
            )
        )  # fmt: skip
    return figures


def _read_offsets(sets: Sets) -> list[EmulationFigure]:
    """By how much T is read later on samples than on reconstructions, class by class."""
    figures = []
    for number in range(LOWEST_CLASS, LOWEST_CLASS + CLASSES):
        samples, reconstructions, real = (
            galaxies.rows(np.flatnonzero(classes_of(galaxies.ttype) == number))
            for galaxies in (sets.samples_with_ttype, sets.reconstructions.typed, sets.real.typed)
        )
        if min(len(samples), len(reconstructions)) < FEWEST:
            continue
        means = {
            word: galaxies.read[READ_TTYPE].mean()
            for word, galaxies in (("samples", samples), ("reconstructions", reconstructions))
        }
        words = ", ".join(f"{word} {mean:.2f}" for word, mean in means.items())
        figures.append(
            _figure(
                "judge", "read T, samples less reconstructions, in stages",
                compare.read_offset(samples, reconstructions), OFFSET_GOAL, len(samples),
                statistic=f"T {number}",
                reference=compare.read_offset(reconstructions, real).value,
                note=f"mean: {words}; reference: reconstructions less real",
            )
        )  # fmt: skip
    return figures


def _accuracy_by_training_set(sets: Sets, training: Galaxies) -> EmulationFigure:
    real, samples = sets.real.typed, sets.samples_with_ttype
    score, by_real = compare.training_set_accuracy(samples, training, real)
    control = None
    if sets.control is not None:
        control = compare.training_set_accuracy(sets.control, training, real)[0].value
    collapsed = compare.training_set_accuracy(samples.collapsed, training, real)[0].value
    early = float((real.ttype <= compare.EARLY_TTYPE).mean())
    note = (
        f"early or late, of {len(real)} real galaxies; forest on radial profiles; reference: taught"
        f" by as many real galaxies; always the commoner class: {max(early, 1 - early):.3f}"
    )
    return _figure(
        "judge", "accuracy taught by samples, over taught by real galaxies", score,
        TRAINING_SET_GOAL,
        min(len(samples), len(training)), control=control, collapsed=collapsed,
        reference=by_real.value, note=note,
    )  # fmt: skip


def distribution_figures(sets: Sets) -> list[EmulationFigure]:
    """Are samples distributed as real galaxies, and as reconstructions?"""
    real, reconstructions, samples = sets.real, sets.reconstructions, sets.samples
    sigma, names = compare.sigmas_of(real), sets.names
    sizes, n = (len(samples), len(real)), min(len(samples), len(real))
    below = compare.mean_distance(reconstructions, real, names, sigma).value
    figures = []
    for words, others, goal in (
        ("mean W1 / sigma from real", real, REAL_GOAL),
        ("mean W1 / sigma from reconstructions", reconstructions, RECONSTRUCTIONS_GOAL),
    ):
        figures.append(
            _figure(
                "distribution", words, compare.mean_distance(samples, others, names, sigma), goal,
                n,
                floor=compare.distance_floor(others, sizes, names, sigma),
                collapsed=compare.mean_distance(samples.collapsed, others, names, sigma).value,
                reference=below, note=f"{', '.join(names)}; reference: reconstructions from real",
            )
        )  # fmt: skip
        figures += [
            _figure(
                "distribution", words.removeprefix("mean "),
                compare.mean_distance(samples, others, [name], sigma), NO_GOAL, n, statistic=name,
                floor=compare.distance_floor(others, sizes, [name], sigma),
                reference=compare.mean_distance(reconstructions, real, [name], sigma).value,
            )
            for name in names
        ]  # fmt: skip
    return [*figures, *_frechet(sets), *_told_apart(sets)]


def _frechet(sets: Sets) -> list[EmulationFigure]:
    """In what the judge reads from, which sees arms and knots; in variances of real galaxies."""
    sides = (sets.real, sets.reconstructions, sets.samples, sets.samples.collapsed)
    features = [galaxies.judge_features for galaxies in sides]
    if any(values is None or len(values) < FEWEST for values in features):
        return []
    real, reconstructions, samples, collapsed = (np.asarray(values) for values in features)
    unit = np.maximum(real.std(0), 1e-6)
    sizes = (len(samples), len(real))
    return [
        _figure(
            "distribution", f"Frechet distance of the judge's features from {words}",
            compare.frechet(samples, others, unit), NO_GOAL, min(sizes),
            floor=compare.frechet_floor(others, sizes, unit),
            collapsed=compare.frechet(collapsed, others, unit).value,
            reference=compare.frechet(reconstructions, real, unit).value,
            note=f"mean of {real.shape[1]} dimensions, in variances of real galaxies;"
            " reference: reconstructions from real",
        )
        for words, others in (("real", real), ("reconstructions", reconstructions))
    ]  # fmt: skip


def fooling_figures(games: Sequence[Game], prior_sha256: str) -> list[EmulationFigure]:
    """How often people took samples of a prior for the real galaxy of a pair; none: never played.

    games: of any prior. Half is as good as guessing.
    """
    figures = []
    for pictures in (RECONSTRUCTION, ORIGINAL):
        played = [g for g in games if (g.prior_sha256, g.pictures) == (prior_sha256, pictures)]
        answers = [fooled for game in played for fooled in game.fooled]
        if not answers:
            continue
        low, high = (float(end) for end in share_interval(sum(answers), len(answers)))
        values = {
            **BLANK, "statistic": f"against {pictures}s", "value": sum(answers) / len(answers),
            "low": low, "high": high, "goal_low": None, "goal_high": None, "verdict": "no goal",
            "reference": 0.5,
            "note": f"sample taken for the real galaxy of a pair of the same T, {len(played)}"
            f" {'game' if len(played) == 1 else 'games'}; Wilson interval; reference: guessing",
        }  # fmt: skip
        name = "fooling rate of people"
        figures.append(EmulationFigure(group="judge", name=name, n=len(answers), **values))
    return figures


def _told_apart(sets: Sets) -> list[EmulationFigure]:
    figures = []
    three = (sets.reconstructions, sets.samples, sets.samples.collapsed)
    tables = [np.stack(list(galaxies.statistics.values()), 1) for galaxies in three]
    compared = {
        # galaxies that could not be measured left out
        "morphology": [np.asarray(table[np.isfinite(table).all(1)]) for table in tables],
        "radial profiles": [galaxies.features.astype(np.float64) for galaxies in three],
    }
    for words, (reconstructions, samples, collapsed) in compared.items():
        figures.append(
            _figure(
                "distribution",
                f"classifier, samples from reconstructions: AUC on {words}",
                compare.two_sample_auc(reconstructions, samples),
                AUC_GOAL,
                min(len(reconstructions), len(samples)),
                floor=compare.split_auc(reconstructions),
                collapsed=compare.two_sample_auc(reconstructions, collapsed).value,
                note="the better of a logistic regression and a forest, on held-out folds",
            )
        )
    return figures


def memory_figures(sets: Sets) -> list[EmulationFigure]:
    """Are training galaxies copied? The control is an emulator that does copy them."""
    n = len(sets.train)
    if n < FEWEST:
        return []
    score = compare.neighbour_ratio(sets.samples.vectors, sets.train, sets.held_out)
    copied = compare.neighbour_ratio(sets.train, sets.train, sets.held_out).value
    near = compare.diversity(sets.samples, sets.reconstructions)
    collapsed = compare.diversity(sets.samples.collapsed, sets.reconstructions)
    return [
        _figure(
            "memory", "nearest neighbours in code space, training over held-out", score,
            MEMORY_GOAL, n, collapsed=copied, note="beside it: an emulator that copies training",
        ),
        _figure(
            "memory", "diversity: distance between samples over reconstructions", near, NO_GOAL,
            len(sets.samples), collapsed=collapsed,
        ),
    ]  # fmt: skip
