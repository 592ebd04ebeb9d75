from __future__ import annotations

import json
import math

import numpy as np
import pytest

from galaxy_explorer.bundle.clusterings import ClusterEntry
from galaxy_explorer.bundle.json_values import FieldError, build
from galaxy_explorer.clustering.mixture import fit_mixture
from galaxy_explorer.clustering.summary import cluster_summaries, kind_of


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    group = rng.integers(3, size=500)
    features = rng.normal(size=(500, 4)) + 15 * np.eye(4)[group]
    ttype = np.array([-4.0, 1.0, 6.0])[group] + rng.normal(0, 1.0, 500)
    ttype[rng.random(500) < 0.4] = np.nan
    rounded = np.floor(np.nan_to_num(ttype) + 0.5).clip(-3, 6) + 3
    classes = np.where(np.isnan(ttype), -1, rounded).astype(np.int8)
    mixture = fit_mixture(features, n_components=6, seed=0)
    labels = mixture.predict(features)
    clusters = cluster_summaries(mixture, features, labels, ttype, classes)
    return mixture, features, labels, ttype, classes, clusters


def test_every_galaxy_is_counted_once(sample):
    _, features, _, ttype, classes, clusters = sample
    assert sum(c.count for c in clusters) == len(features)
    assert sum(c.n_ttype for c in clusters) == (~np.isnan(ttype)).sum()
    total = np.sum([c.histogram for c in clusters], axis=0)
    np.testing.assert_array_equal(total, np.bincount(classes[classes >= 0], minlength=10))


def test_mean_and_spread_are_those_of_the_members(sample):
    _, _, labels, ttype, _, clusters = sample
    for cluster in clusters:
        members = ttype[(labels == cluster.id) & ~np.isnan(ttype)]
        if len(members):
            assert cluster.ttype_mean == pytest.approx(members.mean())
            assert cluster.ttype_std == pytest.approx(members.std())
        else:
            assert math.isnan(cluster.ttype_mean)


def test_early_and_late_groups_are_told_apart(sample):
    _, _, _, ttype, _, clusters = sample
    overall = (ttype[~np.isnan(ttype)] <= 0).mean()
    large = [c for c in clusters if c.n_ttype > 50]
    assert {c.kind for c in large} >= {"early", "late"}
    for cluster in large:
        assert cluster.early_low <= cluster.early_fraction <= cluster.early_high
        assert (cluster.kind == "early") == (cluster.early_low > max(overall, 0.5))


def test_medoid_has_the_least_squared_distance_to_its_cluster(sample):
    _, features, labels, _, _, clusters = sample
    for cluster in clusters:
        rows = np.flatnonzero(labels == cluster.id)
        if not len(rows):
            assert cluster.medoid == -1
            continue
        squared = np.square(features[rows][:, None] - features[rows][None]).sum((1, 2))
        assert cluster.medoid == rows[squared.argmin()]


def test_typical_members_belong_and_come_best_first(sample):
    mixture, features, labels, _, _, clusters = sample
    shares = mixture.responsibilities(features)
    for cluster in clusters:
        typical = list(cluster.typical)
        assert len(typical) == min(cluster.count, 24)
        assert (labels[typical] == cluster.id).all()
        assert (np.diff(shares[typical, cluster.id].round(3)) <= 0).all()


@pytest.mark.parametrize(
    ("count", "n", "low", "high", "kind"),
    [
        (7, 7, 0.9, 1.0, "unknown"),
        (8, 8, 0.51, 0.9, "early"),
        (8, 8, 0.41, 0.9, "mixed"),  # as many may be late
        (8, 8, 0.1, 0.39, "late"),
        (8, 8, 0.3, 0.49, "mixed"),
        (8, 8, 0.4, 0.5, "mixed"),
        (100, 30, 0.51, 0.9, "early"),
        (100, 29, 0.51, 0.9, "unknown"),
    ],
)
def test_rule_of_the_kinds(count, n, low, high, kind):
    assert kind_of(count, n, low, high, overall=0.4) == kind


@pytest.mark.parametrize("share", [0.0, 0.29, 0.3, 1.0])
def test_nothing_is_early_or_late_on_less_than_thirty_per_cent(sample, share):
    mixture, features, labels, _, _, _ = sample
    rng = np.random.default_rng(0)
    ttype = np.where(rng.random(len(features)) < share, np.where(labels % 2, 5.0, -5.0), np.nan)
    classes = np.where(np.isnan(ttype), -1, 0).astype(np.int8)
    for cluster in cluster_summaries(mixture, features, labels, ttype, classes):
        if cluster.n_ttype < 0.3 * cluster.count:
            assert cluster.kind == "unknown"
        elif cluster.n_ttype >= 8:
            assert cluster.kind != "unknown"


def test_json_round_trip_with_an_empty_cluster(sample):
    for cluster in sample[-1]:
        text = json.dumps(cluster.to_dict(), allow_nan=False)
        assert build(json.loads(text), ClusterEntry).summary().to_dict() == cluster.to_dict()


def test_unknown_fields_are_refused(sample):
    with pytest.raises(FieldError, match="colour: is unknown"):
        build({**sample[-1][0].to_dict(), "colour": "red"}, ClusterEntry)
