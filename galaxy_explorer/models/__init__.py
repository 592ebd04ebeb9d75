"""Autoencoders and priors: what each kind is, how it is trained, what it encodes and draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.models.autoencoder_training import StampTask, train_model
    from galaxy_explorer.models.conditions import Condition, Draw, Field, condition_of, fit_fields
    from galaxy_explorer.models.convae import ConvAE, ConvAEConfig
    from galaxy_explorer.models.flow import FlowConfig, LatentFlow
    from galaxy_explorer.models.inference import (
        build_model,
        build_prior,
        config_from,
        decode_codes,
        encode_orbit,
        encode_stamps,
        load_prior,
        load_weights,
        prior_config,
        prior_log_prob,
        save_weights,
    )
    from galaxy_explorer.models.pixelcnn import (
        HierarchicalConfig,
        HierarchicalPrior,
        PixelCNN,
        PixelCNNConfig,
    )
    from galaxy_explorer.models.prior_training import PriorData, PriorRecipe, PriorTask, likelihood
    from galaxy_explorer.models.protocols import (
        Autoencoder,
        AutoencoderConfig,
        Prior,
        PriorConfig,
        PriorSampler,
        StoredConfig,
    )
    from galaxy_explorer.models.psf import PSFVQVAE, PSFConvolution, PSFVQVAEConfig
    from galaxy_explorer.models.quantizer import EMAQuantizer, GradientQuantizer, Quantizer
    from galaxy_explorer.models.registry import (
        AUTOENCODERS,
        PRIORS,
        AutoencoderKind,
        PriorKind,
        kind_of_name,
    )
    from galaxy_explorer.models.sampler import sampler_of
    from galaxy_explorer.models.training import RECIPES, Recipe, TrainingResult, train
    from galaxy_explorer.models.ttype_regressor import StoredRegressor, TTypeRegressor
    from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig
    from galaxy_explorer.models.vqvae2 import VQVAE2, VQVAE2Config

__all__ = [
    "AUTOENCODERS",
    "PRIORS",
    "PSFVQVAE",
    "RECIPES",
    "VQVAE",
    "VQVAE2",
    "Autoencoder",
    "AutoencoderConfig",
    "AutoencoderKind",
    "Condition",
    "ConvAE",
    "ConvAEConfig",
    "Draw",
    "EMAQuantizer",
    "Field",
    "FlowConfig",
    "GradientQuantizer",
    "HierarchicalConfig",
    "HierarchicalPrior",
    "LatentFlow",
    "PSFConvolution",
    "PSFVQVAEConfig",
    "PixelCNN",
    "PixelCNNConfig",
    "Prior",
    "PriorConfig",
    "PriorData",
    "PriorKind",
    "PriorRecipe",
    "PriorSampler",
    "PriorTask",
    "Quantizer",
    "Recipe",
    "StampTask",
    "StoredConfig",
    "StoredRegressor",
    "TTypeRegressor",
    "TrainingResult",
    "VQVAE2Config",
    "VQVAEConfig",
    "build_model",
    "build_prior",
    "condition_of",
    "config_from",
    "decode_codes",
    "encode_orbit",
    "encode_stamps",
    "fit_fields",
    "kind_of_name",
    "likelihood",
    "load_prior",
    "load_weights",
    "prior_config",
    "prior_log_prob",
    "sampler_of",
    "save_weights",
    "train",
    "train_model",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "autoencoder_training": (
            "StampTask",
            "train_model",
        ),
        "conditions": (
            "Condition",
            "Draw",
            "Field",
            "condition_of",
            "fit_fields",
        ),
        "convae": (
            "ConvAE",
            "ConvAEConfig",
        ),
        "flow": (
            "FlowConfig",
            "LatentFlow",
        ),
        "inference": (
            "build_model",
            "build_prior",
            "config_from",
            "decode_codes",
            "encode_orbit",
            "encode_stamps",
            "load_prior",
            "load_weights",
            "prior_config",
            "prior_log_prob",
            "save_weights",
        ),
        "pixelcnn": (
            "HierarchicalConfig",
            "HierarchicalPrior",
            "PixelCNN",
            "PixelCNNConfig",
        ),
        "prior_training": (
            "PriorData",
            "PriorRecipe",
            "PriorTask",
            "likelihood",
        ),
        "protocols": (
            "Autoencoder",
            "AutoencoderConfig",
            "Prior",
            "PriorConfig",
            "PriorSampler",
            "StoredConfig",
        ),
        "psf": (
            "PSFConvolution",
            "PSFVQVAE",
            "PSFVQVAEConfig",
        ),
        "quantizer": (
            "EMAQuantizer",
            "GradientQuantizer",
            "Quantizer",
        ),
        "registry": (
            "AUTOENCODERS",
            "AutoencoderKind",
            "PRIORS",
            "PriorKind",
            "kind_of_name",
        ),
        "sampler": ("sampler_of",),
        "training": (
            "RECIPES",
            "Recipe",
            "TrainingResult",
            "train",
        ),
        "ttype_regressor": (
            "StoredRegressor",
            "TTypeRegressor",
        ),
        "vqvae": (
            "VQVAE",
            "VQVAEConfig",
        ),
        "vqvae2": (
            "VQVAE2",
            "VQVAE2Config",
        ),
    },
)
