"""Whether each level of a hierarchical model is used: what it costs to take one level away."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.kinds import Model
from galaxy_explorer.models.vqvae2 import VQVAE2

BATCH = 128
LEVELS = ("top", "bottom")


@torch.inference_mode()
def level_ablation(
    model: Model,
    stamps: NDArray[np.float32],
    codes: NDArray[np.uint16],
    *,
    variance: float,
    seed: int = 0,
) -> dict[str, float]:
    """NMSE of stamps (n, C, S, S) drawn with one level spoilt, given their codes (n, F).

    nmse_top_permuted: with the top map of another of the galaxies. nmse_top_mean: with every top
    vector replaced by the mean over the galaxies. The same for the bottom level. variance: of the
    training pixels. A level that is not used would leave the error of the intact codes. Raises
    TypeError for another kind of model.
    """
    if not isinstance(model, VQVAE2):
        raise TypeError(f"{model.config.name} has no levels")
    indices = torch.from_numpy(codes.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(codes)))
    means = _mean_vectors(model, indices)
    figures: dict[str, float] = {}
    for number, level in enumerate(LEVELS):
        totals = np.zeros(2)
        for start in range(0, len(codes), BATCH):
            part = slice(start, start + BATCH)
            intact, other = model.vectors(indices[part]), model.vectors(indices[order[part]])
            for way, vectors in enumerate((other[number], means[number].expand_as(intact[number]))):
                spoilt = list(intact)
                spoilt[number] = vectors
                drawn = model.draw(*spoilt).float().cpu().numpy()
                totals[way] += np.square(drawn - stamps[part], dtype=np.float64).sum()
        permuted, mean = totals / stamps.size / variance
        figures |= {f"nmse_{level}_permuted": float(permuted), f"nmse_{level}_mean": float(mean)}
    return figures


def _mean_vectors(model: VQVAE2, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean code vector (1, D, 1, 1) of each level over all galaxies and places."""
    means: list[list[Tensor]] = [[], []]
    for part in torch.split(indices, BATCH):
        for kept, vectors in zip(means, model.vectors(part), strict=True):
            kept.append(vectors.mean((2, 3), keepdim=True))
    top, bottom = (torch.cat(kept).mean(0, keepdim=True) for kept in means)
    return top, bottom
