"""Latents drawn from a flow: normal deviates, sent through the inverse of its splines.

Sample i has deviates of its own, a function of (seed, i) alone. The arithmetic is in double
precision and its result is kept in half, as latents are: rounding, which differs with the number
of samples drawn together, decides nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from galaxy_explorer.emulation.sampler import Draw, never
from galaxy_explorer.models.flow import LatentFlow

BATCH = 64  # samples between two looks at whether somebody cancelled


class FlowSampler:
    """Draws from one flow. A draw's guidance and given codes have no meaning here."""

    def __init__(self, flow: LatentFlow) -> None:
        self.flow = copy.deepcopy(flow).double().eval()

    @torch.inference_mode()
    def codes(
        self, draw: Draw, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float16] | None:
        """Latents (n, D), None where cancelled.

        temperature: the variance of the deviates, which of a Gaussian is what it is of logits.
        """
        size, spread, parts = self.flow.config.latents, draw.temperature**0.5, []
        values, states = (torch.from_numpy(part) for part in draw.condition)
        for start in range(0, len(draw.numbers), BATCH):
            if cancelled():
                return None
            part = slice(start, start + BATCH)
            generators = (np.random.default_rng((draw.seed, n)) for n in draw.numbers[part])
            noise = np.stack([generator.normal(size=size) for generator in generators])
            deviates = torch.from_numpy(noise * spread)
            made = self.flow.made_from(deviates, values[part].double(), states[part])
            parts.append(made.numpy().astype(np.float16))
        return np.concatenate(parts)
