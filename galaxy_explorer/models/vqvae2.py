"""The hierarchical VQ-VAE-2 (Razavi et al. 2019): a coarse map of codes and a fine one.

The top map (8 x 8) is quantized first; the bottom map (16 x 16) is made from the encoder's finer
features and what the top codes say; the decoder sees both. Layers are those of the VQ-VAE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from galaxy_explorer.models.layers import HIDDEN, Decoder, Encoder, LayerRow, layer_row
from galaxy_explorer.models.protocols import Autoencoder, StoredConfig
from galaxy_explorer.models.quantizer import EMAQuantizer


@dataclass(frozen=True)
class VQVAE2Config(StoredConfig):
    """What fixes the model's shape and loss; both levels have `num_embeddings` codes.

    Raises ValueError if the bottom map does not follow from the stamp by halving.
    """

    kind: ClassVar[str] = "vqvae2"
    code_dtype: ClassVar[str] = "uint16"
    eight_bit: ClassVar[bool] = True  # how its weights are stored, see `inference`

    stamp_size: int = 64
    channels: int = 1
    bottom_size: int = 16
    num_embeddings: int = 512
    embedding_dim: int = 64
    commitment_cost: float = 0.25

    def __post_init__(self) -> None:
        """Refuse shapes that the layers cannot have."""
        if self.stages < 1 or self.bottom_size << self.stages != self.stamp_size:
            raise ValueError(
                f"a map of {self.bottom_size} does not follow from a stamp of {self.stamp_size}"
                " by halving"
            )
        if self.bottom_size % 2:
            raise ValueError(f"a map of {self.bottom_size} has no half for the top level")

    @property
    def stages(self) -> int:
        """Number of stride-2 layers between stamp and bottom map."""
        return (self.stamp_size // self.bottom_size).bit_length() - 1

    @property
    def top_size(self) -> int:
        """Side of the top map."""
        return self.bottom_size // 2

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of what one stamp is encoded to: both maps, row by row, top first."""
        return (sum(self.code_counts),)

    @property
    def code_counts(self) -> tuple[int, ...]:
        """Codes of the top map, then of the bottom map."""
        return self.top_size**2, self.bottom_size**2

    @property
    def name(self) -> str:
        """Short name, such as k512-hierarchical-16x16."""
        return f"k{self.num_embeddings}-hierarchical-{self.bottom_size}x{self.bottom_size}"

    def code_maps(self, codes: Any) -> dict[str, Any]:
        """Bottom map (N, h, w) under "" and top map under "_top", of codes (N, F)."""
        count, top = self.top_size**2, self.top_size
        return {
            "": codes[:, count:].reshape(-1, self.bottom_size, self.bottom_size),
            "_top": codes[:, :count].reshape(-1, top, top),
        }


class Levels(NamedTuple):
    """Code vectors of both levels and, while training, what quantizing them costs."""

    top: Tensor  # (B, D, h / 2, w / 2)
    bottom: Tensor  # (B, D, h, w)
    code_indices: tuple[Tensor, Tensor]  # (B, h / 2, w / 2) and (B, h, w) int64
    encoded: tuple[Tensor, Tensor]  # the vectors before quantization, without gradient
    loss: Tensor  # scalar


class VQVAE2(Autoencoder):
    """Two encoders, two codebooks, one decoder that sees both maps."""

    config: VQVAE2Config

    def __init__(self, config: VQVAE2Config) -> None:
        super().__init__()
        self.config = config
        size, beta = config.embedding_dim, config.commitment_cost
        self.bottom_encoder = Encoder(config.channels, HIDDEN, config.stages)
        self.top_encoder = Encoder(HIDDEN, size, 1)
        self.top_quantizer = EMAQuantizer(config.num_embeddings, size, beta)
        self.top_decoder = Decoder(size, size, 1)  # (B, D, h / 2, w / 2) to (B, D, h, w)
        self.to_code = nn.Conv2d(HIDDEN + size, size, 1)
        self.bottom_quantizer = EMAQuantizer(config.num_embeddings, size, beta)
        self.upsample = nn.ConvTranspose2d(size, size, 4, stride=2, padding=1)
        self.decoder = Decoder(config.channels, 2 * size, config.stages)

    @property
    def quantizers(self) -> tuple[EMAQuantizer, EMAQuantizer]:
        """Of the top level, then of the bottom level."""
        return self.top_quantizer, self.bottom_quantizer

    @property
    def codebooks(self) -> tuple[Tensor, ...]:
        """Code vectors (K, D) of the top level, then of the bottom level."""
        return tuple(quantizer.codebook.detach() for quantizer in self.quantizers)

    def encode_top(self, stamps: Tensor) -> tuple[Tensor, Tensor]:
        """Fine features (B, 128, h, w) and top vectors before quantization (B, D, h/2, w/2)."""
        fine = self.bottom_encoder(stamps)
        return fine, self.top_encoder(fine)

    def encode_bottom(self, fine: Tensor, top: Tensor) -> Tensor:
        """Bottom vectors before quantization (B, D, h, w), given the top code vectors."""
        coarse = self.top_decoder(top)
        vectors: Tensor = self.to_code(torch.cat([fine, coarse.to(fine.dtype)], 1))
        return vectors

    def quantize(self, stamps: Tensor) -> Levels:
        """Both levels of stamps (B, C, S, S)."""
        fine, top_encoded = self.encode_top(stamps)
        top = self.top_quantizer(top_encoded)
        bottom_encoded = self.encode_bottom(fine, top.vectors)
        bottom = self.bottom_quantizer(bottom_encoded)
        return Levels(
            top=top.vectors,
            bottom=bottom.vectors,
            code_indices=(top.code_indices, bottom.code_indices),
            encoded=(top_encoded.detach(), bottom_encoded.detach()),
            loss=top.loss + bottom.loss,
        )

    def encode(self, stamps: Tensor) -> Tensor:
        """Code indices (B, F) of stamps (B, C, S, S): top map, then bottom map, row by row."""
        return torch.cat([level.flatten(1) for level in self.quantize(stamps).code_indices], 1)

    def vectors(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Code vectors of top (B, D, h/2, w/2) and bottom (B, D, h, w) of codes (B, F)."""
        maps = self.config.code_maps(codes)
        return self.top_quantizer.lookup(maps["_top"]), self.bottom_quantizer.lookup(maps[""])

    def decode_vectors(self, *levels: Tensor) -> Tensor:
        """Stamps (B, C, S, S) of vectors of top (B, D, h/2, w/2) and bottom (B, D, h, w)."""
        top, bottom = levels
        both = torch.cat([self.upsample(top).to(bottom.dtype), bottom], 1)
        stamps: Tensor = self.decoder(both)
        return stamps

    def decode(self, codes: Tensor) -> Tensor:
        """Stamps (B, C, S, S) drawn from codes (B, F)."""
        return self.decode_vectors(*self.vectors(codes))

    def features(self, codes: Tensor) -> Tensor:
        """Code vectors (B, V) of both levels of codes (B, F), the top level first."""
        return torch.cat([level.flatten(1) for level in self.vectors(codes)], 1)

    def layer_table(self) -> list[LayerRow]:
        """All layers with weights, by their names in the model."""
        convolutions = (nn.Conv2d, nn.ConvTranspose2d)
        named = [(n, m) for n, m in self.named_modules() if isinstance(m, convolutions)]
        return [layer_row(name, module, "") for name, module in named]
