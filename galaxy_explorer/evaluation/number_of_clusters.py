"""How many clusters? Curves over k of real galaxies, and Ward's tree that can be cut anywhere.

And whether the choice of k finds the number of classes where it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from galaxy_explorer.bundle.evaluation import EvaluationRow, NumberOfClusters, StoredMergerTree
from galaxy_explorer.clustering.features import fit_code_features
from galaxy_explorer.clustering.merger_tree import grow_tree
from galaxy_explorer.clustering.number_of_clusters import RULE, choose_k
from galaxy_explorer.clustering.stability import silhouette
from galaxy_explorer.evaluation.context import CLUSTERS, Context, EvaluatedModel
from galaxy_explorer.evaluation.encoding import encode_fast
from galaxy_explorer.evaluation.feature_runs import Shipped
from galaxy_explorer.evaluation.rows import RowKey, make_row
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.simulation.survey import simulate_classes
from galaxy_explorer.utils.files import StageResult
from galaxy_explorer.utils.resampling import share_interval

K_MAX = 20
TREE_ROWS = 3000  # galaxies that Ward's tree is grown from


def number_of_clusters(context: Context, shipped: Shipped) -> NumberOfClusters:
    """Criteria for 2..20 clusters of a shipped clustering's features."""
    stage = f"{shipped.stage}.number"

    def choose() -> StageResult:
        from galaxy_explorer.clustering.clusterers import fit_kmeans

        features = shipped.clustering.feature_values[context.fit_rows]
        k_max = min(K_MAX, len(features) // 8)
        choice = choose_k(features, k_max=k_max)
        parted = [fit_kmeans(features, k).predict(features) for k in choice.ks]
        curves: dict[str, Iterable[float]] = {
            "stability": [score["value"] for score in choice.stability],
            "stability, low": [score["low"] for score in choice.stability],
            "stability, high": [score["high"] for score in choice.stability],
            "within-cluster instability": choice.instability,
            "BIC per galaxy": choice.bic,
            "gap": choice.gap,
            "gap, error": choice.gap_error,
            "gap against a Gaussian": choice.gap_gaussian,
            "silhouette": [silhouette(features, labels)["value"] for labels in parted],
        }
        facts = {
            "k": list(choice.ks),
            "curves": {name: _plain(values) for name, values in curves.items()},
            "recommended": choice.recommended,
            "structure": choice.structure,
        }
        return StageResult({"k": np.array(choice.ks)}, facts)

    facts = context.stage(stage, shipped.inputs, choose).facts
    return NumberOfClusters(
        model=shipped.clustering.model,
        features=shipped.clustering.features,
        clusterer="kmeans",
        k=tuple(facts["k"]),
        curves={name: tuple(values) for name, values in facts["curves"].items()},
        recommended=facts["recommended"],
        verdict=facts["structure"],
        rule=RULE,
    )


def _plain(values: Iterable[float]) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def merger_tree(context: Context, shipped: Shipped) -> StoredMergerTree:
    """Ward's tree of a shipped clustering's features, trimmed to 64 leaves.

    Grown from at most 3,000 training galaxies; every galaxy of the catalogue goes to the leaf with
    the nearest mean.
    """
    stage = f"{shipped.stage}.tree"

    def grow() -> StageResult:
        from galaxy_explorer.clustering.clusterers import centres_of

        values = np.asarray(shipped.clustering.feature_values, dtype=np.float64)
        rows = np.random.default_rng(0).permutation(context.fit_rows)[:TREE_ROWS]
        whole = grow_tree(values[rows])
        leaves = min(CLUSTERS, len(rows))
        tree = whole.trim(leaves)
        leaf = centres_of(values[rows], whole.cut(leaves)).predict(values)
        known = np.isfinite(context.ttype)
        count = tree.add_up(np.bincount(leaf, minlength=leaves))
        typed = tree.add_up(np.bincount(leaf[known], minlength=leaves))
        total = tree.add_up(np.bincount(leaf[known], context.ttype[known], minlength=leaves))
        mean = np.divide(total, typed, out=np.full(len(typed), np.nan), where=typed > 0)
        arrays = {
            "leaf": leaf,
            "count": count.astype(np.int64),
            "ttype_mean": mean,
            **tree.arrays(),
        }
        return StageResult(arrays, {})

    arrays = context.stage(stage, shipped.inputs, grow).arrays
    ttype = arrays["ttype_mean"]
    return StoredMergerTree(
        model=shipped.clustering.model,
        features=shipped.clustering.features,
        leaf=tuple(arrays["leaf"].tolist()),
        left=tuple(arrays["merges"][:, 0].tolist()),
        right=tuple(arrays["merges"][:, 1].tolist()),
        height=tuple(arrays["heights"].tolist()),
        count=tuple(arrays["count"].tolist()),
        ttype_mean=tuple(_plain(ttype)),
    )


TOLERANCE = 1


def simulated_rows(context: Context, evaluated: EvaluatedModel) -> list[EvaluationRow]:
    """Share of simulated surveys whose number of classes is found within 1, and of continuous
    ones of which "a continuum" is said.

    Simulated galaxies have no colour: a model of several bands sees the same light in each.
    """
    subset = RowKey(evaluated.name, "rings", "kmeans")
    rows, hits, runs = [], 0, 0
    for classes in (*context.grid.true_classes, 0):
        found = [_trial(context, evaluated, classes, trial) for trial in range(context.grid.trials)]
        right = [is_right(classes, structure, k) for structure, k in found]
        if classes:
            hits, runs = hits + sum(right), runs + len(right)
        said = ", ".join("a continuum" if s == "continuum" else str(k) for s, k in found)
        name = f"simulated, {classes} classes" if classes else "simulated, a continuum"
        rows.append(_share_row(subset, name, sum(right), len(right), f"found: {said}"))
    note = f"{', '.join(map(str, context.grid.true_classes))} true classes"
    return [_share_row(subset, "true classes found within 1", hits, runs, note), *rows]


def is_right(classes: int, structure: str, k: int) -> bool:
    """Whether a choice fits what is true: k within 1, or "continuum" for 0 classes."""
    if classes == 0:
        return structure == "continuum"
    return structure == "clusters" and abs(k - classes) <= TOLERANCE


def _share_row(subset: RowKey, name: str, hits: int, runs: int, note: str) -> EvaluationRow:
    low, high = share_interval(hits, runs)
    score = {"value": hits / runs, "low": float(low), "high": float(high)}
    return make_row(subset, "number of clusters", name, score, n=runs, split="simulated", note=note)


def _trial(
    context: Context, evaluated: EvaluatedModel, classes: int, trial: int
) -> tuple[str, int]:
    stage = f"simulated.{classes}.{trial}"
    inputs = {**evaluated.inputs, "galaxies": context.grid.simulated}

    def choose() -> StageResult:
        """Simulate a survey, encode it with the model, choose k on its ring features."""
        made = simulate_classes(classes, context.grid.simulated, seed=trial)
        stored = context.bundle.manifest.survey.stretch
        stretch = ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
        grey = stretch.apply(made.stamps, made.sky, made.sky_sigma).astype(np.float32)
        maps = encode_fast(evaluated.load(), np.repeat(grey, evaluated.config.channels, axis=1))
        fitted = fit_code_features("rings", maps, evaluated.codebook, np.arange(len(maps)))
        choice = choose_k(fitted.apply(maps), k_max=K_MAX, seed=trial)
        facts = {"structure": choice.structure, "k": choice.recommended}
        return StageResult({"label": made.label}, facts)

    facts = context.stage(stage, inputs, choose).facts
    return str(facts["structure"]), int(facts["k"])
