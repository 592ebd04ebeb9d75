"""A bundle of a small survey, trained by the shortest recipe: half a minute, once a test run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from galaxy_explorer.pipeline.plan import Plan
from galaxy_explorer.pipeline.train import make_plan, train_bundle
from tests.small_survey import write_small_survey

MODELS = ("k16-modern-8x8", "k64-modern-16x16", "convae-conv")
"""What ships; the first has a prior and a second training."""
NOT_SHIPPED = "k16-hierarchical-8x8"


def flat_map(features: np.ndarray, seed: int) -> np.ndarray:
    """Stands in for UMAP, which compiles for half a minute."""
    return np.asarray(features[:, :2] + seed, dtype=np.float32)


@contextmanager
def small_study() -> Iterator[None]:
    """In here a plan for two trainings adds two models, not those of the report's study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galaxy_explorer.pipeline.clusters.fit_map", flat_map)
        patch.setattr("galaxy_explorer.pipeline.plan.STUDY_MODELS", (NOT_SHIPPED,))
        patch.setattr("galaxy_explorer.pipeline.plan.TREND_MODELS", MODELS[:1])
        yield


def trained_once(folder: Path) -> Plan:
    """The plan of a bundle trained in `folder`: whichever process comes first trains it."""
    with FileLock(folder.with_suffix(".lock")), small_study():
        if not folder.exists():
            write_small_survey(folder / "survey")
        plan = make_plan(folder / "survey", folder / "blobs", recipe="tiny", models=MODELS, seeds=2)
        if not (folder / "whole").exists():
            train_bundle(plan, lambda _: None)
            (folder / "whole").touch()
    return plan


def copied(plan: Plan, folder: Path) -> Plan:
    """A copy of the bundle and its work folder that may be written to."""
    copy = replace(plan, out=folder / plan.out.name)
    shutil.copytree(plan.out, copy.out)
    shutil.copytree(plan.work, copy.work)
    return copy
