"""Both code maps of a VQ-VAE-2 drawn from its prior: the top one, then the bottom one given it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from galaxy_explorer.emulation.sampler import Codes, Draw, Sampler, naive_rows, never
from galaxy_explorer.models.hierarchical_prior import HierarchicalPrior


class HierarchicalSampler:
    """Draws both maps by cached sampling, code by code what `naive_codes` draws."""

    def __init__(self, prior: HierarchicalPrior) -> None:
        self._coarse = copy.deepcopy(prior.coarse).double().eval()
        self._top, self._bottom = Sampler(prior.top), Sampler(prior.bottom)

    def codes(self, draw: Draw, cancelled: Callable[[], bool] = never) -> Codes | None:
        """Codes (n, F), top map then bottom map, row by row; None where cancelled."""
        top = self._top.codes(draw, cancelled)
        if top is None:
            return None
        bottom = self._bottom.codes(_below(draw, top, self._coarse), cancelled)
        return None if bottom is None else _joined(top, bottom)


def naive_codes(prior: HierarchicalPrior, draw: Draw) -> Codes:
    """The same codes (n, F), by a whole forward pass for each; the plain definition."""
    plain = copy.deepcopy(prior).double().eval()
    *_, top = naive_rows(plain.top, draw)
    *_, bottom = naive_rows(plain.bottom, _below(draw, top, plain.coarse))
    return _joined(top, bottom)


@torch.inference_mode()
def _below(draw: Draw, top: Codes, coarse: torch.nn.Module) -> Draw:
    """What to draw of the bottom map, under noise of its own, given top maps (n, h, w)."""
    return replace(draw, level=1, features=coarse(torch.from_numpy(top)))


def _joined(top: Codes, bottom: Codes) -> NDArray[np.int64]:
    return np.concatenate([level.reshape(len(level), -1) for level in (top, bottom)], 1)
