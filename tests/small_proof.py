"""A bundle of a small survey with autoencoders that were hardly trained and the shortest prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_explorer.bundle.writer import BundleContents, save_bundle
from galaxy_explorer.models.convae import ConvAEConfig
from galaxy_explorer.models.inference import build_model, encode_stamps, load_weights, save_weights
from galaxy_explorer.models.vqvae import VQVAEConfig
from galaxy_explorer.pipeline.prior import CodedSurvey, train_prior
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import sha256_of
from tests import small_bundle

COLUMNS = ("galaxy_id", "ra", "dec", "ttype", "ttype_class", "source", "split")


def write_proof_bundle(path: Path, survey: Survey, further: tuple = ()) -> Path:
    """Write the bundle of a survey to `path`, one model with codes, one without; seconds.

    further: configs of more models.
    """
    import torch

    work = path.with_name(f"{path.name}.work")
    (work / "weights").mkdir(parents=True)
    columns = {name: survey.column(name) for name in COLUMNS if name in survey.column_names}
    columns |= {name: np.zeros(len(survey)) for name in COLUMNS if name not in columns}
    weights, codes, models = {}, {}, {}
    coded = VQVAEConfig(map_size=8, num_embeddings=16, quantizer="modern")
    for config in (coded, ConvAEConfig("conv"), *further):
        torch.manual_seed(0)
        name, made = config.name, build_model(config)
        weights[name] = work / "weights" / f"{name}.safetensors"
        save_weights(_drawn_from(made, survey) if config is coded else made, weights[name])
        codes[name] = encode_stamps(load_weights(config, weights[name]), survey.model_input())
        models[name] = small_bundle._training(config)
        columns[f"{name}/error"] = np.full(len(survey), 1e-3, np.float32)
    arrays: dict = {}
    clusterings: dict = {}
    rng, key = np.random.default_rng(0), f"{coded.name}/codes"
    small_bundle._add_clustering(key, columns, arrays, clusterings, rng)
    named = (survey, coded.name, sha256_of(weights[coded.name]), codes[coded.name], coded)
    load = lambda: load_weights(coded, weights[coded.name])  # noqa: E731
    prior = train_prior(CodedSurvey(*named, load, work), "tiny")
    manifest = small_bundle._manifest(path.name, len(survey), models, clusterings)
    manifest["survey"] |= {key: survey.meta[key] for key in ("name", "fingerprint")}
    manifest |= {"default_clustering": key, "display_model": coded.name}
    manifest["priors"] = {f"{coded.name}/pixelcnn": prior.entry}
    priors = {f"{coded.name}/pixelcnn": prior.weights}
    return save_bundle(
        path,
        BundleContents(manifest, columns, weights, codes, arrays, small_bundle._card, priors),
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
