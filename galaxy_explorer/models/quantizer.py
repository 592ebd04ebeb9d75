"""Vector quantization (report, eq. 1-3), with the codebook learnt in one of two ways.

`GradientQuantizer`: the codebook moves by the gradient of the codebook loss (van den Oord et al.
2017). `EMAQuantizer`: it follows the mean of the vectors assigned to each code (exponential moving
average), starts from k-means on real encoder outputs, and codes out of use are restarted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from galaxy_explorer.models.processes import averaged, summed

DECAY = 0.99  # of the moving averages
LAPLACE = 1e-5  # keeps the size of an unused code above zero
DEAD_SHARE = 0.1  # a code used less than this share of the mean use is restarted
EVENNESS = 0.02  # weight of even use of the codes; chosen on the validation split
KMEANS_ROUNDS = 20
TINY = 1e-9
DISTANCE_BLOCK = 16384  # vectors compared at a time: bounds memory at 16384 x K floats


class Quantized(NamedTuple):
    """What a quantizer returns for z_e (B, D, h, w)."""

    vectors: Tensor  # (B, D, h, w), z_q with the straight-through gradient
    code_indices: Tensor  # (B, h, w) int64
    loss: Tensor  # scalar: codebook and commitment terms of eq. 3


def nearest_code(flat: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest code of each vector (report, eq. 1): (M, D), (K, D) to (M,)."""
    blocks = [
        half_distances(block, codebook).argmin(1) for block in torch.split(flat, DISTANCE_BLOCK)
    ]
    return torch.cat(blocks) if blocks else flat.new_zeros(0, dtype=torch.int64)


def half_distances(flat: Tensor, codebook: Tensor) -> Tensor:
    """Half the squared distance of each vector to each code, (M, D), (K, D) to (M, K).

    The squared norm of the vector is common to all codes and left out. Never in a reduced format,
    whatever the training runs in: bfloat16 would not tell neighbouring codes apart.
    """
    with torch.autocast(flat.device.type, enabled=False):
        return torch.addmm(0.5 * codebook.square().sum(1), flat, codebook.t(), alpha=-1.0)


def perplexity(counts: Tensor | np.ndarray) -> float:
    """Effective number of codes in use: exp of the entropy of counts (K,)."""
    share = torch.as_tensor(counts).double()
    share = share / share.sum()
    return math.exp(-float(torch.special.xlogy(share, share).sum()))


class Quantizer(nn.Module):
    """The law shared by both kinds: nearest code, straight-through gradient, eq. 3."""

    codebook: Tensor  # (K, D)
    starts_from_data = False

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost  # beta of eq. 3

    def lookup(self, code_indices: Tensor) -> Tensor:
        """Code vectors of a map of indices, (B, h, w) to (B, D, h, w) (report, eq. 2)."""
        return self.codebook[code_indices].movedim(-1, 1)

    def indices(self, z: Tensor) -> Tensor:
        """Code indices (B, h, w) of encoder outputs z (B, D, h, w)."""
        if z.shape[1] != self.embedding_dim:
            raise ValueError(f"vectors have {z.shape[1]} dimensions, codes {self.embedding_dim}")
        flat = z.detach().movedim(1, -1).reshape(-1, self.embedding_dim)  # (B h w, D)
        return nearest_code(flat, self.codebook.detach()).reshape(z.shape[0], *z.shape[2:])

    def forward(self, z: Tensor) -> Quantized:
        """Quantize z (B, D, h, w); distances are compared in float32 or better."""
        z = z if z.dtype == torch.float64 else z.float()
        code_indices = self.indices(z)
        codes = self.lookup(code_indices)  # (B, D, h, w)
        loss = self.commitment_cost * (z - codes.detach()).square().mean()
        loss = loss + self.codebook_loss(z, codes)
        vectors = z + (codes - z).detach()  # straight-through: d vectors / d z = 1
        if self.training:
            self.follow(z.detach(), code_indices)
        return Quantized(vectors, code_indices, loss)

    def codebook_loss(self, z: Tensor, codes: Tensor) -> Tensor:
        """The second term of eq. 3, where the codebook learns by gradient."""
        raise NotImplementedError

    def follow(self, z: Tensor, code_indices: Tensor) -> None:
        """Move the codebook towards the batch, where it does not learn by gradient."""

    def start_from(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Place the codes on encoder outputs (M, D) before training, where the kind does so."""

    def restart_dead(self, z: Tensor, generator: torch.Generator) -> int:
        """Move codes out of use onto vectors of z (B, D, h, w); returns how many moved."""
        del z, generator
        return 0


class GradientQuantizer(Quantizer):
    """Codebook learnt by gradient, uniform start of variance 1 / D (as the report's library)."""

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float) -> None:
        super().__init__(num_embeddings, embedding_dim, commitment_cost)
        limit = math.sqrt(3.0 / embedding_dim)
        start = torch.empty(num_embeddings, embedding_dim).uniform_(-limit, limit)
        self.codebook = nn.Parameter(start)

    def codebook_loss(self, z: Tensor, codes: Tensor) -> Tensor:
        """Squared distance of the codes to the fixed encoder outputs (report, eq. 3)."""
        return (codes - z.detach()).square().mean()


class EMAQuantizer(Quantizer):
    """Codebook as moving averages of the vectors assigned to each code."""

    starts_from_data = True
    size: Tensor  # (K,) moving count of the vectors of each code
    total: Tensor  # (K, D) moving sum of these vectors

    def __init__(self, num_embeddings: int, embedding_dim: int, commitment_cost: float) -> None:
        super().__init__(num_embeddings, embedding_dim, commitment_cost)
        start = torch.randn(num_embeddings, embedding_dim) / math.sqrt(embedding_dim)
        self.register_buffer("codebook", start)
        self.register_buffer("size", torch.ones(num_embeddings))
        self.register_buffer("total", start.clone())

    def codebook_loss(self, z: Tensor, codes: Tensor) -> Tensor:
        """How far the use of the codes is from even, as pressure on the encoder.

        The moving averages take the place of the codebook term of eq. 3. Most patches are sky, and
        nearest codes alone would give them one code of sixteen. The soft use of the codes by the
        batch, at the scale of the quantization error, is compared with even use: log K minus its
        entropy.
        """
        if not self.training:
            return z.new_zeros(())
        flat = z.movedim(1, -1).reshape(-1, self.embedding_dim)  # (M, D)
        # mean squared distance to a code
        scale = averaged((z - codes).detach().square().sum(1).mean())
        codebook = self.codebook.clone()  # the moving averages change the original before backward
        half = half_distances(flat, codebook)  # (M, K)
        use = averaged(torch.softmax(-2 * half / (scale + TINY), 1).mean(0))
        entropy = -(use * use.clamp(min=TINY).log()).sum()  # without a slope at a use of 0
        return EVENNESS * (math.log(self.num_embeddings) - entropy)

    def follow(self, z: Tensor, code_indices: Tensor) -> None:
        """One step of the moving averages (van den Oord et al. 2017, appendix A.1)."""
        flat = z.movedim(1, -1).reshape(-1, self.embedding_dim)  # (B h w, D)
        index = code_indices.reshape(-1)
        counts = summed(torch.bincount(index, minlength=self.num_embeddings).to(self.size))
        sums = summed(torch.zeros_like(self.total).index_add_(0, index, flat.to(self.total)))
        self.size.mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.total.mul_(DECAY).add_(sums, alpha=1 - DECAY)
        n = self.size.sum()
        smoothed = (self.size + LAPLACE) / (n + self.num_embeddings * LAPLACE) * n
        self.codebook.copy_(self.total / smoothed[:, None])

    @torch.no_grad()
    def start_from(self, vectors: Tensor, generator: torch.Generator) -> None:
        """k-means (Lloyd's rounds) on vectors (M, D); counts and sums are set to match.

        Raises ValueError if there are fewer vectors than codes.
        """
        if len(vectors) < self.num_embeddings:
            raise ValueError(f"{len(vectors)} vectors cannot start {self.num_embeddings} codes")
        pick = torch.randperm(len(vectors), generator=generator)[: self.num_embeddings]
        centres = vectors[pick.to(vectors.device)].clone()
        counts = torch.zeros_like(self.size)
        for _ in range(KMEANS_ROUNDS):
            index = nearest_code(vectors, centres)
            counts = torch.bincount(index, minlength=self.num_embeddings).to(self.size)
            sums = torch.zeros_like(centres).index_add_(0, index, vectors)
            centres = torch.where(counts[:, None] > 0, sums / counts[:, None].clamp(min=1), centres)
        # A mean count of one makes the averages forget the start after about 1 / (1 - DECAY) steps.
        self._set(centres, (counts / counts.mean()).clamp(min=DEAD_SHARE))

    def _set(self, codebook: Tensor, size: Tensor) -> None:
        self.codebook.copy_(codebook)
        self.size.copy_(size)
        self.total.copy_(codebook * size[:, None])

    @torch.no_grad()
    def restart_dead(self, z: Tensor, generator: torch.Generator) -> int:
        """Put codes used less than DEAD_SHARE of the mean onto random vectors of z."""
        mean = self.size.mean()
        dead = (self.size < DEAD_SHARE * mean).nonzero().squeeze(1)
        flat = z.detach().movedim(1, -1).reshape(-1, self.embedding_dim).to(self.codebook)
        dead = dead[: len(flat)]
        pick = torch.randperm(len(flat), generator=generator)[: len(dead)].to(flat.device)
        size, codebook = self.size.clone(), self.codebook.clone()
        codebook[dead] = flat[pick]
        size[dead] = mean  # as if in average use, so that it has time to prove itself
        if len(dead):
            self._set(codebook, size)
        return len(dead)


# Stored configs, names of models and recipes of bundles call them "paper" and "modern"; these words
# stay until the next number of the bundle's format.
QUANTIZERS: dict[str, type[Quantizer]] = {"paper": GradientQuantizer, "modern": EMAQuantizer}
