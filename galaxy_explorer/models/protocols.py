"""What every autoencoder, every prior and their configs can do; the kinds are in `registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from galaxy_explorer.models.conditions import Draw
    from galaxy_explorer.models.layers import LayerRow


@dataclass(frozen=True)
class StoredConfig:
    """A config as plain values of a manifest, and back."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; raises TypeError or ValueError."""
        return cls(**values)


class StampRows(Protocol):
    """Stamps (N, C, S, S), float32 when they are indexed: an array, or what stands for one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, S, S)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]: ...


class AutoencoderConfig(Protocol):
    """What fixes the shape of an autoencoder; raises ValueError for one that cannot be built."""

    @property
    def kind(self) -> str:
        """Its key in `registry`."""

    @property
    def code_dtype(self) -> str:
        """Of what a stamp is encoded to: "uint16" of codes, "float16" of latents."""

    @property
    def eight_bit(self) -> bool:
        """Whether kernels are stored in eight bits, see `inference.rounded`."""

    @property
    def stamp_size(self) -> int:
        """Pixels of a side."""

    @property
    def channels(self) -> int:
        """Bands of a stamp."""

    @property
    def num_embeddings(self) -> int:
        """Codes of a codebook, 0 without one."""

    @property
    def name(self) -> str:
        """Short, such as k512-modern-8x8."""

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Of what one stamp is encoded to."""

    @property
    def code_counts(self) -> tuple[int, ...]:
        """Codes of each level, in their order in a flattened row; none of latents."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""

    def code_maps(self, codes: Any) -> dict[str, Any]:
        """The code maps (N, h, w) of codes (N, ...) by level: "" the finest; none of latents."""


class Autoencoder(nn.Module, ABC):
    """Stamps (B, C, S, S) to codes or latents (B, ...), and back."""

    config: AutoencoderConfig

    @abstractmethod
    def encode(self, stamps: Tensor) -> Tensor:
        """What stamps (B, C, S, S) are encoded to: codes (B, ...) int64 or latents (B, D)."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Stamps (B, C, S, S) drawn from codes or latents (B, ...)."""

    @property
    def codebooks(self) -> tuple[Tensor, ...]:
        """Code vectors (K, D) of each level, the coarsest first; none of latents."""
        return ()

    def vectors(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Code vectors (B, D, h, w) of each level of codes (B, ...), the coarsest first."""
        del codes
        raise TypeError(f"{self.config.name} has no map of code vectors")

    def unquantized(self, stamps: Tensor) -> Tensor:
        """The vectors (B, D, h, w) of stamps (B, C, S, S) before the codebook takes their place."""
        del stamps
        raise TypeError(f"{self.config.name} has no single map of code vectors")

    def decode_vectors(self, *levels: Tensor) -> Tensor:
        """Stamps (B, C, S, S) drawn from any vectors (B, D, h, w) of each level, codes or not."""
        del levels
        raise TypeError(f"{self.config.name} has no map of code vectors")

    def features(self, codes: Tensor) -> Tensor:
        """Numbers (B, V) float32 in which like galaxies are near: code vectors, or latents."""
        return codes.float().flatten(1)

    @abstractmethod
    def layer_table(self) -> list[LayerRow]:
        """The layers with their sizes and numbers of weights."""


class PriorConfig(Protocol):
    """What fixes the shape of a prior; raises ValueError for one that cannot be built."""

    @property
    def kind(self) -> str:
        """Its key in `registry`."""

    @property
    def eight_bit(self) -> bool:
        """Whether kernels are stored in eight bits, see `inference.rounded`."""

    @property
    def reads(self) -> str:
        """Number format of the codes that `log_prob` is given."""

    @property
    def n_fields(self) -> int:
        """Fields of the condition."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest."""


class Prior(nn.Module, ABC):
    """p(codes or latents | condition)."""

    config: PriorConfig

    @abstractmethod
    def log_prob(self, codes: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """Log-likelihood (B,) of codes or latents (B, ...), in nats a galaxy.

        values, states (B, F): the condition, see `conditions.Condition`.
        """

    def begin(self, model: Autoencoder, codes: Any) -> None:
        """Begin training with what is known: the model, and its codes (N, V, ...) of galaxies.

        codes: an array, or what the kind's `views` makes.
        """

    def go_on_from(self, trained: Prior) -> None:
        """Begin training where that of another prior of the same config ended."""
        self.load_state_dict(trained.state_dict())

    def training_loss(self, codes: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """What training lowers, of codes or latents (B, ...): the negative log-likelihood, in nats
        a code or latent, where it can be had.
        """
        return -self.log_prob(codes, values, states).mean() / codes[0].numel()

    def follow(self, step: int) -> None:
        """Anything that follows the optimiser's step 0, 1, ..., such as averages of the weights."""

    def figures(self, codes: NDArray[np.generic], nll: float) -> dict[str, float]:
        """Held-out figures of this kind alone, of codes (n, ...) of `nll` nats a galaxy."""
        return {"bits": nll / (codes[0].size * float(np.log(2)))}

    def misfit(self) -> str:
        """Why weights that were loaded cannot be used; "" where they can."""
        return ""


class PriorSampler(Protocol):
    """Draws from a prior."""

    def codes(self, draw: Draw, cancelled: Callable[[], bool] = ...) -> NDArray[np.generic] | None:
        """Codes or latents (n, ...), None where cancelled; a function of seed and number alone."""


class StreamingSampler(PriorSampler, Protocol):
    """Draws code maps and shows them on the way, as kinds of prior that stream do."""

    def stages(
        self, draw: Draw, cancelled: Callable[[], bool] = ...
    ) -> Iterator[tuple[float, NDArray[np.int64]]]:
        """Share that is done, 1 at the end, and the code maps (n, h, w) then.

        -1 where no code is known yet. Ends early where cancelled.
        """
