"""What a prior is asked for, as one vector: any fields of the catalogue, any of them left out."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from galaxy_explorer.models.prior_fields import GIVEN, UNKNOWN

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
