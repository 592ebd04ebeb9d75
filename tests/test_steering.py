from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from galaxy_explorer import cli
from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.classification import classify_stamps, make_table
from galaxy_explorer.clustering.features import FeatureMap
from galaxy_explorer.clustering.validation import vector_eta2
from galaxy_explorer.errors import BundleError, LabelError, SettingError
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.cluster_list import ClusterList
from galaxy_explorer.pipeline.steering import (
    Targets,
    add_steered,
    catalogued,
    joined_map,
    linear_features,
    steer,
    targets_of,
)
from galaxy_explorer.settings import read_settings
from tests.explorer.fakes import drawn
from tests.small_bundle import write_small_bundle

N = 4000
CODES = "k512-modern-8x8/codes"


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of which a weak direction is T and a strong one is not; T; the galaxies fitted."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, 8)) * [9, 1, 1, 1, 1, 1, 1, 1]
    ttype = 2 * features[:, 3] - features[:, 5] + rng.normal(0, 1, N)
    return features, ttype, rng.random(N) < 0.8


def held_out(world, rows: np.ndarray, values: np.ndarray) -> float:
    features, ttype, fit = world
    labels = steer(features, targets_of(rows, values), 8, fit).labels
    return vector_eta2(ttype[~fit], labels[~fit])


def test_a_hundred_labels_find_the_direction(world):
    _, ttype, fit = world
    rows = np.flatnonzero(fit)[:100]
    assert held_out(world, rows, ttype[rows]) > 0.75  # of 5/6 that the features hold


def test_shuffled_labels_steer_to_the_floor(world):
    _, ttype, fit = world
    rows = np.flatnonzero(fit)[:1000]
    shuffled = [
        held_out(world, rows, np.random.default_rng(seed).permutation(ttype[rows]))
        for seed in range(10)
    ]
    assert np.median(shuffled) < 0.2 < held_out(world, rows, ttype[rows])


def test_clusters_ascend_and_words_part_as_numbers_do(world):
    features, ttype, fit = world
    rows = np.flatnonzero(fit)[:300]
    made = steer(features, targets_of(rows, ttype[rows]), 6, fit)
    assert (np.diff(made.centres.means[:, 0]) > 0).all()
    np.testing.assert_allclose(made.read, features @ made.axes + made.offset)
    words = np.where(ttype[rows] > 0, "late", "early")
    parted = steer(features, targets_of(rows, words), 2, fit)
    assert vector_eta2((ttype > 0)[~fit].astype(float), parted.labels[~fit]) > 0.3


def test_labels_of_one_galaxy_are_averaged_and_the_unknown_left_out():
    numbers = targets_of(np.array([7, 3, 7, 5]), np.array([1.0, 2.0, 3.0, np.nan]))
    assert numbers.rows.tolist() == [3, 7]
    assert numbers.values.tolist() == [[2.0], [2.0]]
    texts = targets_of(np.array([7, 3, 7, 5]), np.array(["1", "2", "3", ""]))
    np.testing.assert_array_equal(texts.values, numbers.values)
    words = targets_of(np.array([7, 3, 7, 5]), np.array(["bar", "none", "none", ""]))
    assert (words.words, words.values.tolist()) == (("bar", "none"), [[0, 1], [0.5, 0.5]])


@pytest.mark.parametrize("values", [np.arange(9.0), np.full(50, 3.0)])
def test_too_few_labels_are_refused(world, values):
    features, _, fit = world
    with pytest.raises(LabelError, match="at least 10, not all with the same label"):
        steer(features, targets_of(np.arange(len(values)), values), 4, fit)


def test_one_linear_map_reads_what_the_ridge_reads(world):
    _, ttype, fit = world
    rng = np.random.default_rng(1)
    vectors = rng.normal(3, 1, (N, 30)).astype(np.float32)
    maps = [
        FeatureMap(rng.normal(3, 0.1, 30).astype(np.float32), rng.normal(size=(p, 30), scale=0.2)
                   .astype(np.float32))
        for p in (5, 4)
    ]  # fmt: skip
    features = np.concatenate([one.apply(vectors) for one in maps], axis=1)
    for values in (ttype[:200], np.where(ttype[:200] > 0, "late", "early")):
        made = steer(features, targets_of(np.arange(200), values), 4, fit)
        np.testing.assert_allclose(joined_map(maps, made).apply(vectors), made.read, atol=1e-4)


@pytest.fixture(scope="module")
def steered(tmp_path_factory) -> Path:
    """A bundle with a steered clustering, of labels of a feature that somebody exported."""
    path = write_small_bundle(tmp_path_factory.mktemp("steered") / "small", n=200)
    table = path.parent / "labels.csv"
    lines = [f"galaxy-{i:04d},{'bar;ring' if i % 3 else 'ring'}" for i in range(60)]
    table.write_text("\n".join(["galaxy_id,features", *lines, "elsewhere,bar"]))
    words = ["steer", str(path), "--labels", str(table), "--column", "bar", "--name", "bars"]
    done = CliRunner().invoke(cli.app, [*words, "--k", "3", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["clustering"] == f"{CODES}/bars"
    assert (said["n"], said["held"], said["not_in_bundle"]) == (45, 15, 1)  # a quarter kept aside
    assert said["figure"] == "ami"
    return path


def test_a_bundle_with_a_steered_clustering_opens_and_shows(
    steered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(steered)
    found = bundle.clusterings[f"{CODES}/bars"]
    assert found.steering is not None
    np.testing.assert_array_equal(found.mixture.predict(found.feature_values), found.labels)
    np.testing.assert_array_equal(found.coordinates, bundle.clusterings[CODES].coordinates)
    assert len(bundle.cluster_names(found.key)) == 3
    assert f"| {found.key} | bar | 45 | labels.csv | 15 | ami |" in bundle.card
    state = ExplorerState(bundle, clustering=found.key)
    assert state.words(found.key).endswith("steered by bars")
    assert len(set(state.clustering_choices())) == len(bundle.clusterings)
    monkeypatch.setattr(Bundle, "decode", lambda _, model, rows: drawn(rows, model))
    store = SelectionStore(tmp_path / "selections", bundle.hash, len(bundle), 10)
    stamps = StampStore(bundle, tmp_path)
    monkeypatch.setenv("GALAXY_EXPLORER_LABELS", str(tmp_path / "labels.db"))
    context = AppContext(bundle, stamps, None, store, read_settings({}))
    listed = ClusterList(state, context, open=True)
    assert len(listed.sheet.rows) == 3
    stamps.close()


def test_no_other_clustering_is_touched_or_replaced(steered: Path, tmp_path: Path) -> None:
    before, after = load_bundle(write_small_bundle(tmp_path / "small", n=200)), load_bundle(steered)
    assert set(after.clusterings) - set(before.clusterings) == {f"{CODES}/bars"}
    assert after.manifest.default_clustering == before.manifest.default_clustering
    for key, one in before.clusterings.items():
        np.testing.assert_array_equal(one.labels, after.clusterings[key].labels)
        assert one.clusters == after.clusterings[key].clusters
    for name in before.column_names:
        np.testing.assert_array_equal(before.column(name), after.column(name))
    targets = catalogued(after, "ttype")
    with pytest.raises(BundleError, match=r"has a clustering .*/bars already"):
        add_steered(steered, targets, name="bars", column="ttype", source="the catalogue")


def test_what_a_clustering_is_judged_by_was_not_used(steered: Path) -> None:
    bundle = load_bundle(steered)
    typed = catalogued(bundle, "ttype")
    test = np.flatnonzero(bundle.column("split")[typed.rows] == "test")
    used = typed.take(np.concatenate([np.flatnonzero(typed.rows < 100), test[-2:]]))
    _, found = add_steered(steered, used, name="by_t", column="ttype", source="s", k=4)
    assert found.held == len(np.setdiff1d(typed.rows[test], used.rows))
    assert (found.n, found.figure) == (len(np.unique(used.rows)), "eta2")
    assert found.steered.low <= found.steered.value <= found.steered.high


def test_features_that_are_no_linear_map_are_refused(steered: Path) -> None:
    bundle = load_bundle(steered)
    for key in ("k512-modern-8x8/index", f"{CODES}/bars", "nothing"):
        with pytest.raises(SettingError, match="--clustering"):
            linear_features(bundle, key)
    with pytest.raises(SettingError, match="--column bars: not in the catalogue"):
        catalogued(bundle, "bars")


def test_targets_are_taken_together():
    some = Targets(np.arange(3), np.eye(3), ("a", "b", "c")).take(np.array([2, 0]))
    assert (some.rows.tolist(), some.truth.tolist()) == ([2, 0], ["c", "a"])


def test_new_galaxies_are_told_their_steered_cluster(steered: Path) -> None:
    bundle = load_bundle(steered)
    stamps = np.random.default_rng(0).random((3, 1, 64, 64)).astype(np.float32)
    for found in classify_stamps(bundle, stamps):
        told, base = found.clusterings[f"{CODES}/bars"], found.clusterings[CODES]
        assert (told.x, told.y) == (base.x, base.y)
        assert len(told.responsibilities) == 3
    names = make_table(bundle, classify_stamps(bundle, stamps))[f"{CODES}/bars/cluster_name"]
    assert set(names) <= {one.name for one in bundle.cluster_names(f"{CODES}/bars")}
