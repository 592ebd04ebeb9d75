"""Device and number format: bfloat16 where it is really faster, as measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

PROBE_STEPS = 3
GAIN = 1.1  # bfloat16 must be this much faster to be worth its rounding


class Precision:
    """A device and a number format, such as `cpu bfloat16`; kept in a run's checkpoint."""

    def __init__(self, name: str) -> None:
        self.name = name
        kind, self.format = name.split()
        self.device = torch.device(kind)

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which convolutions run in the chosen format."""
        mixed = self.format == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=mixed)


def choose_precision(number_format: str, loss: Callable[[], Tensor]) -> Precision:
    """The format asked for; for `auto` time passes of `loss` in both and keep the faster."""
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    if number_format != "auto":
        return Precision(f"{kind} {number_format}")
    if kind == "cuda":
        return Precision("cuda bfloat16")
    full, mixed = Precision("cpu float32"), Precision("cpu bfloat16")
    return mixed if _seconds(full, loss) > GAIN * _seconds(mixed, loss) else full


def _seconds(precision: Precision, loss: Callable[[], Tensor]) -> float:
    def once() -> float:  # processor time, which other programs on the machine disturb least
        start = time.process_time()
        with precision.autocast():
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return time.process_time() - start

    once()  # the first pass pays for set-up
    return min(once() for _ in range(PROBE_STEPS))
