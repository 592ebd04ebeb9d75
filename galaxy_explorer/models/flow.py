"""Flows: priors that turn normal deviates into what an autoencoder encodes galaxies to.

A neural spline flow over the latents of an autoencoder without a codebook. Autoregressive rational-
quadratic splines (Durkan et al. 2019) of the library zuko, each number of a galaxy through splines
that earlier numbers and the condition choose. Before them the latents are whitened by the principal
components of the training galaxies. The density is one over latents, in nats a galaxy: it compares
with no likelihood of code maps.

A rectified flow over the vectors of a VQ-VAE before they are quantized (Lipman et al. 2023; Liu et
al. 2023), as principal components, few of which hold nearly all of their variance. A transformer
over patches of the map sees a mixture of vectors and noise, x_t = t y + (1 - t) n, and predicts y;
samples follow the velocity (y - x_t) / (1 - t) from noise to vectors, and the codebook quantizes
them at the end, so that code maps are drawn.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from galaxy_explorer.models.inference import d4
from galaxy_explorer.models.layers import ConditionEncoder
from galaxy_explorer.models.protocols import Autoencoder, Prior, StoredConfig
from galaxy_explorer.models.quantizer import nearest_code

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


FITTED_VIEWS = 2048  # of training galaxies, whose vectors the principal components are fitted to
FIT_BATCH = 128
TIME_WAVES = 64
HIGHEST_WAVE = 1000.0
# What is left of the noise then is smaller than the distance from vectors to their codes: samples
# go to their end at once, and the likelihood of a map is bounded code by code.
LAST_TIME = 0.8
BOUND_DRAWS = 4  # of time and noise, for the likelihood of a map
NEAREST_END = 1 - LAST_TIME  # 1 - t, below which no error weighs more
# Of the logit of the times that training sees. Their median leaves noise .6 of the standard
# deviation of the largest component, which is about 3, and the spread is wide: as Karras et al.
# (2022) found for pictures. Less noise teaches detail, and discs without a whole.
TIME_MEAN, TIME_SPREAD = -0.6, 1.2
MEMORY = 20.0  # the averaged weights are those of the last 1 / MEMORY of the steps, or so
SLOWEST = 0.9995


@dataclass(frozen=True)
class RectifiedConfig(StoredConfig):
    """Everything that fixes the shape of a rectified flow; the defaults are the recipe `modern`.

    embedding_dim: of the code vectors; components: of these that are drawn. patch: side of the
    squares of the map that the transformer sees as one. steps: from noise to vectors, in sampling;
    8 draw nearly what 40 of Euler's method do.
    Raises ValueError for a shape that the layers cannot have.
    """

    kind: ClassVar[str] = "rectified"
    eight_bit: ClassVar[bool] = True  # how its weights are stored, see `inference`
    reads: ClassVar[str] = "int64"  # what log_prob is given

    height: int = 16
    width: int = 16
    num_embeddings: int = 512
    embedding_dim: int = 64
    components: int = 16
    patch: int = 2
    layers: int = 8
    features: int = 256
    heads: int = 8
    steps: int = 8
    n_fields: int = 1
    condition_dim: int = 128
    octaves: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.height % self.patch or self.width % self.patch:
            raise ValueError(f"patches of {self.patch} do not fill {self.height} x {self.width}")
        if self.features % self.heads:
            raise ValueError(f"{self.features} features are not shared by {self.heads} heads")
        if not 1 <= self.components <= self.embedding_dim:
            raise ValueError("components are 1 to embedding_dim")

    @property
    def tokens(self) -> int:
        """Patches of a map."""
        return self.height * self.width // self.patch**2


class EncodedViews:
    """The vectors of stamps before quantization, encoded when they are asked for.

    Indexed by galaxies (B,) and orientations (B,), like an array (N, 8, h, w, D) of all of them,
    which would fill the memory.
    """

    def __init__(self, model: Autoencoder, stamps: NDArray[np.floating[Any]]) -> None:
        """Stamps (N, C, S, S), stretched; kept in half precision."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = model.to(device).eval()
        self._stamps = np.asarray(stamps, np.float16)
        self._device = device
        codes = model.config.code_shape
        self.shape = (len(stamps), 8, *codes, model.codebooks[0].shape[1])

    @torch.no_grad()
    def __getitem__(self, at: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float32]:
        """Vectors (B, h, w, D)."""
        pairs = zip(*at, strict=True)
        stamps = np.stack([d4(self._stamps[row], int(turn)) for row, turn in pairs])
        seen = torch.from_numpy(stamps.astype(np.float32)).to(self._device)
        seen = seen.contiguous(memory_format=torch.channels_last)
        return self._model.unquantized(seen).float().movedim(1, -1).cpu().numpy()


class _AttentionBlock(nn.Module):
    """Attention among the patches, then two layers for each; both scaled by what is asked."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.seen = nn.Linear(features, 3 * features)
        self.joined = nn.Linear(features, features)
        self.wide = nn.Linear(features, 4 * features)
        self.narrow = nn.Linear(4 * features, features)
        self.asked = nn.Linear(features, 6 * features)
        nn.init.zeros_(self.asked.weight)
        nn.init.zeros_(self.asked.bias)

    def forward(self, x: Tensor, asked: Tensor) -> Tensor:
        """Patches (B, N, F), asked (B, F)."""
        count, tokens, features = x.shape
        parts = self.asked(functional.silu(asked))[:, None].chunk(6, -1)
        stretch, shift, opening, stretch_after, shift_after, opening_after = parts
        y = functional.layer_norm(x, (features,)) * (1 + stretch) + shift
        heads = self.seen(y).view(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        asking, told, values = heads.unbind(0)
        # Written out: for so few patches torch's fused attention takes a processor five times as
        # long backwards.
        alike = asking @ told.transpose(-2, -1) * asking.shape[-1] ** -0.5
        mixed = alike.softmax(-1) @ values
        x = x + opening * self.joined(mixed.transpose(1, 2).reshape(count, tokens, features))
        y = functional.layer_norm(x, (features,)) * (1 + stretch_after) + shift_after
        out: Tensor = x + opening_after * self.narrow(functional.gelu(self.wide(y)))
        return out


class _Denoiser(nn.Module):
    """Predicts vectors (B, h, w, P) from their mixture with noise, the time, and what is asked."""

    waves: Tensor

    def __init__(self, config: RectifiedConfig) -> None:
        super().__init__()
        self.config = config
        size, inside = config.features, config.components * config.patch**2
        self.encoder = ConditionEncoder(config)
        self.asked = nn.Linear(config.condition_dim, size)
        self.time = nn.Sequential(nn.Linear(2 * TIME_WAVES, size), nn.SiLU(), nn.Linear(size, size))
        waves = torch.exp(torch.linspace(0, math.log(HIGHEST_WAVE), TIME_WAVES))
        self.register_buffer("waves", waves, persistent=False)
        self.inward = nn.Linear(inside, size)
        self.position = nn.Parameter(0.02 * torch.randn(config.tokens, size))
        self.blocks = nn.ModuleList(
            _AttentionBlock(size, config.heads) for _ in range(config.layers)
        )
        self.last = nn.Linear(size, 2 * size)
        self.outward = nn.Linear(size, inside)
        for layer in (self.last, self.outward):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, mixed: Tensor, time: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """Mixed (B, h, w, P), time (B,) in [0, 1), values and states (B, F)."""
        angle = time[:, None] * self.waves
        told = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        told = told + self.asked(self.encoder(values, states))
        x = self.inward(self._patches(mixed)) + self.position
        for block in self.blocks:
            x = block(x, told)
        stretch, shift = self.last(functional.silu(told))[:, None].chunk(2, -1)
        x = functional.layer_norm(x, (x.shape[-1],)) * (1 + stretch) + shift
        return self._map(self.outward(x))

    @property
    def _patched(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.config.height // self.config.patch, self.config.width // self.config.patch

    def _patches(self, vectors: Tensor) -> Tensor:
        """(B, h, w, P) as (B, N, patch^2 P)."""
        c = self.config
        cut = vectors.view(
            -1, c.height // c.patch, c.patch, c.width // c.patch, c.patch, c.components
        )
        return cut.permute(0, 1, 3, 2, 4, 5).reshape(len(vectors), c.tokens, -1)

    def _map(self, patches: Tensor) -> Tensor:
        """The inverse of `_patches`."""
        c = self.config
        cut = patches.view(
            -1, c.height // c.patch, c.width // c.patch, c.patch, c.patch, c.components
        )
        return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, c.height, c.width, c.components)


class RectifiedFlow(Prior):
    """Draws code maps (h, w) as quantized vectors; bounds their likelihood.

    center (D,), axes (P, D), scale: components = axes (vector - center) / scale, of about one
    standard deviation on average; a common scale keeps the small components small. codebook (K, D).
    The weights that draw are a moving average of those that are trained.
    """

    config: RectifiedConfig
    center: Tensor
    axes: Tensor
    scale: Tensor
    codebook: Tensor
    trained: _Denoiser  # in training alone, from `begin` on

    def __init__(self, config: RectifiedConfig) -> None:
        super().__init__()
        self.config = config
        self.average = _Denoiser(config).requires_grad_(requires_grad=False)
        self.register_buffer("center", torch.zeros(config.embedding_dim))
        self.register_buffer("axes", torch.eye(config.components, config.embedding_dim))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("codebook", torch.zeros(config.num_embeddings, config.embedding_dim))

    @torch.no_grad()
    def begin(self, model: Autoencoder, codes: Any) -> None:
        """Take the codebook and the principal components of vectors of the training galaxies.

        codes: `EncodedViews` of them.
        """
        rng = np.random.default_rng(0)
        rows = rng.integers(codes.shape[0], size=FITTED_VIEWS)
        turns = rng.integers(codes.shape[1], size=FITTED_VIEWS)
        parts = [
            codes[rows[at : at + FIT_BATCH], turns[at : at + FIT_BATCH]]
            for at in range(0, FITTED_VIEWS, FIT_BATCH)
        ]
        vectors = np.concatenate(parts).reshape(-1, self.config.embedding_dim).astype(np.float64)
        center = vectors.mean(0)
        variance, axes = np.linalg.eigh(np.cov((vectors - center).T))
        kept = slice(None, -self.config.components - 1, -1)  # the largest first
        self.center.copy_(torch.from_numpy(center))
        self.axes.copy_(torch.from_numpy(np.ascontiguousarray(axes.T[kept])))
        self.scale.copy_(torch.tensor(math.sqrt(variance[kept].mean())))
        self.codebook.copy_(model.codebooks[0].cpu())
        self._in_half_precision()
        self._train_from_average()

    def go_on_from(self, trained: Prior) -> None:
        """Begin training where that of another flow of the same config ended."""
        super().go_on_from(trained)
        self._train_from_average()

    def _train_from_average(self) -> None:
        self.trained = copy.deepcopy(self.average).requires_grad_(requires_grad=True)

    def _in_half_precision(self) -> None:
        """As they are stored: what is trained on is what draws."""
        for part in (self.center, self.axes, self.scale, self.codebook):
            part.copy_(part.half().float())

    def components(self, vectors: Tensor) -> Tensor:
        """Vectors (..., D) as what is drawn, (..., P)."""
        found: Tensor = (vectors - self.center) @ self.axes.T / self.scale
        return found

    def codes_of(self, components: Tensor) -> Tensor:
        """The codes (B, h, w) nearest to the vectors of components (B, h, w, P)."""
        double = (part.double() for part in (components, self.scale, self.axes, self.center))
        drawn, scale, axes, center = double
        vectors = drawn * scale @ axes + center
        nearest = nearest_code(vectors.flatten(0, -2), self.codebook.double())
        return nearest.reshape(components.shape[:-1])

    def predicted(self, mixed: Tensor, time: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """What components (B, h, w, P) are expected under a mixture with noise at times (B,)."""
        found: Tensor = self.average(mixed, time, values, states)
        return found.to(mixed.dtype)

    def training_loss(self, codes: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """Mean squared error of the velocity for vectors (B, h, w, D), at a random time of each."""
        clean = self.components(codes)
        time = torch.sigmoid(TIME_MEAN + TIME_SPREAD * torch.randn(len(clean), device=clean.device))
        at = time[:, None, None, None]
        mixed = at * clean + (1 - at) * torch.randn_like(clean)
        error = self.trained(mixed, time, values, states).float() - clean
        loss: Tensor = (error / (1 - at).clamp(min=NEAREST_END)).square().mean()
        return loss

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Let the averaged weights follow those that are trained."""
        kept = min(SLOWEST, (step + 1) / (step + MEMORY))
        pairs = zip(self.average.parameters(), self.trained.parameters(), strict=True)
        for mean, now in pairs:
            mean.lerp_(now, 1 - kept)

    def log_prob(self, codes: Tensor, values: Tensor, states: Tensor) -> Tensor:
        """A lower bound (B,) of the log-likelihood of maps (B, h, w), in nats.

        That of the diffusion with the same predictions (Kingma et al. 2021): the squared error of
        the codes' components, weighted by t / (1 - t)^3 and integrated over t to LAST_TIME, and the
        cross-entropy of each code given the mixture there. Times and noise are the same for
        all conditions that are compared, BOUND_DRAWS of each galaxy.
        """
        clean = self.components(self.codebook)[codes]  # (B, h, w, P)
        generator = torch.Generator().manual_seed(0)
        reach = -math.log(1 - LAST_TIME)
        offsets = torch.rand(len(clean), generator=generator).to(clean.device)
        total = clean.new_zeros(len(clean))
        for number in range(BOUND_DRAWS):
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            time = 1 - torch.exp(-reach * (number + offsets) / BOUND_DRAWS)
            at = time[:, None, None, None]
            found = self.predicted(at * clean + (1 - at) * noise, time, values, states)
            error = (found - clean).square().sum((1, 2, 3))
            total = total + reach * time / (1 - time).square() * error / BOUND_DRAWS
        last = LAST_TIME * clean + (1 - LAST_TIME) * noise
        return self._log_share(last, codes) - total

    def _log_share(self, last: Tensor, codes: Tensor) -> Tensor:
        """Log-probability (B,) of codes (B, h, w), each by itself, at LAST_TIME."""
        centres = LAST_TIME * self.components(self.codebook)  # (K, P)
        shares = []
        for seen, these in zip(last, codes, strict=True):  # a galaxy at a time, for the memory
            far = torch.cdist(seen.flatten(0, 1), centres).square()  # (h w, K)
            logits = -far / (2 * (1 - LAST_TIME) ** 2)
            shares.append(-functional.cross_entropy(logits, these.flatten(), reduction="sum"))
        return torch.stack(shares)
