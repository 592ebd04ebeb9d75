"""What draws from a prior, by its kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation.flow_sampler import FlowSampler
from galaxy_explorer.emulation.hierarchical_sampler import HierarchicalSampler
from galaxy_explorer.emulation.sampler import Draw, Sampler, never
from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.flow import LatentFlow
from galaxy_explorer.models.hierarchical_prior import HierarchicalPrior
from galaxy_explorer.models.priors import Prior

AnySampler = Sampler | HierarchicalSampler | FlowSampler


def sampler_of(prior: Prior) -> AnySampler:
    """Its sampler."""
    if isinstance(prior, LatentFlow):
        return FlowSampler(prior)
    return HierarchicalSampler(prior) if isinstance(prior, HierarchicalPrior) else Sampler(prior)


def drawn(
    sampler: AnySampler, draw: Draw, cancelled: Callable[[], bool] = never
) -> NDArray[np.generic]:
    """Code maps or latents (n, ...) as a bundle holds them; raises RequestError where cancelled."""
    codes = sampler.codes(draw, cancelled)
    if codes is None:
        raise RequestError("cancelled before the last galaxy was drawn")
    return codes if codes.dtype.kind == "f" else codes.astype(np.uint16)
