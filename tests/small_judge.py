"""An untrained judge for the small bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.manifest import JUDGE, Reading, ReadingsEntry, RegressorEntry
from galaxy_explorer.bundle.writer import add_files

ATTRIBUTES = ("arms", "bar")


def add_small_judge(path: Path, attributes: tuple[str, ...] = ATTRIBUTES) -> Path:
    """Put a judge of T and attributes into a small bundle that draws with its first prior."""
    import torch

    from galaxy_explorer.models.ttype_regressor import StoredRegressor, TTypeRegressor, judge_bytes

    bundle = load_bundle(path)
    survey = bundle.manifest.survey
    side = survey.stamp_size
    torch.manual_seed(0)
    judge = TTypeRegressor(survey.channels, attributes)
    judge.mean.fill_(-3.0)
    noise = np.full((side, side // 2 + 1), 0.01, np.float32)
    drawn = {p.model: Reading(r=0.77, rms=2.7, bias=0.8) for p in bundle.priors.values()}
    real = Reading(r=0.86, rms=2.08, bias=-0.22)
    share = Reading(r=0.7, rms=0.18, bias=0.01, low=0.6, high=0.75)
    entry = RegressorEntry(
        file=JUDGE,
        n=20,
        real=real,
        drawn=drawn,
        attributes={name: ReadingsEntry(n=20, real=share, drawn={}) for name in attributes},
    )
    data = judge_bytes(StoredRegressor(judge, noise))
    return add_files(path, {JUDGE: data}, lambda _: "card\n", ttype_regressor=entry)
