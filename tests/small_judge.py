"""An untrained judge for the small bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.manifest import JUDGE, Reading, RegressorEntry
from galaxy_explorer.bundle.writer import add_files


def add_small_judge(path: Path) -> Path:
    """Put a judge into a small bundle that draws with its first prior."""
    import torch

    from galaxy_explorer.models.ttype_regressor import StoredRegressor, TTypeRegressor, judge_bytes

    bundle = load_bundle(path)
    survey = bundle.manifest.survey
    side = survey.stamp_size
    torch.manual_seed(0)
    judge = TTypeRegressor(survey.channels)
    judge.mean.fill_(-3.0)
    noise = np.full((side, side // 2 + 1), 0.01, np.float32)
    drawn = {p.model: Reading(r=0.77, rms=2.7, bias=0.8) for p in bundle.priors.values()}
    entry = RegressorEntry(JUDGE, n=20, real=Reading(r=0.86, rms=2.08, bias=-0.22), drawn=drawn)
    data = judge_bytes(StoredRegressor(judge, noise))
    return add_files(path, {JUDGE: data}, lambda _: "card\n", ttype_regressor=entry)
