"""Stages of one clustering: mixture, map, scores and summaries of the clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galaxy_explorer.clustering.clusterers import fit_kmeans
from galaxy_explorer.clustering.embedding import fit_map
from galaxy_explorer.clustering.features import fit_vectors, ring_vectors
from galaxy_explorer.clustering.mixture import Mixture, effective_number, fit_mixture
from galaxy_explorer.clustering.summary import cluster_summaries
from galaxy_explorer.clustering.validation import agreement
from galaxy_explorer.pipeline.autoencoders import Autoencoders, Products
from galaxy_explorer.utils.files import StageResult

FIT_ROWS = 30_000


@dataclass(frozen=True)
class MixtureSettings:
    """Choices of a clustering; made on the validation split, never on the test split.

    clusterer: "gmm", the report's Bayesian mixture with these covariances, or "kmeans", whose
    centres are served as round Gaussians of equal width.
    """

    clusterer: str = "gmm"
    n_components: int = 64
    covariance_type: str = "full"
    reg_covar: float = 3e-3
    weight_concentration: float | None = None


MIXTURES = {
    "index": MixtureSettings(reg_covar=1e-3),
    "codes": MixtureSettings(),
    "latents": MixtureSettings(),
    # By benchmarks/choose_clustering.py: of the candidates that repeat themselves and are about
    # the galaxy, the one that holds the most of T on the validation galaxies.
    "rings": MixtureSettings(clusterer="kmeans", n_components=8),
}
RING_COMPONENTS = 8  # likewise


@dataclass(frozen=True)
class ClusteringProducts:
    """Everything the bundle keeps of one clustering."""

    arrays: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    entry: dict[str, Any]


def cluster(stages: Autoencoders, products: Products, kind: str) -> ClusteringProducts:
    """Run or resume the stages of the clustering of one model by one kind of features."""
    key = f"{products.config.name}/{kind}"
    if kind == "rings":
        features, extra = ring_features(stages, products)
    else:
        features, extra = stages.features(products, kind)
    seed, settings = stages.plan.seed, MIXTURES[kind]
    inputs = {
        "weights": products.training["sha256"],
        "pixels": stages.plan.pixels,
        "mixture": asdict(settings),
        "fit_rows": FIT_ROWS,
        "seed": seed,
    }

    def fit() -> StageResult:
        rows = np.random.default_rng(seed).permutation(stages.rows("train"))[:FIT_ROWS]
        chosen = features[np.sort(rows)]
        fitted = fit_served(asdict(settings), chosen, settings.n_components, seed)
        return StageResult(fitted.arrays(), {})

    mixture = Mixture.from_arrays(stages.cache.get(f"{key}.mixture", inputs, fit).arrays)

    def assign() -> StageResult:
        shares = mixture.responsibilities(features)
        labels, sure = shares.argmax(1).astype(np.int16), shares.max(1).astype(np.float32)
        return StageResult({"labels": labels, "responsibility": sure}, {})

    joined = stages.cache.get(f"{key}.members", inputs, assign)
    placed = stages.cache.get(
        f"{key}.map", inputs, lambda: StageResult({"map": fit_map(features, seed)}, {})
    )
    labels, places = joined.arrays["labels"], placed.arrays["map"]
    scored = stages.cache.get(
        f"{key}.scores",
        {**inputs, "catalog": stages.plan.catalog},
        lambda: _score(stages, mixture, features, labels),
    )
    columns = {
        f"{key}/cluster": labels,
        f"{key}/responsibility": joined.arrays["responsibility"],
        f"{key}/x": np.ascontiguousarray(places[:, 0]),
        f"{key}/y": np.ascontiguousarray(places[:, 1]),
    }
    entry = {"n_components": mixture.n_components, "mixture": asdict(settings), **scored.facts}
    return ClusteringProducts({**mixture.arrays(), **extra}, columns, entry)


def ring_features(
    stages: Autoencoders, products: Products
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Code vectors pooled over rings in eight orientations, as principal components.

    Half precision, in the bundle too: clusters see what is stored.
    """
    inputs = {
        "weights": products.training["sha256"],
        "pixels": stages.plan.pixels,
        "components": RING_COMPONENTS,
        "orientations": 8,
        "seed": stages.plan.seed,
    }
    stage = f"{products.config.name}.rings"

    def pool() -> StageResult:
        from galaxy_explorer.models.inference import encode_orbit, load_weights

        model = load_weights(products.config, products.weights)
        codebook = model.codebooks[0].numpy()
        blocks = [
            ring_vectors(encode_orbit(model, stamps), codebook)
            for _, stamps in stages.blocks(f"Rings of {products.config.name}")
        ]
        vectors = np.concatenate(blocks)
        train, seed = stages.rows("train"), stages.plan.seed
        fitted = fit_vectors(vectors, train, n=RING_COMPONENTS, seed=seed, standardise=False)
        features = fitted.apply(vectors).astype(np.float16)
        return StageResult({**fitted.arrays(), "features": features}, {})

    arrays = dict(stages.cache.get(stage, inputs, pool).arrays)
    return arrays["features"].astype(np.float64), arrays


def fit_served(settings: Mapping[str, Any], features: np.ndarray, k: int, seed: int) -> Mixture:
    """Fit a clustering as the bundle serves it. settings: the fields of MixtureSettings."""
    if settings.get("clusterer") == "kmeans":
        return fit_kmeans(features, k, seed=seed).mixture()
    return fit_mixture(
        features,
        n_components=k,
        seed=seed,
        covariance_type=settings["covariance_type"],
        reg_covar=settings["reg_covar"],
        weight_concentration=settings["weight_concentration"],
    )


def _score(
    stages: Autoencoders, mixture: Mixture, features: np.ndarray, labels: np.ndarray
) -> StageResult:
    survey, seed = stages.plan.survey, stages.plan.seed
    ttype, classes = survey.column("ttype"), survey.column("ttype_class")
    test = stages.rows("test")
    clusters = cluster_summaries(mixture, features, labels, ttype, classes)
    facts = {
        "effective_clusters": effective_number(labels, mixture.n_components),
        "agreement": _json(agreement(labels[test], ttype[test], classes[test], seed=seed)),
        "agreement_all": _json(agreement(labels, ttype, classes, seed=seed)),
        "n_ttype": {
            "test": int((~np.isnan(ttype[test])).sum()),
            "all": int((~np.isnan(ttype)).sum()),
        },
        "clusters": [summary.to_dict() for summary in clusters],
    }
    return StageResult({"counts": np.bincount(labels, minlength=mixture.n_components)}, facts)


def _json(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Scores with null where there is no number."""
    return {
        name: {field: None if np.isnan(v) else v for field, v in values.items()}
        for name, values in scores.items()
    }
