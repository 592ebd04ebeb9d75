"""The kinds of prior: which config, which network, by the name in a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from galaxy_explorer.models.flow import FlowConfig, LatentFlow
from galaxy_explorer.models.hierarchical_prior import HierarchicalConfig, HierarchicalPrior
from galaxy_explorer.models.pixelcnn import PixelCNN, PriorConfig

AnyConfig = PriorConfig | FlowConfig
Prior = PixelCNN | HierarchicalPrior | LatentFlow

PRIOR_CONFIGS: dict[str, type[AnyConfig]] = {
    config.kind: config for config in (PriorConfig, HierarchicalConfig, FlowConfig)
}


def prior_config(kind: str, values: Mapping[str, Any]) -> AnyConfig:
    """The config of a manifest entry; raises KeyError, TypeError or ValueError."""
    return PRIOR_CONFIGS[kind].from_dict(values)


def build_prior(config: AnyConfig, seed: int | None = None) -> Prior:
    """An untrained prior of a config; seed: of its weights, None: whatever torch has."""
    if seed is not None:
        torch.manual_seed(seed)
    if isinstance(config, FlowConfig):
        return LatentFlow(config)
    if isinstance(config, HierarchicalConfig):
        return HierarchicalPrior(config)
    return PixelCNN(config)
