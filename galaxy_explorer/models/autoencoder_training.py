"""Training of any kind of autoencoder on the stamps of a survey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.convae import ConvAE, ConvAEConfig
from galaxy_explorer.models.kinds import Config, Model
from galaxy_explorer.models.recipes import Recipe
from galaxy_explorer.models.stamp_task import Stamps, StampTask
from galaxy_explorer.models.training import TrainingResult, train
from galaxy_explorer.models.vqvae2 import VQVAE2Config
from galaxy_explorer.models.vqvae_training import VQVAE2Task, VQVAETask


class ConvAETask(StampTask):
    """Train an autoencoder without a codebook: the reconstruction error alone."""

    model: ConvAE

    def __init__(
        self, config: ConvAEConfig, stamps: Stamps, validation: Stamps, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        super().__init__(ConvAE(config), stamps, validation, recipe)

    def loss(self, step: int) -> Tensor:
        """The first term of eq. 3."""
        stamps = self.batch(step)
        return self.error(self.model(stamps), stamps)

    def vocabulary(self, codes: NDArray[np.generic]) -> dict[str, float]:
        """`codes_changed`: mean square by which latents changed, over their variance."""
        now, before = torch.from_numpy(codes.astype(np.float32)), self.memory.get("codes")
        self.memory["codes"] = now
        if before is None:
            return {"codes_changed": 1.0}
        variance = float(now.double().var(0).mean())
        return {"codes_changed": float((now - before).double().square().mean()) / variance}


def make_task(
    config: Config, stamps: Stamps, validation: Stamps, recipe: Recipe
) -> VQVAETask | VQVAE2Task | ConvAETask:
    """The task that trains a model of this config."""
    if isinstance(config, ConvAEConfig):
        return ConvAETask(config, stamps, validation, recipe)
    if isinstance(config, VQVAE2Config):
        return VQVAE2Task(config, stamps, validation, recipe)
    return VQVAETask(config, stamps, validation, recipe)


def train_model(
    config: Config,
    stamps_train: Stamps,
    stamps_validation: Stamps,
    work_dir: Path,
    recipe: Recipe,
) -> tuple[Model, TrainingResult]:
    """Train one autoencoder on stretched stamps (N, C, S, S), resumable in `work_dir`."""
    task = make_task(config, stamps_train, stamps_validation, recipe)
    result = train(task, recipe, work_dir, name=config.name)
    return task.model.cpu(), result
