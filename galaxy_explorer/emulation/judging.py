"""T of drawn galaxies as an independent network reads it, under noise as of real stamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation.noise import Noise

if TYPE_CHECKING:
    from galaxy_explorer.models.judge_file import StoredJudge

KIND = 2  # of its noise: another than what the proof puts back (0) or adds to samples (1)


def judged_ttype(
    judge: StoredJudge, drawn: NDArray[np.float32], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """T (n,) of stretched stamps (n, C, S, S) as a model draws them, mean of eight orientations.

    The median noise of real stamps is added; numbers (n,): that of each is a function of its own.
    """
    from galaxy_explorer.models.judge import judge_stamps

    one = np.ones(len(drawn))
    noise = Noise(one, judge.noise.astype(np.float64)).draw(one, numbers, kind=KIND)
    ttype, _early = judge_stamps(judge.model, drawn + noise)
    return ttype
