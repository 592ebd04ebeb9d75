"""Maps of more galaxies than UMAP draws: landmarks, the others placed, by how much they miss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from msgspec.structs import replace

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.bundle.clusterings import PlacingEntry
from galaxy_explorer.bundle.json_values import FieldError, build
from galaxy_explorer.clustering import embedding
from galaxy_explorer.clustering.embedding import Placing, landmarks, place_rest
from galaxy_explorer.commands.info import facts
from galaxy_explorer.pipeline import clusters
from tests.small_bundle import write_small_bundle
from tests.trained_bundle import flat_map

MOST = 300


def plane(n: int, seed: int = 0) -> np.ndarray:
    """Features (N, 3) whose first two are places already."""
    return np.random.default_rng(seed).uniform(size=(n, 3)) * [1, 1, 1e-3]


def test_landmarks_are_as_many_as_asked_each_once_and_the_same_by_seed():
    rows = landmarks(1000, MOST, seed=2)
    assert len(np.unique(rows)) == len(rows) == MOST
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, landmarks(1000, MOST, seed=2))
    assert (rows != landmarks(1000, MOST, seed=3)).any()
    np.testing.assert_array_equal(landmarks(MOST, MOST), np.arange(MOST))


def test_landmarks_stay_and_the_others_lie_among_their_neighbours():
    features = plane(1000)
    rows = landmarks(1000, MOST)
    places = features[rows, :2].astype(np.float32)
    made = place_rest(features, rows, places)
    np.testing.assert_array_equal(made.coordinates[rows], places)
    assert np.abs(made.coordinates - features[:, :2]).max() < 0.2
    again = place_rest(features, rows, places)
    np.testing.assert_array_equal(made.coordinates, again.coordinates)


def test_the_stated_error_is_that_of_landmarks_left_out_and_large_where_the_map_is_chance():
    features, rows = plane(1000), landmarks(1000, MOST)
    places = features[rows, :2].astype(np.float32)
    made = place_rest(features, rows, places)
    assert made.held == MOST // 10
    held = np.random.default_rng((0, 1)).permutation(MOST)[: made.held]
    missed = []
    for one in held:
        distance = np.square(features[rows] - features[rows[one]]).sum(1)
        distance[held] = np.inf
        near = np.argsort(distance)[: embedding.PLACED_BY]
        put = np.average(places[near], axis=0, weights=1 / distance[near])
        missed.append(np.hypot(*(put - places[one])))
    spread = np.sqrt(np.square(places - places.mean(0)).sum(1).mean())
    assert made.error == pytest.approx(np.median(missed) / spread, rel=1e-3)
    assert made.error < 0.1
    shuffled = np.random.default_rng(1).permutation(places)
    assert place_rest(features, rows, shuffled).error > 0.5


def test_the_tree_places_as_the_comparison_with_all_does(monkeypatch):
    features = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    places = features[:, :2]
    new = np.random.default_rng(1).normal(size=(400, 8))
    exact = Placing(features, places).place(new)
    monkeypatch.setattr(embedding, "FEW", len(features))
    by_tree = Placing(features, places)
    np.testing.assert_allclose(by_tree.place(new), exact, atol=1e-5)
    np.testing.assert_allclose(by_tree.place(features[:300]), places[:300], atol=1e-3)


def test_a_map_says_how_it_was_drawn_only_where_some_were_placed(monkeypatch):
    monkeypatch.setattr(clusters, "fit_map", flat_map)
    features = plane(1000)
    made = clusters.draw_map(features, 0, MOST)
    assert made.arrays["map"].shape == (1000, 2)
    assert set(made.facts) == {"placing"}
    assert build(made.facts["placing"], PlacingEntry).landmarks == MOST
    assert clusters.draw_map(features, 0, 1000).facts == {}
    assert clusters.drawn_by(1000, 1000) == {}
    assert clusters.drawn_by(1001, 1000) != clusters.drawn_by(1001, 999)


@pytest.mark.parametrize("error", [-0.1, float("nan"), float("inf"), "small", None])
def test_an_error_that_is_none_is_refused(error):
    with pytest.raises(FieldError):
        build({"landmarks": MOST, "held": 30, "error": error}, PlacingEntry)


def test_info_and_card_state_the_error(tmp_path):
    bundle = load_bundle(write_small_bundle(tmp_path / "b", n=60))
    assert facts(bundle)["placing"] == {}
    assert "landmarks" not in model_card(bundle.manifest)
    key = bundle.manifest.default_clustering
    placing = PlacingEntry(landmarks=123_456, held=2000, error=0.0371)
    entries = dict(bundle.manifest.clusterings)
    entries[key] = replace(entries[key], placing=placing)
    manifest = replace(bundle.manifest, clusterings=entries)
    bundle = dataclasses.replace(bundle, manifest=manifest)
    assert facts(bundle)["placing"] == {key: {"landmarks": 123_456, "held": 2000, "error": 0.0371}}
    row = next(line for line in model_card(bundle.manifest).splitlines() if "123,456" in line)
    assert "| 2,000 | 0.037 |" in row


@pytest.mark.slow
def test_umap_on_landmarks_keeps_groups_together_and_repeats():
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=700)
    features = rng.normal(size=(700, 5)) + 20 * group[:, None]
    first, second = (clusters.draw_map(features, 4, MOST) for _ in range(2))
    np.testing.assert_array_equal(first.arrays["map"], second.arrays["map"])
    assert first.facts == second.facts
    places = first.arrays["map"]
    centres = np.stack([places[group == g].mean(0) for g in (0, 1)])
    nearest = np.square(places[:, None] - centres).sum(2).argmin(1)
    assert (nearest == group).all()
    assert first.facts["placing"]["error"] < 0.3
