"""The stage of the model with the PSF layer: it needs truth and PSFs, which simulations have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.deconvolution.evaluation import PEAK_SN
from galaxy_explorer.deconvolution.observations import observe
from galaxy_explorer.errors import TrainingError
from galaxy_explorer.survey.store import Survey

if TYPE_CHECKING:
    from galaxy_explorer.models.psf_vqvae import PSFVQVAE, PSFVQVAEConfig
    from galaxy_explorer.models.psf_vqvae_training import Observations
    from galaxy_explorer.models.recipes import Recipe
    from galaxy_explorer.models.training import TrainingResult

NEEDED = ("truth", "psf")


def truth_and_psf(survey: Survey, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Un-convolved light (n, S, S) and PSFs (n, P, P), float32, of galaxies of a survey.

    Raises TrainingError where the survey has none.
    """
    if missing := [name for name in NEEDED if name not in survey.extra_names]:
        raise TrainingError(
            f"{survey.path}: no {missing[0]}; the model with the PSF layer learns from galaxies"
            " with known truth: make them with galaxy-explorer simulate --like candels"
        )
    truth, psf = survey.truth(rows)[:, 0], survey.extra_array("psf", rows)
    return truth.astype(np.float32), psf.astype(np.float32)


def observations(survey: Survey, split: str) -> Observations:
    """The galaxies of a split with their truth."""
    from galaxy_explorer.models.psf_vqvae_training import Observations

    rows = np.flatnonzero(survey.column("split") == split)
    truth, psf = truth_and_psf(survey, rows)
    names = ("sky", "sky_sigma", "electrons_per_flux")
    columns = (survey.column(name)[rows].astype(np.float32) for name in names)
    return Observations(survey.stamps(rows)[:, 0], truth, psf, *columns)


def train_with_psf(
    config: PSFVQVAEConfig, survey: Survey, folder: Path, recipe: Recipe
) -> tuple[PSFVQVAE, TrainingResult]:
    """Train on the train split; measure on the validation split how far the light is from truth.

    Raises TrainingError for a survey without truth or with PSFs of another size.
    """
    from galaxy_explorer.deconvolution.prior import measure_prior_error
    from galaxy_explorer.models.psf_vqvae_training import psf_recipe, train_psf_model

    train, validation = observations(survey, "train"), observations(survey, "validation")
    size = train.psf.shape[-1]
    if size != config.psf_size:
        raise TrainingError(
            f"{survey.path}: PSFs of {size} pixels where {config.psf_size} are needed"
        )
    model, result = train_psf_model(config, train, validation, folder, psf_recipe(recipe))
    sets = [
        (sn, observe(validation.truth, validation.psf, sn, seed=recipe.seed), validation.truth)
        for sn in PEAK_SN
    ]
    measure_prior_error(model.eval(), sets).store(model)
    return model, result
