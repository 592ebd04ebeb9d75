from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.validation import agreement, eta_squared


@pytest.fixture(scope="module")
def types() -> tuple[np.ndarray, np.ndarray]:
    ttype = np.random.default_rng(0).uniform(-5, 8, 600)
    classes = (np.floor(ttype + 0.5).clip(-3, 6) + 3).astype(np.int8)
    return ttype, classes


def quick(labels, ttype, classes):
    return agreement(labels, ttype, classes, bootstraps=60, permutations=30)


def test_clusters_that_are_the_types_score_one(types):
    ttype, classes = types
    scores = quick(classes, ttype, classes)
    assert scores["ami"]["value"] == pytest.approx(1)
    assert scores["homogeneity"]["value"] == pytest.approx(1)
    assert scores["eta2"]["value"] > 0.9


def test_random_clusters_score_their_chance_level(types):
    ttype, classes = types
    labels = np.random.default_rng(1).integers(30, size=600)
    for name, score in quick(labels, ttype, classes).items():
        assert score["low"] <= score["value"] <= score["high"], name
        assert abs(score["value"] - score["chance"]) < 0.03, name


def test_chance_level_of_eta_squared_is_the_degrees_of_freedom(types):
    ttype, classes = types
    labels = np.random.default_rng(1).integers(30, size=600)
    assert quick(labels, ttype, classes)["eta2"]["chance"] == pytest.approx(29 / 599, abs=0.01)


def test_scores_do_not_depend_on_the_names_of_the_clusters(types):
    ttype, classes = types
    labels = (classes // 2).astype(np.int64)
    renamed = np.array([7, 3, 40, 1, 0])[labels]
    before, after = quick(labels, ttype, classes), quick(renamed, ttype, classes)
    assert before["eta2"] == pytest.approx(after["eta2"])
    assert before["ami"] == pytest.approx(after["ami"])


def test_galaxies_without_type_do_not_count(types):
    ttype, classes = types
    labels = classes // 3
    holes = ttype.copy()
    holes[::3] = np.nan
    kept = np.arange(600) % 3 != 0
    assert quick(labels, holes, classes) == quick(labels[kept], ttype[kept], classes[kept])


def test_same_seed_same_interval(types):
    ttype, classes = types
    assert quick(classes // 2, ttype, classes) == quick(classes // 2, ttype, classes)


def test_more_galaxies_narrow_the_interval(types):
    ttype, classes = types
    labels = np.where(np.random.default_rng(0).random(600) < 0.5, classes // 2, 9)
    few = quick(labels[:100], ttype[:100], classes[:100])["eta2"]
    many = quick(labels, ttype, classes)["eta2"]
    assert many["high"] - many["low"] < few["high"] - few["low"]


def test_no_types_no_score():
    empty = np.zeros(5, np.int16)
    scores = quick(empty, np.full(5, np.nan), np.full(5, -1, np.int8))
    assert np.isnan([value for score in scores.values() for value in score.values()]).all()


def test_eta_squared_by_hand():
    assert eta_squared(np.array([0.0, 2, 4, 6]), np.array([0, 0, 1, 1])) == pytest.approx(16 / 20)
    assert eta_squared(np.array([1.0, 1, 1]), np.array([0, 1, 1])) == 0
