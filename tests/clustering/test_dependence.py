from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.validation import (
    dependence,
    eta_squared,
    ideal_clusters,
    undecided_share,
    vector_eta2,
)

N = 500


def quick(labels, column, kind="continuous"):
    return dependence(labels, column, kind, bootstraps=30, permutations=10)


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "continuous": rng.normal(size=N),
        "categorical": rng.choice(["spiral", "elliptical", "merger"], N),
        "angle": rng.uniform(0, 180, N),
    }


def perfect(column: np.ndarray, kind: str) -> np.ndarray:
    if kind == "categorical":
        return np.unique(column, return_inverse=True)[1]
    return np.argsort(np.argsort(column)) // (N // 25)


@pytest.mark.parametrize("kind", ["continuous", "categorical", "angle"])
def test_clusters_that_follow_a_column_score_high_and_random_ones_their_chance(kind, columns):
    column = columns[kind]
    random = np.random.default_rng(1).integers(12, size=N)
    for name, score in quick(perfect(column, kind), column, kind).items():
        assert score["value"] > (0.5 if name == "ami" else 0.95), name
        assert score["low"] <= score["value"] <= score["high"] <= 1 + 1e-9
        assert score["chance"] < 0.1
    for name, score in quick(random, column, kind).items():
        assert abs(score["value"] - score["chance"]) < 0.03, name
        assert score["low"] < score["chance"] < score["high"], name


def test_chance_level_of_eta_squared_is_the_degrees_of_freedom(columns):
    labels = np.random.default_rng(1).integers(40, size=N)
    assert quick(labels, columns["continuous"])["eta2"]["chance"] == pytest.approx(
        39 / (N - 1), abs=0.01
    )


def test_angles_meet_at_180_degrees():
    angle = np.random.default_rng(0).normal(0, 4, N) + np.repeat([0, 60], N // 2)
    labels = np.repeat([0, 1], N // 2)
    folded = quick(labels, np.mod(angle, 180), "angle")["eta2"]["value"]
    assert folded == pytest.approx(quick(labels, angle + 180, "angle")["eta2"]["value"])
    assert folded > 0.9


def test_turning_the_sky_changes_no_score(columns):
    labels = perfect(columns["angle"], "angle") // 5
    turned = np.mod(columns["angle"] + 77, 180)
    before, after = (quick(labels, c, "angle")["eta2"]["value"] for c in (columns["angle"], turned))
    assert after == pytest.approx(before)


def test_vector_eta2_of_numbers_is_eta_squared(columns):
    labels = np.random.default_rng(1).integers(9, size=N)
    column = columns["continuous"]
    assert vector_eta2(column, labels) == pytest.approx(eta_squared(column, labels))
    assert vector_eta2(np.ones(N), labels) == 0


@pytest.mark.parametrize(
    ("kind", "unknown"), [("continuous", np.nan), ("categorical", ""), ("angle", np.nan)]
)
def test_unknown_values_and_the_undecided_do_not_count(kind, unknown, columns):
    labels = perfect(columns[kind], kind).astype(np.int16)
    column = columns[kind].copy()
    column[::3] = unknown
    labels[1::3] = -1
    kept = np.arange(N) % 3 == 2
    assert quick(labels, column, kind) == quick(labels[kept], columns[kind][kept], kind)


def test_negative_class_numbers_are_unknown():
    labels = np.tile([0, 1], 50)
    classes = np.where(np.arange(100) < 50, labels, -1).astype(np.int8)
    assert quick(labels, classes, "categorical")["ami"]["value"] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["continuous", "categorical", "angle"])
def test_nothing_known_no_score(kind):
    column = np.full(5, "") if kind == "categorical" else np.full(5, np.nan)
    scores = quick(np.zeros(5, np.int16), column, kind)
    assert np.isnan([v for score in scores.values() for v in score.values()]).all()


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="choose categorical"):
        dependence(np.zeros(3), np.zeros(3), "colour")


def test_the_ceiling_falls_with_the_error_of_the_types():
    ttype = np.random.default_rng(0).uniform(-5, 8, 3000)
    ttype[::4] = np.nan
    known = ~np.isnan(ttype)
    values = []
    for error in (0.0, 1.0, 3.0):
        labels = ideal_clusters(ttype, 64, error=error)
        np.testing.assert_array_equal(labels >= 0, known)
        values.append(eta_squared(ttype[known], labels[known]))
    assert values[0] > 0.99 > values[1] > 0.9 > values[2] > 0.4


def test_the_ceiling_rises_with_the_number_of_clusters():
    ttype = np.random.default_rng(0).uniform(-5, 8, 3000)
    values = [eta_squared(ttype, ideal_clusters(ttype, k)) for k in (2, 8, 64)]
    assert values == sorted(values)


def test_share_of_the_undecided():
    assert undecided_share(np.array([-1, 0, 3, -1])) == 0.5
