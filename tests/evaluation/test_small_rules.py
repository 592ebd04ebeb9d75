from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from galaxy_explorer.evaluation import number_of_clusters
from galaxy_explorer.evaluation.agreement import cluster_means, count_kinds
from galaxy_explorer.evaluation.number_of_clusters import is_right
from galaxy_explorer.evaluation.references import JUDGE, best_threshold, judge_targets
from galaxy_explorer.evaluation.rows import RowKey, make_row


def test_pure_clusters_are_early_and_late():
    early = np.repeat([True, False], 50)
    labels = np.repeat([0, 1, 2, 3], 25)
    assert count_kinds(early, labels, np.full(4, 25)) == (2, 2)
    assert count_kinds(early, labels, np.array([25, 84, 25, 84])) == (1, 1)  # too few are typed


def test_a_galaxy_is_given_the_mean_of_its_cluster_in_the_train_split():
    ttype = np.array([1.0, 3.0, 5.0, np.nan, 9.0])
    labels = np.array([0, 0, 1, 0, -1])
    found = cluster_means(ttype, labels, train=np.array([0, 1, 2]))
    np.testing.assert_allclose(found, [2, 2, 5, 2, 3])


def test_clusters_of_shuffled_types_are_neither():
    early = np.tile([True, False], 50)
    assert count_kinds(early, np.repeat([0, 1, 2, 3], 25), np.full(4, 25)) == (0, 0)


def test_clusters_of_a_few_members_are_not_counted():
    early, labels = np.repeat([True, False], 4), np.arange(8) // 4
    assert count_kinds(early, labels, np.array([4, 4])) == (0, 0)


@pytest.mark.parametrize(
    ("classes", "structure", "k", "right"),
    [
        (5, "clusters", 5, True),
        (5, "clusters", 6, True),
        (5, "clusters", 7, False),
        (5, "continuum", 5, False),
        (0, "continuum", 9, True),
        (0, "clusters", 2, False),
    ],
)
def test_what_counts_as_found(classes, structure, k, right):
    assert is_right(classes, structure, k) is right


def test_threshold_with_the_fewest_errors():
    odds = np.array([0.1, 0.2, 0.3, 0.35, 0.9])
    early = np.array([False, False, False, True, True])
    threshold = best_threshold(odds, early)
    assert ((odds >= threshold) == early).all()


def test_goals_are_reached_or_not():
    own = RowKey("m", "rings", "kmeans, as shipped", 8)
    rows = [
        make_row(own, "invariance", "ARI, renumbered", {"value": 1.0}, n=9),
        make_row(own, "invariance", "ARI, rotated by 45 degrees", {"value": 0.6}, n=9),
        make_row(own, "agreement", "eta^2", {"value": 0.5}, n=9),
        make_row(JUDGE, "ceiling", "R^2 of T", {"value": 0.6}, n=9),
        make_row(RowKey("m"), "reconstruction", "NMSE", {"value": 0.011}, n=9),
        make_row(RowKey("m"), "reconstruction", "blur", {"value": 1.8}, n=9),
        make_row(RowKey("another"), "reconstruction", "blur", {"value": 1.6}, n=9),
    ]
    targets = {target.name: target for target in judge_targets(rows, own)}
    assert targets["ARI, renumbered"].met == 1
    assert targets["ARI, rotated by 45 degrees"].met == 0
    assert targets["bootstrap ARI"].met is None
    assert (targets["NMSE"].met, targets["blur"].met) == (1, 0)
    assert targets["eta^2"].goal == pytest.approx(0.45)
    assert targets["eta^2"].met == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_several_bands_sees_simulated_galaxies_grey(monkeypatch, channels):
    """As many bands as the model has, the same light in each."""
    seen = []

    def encode(_model, stamps):
        seen.append(stamps)
        return np.random.default_rng(0).integers(16, size=(len(stamps), 8, 8, 8))

    found = SimpleNamespace(structure="clusters", recommended=3)
    monkeypatch.setattr(number_of_clusters, "encode_fast", encode)
    monkeypatch.setattr(number_of_clusters, "choose_k", lambda *_, **__: found)
    stretch = {"softening": 4.5, "scale": 0.17, "pedestal": 0.02}
    context = SimpleNamespace(
        grid=SimpleNamespace(true_classes=(3,), trials=1, simulated=40),
        bundle=SimpleNamespace(manifest=SimpleNamespace(survey=SimpleNamespace(stretch=stretch))),
        stage=lambda _name, _inputs, make: make(),
    )
    evaluated = SimpleNamespace(
        name="k16-modern-8x8",
        config=SimpleNamespace(channels=channels),
        codebook=np.eye(16, dtype=np.float32),
        inputs={},
        load=lambda: None,
    )
    rows = number_of_clusters.simulated_rows(context, evaluated)
    assert {stamps.shape for stamps in seen} == {(40, channels, 64, 64)}
    assert all((stamps == stamps[:, :1]).all() for stamps in seen)
    assert rows[0].value == 1  # three classes were found where three were
