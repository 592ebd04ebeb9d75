from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.labels.groups import Sample
from galaxy_explorer.labels.log import Provenance
from galaxy_explorer.labels.store import LabelStore

KEY = "k512/codes"
GIVEN = Provenance("ab" * 32, KEY, "0.1.0")


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], LabelStore]]:
    """Open the log again, as another process or after a restart."""
    opened: list[LabelStore] = []

    def once_more() -> LabelStore:
        opened.append(LabelStore(tmp_path / "labels.db", GIVEN))
        return opened[-1]

    yield once_more
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], LabelStore]) -> LabelStore:
    return open_store()


@pytest.fixture
def sample() -> Sample:
    """Twelve galaxies in clusters 0, 1, 2 by turns."""
    return Sample(tuple(f"g{i}" for i in range(12)), {KEY: np.arange(12) % 3})
