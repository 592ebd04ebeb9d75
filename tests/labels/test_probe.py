"""What labels teach: laws of the probe, its order of asking, and a control without a signal."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.labels.log import Change
from galaxy_explorer.labels.probe import (
    REFIT_EVERY,
    Lessons,
    agreement,
    fit_probe,
    next_rows,
    spread_out,
    standardised,
    taught,
)
from galaxy_explorer.labels.scheme import DEFAULT, LabelScheme, Term

N, P = 2000, 4


@pytest.fixture
def features() -> np.ndarray:
    return standardised(np.random.default_rng(3).normal(size=(N, P)) * 7 + 2)


def late(features: np.ndarray) -> np.ndarray:
    """The truth: a plane through the features."""
    return (features @ [1.0, -2.0, 0.5, 0.0] > 0.3).astype(np.int64)


def labels(features: np.ndarray, rows: np.ndarray) -> Lessons:
    ttype = (features @ [1.0, -2.0, 0.5, 0.0])[rows] + 1
    return Lessons(rows, late(features)[rows], ("early", "late"), ttype)


def test_standardised_features_survive_a_column_that_never_changes():
    values = standardised(np.array([[1, 5.0], [3, 5.0]], np.float32))
    assert values.tolist() == [[-1, 0], [1, 0]]


def test_a_plane_is_learnt_and_shuffled_labels_teach_nothing(features):
    rows = np.arange(200)
    given, truth = labels(features, rows), late(features)
    probe = fit_probe(features, given)
    assert (probe.classes == truth)[200:].mean() > 0.95
    shuffled = Lessons(rows, np.random.default_rng(0).permutation(given.classes), given.names)
    right = (fit_probe(features, shuffled).classes == truth)[200:].mean()
    assert abs(right - 0.5) < 0.15
    assert fit_probe(features, shuffled).ttype is None


def test_probabilities_are_those_of_a_logistic_regression_without_the_width(features):
    """With so many labels the posterior is narrow: the plain maximum is a hand computation."""
    rows = np.arange(N)
    noisy = (np.random.default_rng(5).random(N) < 1 / (1 + np.exp(-features[:, 0]))).astype(int)
    probe = fit_probe(features, Lessons(rows, noisy, ("early", "late")))
    share = probe.shares[:, 1]
    design = np.hstack([features, np.ones((N, 1))])
    weights = np.linalg.lstsq(design, np.log(share / (1 - share)), rcond=None)[0]
    slope = design.T @ (1 / (1 + np.exp(-design @ weights)) - noisy) + [*weights[:-1], 0]
    assert np.abs(slope).max() < 0.02 * N / 10
    assert weights[0] == pytest.approx(1, abs=0.2)


def test_t_is_read_with_an_error_that_holds(features):
    rows = np.arange(300)
    truth = features @ [1.0, -2.0, 0.5, 0.0]
    noisy = truth + np.random.default_rng(1).normal(scale=0.8, size=N)
    probe = fit_probe(features, Lessons(rows, late(features)[rows], ("early", "late"), noisy[rows]))
    within = np.abs(noisy - probe.ttype)[300:] < probe.ttype_error[300:]
    assert 0.62 < within.mean() < 0.74, "one standard error holds 68 %"


def test_three_classes_share_one(features):
    kinds = np.digitize(features[:, 0], [-0.5, 0.5])
    rows = np.arange(300)
    probe = fit_probe(features, Lessons(rows, kinds[rows], ("a", "b", "c", "never given")))
    assert probe.shares.sum(1) == pytest.approx(1)
    assert set(probe.shares[:, 3]) == {0}
    ends = kinds != 1  # a line cannot cut the middle off
    assert (probe.classes == kinds)[ends].mean() > 0.9


def test_uncertainty_is_0_where_sure_and_1_at_the_boundary(features):
    probe = fit_probe(features, labels(features, np.arange(400)))
    even = np.abs(probe.shares[:, 1] - 0.5)
    assert probe.uncertainty == pytest.approx(1 - 2 * even)


@pytest.mark.parametrize(
    ("classes", "enough"),
    [
        ([0] * 30, False),
        ([0] * 20 + [1], False),
        ([0] * 7 + [1, 1], False),
        ([0] * 8 + [1, 1], True),
    ],
)
def test_nothing_is_learnt_from_too_few(features, classes, enough):
    given = Lessons(np.arange(len(classes)), np.array(classes), ("early", "late"))
    assert given.enough == enough
    if not enough:
        with pytest.raises(ValueError, match="too few"):
            fit_probe(features, given)


def test_agreement_is_with_labels_that_were_not_learnt_from(features):
    rows = np.arange(100)
    given = labels(features, rows)
    found = agreement(features, given)
    first = fit_probe(features, given.first(80))
    assert found.n == REFIT_EVERY
    assert found.right == (first.classes[80:100] == given.classes[80:]).sum()
    wrong = given.classes.copy()
    wrong[80:] = 1 - wrong[80:]  # what came last contradicts all before
    assert agreement(features, Lessons(rows, wrong, given.names)).right == REFIT_EVERY - found.right
    assert agreement(features, given.first(25)) is None
    assert agreement(features, given.first(20)) is None


def test_places_that_are_spread_out_lie_furthest_from_those_before(features):
    chosen = spread_out(features[:100], 12)
    assert len(set(chosen)) == 12
    for place in range(1, 12):
        far = [
            min(((features[i] - features[j]) ** 2).sum() for j in chosen[:place])
            for i in range(100)
        ]
        assert far[chosen[place]] == pytest.approx(max(far))
    assert list(spread_out(features[:3], 9)) == [0, *spread_out(features[:3], 3)[1:]]


def test_the_next_batch_is_uncertain_and_every_galaxy_comes_once(features):
    probe = fit_probe(features, labels(features, np.arange(60)))
    left = np.random.default_rng(0).permutation(np.arange(60, N))
    order = next_rows(features, left, probe)
    assert sorted(order) == sorted(left)
    doubt = probe.uncertainty
    bar = np.sort(doubt[left])[::-1][5 * REFIT_EVERY - 1]
    assert (doubt[order[:REFIT_EVERY]] >= bar).all()
    rest = order[REFIT_EVERY:]
    assert (np.diff(doubt[rest]) <= 0).all()
    assert list(next_rows(features, left, None)) == list(left)
    assert len(next_rows(features, left[:0], probe)) == 0
    assert sorted(next_rows(features, left[:7], probe)) == sorted(left[:7])


def test_labels_are_taken_in_the_order_in_which_they_were_given(store):
    changes = [Change("b", "stage", "T4"), Change("a", "stage", "T-2"), Change("b", "stage", "T-3"),
               Change("c", "unsure", "unsure"), Change("elsewhere", "stage", "T1"),
               Change("d", "stage", "T0")]  # fmt: skip
    store.record("Ada", changes)
    given = taught(store.layer("Ada"), DEFAULT, {"a": 5, "b": 7, "c": 8, "d": 2})
    assert given.rows.tolist() == [5, 7, 2]
    assert given.classes.tolist() == [0, 0, 0], "T 0 is early"
    assert given.ttype.tolist() == [-2, -3, 0]


def test_stages_without_t_are_classes_of_their_own(store):
    scheme = LabelScheme((Term("disc", "d", "disc", "stage"), Term("odd", "o", "odd", "stage")))
    version = store.edit_vocabulary("Ada", scheme).version
    store.record("Ada", [Change(g, "stage", label, vocabulary=version)
                         for g, label in (("a", "odd"), ("b", "disc"))])  # fmt: skip
    given = taught(store.layer("Ada"), scheme, {"a": 0, "b": 1})
    assert (given.names, given.classes.tolist(), given.ttype) == (("disc", "odd"), [1, 0], None)


def test_a_prediction_in_words_can_be_stored(features, store):
    probe = fit_probe(features, labels(features, np.arange(60)))
    words = probe.words(99)
    assert "T " in words
    (event,) = store.record("Ada", [Change("g1", "stage", "T3", prediction=words)])
    assert event.prediction == words
