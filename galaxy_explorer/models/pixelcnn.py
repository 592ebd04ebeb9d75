"""Gated PixelCNN over code maps (report, section 2.2; van den Oord et al. 2016).

Two stacks of masked convolutions, so that there is no blind spot: the vertical one sees all rows
above, the horizontal one the codes to the left. Codes enter as embedded indices, never as numbers.
What is asked for enters before both gates of every layer.

The prior over both code maps of a VQ-VAE-2 (Razavi et al. 2019) is two of them. The top one draws
the coarse map, asked for T and the other fields; the bottom one draws the fine map, asked for the
same, and given at every place what the whole top map says: it enters before both gates of every
layer, as the condition does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from galaxy_explorer.models.layers import ConditionEncoder
from galaxy_explorer.models.protocols import Autoencoder, Prior, StoredConfig


@dataclass(frozen=True)
class PixelCNNConfig(StoredConfig):
    """Everything that fixes the shape of a prior; the defaults are the recipe `modern`.

    Raises ValueError for a shape that the layers cannot have.
    """

    kind: ClassVar[str] = "pixelcnn"
    eight_bit: ClassVar[bool] = True  # how its weights are stored, see `inference`
    reads: ClassVar[str] = "int64"  # what log_prob is given

    height: int = 8
    width: int = 8
    num_embeddings: int = 512
    layers: int = 6
    features: int = 64
    first_kernel: int = 5
    kernel: int = 3
    dropout: float = 0.2
    n_fields: int = 1
    condition_dim: int = 64
    octaves: int = 4
    positions: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if min(self.height, self.width, self.num_embeddings, self.layers, self.features) < 1:
            raise ValueError("map, codebook, layers and features must be at least 1")
        if self.kernel % 2 == 0 or self.first_kernel % 2 == 0 or min(self.first_kernel, 3) < 3:
            raise ValueError("kernels must be odd, the first at least 3")
        if not 0 <= self.dropout < 1 or self.n_fields < 0 or self.octaves < 0:
            raise ValueError("dropout lies in [0, 1); fields and octaves are counts")


class GatedLayer(nn.Module):
    """One layer of both stacks. The first sees nothing of the code itself, and adds no residual."""

    def __init__(self, config: PixelCNNConfig, *, first: bool) -> None:
        super().__init__()
        features = config.features
        self.first, self.kernel = first, config.first_kernel if first else config.kernel
        reach = self.kernel // 2
        self.across = reach + (not first)  # columns that the horizontal stack sees
        self.vertical = nn.Conv2d(features, 2 * features, (reach + 1, self.kernel))
        self.horizontal = nn.Conv2d(features, 2 * features, (1, self.across))
        self.down = nn.Conv2d(2 * features, 2 * features, 1)  # from the row above
        self.out = nn.Conv2d(features, features, 1)
        self.condition = nn.Linear(config.condition_dim, 4 * features, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, v: Tensor, h: Tensor, asked: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Both stacks (B, C, h, w); what is asked (B, E), and the place (1 or B, E, h, w)."""
        reach = self.kernel // 2
        above, beside = self.bias(asked, place)
        seen = self.vertical(functional.pad(v, (reach, reach, reach, 0)))
        from_above = functional.pad(seen, (0, 0, 1, 0))[:, :, :-1]  # one row down: strictly above
        left = functional.pad(h, (reach, 0))
        left = left[..., : left.shape[-1] - 1] if self.first else left
        row = self.horizontal(left) + self.down(from_above) + beside
        inward = self.out(self.dropout(gate(row)))
        return v + gate(seen + above), inward if self.first else h + inward

    def bias(self, asked: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """What enters before the gates of the vertical and the horizontal stack, (B, 2C, h, w)."""
        everywhere = self.condition(asked)[:, :, None, None]
        here = self.condition(place.movedim(1, -1)).movedim(-1, 1)
        above, beside = (everywhere + here).chunk(2, 1)
        return above, beside


def gate(x: Tensor, dim: int = 1) -> Tensor:
    """Return tanh of one half of the features, times the sigmoid of the other."""
    signal, opening = x.chunk(2, dim)
    return signal.tanh() * opening.sigmoid()


class PixelCNN(Prior):
    """The prior p(codes | condition), code by code in raster order (report, eq. 4 and 5)."""

    config: PixelCNNConfig

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        features = config.features
        self.embedding = nn.Embedding(config.num_embeddings, features)
        self.encoder = ConditionEncoder(config)
        shape = (config.condition_dim, config.height, config.width)
        self.position = nn.Parameter(torch.zeros(shape), requires_grad=config.positions)
        self.layers = nn.ModuleList(
            GatedLayer(config, first=number == 0) for number in range(config.layers)
        )
        self.head = nn.Conv2d(features, 2 * features, 1)
        self.logits = nn.Conv2d(2 * features, config.num_embeddings, 1)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def stack(self) -> list[GatedLayer]:
        """The layers in order."""
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    def begin(self, model: Autoencoder, codes: NDArray[np.generic]) -> None:
        """The embedding starts from the codebook of the model."""
        del codes
        (codebook,) = model.codebooks
        self.start_from(codebook.cpu())

    @torch.no_grad()
    def start_from(self, codebook: Tensor) -> None:
        """Let the embedding start from code vectors (K, D), so that like codes begin alike."""
        standard = (codebook - codebook.mean(0)) / codebook.std()
        mixing = torch.empty(codebook.shape[1], self.config.features)
        nn.init.orthogonal_(mixing)
        self.embedding.weight.copy_(standard @ mixing)

    def forward(
        self, codes: Tensor, values: Tensor, states: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Logits (B, K, h, w) of codes (B, h, w); those at a place depend on earlier codes only.

        features (B, E, h, w): what else is known of each place, such as a coarser map.
        """
        place = self.place(features)
        v = h = self.embedding(codes).movedim(-1, 1)  # (B, C, h, w)
        asked = self.encoder(values, states)  # (B, E)
        for layer in self.layers:
            v, h = layer(v, h, asked, place)
        hidden = torch.relu(self.head(self.dropout(torch.relu(h))))
        logits: Tensor = self.logits(hidden)
        return logits

    def place(self, features: Tensor | None = None) -> Tensor:
        """What each place of the map is given, (1 or B, E, h, w): where it is, and its features."""
        here = self.position[None]
        return here if features is None else here + features

    def log_prob(
        self, codes: Tensor, values: Tensor, states: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Log-likelihood (B,) of maps (B, h, w), in nats, summed over the codes."""
        logits = self(codes, values, states, features).float()
        return -functional.cross_entropy(logits, codes, reduction="none").sum((1, 2))


@dataclass(frozen=True)
class HierarchicalConfig(PixelCNNConfig):
    """The shape of both levels; height, width: of the bottom map, the top one has half of each.

    Raises ValueError for a shape that the layers cannot have.
    """

    kind: ClassVar[str] = "hierarchical"

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        super().__post_init__()
        if self.height % 2 or self.width % 2:
            raise ValueError("a bottom map of odd sides has no half for the top level")

    def level(self, *, top: bool) -> PixelCNNConfig:
        """The config of one level's PixelCNN."""
        bottom = PixelCNNConfig.from_dict(self.to_dict())
        return replace(bottom, height=self.height // 2, width=self.width // 2) if top else bottom


class CoarseEncoder(nn.Module):
    """Features of a whole coarse map for each place of the fine one.

    Codes are embedded; residual convolutions of reach 1, 2, 4, ... see as far as the map is wide.
    """

    def __init__(self, config: PixelCNNConfig) -> None:
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


class HierarchicalPrior(Prior):
    """p(top | condition) p(bottom | top, condition); codes (B, F) are top, then bottom, by rows."""

    config: HierarchicalConfig

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__()
        self.config = config
        self.top = PixelCNN(config.level(top=True))
        self.coarse = CoarseEncoder(self.top.config)
        self.bottom = PixelCNN(config.level(top=False))

    def begin(self, model: Autoencoder, codes: NDArray[np.generic]) -> None:
        """The embeddings start from the codebooks of the model."""
        del codes
        top, bottom = model.codebooks
        self.start_from(top.cpu(), bottom.cpu())

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
