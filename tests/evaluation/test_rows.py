from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from galaxy_explorer.evaluation.rows import RowKey, find_row, join_seeds, make_row
from galaxy_explorer.utils.resampling import bootstrap, mean_interval

SUBSET = RowKey("k16-paper-8x8", "index", "gmm", 64)


def row(value, half=0.1, figure="AMI"):
    score = {"value": value, "low": value - half, "high": value + half, "chance": 0.01}
    return make_row(SUBSET, "agreement", figure, score, n=100)


def half_width(values):
    found = mean_interval(values)
    assert found.high - found.value == pytest.approx(found.value - found.low)
    return found.high - found.value


def test_one_training_keeps_its_interval():
    assert join_seeds([row(0.5)]) == [row(0.5)]


def test_trainings_are_joined_to_their_mean_with_a_wider_interval():
    (joined,) = join_seeds([row(0.4), row(0.5), row(0.6)])
    spread = half_width([0.4, 0.5, 0.6])
    assert joined.seed_count == 3
    assert joined.value == pytest.approx(0.5)
    assert joined.high - joined.value == pytest.approx(np.hypot(0.1, spread))
    assert joined.value - joined.low == pytest.approx(np.hypot(0.1, spread))


def test_equal_trainings_do_not_narrow_the_interval_over_galaxies():
    (joined,) = join_seeds([row(0.5)] * 5)
    assert (joined.low, joined.high) == (pytest.approx(0.4), pytest.approx(0.6))


def test_student_by_hand():
    # t(0.975, 2 degrees of freedom) = 4.3027
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)


def test_other_figures_and_features_stay_apart():
    other = replace(row(0.5), features="codes")
    assert len(join_seeds([row(0.5), row(0.6, figure="eta^2"), other])) == 3


def test_a_score_that_is_no_number_is_left_out():
    made = make_row(SUBSET, "agreement", "AMI", {"value": float("nan")}, n=0)
    assert made.value is None
    assert made.low is None


def test_find():
    rows = [row(0.5), row(0.6, figure="eta^2")]
    assert find_row(rows, figure="eta^2", model="k16-paper-8x8").value == 0.6
    assert find_row(rows, figure="NMSE") is None


def test_interval_over_galaxies_of_a_mean():
    values = np.random.default_rng(0).normal(5, 1, 400)
    found = bootstrap(lambda rows: values[rows].mean(), 400, resamples=500)
    made = make_row(SUBSET, "agreement", "AMI", found, n=400)
    assert made.value == pytest.approx(values.mean())
    assert made.high - made.low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    alone = make_row(SUBSET, "agreement", "AMI", bootstrap(lambda _: 1.0, 1, resamples=10), n=1)
    assert (alone.value, alone.low, alone.high) == (1.0, None, None)


def test_an_interval_that_ends_at_zero_counts_when_trainings_are_joined():
    (joined,) = join_seeds([row(0.1), row(0.1), row(0.1)])
    assert (joined.low, joined.high) == (pytest.approx(0.0), pytest.approx(0.2))
