"""From a survey to a bundle, stage by stage.

Train each autoencoder, round its weights, encode every galaxy with the rounded weights, train the
prior over the code maps of one, make features, fit the mixtures, draw the maps, score, write the
bundle. Models of the study and other seeds are trained too where asked for; of them only the
figures ship. Each stage leaves its output in `OUT.work` under a key of its inputs: a rerun
resumes, changed inputs are redone.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer.bundle import BundleContents, load_bundle, save_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.novelty import NOVELTY, fit_novelty
from galaxy_explorer.bundle.writer import add_files
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.pipeline.autoencoders import (
    Autoencoders,
    Products,
    find_replicas,
    training_entry,
)
from galaxy_explorer.pipeline.clusters import ClusteringProducts, cluster
from galaxy_explorer.pipeline.plan import DEFAULT_MODELS, SPLITS, Plan, config_of, make_plan
from galaxy_explorer.pipeline.prior import train_prior
from galaxy_explorer.pipeline.training_sample import sample_words
from galaxy_explorer.settings import VERSION
from galaxy_explorer.utils.progress import progress

__all__ = ["DEFAULT_MODELS", "Plan", "make_plan", "train_bundle"]

DEFAULT_CLUSTERING = "k512-modern-16x16/aligned"
DISPLAY_MODEL = "k512-modern-16x16"
PRIOR_RECIPE = {
    "tiny": "tiny",
    "quick": "modern",
    "long": "modern",
    "paper": "paper",
}  # by that of the models


def train_bundle(plan: Plan, announce: Callable[[str], None]) -> Path:
    """Run or resume a plan to its end; returns the bundle's folder.

    announce: is told in words what each part will do. Where torchrun started several processes, all
    train the autoencoders together, and the first does the rest. Raises TrainingError, SurveyError
    or BundleError.
    """
    from galaxy_explorer.models.processes import LEADER, joined_processes, told

    with joined_processes() as number:
        if number != LEADER:
            _help(plan)
            return plan.out
        path = _train_bundle(plan, announce)
        told("")  # where it raised instead, torchrun ends the others
        return path


def _help(plan: Plan) -> None:
    """Join each training that the first process begins, until it says that there is no more."""
    from galaxy_explorer.models.processes import told

    stages = {plan.seed: Autoencoders(plan)}
    while asked := told():
        seed, name = int(asked.split()[0]), asked.split()[1]
        if seed not in stages:
            stages[seed] = Autoencoders(plan.with_seed(seed))
        where = stages[seed].plan
        config = config_of(name, where.survey.meta)
        stages[seed].network(config, where.work / "models" / name)


def _train_bundle(plan: Plan, announce: Callable[[str], None]) -> Path:
    stages = Autoencoders(plan)
    for line in outline(plan, stages):
        announce(line)
    products = {config.name: stages.products(config) for config in plan.configs}
    trainings = _further_trainings(plan, stages)
    recipe = PRIOR_RECIPE[plan.recipe.name]
    priors = {}
    for name in plan.with_prior:
        prior = train_prior(stages.coded(products[name]), recipe, seed=plan.seed)
        priors[f"{name}/{prior.entry['kind']}"] = prior
    clusterings = {}
    with progress(len(plan.clusterings), "Clustering", unit="clusterings") as advance:
        for key in plan.clusterings:
            name, features = key.split("/")
            clusterings[key] = cluster(stages, products[name], features)
            advance(1)
    columns = {name: plan.survey.column(name) for name in plan.survey.column_names}
    columns |= {f"{name}/error": made.errors for name, made in products.items()}
    for made in clusterings.values():
        columns |= made.columns
    contents = BundleContents(
        manifest={
            **_manifest(plan, products, clusterings),
            "trainings": trainings,
            "priors": {key: prior.entry for key, prior in priors.items()},
        },
        columns=columns,
        weights={name: made.weights for name, made in products.items()},
        codes={name: made.codes for name, made in products.items()},
        arrays={key: made.arrays for key, made in clusterings.items()},
        card=model_card,
        priors={key: prior.weights for key, prior in priors.items()},
    )
    path = save_bundle(plan.out, contents)
    announce("Which error is usual for galaxies of some detail and noise")
    novelty = fit_novelty(load_bundle(path), plan.survey)
    return path if novelty is None else add_files(path, {NOVELTY: novelty.to_bytes()}, model_card)


def outline(plan: Plan, stages: Autoencoders) -> list[str]:
    """What a run will do, what is done already, and how long it may take."""
    every = [(stages, config) for config in plan.configs + plan.extra_configs]
    for other in _other_seeds(plan):
        every += [(other, config) for config in other.plan.configs]
    todo = sum(not where.is_trained(config) for where, config in every)
    rest = plan.minutes_of(todo)
    names = ", ".join(config.name for config in plan.configs)
    sampled = [f"{most:,} of {split}" for split, most in sample_words(plan.survey).items()]
    learnt = f"; stamps are held of {', '.join(sampled)}, by their ids" if sampled else ""
    return [
        f"{len(plan.survey)} galaxies of {plan.survey.path} into {plan.out}{learnt}",
        f"Autoencoders: {todo} to train, {len(every) - todo} trained already,"
        f" {plan.recipe.steps} steps each; these ship: {names}",
        f"Priors to draw new galaxies from: of {' '.join(plan.with_prior) or 'no model'}",
        f"Clusterings: {len(plan.clusterings)}, each with a mixture, a map and its scores",
        f"About {max(1, round(rest))} min on two CPU cores; Ctrl-C at any time,"
        f" the same command resumes (work in {plan.work})",
    ]


def _other_seeds(plan: Plan) -> list[Autoencoders]:
    """The stages of every seed after the first."""
    return [Autoencoders(plan.with_seed(plan.seed + i)) for i in range(1, plan.seeds)]


def _further_trainings(plan: Plan, stages: Autoencoders) -> list[dict[str, Any]]:
    """Train what does not ship; the figures of it and of what earlier runs left finished."""
    wanted = [(stages, config) for config in plan.extra_configs]
    for other in _other_seeds(plan):
        wanted += [(other, config) for config in other.plan.configs]
    made = {(where.plan.seed, config.name): where.products(config) for where, config in wanted}
    shipped = {config.name for config in plan.configs}
    for replica in find_replicas(plan.work, plan.survey, plan.seed):
        seed, config = replica.seed, replica.config
        where = stages if seed == plan.seed else Autoencoders(plan.with_seed(seed))
        known = (seed, config.name) in made or (where is stages and config.name in shipped)
        if not known and where.is_trained(config):
            made[seed, config.name] = where.products(config)
    return [
        {**training_entry(products), "seed": seed} for (seed, _), products in sorted(made.items())
    ]


def _manifest(
    plan: Plan, products: dict[str, Products], clusterings: dict[str, ClusteringProducts]
) -> dict[str, Any]:
    models = {name: training_entry(made) for name, made in products.items()}
    # the recommended clustering, else the last by the best kind of features that there is
    keys = plan.clusterings
    kinds = {key.split("/")[1] for key in keys}
    best = next((kind for kind in ("aligned", "rings", "codes", "latents") if kind in kinds), "")
    meta, splits = plan.survey.meta, plan.survey.column("split")
    kept = ("name", "band", "stamp_size", "channels", "pixel_scale_arcsec", "stretch")
    sampled = sample_words(plan.survey)
    compared = [n for n, e in models.items() if AUTOENCODERS[e["kind"]].has_compared_codes]
    return {
        "name": plan.name,
        "software": f"galaxy_explorer {VERSION}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": plan.recipe.to_dict() | ({"sampled": sampled} if sampled else {}),
        "hardware": _hardware(next(iter(products.values())).training["precision"]),
        "survey": {
            **{field: meta.get(field) for field in kept},
            "orientation": meta.get("orientation", ""),
            "frame": meta.get("frame", ""),
            "fingerprint": plan.survey.meta["fingerprint"],
            "counts": meta["counts"],
            "splits": {split: int(np.sum(splits == split)) for split in SPLITS},
            "sources": meta["sources"],
        },
        "models": models,
        "clusterings": {key: made.entry for key, made in clusterings.items()},
        "default_clustering": _preferred(
            DEFAULT_CLUSTERING, [key for key in keys if key.endswith(best)]
        ),
        "display_model": _preferred(DISPLAY_MODEL, compared or list(models)),
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
