"""Rows of the scoreboard: made of scores, and joined over trainings with other seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from galaxy_explorer.bundle.evaluation import EvaluationRow
from galaxy_explorer.utils.resampling import Estimate, mean_interval

Score = Mapping[str, float | None] | Estimate


@dataclass(frozen=True)
class RowKey:
    """What a figure is of: a model's features by a clusterer."""

    model: str
    features: str = ""
    clusterer: str = ""
    clusters: int | None = None


def make_row(
    subset: RowKey,
    question: str,
    figure: str,
    score: Score,
    *,
    n: int,
    split: str = "test",
    unit: str = "",
    note: str = "",
) -> EvaluationRow:
    """A row of one training. score: value, and where there are any low, high, chance, ceiling."""
    values = score.scores() if isinstance(score, Estimate) else score
    return EvaluationRow(
        model=subset.model,
        features=subset.features,
        clusterer=subset.clusterer,
        clusters=subset.clusters,
        seed_count=1,
        question=question,
        figure=figure,
        **{name: _number(values.get(name)) for name in FIELDS},
        n=n,
        split=split,
        unit=unit,
        better=BETTER.get(figure, ""),
        note=note,
    )


FIELDS = ("value", "low", "high", "chance", "ceiling")
LOWER = ("NMSE", "blur", "chi^2 of the sky", "chi^2 of the core", "undecided")
HIGHER = (
    *("PSNR", "SSIM", "C kept", "Gini kept", "M20 kept", "perplexity", "perplexity / K"),
    *("codes used", "AMI", "homogeneity", "V-measure", "eta^2", "R^2 by cluster means"),
    *(
        "two-class accuracy",
        "balanced accuracy",
        "bootstrap ARI",
        "median Jaccard",
        "stable clusters",
        "silhouette",
    ),
    *("ARI, renumbered", "ARI, rotated by 90 degrees", "ARI, rotated by 45 degrees"),
    *("ARI, mirrored", "ARI, shifted by 1 pixel", "ARI, other noise"),
)
BETTER = {**dict.fromkeys(LOWER, "lower"), **dict.fromkeys(HIGHER, "higher")}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def join_seeds(rows: Iterable[EvaluationRow]) -> list[EvaluationRow]:
    """One row of those that differ only in the training: their mean, and an interval for it.

    The interval adds, as squares, half the mean interval over galaxies (the galaxies are the same
    in every training, so more trainings do not narrow it) and Student's interval of the mean over
    trainings.
    """
    groups: dict[tuple[object, ...], list[EvaluationRow]] = {}
    for row in rows:
        key = (row.model, row.features, row.clusterer, row.clusters, row.figure, row.split)
        groups.setdefault(key, []).append(row)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[EvaluationRow]) -> EvaluationRow:
    known = [row for row in group if row.value is not None]
    if len(known) < 2:
        return group[0]
    over_seeds = mean_interval([row.value for row in known if row.value is not None])
    value, spread = over_seeds.value, over_seeds.high - over_seeds.value
    ends = [
        (row.value - row.low, row.high - row.value)
        for row in known
        if row.value is not None and row.low is not None and row.high is not None
    ]
    below, above = np.mean(ends, axis=0).tolist() if ends else (0.0, 0.0)
    return replace(
        group[0],
        seed_count=over_seeds.n,
        value=value,
        low=value - math.hypot(below, spread),
        high=value + math.hypot(above, spread),
        chance=_mean_or_none([row.chance for row in group]),
        ceiling=_mean_or_none([row.ceiling for row in group]),
    )


def _mean_or_none(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def find_row(rows: Iterable[EvaluationRow], **wanted: object) -> EvaluationRow | None:
    """The first row whose fields are as wanted; None where there is none."""
    fields = wanted.items()
    return next((r for r in rows if all(getattr(r, name) == v for name, v in fields)), None)
