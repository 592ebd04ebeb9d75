"""Rows of the scoreboard: made of scores, and joined over trainings with other seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from galaxy_explorer.bundle.evaluation import EvaluationRow
from galaxy_explorer.clustering.summary import INTERVAL

Score = Mapping[str, float | None]


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
    return EvaluationRow(
        model=subset.model,
        features=subset.features,
        clusterer=subset.clusterer,
        clusters=subset.clusters,
        seed_count=1,
        question=question,
        figure=figure,
        **{name: _number(score.get(name)) for name in FIELDS},
        n=n,
        split=split,
        unit=unit,
        better=BETTER.get(figure, ""),
        note=note,
    )


FIELDS = ("value", "low", "high", "chance", "ceiling")
LOWER = ("NMSE", "chi^2 of the sky", "chi^2 of the core", "undecided")
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


def over_galaxies(
    score: Callable[[np.ndarray], float], n: int, bootstraps: int
) -> dict[str, float]:
    """`value`, `low`, `high` of a score of rows 0..n-1; the interval resamples the galaxies."""
    value = float(score(np.arange(n))) if n else math.nan
    if n < 2:
        return {"value": value}
    rng = np.random.default_rng(0)
    drawn = np.array([score(rng.integers(n, size=n)) for _ in range(bootstraps)])
    low, high = value + np.nanquantile(drawn, INTERVAL) - np.nanmean(drawn)
    return {"value": value, "low": float(low), "high": float(high)}


def join_seeds(rows: Iterable[EvaluationRow]) -> list[EvaluationRow]:
    """One row of those that differ only in the training: their mean, and an interval for it.

    The interval adds, as squares, half the mean bootstrap interval over galaxies (the galaxies are
    the same in every training, so more trainings do not narrow it) and Student's interval of the
    mean over trainings.
    """
    groups: dict[tuple[object, ...], list[EvaluationRow]] = {}
    for row in rows:
        key = (row.model, row.features, row.clusterer, row.clusters, row.figure, row.split)
        groups.setdefault(key, []).append(row)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[EvaluationRow]) -> EvaluationRow:
    values = np.array([row.value for row in group if row.value is not None])
    if len(group) == 1 or len(values) < 2:
        return group[0]
    value, spread = float(values.mean()), seed_half_width(values)
    below = _mean([row.value - row.low for row in group if row.value is not None and row.low])
    above = _mean([row.high - row.value for row in group if row.value is not None and row.high])
    return replace(
        group[0],
        seed_count=len(values),
        value=value,
        low=value - math.hypot(below, spread),
        high=value + math.hypot(above, spread),
        chance=_mean_or_none([row.chance for row in group]),
        ceiling=_mean_or_none([row.ceiling for row in group]),
    )


def seed_half_width(values: np.ndarray) -> float:
    """Half of Student's 95 % interval of the mean of values (n,), n at least 2."""
    from scipy.stats import t

    quantile = float(t.ppf(INTERVAL[1], len(values) - 1))
    return float(quantile * values.std(ddof=1) / math.sqrt(len(values)))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _mean_or_none(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def find_row(rows: Iterable[EvaluationRow], **wanted: object) -> EvaluationRow | None:
    """The first row whose fields are as wanted; None where there is none."""
    fields = wanted.items()
    return next((r for r in rows if all(getattr(r, name) == v for name, v in fields)), None)
