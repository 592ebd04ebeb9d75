"""What the training loop needs to know of a VQ-VAE: loss, rotations, codebook, validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.inference import d4, decode_codes, encode_stamps
from galaxy_explorer.models.quantizer import perplexity
from galaxy_explorer.models.recipes import Recipe
from galaxy_explorer.models.training import TrainingResult, train
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig

START_VECTORS = 40_000  # encoder outputs for the k-means start
LONGEST_LEAD_IN = 300  # steps without quantization before the k-means start
RESTART_INTERVAL = 100  # steps; about the memory of the moving averages
RESTART_UNTIL = 0.8  # of the training: the last fifth leaves the codebook in peace

Stamps = NDArray[np.float32]


class VQVAETask:
    """Train a VQ-VAE on stretched stamps (N, C, S, S).

    The loss is eq. 3 with the reconstruction error divided by the variance of the training
    pixels, so that a model that draws the mean scores 1. Each stamp is shown in one of its eight
    orientations (D4), drawn anew.
    """

    def __init__(
        self, config: VQVAEConfig, stamps: Stamps, validation: Stamps, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        self.model = VQVAE(config)
        self.stamps, self.validation, self.recipe = stamps, validation, recipe
        self.variance = data_variance(stamps)
        self._encoded: Tensor | None = None  # of the last step, for restarts
        self.memory: dict[str, Tensor] = {}

    def batch(self, step: int) -> Tensor:
        """The stamps of a step, (B, C, S, S), as a function of (seed, step) alone."""
        rng = np.random.default_rng((self.recipe.seed, step))
        rows = rng.integers(len(self.stamps), size=self.recipe.batch_size)
        turns = rng.integers(8, size=len(rows))
        stamps = np.stack([d4(self.stamps[r], t) for r, t in zip(rows, turns, strict=True)])
        device = next(self.model.parameters()).device
        return torch.from_numpy(stamps).to(device, memory_format=torch.channels_last)

    def loss(self, step: int) -> Tensor:
        """Report, eq. 3."""
        stamps = self.batch(step)
        encoded = self.model.encoder(stamps)
        self._encoded = encoded.detach()
        if step < self.lead_in:
            return self._error(encoded, stamps)
        quantized = self.model.quantizer(encoded)
        loss: Tensor = self._error(quantized.vectors, stamps) + quantized.loss
        return loss

    def _error(self, vectors: Tensor, stamps: Tensor) -> Tensor:
        drawn: Tensor = self.model.decoder(vectors).float()  # (B, C, S, S)
        return (drawn - stamps).square().mean() / self.variance

    @property
    def lead_in(self) -> int:
        """Steps that a codebook started from data waits, so that k-means sees settled vectors.

        Started at step 0, all but a few codes were left behind by the encoder's first steps.
        """
        waits = self.model.quantizer.starts_from_data
        return min(LONGEST_LEAD_IN, self.recipe.steps // 10) if waits else 0

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)

    def after_step(self, step: int, steps: int) -> None:
        """Start the codebook after the lead-in; later restart codes out of use, at intervals."""
        if step + 1 == self.lead_in:
            self._start_codebook()
        due = (step + 1) % RESTART_INTERVAL == 0 and self.lead_in <= step < RESTART_UNTIL * steps
        if due and self._encoded is not None:
            self.model.quantizer.restart_dead(self._encoded, self._generator(step))

    @torch.no_grad()
    def _start_codebook(self) -> None:
        self.model.eval()
        per_stamp = self.model.config.map_size**2
        count = -(-START_VECTORS // (per_stamp * self.recipe.batch_size))
        outputs = [self.model.encoder(self.batch(step)).float() for step in range(count)]
        vectors = torch.cat(outputs).movedim(1, -1).reshape(-1, self.model.config.embedding_dim)
        self.model.quantizer.start_from(vectors, self._generator(0))

    def validate(self) -> dict[str, float]:
        """NMSE, perplexity, codes used and codes changed since the check before."""
        codes = encode_stamps(self.model, self.validation)
        drawn = decode_codes(self.model, codes)
        nmse = float(np.square(drawn - self.validation).mean(dtype=np.float64)) / self.variance
        counts = np.bincount(codes.ravel(), minlength=self.model.config.num_embeddings)
        now, before = torch.from_numpy(codes.astype(np.int32)), self.memory.get("codes")
        self.memory["codes"] = now
        changed = 1.0 if before is None else float((before != now).double().mean())
        return {
            "score": nmse,
            "nmse": nmse,
            "perplexity": perplexity(torch.from_numpy(counts)),
            "used_share": float((counts > 0).mean()),
            "codes_changed": changed,
        }


def data_variance(stamps: Stamps) -> float:
    """Variance of all pixels of stamps (N, C, S, S), in float64 block by block."""
    blocks = np.array_split(stamps, max(1, len(stamps) // 1024))
    total = sum(float(block.sum(dtype=np.float64)) for block in blocks)
    squares = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks)
    mean = total / stamps.size
    return squares / stamps.size - mean**2


def train_model(
    config: VQVAEConfig,
    stamps_train: Stamps,
    stamps_validation: Stamps,
    work_dir: Path,
    recipe: Recipe,
) -> tuple[VQVAE, TrainingResult]:
    """Train one VQ-VAE on stretched stamps (N, C, S, S), resumable in `work_dir`."""
    task = VQVAETask(config, stamps_train, stamps_validation, recipe)
    result = train(task, recipe, work_dir, name=config.name)
    return task.model.cpu(), result
