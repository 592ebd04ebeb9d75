"""Arrays of a survey on disk: zarr in shards, a file for thousands of galaxies.

A shard is made of chunks of 64 galaxies, a chunk of blocks of one galaxy each, compressed by
Blosc one by one. So whoever reads by zarr has few files and large chunks; `read_rows` unpacks the
blocks that are asked for and no others, which makes rows by chance as cheap as rows in order.
The layout of a Blosc chunk is that of its specification: a header of 16 bytes, where each block
begins, then each block after the number of its bytes.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.utils.files import atomic_path

CHUNK_ROWS = 64
SHARD_ROWS = 8192
SHARD_BYTES = 128 << 20
"""What a shard holds at most, unpacked: whoever writes one has it in memory."""
CHUNK_BYTES = SHARD_BYTES // 8
EIGHT_BITS = (np.arange(256) / 255.0).astype(np.float32)
"""What the numbers of an 8-bit picture mean."""
BLOSC_HEADER = struct.Struct("<BBBBIII")  # versions, flags, type's, chunk's and block's bytes, all
STORED, NOT_SPLIT = 0x2, 0x10  # flags
NOWHERE = 2**64 - 1  # of a chunk of zeros, which is not stored


def chunk_rows(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Galaxies of a chunk of an array (N, *shape)."""
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // _row_bytes(shape, dtype)))


def shard_rows(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Galaxies of a shard: 8192, or as many whole chunks as SHARD_BYTES hold."""
    chunk = chunk_rows(shape, dtype)
    return chunk * max(1, min(SHARD_ROWS, SHARD_BYTES // _row_bytes(shape, dtype)) // chunk)


def _row_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    return max(1, math.prod(shape) * int(dtype.itemsize))


def create_array(path: Path, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """An empty array (0, *shape), little-endian."""
    dtype = dtype.newbyteorder("<")
    codec = BloscCodec(
        # The next levels are three times slower and gain 1 %.
        cname="zstd", clevel=1, shuffle="shuffle", typesize=dtype.itemsize,
        blocksize=_row_bytes(shape, dtype),
    )  # fmt: skip
    zarr.create_array(
        path,
        shape=(0, *shape),
        chunks=(chunk_rows(shape, dtype), *shape),
        shards=(shard_rows(shape, dtype), *shape),
        dtype=dtype,
        compressors=codec,
        fill_value=0,
    )


def open_array(path: Path) -> Any:
    """The array of a folder, to read. Raises SurveyError where it is none."""
    try:
        return zarr.open_array(path, mode="r")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SurveyError(f"{path}: cannot be read ({error}); make the survey again") from error


def as_eight_bits(stamps: NDArray[Any]) -> NDArray[np.uint8] | None:
    """The 8 bits that stamps (n, ...) are pictures of, exactly; None where they are not."""
    if stamps.dtype == np.uint8:
        return stamps
    found = np.empty(stamps.shape, np.uint8)
    for stamp, bits in zip(stamps, found, strict=True):
        if not (stamp.min(initial=0) >= 0 and stamp.max(initial=0) <= 1):
            return None
        np.rint(stamp * np.float32(255), casting="unsafe", out=bits)
        if not np.array_equal(EIGHT_BITS[bits], stamp):
            return None
    return found


def as_numbers(stored: NDArray[Any]) -> NDArray[Any]:
    """Stamps as their float32 values, from what an array holds."""
    return EIGHT_BITS[stored] if stored.dtype == np.uint8 else stored


def save_block(path: Path, values: NDArray[Any]) -> None:
    """Write values (n, ...) to be put into a shard later, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)


def load_block(path: str | Path, rows: slice = slice(None)) -> NDArray[Any]:
    """Rows of what `save_block` wrote."""
    with Path(path).open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise SurveyError(f"{path}: damaged; delete the folder it is in to start afresh")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        start, stop, _ = rows.indices(shape[0])
        pixels = math.prod(shape[1:])
        stream.seek(start * pixels * dtype.itemsize, 1)
        values = np.fromfile(stream, dtype, max(0, stop - start) * pixels)
    return values.reshape(-1, *shape[1:])


Piece = tuple[str, int, int]
"""A block by the name of its file, the first of its rows that count and the one after the last."""


@dataclass(frozen=True)
class Shard:
    """Rows of an array, from `start` on, that make a shard of it, or the last one.

    array, folder: where the array and the blocks lie. names: of the galaxies, for the hash; empty
    where it is not needed.
    """

    array: Path
    folder: Path
    start: int
    pieces: tuple[Piece, ...]
    names: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(stop - start for _, start, stop in self.pieces)

    def write(self) -> str:
        """Write it; the hash of names and pixels, "" without names.

        Raises SurveyError where a block is damaged, OSError where the disk is full.
        """
        array = zarr.open_array(self.array, mode="r+")
        values = np.empty((self.rows, *array.shape[1:]), array.dtype)
        at = 0
        for name, start, stop in self.pieces:
            found = load_block(self.folder / name, slice(start, stop))
            if len(found) != stop - start:
                raise SurveyError(f"{self.folder / name}: cut short; delete its folder")
            values[at : at + len(found)] = found if array.dtype == np.uint8 else as_numbers(found)
            at += len(found)
        array[self.start : self.start + at] = values
        return shard_hash(self.names, values) if self.names else ""


class Spool:
    """An array that grows by blocks, which lie in files until they fill a shard.

    state: what a later process goes on by, JSON values. A shard that was handed out counts once it
    is `committed`; those of an array are committed in order.
    """

    def __init__(self, work: Path, folder: Path, state: dict[str, Any]) -> None:
        """work: folder of the array; folder: that of the blocks; state: of `begin`, or saved."""
        self.state, self._folder, self.path = state, folder, work / state["array"]
        array = open_array(self.path)
        self.shape, self.dtype = array.shape[1:], array.dtype
        self.shard_rows = int(array.shards[0])
        self._handed = 0  # shards beyond those that count

    @classmethod
    def begin(
        cls, work: Path, folder: Path, name: str, shape: Sequence[int], dtype: np.dtype[Any]
    ) -> Spool:
        """Of a new array (0, *shape) `work`/`name`."""
        shutil.rmtree(work / name, ignore_errors=True)
        create_array(work / name, shape, dtype)
        return cls(work, folder, {"array": name, "shards": 0, "pending": []})

    @property
    def written(self) -> int:
        """Rows in shards that count."""
        return int(self.state["shards"]) * self.shard_rows

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.written + sum(int(stop - start) for _, start, stop in self.state["pending"])

    def add(self, block: str, rows: int) -> None:
        """Take in a block of the folder."""
        if rows:
            self.state["pending"].append([block, 0, rows])

    def next_shard(self, *, last: bool = False) -> Shard | None:
        """The next shard to write, without names; None until its rows are there.

        last: no row will follow, so what there is makes a shard.
        """
        start = self.written + self._handed * self.shard_rows
        there = min(self.rows - start, self.shard_rows)
        if there <= 0 or (there < self.shard_rows and not last):
            return None
        first = start - self.written
        pieces = _cut(self.state["pending"], first, first + there)
        array = zarr.open_array(self.path, mode="r+")
        if array.shape[0] < start + there or last:
            array.resize((start + there, *self.shape))
        self._handed += 1
        return Shard(self.path, self._folder, start, pieces)

    def committed(self) -> list[Path]:
        """Count the first shard that was handed out; the blocks that are no longer needed."""
        pending = self.state["pending"]
        kept = _cut(pending, self.shard_rows, self.rows - self.written)
        needed = {name for name, _, _ in kept}
        freed = [name for name, _, _ in pending if name not in needed]
        self.state |= {"shards": self.state["shards"] + 1, "pending": [[*one] for one in kept]}
        self._handed -= 1
        return [self._folder / name for name in freed]

    def take_over(self, array: Any, count: int, prefix: str) -> None:
        """Begin with `count` rows of another array: files where they are as ours, else blocks."""
        start, chunk = 0, chunk_rows(self.shape, self.dtype)
        same = _is_ours(array) and array.dtype == self.dtype
        if same and (array.shards[0], array.chunks[0]) == (self.shard_rows, chunk):
            old = Path(array.store.root, array.store_path.path)
            whole = count // self.shard_rows
            for number in range(whole):
                if (old / "c" / str(number)).exists():
                    shutil.copytree(old / "c" / str(number), self.path / "c" / str(number))
            self.state["shards"], start = whole, whole * self.shard_rows
            zarr.open_array(self.path, mode="r+").resize((start, *self.shape))
        for first in range(start, count, self.shard_rows):
            rows = np.arange(first, min(first + self.shard_rows, count))
            values = read_rows(array, rows)
            values = values if self.dtype == np.uint8 else as_numbers(values)
            save_block(self._folder / f"{prefix}-{first:012d}.npy", values)
            self.add(f"{prefix}-{first:012d}.npy", len(rows))


def _cut(pieces: Sequence[Sequence[Any]], first: int, after: int) -> tuple[Piece, ...]:
    """Those of the rows from `first` to before `after`, counted through all pieces."""
    found, at = [], 0
    for name, start, stop in pieces:
        low, high = max(start, start + first - at), min(stop, start + after - at)
        if low < high:
            found.append((str(name), int(low), int(high)))
        at += stop - start
    return tuple(found)


def shard_hash(names: Sequence[str], values: NDArray[Any]) -> str:
    """SHA-256 over each row: its name in UTF-8, a zero, its pixels as they are stored."""
    digest = hashlib.sha256()
    for name, pixels in zip(names, np.ascontiguousarray(values), strict=True):
        digest.update(name.encode() + b"\0")
        digest.update(pixels.data)
    return digest.hexdigest()


def joined_hash(hashes: Sequence[str], array: Any) -> str:
    """SHA-256 over the type and shape of a row and the hashes of the shards."""
    digest = hashlib.sha256(f"2 {array.dtype.str} {[*array.shape[1:]]}".encode())
    for one in hashes:
        digest.update(bytes.fromhex(one))
    return digest.hexdigest()


def read_rows(array: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Rows (n,), at least one, of an array as it holds them, in any order.

    Raises SurveyError where a shard is damaged.
    """
    try:
        if not _is_ours(array):
            first, in_order = int(rows[0]), np.array_equal(np.diff(rows), np.ones(len(rows) - 1))
            wanted = array[first : first + len(rows)] if in_order else array.oindex[rows]
            return np.asarray(wanted)
        found = np.empty((len(rows), *array.shape[1:]), array.dtype)
        order = np.argsort(rows, kind="stable")
        number = rows[order] // array.shards[0]
        cuts = np.flatnonzero(np.diff(number)) + 1
        for places in np.split(order, cuts):
            _read_shard(array, int(rows[places[0]] // array.shards[0]), rows, places, found)
        return found
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        raise SurveyError(f"{array.store_path}: damaged ({error}); make it again") from error


def _is_ours(array: Any) -> bool:
    """Whether the shards are as `create_array` lays them out, in files of this machine."""
    if array.shards is None or not hasattr(array.store, "root"):
        return False
    if array.shards[1:] != array.shape[1:] or array.chunks[1:] != array.shape[1:]:
        return False
    return [type(codec) for codec in array.compressors] == [BloscCodec] and not array.filters


def _read_shard(
    array: Any, number: int, rows: NDArray[np.int64], places: NDArray[np.intp], out: NDArray[Any]
) -> None:
    """Copy the rows at `places`, all of one shard, ascending, to the same places of `out`."""
    path = Path(array.store.root, array.store_path.path, "c", str(number), *["0"] * (out.ndim - 1))
    if rows[places[0]] < 0 or rows[places[-1]] >= array.shape[0]:
        raise ValueError(f"no row {rows[places[0]]} to {rows[places[-1]]} of {array.shape[0]}")
    if not path.exists():  # nothing but zeros
        out[places] = 0
        return
    chunk, within = array.chunks[0], rows[places] - number * array.shards[0]
    count = array.shards[0] // chunk
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        index = np.frombuffer(data[-16 * count - 4 : -4], "<u8").reshape(count, 2)
        cuts = np.flatnonzero(np.diff(within // chunk)) + 1
        for part, here in zip(np.split(places, cuts), np.split(within, cuts), strict=True):
            start, size = (int(value) for value in index[here[0] // chunk])
            if start == NOWHERE:
                out[part] = 0
            elif start + size > len(data) or size < BLOSC_HEADER.size:
                raise ValueError(f"{path}: cut short")
            else:
                wanted = (here % chunk, chunk)
                _unpack(data, start, size, wanted=wanted, places=part, out=out)


def _unpack(
    data: mmap.mmap,
    start: int,
    size: int,
    *,
    wanted: tuple[NDArray[np.int64], int],
    places: NDArray[np.intp],
    out: NDArray[Any],
) -> None:
    """Copy rows of a chunk of so many rows to `places` of `out`: one by one where few are wanted.

    start, size: where the chunk lies in a shard.
    """
    (rows, count), row = wanted, _row_bytes(out.shape[1:], out.dtype)
    version, coder, flags, kind, whole, block, packed = BLOSC_HEADER.unpack_from(data, start)
    if whole != count * row or packed != size:
        raise ValueError("a chunk is cut short")
    alone = block == row and flags & NOT_SPLIT and not flags & STORED
    if not alone or 2 * len(rows) > count:
        values = np.frombuffer(blosc.decompress(data[start : start + size]), out.dtype)
        out[places] = values.reshape(count, *out.shape[1:])[rows]
        return
    begins = np.frombuffer(data, "<i4", count, start + BLOSC_HEADER.size)[rows].tolist()
    first = BLOSC_HEADER.size + 4
    for place, begin in zip(places, begins, strict=True):
        at = start + begin
        (length,) = struct.unpack_from("<i", data, at)
        if length < 0 or begin < first or begin + 4 + length > size:
            raise ValueError("a block is cut short")
        header = BLOSC_HEADER.pack(version, coder, flags, kind, row, row, first + 4 + length)
        chunk = header + first.to_bytes(4, "little") + data[at : at + 4 + length]
        out[place] = np.frombuffer(blosc.decompress(chunk), out.dtype).reshape(out.shape[1:])
