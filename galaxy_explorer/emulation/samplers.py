"""What draws from a prior, by its kind."""

from __future__ import annotations

from galaxy_explorer.emulation.flow_sampler import FlowSampler
from galaxy_explorer.emulation.hierarchical_sampler import HierarchicalSampler
from galaxy_explorer.emulation.sampler import Sampler
from galaxy_explorer.models.flow import LatentFlow
from galaxy_explorer.models.hierarchical_prior import HierarchicalPrior
from galaxy_explorer.models.priors import Prior

AnySampler = Sampler | HierarchicalSampler | FlowSampler


def sampler_of(prior: Prior) -> AnySampler:
    """Its sampler: `drawn(draw)` gives code maps or latents (n, ...)."""
    if isinstance(prior, LatentFlow):
        return FlowSampler(prior)
    return HierarchicalSampler(prior) if isinstance(prior, HierarchicalPrior) else Sampler(prior)
