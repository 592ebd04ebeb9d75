"""What is evaluated: the shipped models, and their trainings with other seeds where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.pipeline.replicas import Replica

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder

MAIN_CODES = (16, 512)  # the report's two ends, for which everything is measured


@dataclass(frozen=True)
class EvaluatedModel:
    """One trained autoencoder, with N galaxies in the order of the catalogue.

    codes: code maps (N, h, w), or latents (N, F) where it has no codebook. errors (N,): mean
    squared error of each reconstruction. variance: of the training pixels. key:
    SHA-256 of its weights. shipped: whether its weights are in the bundle.
    """

    name: str
    seed: int
    config: Any
    codes: np.ndarray
    errors: np.ndarray
    variance: float
    key: str
    shipped: bool
    load: Callable[[], Autoencoder]

    @property
    def has_maps(self) -> bool:
        """Whether galaxies are encoded as one map of codes."""
        return AUTOENCODERS[self.config.kind].has_compared_codes

    @property
    def num_embeddings(self) -> int | None:
        """Size of the codebook, None without one."""
        return getattr(self.config, "num_embeddings", None)

    @property
    def has_64_features(self) -> bool:
        """Whether its features are clustered: 64 of them, as in the report."""
        return AUTOENCODERS[self.config.kind].has_64_features(self.config.to_dict())

    @property
    def fully_evaluated(self) -> bool:
        """Whether the whole grid is measured on it."""
        return self.seed == 0 and self.has_maps and self.num_embeddings in MAIN_CODES

    @cached_property
    def codebook(self) -> np.ndarray:
        """Code vectors (K, D) float32 of a model with one codebook."""
        return np.asarray(self.load().codebooks[0].cpu().numpy(), dtype=np.float32)

    @property
    def inputs(self) -> dict[str, Any]:
        """What a stage on this model depends on."""
        return {"model": self.name, "seed": self.seed, "weights": self.key}


def find_models(bundle: Bundle, replicas: list[Replica], seeds: int | None) -> list[EvaluatedModel]:
    """Models of the bundle, then further trainings of `replicas`, by name and seed.

    seeds: at most that many trainings of each model; None for all there are.
    """
    found = []
    for name in bundle.models:
        entry = bundle.models[name]
        metrics = entry.metrics
        evaluated = EvaluatedModel(
            name=name,
            seed=bundle.manifest.seed,
            config=bundle.load_model(name).config,
            codes=bundle.encoded(name),
            errors=bundle.column(f"{name}/error"),
            variance=metrics["mse"] / metrics["nmse"],
            key=bundle.manifest.files[entry.weights].sha256,
            shipped=True,
            load=partial(bundle.load_model, name),
        )
        found.append(evaluated)
    known = {(evaluated.name, evaluated.seed) for evaluated in found}
    for replica in replicas:
        if (replica.name, replica.seed) in known or (seeds is not None and replica.seed >= seeds):
            continue
        evaluated = EvaluatedModel(
            name=replica.name,
            seed=replica.seed,
            config=replica.config,
            codes=replica.codes,
            errors=replica.errors,
            variance=replica.training["variance"],
            key=replica.training["sha256"],
            shipped=False,
            load=replica.load,
        )
        found.append(evaluated)
    return sorted(found, key=lambda evaluated: (evaluated.name, evaluated.seed))
