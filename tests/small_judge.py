"""An untrained judge for the small bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.manifest import JUDGE
from galaxy_explorer.bundle.writer import add_files


def add_small_judge(path: Path) -> Path:
    """Put a judge into a small bundle that draws with its first prior."""
    import torch

    from galaxy_explorer.models.ttype_regressor import StoredRegressor, TTypeRegressor, judge_bytes

    survey = load_bundle(path).manifest["survey"]
    side = survey["stamp_size"]
    torch.manual_seed(0)
    judge = TTypeRegressor(survey["channels"])
    judge.mean.fill_(-3.0)
    noise = np.full((side, side // 2 + 1), 0.01, np.float32)
    entry = {
        "file": JUDGE,
        "n": 20,
        "real": {"r": 0.86, "rms": 2.08, "bias": -0.22},
        "drawn": {name: {"r": 0.77, "rms": 2.7, "bias": 0.8} for name in load_bundle(path).priors},
    }
    data = judge_bytes(StoredRegressor(judge, noise))
    return add_files(path, {JUDGE: data}, lambda _: "card\n", judge=entry)
