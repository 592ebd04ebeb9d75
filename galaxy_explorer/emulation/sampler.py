"""Code maps drawn from a prior, code by code, row by row.

Sample i has Gumbel noise of its own, a function of (seed, i) alone: the code at a place is the
argmax of logits / temperature + noise, which is an exact draw (Gumbel 1954). The arithmetic is in
double precision, so that rounding, which differs with the batch size, decides no code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from galaxy_explorer.models.pixelcnn import PixelCNN
from galaxy_explorer.models.prior_fields import GIVEN, WITHHELD, Condition

Codes = NDArray[np.int64]
UNDRAWN = -1


@dataclass(frozen=True)
class Draw:
    """What to draw: numbers of the samples (n,), what is asked of each, and how.

    fixed: codes (n, h, w) that the user has set, -1 where free. guidance: logits are taken so many
    times as far from those of the prior asked for nothing (Ho & Salimans 2022); 1 is the prior.
    """

    seed: int
    numbers: tuple[int, ...]
    condition: Condition
    temperature: float = 1.0
    guidance: float = 1.0
    fixed: Codes | None = None


class Noise:
    """Gumbel noise of each sample, (n, w, K) a row, drawn row after row."""

    def __init__(self, seed: int, numbers: tuple[int, ...]) -> None:
        self._generators = [np.random.default_rng((seed, number)) for number in numbers]

    def row(self, width: int, num_embeddings: int) -> NDArray[np.float64]:
        """The noise of the next row."""
        shape = (width, num_embeddings)
        return np.stack([generator.gumbel(size=shape) for generator in self._generators])


def never() -> bool:
    """Nobody has cancelled."""
    return False


class Passes:
    """The condition of each pass, one after another: asked for, and withheld where guided."""

    def __init__(self, draw: Draw) -> None:
        values, states = (torch.from_numpy(part) for part in draw.condition)
        self.guided = draw.guidance != 1 and bool((states == GIVEN).any())
        self.guidance, self.temperature = draw.guidance, draw.temperature
        if self.guided:
            values = torch.cat([values, values])
            states = torch.cat([states, torch.where(states == GIVEN, WITHHELD, states)])
        self.values, self.states = values.double(), states

    def repeated(self, codes: Tensor) -> Tensor:
        """Codes (n, ...) once for each pass."""
        return torch.cat([codes, codes]) if self.guided else codes

    def chosen(self, logits: Tensor, noise: NDArray[np.float64]) -> Tensor:
        """The codes (n,) of logits (passes n, K) under noise (n, K)."""
        if self.guided:
            asked, plain = logits.chunk(2)
            logits = plain + self.guidance * (asked - plain)
        return (logits / self.temperature + torch.from_numpy(noise)).argmax(1)


@torch.inference_mode()
def naive_rows(
    prior: PixelCNN, draw: Draw, cancelled: Callable[[], bool] = never
) -> Iterator[Codes]:
    """Code maps (n, h, w) after each row, -1 where not drawn: a whole forward pass for each code.

    The plain definition, which the cached sampler must match code by code. `prior` is in double
    precision. Ends early where `cancelled` says so.
    """
    config, passes = prior.config, Passes(draw)
    noise, count = Noise(draw.seed, draw.numbers), len(draw.numbers)
    codes = torch.full((count, config.height, config.width), UNDRAWN)
    for row in range(config.height):
        shaken = noise.row(config.width, config.num_embeddings)
        for column in range(config.width):
            if cancelled():
                return
            seen = passes.repeated(codes.clamp(min=0))
            logits = prior(seen, passes.values, passes.states)[:, :, row, column]
            codes[:, row, column] = passes.chosen(logits, shaken[:, column])
            if draw.fixed is not None:
                set_to = torch.from_numpy(draw.fixed[:, row, column])
                codes[:, row, column] = torch.where(set_to >= 0, set_to, codes[:, row, column])
        yield codes.numpy().copy()
