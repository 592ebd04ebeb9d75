from __future__ import annotations

from galaxy_explorer.survey.sources import SeenNames, name_hash


def test_seen_names_knows_each_name_once_and_for_ever():
    seen = SeenNames()
    names = [f"galaxy {number}" for number in range(10000)]
    assert all(seen.add(name) for name in names)
    assert not any(seen.add(name) for name in names)
    assert seen.add("galaxy 10000")


def test_name_hash_is_64_bits_and_tells_names_apart():
    hashes = {name_hash(str(number)) for number in range(20000)}
    assert len(hashes) == 20000
    assert max(hashes) < 2**64
