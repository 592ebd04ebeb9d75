"""A judge as it is stored: its weights in half precision, and the noise of what it has learnt from.

The noise lies beside the weights because a network that has only seen real stamps takes drawn ones,
which have none, for smoother galaxies than they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from galaxy_explorer.models.judge import Judge

NOISE = "noise"
COUNTED = "num_batches_tracked"  # only training needs them


@dataclass(frozen=True)
class StoredJudge:
    """noise (S, S // 2 + 1): amplitude of the sky's noise a frequency (rfft2), stretched units."""

    model: Judge
    noise: NDArray[np.float32]


def judge_bytes(judge: StoredJudge) -> bytes:
    """The file."""
    tensors = {**judge.model.state_dict(), NOISE: torch.from_numpy(judge.noise)}
    return save({k: v.cpu().half().contiguous() for k, v in tensors.items() if not _counted(k)})


def parse_judge(data: bytes, *, channels: int, side: int) -> StoredJudge:
    """Rebuild a judge of stamps (C, S, S) from its file; raises ValueError where it is none."""
    model, stored = Judge(channels), load(data)
    shapes = {k: v.shape for k, v in model.state_dict().items() if not _counted(k)}
    shapes[NOISE] = torch.Size((side, side // 2 + 1))
    wrong = [k for k in shapes | stored if k not in stored or stored[k].shape != shapes.get(k)]
    if wrong:
        raise ValueError(f"{wrong[0]} is missing, unknown or of another shape")
    noise = stored.pop(NOISE).float().numpy()
    model.load_state_dict({k: v.float() for k, v in stored.items()}, strict=False)
    return StoredJudge(model.eval(), noise)


def _counted(name: str) -> bool:
    return name.endswith(COUNTED)
