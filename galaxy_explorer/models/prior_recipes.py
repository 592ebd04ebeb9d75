"""Shapes and schedules of priors, by name and by what they draw: code maps or latents."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from galaxy_explorer.models.flow import FlowConfig
from galaxy_explorer.models.hierarchical_prior import HierarchicalConfig
from galaxy_explorer.models.pixelcnn import PriorConfig
from galaxy_explorer.models.prior_training import PriorRecipe
from galaxy_explorer.models.priors import AnyConfig


@dataclass(frozen=True)
class PriorPlan:
    """Shape and schedule of a prior.

    shape: fields of its config that differ from the defaults.
    """

    recipe: PriorRecipe
    shape: dict[str, int | float | bool]


PRIOR_RECIPES = {
    "tiny": PriorPlan(
        PriorRecipe("tiny", 60, 32, 3e-3, 3e-4, clip_norm=1.0),
        {"layers": 2, "features": 16, "condition_dim": 16},
    ),
    "modern": PriorPlan(
        PriorRecipe("modern", 3000, 64, 2e-3, 2e-5, warmup_steps=100, clip_norm=1.0),
        {},
    ),
    # Table 3: 18 layers; 100,000 steps; 3e-4 halved every 50,000; clipped by value at 5. Features:
    # the side of the map squared (`features` is set from the map).
    "paper": PriorPlan(
        PriorRecipe(
            "paper",
            100_000,
            32,
            3e-4,
            3e-4,
            clip_value=5.0,
            halving_steps=50_000,
            drop_each=0.0,
            subset=0.0,
            alone=0.0,
            drop_all=0.0,
        ),
        {"layers": 18, "first_kernel": 7, "dropout": 0.0, "positions": False},
    ),
}


FLOW_RECIPES = {
    "tiny": PriorPlan(
        PriorRecipe("tiny", 60, 32, 3e-3, 3e-4, clip_norm=1.0, number_format="float32"),
        {"transforms": 2, "hidden": 64, "bins": 4, "condition_dim": 16},
    ),
    "modern": PriorPlan(
        PriorRecipe(
            "modern",
            4000,
            128,
            2e-3,
            2e-5,
            warmup_steps=100,
            clip_norm=5.0,
            number_format="float32",
        ),
        {},
    ),
}

CODES_A_STEP = 64 * 64  # of large maps fewer are taken at a time, so that a step costs the same
LEAST_BATCH = 16


def prior_plan(
    name: str, code_shape: tuple[int, int], num_embeddings: int, n_fields: int
) -> tuple[PriorConfig, PriorRecipe]:
    """Config and recipe of a prior for maps of this kind; raises KeyError for an unknown name."""
    plan = PRIOR_RECIPES[name]
    shape = dict(plan.shape)
    if name == "paper":
        shape["features"] = code_shape[0] * code_shape[1]
    height, width = code_shape
    config = PriorConfig.from_dict(
        {"height": height, "width": width, "num_embeddings": num_embeddings, "n_fields": n_fields}
        | shape
    )
    if name == "paper":
        return config, plan.recipe
    fewer = max(LEAST_BATCH, CODES_A_STEP // (height * width))
    return config, replace(plan.recipe, batch_size=min(plan.recipe.batch_size, fewer))


def flow_plan(name: str, latents: int, n_fields: int) -> tuple[FlowConfig, PriorRecipe]:
    """Config and recipe of a flow over so many latents; raises KeyError for an unknown name."""
    plan = FLOW_RECIPES[name]
    config = FlowConfig.from_dict({"latents": latents, "n_fields": n_fields} | plan.shape)
    return config, plan.recipe


def hierarchical_plan(
    name: str, codes: int, num_embeddings: int, n_fields: int
) -> tuple[HierarchicalConfig, PriorRecipe]:
    """Config and recipe of a prior over so many codes of both square maps; raises KeyError."""
    side = 2 * math.isqrt(codes // 5)
    bottom, recipe = prior_plan(name, (side, side), num_embeddings, n_fields)
    return HierarchicalConfig.from_dict(bottom.to_dict()), recipe


def plan_for(
    name: str, shape: tuple[int, ...], num_embeddings: int, n_fields: int
) -> tuple[AnyConfig, PriorRecipe]:
    """The plan of code maps (h, w), of both maps (F,), or without a codebook of latents (D,).

    Raises KeyError for a name that is unknown or not for such a prior.
    """
    if not num_embeddings:
        return flow_plan(name, shape[0], n_fields)
    if len(shape) == 1:
        return hierarchical_plan(name, shape[0], num_embeddings, n_fields)
    return prior_plan(name, (shape[0], shape[1]), num_embeddings, n_fields)
