"""A prior for a bundle that is finished: trained on its own code maps, then put into it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.bundle_writer import add_prior_files
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.model_card import card_with_priors
from galaxy_explorer.pipeline.plan import best_for_prior
from galaxy_explorer.pipeline.prior import CodedSurvey, train_prior
from galaxy_explorer.survey.store import Survey


def add_prior(
    bundle_path: Path, survey_path: Path, *, model: str | None = None, recipe: str = "modern"
) -> str:
    """Train or resume a prior over a model's code maps or latents and put it into the bundle.

    Returns the model's name; by default it is the one that `galaxy-explorer train` gives a prior.
    Priors of other models stay. The training lies in BUNDLE.work. Raises TrainingError where the
    survey is not the bundle's, or for an unknown model or recipe.
    """
    from galaxy_explorer.models.prior_recipes import FLOW_RECIPES, PRIOR_RECIPES

    if recipe not in PRIOR_RECIPES:
        raise TrainingError(f"--recipe {recipe}: unknown; choose {', '.join(PRIOR_RECIPES)}")
    bundle, survey = load_bundle(bundle_path), Survey.open(survey_path)
    name = model or _chosen(bundle)
    if recipe not in FLOW_RECIPES and name in bundle.models and _is_latent(bundle, name):
        raise TrainingError(
            f"--recipe {recipe}: of code maps; for the latents of {name} choose"
            f" {', '.join(FLOW_RECIPES)}"
        )
    made = train_prior(coded_bundle(bundle, survey, name), recipe)
    card = partial(card_with_priors, bundle.card)
    add_prior_files(bundle_path, name, made.entry, made.weights.read_bytes(), card)
    return name


def coded_bundle(bundle: Bundle, survey: Survey, model: str) -> CodedSurvey:
    """The survey as a model of the bundle encodes it; work is kept in BUNDLE.work."""
    if bundle.manifest["survey"]["fingerprint"] != survey.meta["fingerprint"]:
        raise TrainingError(
            f"{survey.path}: not the survey that {bundle.path} was made from; give that one"
        )
    if model not in bundle.models:
        raise TrainingError(f"--model {model}: unknown; there are {', '.join(bundle.models)}")
    file = bundle.manifest["models"][model]["weights"]
    return CodedSurvey(
        survey=survey,
        model=model,
        weights=bundle.manifest["files"][file]["sha256"],
        codes=np.asarray(bundle.encoded(model)),
        num_embeddings=int(bundle.models[model].config.get("num_embeddings", 0)),
        load=lambda: bundle.load_model(model),
        work=bundle.path.absolute().with_name(f"{bundle.path.absolute().name}.work"),
    )


def _is_latent(bundle: Bundle, model: str) -> bool:
    return bool(bundle.encoded(model).dtype.kind == "f")


def _chosen(bundle: Bundle) -> str:
    from galaxy_explorer.models.kinds import config_from

    configs = [config_from(entry.kind, entry.config) for entry in bundle.models.values()]
    best = best_for_prior(configs)
    if best is None:
        raise TrainingError(f"{bundle.path}: no model with maps of 8 x 8 codes or a PSF layer")
    return best.name
