"""Rows of the scoreboard of one cell: agreement, other columns, stability, invariance."""

from __future__ import annotations

import numpy as np

from galaxy_explorer.bundle_evaluation import Row
from galaxy_explorer.clustering.dependence import vector_eta2
from galaxy_explorer.clustering.invariance import invariance
from galaxy_explorer.evaluation.agreement import Judging
from galaxy_explorer.evaluation.cells import RENUMBERED, Cell, cluster_cell
from galaxy_explorer.evaluation.context import CLUSTERS, Context
from galaxy_explorer.evaluation.rows import Subset, make_row
from galaxy_explorer.evaluation.transforms import ORIENTATIONS, TRANSFORMS
from galaxy_explorer.pipeline.cache import StageResult

STABLE = 0.5  # Jaccard overlap below which a cluster dissolves (Hennig 2007)
NOISE = ("noise", "other noise")


def cell_rows(judging: Judging, cell: Cell) -> list[Row]:
    """All rows of a cell, one clusterer after the other."""
    context, subject = judging.context, cell.subject
    clustered = cluster_cell(context, cell)
    stage = f"{subject.name}.{subject.seed}.scores.{cell.features.name.replace(', ', '-')}"
    inputs = {**subject.inputs, "clusterers": cell.clusterers, "resampled": cell.resampled}
    scored = context.stage(stage, inputs, lambda: _score(judging, cell, clustered))
    return [Row(**values) for values in scored.facts["rows"]]


def _score(judging: Judging, cell: Cell, clustered: StageResult) -> StageResult:
    rows: list[Row] = []
    for name in cell.clusterers:
        subset = Subset(cell.subject.name, cell.features.name, name, CLUSTERS)
        labels = clustered.arrays[name]
        rows += judging.ttype_rows(subset, labels)
        test = labels[judging.test]
        if cell.transformed:
            rows += judging.other_rows(subset, test)
            seen = {
                key.partition("/")[2]: value
                for key, value in clustered.arrays.items()
                if key.startswith(f"{name}/")
            }
            rows += invariance_rows(judging.context, subset, test, seen)
        again = clustered.arrays.get(f"{name}/{RENUMBERED}")
        if again is not None:
            rows += _renumbered_rows(judging, subset, test, again)
        rows += _stability_rows(subset, name, clustered, len(test))
    return StageResult({"rows": np.array([len(rows)])}, {"rows": [vars(row) for row in rows]})


def invariance_rows(
    context: Context, subset: Subset, labels: np.ndarray, seen: dict[str, np.ndarray]
) -> list[Row]:
    """ARI between clusters of the test galaxies and of the same transformed, by transform.

    Two noise draws are compared with each other: both add as much noise as the sky has.
    """
    pairs = {name: (labels, seen[name]) for name in (*ORIENTATIONS, *TRANSFORMS) if name in seen}
    pairs = {name: pair for name, pair in pairs.items() if name not in NOISE}
    if all(name in seen for name in NOISE):
        pairs["other noise"] = (seen[NOISE[0]], seen[NOISE[1]])
    rows = []
    for name, (one, other) in pairs.items():
        score = invariance(one, other, bootstraps=context.grid.bootstraps)
        rows.append(make_row(subset, "invariance", f"ARI, {name}", score, n=len(one)))
    return rows


def _renumbered_rows(
    judging: Judging, subset: Subset, labels: np.ndarray, again: np.ndarray
) -> list[Row]:
    """ARI with, and eta squared of, clusters after renumberings; intervals hold all of them."""
    context, n = judging.context, len(labels)
    others = [other[judging.test] for other in again]
    scores = [invariance(labels, o, bootstraps=context.grid.bootstraps) for o in others]
    ari = {
        "value": float(np.mean([s["value"] for s in scores])),
        "low": min(s["low"] for s in scores),
        "high": max(s["high"] for s in scores),
        "chance": float(np.mean([s["chance"] for s in scores])),
    }
    ttype = context.ttype[context.rows("test")]
    known = np.isfinite(ttype)
    values = [vector_eta2(ttype[known], other[known]) for other in others if known.any()]
    eta2 = {"value": float(np.mean(values)), "low": min(values), "high": max(values)}
    note = f"{len(again)} random renumberings, features and clusters fitted anew"
    return [
        make_row(subset, "invariance", "ARI, renumbered", ari, n=n, note=note),
        make_row(subset, "invariance", "eta^2, renumbered", eta2, n=int(known.sum()), note=note),
    ]


def _stability_rows(subset: Subset, name: str, clustered: StageResult, n: int) -> list[Row]:
    facts, rows = clustered.facts, []
    if name in facts["stability"]:
        ari, jaccard = facts["stability"][name], clustered.arrays[f"{name}/jaccard"]
        note = f"{ari['resamples']} resamples of the training galaxies"
        rows.append(make_row(subset, "stability", "bootstrap ARI", ari, n=n, note=note))
        rows += jaccard_rows(subset, jaccard, note)
    rows.append(make_row(subset, "stability", "silhouette", facts["silhouette"][name], n=n))
    return rows


def jaccard_rows(subset: Subset, jaccard: np.ndarray, note: str) -> list[Row]:
    """Median overlap of the clusters with those of resamples, and how many hold together."""
    known = jaccard[np.isfinite(jaccard)]
    values = {
        "median Jaccard": float(np.median(known)) if len(known) else float("nan"),
        "stable clusters": float((known >= STABLE).sum()),
    }
    return [
        make_row(subset, "stability", figure, {"value": value}, n=len(known), note=note)
        for figure, value in values.items()
    ]
