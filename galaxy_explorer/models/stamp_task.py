"""What every autoencoder's training shares: batches, orientations, scale of the error."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.inference import d4, decode_codes, encode_stamps
from galaxy_explorer.models.kinds import Model
from galaxy_explorer.models.recipes import Recipe

Stamps = NDArray[np.float32]


class StampTask:
    """Train `model` to draw stretched stamps (N, C, S, S) again.

    The squared error is divided by the variance of the training pixels, so that a model that draws
    the mean scores 1. Each stamp is shown in one of its eight orientations (D4), drawn anew.
    """

    def __init__(self, model: Model, stamps: Stamps, validation: Stamps, recipe: Recipe) -> None:
        self.model = model
        self.stamps, self.validation, self.recipe = stamps, validation, recipe
        self.variance = data_variance(stamps)
        self.memory: dict[str, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """The stamps of a step, (B, C, S, S), as a function of (seed, step) alone."""
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.integers(len(self.stamps), size=self.recipe.batch_size)
        turns = rng.integers(8, size=len(rows))
        stamps = np.stack([d4(self.stamps[r], t) for r, t in zip(rows, turns, strict=True)])
        device = next(self.model.parameters()).device
        return torch.from_numpy(stamps).to(device, memory_format=torch.channels_last)

    def error(self, drawn: Tensor, stamps: Tensor) -> Tensor:
        """Mean squared error over the variance of the training pixels."""
        return (drawn.float() - stamps).square().mean() / self.variance

    def after_step(self, step: int, steps: int) -> None:
        """Nothing follows the optimiser's step."""

    def validate(self) -> dict[str, float]:
        """NMSE of the held-out stamps, and what `vocabulary` says of their codes."""
        codes = encode_stamps(self.model, self.validation)
        drawn = decode_codes(self.model, codes)
        nmse = float(np.square(drawn - self.validation).mean(dtype=np.float64)) / self.variance
        return {"score": nmse, "nmse": nmse, **self.vocabulary(codes)}

    def vocabulary(self, codes: NDArray[np.generic]) -> dict[str, float]:
        """Figures on the codes of the held-out stamps; `codes_changed` since the check before."""
        raise NotImplementedError


def data_variance(stamps: Stamps) -> float:
    """Variance of all pixels of stamps (N, C, S, S), in float64 block by block."""
    blocks = np.array_split(stamps, max(1, len(stamps) // 1024))
    total = sum(float(block.sum(dtype=np.float64)) for block in blocks)
    squares = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks)
    mean = total / stamps.size
    return squares / stamps.size - mean**2
