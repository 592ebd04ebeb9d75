"""The order of the tests, and what several files of them share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from galaxy_explorer.pipeline.plan import Plan

ROOT = Path(__file__).resolve().parent.parent

# The same draws on every machine: what fails anywhere fails everywhere. `--hypothesis-profile
# default` draws anew.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

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
    "tests/emulation/test_sampler.py",
    "tests/clustering/test_choose_k.py",
)
"""What begins first: idle cores would wait for it at the end."""
SLOW = frozenset(
    (
        "tests/evaluation/test_emulator.py",
        "tests/attacks/test_leaks.py",
        "tests/attacks/test_sessions.py",
        "tests/clustering/test_choose_k.py",
        "tests/emulation/test_proof.py",
        "tests/models/test_registry.py",
        "tests/models/test_training.py",
        "tests/models/test_vqvae2.py",
        "tests/survey/test_simulation.py",
        "tests/test_flow_bundle.py",
    )
)
"""Files that as a whole are slow: half of the seconds of what would be left for make test-quick."""


def group_of(nodeid: str) -> str:
    """What runs in one process, one after the other: the tests of a file, or all with a browser."""
    file = nodeid.partition("::")[0]
    return BROWSER if file.startswith(BROWSER) else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The heavy files first; slow ones are marked before markers choose."""
    for item in items:
        if group_of(item.nodeid) in SLOW:
            item.add_marker(pytest.mark.slow)
    places = {name: place for place, name in enumerate(HEAVY)}
    items.sort(key=lambda item: places.get(group_of(item.nodeid), len(HEAVY)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out groups where `--dist loadfile` would hand out files."""
    from xdist.scheduler import LoadFileScheduling

    class GroupScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return GroupScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


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
