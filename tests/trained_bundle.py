"""A bundle of a simulated survey, by the shortest recipe: trained once for all tests."""

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
from galaxy_explorer.survey.simulation.survey import simulate_survey

GALAXIES = 280  # fewer are too few for the mixtures that an evaluation fits
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
            simulate_survey(folder / "survey", like="sdss", n=GALAXIES)
        plan = make_plan(folder / "survey", folder / "sky", recipe="tiny", models=MODELS, seeds=2)
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
