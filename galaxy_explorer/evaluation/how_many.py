"""How many clusters? Curves over k of real galaxies, and Ward's tree that can be cut anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from galaxy_explorer.bundle_evaluation import MergerTree, NumberOfClusters
from galaxy_explorer.clustering.choose_k import RULE, KChoice, choose_k
from galaxy_explorer.clustering.merger_tree import grow_tree
from galaxy_explorer.clustering.stability import silhouette
from galaxy_explorer.evaluation.context import CLUSTERS, Context
from galaxy_explorer.evaluation.shipped import Shipped
from galaxy_explorer.pipeline.cache import StageResult

K_MAX = 20
TREE_ROWS = 3000  # galaxies that Ward's tree is grown from


def number_of_clusters(context: Context, shipped: Shipped) -> NumberOfClusters:
    """Criteria for 2..20 clusters of a shipped clustering's features."""
    stage = f"{shipped.stage}.number"
    facts = context.stage(stage, shipped.inputs, lambda: _choose(context, shipped)).facts
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


def _choose(context: Context, shipped: Shipped) -> StageResult:
    features = shipped.clustering.feature_values[context.fit_rows]
    k_max = min(K_MAX, len(features) // 8)
    choice = choose_k(features, k_max=k_max)
    facts = {
        "k": list(choice.ks),
        "curves": {name: _plain(values) for name, values in _curves(choice, features).items()},
        "recommended": choice.recommended,
        "structure": choice.structure,
    }
    return StageResult({"k": np.array(choice.ks)}, facts)


def _curves(choice: KChoice, features: np.ndarray) -> dict[str, Iterable[float]]:
    from galaxy_explorer.clustering.clusterers import fit_kmeans

    parted = [fit_kmeans(features, k).predict(features) for k in choice.ks]
    return {
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


def _plain(values: Iterable[float]) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def merger_tree(context: Context, shipped: Shipped) -> MergerTree:
    """Ward's tree of a shipped clustering's features, trimmed to 64 leaves.

    Grown from at most 3,000 training galaxies; every galaxy of the catalogue goes to the leaf with
    the nearest mean.
    """
    stage = f"{shipped.stage}.tree"
    arrays = context.stage(stage, shipped.inputs, lambda: _grow(context, shipped)).arrays
    ttype = arrays["ttype_mean"]
    return MergerTree(
        model=shipped.clustering.model,
        features=shipped.clustering.features,
        leaf=tuple(arrays["leaf"].tolist()),
        left=tuple(arrays["merges"][:, 0].tolist()),
        right=tuple(arrays["merges"][:, 1].tolist()),
        height=tuple(arrays["heights"].tolist()),
        count=tuple(arrays["count"].tolist()),
        ttype_mean=tuple(_plain(ttype)),
    )


def _grow(context: Context, shipped: Shipped) -> StageResult:
    from galaxy_explorer.clustering.centres import centres_of

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
    arrays = {"leaf": leaf, "count": count.astype(np.int64), "ttype_mean": mean, **tree.arrays()}
    return StageResult(arrays, {})
