"""Large arrays of a bundle: mapped into memory, hashed part by part, checked when first read.

An array lies alone in a safetensors file, behind its header. The manifest has the SHA-256 of every
PART_BYTES of the file; a part is compared with it, and its values with what they may be, before
anything in it is handed out. Nothing else of the file is read.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from galaxy_explorer.bundle.files import (
    MANIFEST,
    MAX_HEADER_BYTES,
    PART_BYTES,
    WHOLE,
    FileEntry,
    check_regular,
    read_only,
)
from galaxy_explorer.bundle.json_values import strict_json
from galaxy_explorer.errors import BundleError

KINDS = {"U8": "u1", "U16": "<u2", "F16": "<f2"}
"""Numbers that may lie in parts, by their name in safetensors."""

Check = Callable[[np.ndarray], str]
"""What is wrong with values, in words; "" where nothing is."""


class StoredArray:
    """An array (N, ...) of a bundle, read-only, in memory or mapped.

    Of a mapped one every part is checked before it is first handed out: BundleError, with the
    file's name, where it is altered or holds what it may not. start: of the array in its file.
    """

    def __init__(
        self,
        array: np.ndarray,
        check: Callable[[Iterable[int]], None] = lambda _: None,
        start: int = 0,
    ) -> None:
        self._array, self._check, self._start = array, check, start
        self.dtype, self.shape = array.dtype, array.shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def whole(self) -> np.ndarray:
        """All of it, without a copy."""
        self._check(range(-(-(self._start + self._array.nbytes) // PART_BYTES)))
        return self._array

    def rows(self, rows: ArrayLike) -> np.ndarray:
        """Some rows; of a mapped array only the parts that they lie in are read."""
        wanted = np.asarray(rows)
        wanted = wanted if wanted.size else wanted.astype(np.int64)
        places = np.arange(len(self))[wanted].ravel()
        size = self._array[:1].nbytes
        first = (self._start + places * size) // PART_BYTES
        last = (self._start + places * size + size - 1) // PART_BYTES
        for step in range(int((last - first).max(initial=-1)) + 1):
            self._check(np.unique(np.minimum(first + step, last)).tolist())
        return np.asarray(self._array[wanted])


def mapped_array(
    path: Path, entry: FileEntry, name: str, shape: tuple[int, ...], check: Check
) -> StoredArray:
    """The one array of a file, mapped; its header is read and checked now, its values later.

    entry: with the hashes of its parts. check: what is wrong with values of it. Raises BundleError
    where the file is not that array.
    """
    file = _PartedFile(path, entry)
    head = file.part(0)
    length = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else MAX_HEADER_BYTES + 1
    if length > min(MAX_HEADER_BYTES, len(head) - 8):
        raise BundleError(f"{path}: its header is oversized or cut")
    told = strict_json(head[8 : 8 + length], path)
    told.pop("__metadata__", None)
    start = 8 + length
    about = told.get(name)
    if set(told) != {name} or not isinstance(about, dict):
        raise BundleError(f"{path}: one array named {name} is expected")
    kind = KINDS.get(str(about.get("dtype")))
    size = 0 if kind is None else math.prod(shape) * np.dtype(kind).itemsize
    if kind is None or about.get("shape") != list(shape):
        raise BundleError(
            f"{path}: {name} is {about.get('dtype')} {about.get('shape')} where"
            f" {list(shape)} of {', '.join(KINDS)} is expected"
        )
    if about.get("data_offsets") != [0, size] or start + size != entry.size or start % 8:
        raise BundleError(f"{path}: {name} does not lie in it as its header says")
    array = np.frombuffer(file.mapped, kind, math.prod(shape), start).reshape(shape)
    seen: set[int] = set()

    def checked(parts: Iterable[int]) -> None:
        for number in parts:
            if number in seen:
                continue
            data = file.part(number)
            if wrong := check(np.frombuffer(data[start:] if number == 0 else data, kind)):
                raise BundleError(f"{path}: {name} {wrong}")
            seen.add(number)

    return StoredArray(read_only(array), checked, start)


class _PartedFile:
    """A file that stays open, and is mapped, while its parts are checked one by one."""

    def __init__(self, path: Path, entry: FileEntry) -> None:
        if len(entry.parts) != max(1, -(-entry.size // PART_BYTES)) or not entry.size:
            raise BundleError(f"{path}: {MANIFEST} has no hashes of its parts")
        check_regular(path, entry.size, exactly=True)
        self._path, self._entry = path, entry
        self._stream = path.open("rb", buffering=0)
        self.mapped = mmap.mmap(self._stream.fileno(), entry.size, access=mmap.ACCESS_READ)

    def part(self, number: int) -> bytes:
        """A part, as the manifest has it."""
        data = os.pread(self._stream.fileno(), PART_BYTES, number * PART_BYTES)
        if hashlib.sha256(data).hexdigest() != self._entry.parts[number]:
            raise BundleError(
                f"{self._path}: altered (part {number + 1} of {len(self._entry.parts)} has not the"
                f" SHA-256 in {MANIFEST}); {WHOLE}"
            )
        return data


def finite(values: np.ndarray) -> str:
    """What is wrong with real numbers."""
    return "" if np.isfinite(values).all() else "holds values that are not finite"


def below(codes: int) -> Check:
    """What is wrong with codes of a codebook of so many."""

    def check(values: np.ndarray) -> str:
        most = int(values.max(initial=0))
        return "" if most < codes else f"has code {most} where the codebook has {codes}"

    return check
