from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.explorer.stamps import StampStore
from galaxy_explorer.explorer.state import ExplorerState
from tests.explorer.fakes import drawn
from tests.small_bundle import write_small_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("bundle") / "small"))


@pytest.fixture
def stamps(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StampStore]:
    """Stamps that need no torch."""
    monkeypatch.setattr(Bundle, "decode", lambda _, model, rows: drawn(rows, model))
    store = StampStore(bundle, tmp_path)
    yield store
    store.close()


@pytest.fixture
def state(bundle: Bundle) -> ExplorerState:
    return ExplorerState(bundle)
