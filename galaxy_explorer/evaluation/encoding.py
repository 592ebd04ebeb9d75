"""Code maps of galaxies in eight orientations, and of held-out galaxies transformed."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.evaluation.context import Context
from galaxy_explorer.evaluation.subjects import Subject
from galaxy_explorer.evaluation.transforms import TRANSFORMS
from galaxy_explorer.pipeline.cache import StageResult
from galaxy_explorer.progress import progress

if TYPE_CHECKING:
    from galaxy_explorer.models.kinds import Model

TURNS = 8
BLOCK_ROWS = 256
PROBE_STAMPS = 64
ORBIT = "orbit"


def orbits(context: Context, subject: Subject) -> StageResult:
    """What the sample is encoded to in eight orientations, and the test galaxies transformed.

    Arrays "orbit" (M, 8, ...) in the order of `context.sample`, and one (n, 8, ...) for each of
    TRANSFORMS, in the order of `context.rows("test")`. All in one number format, so that what
    differs between them is the picture.
    """
    stage = f"{subject.name}.{subject.seed}.orbit"
    return context.stage(stage, subject.inputs, lambda: _encode_all(context, subject))


def _encode_all(context: Context, subject: Subject) -> StageResult:
    model, test = subject.load(), context.rows("test")
    arrays = {}
    total = TURNS * (len(context.sample) + len(TRANSFORMS) * len(test))
    with progress(total, f"Encoding with {subject.name}", unit="stamps") as advance:
        for name in (ORBIT, *TRANSFORMS):
            rows = context.sample if name == ORBIT else test
            found: Any = None
            for start in range(0, len(rows), BLOCK_ROWS):
                stamps = context.survey.model_input(rows[start : start + BLOCK_ROWS])
                codes = encode_fast(model, TRANSFORMS[name](stamps) if name != ORBIT else stamps)
                if found is None:
                    found = np.empty((len(rows), *codes.shape[1:]), codes.dtype)
                found[start : start + len(codes)] = codes
                advance(TURNS * len(codes))
            arrays[name] = found
    return StageResult(arrays, {})


def encode_fast(model: Model, stamps: np.ndarray) -> np.ndarray:
    """What stamps (N, C, S, S) are encoded to in eight orientations, (N, 8, ...)."""
    from galaxy_explorer.models.inference import encode_orbit

    with fast_format(model):
        return encode_orbit(model, stamps)


def fast_format(model: Model) -> AbstractContextManager[None]:
    """Context in which a model encodes in the faster number format of this machine.

    bfloat16 is four times as fast where the processor has it, and changes about one code in
    seventy.
    """
    import torch

    device = next(model.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=_bfloat16_is_faster(device))


@cache
def _bfloat16_is_faster(device: str) -> bool:
    """Found once a process by timing a convolution like those of the encoders."""
    import torch

    layer = torch.nn.Conv2d(128, 128, 3, padding=1).to(device)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    picture = torch.zeros((PROBE_STAMPS, 128, 16, 16), device=device)
    picture = picture.contiguous(memory_format=torch.channels_last)
    seconds = {}
    for mixed in (True, False, True, False):  # the first pass pays for set-up
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=mixed):
            start = time.process_time()
            layer(picture)
            seconds[mixed] = time.process_time() - start
    return seconds[True] < seconds[False]
