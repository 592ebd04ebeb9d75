"""From a survey to a bundle, stage by stage.

Train each autoencoder, round its weights to half precision, encode every galaxy with the rounded
weights, make features, fit the mixtures, draw the maps, score, write the bundle. Each stage leaves
its output in `OUT.work` under a key of its inputs: a rerun resumes, changed inputs are redone.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer import __version__
from galaxy_explorer.bundle import BundleContents, save_bundle
from galaxy_explorer.model_card import model_card
from galaxy_explorer.pipeline.autoencoders import Autoencoders, Products
from galaxy_explorer.pipeline.clusters import ClusteringProducts, cluster
from galaxy_explorer.pipeline.plan import DEFAULT_MODELS, SPLITS, Plan, make_plan
from galaxy_explorer.progress import progress

__all__ = ["DEFAULT_MODELS", "Plan", "make_plan", "train_bundle"]

DEFAULT_CLUSTERING = "k512-modern-8x8/codes"
DISPLAY_MODEL = "k512-modern-16x16"


def train_bundle(plan: Plan, announce: Callable[[str], None]) -> Path:
    """Run or resume a plan to its end; returns the bundle's folder.

    announce: is told in words what each part will do. Raises TrainingError, SurveyError or
    BundleError.
    """
    stages = Autoencoders(plan)
    for line in outline(plan, stages):
        announce(line)
    products = {config.name: stages.products(config) for config in plan.configs}
    clusterings = _cluster_all(plan, stages, products)
    columns = {name: plan.survey.column(name) for name in plan.survey.column_names}
    columns |= {f"{name}/error": made.errors for name, made in products.items()}
    for made in clusterings.values():
        columns |= made.columns
    contents = BundleContents(
        manifest=_manifest(plan, products, clusterings),
        columns=columns,
        weights={name: made.weights for name, made in products.items()},
        codes={name: made.codes for name, made in products.items()},
        arrays={key: made.arrays for key, made in clusterings.items()},
        card=model_card,
    )
    return save_bundle(plan.out, contents)


def outline(plan: Plan, stages: Autoencoders) -> list[str]:
    """What a run will do, what is done already, and how long it may take."""
    todo = [config for config in plan.configs if not stages.is_trained(config)]
    done = len(plan.configs) - len(todo)
    rest = replace(plan, configs=tuple(todo)).minutes if todo else 0.0
    return [
        f"{len(plan.survey)} galaxies of {plan.survey.path} into {plan.out}",
        f"Autoencoders: {len(todo)} to train, {done} trained already,"
        f" {plan.recipe.steps} steps each: {', '.join(c.name for c in plan.configs)}",
        f"Clusterings: {len(plan.clusterings)}, each with a mixture, a map and its scores",
        f"About {max(1, round(rest))} min on two CPU cores; Ctrl-C at any time,"
        f" the same command resumes (work in {plan.work})",
    ]


def _cluster_all(
    plan: Plan, stages: Autoencoders, products: dict[str, Products]
) -> dict[str, ClusteringProducts]:
    clusterings = {}
    with progress(len(plan.clusterings), "Clustering", unit="clusterings") as advance:
        for key in plan.clusterings:
            name, kind = key.split("/")
            clusterings[key] = cluster(stages, products[name], kind)
            advance(1)
    return clusterings


def _manifest(
    plan: Plan, products: dict[str, Products], clusterings: dict[str, ClusteringProducts]
) -> dict[str, Any]:
    models = {
        name: {
            "config": made.config.to_dict(),
            "steps": made.training["steps"],
            "best_step": made.training["best_step"],
            "seconds": made.training["seconds"],
            "metrics": made.metrics,
        }
        for name, made in products.items()
    }
    return {
        "name": plan.name,
        "software": f"galaxy_explorer {__version__}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": plan.recipe.to_dict(),
        "hardware": _hardware(next(iter(products.values())).training["precision"]),
        "survey": _survey_facts(plan),
        "models": models,
        "clusterings": {key: made.entry for key, made in clusterings.items()},
        "default_clustering": _preferred(DEFAULT_CLUSTERING, plan.clusterings),
        "display_model": _preferred(DISPLAY_MODEL, list(models)),
    }


def _preferred(wanted: str, present: list[str]) -> str:
    return wanted if wanted in present else present[-1]


def _hardware(precision: str) -> str:
    """The class of machine, not the machine."""
    device, number_format = precision.split()
    if device == "cuda":
        import torch

        return f"{torch.cuda.get_device_name()}, {number_format}"
    machine = platform.machine().replace("_", "-")
    return f"{os.cpu_count()}-core {machine} CPU, {number_format}"


def _survey_facts(plan: Plan) -> dict[str, Any]:
    meta = plan.survey.meta
    splits = plan.survey.column("split")
    kept = ("name", "band", "stamp_size", "channels", "pixel_scale_arcsec", "stretch")
    return {
        **{field: meta.get(field) for field in kept},
        "fingerprint": plan.pixels,
        "counts": meta["counts"],
        "splits": {split: int(np.sum(splits == split)) for split in SPLITS},
        "sources": meta["sources"],
    }
