"""The one bootstrap and the one meaning of an interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import adjusted_mutual_info_score

from galaxy_explorer.utils.resampling import (
    bootstrap,
    chance_level,
    mean_interval,
    share_interval,
    slope,
    slope_interval,
)


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    samples = np.random.default_rng(5).normal(size=(600, 200))
    found = [
        bootstrap(lambda rows, x=x: x[rows].mean(), 200, seed=number, resamples=400)
        for number, x in enumerate(samples)
    ]
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.97


def test_the_seed_decides_and_nothing_else():
    values = np.random.default_rng(0).normal(size=50)

    def estimate(seed: int):
        return bootstrap(lambda rows: values[rows].mean(), 50, seed=seed, resamples=200)

    assert estimate(3) == estimate(3)
    assert estimate(3) != estimate(4)
    assert estimate(3).value == estimate(4).value


def test_of_a_mean_it_is_scipys_percentile_interval():
    values = np.random.default_rng(1).gamma(4, size=150)
    found = bootstrap(lambda rows: values[rows].mean(), 150, resamples=20_000)
    other = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    )
    half = (other.confidence_interval.high - other.confidence_interval.low) / 2
    assert found.low == pytest.approx(other.confidence_interval.low, abs=0.04 * half)
    assert found.high == pytest.approx(other.confidence_interval.high, abs=0.04 * half)
    assert found.error == pytest.approx(other.standard_error, rel=0.02)


def test_two_sets_are_resampled_each_by_itself_as_scipy_does():
    rng = np.random.default_rng(3)
    one, other = rng.normal(3, 1, 80), rng.normal(1, 2, 200)

    def apart(a, b):
        return one[a].mean() - other[b].mean()

    found = bootstrap(apart, 80, 200, resamples=5000)
    assert found.n == 80
    assert found.error == pytest.approx(np.hypot(1 / np.sqrt(80), 2 / np.sqrt(200)), rel=0.15)
    found_by_scipy = stats.bootstrap(
        (one, other),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        n_resamples=5000,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    assert found.error == pytest.approx(found_by_scipy.standard_error, rel=0.05)


def test_where_repeats_raise_a_score_the_interval_still_holds_its_value():
    """Of random clusters every resample's mutual information lies above the sample's own."""
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(10, size=(2, 300))

    def score(rows):
        return adjusted_mutual_info_score(truth[rows], labels[rows])

    found = bootstrap(score, 300, resamples=100, most=1)
    drawn = [score(rng.integers(300, size=300)) for _ in range(100)]
    assert np.quantile(drawn, 0.025) > found.value
    assert found.low < found.value < found.high


def test_no_end_above_what_the_statistic_can_be():
    values = np.concatenate([np.zeros(1), np.ones(60)])
    found = bootstrap(lambda rows: values[rows].mean(), 61, most=1)
    assert found.low < found.value < found.high <= 1
    free = bootstrap(lambda rows: values[rows].mean(), 61)
    assert free.high > 1


def test_too_few_galaxies_have_no_interval():
    none = bootstrap(lambda rows: float(len(rows)), 0)
    one = bootstrap(lambda rows: float(len(rows)), 1)
    assert (none.n, one.n, one.value) == (0, 1, 1.0)
    assert all(map(math.isnan, (none.value, none.low, none.high, one.low, one.high)))


def test_resamples_without_a_value_do_not_count():
    values = np.arange(4.0)

    def only_if_varied(rows):
        return values[rows].mean() if len(np.unique(rows)) > 2 else math.nan

    found = bootstrap(only_if_varied, 4, resamples=300)
    assert found.low < found.value < found.high
    assert math.isnan(bootstrap(lambda _: math.nan, 4).low)


def test_chance_level_of_a_correlation_is_none():
    x = np.arange(100.0)
    assert abs(chance_level(lambda rows: np.corrcoef(x, x[rows])[0, 1], 100)) < 0.05
    assert math.isnan(chance_level(lambda _: 1.0, 1))


def test_interval_of_a_share():
    # Wilson's interval of 8 in 10
    low, high = share_interval(8, 10)
    assert (low, high) == (pytest.approx(0.490, abs=0.002), pytest.approx(0.943, abs=0.002))
    assert share_interval(10, 10)[1] == 1
    lows, highs = share_interval([0, 8, 0], [10, 8, 0])
    exact = stats.binomtest(8, 8).proportion_ci(method="wilson")
    assert (lows[1], highs[1]) == pytest.approx((exact.low, exact.high))
    assert np.isnan([lows[2], highs[2]]).all()


def test_intervals_of_a_mean_and_a_slope_are_students():
    rng = np.random.default_rng(7)
    x = rng.normal(size=12)
    y = 2 * x + rng.normal(size=12)
    mean = mean_interval(y)
    assert (mean.low, mean.high) == pytest.approx(
        stats.t.interval(0.95, 11, y.mean(), stats.sem(y))
    )
    found, fit = slope_interval(x, y), stats.linregress(x, y)
    assert found.value == pytest.approx(slope(x, y)) == pytest.approx(fit.slope)
    assert found.high - found.value == pytest.approx(2.2281 * fit.stderr, rel=1e-4)
