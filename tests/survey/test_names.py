from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.survey.names import SPARE_SLOTS, SeenNames, _HashTable, name_hash


def test_seen_names_knows_each_name_once_and_for_ever():
    seen = SeenNames()
    names = [f"galaxy {number}" for number in range(100_000)]
    assert all(seen.add(name) for name in names)
    assert not any(seen.add(name) for name in names)
    assert all(name in seen for name in names)
    assert not any(f"other {number}" in seen for number in range(10_000))
    assert seen.add("galaxy 100000")


def test_seen_names_need_no_more_than_24_bytes_each_while_they_grow():
    seen = SeenNames()
    for number in range(100_000):
        seen.add(f"galaxy {number}")
    held = sum(8 * (len(table._values) - SPARE_SLOTS) for table in seen._tables)
    assert 8 <= held / 100_000 <= 16


@pytest.mark.parametrize("kind", ["first slot", "last slot", "edges", "chance"])
def test_hashes_that_meet_in_one_slot_are_all_kept(kind):
    generator = np.random.default_rng(0)
    values = {
        "first slot": list(range(2000)),
        "last slot": [(1 << 56) - 1 - i for i in range(2000)],
        "edges": [0, 1, 2**64 - 1, 2**63, 2**56 - 1, 2**56],
        "chance": generator.integers(0, 2**64, 5000, np.uint64).tolist(),
    }[kind]
    table, known = _HashTable(), set()
    for value in values:
        assert (value in table) == ((value or 1) in known)
        assert table.add(value) == ((value or 1) not in known)
        known.add(value or 1)
    assert all(value in table for value in values)


def test_name_hash_is_64_bits_and_tells_names_apart():
    hashes = {name_hash(str(number)) for number in range(20000)}
    assert len(hashes) == 20000
    assert max(hashes) < 2**64
