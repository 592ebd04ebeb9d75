from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.emulation import morphology
from galaxy_explorer.emulation.morphology import STATISTICS, measure_morphology, measure_one
from galaxy_explorer.utils.resampling import slope
from tests.survey.test_photometry import ellipse


@pytest.fixture(scope="module")
def stamps():
    return np.stack([ellipse(scale=s, seed=i) for i, s in enumerate((3, 5, 3))]).astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "morphology.safetensors"


@pytest.fixture(scope="module")
def measured(stamps, cache):
    return measure_morphology(stamps, cache)


def test_an_exponential_disc_has_the_values_of_the_literature(measured):
    # Conselice 2003: C of an exponential disc is 2.7
    assert measured.values["concentration"][0] == pytest.approx(2.7, abs=0.3)
    assert abs(measured.values["asymmetry"][0]) < 0.1
    assert 0.4 < measured.values["gini"][0] < 0.6
    assert (measured.flag <= 1).all()
    assert measured.failed_share == 0


def test_a_second_call_measures_nothing(stamps, cache, measured, monkeypatch):
    monkeypatch.setattr(morphology, "measure_one", None)
    again = measure_morphology(stamps[::-1], cache)
    for name in STATISTICS:
        np.testing.assert_array_equal(again.values[name], measured.values[name][::-1])


def test_a_damaged_cache_is_measured_again(stamps, tmp_path, measured):
    path = tmp_path / "cache"
    path.write_bytes(b"not numbers")
    again = measure_morphology(stamps[:1], path)
    assert again.values["gini"][0] == measured.values["gini"][0]


def test_processes_change_nothing(stamps, tmp_path, measured):
    again = measure_morphology(stamps, tmp_path / "cache", workers=2)
    for name in STATISTICS:
        np.testing.assert_array_equal(again.values[name], measured.values[name])


def test_the_unit_of_linear_flux_changes_nothing(stamps, tmp_path, measured):
    again = measure_morphology(stamps * np.float32(1e-8), tmp_path / "cache")
    np.testing.assert_array_equal(again.flag, measured.flag)
    for name, values in measured.values.items():
        np.testing.assert_allclose(again.values[name], values, rtol=1e-3, atol=1e-4)


def test_a_stamp_without_a_galaxy_is_flagged_and_not_a_number(tmp_path):
    empty = np.zeros((1, 64, 64), np.float32)
    assert measure_one(empty[0])[-1] > 1
    found = measure_morphology(empty, tmp_path / "cache")
    assert np.isnan(found.values["gini"][0])
    assert found.failed_share == 1


def test_no_stamps(tmp_path):
    found = measure_morphology(np.empty((0, 64, 64), np.float32), tmp_path / "cache")
    assert len(found.flag) == 0


def test_slope_by_hand():
    ttype = np.array([0.0, 1.0, 2.0, np.nan, 3.0])
    assert slope(ttype, np.array([1.0, 3.0, 5.0, 100.0, np.nan])) == pytest.approx(2)
    assert np.isnan(slope(ttype[:1], np.ones(1)))
