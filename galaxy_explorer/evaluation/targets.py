"""The goals that were set for the recommended clustering, and how far it got."""

from __future__ import annotations

from collections.abc import Iterable

from galaxy_explorer.bundle_evaluation import Row, Target
from galaxy_explorer.evaluation.baselines import MODEL as BASELINE
from galaxy_explorer.evaluation.rows import Subset, find_row
from galaxy_explorer.evaluation.supervised import JUDGE

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
ROUNDING = 1e-9
TWO_CLASS = "two-class accuracy"
RADIAL = {
    "model": BASELINE,
    "features": "radial profile",
    "clusterer": "kmeans",
    "clusters": 64,
}


def judge_targets(rows: list[Row], subset: Subset) -> list[Target]:
    """Every goal, the figure of the recommended clustering, and whether the figure reaches it."""
    own = [row for row in rows if _of(row, subset)]
    targets = [_target(own, figure, goal, "") for figure, goal in FIXED]
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
        best = _best_baseline(rows, figure, subset.clusters)
        if best is not None and best.value is not None:
            note = f"best baseline with as many clusters: {best.features}, {best.clusterer}"
            targets.append(_target(own, figure, best.value, note))
    return targets


def _of(row: Row, subset: Subset) -> bool:
    return (row.model, row.features, row.clusterer) == (
        subset.model,
        subset.features,
        subset.clusterer,
    )


def _target(rows: list[Row], figure: str, goal: float, note: str) -> Target:
    row = find_row(rows, figure=figure)
    value = row.value if row else None
    met = None if value is None else int(value >= goal - ROUNDING)
    low, high = (row.low, row.high) if row else (None, None)
    return Target(figure, goal, value, low, high, met, note)


def _best_baseline(rows: Iterable[Row], figure: str, clusters: int | None) -> Row | None:
    """The baseline with the highest value of a figure among those with as many clusters."""
    found = [
        row
        for row in rows
        if row.model == BASELINE and row.figure == figure and row.clusters == clusters
    ]
    known = [row for row in found if row.value is not None]
    return max(known, key=lambda row: row.value or 0.0, default=None)
