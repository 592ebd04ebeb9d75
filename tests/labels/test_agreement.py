"""Kappas against scikit-learn and the textbook; what counts as said; disagreements, majority."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from galaxy_explorer.labels.agreement import (
    cohen_kappa,
    disagreements,
    fleiss,
    fleiss_kappa,
    majority,
    pair_agreements,
    ratings,
)
from galaxy_explorer.labels.log import Change

NAMES = ["T0", "T1", "T2", "T3"]
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=40)
TEXTBOOK = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""Ten subjects, fourteen raters, five categories: the worked example of Fleiss' kappa."""


@settings(deadline=None)
@given(PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_cohens_kappa_is_that_of_scikit_learn(pairs):
    first, second = zip(*pairs, strict=True)
    plain = cohen_kappa_score(first, second)
    assert cohen_kappa(first, second) == pytest.approx(plain, nan_ok=True, abs=1e-12)
    weighted = cohen_kappa_score(first, second, labels=NAMES, weights="quadratic")
    found = cohen_kappa(first, second, order=NAMES)
    assert found == pytest.approx(weighted, nan_ok=True, abs=1e-12)


def test_fleiss_kappa_is_that_of_the_textbook():
    assert fleiss_kappa(TEXTBOOK) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_at_its_ends():
    assert fleiss_kappa([[3, 0], [0, 3]]) == pytest.approx(1)
    assert np.isnan(fleiss_kappa([[3, 0], [3, 0]]))
    assert np.isnan(fleiss_kappa(np.zeros((0, 3))))
    with pytest.raises(ValueError, match="same number"):
        fleiss_kappa([[2, 0], [1, 2]])


def test_kappa_of_chance_is_near_zero():
    rng = np.random.default_rng(0)
    first, second = rng.choice(NAMES, (2, 20_000))
    assert abs(cohen_kappa(list(first), list(second))) < 0.03


def label(store, name, galaxy, *labels):
    for one in labels:
        aspect = "stage" if one.startswith("T") else one
        store.record(name, [Change(galaxy, aspect, one)])


def test_who_labelled_a_galaxy_without_a_bar_said_no_bar(store):
    label(store, "Ada", "g1", "T3", "bar")
    label(store, "Ada", "g2", "ring")
    label(store, "Bo", "g1", "T3")
    store.record("Bo", [Change("g3", "note", note="only a remark")])
    store.record("Bo", [Change("", "bar", "bar", "selection", members=("g9",))])
    layers = store.layers()
    assert ratings(layers, "bar") == {"Ada": {"g1": "bar", "g2": "no"}, "Bo": {"g1": "no"}}
    assert ratings(layers) == {"Ada": {"g1": "T3"}, "Bo": {"g1": "T3"}}


def test_pairs_and_fleiss_count_only_common_galaxies(store):
    for galaxy, a, b in (("g1", "T3", "T3"), ("g2", "T0", "T3"), ("g3", "T0", "T0")):
        label(store, "Ada", galaxy, a)
        label(store, "Bo", galaxy, b)
    label(store, "Ada", "g4", "T1")
    said = ratings(store.layers())
    (pair,) = pair_agreements(said, ["T0", "T1", "T2", "T3"])
    assert (pair.n, pair.same) == (3, pytest.approx(2 / 3))
    assert pair.kappa == pytest.approx(cohen_kappa_score(["T3", "T0", "T0"], ["T3", "T3", "T0"]))
    kappa, n, raters = fleiss(said)
    assert (n, raters) == (3, 2)
    assert kappa == pytest.approx(fleiss_kappa([[0, 2], [1, 1], [2, 0]]))


def test_disagreements_come_widest_apart_first():
    said = {
        "Ada": {"g1": "T0", "g2": "T0", "g3": "T1", "g4": "odd"},
        "Bo": {"g1": "T1", "g2": "T3", "g3": "T1", "g4": "T1"},
    }
    assert disagreements(said, NAMES) == ["g2", "g1", "g4"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([], ("", 0)), (["a"], ("a", 1)), (["a", "b"], ("", 1)), (["a", "b", "a"], ("a", 2))],
)
def test_a_tie_has_no_majority(labels, expected):
    assert majority(labels) == expected
