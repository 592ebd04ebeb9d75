"""The kinds of autoencoder: which config, which model, by the name in a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galaxy_explorer.models.convae import ConvAE, ConvAEConfig
from galaxy_explorer.models.psf_vqvae import PSFVQVAE, PSFVQVAEConfig
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig
from galaxy_explorer.models.vqvae2 import VQVAE2, VQVAE2Config

Config = VQVAEConfig | ConvAEConfig | VQVAE2Config
Model = VQVAE | ConvAE | VQVAE2

CONFIGS: dict[str, type[Config]] = {
    config.kind: config for config in (VQVAEConfig, ConvAEConfig, VQVAE2Config, PSFVQVAEConfig)
}


def config_from(kind: str, values: Mapping[str, Any]) -> Config:
    """The config of a manifest entry; raises KeyError, TypeError or ValueError."""
    return CONFIGS[kind].from_dict(values)


def build_model(config: Config) -> Model:
    """An untrained model of a config."""
    if isinstance(config, ConvAEConfig):
        return ConvAE(config)
    if isinstance(config, PSFVQVAEConfig):
        return PSFVQVAE(config)
    return VQVAE2(config) if isinstance(config, VQVAE2Config) else VQVAE(config)
