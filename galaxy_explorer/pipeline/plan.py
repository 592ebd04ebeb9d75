"""What a run will do: which survey, which models, which recipe; checked before hours are spent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.files import sha256_of
from galaxy_explorer.survey.store import CATALOG, Survey

if TYPE_CHECKING:
    from galaxy_explorer.models.recipes import Recipe
    from galaxy_explorer.models.vqvae import VQVAEConfig

DEFAULT_MODELS = (
    "k16-paper-8x8",
    "k16-modern-8x8",
    "k512-paper-8x8",
    "k512-modern-8x8",
    "k512-paper-16x16",
    "k512-modern-16x16",
)
MODEL_NAME = re.compile(r"k(\d{1,5})-([a-z]+)-(\d{1,4})x\3")
CLUSTERED_SIDE = 8  # the report clusters the 8 x 8 maps
FEATURES = ("index", "codes")
SPLITS = ("train", "validation", "test")
STEP_S = 0.1  # a training step on two CPU cores
CLUSTERING_S = 90.0  # one clustering with its map, for about 10,000 galaxies


@dataclass(frozen=True)
class Plan:
    """A run of the pipeline: inputs, outputs and choices."""

    survey: Survey
    out: Path
    name: str
    recipe: Recipe
    configs: tuple[VQVAEConfig, ...]
    seed: int

    @property
    def work(self) -> Path:
        """Folder of unfinished and finished stages, beside the bundle."""
        return self.out.with_name(f"{self.out.name}.work")

    @property
    def pixels(self) -> str:
        """Fingerprint of ids and stamps: what training and encoding depend on."""
        return str(self.survey.meta["fingerprint"])

    @property
    def catalog(self) -> str:
        """SHA-256 of the catalogue: what scores depend on besides."""
        return sha256_of(self.survey.path / CATALOG)

    @property
    def clusterings(self) -> list[str]:
        """Keys "<model>/<features>" of the clusterings to make."""
        small = [c.name for c in self.configs if c.map_size <= CLUSTERED_SIDE]
        return [f"{name}/{features}" for name in small for features in FEATURES]

    @property
    def minutes(self) -> float:
        """Rough duration on two CPU cores."""
        training = len(self.configs) * self.recipe.steps * STEP_S
        galaxies = len(self.survey) / 10_000
        return (training + len(self.clusterings) * CLUSTERING_S * max(galaxies, 0.3)) / 60

    def inputs(self, **further: Any) -> dict[str, Any]:
        """Key of a stage: the survey's pixels, the recipe, and `further`."""
        return {"pixels": self.pixels, "recipe": self.recipe.to_dict(), **further}


def make_plan(
    survey_path: Path,
    out: Path,
    *,
    recipe: str,
    models: tuple[str, ...] = DEFAULT_MODELS,
    seed: int = 0,
    name: str | None = None,
) -> Plan:
    """Check the request.

    Raises TrainingError for an unknown recipe or model or too few galaxies, SurveyError for a
    survey that cannot be opened.
    """
    from dataclasses import replace

    from galaxy_explorer.models.recipes import RECIPES

    if recipe not in RECIPES:
        raise TrainingError(f"--recipe {recipe}: unknown; choose {', '.join(RECIPES)}")
    survey = Survey.open(survey_path)
    _check_splits(survey)
    configs = tuple(_config(model, survey.meta) for model in dict.fromkeys(models))
    if not any(config.map_size <= CLUSTERED_SIDE for config in configs):
        raise TrainingError("--models: at least one 8x8 model is needed, for the clusters")
    out = Path(out).absolute()
    chosen = replace(RECIPES[recipe], seed=seed)
    return Plan(survey, out, name or out.name, chosen, configs, seed)


def _check_splits(survey: Survey) -> None:
    splits = survey.column("split")
    for split in SPLITS:
        count = int((splits == split).sum())
        if count < 2:
            raise TrainingError(
                f"{survey.path}: {count} galaxies in the {split} split; a few hundred are needed"
            )


def _config(name: str, meta: dict[str, Any]) -> VQVAEConfig:
    from galaxy_explorer.models.vqvae import VQVAEConfig

    match = MODEL_NAME.fullmatch(name)
    if match is None:
        raise TrainingError(f"--models {name}: a name such as k512-modern-8x8 is expected")
    try:
        return VQVAEConfig(
            stamp_size=meta["stamp_size"],
            channels=meta["channels"],
            map_size=int(match[3]),
            num_embeddings=int(match[1]),
            quantizer=match[2],
        )
    except ValueError as error:
        raise TrainingError(
            f"--models {name}: {error}; the clusters need maps of 8 x 8:"
            " ingest the stamps with --size 64"
        ) from None
