"""Figures of a trained model on held-out galaxies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.clustering.summary import INTERVAL

if TYPE_CHECKING:
    from galaxy_explorer.models.kinds import Config

RESAMPLES = 1000


def measure(
    errors: np.ndarray, codes: np.ndarray, config: Config, *, variance: float
) -> dict[str, float]:
    """Figures of a model on held-out galaxies: errors (n,), codes as its `encode_stamps` returns.

    mse: mean squared error in stretched units. nmse: mse / variance of the training pixels, with a
    95 % bootstrap interval over galaxies. psnr_db: for a peak of 1. perplexity: of the use of the
    codes over all n galaxies. used_share: of codes used at least once. Both are absent where there
    are no codes, and given again with `_top` for the top level of a hierarchical model.
    """
    mse = float(errors.mean(dtype=np.float64))
    rng = np.random.default_rng(0)
    drawn = [errors[rng.integers(len(errors), size=len(errors))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, INTERVAL) / variance
    figures = {
        "mse": mse,
        "nmse": mse / variance,
        "nmse_low": float(low),
        "nmse_high": float(high),
        "psnr_db": -10 * math.log10(max(mse, 1e-12)),
    }
    for level, maps in config.code_maps(codes).items():
        counts = np.bincount(maps.ravel(), minlength=config.num_embeddings)
        shares = counts[counts > 0] / counts.sum()
        figures[f"perplexity{level}"] = float(np.exp(-(shares * np.log(shares)).sum()))
        figures[f"used_share{level}"] = float((counts > 0).mean())
    return {**figures, "n_test": len(errors), "data_variance": variance}
