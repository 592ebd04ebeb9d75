"""Stages of one clustering: mixture, map, scores and summaries of the clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.clusterings import SAME_SURVEY, VIEWS
from galaxy_explorer.clustering.clusterers import fit_kmeans
from galaxy_explorer.clustering.embedding import LANDMARKS, fit_map, landmarks, place_rest
from galaxy_explorer.clustering.features import (
    FeatureMap,
    fit_aligned,
    fit_vectors,
    moved_share,
    ring_vectors,
)
from galaxy_explorer.clustering.mixture import Mixture, effective_number, fit_mixture
from galaxy_explorer.clustering.summary import cluster_summaries
from galaxy_explorer.clustering.validation import agreement
from galaxy_explorer.pipeline.autoencoders import Autoencoders, Products
from galaxy_explorer.survey.preprocessing import seen_again
from galaxy_explorer.survey.repeats import shared_galaxies
from galaxy_explorer.survey.store import CATALOG, Survey
from galaxy_explorer.utils.files import StageResult, sha256_of
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.resampling import bootstrap

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder

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
    "aligned": MixtureSettings(clusterer="kmeans", n_components=8),
}
RING_COMPONENTS = 8  # likewise
ALIGNED_COMPONENTS = 8
LOOKED_AT = 1000  # training galaxies
LOOKS = 3  # at each of them, beside its own picture
LOOKED_AT_ONCE = 256


@dataclass(frozen=True)
class ClusteringProducts:
    """Everything the bundle keeps of one clustering."""

    arrays: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    entry: dict[str, Any]


def cluster(stages: Autoencoders, products: Products, kind: str) -> ClusteringProducts:
    """Run or resume the stages of the clustering of one model by one kind of features."""
    key = f"{products.config.name}/{kind}"
    features, extra = features_of(stages, products, kind)
    seed, settings, inputs = stages.plan.seed, MIXTURES[kind], _inputs(stages, products, kind)
    mixture = served(stages, products, kind, features)

    def assign() -> StageResult:
        shares = mixture.responsibilities(features)
        labels, sure = shares.argmax(1).astype(np.int16), shares.max(1).astype(np.float32)
        return StageResult({"labels": labels, "responsibility": sure}, {})

    joined = stages.cache.get(f"{key}.members", inputs, assign)
    placed = stages.cache.get(
        f"{key}.map",
        inputs | drawn_by(len(features), LANDMARKS),
        lambda: draw_map(features, seed, LANDMARKS),
    )
    labels, places = joined.arrays["labels"], placed.arrays["map"]
    scored = stages.cache.get(
        f"{key}.scores",
        {**inputs, "catalog": stages.plan.catalog},
        lambda: _scored(stages, mixture, features, labels),
    )
    columns = {
        f"{key}/cluster": labels,
        f"{key}/responsibility": joined.arrays["responsibility"],
        f"{key}/x": np.ascontiguousarray(places[:, 0]),
        f"{key}/y": np.ascontiguousarray(places[:, 1]),
    }
    entry = {"n_components": mixture.n_components, "mixture": asdict(settings), **scored.facts}
    entry |= {name: value for name, value in placed.facts.items() if name == "placing"}
    if kind == "aligned":
        entry["alignment"] = kept_together(stages, products)
    return ClusteringProducts({**mixture.arrays(), **extra}, columns, entry)


def drawn_by(count: int, most: int) -> dict[str, Any]:
    """What a map of so many galaxies depends on besides: nothing where UMAP draws them all."""
    return {"landmarks": most} if count > most else {}


def draw_map(features: np.ndarray, seed: int, most: int) -> StageResult:
    """The map (N, 2) of features (N, P): by UMAP, of more than `most` the rest placed among them.

    Then the facts say under "placing" how many are landmarks and by how much the placed ones miss.
    """
    rows = landmarks(len(features), most, seed)
    places = fit_map(features[rows], seed)
    if len(rows) == len(features):
        return StageResult({"map": places}, {})
    with progress(len(features) - len(rows), "Placing on the map") as advance:
        made = place_rest(features, rows, places, seed=seed, advance=advance)
    placing = {"landmarks": len(rows), "held": made.held, "error": made.error}
    return StageResult({"map": made.coordinates}, {"placing": placing})


def features_of(
    stages: Autoencoders, products: Products, kind: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features (N, P) of a kind, and the arrays by which the bundle makes them again."""
    if kind == "rings":
        arrays = dict(_rings(stages, products).arrays)
    elif kind == "aligned":
        result = alignment(stages, products).arrays
        arrays = {name: result[name] for name in ("pca_mean", "pca_components", "features")}
    else:
        return stages.features(products, kind)
    return arrays["features"].astype(np.float64), arrays


def served(stages: Autoencoders, products: Products, kind: str, features: np.ndarray) -> Mixture:
    """The mixture of one clustering, fitted on training galaxies."""

    def fit() -> StageResult:
        rows = np.random.default_rng(stages.plan.seed).permutation(stages.rows("train"))[:FIT_ROWS]
        settings = MIXTURES[kind]
        chosen = features[np.sort(rows)]
        fitted = fit_served(asdict(settings), chosen, settings.n_components, stages.plan.seed)
        return StageResult(fitted.arrays(), {})

    stage = f"{products.config.name}/{kind}.mixture"
    return Mixture.from_arrays(stages.cache.get(stage, _inputs(stages, products, kind), fit).arrays)


def _inputs(stages: Autoencoders, products: Products, kind: str) -> dict[str, Any]:
    """What a clustering depends on."""
    inputs = {
        "weights": products.training["sha256"],
        "survey": stages.plan.survey.training_key,
        "mixture": asdict(MIXTURES[kind]),
        "fit_rows": FIT_ROWS,
        "seed": stages.plan.seed,
    }
    return inputs | (_alignment_inputs(stages) if kind == "aligned" else {})


def ring_vectors_of(stages: Autoencoders, products: Products) -> np.ndarray:
    """Code vectors pooled over rings in eight orientations (N, F) float32, before any components.

    A model's rings and its aligned features begin with them.
    """
    inputs = {
        "weights": products.training["sha256"],
        "survey": stages.plan.survey.training_key,
        "orientations": 8,
    }

    def pool() -> StageResult:
        from galaxy_explorer.models.inference import load_weights

        model = load_weights(products.config, products.weights)
        blocks = [
            _pooled(model, stamps)
            for _, stamps in stages.blocks(f"Rings of {products.config.name}")
        ]
        return StageResult({"vectors": np.concatenate(blocks)}, {})

    return stages.cache.get(f"{products.config.name}.pooled", inputs, pool).arrays["vectors"]


def _pooled(model: Autoencoder, stamps: np.ndarray) -> np.ndarray:
    from galaxy_explorer.models.inference import encode_orbit

    return ring_vectors(encode_orbit(model, stamps), model.codebooks[0].numpy())


def _rings(stages: Autoencoders, products: Products) -> StageResult:
    """Code vectors pooled over rings in eight orientations, as principal components.

    Half precision, in the bundle too: clusters see what is stored.
    """
    inputs = {
        "weights": products.training["sha256"],
        "survey": stages.plan.survey.training_key,
        "components": RING_COMPONENTS,
        "orientations": 8,
        "seed": stages.plan.seed,
    }

    def reduce() -> StageResult:
        vectors, train = ring_vectors_of(stages, products), stages.rows("train")
        seed = stages.plan.seed
        fitted = fit_vectors(vectors, train, n=RING_COMPONENTS, seed=seed, standardise=False)
        features = fitted.apply(vectors).astype(np.float16)
        return StageResult({**fitted.arrays(), "features": features}, {})

    return stages.cache.get(f"{products.config.name}.rings", inputs, reduce)


def _alignment_inputs(stages: Autoencoders) -> dict[str, Any]:
    others = [other.meta["fingerprint"] for other in stages.plan.aligned_with]
    return {
        "components": ALIGNED_COMPONENTS,
        "looks": [LOOKED_AT, LOOKS],
        "aligned_with": others,
        "catalogs": [sha256_of(s.path / CATALOG) for s in stages.plan.aligned_with],
        "catalog": stages.plan.catalog,
    }


def alignment(stages: Autoencoders, products: Products) -> StageResult:
    """Features in which one galaxy seen twice stays where it is (`fit_aligned`).

    Second looks: of training galaxies, artificial ones (`seen_again`); galaxies that the survey
    has twice (`same_as`); and those that it shares with the surveys of `--aligned-with`. Galaxies
    outside the training split are looked at twice only to measure: their second looks come back as
    `again.<number>.rows` and `.vectors`, and facts say how many were used and held.
    """
    inputs = {
        "weights": products.training["sha256"],
        "survey": stages.plan.survey.training_key,
        "seed": stages.plan.seed,
        **_alignment_inputs(stages),
    }

    def align() -> StageResult:
        vectors = ring_vectors_of(stages, products)
        train, kept = stages.rows("train"), dict[str, np.ndarray]()
        moves, facts = [], []
        for number, (name, words, rows, seen) in enumerate(_second_looks(stages, products)):
            fit = stages.splits[rows] == "train"
            moves.append(vectors[rows[fit]] - seen[fit])
            kept |= {f"again.{number}.rows": rows[~fit], f"again.{number}.vectors": seen[~fit]}
            facts.append({"name": name, "found": words, "used": int(fit.sum())})
        fitted = fit_aligned(vectors[train], moves, ALIGNED_COMPONENTS, seed=stages.plan.seed)
        features = fitted.apply(vectors).astype(np.float16)
        return StageResult({**fitted.arrays(), "features": features, **kept}, {"looks": facts})

    return stages.cache.get(f"{products.config.name}.aligned", inputs, align)


def _second_looks(
    stages: Autoencoders, products: Products
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Name of the kind of look, how the galaxies were found, their rows and ring vectors (M, F)."""
    from galaxy_explorer.models.inference import load_weights

    model = load_weights(products.config, products.weights)
    survey, seed = stages.plan.survey, stages.plan.seed
    rng = np.random.default_rng(seed)
    parts = (rng.permutation(stages.rows(split)) for split in ("train", "validation"))
    rows = np.concatenate([next(parts)[:LOOKED_AT], next(parts)[: LOOKED_AT // LOOKS]])
    rows = np.repeat(np.sort(rows), LOOKS)
    yield (
        VIEWS,
        f"{LOOKS} artificial looks at each",
        rows,
        _encoded_again(model, survey, rows, seed),
    )
    twice = shared_galaxies(survey, survey)
    if len(twice.rows):
        one, two = twice.rows.T
        yield SAME_SURVEY, twice.words, one, ring_vectors_of(stages, products)[two]
    for other in stages.plan.aligned_with:
        shared = shared_galaxies(survey, other)
        one, two = shared.rows.T
        yield str(other.meta["name"]), shared.words, one, _encoded_again(model, other, two, None)


def _encoded_again(
    model: Autoencoder, survey: Survey, rows: np.ndarray, seed: int | None
) -> np.ndarray:
    """Ring vectors of stamps, with a seed of artificial looks at them."""
    blocks = []
    with progress(len(rows), "Second looks") as advance:
        for start in range(0, len(rows), LOOKED_AT_ONCE):
            part = rows[start : start + LOOKED_AT_ONCE]
            stamps = survey.model_input(part)
            if seed is not None:
                stamps = seen_again(stamps, seed + start)
            blocks.append(_pooled(model, stamps))
            advance(len(part))
    return np.concatenate(blocks)


def kept_together(stages: Autoencoders, products: Products) -> dict[str, Any]:
    """What the alignment is worth, measured on second looks that it did not see.

    For each kind of look: pairs used and held; `moved`, how far a galaxy moves of how far two
    galaxies lie apart (`moved_share`); `same_cluster`, the share of galaxies that stay in their
    cluster, with a 95 % interval over galaxies; each for the ring features (`before`) and for the
    aligned ones, and `chance`, the share for pairs of different galaxies.
    """
    kinds = {"before": "rings", "after": "aligned"}
    inputs: dict[str, Any] = {kind: _inputs(stages, products, kind) for kind in kinds.values()}
    inputs["chance"] = "of different galaxies"  # once counted galaxies against themselves, too

    def measure() -> StageResult:
        result, vectors = alignment(stages, products), ring_vectors_of(stages, products)
        looks = [dict(facts) for facts in result.facts["looks"]]
        seen = [
            (result.arrays[f"again.{i}.rows"], result.arrays[f"again.{i}.vectors"])
            for i in range(len(looks))
        ]
        for when, kind in kinds.items():
            features, arrays = features_of(stages, products, kind)
            fitted = FeatureMap.from_arrays(arrays)
            mixture = served(stages, products, kind, features)
            for found, (rows, again) in zip(looks, seen, strict=True):
                found["held"] = len(rows)
                galaxies, galaxy = np.unique(rows, return_inverse=True)  # looked at several times
                if len(galaxies) < 2:
                    continue  # there is nobody to be compared with
                one = mixture.responsibilities(features[rows]).argmax(1)
                two = mixture.responsibilities(fitted.apply(again)).argmax(1)
                same = np.bincount(galaxy, one == two) / np.bincount(galaxy)
                share = bootstrap(lambda drawn, same=same: float(same[drawn].mean()), len(same))
                found[when] = {
                    "moved": moved_share(fitted, vectors, vectors[rows] - again),
                    "same_cluster": float(same.mean()),
                    "same_cluster_low": share.low,
                    "same_cluster_high": share.high,
                    "chance": chance_of_sharing(one, two, galaxy),
                }
        return StageResult({"held": np.array([look["held"] for look in looks])}, {"looks": looks})

    stage = f"{products.config.name}/aligned.kept"
    return dict(stages.cache.get(stage, inputs, measure).facts)


def chance_of_sharing(one: np.ndarray, two: np.ndarray, galaxy: np.ndarray) -> float:
    """Share of the pairs of different galaxies of which one is in the cluster of the other.

    one, two (M,): clusters of galaxies, the same for each look at one, and of the looks at them.
    galaxy (M,): their numbers from 0, at least two of them. By counts: of M x M pairs there are too
    many to hold.
    """
    looks = np.bincount(galaxy)
    clusters = int(max(one.max(), two.max())) + 1
    shared = np.bincount(one, minlength=clusters) @ np.bincount(two, minlength=clusters)
    own = looks[galaxy] @ (one == two)
    return float((shared - own) / (len(galaxy) ** 2 - looks @ looks))


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


def _scored(
    stages: Autoencoders, mixture: Mixture, features: np.ndarray, labels: np.ndarray
) -> StageResult:
    survey = stages.plan.survey
    ttype, classes = survey.column("ttype"), survey.column("ttype_class")
    test, seed = stages.rows("test"), stages.plan.seed
    facts = facts_of(mixture, features, labels, types=(ttype, classes), test=test, seed=seed)
    return StageResult({"counts": np.bincount(labels, minlength=mixture.n_components)}, facts)


def facts_of(
    mixture: Mixture,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    types: tuple[np.ndarray, np.ndarray],
    test: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """What the manifest says of a clustering: agreement with T, on rows `test` and all, clusters.

    features (N, P), labels (N,); types: T (N,), NaN unknown, and its classes (N,), -1 unknown.
    """
    ttype, classes = types
    clusters = cluster_summaries(mixture, features, labels, ttype, classes)
    return {
        "effective_clusters": effective_number(labels, mixture.n_components),
        "agreement": _json(agreement(labels[test], ttype[test], classes[test], seed=seed)),
        "agreement_all": _json(agreement(labels, ttype, classes, seed=seed)),
        "n_ttype": {
            "test": int((~np.isnan(ttype[test])).sum()),
            "all": int((~np.isnan(ttype)).sum()),
        },
        "clusters": [summary.to_dict() for summary in clusters],
    }


def _json(scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Scores with null where there is no number."""
    return {
        name: {field: None if np.isnan(v) else v for field, v in values.items()}
        for name, values in scores.items()
    }
