"""Training curves with the stop rule, and reconstruction against distinction model by model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.evaluation import (
    EvaluationRow,
    TradeoffPoint,
    TrainingCurve,
    TrainingRow,
)
from galaxy_explorer.bundle.json_values import build
from galaxy_explorer.bundle.manifest import AutoencoderEntry, ExtraTraining
from galaxy_explorer.evaluation.context import EvaluatedModel, is_clustered
from galaxy_explorer.evaluation.rows import RowKey, find_row, make_row
from galaxy_explorer.pipeline.autoencoders import Replica, training_entry

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import AutoencoderConfig

FROM_MANIFEST = "measured when the bundle was made"
DISTINCTIONS = (("index", "gmm"), ("codes", "kmeans"), ("latents", "gmm"))


def further_trainings(bundle: Bundle, replicas: Iterable[Replica]) -> list[ExtraTraining]:
    """Entries of all trainings that do not ship: those of the manifest, and those of `replicas`.

    Of one and the same training the manifest's entry stays, which may hold more figures.
    """
    seed = bundle.manifest.seed
    known = {(one.name, one.seed): one for one in bundle.manifest.extra_trainings}
    for replica in replicas:
        key = (replica.name, replica.seed)
        entry = build({**training_entry(replica), "seed": key[1]}, ExtraTraining)
        same = key in known and known[key].curve == entry.curve
        if not same and not (key[1] == seed and replica.name in bundle.models):
            known[key] = entry
    return [known[key] for key in sorted(known)]


def training_curves(bundle: Bundle, trainings: Sequence[ExtraTraining]) -> list[TrainingCurve]:
    """Of every training, shipped or not."""
    seed = bundle.manifest.seed
    curves = [_curve(entry, seed) for entry in bundle.models.values() if entry.curve]
    return curves + [_curve(entry, entry.seed) for entry in trainings if entry.curve]


def _curve(entry: AutoencoderEntry, seed: int) -> TrainingCurve:
    def column(name: str) -> tuple[float | None, ...]:
        return tuple(row.get(name) for row in entry.curve)

    return TrainingCurve(
        model=entry.name,
        seed=seed,
        step=column("step"),
        nmse=column("nmse"),
        perplexity=column("perplexity"),
        codes_changed=column("codes_changed"),
        early_stop_step=entry.early_stop_step,
        best_step=int(entry.best_step or entry.curve[-1]["step"]),
        cost=entry.early_stop_cost,
    )


def taken_over(
    bundle: Bundle, models_evaluated: Iterable[EvaluatedModel], grid: str
) -> tuple[TrainingRow, ...]:
    """Figures that an earlier evaluation on the same grid has of trainings not at hand now."""
    earlier = bundle.evaluation
    if earlier is None or earlier.settings.get("grid") != grid:
        return ()
    known = {(evaluated.name, evaluated.seed) for evaluated in models_evaluated}
    return tuple(one for one in earlier.extra_trainings if (one.row.model, one.seed) not in known)


def trained_rows(
    trainings: Iterable[ExtraTraining], known: Collection[tuple[str, int]]
) -> list[tuple[EvaluationRow, int]]:
    """Figures of trainings that are not measured anew, with their seeds.

    NMSE of trainings whose weights and codes are not at hand, and of the ablations of hierarchical
    models: codes of one level permuted among galaxies, or replaced by their mean. known: name and
    seed of the trainings that have other figures.
    """
    rows = []
    for entry in trainings:
        metrics, seed = entry.metrics, entry.seed
        ablations = [name for name in metrics if name.startswith(("nmse_top", "nmse_bottom"))]
        figures = {name: f"NMSE, {name[5:].replace('_', ' ')}" for name in ablations}
        if (entry.name, seed) not in known:
            figures["nmse"] = "NMSE"
        for name, figure in figures.items():
            score = {"value": metrics.get(name)}
            if name == "nmse":
                score |= {"low": metrics.get("nmse_low"), "high": metrics.get("nmse_high")}
            n = int(metrics.get("n_test", 0))
            subset = RowKey(entry.name)
            row = make_row(subset, "reconstruction", figure, score, n=n, note=FROM_MANIFEST)
            rows.append((row, seed))
    return rows


def tradeoff(
    rows: list[EvaluationRow], configs: Mapping[str, AutoencoderConfig]
) -> list[TradeoffPoint]:
    """One point for each clustered model and feature set; rows joined over seeds."""
    points = []
    for name, config in configs.items():
        if not is_clustered(config):
            continue
        error = find_row(rows, model=name, figure="NMSE")
        for features, clusterer in DISTINCTIONS:
            wanted = {"model": name, "features": features, "clusterer": clusterer}
            eta2 = find_row(rows, figure="eta^2", **wanted)
            ami = find_row(rows, figure="AMI", **wanted)
            if error is None or eta2 is None or ami is None:
                continue
            point = TradeoffPoint(
                model=name,
                features=features,
                clusterer=clusterer,
                codes=config.num_embeddings,
                **_interval("nmse", error),
                **_interval("eta2", eta2),
                **_interval("ami", ami),
                seed_count=min(error.seed_count, eta2.seed_count),
            )
            points.append(point)
    return points


def _interval(name: str, row: EvaluationRow) -> dict[str, float | None]:
    return {name: row.value, f"{name}_low": row.low, f"{name}_high": row.high}
