from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer import Survey, load_bundle
from galaxy_explorer.survey.store import SurveySpec
from galaxy_explorer.survey.writer import SurveyWriter
from tests.small_bundle import write_small_bundle
from tests.small_survey import blobs

N, ROWS = 40, 8
MODEL = "k16-modern-8x8"


def write_placed_survey(path: Path, *, positions: bool = True, size: int = 64) -> Survey:
    """Galaxies in a patch of 40 by 20 degrees, or nowhere."""
    rng = np.random.default_rng(1)
    writer = SurveyWriter(path, SurveySpec("placed", "drawn", size, state="arcsinh"), recipe={})
    columns = {"galaxy_id": np.array([f"g{i:02d}" for i in range(N)]), "note": np.arange(N) ** 2}
    if positions:
        columns |= {"ra": rng.uniform(100, 140, N), "dec": rng.uniform(-10, 10, N)}
    stamps = blobs(rng.uniform(-5, 8, N), rng, size)
    writer.append(stamps, columns, cursor=N)
    return writer.finish({})


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    return load_bundle(write_small_bundle(tmp_path_factory.mktemp("encoding") / "b", n=60))


@pytest.fixture(scope="session")
def survey(tmp_path_factory):
    return write_placed_survey(tmp_path_factory.mktemp("encoding") / "s")
