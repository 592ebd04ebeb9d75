"""A bundle of a small survey with an autoencoder that was hardly trained and the shortest prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.bundle_writer import BundleContents, save_bundle
from galaxy_explorer.files import sha256_of
from galaxy_explorer.models.inference import encode_stamps, load_weights, save_weights
from galaxy_explorer.models.kinds import build_model
from galaxy_explorer.models.vqvae import VQVAEConfig
from galaxy_explorer.pipeline.prior import CodedSurvey, train_prior
from galaxy_explorer.survey.store import Survey
from tests import small_bundle

COLUMNS = ("galaxy_id", "ra", "dec", "ttype", "ttype_class", "source", "split")


def write_proof_bundle(path: Path, survey: Survey) -> Path:
    """Write the bundle of a survey to `path`; seconds."""
    import torch

    work = path.with_name(f"{path.name}.work")
    config = VQVAEConfig(map_size=8, num_embeddings=16, quantizer="modern")
    torch.manual_seed(0)
    weights = work / "weights" / f"{config.name}.safetensors"
    weights.parent.mkdir(parents=True)
    save_weights(_drawn_from(build_model(config), survey), weights)
    model = load_weights(config, weights)
    codes = encode_stamps(model, survey.model_input())
    columns = {name: survey.column(name) for name in COLUMNS if name in survey.column_names}
    n = len(codes)
    columns |= {name: np.zeros(n) for name in COLUMNS if name not in columns}
    columns[f"{config.name}/error"] = np.full(n, 1e-3, np.float32)
    arrays: dict = {}
    clusterings: dict = {}
    rng, key = np.random.default_rng(0), f"{config.name}/codes"
    small_bundle._add_clustering(key, columns, arrays, clusterings, rng)
    coded = CodedSurvey(survey, config.name, sha256_of(weights), codes, 16, lambda: model, work)
    prior = train_prior(coded, "tiny")
    models = {config.name: small_bundle._training(config)}
    manifest = small_bundle._manifest(path.name, n, models, clusterings)
    manifest["survey"] |= {key: survey.meta[key] for key in ("name", "fingerprint")}
    manifest |= {"default_clustering": key, "display_model": config.name}
    manifest["priors"] = {config.name: prior.entry}
    named = {config.name: weights}, {config.name: codes}
    priors = {config.name: prior.weights}
    return save_bundle(
        path, BundleContents(manifest, columns, *named, arrays, small_bundle._card, priors)
    )


def _drawn_from(model, survey: Survey):
    """The model with code vectors taken from what its encoder makes of the survey."""
    import torch

    stamps = torch.from_numpy(survey.model_input(np.arange(40)))
    with torch.inference_mode():
        vectors = model.encoder(stamps).movedim(1, -1).flatten(0, -2)  # (n, D)
    distinct = vectors[torch.randperm(len(vectors))[: model.config.num_embeddings]]
    model.quantizer.codebook.data.copy_(distinct)
    return model.eval()
