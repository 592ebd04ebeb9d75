"""The clusterings that ship, as they ship: served by the bundle's own mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from msgspec.structs import asdict

from galaxy_explorer.bundle import Bundle, Clustering
from galaxy_explorer.bundle.clusterings import ClusteringEntry
from galaxy_explorer.bundle.evaluation import ClusterStability, EvaluationRow
from galaxy_explorer.clustering.features import serve_features
from galaxy_explorer.clustering.stability import bootstrap_stability, invariance, renumber
from galaxy_explorer.evaluation.agreement import LabelScorer
from galaxy_explorer.evaluation.context import Context, EvaluatedModel
from galaxy_explorer.evaluation.encoding import ORBIT, ORIENTATIONS, TRANSFORMS, orbits, reorient
from galaxy_explorer.evaluation.feature_runs import invariance_rows, jaccard_rows
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.pipeline.clusters import fit_served
from galaxy_explorer.utils.files import StageResult

SHIPPED = "as shipped"


@dataclass(frozen=True)
class Shipped:
    """One shipped clustering and the model that it stands on."""

    clustering: Clustering
    evaluated: EvaluatedModel
    entry: ClusteringEntry
    sha256: str

    @property
    def stage(self) -> str:
        """Start of the names of its stages."""
        return f"shipped.{self.clustering.key.replace('/', '.')}"

    @property
    def inputs(self) -> dict[str, Any]:
        """What its stages depend on: weights, features and mixture."""
        return {**self.evaluated.inputs, "file": self.entry.file, "sha256": self.sha256}

    @property
    def clusterer(self) -> str:
        """Name of the clusterer: gmm or kmeans."""
        return str(self.entry.mixture.get("clusterer", "gmm"))

    @cached_property
    def subset(self) -> RowKey:
        """Its name on the scoreboard."""
        name = f"{self.clusterer}, {SHIPPED}"
        clustering = self.clustering
        return RowKey(clustering.model, clustering.features, name, clustering.mixture.n_components)


def find_shipped(bundle: Bundle, models_evaluated: list[EvaluatedModel]) -> list[Shipped]:
    """All clusterings of a bundle, each with its model."""
    models = {evaluated.name: evaluated for evaluated in models_evaluated if evaluated.shipped}
    files = bundle.manifest.files
    found = []
    for key, clustering in bundle.clusterings.items():
        entry = bundle.manifest.clusterings[key]
        digest = files[entry.file].sha256
        found.append(Shipped(clustering, models[clustering.model], entry, digest))
    return found


def shipped_rows(
    judging: LabelScorer, shipped: Shipped
) -> tuple[list[EvaluationRow], ClusterStability]:
    """Agreement, other columns, invariance, stability and Jaccard of each cluster."""
    context = judging.context

    def resample() -> StageResult:
        settings, grid = shipped.entry.mixture, context.grid
        slow = shipped.clusterer == "gmm"
        resamples = grid.slow_resamples if slow else grid.resamples
        train = context.fit_rows if slow else np.flatnonzero(context.splits == "train")
        values = np.asarray(shipped.clustering.feature_values, dtype=np.float64)
        k = shipped.clustering.mixture.n_components
        test = context.rows("test")
        found = bootstrap_stability(
            lambda x, seed: fit_served(settings, x, min(k, len(x)), seed),
            values[train],
            values[test],
            shipped.clustering.labels[test].astype(np.int64),
            resamples=resamples,
        )
        jaccard = np.full(k, np.nan)
        jaccard[: len(found.jaccard)] = found.jaccard
        return StageResult({"jaccard": jaccard}, {"ari": {**found.ari, "resamples": resamples}})

    measured = context.stage(f"{shipped.stage}.stability", shipped.inputs, resample)
    inputs = {**shipped.inputs, "renumbered": True}

    def score() -> StageResult:
        context, subset = judging.context, shipped.subset
        labels = shipped.clustering.labels[context.sample].astype(np.int64)
        rows = judging.ttype_rows(subset, labels)
        rows += judging.other_rows(subset, labels[judging.test])
        rows += _invariance(context, shipped)
        return StageResult({"rows": np.array([len(rows)])}, {"rows": [asdict(row) for row in rows]})

    scored = context.stage(f"{shipped.stage}.scores", inputs, score)
    jaccard, ari = measured.arrays["jaccard"], measured.facts["ari"]
    note = f"{ari['resamples']} resamples of the training galaxies"
    n = len(context.rows("test"))
    rows = [EvaluationRow(**values) for values in scored.facts["rows"]]
    rows.append(make_row(shipped.subset, "stability", "bootstrap ARI", ari, n=n, note=note))
    rows += jaccard_rows(shipped.subset, jaccard, note)
    values = tuple(float(j) if np.isfinite(j) else None for j in jaccard)
    return rows, ClusterStability(shipped.clustering.key, values)


def _invariance(context: Context, shipped: Shipped) -> list[EvaluationRow]:
    """Clusters of the test galaxies, encoded anew, against those of the same transformed."""
    stored = orbits(context, shipped.evaluated).arrays
    test = stored[ORBIT][context.places(context.rows("test"))]

    clustering, evaluated = shipped.clustering, shipped.evaluated
    codebook = evaluated.codebook if evaluated.has_maps else None

    def labels(codes: np.ndarray, codebook: np.ndarray | None = codebook) -> np.ndarray:
        features = serve_features(clustering.features, codes, codebook, clustering.feature_map)
        return clustering.mixture.predict(features)

    seen = {name: labels(reorient(test, turn)) for name, turn in ORIENTATIONS.items()}
    seen |= {name: labels(stored[name]) for name in TRANSFORMS}
    rows = invariance_rows(context, shipped.subset, labels(test), seen)
    if codebook is not None:
        order = np.random.default_rng(1).permutation(len(codebook))
        again = labels(*renumber(test, codebook, order))
        score = invariance(labels(test), again, bootstraps=context.grid.bootstraps)
        note = "the codebook renumbered at random, clusters served by the same mixture"
        row = make_row(
            shipped.subset, "invariance", "ARI, renumbered", score, n=len(test), note=note
        )
        rows.append(row)
    return rows
