from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.validation import accuracy, balanced_accuracy, two_class

TRAIN, VALIDATION, TEST = np.arange(600), np.arange(600, 800), np.arange(800, 1200)


def judge(labels, ttype, **options):
    return two_class(labels, ttype, train=TRAIN, validation=VALIDATION, test=TEST, **options)


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    ttype = rng.uniform(-5, 9, 1200)
    return np.floor(ttype + rng.normal(0, 1, 1200)).clip(-5, 8).astype(np.int16) + 5, ttype


@pytest.mark.parametrize("statistic", ["share", "mean"])
def test_clusters_along_the_sequence_are_told_apart(sample, statistic):
    scores, _ = judge(*sample, statistic=statistic)
    for score in scores.values():
        assert score["low"] <= score["value"] <= score["high"]
        assert 0.88 < score["value"] < 1
    assert scores["balanced_accuracy"]["chance"] == pytest.approx(0.5, abs=0.03)


def test_random_clusters_do_no_better_than_chance(sample):
    labels = np.random.default_rng(1).integers(10, size=1200)
    scores, _ = judge(labels, sample[1])
    for name, score in scores.items():
        assert abs(score["value"] - score["chance"]) < 0.08, name


def test_test_galaxies_choose_nothing(sample):
    labels, ttype = sample
    altered = ttype.copy()
    altered[TEST] = -altered[TEST]
    before, after = judge(labels, ttype)[1], judge(labels, altered)[1]
    for name, rule in before.items():
        assert rule.threshold == after[name].threshold
        np.testing.assert_array_equal(rule.earliness, after[name].earliness)


def test_threshold_is_the_best_one_on_validation(sample):
    labels, ttype = sample
    early = ttype[VALIDATION] <= 0
    for name, score in (("accuracy", accuracy), ("balanced_accuracy", balanced_accuracy)):
        rule = judge(labels, ttype)[1][name]
        reached = score(early, rule.predict(labels[VALIDATION]))
        tried = [
            score(early, rule.earliness[labels[VALIDATION]] >= t) for t in np.linspace(0, 1.01, 40)
        ]
        assert reached >= max(tried)


def test_names_of_the_clusters_and_the_undecided_do_not_matter(sample):
    labels, ttype = sample
    renamed = np.random.default_rng(0).permutation(14)[labels]
    assert judge(renamed, ttype)[0] == judge(labels, ttype)[0]
    left_out = np.where(np.arange(1200) % 4 == 0, -1, labels)
    kept = np.where(np.arange(1200) % 4 == 0, np.nan, ttype)
    assert judge(left_out, ttype)[0] == judge(labels, kept)[0]


def test_a_cluster_first_seen_on_test_galaxies_counts_as_the_whole_sample(sample):
    labels, ttype = sample
    labels = labels.copy()
    labels[TEST[:5]] = 40
    rule = judge(labels, ttype)[1]["accuracy"]
    assert rule.earliness[40] == pytest.approx((ttype[TRAIN] <= 0).mean())


def test_scores_by_hand():
    truth = np.array([True, True, True, False])
    guess = np.array([True, True, False, False])
    assert accuracy(truth, guess) == 0.75
    assert balanced_accuracy(truth, guess) == pytest.approx((2 / 3 + 1) / 2)
    assert balanced_accuracy(truth[:3], guess[:3]) == pytest.approx(2 / 3)


def test_no_types_no_score(sample):
    scores, _ = judge(sample[0], np.full(1200, np.nan))
    assert np.isnan([value for score in scores.values() for value in score.values()]).all()


def test_unknown_statistic_is_refused(sample):
    with pytest.raises(ValueError, match="choose share, mean"):
        judge(*sample, statistic="median")
