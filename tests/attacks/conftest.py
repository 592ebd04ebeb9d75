from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.small_bundle import write_small_bundle


@pytest.fixture(scope="session")
def intact(tmp_path_factory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "small", n=60)


@pytest.fixture
def bundle(intact, tmp_path) -> Path:
    return shutil.copytree(intact, tmp_path / "bundle")
