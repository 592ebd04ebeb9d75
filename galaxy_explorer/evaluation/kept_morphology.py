"""Is morphology kept by reconstruction? Slopes of C, Gini and M20 against T, before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from galaxy_explorer.bundle_evaluation import Row
from galaxy_explorer.clustering.summary import INTERVAL
from galaxy_explorer.emulation.light import units_of
from galaxy_explorer.emulation.morphology import Morphology, measure_morphology, slope
from galaxy_explorer.emulation.noise import left_out_noise
from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.rows import Subset, make_row
from galaxy_explorer.evaluation.subjects import Subject
from galaxy_explorer.pipeline.cache import StageResult

KEPT = {"concentration": "C kept", "gini": "Gini kept", "m20": "M20 kept"}
LIGHT = "linear, as the emulator's proof measures it"
MORPHOLOGY_CACHE = "morphology.safetensors"
DRAWS = 10  # resamples of a ratio for each of the grid's bootstraps: they cost nothing


def typed_test_rows(context: Context) -> np.ndarray:
    """Catalogue rows of the test galaxies whose morphology is measured, drawn at random."""
    rows = context.rows("test", typed=True)
    return np.sort(np.random.default_rng(0).permutation(rows)[: context.grid.typed])


def original_morphology(context: Context, rows: np.ndarray, workers: int) -> Morphology:
    """C, A, S, Gini and M20 of the survey's stamps, in linear light."""
    return light_morphology(context, context.survey.model_input(rows), workers, "stamps")


def light_morphology(context: Context, stamps: np.ndarray, workers: int, words: str) -> Morphology:
    """The same of the linear light of stretched stamps (n, C, S, S), as the mean of their bands."""
    light = np.ascontiguousarray(units_of(context.bundle).light(stamps).mean(1))
    cache = context.work / MORPHOLOGY_CACHE
    return measure_morphology(light, cache, workers=workers, description=f"Morphology of {words}")


def morphology_rows(context: Context, subject: Subject, workers: int) -> list[Row]:
    """Slopes of C, Gini and M20 against T on reconstructions, over those on the stamps."""
    stage, inputs = f"{subject.name}.{subject.seed}.morphology", {**subject.inputs, "light": LIGHT}
    measured = context.stage(stage, inputs, lambda: _morphology(context, subject, workers))
    return [Row(**values) for values in measured.facts["rows"]]


def _morphology(context: Context, subject: Subject, workers: int) -> StageResult:
    from galaxy_explorer.models.inference import decode_codes

    rows = typed_test_rows(context)
    stamps = context.survey.model_input(rows)
    drawn = decode_codes(subject.load(), np.asarray(subject.codes[rows]))
    noise = left_out_noise(stamps, drawn)
    noisy = drawn + noise.draw(noise.sigma, rows)
    real = original_morphology(context, rows, workers)
    redrawn = light_morphology(context, noisy, workers, subject.name)
    pair = Pair(context.ttype[rows], real, redrawn)
    made = [vars(kept_row(context, subject, name, pair)) for name in KEPT]
    return StageResult({"flag": redrawn.flag}, {"rows": made})


@dataclass(frozen=True)
class Pair:
    """Statistics of the same galaxies, T (n,), on the stamps and on the reconstructions."""

    ttype: np.ndarray
    real: Morphology
    redrawn: Morphology


def kept_row(context: Context, subject: Subject, name: str, pair: Pair) -> Row:
    """Slope of a statistic against T on reconstructions over the slope on the stamps."""
    real, redrawn = pair.real, pair.redrawn
    both = np.isfinite(real.values[name]) & np.isfinite(redrawn.values[name])
    x, before, after = pair.ttype[both], real.values[name][both], redrawn.values[name][both]

    def kept(rows: np.ndarray) -> float:
        return slope(x[rows], after[rows]) / slope(x[rows], before[rows])

    rng = np.random.default_rng(0)
    n = len(x)
    score: dict[str, float] = {"value": kept(np.arange(n)) if n > 1 else math.nan}
    if n > 1:
        drawn = [kept(rng.integers(n, size=n)) for _ in range(DRAWS * context.grid.bootstraps)]
        score["low"], score["high"] = (float(q) for q in np.nanquantile(drawn, INTERVAL))
    note = (
        f"slope against T, reconstruction over original, noise of the sky added again; in"
        f" linear light; not measurable: {100 * real.failed_share:.0f} % of the originals,"
        f" {100 * redrawn.failed_share:.0f} % of the reconstructions"
    )
    return make_row(Subset(subject.name), "reconstruction", KEPT[name], score, n=n, note=note)
