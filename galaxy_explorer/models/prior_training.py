"""Training of a prior over code maps or latents by the one training loop.

Codes and conditions of a batch are drawn by one set of rows, so that they belong together. The
report's own code took the labels of the next batch: its samples could not follow the type.
`mismatched` does the same here, for a control that must fail.

Last the shapes and schedules of each kind of prior, by the name of a recipe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.conditions import GIVEN, WITHHELD, Condition
from galaxy_explorer.models.flow import FlowConfig, RectifiedConfig
from galaxy_explorer.models.inference import prior_log_prob
from galaxy_explorer.models.pixelcnn import HierarchicalConfig, PixelCNNConfig
from galaxy_explorer.models.protocols import Prior
from galaxy_explorer.models.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.nn import Parameter


Codes = NDArray[np.generic]


@dataclass(frozen=True)
class PriorRecipe(Recipe):
    """The schedule of a prior, and how much of what is asked is withheld in training.

    clip_norm, clip_value: bounds of the gradient, of its norm or of each number; 0 for none.
    halving_steps: the learning rate is halved every so many steps, instead of the cosine.
    drop_each: how often a field is withheld; of the share `subset` of the galaxies, as often as a
    number drawn anew for each says. alone: how often all but the first field are, drop_all: all.
    validated: how many validation galaxies are looked at in training, 0 for all.
    """

    clip_norm: float = 0.0
    clip_value: float = 0.0
    halving_steps: int = 0
    drop_each: float = 0.1
    subset: float = 0.3
    alone: float = 0.2
    drop_all: float = 0.1
    validated: int = 0

    def learning_rate_at(self, step: int) -> float:
        """Halved every `halving_steps` (eq. 11, with its exponent), else a cosine."""
        if not self.halving_steps:
            return super().learning_rate_at(step)
        return float(self.learning_rate * 0.5 ** (step / self.halving_steps))

    def clip(self, parameters: Iterable[Parameter]) -> None:
        """Bound the gradients."""
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        if self.clip_value:
            torch.nn.utils.clip_grad_value_(parameters, self.clip_value)


class PriorData(NamedTuple):
    """Code maps or latents with what is known of each galaxy.

    codes (N, V, ...): V views of each galaxy, its orientations, as maps (h, w) or latents (D,);
    condition: N rows; weights (N,): how often each galaxy is drawn, relative to others.
    """

    codes: Codes
    condition: Condition
    weights: NDArray[np.float64]


class PriorTask:
    """Train a prior; the score is the likelihood of held-out galaxies whose first field is known.

    jitter (F,) or (N, F): standard deviation of the errors of the fields, standardised; noise of
    this size is added in training.
    """

    def __init__(
        self,
        model: Prior,
        data: PriorData,
        validation: PriorData,
        recipe: PriorRecipe,
        *,
        jitter: NDArray[np.float64],
        mismatched: bool = False,
    ) -> None:
        self.model = model
        self.data, self.validation, self.recipe = data, validation, recipe
        self.mismatched = mismatched
        self.jitter = np.broadcast_to(jitter, data.condition.values.shape)
        self.memory: dict[str, Tensor] = {}
        self._chances = data.weights / data.weights.sum()

    def rows(self, step: int) -> NDArray[np.int64]:
        """The galaxies of a step (B,), as a function of (seed, step) alone."""
        rng = np.random.default_rng((self.recipe.seed, step))
        return rng.choice(len(self._chances), self.recipe.batch_size, p=self._chances)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (B, ...), values (B, F) and states (B, F) of a step."""
        rows, rng = self.rows(step), np.random.default_rng((self.recipe.seed, step, 1))
        labelled = self.rows(step + 1) if self.mismatched else rows
        codes = self.data.codes[rows, rng.integers(self.data.codes.shape[1], size=len(rows))]
        values, states = self.data.condition.rows(labelled)
        jittered = values + rng.normal(size=values.shape) * self.jitter[labelled]
        # Unknown fields, too: what a request leaves open must have been seen, whatever catalogues
        # know of their galaxies.
        states = np.where(self._hidden(states, rng), WITHHELD, states)
        device = next(self.model.parameters()).device
        reads = "float32" if codes.dtype.kind == "f" else self.model.config.reads
        parts = (codes.astype(reads), jittered.astype(np.float32), states)
        maps, asked, known = (torch.from_numpy(part).to(device) for part in parts)
        return maps, asked, known

    def _hidden(self, states: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which fields (B, F) are withheld from the network in this step."""
        recipe, shape = self.recipe, (len(states), 1)
        subset, alone, everything = rng.random((3, *shape))
        rate = np.where(subset < recipe.subset, rng.random(shape), recipe.drop_each)
        hidden = rng.random(states.shape) < rate
        hidden |= (alone < recipe.alone) & (np.arange(states.shape[1]) > 0)
        hidden |= everything < recipe.drop_all
        return hidden

    def loss(self, step: int) -> Tensor:
        """See `Prior.training_loss`."""
        codes, values, states = self.batch(step)
        torch.manual_seed(step)  # dropout and noise are functions of the step too
        return self.model.training_loss(codes, values, states)

    def after_step(self, step: int, steps: int) -> None:
        """What the prior does."""
        del steps
        self.model.follow(step)

    def validate(self) -> dict[str, float]:
        """Likelihood of the validation galaxies, asked for with all that is known and with T alone.

        The score is the mean of both: samples are asked for in either way.
        """
        figures = likelihood(self.model, self.validation, seed=0, most=self.recipe.validated)
        return {"score": (figures["nll"] + figures["nll_first"]) / 2, **figures}


def likelihood(prior: Prior, data: PriorData, *, seed: int, most: int = 0) -> dict[str, float]:
    """Held-out figures over the galaxies whose first field is known (if none, over all).

    most: so many of them, the first; 0 for all.

    nll: nats a galaxy, asked for with all that is known; of code maps also bits: the same a code;
    of latents nll_gaussian: that of a Gaussian in their place. nll_first: asked for with the first
    field alone; label_gain: by how many nats a galaxy shuffling that field raises it, with its
    standard error over galaxies. nll_withheld: asked for nothing.
    """
    states = data.condition.states
    known = np.flatnonzero((states[:, :1] == GIVEN).all(1))
    known = (known if len(known) else np.arange(len(states)))[: most or None]
    codes = data.codes[known, 0]
    full = data.condition.rows(known)
    first = Condition(full.values, np.where(np.arange(states.shape[1]) > 0, WITHHELD, full.states))
    order = np.random.default_rng(seed).permutation(len(known))
    asked = {
        "nll": full,
        "nll_first": first,
        "shuffled": Condition(first.values[order], first.states),
        "nll_withheld": Condition(full.values, np.full_like(full.states, WITHHELD)),
    }
    nats = {name: -prior_log_prob(prior, codes, condition) for name, condition in asked.items()}
    gain = nats.pop("shuffled") - nats["nll_first"]
    figures = {name: float(values.mean()) for name, values in nats.items()}
    return {
        **figures,
        **prior.figures(codes, figures["nll"]),
        "label_gain": float(gain.mean()),
        "label_gain_error": float(gain.std() / np.sqrt(len(gain))),
        "n_known": float(len(known)),
    }


@dataclass(frozen=True)
class PriorPlan:
    """Shape and schedule of a prior.

    shape: fields of its config that differ from the defaults.
    """

    recipe: PriorRecipe
    shape: dict[str, int | float | bool]


# The names "modern" and "paper" of recipes are stored in bundles; see `quantizer.QUANTIZERS`.
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

# The score is a bound that takes four looks a galaxy: not all of them at each validation.
RECTIFIED_RECIPES = {
    "tiny": PriorPlan(
        PriorRecipe("tiny", 60, 32, 3e-3, 3e-4, clip_norm=1.0, validated=64),
        {"layers": 2, "features": 32, "heads": 4, "condition_dim": 16, "components": 8},
    ),
    # Half an hour of one core; what ships went on for three more (`prior --go-on --steps`).
    "quick": PriorPlan(
        PriorRecipe("quick", 4000, 48, 1e-3, 2e-5, warmup_steps=300, clip_norm=1.0, validated=64),
        {"features": 192, "heads": 6},
    ),
    "modern": PriorPlan(
        PriorRecipe(
            "modern", 20_000, 64, 1e-3, 2e-5, warmup_steps=300, clip_norm=1.0, validated=256
        ),
        {},
    ),
}

CODES_A_STEP = 64 * 64  # of large maps fewer are taken at a time, so that a step costs the same
LEAST_BATCH = 16


def prior_plan(
    name: str, shape: tuple[int, ...], num_embeddings: int, n_fields: int
) -> tuple[PixelCNNConfig, PriorRecipe]:
    """Config and recipe of a prior for code maps (h, w); raises KeyError for an unknown name."""
    plan = PRIOR_RECIPES[name]
    height, width = shape
    sizes = dict(plan.shape)
    if name == "paper":
        sizes["features"] = height * width
    config = PixelCNNConfig.from_dict(
        {"height": height, "width": width, "num_embeddings": num_embeddings, "n_fields": n_fields}
        | sizes
    )
    if name == "paper":
        return config, plan.recipe
    fewer = max(LEAST_BATCH, CODES_A_STEP // (height * width))
    return config, replace(plan.recipe, batch_size=min(plan.recipe.batch_size, fewer))


def hierarchical_plan(
    name: str, shape: tuple[int, ...], num_embeddings: int, n_fields: int
) -> tuple[HierarchicalConfig, PriorRecipe]:
    """Config and recipe of a prior over both square maps, (F,) codes in all; raises KeyError."""
    side = 2 * math.isqrt(shape[0] // 5)
    bottom, recipe = prior_plan(name, (side, side), num_embeddings, n_fields)
    return HierarchicalConfig.from_dict(bottom.to_dict()), recipe


def rectified_plan(
    name: str, shape: tuple[int, ...], num_embeddings: int, n_fields: int
) -> tuple[RectifiedConfig, PriorRecipe]:
    """Config and recipe of a rectified flow for maps (h, w); raises KeyError for another name."""
    plan = RECTIFIED_RECIPES[name]
    height, width = shape
    fixed = {"height": height, "width": width, "num_embeddings": num_embeddings}
    fixed |= {"n_fields": n_fields, "patch": 2 if height % 2 == width % 2 == 0 else 1}
    return RectifiedConfig.from_dict(fixed | plan.shape), plan.recipe


def flow_plan(
    name: str, shape: tuple[int, ...], num_embeddings: int, n_fields: int
) -> tuple[FlowConfig, PriorRecipe]:
    """Config and recipe of a flow over latents (D,); raises KeyError for an unknown name."""
    del num_embeddings  # there are no codes
    plan = FLOW_RECIPES[name]
    config = FlowConfig.from_dict({"latents": shape[0], "n_fields": n_fields} | plan.shape)
    return config, plan.recipe
