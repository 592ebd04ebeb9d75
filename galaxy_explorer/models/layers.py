"""Encoder and decoder of the report, Table 1, for any number of stride-2 stages.

Two stages bring 64x64 to 16x16 (or 84x84 to 21x21); a third, of kernel 4 and stride 2 on each
side, gives the 8x8 clustering variant (report, section 4.3.1).

The condition encoder makes one vector of what a prior is asked for: any fields of the catalogue,
any of them left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from galaxy_explorer.models.conditions import GIVEN, UNKNOWN

HIDDEN = 128  # features inside the autoencoder
FIRST = 64  # features of the outermost convolutions
RESIDUAL = 32  # features of the 3x3 convolution of a residual block
RESIDUAL_BLOCKS = 2  # "Residual layers" of Table 2


class ResidualBlock(nn.Module):
    """ReLU, 3x3 to 32 features, ReLU, 1x1 back to 128, added to the input (Table 1, ResNets)."""

    def __init__(self, features: int = HIDDEN, hidden: int = RESIDUAL) -> None:
        super().__init__()
        self.conv_res1 = nn.Conv2d(features, hidden, 3, padding=1)
        self.conv_res2 = nn.Conv2d(hidden, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus its residual, (B, 128, h, w) to (B, 128, h, w)."""
        residual: Tensor = self.conv_res2(torch.relu(self.conv_res1(torch.relu(x))))
        return x + residual


def _residual_stack() -> nn.Sequential:
    blocks = [ResidualBlock() for _ in range(RESIDUAL_BLOCKS)]
    return nn.Sequential(*blocks, nn.ReLU())


def halving_convolutions(channels: int, stages: int) -> nn.ModuleList:
    """Stride-2 convolutions from stamps (B, C, S, S) to (B, 128, h, w); of one stage, to 64."""
    widths = [channels, FIRST] + [HIDDEN] * (stages - 1)
    return nn.ModuleList(
        nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1) for fan_in, fan_out in pairwise(widths)
    )


UPSAMPLINGS = ("transposed", "resized")
"""How a decoder doubles a map: as Table 1, or without a grid, see `ResizeConvolution`."""


def doubling_convolutions(
    channels: int, stages: int, upsampling: str = "transposed"
) -> nn.ModuleList:
    """Convolutions from (B, 128, h, w) to stamps (B, C, S, S), one of UPSAMPLINGS."""
    widths = [HIDDEN] * max(1, stages - 1) + [FIRST] * (stages > 1) + [channels]
    if upsampling == "resized":
        return nn.ModuleList(ResizeConvolution(*both) for both in pairwise(widths))
    return nn.ModuleList(
        nn.ConvTranspose2d(fan_in, fan_out, 4, stride=2, padding=1)
        for fan_in, fan_out in pairwise(widths)
    )


class ResizeConvolution(nn.Conv2d):
    """Twice the size by bilinear interpolation, then a 3x3 convolution.

    A transposed convolution of stride 2 has kernels of its own for even and odd pixels, which it
    must learn to be alike, or the pixels of its output make a grid (Odena et al. 2016,
    doi:10.23915/distill.00003). Here every pixel is made by the same kernel, of a picture without
    a grid. Beyond the edge of what is enlarged there is 0.
    """

    interpolation: Tensor

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__(fan_in, fan_out, 3, padding=1)
        weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4  # of one pixel in the four nearest
        self.register_buffer("interpolation", weights.outer(weights), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, D, h, w) to (B, E, 2 h, 2 w).

        Both in one: a transposed convolution whose 6x6 kernel is the product of the two takes half
        the time and a quarter of the memory.
        """
        kernels = self.weight.flatten(0, 1)[:, None]  # (E D, 1, 3, 3)
        product = nn.functional.conv2d(kernels, self.interpolation[None, None], padding=3)
        together = product.reshape(*self.weight.shape[:2], 6, 6).flip(2, 3).transpose(0, 1)
        return nn.functional.conv_transpose2d(x, together, self.bias, stride=2, padding=2)


class Encoder(nn.Module):
    """Stamps (B, C, S, S) to code vectors (B, D, h, w), with h = S / 2**stages."""

    def __init__(self, channels: int, embedding_dim: int, stages: int) -> None:
        super().__init__()
        self.down = halving_convolutions(channels, stages)
        self.conv = nn.Conv2d(HIDDEN if stages > 1 else FIRST, HIDDEN, 3, padding=1)
        self.residual = _residual_stack()
        self.to_code = nn.Conv2d(HIDDEN, embedding_dim, 1)  # "Pre-VQ-VAE", no non-linearity

    def forward(self, x: Tensor) -> Tensor:
        """Return z_e(x) of the report, eq. 1."""
        for conv in self.down:
            x = torch.relu(conv(x))
        x = torch.relu(self.conv(x))
        code: Tensor = self.to_code(self.residual(x))  # (B, D, h, w)
        return code


class Decoder(nn.Module):
    """Code vectors (B, D, h, w) to stamps (B, C, S, S): the encoder mirrored."""

    def __init__(
        self, channels: int, embedding_dim: int, stages: int, upsampling: str = "transposed"
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(embedding_dim, HIDDEN, 3, padding=1)
        self.residual = _residual_stack()
        self.up = doubling_convolutions(channels, stages, upsampling)

    def forward(self, code: Tensor) -> Tensor:
        """Return the reconstruction; its last layer is linear (Table 1)."""
        x = self.residual(torch.relu(self.conv(code)))
        for up in self.up[:-1]:
            x = torch.relu(up(x))
        stamp: Tensor = self.up[-1](x)  # (B, C, S, S)
        return stamp


@dataclass(frozen=True)
class LayerRow:
    """One row of Table 1, read from the layers themselves."""

    name: str
    features: int
    filter: str
    stride: str
    nonlinearity: str
    parameters: int


def layer_table(encoder: Encoder, decoder: Decoder) -> list[LayerRow]:
    """The rows of Table 1 in its order: ResNets, encoder, pre-VQ-VAE, decoder."""
    block = encoder.residual[0]
    if not isinstance(block, ResidualBlock):  # the stack is built above, blocks first
        raise TypeError("the residual stack must begin with a residual block")
    rows = [
        layer_row("Conv2D_res1", block.conv_res1, "ReLu"),
        layer_row("Conv2D_res2", block.conv_res2, "ReLu"),
    ]
    front = [*encoder.down, encoder.conv]
    rows += [layer_row(f"Conv2D_{i}", conv, "ReLu") for i, conv in enumerate(front, 1)]
    rows.append(layer_row(f"Conv2D_{len(front) + 1}", encoder.to_code, ""))
    rows.append(layer_row(f"Conv2D_{len(front) + 2}", decoder.conv, "ReLu"))
    last = len(decoder.up)
    rows += [
        layer_row(f"{_doubling_name(up)}_{i}", up, "ReLu" if i < last else "")
        for i, up in enumerate(decoder.up, 1)
    ]
    return rows


def _doubling_name(layer: nn.Module) -> str:
    return "ResizeConv2D" if isinstance(layer, ResizeConvolution) else "Conv2DTranspose"


def layer_row(name: str, layer: nn.Module, nonlinearity: str) -> LayerRow:
    """The row of one layer; a dense layer has neither filter nor stride."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        kernel, stride = layer.kernel_size, layer.stride
        shape = (layer.out_channels, f"{kernel[0]}x{kernel[1]}", f"{stride[0]}x{stride[1]}")
    elif isinstance(layer, nn.Linear):
        shape = (layer.out_features, "", "")
    else:
        raise TypeError(f"{name} is neither a convolution nor a dense layer")
    return LayerRow(name, *shape, nonlinearity, sum(p.numel() for p in layer.parameters()))


FIRST_PERIOD = 8.0  # of the slowest Fourier feature, in standard deviations of the field


class Conditioned(Protocol):
    """The part of a prior's config that fixes the encoder: fields, size of the vector, octaves."""

    @property
    def n_fields(self) -> int:
        """Number of fields."""

    @property
    def condition_dim(self) -> int:
        """Size of the vector."""

    @property
    def octaves(self) -> int:
        """Of the Fourier features, each half the period of the last."""


class ConditionEncoder(nn.Module):
    """Standardised fields (B, F) to one vector (B, E).

    Each field as Fourier features through its own matrix, or as its embedding of "withheld" or
    "unknown"; their sum goes through two layers. No value of a field that is not given passes.
    """

    periods: Tensor

    def __init__(self, config: Conditioned) -> None:
        super().__init__()
        self.size = size = config.condition_dim
        width = 1 + 2 * config.octaves
        waves = 2 * math.pi / FIRST_PERIOD * 2.0 ** torch.arange(config.octaves)
        self.register_buffer("periods", waves, persistent=False)
        self.fields = nn.ModuleList(nn.Linear(width, size) for _ in range(config.n_fields))
        self.missing = nn.ModuleList(nn.Embedding(2, size) for _ in range(config.n_fields))
        self.mlp = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, size))

    def forward(self, values: Tensor, states: Tensor) -> Tensor:
        """Return the vector (B, E) of values (B, F) with states (B, F)."""
        total = values.new_zeros(len(values), self.size)
        for number, (linear, missing) in enumerate(zip(self.fields, self.missing, strict=True)):
            state = states[:, number]
            given = (state == GIVEN)[:, None]
            value = values[:, number, None].where(given, values.new_zeros(()))
            waves = value * self.periods.to(value.dtype)
            shown = linear(torch.cat([value, waves.sin(), waves.cos()], 1))
            total = total + torch.where(given, shown, missing((state == UNKNOWN).long()))
        vector: Tensor = self.mlp(total)
        return vector
