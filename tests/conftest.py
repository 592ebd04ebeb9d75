"""The order of the tests, and what several files of them share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from galaxy_explorer.pipeline.plan import Plan

ROOT = Path(__file__).resolve().parent.parent

BROWSER = "tests/browser"
HEAVY = (
    BROWSER,
    "tests/evaluation/test_emulator.py",
    "tests/evaluation/test_evaluate.py",
    "tests/test_pipeline.py",
    "tests/models/test_training.py",
    "tests/survey/test_simulation.py",
    "tests/survey/test_resume.py",
    "tests/models/test_hierarchical_prior.py",
    "tests/clustering/test_embedding.py",
    "tests/models/test_pixelcnn.py",
    "tests/models/test_flow.py",
    "tests/test_hierarchical_bundle.py",
    "tests/clustering/test_choose_k.py",
)
"""What begins first: idle cores would wait for it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file in one process, those with a browser in one; the heavy files first."""
    places = {name: place for place, name in enumerate(HEAVY)}
    for item in items:
        file = item.path.relative_to(ROOT).as_posix()
        item.add_marker(pytest.mark.xdist_group(BROWSER if BROWSER in file else file))
    group = lambda item: item.get_closest_marker("xdist_group").args[0]  # noqa: E731
    items.sort(key=lambda item: places.get(group(item), len(HEAVY)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real galaxies beside the repository; absent on most machines."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real galaxies: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def trained_plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of a trained bundle, which all processes share; copy it before you change it."""
    from tests.trained_bundle import trained_once

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return trained_once(folder / "trained")
