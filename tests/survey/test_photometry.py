from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.survey.photometry import measure_stamp, measure_stamps, segment

SIDE = 64


def ellipse(*, axis_ratio=1.0, angle=0.0, scale=4.0, x=31.5, y=31.5, noise=0.01, seed=0):
    """An exponential disc on a sky of 0.1."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    dx, dy, turn = columns - x, rows - y, np.radians(angle)
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / axis_ratio
    light = np.exp(-np.hypot(along, across) / scale)
    return 0.1 + light + np.random.default_rng(seed).normal(0, noise, light.shape)


@pytest.mark.parametrize("angle", [0, 30, 90, 150])
def test_angle_and_axis_ratio_of_a_known_ellipse(angle):
    measured = measure_stamp(ellipse(axis_ratio=0.5, angle=angle, scale=6))
    apart = abs(measured["position_angle"] - angle)
    assert min(apart, 180 - apart) < 4
    assert measured["axis_ratio"] == pytest.approx(0.5, abs=0.08)


def test_size_is_the_half_light_radius():
    for scale in (2, 4):
        assert measure_stamp(ellipse(scale=scale))["size"] == pytest.approx(1.5 * scale, rel=0.15)


def test_turning_a_stamp_turns_the_angle_and_nothing_else():
    stamp = ellipse(axis_ratio=0.6, angle=20)
    before, after = measure_stamp(stamp), measure_stamp(np.rot90(stamp))
    for name in ("size", "axis_ratio", "signal_to_noise", "neighbours"):
        assert after[name] == pytest.approx(before[name], rel=1e-6)
    assert (before["position_angle"] - after["position_angle"]) % 180 == pytest.approx(90, abs=0.1)


def test_more_noise_is_a_lower_signal_to_noise():
    quiet, loud = (measure_stamp(ellipse(noise=noise)) for noise in (0.01, 0.05))
    assert quiet["signal_to_noise"] > 2 * loud["signal_to_noise"]


def test_a_neighbour_is_counted_and_not_measured():
    alone = ellipse(scale=3)
    company = alone + ellipse(scale=1, x=55, y=10, noise=0) - 0.1
    assert segment(alone).neighbours == 0
    assert segment(company).neighbours == 1
    assert measure_stamp(company)["size"] == pytest.approx(measure_stamp(alone)["size"], rel=0.05)


@pytest.mark.parametrize("stamp", [np.zeros((SIDE, SIDE)), np.ones((SIDE, SIDE))])
def test_an_empty_stamp_has_finite_measures_or_none(stamp):
    noisy = stamp + np.random.default_rng(0).normal(0, 1e-3, stamp.shape)
    assert np.isfinite(list(measure_stamp(noisy).values())).all()
    assert segment(stamp).labels[SIDE // 2, SIDE // 2] == 1
    assert np.isfinite(list(measure_stamp(stamp).values())).all()


def test_many_at_once_are_the_same_as_one_by_one():
    stamps = np.stack([ellipse(axis_ratio=q, seed=3) for q in (0.4, 0.9)])[:, None]
    columns = measure_stamps(stamps.astype(np.float32))
    for row in range(2):
        for name, value in measure_stamp(stamps[row, 0].astype(np.float32)).items():
            assert columns[name][row] == pytest.approx(value, rel=1e-4)
