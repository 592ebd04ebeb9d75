"""Does the choice of k find the number of classes where it is known?"""

from __future__ import annotations

import math

import numpy as np

from galaxy_explorer.bundle_evaluation import Row
from galaxy_explorer.clustering.choose_k import choose_k
from galaxy_explorer.clustering.feature_kinds import fit_code_features
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.encoding import encode_fast
from galaxy_explorer.evaluation.rows import Subset, make_row
from galaxy_explorer.evaluation.subjects import Subject
from galaxy_explorer.pipeline.cache import StageResult
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.simulated_classes import simulate_classes

TOLERANCE = 1
K_MAX = 20
Z_95 = 1.96


def simulated_rows(context: Context, subject: Subject) -> list[Row]:
    """Share of simulated surveys whose number of classes is found within 1, and of continuous
    ones of which "a continuum" is said.
    """
    subset = Subset(subject.name, "rings", "kmeans")
    rows, hits, runs = [], 0, 0
    for classes in (*context.grid.true_classes, 0):
        found = [_trial(context, subject, classes, trial) for trial in range(context.grid.trials)]
        right = [is_right(classes, structure, k) for structure, k in found]
        if classes:
            hits, runs = hits + sum(right), runs + len(right)
        said = ", ".join("a continuum" if s == "continuum" else str(k) for s, k in found)
        name = f"simulated, {classes} classes" if classes else "simulated, a continuum"
        rows.append(_share_row(subset, name, sum(right), len(right), f"found: {said}"))
    note = f"{', '.join(map(str, context.grid.true_classes))} true classes"
    return [_share_row(subset, "true classes found within 1", hits, runs, note), *rows]


def is_right(classes: int, structure: str, k: int) -> bool:
    """Whether a choice fits what is true: k within 1, or "continuum" for 0 classes."""
    if classes == 0:
        return structure == "continuum"
    return structure == "clusters" and abs(k - classes) <= TOLERANCE


def _share_row(subset: Subset, name: str, hits: int, runs: int, note: str) -> Row:
    low, high = wilson(hits, runs)
    score = {"value": hits / runs, "low": low, "high": high}
    return make_row(subset, "number of clusters", name, score, n=runs, split="simulated", note=note)


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """95 % interval of a share of `hits` in `runs` (Wilson 1927)."""
    share, z2 = hits / runs, Z_95**2
    centre = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = Z_95 * math.sqrt(share * (1 - share) / runs + z2 / (4 * runs**2)) / (1 + z2 / runs)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _trial(context: Context, subject: Subject, classes: int, trial: int) -> tuple[str, int]:
    stage = f"simulated.{classes}.{trial}"
    inputs = {**subject.inputs, "galaxies": context.grid.simulated}
    facts = context.stage(stage, inputs, lambda: _choose(context, subject, classes, trial)).facts
    return str(facts["structure"]), int(facts["k"])


def _choose(context: Context, subject: Subject, classes: int, trial: int) -> StageResult:
    """Simulate a survey, encode it with the shipped model, and choose k on its ring features."""
    made = simulate_classes(classes, context.grid.simulated, seed=trial)
    stored = context.bundle.manifest["survey"]["stretch"]
    stretch = ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
    stamps = stretch.apply(made.stamps, made.sky, made.sky_sigma).astype(np.float32)
    maps = encode_fast(subject.load(), stamps)
    fitted = fit_code_features("rings", maps, subject.codebook, np.arange(len(maps)))
    choice = choose_k(fitted.apply(maps), k_max=K_MAX, seed=trial)
    facts = {"structure": choice.structure, "k": choice.recommended}
    return StageResult({"label": made.label}, facts)
