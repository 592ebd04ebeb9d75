"""The VQ-VAE of the report (section 2.1, Tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from galaxy_explorer.models.layers import Decoder, Encoder, LayerRow, layer_table
from galaxy_explorer.models.protocols import Autoencoder, StoredConfig
from galaxy_explorer.models.quantizer import QUANTIZERS


@dataclass(frozen=True)
class VQVAEConfig(StoredConfig):
    """Everything that fixes the model's shape and loss; the defaults are Table 2, SDSS.

    Raises ValueError if the map does not follow from the stamp by halving.
    """

    kind: ClassVar[str] = "vqvae"
    code_dtype: ClassVar[str] = "uint16"
    eight_bit: ClassVar[bool] = True  # how its weights are stored, see `inference`

    stamp_size: int = 64
    channels: int = 1
    map_size: int = 16
    num_embeddings: int = 512
    embedding_dim: int = 64
    commitment_cost: float = 0.25
    quantizer: str = "modern"

    def __post_init__(self) -> None:
        """Refuse shapes that the layers cannot have."""
        if self.quantizer not in QUANTIZERS:
            raise ValueError(f"quantizer {self.quantizer!r} is none of {sorted(QUANTIZERS)}")
        if self.stages < 1 or self.map_size << self.stages != self.stamp_size:
            raise ValueError(
                f"a map of {self.map_size} does not follow from a stamp of {self.stamp_size}"
                " by halving; 64 gives 32, 16, 8, 4, 2; 84 gives 42 and 21"
            )

    @property
    def stages(self) -> int:
        """Number of stride-2 layers on each side."""
        return (self.stamp_size // self.map_size).bit_length() - 1

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of what one stamp is encoded to."""
        return (self.map_size, self.map_size)

    @property
    def code_counts(self) -> tuple[int, ...]:
        """Codes of the one level."""
        return (self.map_size**2,)

    @property
    def name(self) -> str:
        """Short name, such as k512-modern-8x8."""
        return f"k{self.num_embeddings}-{self.quantizer}-{self.map_size}x{self.map_size}"

    def code_maps(self, codes: Any) -> dict[str, Any]:
        """The code maps (N, h, w) themselves, under ""."""
        return {"": codes}


class VQVAEOutput(NamedTuple):
    """One forward pass of stamps (B, C, S, S)."""

    reconstruction: Tensor  # (B, C, S, S)
    code_indices: Tensor  # (B, h, w) int64
    quantization_loss: Tensor  # scalar, codebook and commitment terms of eq. 3


class VQVAE(Autoencoder):
    """Encoder, quantizer, decoder."""

    config: VQVAEConfig

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.channels, config.embedding_dim, config.stages)
        self.quantizer = QUANTIZERS[config.quantizer](
            config.num_embeddings, config.embedding_dim, config.commitment_cost
        )
        self.decoder = Decoder(config.channels, config.embedding_dim, config.stages)

    @property
    def codebook(self) -> Tensor:
        """The code vectors, (K, D)."""
        return self.quantizer.codebook.detach()

    @property
    def codebooks(self) -> tuple[Tensor, ...]:
        """The one codebook."""
        return (self.codebook,)

    def forward(self, stamps: Tensor) -> VQVAEOutput:
        """Reconstruct stamps (B, C, S, S) through the codebook."""
        quantized = self.quantizer(self.encoder(stamps))
        reconstruction = self.decoder(quantized.vectors)
        return VQVAEOutput(reconstruction, quantized.code_indices, quantized.loss)

    def unquantized(self, stamps: Tensor) -> Tensor:
        """The vectors (B, D, h, w) of stamps (B, C, S, S) before the codebook takes their place."""
        vectors: Tensor = self.encoder(stamps)
        return vectors

    def encode(self, stamps: Tensor) -> Tensor:
        """Code indices (B, h, w) of stamps (B, C, S, S)."""
        code_indices: Tensor = self.quantizer.indices(self.encoder(stamps).float())
        return code_indices

    def decode(self, code_indices: Tensor) -> Tensor:
        """Stamps (B, C, S, S) drawn from code indices (B, h, w)."""
        return self.decode_vectors(*self.vectors(code_indices))

    def vectors(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Code vectors (B, D, h, w) of code indices (B, h, w)."""
        return (self.quantizer.lookup(codes),)

    def decode_vectors(self, *levels: Tensor) -> Tensor:
        """Stamps (B, C, S, S) drawn from any vectors (B, D, h, w), codes or not."""
        (vectors,) = levels
        stamps: Tensor = self.decoder(vectors)
        return stamps

    def features(self, codes: Tensor) -> Tensor:
        """Code vectors (B, h w D), place by place, of code indices (B, h, w)."""
        return self.codebook[codes].flatten(1)

    def layer_table(self) -> list[LayerRow]:
        """The layers as the report's Table 1 lists them."""
        return layer_table(self.encoder, self.decoder)
