"""What every stage of an evaluation shares: bundle, survey, sample, sizes, models, the stage cache.

Evaluated are the shipped models, and their trainings with other seeds where they are.
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.evaluation import Cost
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.errors import SettingError
from galaxy_explorer.models.conditions import MorphologyLabels, can_be_learnt, labels_of
from galaxy_explorer.models.registry import AUTOENCODERS
from galaxy_explorer.pipeline.autoencoders import Replica
from galaxy_explorer.pipeline.plan import SPLITS
from galaxy_explorer.survey.store import CATALOG, Survey
from galaxy_explorer.utils.files import StageCache, StageResult, sha256_of

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder, AutoencoderConfig


LEAST_TYPED = 20  # galaxies with a T below which nothing is learnt or said of T
ATTRIBUTES_KNOWN = {"train": 100, "validation": LEAST_TYPED, "test": LEAST_TYPED}
HELD_OUT = 10_000
"""Validation galaxies, and as many test galaxies, that are measured at most.

Each is encoded in eight orientations, test galaxies four times more: memory must not grow with N.
"""
CLUSTERS = 64  # as many as features: the report's choice (section 4.3.1)


@dataclass(frozen=True)
class Grid:
    """How much is measured.

    fit_rows: training galaxies that clusterers are fitted to. bootstraps, permutations: of each
    interval and chance level. resamples: fits behind a stability of k-means; few_resamples: of
    other quick clusterers; slow_resamples: of mixtures.
    typed: held-out galaxies whose morphology is measured. simulated: galaxies a simulated survey,
    trials: surveys for each true number of classes in true_classes. renumberings: of the codebook.
    """

    fit_rows: int
    bootstraps: int
    permutations: int
    resamples: int
    few_resamples: int
    slow_resamples: int
    typed: int
    simulated: int
    trials: int
    renumberings: int
    judge_steps: int
    true_classes: tuple[int, ...] = (3, 5, 8, 12)


JUDGE_STEPS = 3000  # what ships; about twenty minutes of one core

GRIDS = {
    "tiny": Grid(300, 20, 5, 3, 2, 2, 8, 100, 1, 1, 30, true_classes=(3,)),  # a try
    "quick": Grid(3000, 100, 20, 20, 5, 3, 160, 600, 2, 3, JUDGE_STEPS),
    "full": Grid(30_000, 400, 100, 20, 20, 20, 1000, 1500, 5, 10, JUDGE_STEPS),
}


class Context:
    """One evaluation of one bundle on the survey that it was made from.

    work: the folder of its finished stages. Raises SettingError for an unknown grid, SurveyError
    where the survey holds other galaxies than the bundle.
    """

    def __init__(self, bundle: Bundle, survey: Survey, work: Path, grid: str) -> None:
        if grid not in GRIDS:
            raise SettingError(f"--grid {grid}: unknown; choose {', '.join(GRIDS)}")
        check_survey(bundle, survey)
        self.bundle, self.survey, self.work = bundle, survey, work
        self.grid_name, self.grid = grid, GRIDS[grid]
        self.cache = StageCache(work / "stages")
        self.costs: dict[str, Cost] = {}

    @cached_property
    def splits(self) -> np.ndarray:
        """Split of each galaxy (N,), text."""
        return self.survey.column("split")

    @cached_property
    def ttype(self) -> np.ndarray:
        """T of each galaxy (N,), NaN where unknown."""
        return np.asarray(self.survey.column("ttype"), dtype=np.float64)

    @cached_property
    def ttype_class(self) -> np.ndarray:
        """Class of T of each galaxy (N,), 0 to 9, -1 unknown."""
        return np.asarray(self.survey.column("ttype_class"))

    @cached_property
    def labels(self) -> MorphologyLabels:
        """T, attributes and class of each galaxy, with their errors, as far as they are known."""
        survey = self.survey
        return labels_of(survey.column, survey.column_names, self.splits, ATTRIBUTES_KNOWN)

    @cached_property
    def enough_typed(self) -> bool:
        """Whether each split has galaxies enough with a T that varies, to learn T and to test."""
        return can_be_learnt(self.ttype, self.splits, dict.fromkeys(SPLITS, LEAST_TYPED))

    @cached_property
    def fit_rows(self) -> np.ndarray:
        """Catalogue rows of the training galaxies that clusterers see, drawn at random."""
        train = self.in_split("train")
        return np.sort(np.random.default_rng(0).permutation(train)[: self.grid.fit_rows])

    @cached_property
    def sample(self) -> np.ndarray:
        """Catalogue rows of all galaxies that are measured: `fit_rows`, validation and test.

        Of each of these two at most HELD_OUT, drawn at random.
        """
        rng = np.random.default_rng(1)
        held_out = [rng.permutation(self.in_split(split))[:HELD_OUT] for split in SPLITS[1:]]
        return np.sort(np.concatenate([self.fit_rows, *held_out]))

    def in_split(self, split: str) -> np.ndarray:
        """Catalogue rows of all galaxies of a split, measured or not, ascending."""
        return np.flatnonzero(self.splits == split)

    def rows(self, split: str, *, typed: bool = False) -> np.ndarray:
        """Catalogue rows of the sample in a split, with a T-type only if `typed`."""
        rows: np.ndarray = self.sample[self.splits[self.sample] == split]
        return rows[np.isfinite(self.ttype[rows])] if typed else rows

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Where catalogue rows lie in the sample."""
        return np.searchsorted(self.sample, rows)

    @cached_property
    def sample_key(self) -> dict[str, Any]:
        """What every stage depends on: pixels, catalogue, and the sizes of grid and sample."""
        bounded = any(len(self.in_split(split)) > HELD_OUT for split in SPLITS[1:])
        return {
            **({"held_out": HELD_OUT} if bounded else {}),
            "pixels": self.survey.meta["fingerprint"],
            "catalog": sha256_of(self.survey.path / CATALOG),
            "grid": repr(self.grid),
        }

    def stage(
        self, name: str, inputs: Mapping[str, Any], compute: Callable[[], StageResult]
    ) -> StageResult:
        """Run a stage or read its result; what it took is noted in `costs`."""

        def timed() -> StageResult:
            start = time.monotonic()
            result = compute()
            cost = {"seconds": round(time.monotonic() - start, 2), "peak_mib": peak_mib()}
            return StageResult(result.arrays, {**result.facts, "cost": cost})

        result = self.cache.get(name, {**self.sample_key, **inputs}, timed)
        self.costs[name] = Cost(name, **result.facts["cost"])
        return result


def copied(path: Path, out: Path) -> Path:
    """A copy of a bundle at `out`, which must not exist yet."""
    if out.exists():
        raise SettingError(f"--out {out}: exists already; give a new folder")
    shutil.copytree(path, out)
    return out


def peak_mib() -> float:
    """Largest memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


MAIN_CODES = (16, 512)  # the report's two ends, for which everything is measured


def is_clustered(config: AutoencoderConfig) -> bool:
    """Whether the features of a model are clustered: 64 of them, as in the report."""
    return AUTOENCODERS[config.kind].has_64_features(config.to_dict())


@dataclass(frozen=True)
class EvaluatedModel:
    """One trained autoencoder, with N galaxies in the order of the catalogue.

    codes: code maps (N, h, w), or latents (N, F) where it has no codebook. errors (N,): mean
    squared error of each reconstruction. variance: of the training pixels. key:
    SHA-256 of its weights. shipped: whether its weights are in the bundle.
    """

    name: str
    seed: int
    config: Any
    codes: np.ndarray
    errors: np.ndarray
    variance: float
    key: str
    shipped: bool
    load: Callable[[], Autoencoder]

    @property
    def words(self) -> str:
        """Its name and seed; no other training has both."""
        return f"{self.name} (seed {self.seed})"

    @property
    def has_maps(self) -> bool:
        """Whether galaxies are encoded as one map of codes."""
        return AUTOENCODERS[self.config.kind].has_compared_codes

    @property
    def num_embeddings(self) -> int | None:
        """Size of the codebook, None without one."""
        return getattr(self.config, "num_embeddings", None)

    @property
    def has_64_features(self) -> bool:
        """See `is_clustered`."""
        return is_clustered(self.config)

    @property
    def fully_evaluated(self) -> bool:
        """Whether the whole grid is measured on it."""
        return self.shipped and self.has_maps and self.num_embeddings in MAIN_CODES

    @cached_property
    def codebook(self) -> np.ndarray:
        """Code vectors (K, D) float32 of a model with one codebook."""
        return np.asarray(self.load().codebooks[0].cpu().numpy(), dtype=np.float32)

    @property
    def inputs(self) -> dict[str, Any]:
        """What a stage on this model depends on."""
        return {"model": self.name, "seed": self.seed, "weights": self.key}


def find_models(bundle: Bundle, replicas: list[Replica], seeds: int | None) -> list[EvaluatedModel]:
    """Models of the bundle, then further trainings of `replicas`, by name and seed.

    seeds: at most that many trainings of each model; None for all there are.
    """
    found, first = [], bundle.manifest.seed
    for name in bundle.models:
        entry = bundle.models[name]
        metrics = entry.metrics
        evaluated = EvaluatedModel(
            name=name,
            seed=first,
            config=bundle.load_model(name).config,
            codes=bundle.encoded(name),
            errors=bundle.column(f"{name}/error"),
            variance=metrics["mse"] / metrics["nmse"],
            key=bundle.manifest.files[entry.weights].sha256,
            shipped=True,
            load=partial(bundle.load_model, name),
        )
        found.append(evaluated)
    known = {(evaluated.name, evaluated.seed) for evaluated in found}
    for replica in replicas:
        too_many = seeds is not None and replica.seed - first >= seeds
        if (replica.name, replica.seed) in known or too_many:
            continue
        evaluated = EvaluatedModel(
            name=replica.name,
            seed=replica.seed,
            config=replica.config,
            codes=replica.codes,
            errors=replica.errors,
            variance=replica.training["variance"],
            key=replica.training["sha256"],
            shipped=False,
            load=replica.load,
        )
        found.append(evaluated)
    return sorted(found, key=lambda evaluated: (evaluated.name, evaluated.seed))
