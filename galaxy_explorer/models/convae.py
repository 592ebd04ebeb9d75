"""The two convolutional autoencoders without a codebook that the report compares (section 4.3.2).

Both take 64 features from a stamp, as the VQ-VAE with a map of 8 x 8 does. `conv` has four more
convolutions, of 64, 16, 4 and 1 filters, in place of the residual stack; `dense` has one more
convolution, of 64 filters, and dense layers. Decoders are the encoders mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from galaxy_explorer.models.layers import (
    FIRST,
    HIDDEN,
    LayerRow,
    doubling_convolutions,
    halving_convolutions,
    layer_row,
)
from galaxy_explorer.models.protocols import Autoencoder, StoredConfig

MAP_SIZE = 8  # side of the innermost map
LATENTS = 64
FILTERS = {"conv": (64, 16, 4, 1), "dense": (64,)}
DENSE = {"conv": (), "dense": (1024, 256, LATENTS)}


@dataclass(frozen=True)
class ConvAEConfig(StoredConfig):
    """What fixes the model's shape. design: "conv" or "dense".

    Raises ValueError if the innermost map does not follow from the stamp by halving.
    """

    kind: ClassVar[str] = "convae"
    code_dtype: ClassVar[str] = "float16"
    eight_bit: ClassVar[bool] = True  # how its weights are stored, see `inference`
    num_embeddings: ClassVar[int] = 0  # no codebook

    design: str
    stamp_size: int = 64
    channels: int = 1

    def __post_init__(self) -> None:
        """Refuse shapes that the layers cannot have."""
        if self.design not in FILTERS:
            raise ValueError(f"design {self.design!r} is none of {sorted(FILTERS)}")
        if self.stages < 1 or MAP_SIZE << self.stages != self.stamp_size:
            raise ValueError(
                f"a map of {MAP_SIZE} does not follow from a stamp of {self.stamp_size} by halving"
            )

    @property
    def stages(self) -> int:
        """Number of stride-2 layers on each side."""
        return (self.stamp_size // MAP_SIZE).bit_length() - 1

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of what one stamp is encoded to."""
        return (LATENTS,)

    @property
    def code_counts(self) -> tuple[int, ...]:
        """No codes."""
        return ()

    @property
    def name(self) -> str:
        """convae-conv or convae-dense."""
        return f"convae-{self.design}"

    def code_maps(self, codes: Any) -> dict[str, Any]:
        """No map of codes."""
        del codes
        return {}


class ConvAE(Autoencoder):
    """Stamps to 64 real numbers and back.

    The flattened map of 8 x 8 x 64 = 4096 is taken as the report's dense layer of 4096: a full
    4096 x 4096 matrix on either side would be nine tenths of all weights and change no size.
    """

    config: ConvAEConfig

    def __init__(self, config: ConvAEConfig) -> None:
        super().__init__()
        self.config = config
        filters = FILTERS[config.design]
        sizes = (filters[-1] * MAP_SIZE**2, *DENSE[config.design])  # 64, or 4096 to 64
        self.down = halving_convolutions(config.channels, config.stages)
        self.conv = nn.Conv2d(HIDDEN if config.stages > 1 else FIRST, HIDDEN, 3, padding=1)
        self.narrow = _convolutions((HIDDEN, *filters))
        self.dense = _linears(sizes)
        self.undense = _linears(sizes[::-1])
        self.widen = _convolutions((*filters[::-1], HIDDEN))
        self.up = doubling_convolutions(config.channels, config.stages)

    def encode(self, stamps: Tensor) -> Tensor:
        """Latents (B, 64) of stamps (B, C, S, S); the last layer is linear."""
        x = stamps
        for layer in (*self.down, self.conv, *self.narrow[:-1]):
            x = torch.relu(layer(x))
        x = self.narrow[-1](x).flatten(1)  # (B, 64) or (B, 4096)
        for dense in self.dense:
            x = dense(torch.relu(x))
        latents: Tensor = x.float()  # (B, 64)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Stamps (B, C, S, S) drawn from latents (B, 64); the last layer is linear."""
        x = latents
        for dense in self.undense:
            x = torch.relu(dense(x))
        x = x.reshape(len(x), -1, MAP_SIZE, MAP_SIZE)  # (B, 1 or 64, 8, 8)
        for layer in (*self.widen, *self.up[:-1]):
            x = torch.relu(layer(x))
        stamps: Tensor = self.up[-1](x)
        return stamps

    def forward(self, stamps: Tensor) -> Tensor:
        """Reconstruct stamps (B, C, S, S)."""
        return self.decode(self.encode(stamps))

    def layer_table(self) -> list[LayerRow]:
        """The layers in the order in which a stamp meets them."""
        inward = [*self.down, self.conv, *self.narrow, *self.dense]
        outward = [*self.undense, *self.widen, *self.up]
        linear = {id(inward[-1]), id(outward[-1])}
        counts: dict[str, int] = {}
        rows = []
        for layer in (*inward, *outward):
            kind = type(layer).__name__.replace("2d", "2D").replace("Linear", "Dense")
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
            rows.append(layer_row(name, layer, "" if id(layer) in linear else "ReLu"))
        return rows


def _convolutions(widths: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))


def _linears(sizes: tuple[int, ...]) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
