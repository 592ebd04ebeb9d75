"""A neural spline flow over the latents of an autoencoder without a codebook.

Autoregressive rational-quadratic splines (Durkan et al. 2019) of the library zuko, each number of
a galaxy through splines that earlier numbers and the condition choose. Before them the latents are
whitened by the principal components of the training galaxies. The density is one over latents, in
nats a galaxy: it compares with no likelihood of code maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from galaxy_explorer.models.layers import ConditionEncoder
from galaxy_explorer.models.protocols import Autoencoder, Prior, StoredConfig

# Of a principal component, relative to the largest and by itself: what hardly varies is not blown
# up, and the whitening fits into half precision, as the latents themselves do.
LEAST_SPREAD = 1e-4


@dataclass(frozen=True)
class FlowConfig(StoredConfig):
    """Everything that fixes the shape of a flow; the defaults are the recipe `modern`.

    bound: splines reach so far from 0, in standard deviations; what lies beyond is left as it is.
    Raises ValueError for a shape that the layers cannot have.
    """

    kind: ClassVar[str] = "flow"
    eight_bit: ClassVar[bool] = True  # how its weights are stored, see `inference`
    reads: ClassVar[str] = "float32"  # what log_prob is given

    latents: int = 64
    transforms: int = 3
    hidden: int = 192
    bins: int = 6
    bound: int = 8
    n_fields: int = 1
    condition_dim: int = 64
    octaves: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.latents < 2 or min(self.transforms, self.hidden, self.bound) < 1 or self.bins < 2:
            raise ValueError("latents and bins must be at least 2, everything else at least 1")
        if self.n_fields < 0 or self.octaves < 0 or self.condition_dim < 1:
            raise ValueError("fields and octaves are counts, the condition is at least 1 wide")


class LatentFlow(Prior):
    """The density p(latents | condition), exact, and draws from it.

    center (D,), whitening (D, D): whitened = whitening (latents - center).
    """

    config: FlowConfig
    center: Tensor
    whitening: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ConditionEncoder(config)
        self.splines = _splines(config)
        self.register_buffer("center", torch.zeros(config.latents))
        self.register_buffer("whitening", torch.eye(config.latents))

    @torch.no_grad()
    def start_from(self, latents: Tensor) -> None:
        """Whiten by the principal components of latents (N, D), the largest first."""
        known = latents.double()
        center = known.mean(0)
        spread, axes = torch.linalg.eigh(torch.cov((known - center).T))
        spread = spread.clamp(min=0).sqrt()
        spread = spread.clamp(min=LEAST_SPREAD * max(1.0, float(spread.max())))
        self.center.copy_(center)
        self.whitening.copy_((axes / spread).T.flip(0))

    def begin(self, model: Autoencoder, codes: NDArray[np.generic]) -> None:
        """Whiten by the latents of all views of the training galaxies."""
        del model
        latents = codes.reshape(-1, codes.shape[-1]).astype(np.float32)
        self.start_from(torch.from_numpy(latents))

    def figures(self, codes: NDArray[np.generic], nll: float) -> dict[str, float]:
        """`nll_gaussian`: of a Gaussian in place of the flow, nats a galaxy."""
        del nll
        latents = torch.from_numpy(codes.astype(self.config.reads)).to(self.center.device)
        return {"nll_gaussian": -float(self.gaussian_log_prob(latents).mean())}

    def misfit(self) -> str:
        """Weights made under other masks than those of the library are not these splines."""
        return "" if fits_masks(self) else "made with a release of zuko whose masks are others"

    def whitened(self, latents: Tensor) -> Tensor:
        """Latents (B, D) without correlations, each of about one standard deviation."""
        return (latents - self.center) @ self.whitening.T

    def log_prob(self, latents: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """Log-density (B,) of latents (B, D), in nats, asked for values (B, F), states (B, F)."""
        given = self.splines(self.encoder(values, states))
        density: Tensor = given.log_prob(self.whitened(latents)) + self._volume
        return density

    def gaussian_log_prob(self, latents: Tensor) -> Tensor:
        """The same (B,) of the Gaussian with the mean and covariance of the training galaxies."""
        squares = self.whitened(latents).square().sum(1)
        constant = 0.5 * self.config.latents * math.log(2 * math.pi)
        return self._volume - constant - 0.5 * squares

    @property
    def _volume(self) -> Tensor:
        """Log-determinant of the whitening."""
        volume: Tensor = torch.linalg.slogdet(self.whitening)[1]
        return volume

    def noise_of(self, latents: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """The normal deviates (B, D) that latents (B, D) are made from."""
        given = self.splines(self.encoder(values, states))
        deviates: Tensor = given.transform(self.whitened(latents))
        return deviates

    def made_from(self, noise: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """Latents (B, D) made from normal deviates (B, D); the inverse of `noise_of`."""
        given = self.splines(self.encoder(values, states))
        whitened: Tensor = given.transform.inv(noise)
        latents: Tensor = torch.linalg.solve(self.whitening, whitened.T).T + self.center
        return latents


def _splines(config: FlowConfig) -> Any:
    """The flow of the library; weights that its masks hide are zero, as `fits_masks` expects."""
    from zuko.flows import MAF
    from zuko.transforms import MonotonicRQSTransform

    splines = MAF(
        config.latents,
        config.condition_dim,
        transforms=config.transforms,
        hidden_features=[config.hidden] * 2,
        univariate=partial(MonotonicRQSTransform, bound=float(config.bound)),
        shapes=[(config.bins,), (config.bins,), (config.bins - 1,)],
    )
    with torch.no_grad():
        for weight, mask in _masked(splines):
            weight.mul_(mask)
    return splines


def _masked(splines: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weights and masks of the masked layers."""
    from zuko.nn import MaskedLinear

    layers = (layer for layer in splines.modules() if isinstance(layer, MaskedLinear))
    return [(layer.weight, layer.mask) for layer in layers]


def fits_masks(flow: LatentFlow) -> bool:
    """Whether the weights were made under the masks of this library: all others are zero."""
    return all(bool((weight[mask == 0] == 0).all()) for weight, mask in _masked(flow.splines))
