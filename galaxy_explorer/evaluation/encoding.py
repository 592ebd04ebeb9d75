"""Code maps of galaxies in eight orientations, and of held-out galaxies transformed.

Transformed is the same galaxy seen otherwise: turned, mirrored, shifted, with other noise.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.evaluation.context import Context, EvaluatedModel
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.utils.files import StageResult
from galaxy_explorer.utils.progress import progress

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder
    from galaxy_explorer.models.training import Precision

Stamps = NDArray[np.float32]

SHIFT_PX = 1
# What must be encoded anew, for eight orientations do not hold it.
# What the eight orientations hold: number of the orientation that a stamp becomes.
QUARTER_TURN, MIRROR = 1, 4
ORIENTATIONS = {"rotated by 90 degrees": QUARTER_TURN, "mirrored": MIRROR}


def rotated(stamps: Stamps, degrees: float) -> Stamps:
    """Stamps (N, C, S, S) turned about their centre by cubic splines.

    What comes from beyond the edges is the mirror image of the stamp.
    """
    from scipy import ndimage

    turned = ndimage.rotate(
        stamps, degrees, axes=(-2, -1), reshape=False, order=3, mode="mirror", prefilter=True
    )
    return np.asarray(turned, dtype=np.float32)


def shifted(stamps: Stamps, pixels: int = SHIFT_PX) -> Stamps:
    """Stamps (N, C, S, S) moved to the right; the first column is repeated."""
    moved = np.roll(stamps, pixels, axis=-1)
    moved[..., :pixels] = stamps[..., :1]
    return moved


def with_noise(stamps: Stamps, seed: int) -> Stamps:
    """Stamps (N, C, S, S) with as much white noise added as their sky has, each its own."""
    rng = np.random.default_rng(seed)
    sigma = np.array([[sky_level(band)[1] for band in stamp] for stamp in stamps])
    drawn = rng.standard_normal(stamps.shape, dtype=np.float32)
    return stamps + drawn * sigma[..., None, None].astype(np.float32)


TRANSFORMS: dict[str, Callable[[Stamps], Stamps]] = {
    "rotated by 45 degrees": lambda stamps: rotated(stamps, 45),
    "shifted by 1 pixel": shifted,
    # Two draws beside each other: both are noisier than the stamp, by the same amount.
    "noise": lambda stamps: with_noise(stamps, 1),
    "other noise": lambda stamps: with_noise(stamps, 2),
}


def reorient(maps: np.ndarray, turn: int) -> np.ndarray:
    """Codes of the eight orientations (N, 8, ...) of a stamp that was itself brought to `turn`.

    Orientation i of `inference.d4` is i % 4 quarter turns, then for i >= 4 a mirror image.
    """
    combined = []  # the orientations that come of bringing a stamp to `turn`, then to each
    for then in range(8):
        mirrored = turn >= 4
        quarter = turn % 4 - then % 4 if mirrored else turn % 4 + then % 4
        combined.append(quarter % 4 + 4 * (mirrored != (then >= 4)))
    return np.asarray(maps[:, combined])


TURNS = 8
BLOCK_ROWS = 256
PROBE_STAMPS = 64
ORBIT = "orbit"


def orbits(context: Context, evaluated: EvaluatedModel) -> StageResult:
    """What the sample is encoded to in eight orientations, and the test galaxies transformed.

    Arrays "orbit" (M, 8, ...) in the order of `context.sample`, and one (n, 8, ...) for each of
    TRANSFORMS, in the order of `context.rows("test")`. All in one number format, so that what
    differs between them is the picture.
    """
    stage = f"{evaluated.name}.{evaluated.seed}.orbit"

    def encode() -> StageResult:
        model, test = evaluated.load(), context.rows("test")
        arrays = {}
        total = TURNS * (len(context.sample) + len(TRANSFORMS) * len(test))
        with progress(total, f"Encoding with {evaluated.name}", unit="stamps") as advance:
            for name in (ORBIT, *TRANSFORMS):
                rows = context.sample if name == ORBIT else test
                found: Any = None
                for start in range(0, len(rows), BLOCK_ROWS):
                    stamps = context.survey.model_input(rows[start : start + BLOCK_ROWS])
                    codes = encode_fast(
                        model, TRANSFORMS[name](stamps) if name != ORBIT else stamps
                    )
                    if found is None:
                        found = np.empty((len(rows), *codes.shape[1:]), codes.dtype)
                    found[start : start + len(codes)] = codes
                    advance(TURNS * len(codes))
                arrays[name] = found
        return StageResult(arrays, {})

    return context.stage(stage, evaluated.inputs, encode)


def encode_fast(model: Autoencoder, stamps: np.ndarray) -> np.ndarray:
    """What stamps (N, C, S, S) are encoded to in eight orientations, (N, 8, ...)."""
    from galaxy_explorer.models.inference import encode_orbit

    with fast_format(model):
        return encode_orbit(model, stamps)


def fast_format(model: Autoencoder) -> AbstractContextManager[None]:
    """Context in which a model encodes in the faster number format of this machine.

    bfloat16 is four times as fast where the processor has it, and changes about one code in
    seventy.
    """
    return _faster(next(model.parameters()).device.type).autocast()


@cache
def _faster(device: str) -> Precision:
    """Found once a process by timing a convolution like those of the encoders."""
    import torch

    from galaxy_explorer.models.training import faster_precision

    layer = torch.nn.Conv2d(128, 128, 3, padding=1).to(device)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    picture = torch.zeros((PROBE_STAMPS, 128, 16, 16), device=device)
    picture = picture.contiguous(memory_format=torch.channels_last)

    def passed(precision: Precision) -> None:
        with torch.inference_mode(), precision.autocast():
            layer(picture)

    return faster_precision(device, passed)
