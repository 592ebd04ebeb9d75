"""Stages of one clustering: mixture, map, scores and summaries of the clusters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galaxy_explorer.clustering.embedding import fit_map
from galaxy_explorer.clustering.mixture import Mixture, effective_number, fit_mixture
from galaxy_explorer.clustering.summary import cluster_summaries
from galaxy_explorer.clustering.validation import agreement
from galaxy_explorer.pipeline.autoencoders import Autoencoders, Products
from galaxy_explorer.pipeline.cache import StageResult

FIT_ROWS = 30_000


@dataclass(frozen=True)
class MixtureSettings:
    """Choices of a mixture; made on the validation split, never on the test split."""

    covariance_type: str
    reg_covar: float
    weight_concentration: float | None
    n_components: int = 64


MIXTURES = {
    "index": MixtureSettings("full", 1e-3, None),
    "codes": MixtureSettings("full", 3e-3, None),
    "latents": MixtureSettings("full", 3e-3, None),
}


@dataclass(frozen=True)
class ClusteringProducts:
    """Everything the bundle keeps of one clustering."""

    arrays: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    entry: dict[str, Any]


def cluster(stages: Autoencoders, products: Products, kind: str) -> ClusteringProducts:
    """Run or resume the stages of the clustering of one model by one kind of features."""
    key = f"{products.config.name}/{kind}"
    features, extra = stages.features(products, kind)
    seed, settings = stages.plan.seed, MIXTURES[kind]
    inputs = {
        "weights": products.training["sha256"],
        "pixels": stages.plan.pixels,
        "mixture": asdict(settings),
        "fit_rows": FIT_ROWS,
        "seed": seed,
    }
    rows = stages.rows("train")
    fitted = stages.cache.get(
        f"{key}.mixture", inputs, lambda: _fit(features, rows, settings, seed)
    )
    mixture = Mixture.from_arrays(fitted.arrays)
    joined = stages.cache.get(f"{key}.members", inputs, lambda: _assign(features, mixture))
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


def _fit(
    features: np.ndarray, train: np.ndarray, settings: MixtureSettings, seed: int
) -> StageResult:
    chosen = np.sort(np.random.default_rng(seed).permutation(train)[:FIT_ROWS])
    mixture = fit_mixture(
        features[chosen],
        n_components=settings.n_components,
        seed=seed,
        covariance_type=settings.covariance_type,
        reg_covar=settings.reg_covar,
        weight_concentration=settings.weight_concentration,
    )
    return StageResult(mixture.arrays(), {})


def _assign(features: np.ndarray, mixture: Mixture) -> StageResult:
    shares = mixture.responsibilities(features)
    return StageResult(
        {
            "labels": shares.argmax(1).astype(np.int16),
            "responsibility": shares.max(1).astype(np.float32),
        },
        {},
    )


def _score(
    stages: Autoencoders, mixture: Mixture, features: np.ndarray, labels: np.ndarray
) -> StageResult:
    survey, seed = stages.plan.survey, stages.plan.seed
    ttype, classes = survey.column("ttype"), survey.column("ttype_class")
    test = stages.rows("test")
    clusters = cluster_summaries(mixture, features, labels, ttype, classes, seed=seed)
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
