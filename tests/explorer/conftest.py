from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.search import label_store
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.settings import read_settings
from tests.explorer.fakes import drawn
from tests.small_bundle import write_small_bundle
from tests.small_evaluation import small_evaluation


@pytest.fixture(autouse=True)
def label_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where labels go: neither to the user's log nor to the one that another test has opened."""
    path = tmp_path / "labels.db"
    monkeypatch.setenv("GALAXY_EXPLORER_LABELS", str(path))
    label_store.cache_clear()
    return path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("bundle") / "small"))


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a survey in three bands."""
    folder = tmp_path_factory.mktemp("coloured")
    return load_bundle(write_small_bundle(folder / "colours", channels=3))


@pytest.fixture(scope="session")
def evaluated(bundle: Bundle) -> Bundle:
    """The bundle with an evaluation of random numbers."""
    keys = {key: len(one.clusters) for key, one in bundle.clusterings.items()}
    return replace(bundle, evaluation=small_evaluation(len(bundle), keys))


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


@pytest.fixture
def context(bundle: Bundle, stamps: StampStore, tmp_path: Path) -> AppContext:
    """What visitors share, with stamps that need no torch."""
    store = SelectionStore(tmp_path / "selections", bundle.hash, len(bundle), 10)
    return AppContext(bundle, stamps, None, store, read_settings({}))
