"""Which galaxies a training learns from, and their stamps in bounded memory.

A survey of millions does not make a better model of 3,000 steps: of each split at most so many
galaxies are taken, chosen by a hash of their ids, so that the same ones are chosen of a survey that
grew. What would fill the memory lies in a file of the work folder, in 8 bits where the survey has
them, else in half precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.names import name_hash
from galaxy_explorer.survey.shards import as_numbers
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.files import atomic_path
from galaxy_explorer.utils.progress import progress

MOST = {"train": 300_000, "validation": 1_000, "test": 20_000}
"""Galaxies of a split that stamps are held of: twenty checks of 3,000 would cost a fifth of a
training of 3,500 steps."""
MEMORY_BYTES = 2 << 30
"""Of stamps that are held in memory as they are; more lie in a file."""
BLOCK = 512


def sampled_rows(survey: Survey, split: str, most: int | None = None) -> NDArray[np.int64]:
    """Rows of a split, ascending: all, or `most` of them (MOST) by a hash of their ids."""
    rows = np.flatnonzero(survey.column("split") == split)
    most = MOST[split] if most is None else most
    if len(rows) <= most:
        return rows
    names = survey.column("galaxy_id")[rows].tolist()
    hashes = np.fromiter((name_hash(name) for name in names), np.uint64, len(rows))
    return np.sort(rows[np.argsort(hashes, kind="stable")[:most]])


def sample_words(survey: Survey) -> dict[str, int]:
    """Numbers of the galaxies that are taken of each split where these are not all."""
    splits = survey.column("split")
    return {split: most for split, most in MOST.items() if int((splits == split).sum()) > most}


class StoredStamps:
    """Stamps (n, C, S, S) in another format than float32, which is what indexing gives."""

    def __init__(self, stored: NDArray[Any]) -> None:
        """stored: uint8 as a survey has them, or half precision."""
        self._stored = stored
        self.shape = stored.shape

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        return np.asarray(as_numbers(np.asarray(self._stored[rows])), np.float32)


def stretched_stamps(
    survey: Survey, rows: NDArray[np.int64], folder: Path, name: str
) -> NDArray[np.float32] | StoredStamps:
    """Stretched stamps of rows of a survey: in memory, or in a file `name` of `folder`.

    The file is that of this survey and these rows, made once. Raises OSError where it cannot be.
    """
    shape = (len(rows), *survey.stored([]).shape[1:])
    bits = survey.stored([]).dtype == np.uint8
    pixels = int(np.prod(shape))
    if pixels * (1 if bits else np.dtype(np.float32).itemsize) <= MEMORY_BYTES:
        held = np.empty(shape, np.uint8 if bits else np.float32)
        for part, stamps in _blocks(survey, rows, bits=bits):
            held[part] = stamps
        return StoredStamps(held) if bits else held
    return StoredStamps(mapped_stamps(survey, rows, folder, name, bits=bits))


def mapped_stamps(
    survey: Survey, rows: NDArray[np.int64], folder: Path, name: str, *, bits: bool = False
) -> NDArray[Any]:
    """The same in a memory-mapped file: float16, or with `bits` uint8 as the survey has them."""
    shape = (len(rows), *survey.stored([]).shape[1:])
    dtype = np.dtype(np.uint8 if bits else np.float16)
    mark = survey.training_key[:16]
    path = folder / f"{name}-{mark}-{len(rows)}-{dtype.name}.npy"
    if not path.exists():
        for old in folder.glob(f"{name}-*.npy"):
            if mark not in old.name:
                old.unlink()  # of another survey
        with (
            atomic_path(path) as temporary,
            progress(len(rows), f"Copying stamps of {name}", unit="galaxies") as advance,
        ):
            mapped = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            for part, stamps in _blocks(survey, rows, bits=bits):
                mapped[part] = stamps
                advance(len(stamps))
            mapped.flush()
    return np.lib.format.open_memmap(path, mode="r")


def _blocks(
    survey: Survey, rows: NDArray[np.int64], *, bits: bool
) -> Iterator[tuple[slice, NDArray[Any]]]:
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        yield part, survey.stored(rows[part]) if bits else survey.model_input(rows[part])


def variance_of_bands(stamps: NDArray[np.float32] | StoredStamps) -> NDArray[np.float64]:
    """Variance of the pixels of each band (C,) of stamps (n, C, S, S), a block at a time."""
    count = len(stamps) * int(np.prod(stamps.shape[2:]))
    starts = range(0, len(stamps), BLOCK)
    blocks = (stamps[start : start + BLOCK] for start in starts)
    mean = sum(block.sum((0, 2, 3), dtype=np.float64) for block in blocks) / count
    blocks = (stamps[start : start + BLOCK] - mean[:, None, None] for start in starts)
    return np.asarray(sum(np.square(block).sum((0, 2, 3)) for block in blocks) / count)
