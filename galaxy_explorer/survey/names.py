"""Names of galaxies that were met already, of as many as a survey has."""

from __future__ import annotations

import hashlib
from array import array

import numpy as np
from numpy.typing import NDArray

TABLE_BITS = 8
TABLES = 1 << TABLE_BITS
WITHIN_BITS = 64 - TABLE_BITS
WITHIN = (1 << WITHIN_BITS) - 1
COARSE = WITHIN_BITS - 32
LEAST_SLOTS = 32
SPARE_SLOTS = 64
"""Behind the last slot, for those whose own is taken there."""


def name_hash(text: str) -> int:
    """64 bits of a name: enough to tell millions apart in 8 bytes each."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def place_of(values: NDArray[np.uint64], value: int) -> int | None:
    """Place of a hash among sorted ones, of the first if there are several; None if absent."""
    place = int(np.searchsorted(values, np.uint64(value)))
    return place if place < values.size and int(values[place]) == value else None


class SeenNames:
    """The set of names met so far, 11 to 16 bytes each; the next one costs the same at any size."""

    def __init__(self) -> None:
        # They grow one after the other, so that only one of them ever lies in memory twice.
        self._tables = [_HashTable() for _ in range(TABLES)]

    def __contains__(self, name: object) -> bool:
        value = name_hash(str(name))
        return value in self._tables[value >> WITHIN_BITS]

    def add(self, name: str) -> bool:
        """Note `name`; False if it was there already."""
        value = name_hash(name)
        return self._tables[value >> WITHIN_BITS].add(value)


class _HashTable:
    """Hashes of 64 bits, each in its own slot or the first free one after it.

    The slot grows with the lower bits of the hash, so that sorted hashes are laid anew in one go.
    """

    def __init__(self) -> None:
        self._lay(np.empty(0, np.uint64))

    def __contains__(self, value: int) -> bool:
        return self._values[self._place(value or 1)] != 0

    def add(self, value: int) -> bool:
        """Note a hash; False if it was there already."""
        value = value or 1  # 0 is a free slot
        place = self._place(value)
        if self._values[place]:
            return False
        self._values[place] = value
        self._count += 1
        # The last slot stays free: there every search ends.
        if 4 * self._count > 3 * self._slots or place == len(self._values) - 1:
            known = np.frombuffer(self._values, np.uint64)
            self._lay(known[known > 0])
        return True

    def _place(self, value: int) -> int:
        """Where a hash is, else the free slot for it."""
        values = self._values
        place = ((value & WITHIN) >> COARSE) * self._slots >> 32
        while values[place] and values[place] != value:
            place += 1
        return int(place)

    def _lay(self, known: NDArray[np.uint64]) -> None:
        """Lay hashes into twice as many slots."""
        self._count = len(known)
        slots = max(LEAST_SLOTS, 2 * len(known))
        within = known & np.uint64(WITHIN)
        order = np.argsort(within, kind="stable")
        own = (within[order] >> np.uint64(COARSE)) * np.uint64(slots) >> np.uint64(32)
        steps = np.arange(len(known))
        places = np.maximum.accumulate(own.astype(np.int64) - steps) + steps
        behind = max(slots, int(places[-1]) + 1 if len(known) else 0)
        self._slots, self._values = slots, array("Q", bytes(8 * (behind + SPARE_SLOTS)))
        np.frombuffer(self._values, np.uint64)[places] = known[order]
