"""Every clusterer on every feature set of a model: who belongs where, also after transforms.

Each run gives rows of the scoreboard: agreement, other columns, stability, invariance. The
clusterings that ship give theirs as they ship, served by the bundle's own mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from msgspec.structs import asdict

from galaxy_explorer.bundle import Bundle, Clustering
from galaxy_explorer.bundle.clusterings import ClusteringEntry
from galaxy_explorer.bundle.evaluation import ClusterStability, EvaluationRow
from galaxy_explorer.clustering.clusterers import (
    CLUSTERERS,
    VOTES,
    Clusterer,
    Consensus,
    fit_clusterer,
    match_labels,
)
from galaxy_explorer.clustering.features import (
    FEATURE_KINDS,
    CodeFeatures,
    FeatureMap,
    fit_code_features,
    fit_vectors,
    serve_features,
)
from galaxy_explorer.clustering.stability import (
    bootstrap_stability,
    invariance,
    renumber,
    silhouette,
)
from galaxy_explorer.clustering.validation import vector_eta2
from galaxy_explorer.evaluation.agreement import LabelScorer
from galaxy_explorer.evaluation.context import CLUSTERS, Context, EvaluatedModel
from galaxy_explorer.evaluation.encoding import ORBIT, ORIENTATIONS, TRANSFORMS, orbits, reorient
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.pipeline.clusters import fit_served
from galaxy_explorer.utils.files import StageResult

LATENTS = "latents"
VOTERS = ("kmeans", "gmm", "ward")  # of the consensus
SLOW = frozenset({"gmm", "consensus"})  # a fit takes seconds
RENUMBERED = "renumbered"


@dataclass(frozen=True)
class FeatureSet:
    """A kind of features, of the stamp as it is or averaged over its eight orientations."""

    kind: str
    orbit: bool = False

    @property
    def name(self) -> str:
        """As the scoreboard shows it."""
        return f"{self.kind}, orbit mean" if self.orbit else self.kind


@dataclass(frozen=True)
class FeatureRun:
    """The clusterers of one feature set of a model.

    resampled: those whose stability is measured.
    """

    evaluated: EvaluatedModel
    features: FeatureSet
    clusterers: tuple[str, ...]
    resampled: tuple[str, ...] = ()

    @property
    def transformed(self) -> bool:
        """Whether galaxies transformed are clustered too."""
        return self.evaluated.shipped


ALL = tuple(CLUSTERERS)
FEW = ("gmm", "kmeans")


def plan_runs(evaluated: EvaluatedModel, *, full_grid: bool) -> list[FeatureRun]:
    """What is measured of a model.

    All kinds of features and all clusterers for the report's two ends of the codebook sizes; all
    clusterers on the orbit mean of the others; of further trainings what the claims on trends need.
    full_grid: the stability of mixtures on every feature set, not only where they are quick.
    """
    if not evaluated.has_64_features:
        return []
    resampled = tuple(name for name in ALL if full_grid or name not in SLOW)
    if not evaluated.shipped:
        kinds = ("index", "codes", "rings") if evaluated.has_maps else (LATENTS,)
        return [FeatureRun(evaluated, FeatureSet(kind), FEW) for kind in kinds]
    if not evaluated.fully_evaluated and evaluated.has_maps:
        cells = [FeatureRun(evaluated, FeatureSet(k), FEW) for k in ("index", "codes", "rings")]
        return [
            *cells,
            FeatureRun(evaluated, FeatureSet("codes", orbit=True), ALL, resampled),
        ]
    everything = FEATURE_KINDS if evaluated.has_maps else (LATENTS,)
    sets = [FeatureSet(kind, orbit=orbit) for kind in everything for orbit in (False, True)]
    return [FeatureRun(evaluated, features, ALL, resampled) for features in sets]


@dataclass(frozen=True)
class Features:
    """Features of the sample (M, P), and of the test galaxies transformed, by transform."""

    sample: np.ndarray
    transformed: dict[str, np.ndarray]
    renumbered: list[np.ndarray]  # of the sample, with the codebook renumbered and all fitted anew


def cell_features(context: Context, cell: FeatureRun) -> Features:
    """Fit the features of a cell on `context.fit_rows` and apply them to everything."""
    evaluated, places = cell.evaluated, context.places(context.fit_rows)
    stored = orbits(context, evaluated).arrays if cell.transformed else {}
    sample = _views(stored[ORBIT] if stored else evaluated.codes[context.sample][:, None], cell)
    fitted = _fit(cell, sample, evaluated.codebook if evaluated.has_maps else None, places)
    transformed = {}
    if stored:
        test = stored[ORBIT][context.places(context.rows("test"))]
        views = {name: reorient(test, turn) for name, turn in ORIENTATIONS.items()}
        views |= {name: stored[name] for name in TRANSFORMS}
        transformed = {name: fitted.apply(_views(maps, cell)) for name, maps in views.items()}
    renumbered = _renumbered(context, cell, sample, places) if evaluated.has_maps else []
    return Features(fitted.apply(sample), transformed, renumbered)


def _views(maps: np.ndarray, cell: FeatureRun) -> np.ndarray:
    """The orientations that the features look at: (n, O, h, w), or latents (n, F)."""
    seen = maps if cell.features.orbit else maps[:, :1]
    return seen if cell.evaluated.has_maps else seen.mean(1, dtype=np.float32)


def _fit(
    cell: FeatureRun, sample: np.ndarray, codebook: np.ndarray | None, places: np.ndarray
) -> CodeFeatures | FeatureMap:
    if codebook is None:
        return fit_vectors(sample, places)
    return fit_code_features(cell.features.kind, sample, codebook, places)


def _renumbered(
    context: Context, cell: FeatureRun, sample: np.ndarray, places: np.ndarray
) -> list[np.ndarray]:
    """Features of the sample where the codes carry other numbers, fitted from the start."""
    features, codebook = [], cell.evaluated.codebook
    several = cell.evaluated.shipped and cell.features.kind == "index"
    for seed in range(context.grid.renumberings if several else 1):
        order = np.random.default_rng(seed + 1).permutation(len(codebook))
        maps, renamed = renumber(sample, codebook, order)
        features.append(_fit(cell, maps, renamed, places).apply(maps))
    return features


def cluster_cell(context: Context, cell: FeatureRun) -> StageResult:
    """Clusters of the sample by every clusterer of a cell, and of the test galaxies transformed.

    Arrays "<clusterer>" (M,), "<clusterer>/<transform>" (n,), "<clusterer>/renumbered" (R, M) and
    "<clusterer>/jaccard"; facts "stability" and "silhouette" by clusterer.
    """
    evaluated = cell.evaluated
    stage = f"{evaluated.name}.{evaluated.seed}.clusters.{cell.features.name.replace(', ', '-')}"
    inputs = {**evaluated.inputs, "clusterers": cell.clusterers, "resampled": cell.resampled}

    def cluster() -> StageResult:
        features = cell_features(context, cell)
        train = features.sample[context.places(context.fit_rows)]
        test = features.sample[context.places(context.rows("test"))]
        arrays: dict[str, np.ndarray] = {}
        facts: dict[str, Any] = {"stability": {}, "silhouette": {}}
        fitted: dict[str, Clusterer] = {}
        for name in cell.clusterers:
            fitted[name] = _fit_one(name, train, fitted)
            arrays[name] = fitted[name].predict(features.sample)
            for transform, values in features.transformed.items():
                arrays[f"{name}/{transform}"] = fitted[name].predict(values)
            labels = arrays[name][context.places(context.rows("test"))]
            facts["silhouette"][name] = silhouette(test, labels)
            if name in cell.resampled:
                stable = _stability(context, name, train, test, labels)
                facts["stability"][name] = stable[0]
                arrays[f"{name}/jaccard"] = stable[1]
        if features.renumbered and "kmeans" in cell.clusterers:
            name = "gmm" if cell.features.kind == "index" else "kmeans"
            fitted_to = context.places(context.fit_rows)
            k = min(CLUSTERS, len(fitted_to))
            again = [
                fit_clusterer(name, values[fitted_to], k).predict(values)
                for values in features.renumbered
            ]
            arrays[f"{name}/{RENUMBERED}"] = np.stack(again)
        return StageResult(arrays, facts)

    return context.stage(stage, inputs, cluster)


def _fit_one(name: str, train: np.ndarray, fitted: dict[str, Clusterer]) -> Clusterer:
    """Fit a clusterer; the consensus votes with those that are fitted already."""
    k = min(CLUSTERS, len(train))
    if name != "consensus" or not all(voter in fitted for voter in VOTERS):
        return fit_clusterer(name, train, k)
    voters = tuple(fitted[voter] for voter in VOTERS)
    reference = voters[0].predict(train)
    renamed = tuple(match_labels(voter.predict(train), reference, k) for voter in voters)
    return Consensus(voters, renamed, VOTES)


def _stability(
    context: Context, name: str, train: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    grid = context.grid
    resamples = grid.resamples if name == "kmeans" else grid.few_resamples
    resamples = grid.slow_resamples if name in SLOW else resamples
    k = min(CLUSTERS, len(train))
    found = bootstrap_stability(
        lambda x, seed: fit_clusterer(name, x, k, seed=seed),
        train,
        test,
        labels,
        resamples=resamples,
    )
    return {**found.ari, "resamples": resamples}, found.jaccard


STABLE = 0.5  # Jaccard overlap below which a cluster dissolves (Hennig 2007)
NOISE = ("noise", "other noise")


def cell_rows(judging: LabelScorer, cell: FeatureRun) -> list[EvaluationRow]:
    """All rows of a cell, one clusterer after the other."""
    context, evaluated = judging.context, cell.evaluated
    clustered = cluster_cell(context, cell)
    stage = f"{evaluated.name}.{evaluated.seed}.scores.{cell.features.name.replace(', ', '-')}"
    inputs = {**evaluated.inputs, "clusterers": cell.clusterers, "resampled": cell.resampled}

    def score() -> StageResult:
        rows: list[EvaluationRow] = []
        for name in cell.clusterers:
            subset = RowKey(cell.evaluated.name, cell.features.name, name, CLUSTERS)
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
            facts, n = clustered.facts, len(test)
            if name in facts["stability"]:
                ari, jaccard = facts["stability"][name], clustered.arrays[f"{name}/jaccard"]
                note = f"{ari['resamples']} resamples of the training galaxies"
                rows.append(make_row(subset, "stability", "bootstrap ARI", ari, n=n, note=note))
                rows += jaccard_rows(subset, jaccard, note)
            found = facts["silhouette"][name]
            rows.append(make_row(subset, "stability", "silhouette", found, n=n))
        return StageResult({"rows": np.array([len(rows)])}, {"rows": [asdict(row) for row in rows]})

    scored = context.stage(stage, inputs, score)
    return [EvaluationRow(**values) for values in scored.facts["rows"]]


def invariance_rows(
    context: Context, subset: RowKey, labels: np.ndarray, seen: dict[str, np.ndarray]
) -> list[EvaluationRow]:
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
    judging: LabelScorer, subset: RowKey, labels: np.ndarray, again: np.ndarray
) -> list[EvaluationRow]:
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


def jaccard_rows(subset: RowKey, jaccard: np.ndarray, note: str) -> list[EvaluationRow]:
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
    """All clusterings of a bundle that no label has steered, each with its model."""
    models = {evaluated.name: evaluated for evaluated in models_evaluated if evaluated.shipped}
    files = bundle.manifest.files
    found = []
    for key, clustering in bundle.clusterings.items():
        entry = bundle.manifest.clusterings[key]
        if entry.steering is not None:  # measured when it was made, on what it had not seen
            continue
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
