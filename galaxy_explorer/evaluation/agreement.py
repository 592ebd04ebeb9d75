"""Do clusters follow the Hubble type, or something else? Scores of labels as rows.

What they might follow instead are other columns of the catalogue, on the test galaxies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from msgspec.structs import replace

from galaxy_explorer.bundle.evaluation import EvaluationRow
from galaxy_explorer.clustering.mixture import effective_number
from galaxy_explorer.clustering.summary import EARLY_TTYPE, LEAST_COVERAGE, MIN_KNOWN, kind_of
from galaxy_explorer.clustering.validation import (
    dependence,
    ideal_clusters,
    two_class,
    undecided_share,
)
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.survey.photometry import COLUMNS, measure_stamps
from galaxy_explorer.survey.store import RowStamps
from galaxy_explorer.utils.files import StageResult
from galaxy_explorer.utils.resampling import bootstrap, share_interval

CLASS_COLUMN = "class_name"  # of Galaxy Zoo 1
KINDS = {"position_angle": "angle"}
NAMES = {
    "size": "apparent size",
    "axis_ratio": "axis ratio",
    "position_angle": "position angle",
    "signal_to_noise": "signal to noise",
    "neighbours": "neighbours",
}


@dataclass(frozen=True)
class CatalogColumn:
    """values (n,) of the test galaxies; kind as `dependence` takes it."""

    name: str
    values: np.ndarray
    kind: str


def other_columns(context: Context) -> list[CatalogColumn]:
    """Galaxy Zoo class where the survey has it, and what is measured on the stamps."""
    test = context.rows("test")

    def measure() -> StageResult:
        stamps = RowStamps(context.survey, test)
        table = stamps.measured(lambda block: np.stack([*measure_stamps(block).values()], 1))
        return StageResult(dict(zip(COLUMNS, table.T, strict=True)), {})

    measured = context.stage("photometry", {"columns": COLUMNS}, measure)
    columns = [
        CatalogColumn(NAMES[name], measured.arrays[name], KINDS.get(name, "continuous"))
        for name in COLUMNS
    ]
    if CLASS_COLUMN in context.survey.column_names:
        classes = context.survey.column(CLASS_COLUMN)[test]
        columns.insert(0, CatalogColumn("Galaxy Zoo class", classes, "categorical"))
    return columns


LABELS = {"ami": "AMI", "homogeneity": "homogeneity", "v_measure": "V-measure", "eta2": "eta^2"}
TWO_CLASS = {"accuracy": "two-class accuracy", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True)
class LabelScorer:
    """Scores labels of the sample (M,) against T and against the other columns."""

    context: Context

    @cached_property
    def test(self) -> np.ndarray:
        """Places of the test galaxies in the sample."""
        return self.context.places(self.context.rows("test"))

    @cached_property
    def columns(self) -> list[CatalogColumn]:
        """What else clusters might follow."""
        return other_columns(self.context)

    @cached_property
    def _ceilings(self) -> dict[int, dict[str, float]]:
        return {}

    def ceiling(self, k: int) -> dict[str, float]:
        """Scores of the best k clusters where T is known to one stage only."""
        if k not in self._ceilings:
            ttype = self.context.ttype[self.context.rows("test")]
            scores = self._agreement(ideal_clusters(ttype, k), bootstraps=1, permutations=1)
            self._ceilings[k] = {name: score["value"] for name, score in scores.items()}
        return self._ceilings[k]

    def _agreement(
        self, labels: np.ndarray, *, bootstraps: int, permutations: int
    ) -> dict[str, dict[str, float]]:
        rows = self.context.rows("test")
        options = {"bootstraps": bootstraps, "permutations": permutations}
        classes = dependence(labels, self.context.ttype_class[rows], "categorical", **options)
        numbers = dependence(labels, self.context.ttype[rows], "continuous", **options)
        return {**classes, "eta2": numbers["eta2"]}

    def ttype_rows(self, subset: RowKey, labels: np.ndarray) -> list[EvaluationRow]:
        """AMI, homogeneity, V-measure, eta squared, two-class accuracies, early and late clusters.

        labels: (M,) clusters of the sample.
        """
        grid, test = self.context.grid, labels[self.test]
        scores = self._agreement(test, bootstraps=grid.bootstraps, permutations=grid.permutations)
        ceiling = self.ceiling(subset.clusters or 1)
        n = int(np.isfinite(self.context.ttype[self.context.rows("test")]).sum())
        rows = [
            make_row(subset, "agreement", LABELS[name], {**score, "ceiling": ceiling[name]}, n=n)
            for name, score in scores.items()
        ]
        rows.append(self._predicted_row(subset, labels, n))
        context = self.context
        sides, _ = two_class(
            labels,
            context.ttype[context.sample],
            train=context.places(context.rows("train")),
            validation=context.places(context.rows("validation")),
            test=self.test,
        )
        note = "merged to early and late by train galaxies; threshold chosen on validation"
        rows += [
            make_row(subset, "agreement", TWO_CLASS[name], score, n=n, note=note)
            for name, score in sides.items()
        ]
        rows += self._kind_rows(subset, labels)
        decided = labels[labels >= 0]
        used = effective_number(decided, max(subset.clusters or 1, 1)) if len(decided) else 0
        use = {"clusters in use": float(used), "undecided": undecided_share(labels)}
        rows += [
            make_row(subset, "agreement", name, {"value": value}, n=len(labels), split="all")
            for name, value in use.items()
        ]
        return rows

    def _predicted_row(self, subset: RowKey, labels: np.ndarray, n: int) -> EvaluationRow:
        """R^2 of T where each test galaxy is given the mean T of its cluster's train galaxies.

        Eta squared is high by chance where clusters are small; this is not.
        """
        context = self.context
        train = context.places(context.rows("train", typed=True))
        test = context.places(context.rows("test", typed=True))
        guess = cluster_means(context.ttype[context.sample], labels, train)[test]
        truth = context.ttype[context.sample[test]]

        def explained(rows: np.ndarray) -> float:
            residual = np.square(truth[rows] - guess[rows]).mean()
            return float(1 - residual / max(truth[rows].var(), 1e-12))

        score = bootstrap(explained, len(test), resamples=context.grid.bootstraps, most=1)
        note = "each test galaxy is given the mean T of its cluster's train galaxies"
        return make_row(subset, "agreement", "R^2 by cluster means", score, n=n, note=note)

    def _kind_rows(self, subset: RowKey, labels: np.ndarray) -> list[EvaluationRow]:
        """Numbers of early and late clusters by the rule of `summary.kind_of`, all with a T."""
        ttype = self.context.ttype[self.context.sample]
        known = np.isfinite(ttype) & (labels >= 0)
        early, members = ttype[known] <= EARLY_TTYPE, labels[known]
        counts = np.bincount(labels[labels >= 0])
        rng, draws = np.random.default_rng(0), self.context.grid.permutations
        found = count_kinds(early, members, counts)
        chance = np.mean(
            [count_kinds(rng.permutation(early), members, counts) for _ in range(draws)], 0
        )
        rows = []
        for place, name in enumerate(("early clusters", "late clusters")):
            count = bootstrap(
                lambda rows, place=place: count_kinds(early[rows], members[rows], counts)[place],
                len(early),
                resamples=draws,
            )
            score = {**count.scores(), "value": float(found[place]), "chance": float(chance[place])}
            row = make_row(subset, "agreement", name, score, n=len(early), split="all")
            rows.append(replace(row, note=KIND_NOTE))
        return rows

    def other_rows(self, subset: RowKey, labels: np.ndarray) -> list[EvaluationRow]:
        """How far clusters follow anything else; labels: (n,) clusters of the test galaxies."""
        grid = self.context.grid
        rows = []
        for column in self.columns:
            scores = dependence(
                labels,
                column.values,
                column.kind,
                bootstraps=max(2, grid.bootstraps // 4),
                permutations=max(2, grid.permutations // 2),
            )
            kept = "ami" if column.kind == "categorical" else "eta2"
            figure = f"{LABELS[kept]} with {column.name}"
            known = column.values != "" if column.kind == "categorical" else column.values
            n = int(np.sum(known)) if column.kind == "categorical" else len(known)
            rows.append(make_row(subset, "other columns", figure, scores[kept], n=n))
        return rows


def cluster_means(ttype: np.ndarray, labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Mean T (M,) of the train galaxies in the cluster of each galaxy, else of all train galaxies.

    ttype (M,), labels (M,) clusters or -1, train: places of galaxies with a type.
    """
    overall = float(ttype[train].mean()) if len(train) else math.nan
    members = train[labels[train] >= 0]
    k = int(labels.max(initial=-1)) + 1
    counts = np.bincount(labels[members], minlength=k)
    sums = np.bincount(labels[members], ttype[members], minlength=k)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return np.asarray(np.append(means, overall)[labels])


KIND_NOTE = (
    "clusters whose share of T <= 0 is above (below) one half and that of the sample by its 95 %"
    f" interval; at least {MIN_KNOWN} members and {LEAST_COVERAGE:.0%} of them with a type"
)


def count_kinds(early: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    """Numbers of early and of late clusters among clusters labels (n,) of galaxies early (n,).

    counts (K,): galaxies of each cluster, those without a type too.
    """
    overall = float(early.mean()) if len(early) else 0.0
    typed = np.bincount(labels, minlength=len(counts))
    hits = np.bincount(labels[early], minlength=len(counts))
    low, high = share_interval(hits, typed)
    kinds = [
        kind_of(int(count), int(n), float(a), float(b), overall)
        for count, n, a, b in zip(counts, typed, low, high, strict=True)
    ]
    return kinds.count("early"), kinds.count("late")
