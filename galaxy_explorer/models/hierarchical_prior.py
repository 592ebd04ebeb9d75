"""A prior over both code maps of a VQ-VAE-2 (Razavi et al. 2019): top first, then bottom.

Two gated PixelCNNs. The top one draws the coarse map, asked for T and the other fields; the bottom
one draws the fine map, asked for the same, and given at every place what the whole top map says:
it enters before both gates of every layer, as the condition does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from galaxy_explorer.models.pixelcnn import PixelCNN, PriorConfig


@dataclass(frozen=True)
class HierarchicalConfig(PriorConfig):
    """The shape of both levels; height, width: of the bottom map, the top one has half of each.

    Raises ValueError for a shape that the layers cannot have.
    """

    kind: ClassVar[str] = "hierarchical"

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        super().__post_init__()
        if self.height % 2 or self.width % 2:
            raise ValueError("a bottom map of odd sides has no half for the top level")

    def level(self, *, top: bool) -> PriorConfig:
        """The config of one level's PixelCNN."""
        bottom = PriorConfig.from_dict(self.to_dict())
        return replace(bottom, height=self.height // 2, width=self.width // 2) if top else bottom


class CoarseEncoder(nn.Module):
    """Features of a whole coarse map for each place of the fine one.

    Codes are embedded; residual convolutions of reach 1, 2, 4, ... see as far as the map is wide.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        size, side = config.condition_dim, max(config.height, config.width)
        self.embedding = nn.Embedding(config.num_embeddings, size)
        reaches = [2**power for power in range(max(1, (side - 1).bit_length()))]
        self.layers = nn.ModuleList(
            nn.Conv2d(size, size, 3, padding=reach, dilation=reach) for reach in reaches
        )
        self.up = nn.ConvTranspose2d(size, size, 2, stride=2)

    def forward(self, codes: Tensor) -> Tensor:
        """Features (B, E, 2h, 2w) of codes (B, h, w)."""
        x = self.embedding(codes).movedim(-1, 1)
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        features: Tensor = self.up(x)
        return features


class HierarchicalPrior(nn.Module):
    """p(top | condition) p(bottom | top, condition); codes (B, F) are top, then bottom, by rows."""

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__()
        self.config = config
        self.top = PixelCNN(config.level(top=True))
        self.coarse = CoarseEncoder(self.top.config)
        self.bottom = PixelCNN(config.level(top=False))

    def start_from(self, top: Tensor, bottom: Tensor) -> None:
        """Let the embeddings start from the code vectors (K, D) of both levels."""
        self.top.start_from(top)
        self.bottom.start_from(bottom)

    def maps(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Top map (B, h/2, w/2) and bottom map (B, h, w) of codes (B, F)."""
        height, width = self.config.height, self.config.width
        count = height * width // 4
        top, bottom = codes[:, :count], codes[:, count:]
        return top.reshape(-1, height // 2, width // 2), bottom.reshape(-1, height, width)

    def log_prob(self, codes: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """Log-likelihood (B,) of both maps of codes (B, F), in nats."""
        top, bottom = self.maps(codes)
        above = self.top.log_prob(top, values, states)
        return above + self.bottom.log_prob(bottom, values, states, self.coarse(top))
