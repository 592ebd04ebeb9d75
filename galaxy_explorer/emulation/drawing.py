"""Blocks of synthetic galaxies: drawn and observed here, or by the workers of a scheduler.

A galaxy is a function of bundle, prior, seed, number and what was asked for, so that blocks may be
drawn anywhere in any order.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle import SharedBundle
from galaxy_explorer.emulation.emulator import Emulator
from galaxy_explorer.emulation.likeness import read_samples
from galaxy_explorer.emulation.observation import ObservationSettings, Observer, numbers_of
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.utils.files import save_arrays
from galaxy_explorer.utils.scheduler import once_a_process

Array = NDArray[np.float32]
BLOCK = 64  # galaxies between two writes


class Block(NamedTuple):
    """Galaxies: pixels (n, C, T, T), also stretched for the eye, code maps or latents (n, ...).

    read (n, R): what the bundle's judge reads, by `read_names`; R is 0 without a judge.
    """

    pixels: Array
    shown: Array
    codes: NDArray[Any]
    log_prob: NDArray[np.float64]
    read: NDArray[np.float64]


def draw_block(maker: Observer, request: Request) -> Block:
    """Draw and observe the galaxies of a request that is small enough to be one block."""
    codes = maker.emulator.codes(request)
    seen = maker.observe(codes, request)
    likelihood = maker.emulator.log_prob(codes, request.condition)
    read = read_samples(maker.emulator, codes, numbers_of(request))
    table = np.column_stack(list(read.values())) if read else np.empty((len(codes), 0))
    return Block(seen.pixels, seen.stretched, codes, likelihood, table)


def part(request: Request, start: int, size: int) -> Request:
    """The galaxies from place `start` of a request, at most `size` of them."""
    stop = min(start + size, request.count)
    condition = {
        name: value[start:stop] if isinstance(value, tuple) else value
        for name, value in request.condition.items()
    }
    first = request.first if request.same_noise else request.first + start
    return replace(request, count=stop - start, condition=condition, first=first)


@dataclass(frozen=True)
class DrawTask:
    """A block to be drawn into a file, and by what: bundle, prior, camera.

    model, kind: of the prior. implied: numbers that were asked for of all galaxies, one of which
    may give the pixel scale.
    """

    bundle: SharedBundle
    model: str
    kind: str
    wish: ObservationSettings
    implied: tuple[tuple[str, float], ...]
    request: Request
    path: str

    def __len__(self) -> int:
        return self.request.count


def task_of(maker: Observer, whole: Request, request: Request, path: Path) -> DrawTask:
    """The task of a block `request` of a `whole` request."""
    emulator, psf = maker.emulator, maker.wish.psf
    wish = maker.wish
    if isinstance(psf, Path):
        wish = replace(wish, psf=psf.resolve())
    implied = {n: float(v) for n, v in whole.condition.items() if not isinstance(v, tuple)}
    return DrawTask(
        bundle=SharedBundle.of(emulator.bundle),
        model=emulator.model,
        kind=emulator.kind.name,
        wish=wish,
        implied=tuple(sorted(implied.items())),
        request=request,
        path=str(path.resolve()),
    )


def observer_key(maker: Observer, whole: Request) -> Hashable:
    """What tells an observer from others in one process."""
    return _key(task_of(maker, whole, whole, Path()))


def _key(task: DrawTask) -> Hashable:
    wish = json.dumps(task.wish.identity, sort_keys=True, default=str)
    return (task.bundle, task.model, task.kind, wish, task.implied)


def draw_to_file(task: DrawTask) -> None:
    """Draw a block and write it, whole or not at all. Raises BundleError for another bundle."""

    def make() -> Observer:
        emulator = Emulator.open(task.bundle.opened(), task.model, task.kind)
        return Observer(emulator, task.wish, dict(task.implied))

    observer: Observer = once_a_process("observer", _key(task), make)
    save_arrays(Path(task.path), draw_block(observer, task.request)._asdict())
