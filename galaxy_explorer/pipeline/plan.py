"""What a run will do: which survey, which models, which recipe; checked before hours are spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.models.registry import AUTOENCODERS, kind_of_name
from galaxy_explorer.survey.repeats import shared_galaxies
from galaxy_explorer.survey.store import CATALOG, Survey
from galaxy_explorer.utils.files import sha256_of

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import AutoencoderConfig
    from galaxy_explorer.models.training import Recipe


# What ships: both ends of the codebook sizes with both quantizers at the 8 x 8 that the report
# clusters, all six sizes of the better one, the finer maps for the pictures, both ConvAEs.
DEFAULT_MODELS = (
    "k16-paper-8x8",
    "k16-modern-8x8",
    "k32-modern-8x8",
    "k64-modern-8x8",
    "k128-modern-8x8",
    "k256-modern-8x8",
    "k512-paper-8x8",
    "k512-modern-8x8",
    "k512-paper-16x16",
    "k512-modern-16x16",
    "convae-conv",
    "convae-dense",
)
# What the study of the report needs besides; only their figures ship, for the size of the bundle.
STUDY_MODELS = (
    "k32-paper-8x8",
    "k64-paper-8x8",
    "k128-paper-8x8",
    "k256-paper-8x8",
    "k16-paper-16x16",
    "k16-modern-16x16",
    "k512-modern-4x4",
    "k512-modern-2x2",
    "k512-hierarchical-16x16",
)
SIZES = (16, 512, 64, 128, 32, 256)  # the ends of the trend first
# What is trained again with other seeds: everything that a claim about a trend in K rests on.
TREND_MODELS = (
    *(f"k{size}-modern-8x8" for size in SIZES),
    "convae-conv",
    "convae-dense",
    *(f"k{size}-paper-8x8" for size in SIZES),
)
MAX_SEEDS = 20
FEWEST_SHARED = 30
SPLITS = ("train", "validation", "test")
STEP_S = 0.1  # a training step on two CPU cores
ENCODING_S = 30.0  # encoding and drawing again 10,000 galaxies
PRIOR_S = 900.0  # a prior, with the eight orientations of every training galaxy
CLUSTERING_S = 90.0  # one clustering with its map, for about 10,000 galaxies


@dataclass(frozen=True)
class Plan:
    """A run of the pipeline: inputs, outputs and choices.

    configs: models that ship. extra_configs: models of which only the figures ship. seeds: how
    often the models of the trends are trained.
    """

    survey: Survey
    out: Path
    name: str
    recipe: Recipe
    configs: tuple[AutoencoderConfig, ...]
    seed: int
    extra_configs: tuple[AutoencoderConfig, ...] = ()
    seeds: int = 1
    aligned_with: tuple[Survey, ...] = ()

    @property
    def work(self) -> Path:
        """Folder of unfinished and finished stages, beside the bundle."""
        return self.out.with_name(f"{self.out.name}.work")

    @property
    def catalog(self) -> str:
        """SHA-256 of the catalogue: what scores depend on besides."""
        return sha256_of(self.survey.path / CATALOG)

    @property
    def clusterings(self) -> list[str]:
        """Keys "<model>/<features>" of the clusterings to make."""
        return [f"{c.name}/{features}" for c in self.configs for features in features_of(c)]

    @property
    def with_prior(self) -> list[str]:
        """Names of the models that get a prior: one, or none."""
        best = best_for_prior(self.configs)
        return [] if best is None else [best.name]

    def minutes_of(self, trainings: int) -> float:
        """Rough duration on two CPU cores of so many trainings and all clusterings."""
        galaxies = len(self.survey) / 10_000
        training = trainings * (self.recipe.steps * STEP_S + ENCODING_S * galaxies)
        clustering = len(self.clusterings) * CLUSTERING_S * max(galaxies, 0.3)
        prior = len(self.with_prior) * min(PRIOR_S, training)
        return (training + clustering + prior) / 60

    def with_seed(self, seed: int) -> Plan:
        """The plan of the models of the trends with another seed, in a folder of its own."""
        configs = tuple(config_of(name, self.survey.meta) for name in TREND_MODELS)
        recipe = replace(self.recipe, seed=seed)
        out = self.work / f"seed-{seed}"
        return replace(self, out=out, recipe=recipe, seed=seed, configs=configs, extra_configs=())

    def with_steps(self, steps: int) -> Plan:
        """The plan with so many steps of each autoencoder. Raises TrainingError for none."""
        if steps < 1:
            raise TrainingError(f"--steps {steps}: at least 1 is needed")
        return replace(self, recipe=replace(self.recipe, steps=steps))

    def inputs(self, **other: Any) -> dict[str, Any]:
        """Key of a stage: the survey, the recipe, and `other`."""
        return {"survey": self.survey.training_key, "recipe": self.recipe.to_dict(), **other}


def make_plan(
    survey_path: Path,
    out: Path,
    *,
    recipe: str,
    models: tuple[str, ...] = DEFAULT_MODELS,
    seed: int = 0,
    seeds: int = 1,
    name: str | None = None,
    aligned_with: Sequence[Path] = (),
) -> Plan:
    """Check the request; more than one of `seeds` adds the models of the study.

    Raises TrainingError for an unknown recipe or model or too few galaxies, SurveyError for a
    survey that cannot be opened.
    """
    from galaxy_explorer.models.training import RECIPES

    if recipe not in RECIPES:
        raise TrainingError(f"--recipe {recipe}: unknown; choose {', '.join(RECIPES)}")
    if not 1 <= seeds <= MAX_SEEDS:
        raise TrainingError(f"--seeds {seeds}: 1 to {MAX_SEEDS} are possible")
    survey = Survey.open(survey_path)
    for split in SPLITS:
        count = int((survey.column("split") == split).sum())
        if count < 2:
            raise TrainingError(
                f"{survey.path}: {count} galaxies in the {split} split; a few hundred are needed"
            )
    configs = tuple(config_of(model, survey.meta) for model in dict.fromkeys(models))
    if not any(features_of(config) for config in configs):
        raise TrainingError("--models: at least one 8x8 model is needed, for the clusters")
    study = dict.fromkeys(STUDY_MODELS) if seeds > 1 else {}
    extra = tuple(config_of(model, survey.meta) for model in study if model not in models)
    out = Path(out).absolute()
    chosen = replace(RECIPES[recipe], seed=seed)
    others = tuple(Survey.open(path) for path in aligned_with)
    for other in others:
        check_overlap(survey, other)
    return Plan(survey, out, name or out.name, chosen, configs, seed, extra, seeds, others)


def check_overlap(survey: Survey, other: Survey) -> None:
    """Raise TrainingError where two surveys have other stamps, or too few galaxies in common."""
    for field in ("stamp_size", "channels"):
        if other.meta[field] != survey.meta[field]:
            raise TrainingError(
                f"--aligned-with {other.path}: {field} {other.meta[field]}, of {survey.path}"
                f" {survey.meta[field]}; ingest it with the same bands and --size"
            )
    shared = shared_galaxies(survey, other)
    if len(shared.rows) < FEWEST_SHARED:
        raise TrainingError(
            f"--aligned-with {other.path}: {len(shared.rows)} galaxies in common with"
            f" {survey.path} ({shared.words}); at least {FEWEST_SHARED} are needed, with the same"
            " ids, a column same_as, or positions in both catalogues"
        )


def features_of(config: AutoencoderConfig) -> tuple[str, ...]:
    """The features by which the galaxies are clustered, of one model."""
    return AUTOENCODERS[config.kind].features(config.to_dict())


def best_for_prior(configs: Sequence[AutoencoderConfig]) -> AutoencoderConfig | None:
    """The model that gets a prior: the one with the largest codebook at 8 x 8.

    Of two of a size the quantizer `modern` is taken; without maps of 8 x 8 the model with the PSF
    layer.
    """
    ranks = [AUTOENCODERS[config.kind].prior_rank(config.to_dict()) for config in configs]
    ranked = [(rank, c) for rank, c in zip(ranks, configs, strict=True) if rank is not None]
    return max(ranked, key=lambda one: one[0], default=(None, None))[1]


def config_of(name: str, meta: Mapping[str, Any]) -> AutoencoderConfig:
    """The config of a model's name for stamps such as the survey's.

    Raises TrainingError for another name or a map that does not fit the stamps.
    """
    found = kind_of_name(name)
    if found is None:
        raise TrainingError(f"--models {name}: a name such as k512-modern-8x8 is expected")
    kind, fields = found
    shape = {"stamp_size": meta["stamp_size"], "channels": meta["channels"]}
    try:
        return kind.config_of({**kind.new, **shape, **fields})
    except ValueError as error:
        raise TrainingError(
            f"--models {name}: {error}; the clusters need maps of 8 x 8:"
            " ingest the stamps with --size 64"
        ) from None
