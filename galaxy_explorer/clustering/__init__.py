"""Features of galaxies, clusters of them, and what the clusters are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.clustering.clusterers import (
        CLUSTERERS,
        Clusterer,
        fit_clusterer,
        fit_kmeans,
        match_labels,
    )
    from galaxy_explorer.clustering.codebook_use import (
        CodeUse,
        code_order,
        code_use,
        similarity_order,
    )
    from galaxy_explorer.clustering.embedding import fit_map, kth_distance, nearest, place_on_map
    from galaxy_explorer.clustering.features import (
        FEATURE_KINDS,
        CodeFeatures,
        FeatureMap,
        fit_code_features,
        fit_pca,
        fit_vectors,
        index_features,
        serve_features,
    )
    from galaxy_explorer.clustering.merger_tree import MergerTree, grow_tree
    from galaxy_explorer.clustering.mixture import Mixture, effective_number, fit_mixture
    from galaxy_explorer.clustering.number_of_clusters import KChoice, choose_k
    from galaxy_explorer.clustering.stability import (
        bootstrap_stability,
        invariance,
        renumber,
        silhouette,
    )
    from galaxy_explorer.clustering.summary import (
        ClusterSummary,
        cluster_summaries,
        group_summaries,
        ordered,
        representative,
    )
    from galaxy_explorer.clustering.validation import accuracy, dependence, two_class

__all__ = [
    "CLUSTERERS",
    "FEATURE_KINDS",
    "ClusterSummary",
    "Clusterer",
    "CodeFeatures",
    "CodeUse",
    "FeatureMap",
    "KChoice",
    "MergerTree",
    "Mixture",
    "accuracy",
    "bootstrap_stability",
    "choose_k",
    "cluster_summaries",
    "code_order",
    "code_use",
    "dependence",
    "effective_number",
    "fit_clusterer",
    "fit_code_features",
    "fit_kmeans",
    "fit_map",
    "fit_mixture",
    "fit_pca",
    "fit_vectors",
    "group_summaries",
    "grow_tree",
    "index_features",
    "invariance",
    "kth_distance",
    "match_labels",
    "nearest",
    "ordered",
    "place_on_map",
    "renumber",
    "representative",
    "serve_features",
    "silhouette",
    "similarity_order",
    "two_class",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "clusterers": (
            "CLUSTERERS",
            "Clusterer",
            "fit_clusterer",
            "fit_kmeans",
            "match_labels",
        ),
        "codebook_use": (
            "CodeUse",
            "code_order",
            "code_use",
            "similarity_order",
        ),
        "embedding": (
            "fit_map",
            "kth_distance",
            "nearest",
            "place_on_map",
        ),
        "features": (
            "CodeFeatures",
            "FEATURE_KINDS",
            "FeatureMap",
            "fit_code_features",
            "fit_pca",
            "fit_vectors",
            "index_features",
            "serve_features",
        ),
        "merger_tree": (
            "MergerTree",
            "grow_tree",
        ),
        "mixture": (
            "Mixture",
            "effective_number",
            "fit_mixture",
        ),
        "number_of_clusters": (
            "KChoice",
            "choose_k",
        ),
        "stability": (
            "bootstrap_stability",
            "invariance",
            "renumber",
            "silhouette",
        ),
        "summary": (
            "ClusterSummary",
            "cluster_summaries",
            "group_summaries",
            "ordered",
            "representative",
        ),
        "validation": (
            "accuracy",
            "dependence",
            "two_class",
        ),
    },
)
