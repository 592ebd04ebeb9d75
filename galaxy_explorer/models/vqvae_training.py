"""What the training loop needs to know of models with codebooks: loss, starts, restarts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.quantizer import Quantizer, perplexity
from galaxy_explorer.models.recipes import Recipe
from galaxy_explorer.models.stamp_task import Stamps, StampTask
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig
from galaxy_explorer.models.vqvae2 import VQVAE2, VQVAE2Config

START_VECTORS = 40_000  # encoder outputs for the k-means start
LONGEST_LEAD_IN = 300  # steps without quantization before the k-means start
RESTART_INTERVAL = 100  # steps; about the memory of the moving averages
RESTART_UNTIL = 0.8  # of the training: the last fifth leaves the codebook in peace


class CodebookTask(StampTask):
    """Codebooks that may start from data and have their dead codes restarted.

    `quantizers` and `outputs` are of the same length: the encoder outputs (B, D, h, w) that each
    quantizer sees.
    """

    _encoded: Sequence[Tensor] = ()  # of the last step, for restarts

    @property
    def quantizers(self) -> Sequence[Quantizer]:
        """The quantizers, in the order in which a stamp meets them."""
        raise NotImplementedError

    def outputs(self, stamps: Tensor) -> Sequence[Tensor]:
        """What each quantizer would be given, before any codebook has been started."""
        raise NotImplementedError

    @property
    def lead_in(self) -> int:
        """Steps that a codebook started from data waits, so that k-means sees settled vectors.

        Started at step 0, all but a few codes were left behind by the encoder's first steps.
        """
        waits = self.quantizers[0].starts_from_data
        return min(LONGEST_LEAD_IN, self.recipe.steps // 10) if waits else 0

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)

    def after_step(self, step: int, steps: int) -> None:
        """Start the codebooks after the lead-in; later restart codes out of use, at intervals."""
        if step + 1 == self.lead_in:
            self._start_codebooks()
        due = (step + 1) % RESTART_INTERVAL == 0 and self.lead_in <= step < RESTART_UNTIL * steps
        if due:
            for quantizer, encoded in zip(self.quantizers, self._encoded, strict=True):
                quantizer.restart_dead(encoded, self._generator(step))

    @torch.no_grad()
    def _start_codebooks(self) -> None:
        self.model.eval()
        count = -(-START_VECTORS // (self._smallest_map() * self.recipe.batch_size))
        batches = [self.outputs(self.batch(step)) for step in range(count)]
        for quantizer, outputs in zip(self.quantizers, zip(*batches, strict=True), strict=True):
            flat = torch.cat([z.float() for z in outputs]).movedim(1, -1)
            vectors = flat.reshape(-1, quantizer.embedding_dim)
            quantizer.start_from(vectors, self._generator(0))

    def _smallest_map(self) -> int:
        """Vectors that a stamp gives the quantizer with the fewest."""
        maps = self.model.config.code_maps(np.empty((1, *self.model.config.code_shape)))
        return min(int(codes.size) for codes in maps.values())

    def vocabulary(self, codes: NDArray[np.generic]) -> dict[str, float]:
        """Perplexity and share of the codes used, level by level, and codes changed."""
        figures = {}
        for level, maps in self.model.config.code_maps(codes).items():
            counts = np.bincount(maps.ravel(), minlength=self.quantizers[0].num_embeddings)
            figures[f"perplexity{level}"] = perplexity(torch.from_numpy(counts))
            figures[f"used_share{level}"] = float((counts > 0).mean())
        now, before = torch.from_numpy(codes.astype(np.int32)), self.memory.get("codes")
        self.memory["codes"] = now
        changed = 1.0 if before is None else float((before != now).double().mean())
        return {**figures, "codes_changed": changed}


class VQVAETask(CodebookTask):
    """Train a VQ-VAE on stretched stamps (N, C, S, S); the loss is eq. 3."""

    model: VQVAE

    def __init__(
        self, config: VQVAEConfig, stamps: Stamps, validation: Stamps, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        super().__init__(VQVAE(config), stamps, validation, recipe)

    @property
    def quantizers(self) -> Sequence[Quantizer]:
        """The one quantizer."""
        return (self.model.quantizer,)

    def outputs(self, stamps: Tensor) -> Sequence[Tensor]:
        """z_e (B, D, h, w)."""
        return (self.model.encoder(stamps),)

    def loss(self, step: int) -> Tensor:
        """Report, eq. 3."""
        stamps = self.batch(step)
        encoded = self.model.encoder(stamps)
        self._encoded = (encoded.detach(),)
        if step < self.lead_in:
            return self.error(self.model.decoder(encoded), stamps)
        quantized = self.model.quantizer(encoded)
        drawn = self.model.decoder(quantized.vectors)
        loss: Tensor = self.error(drawn, stamps) + quantized.loss
        return loss


class VQVAE2Task(CodebookTask):
    """Train the hierarchical model: one reconstruction error, eq. 3's terms of both levels."""

    model: VQVAE2

    def __init__(
        self, config: VQVAE2Config, stamps: Stamps, validation: Stamps, recipe: Recipe
    ) -> None:
        torch.manual_seed(recipe.seed)  # the initial weights
        super().__init__(VQVAE2(config), stamps, validation, recipe)

    @property
    def quantizers(self) -> Sequence[Quantizer]:
        """Top, then bottom."""
        return self.model.quantizers

    def outputs(self, stamps: Tensor) -> Sequence[Tensor]:
        """Vectors of top and bottom, neither quantized."""
        fine, top = self.model.encode_top(stamps)
        return top, self.model.encode_bottom(fine, top)

    def loss(self, step: int) -> Tensor:
        """Eq. 3 with two levels."""
        stamps = self.batch(step)
        if step < self.lead_in:
            top, bottom = self.outputs(stamps)
            return self.error(self.model.draw(top, bottom), stamps)
        levels = self.model.quantize(stamps)
        self._encoded = levels.encoded
        drawn = self.model.draw(levels.top, levels.bottom)
        return self.error(drawn, stamps) + levels.loss
