"""From a survey to a trained bundle, stage by stage, resumable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.pipeline.autoencoders import Replica, find_replicas, training_entry
    from galaxy_explorer.pipeline.clusters import fit_served
    from galaxy_explorer.pipeline.plan import DEFAULT_MODELS, SPLITS, Plan, config_of, make_plan
    from galaxy_explorer.pipeline.prior import CodedSurvey, add_prior, coded_bundle, train_prior
    from galaxy_explorer.pipeline.steering import (
        Steered,
        Targets,
        add_steered,
        linear_features,
        steer,
        targets_of,
    )
    from galaxy_explorer.pipeline.train import train_bundle

__all__ = [
    "DEFAULT_MODELS",
    "SPLITS",
    "CodedSurvey",
    "Plan",
    "Replica",
    "Steered",
    "Targets",
    "add_prior",
    "add_steered",
    "coded_bundle",
    "config_of",
    "find_replicas",
    "fit_served",
    "linear_features",
    "make_plan",
    "steer",
    "targets_of",
    "train_bundle",
    "train_prior",
    "training_entry",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "autoencoders": (
            "Replica",
            "find_replicas",
            "training_entry",
        ),
        "clusters": ("fit_served",),
        "plan": (
            "DEFAULT_MODELS",
            "Plan",
            "SPLITS",
            "config_of",
            "make_plan",
        ),
        "prior": (
            "CodedSurvey",
            "add_prior",
            "coded_bundle",
            "train_prior",
        ),
        "steering": (
            "Steered",
            "Targets",
            "add_steered",
            "linear_features",
            "steer",
            "targets_of",
        ),
        "train": ("train_bundle",),
    },
)
