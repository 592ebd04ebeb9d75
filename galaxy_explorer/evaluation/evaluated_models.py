"""What is evaluated: the shipped models, and their trainings with other seeds where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.pipeline.replicas import Replica

if TYPE_CHECKING:
    from galaxy_explorer.models.inference import Model

CLUSTERED_SIDE = 8
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
    load: Callable[[], Model]

    @property
    def has_maps(self) -> bool:
        """Whether galaxies are encoded as one map of codes."""
        return bool(self.config.kind == "vqvae")

    @property
    def num_embeddings(self) -> int | None:
        """Size of the codebook, None without one."""
        return getattr(self.config, "num_embeddings", None)

    @property
    def has_64_features(self) -> bool:
        """Whether its features are clustered: 64 of them, as in the report."""
        if self.config.kind == "vqvae":
            return bool(self.config.map_size == CLUSTERED_SIDE)
        return bool(self.config.kind == "convae")

    @property
    def fully_evaluated(self) -> bool:
        """Whether the whole grid is measured on it."""
        return self.seed == 0 and self.has_maps and self.num_embeddings in MAIN_CODES

    @cached_property
    def codebook(self) -> np.ndarray:
        """Code vectors (K, D) float32 of a model with one codebook."""
        model: Any = self.load()
        return np.asarray(model.codebook.cpu().numpy(), dtype=np.float32)

    @property
    def inputs(self) -> dict[str, Any]:
        """What a stage on this model depends on."""
        return {"model": self.name, "seed": self.seed, "weights": self.key}


def find_models(bundle: Bundle, replicas: list[Replica], seeds: int | None) -> list[EvaluatedModel]:
    """Models of the bundle, then further trainings of `replicas`, by name and seed.

    seeds: at most that many trainings of each model; None for all there are.
    """
    found = [_shipped(bundle, name) for name in bundle.models]
    known = {(evaluated.name, evaluated.seed) for evaluated in found}
    found += [
        _trained(replica)
        for replica in replicas
        if (replica.name, replica.seed) not in known and (seeds is None or replica.seed < seeds)
    ]
    return sorted(found, key=lambda evaluated: (evaluated.name, evaluated.seed))


def _shipped(bundle: Bundle, name: str) -> EvaluatedModel:
    entry = bundle.models[name]
    metrics = entry.metrics
    return EvaluatedModel(
        name=name,
        seed=bundle.manifest.seed,
        config=bundle.load_model(name).config,
        codes=bundle.encoded(name),
        errors=bundle.column(f"{name}/error"),
        variance=metrics["mse"] / metrics["nmse"],
        key=bundle.manifest.files[entry.weights].sha256,
        shipped=True,
        load=lambda: bundle.load_model(name),
    )


def _trained(replica: Replica) -> EvaluatedModel:
    return EvaluatedModel(
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
