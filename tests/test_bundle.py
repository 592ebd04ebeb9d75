from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import replace as replace_dataclass

import numpy as np
import pytest
from msgspec.structs import replace

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle import SharedBundle
from galaxy_explorer.bundle.catalogue import column_array
from galaxy_explorer.bundle.clusterings import FULL, PACKED, packed, unpacked
from galaxy_explorer.errors import BundleError
from tests.small_bundle import write_small_bundle

KEY = "k512-modern-8x8/codes"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "small")


@pytest.fixture(scope="module")
def bundle(path):
    return load_bundle(path)


def test_opening_needs_no_heavy_library(path):
    script = (
        "import sys, galaxy_explorer\n"
        "bundle = galaxy_explorer.load_bundle(sys.argv[1])\n"
        "[bundle.column(name) for name in bundle.column_names]\n"
        "heavy = {'torch', 'panel', 'bokeh', 'pandas', 'sklearn', 'umap', 'scipy', 'astropy'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_it_says_of_itself(bundle, path):
    assert len(bundle) == 200
    assert bundle.name == "small"
    assert bundle.path == path
    assert bundle.card.startswith("# small")
    assert bundle.models["k16-modern-8x8"].config["num_embeddings"] == 16
    assert set(bundle.clusterings) == {
        f"{model}/{features}"
        for model in ("k16-modern-8x8", "k512-modern-8x8", "k512-paper-8x8")
        for features in ("index", "codes")
    } | {"convae-conv/latents"}


def test_columns_come_back_with_their_types(bundle):
    kinds = {name: bundle.column(name).dtype.kind for name in bundle.column_names[:9]}
    assert kinds == {
        "galaxy_id": "U",
        "ra": "f",
        "dec": "f",
        "ttype": "f",
        "ttype_class": "i",
        "split": "U",
        "source": "U",
        "name": "U",
        "magnitude": "f",
    }
    known = ~np.isnan(bundle.column("ttype"))
    np.testing.assert_array_equal(bundle.column("ttype_class") >= 0, known)
    with pytest.raises(KeyError):
        bundle.column("no such column")


def test_absent_values_have_one_meaning():
    import pyarrow as pa

    table = pa.table(
        {
            "text": ["a", None],
            "whole": pa.array([1, None], pa.int64()),
            "real": pa.array([0.5, None]),
            "truth": [True, False],
            "maybe": [True, None],
        }
    )
    assert column_array(table["text"]).tolist() == ["a", ""]
    np.testing.assert_array_equal(column_array(table["whole"]), [1, np.nan])
    np.testing.assert_array_equal(column_array(table["real"]), [0.5, np.nan])
    assert column_array(table["truth"]).dtype == bool
    assert column_array(table["maybe"]).tolist() == ["True", ""]


def test_every_array_is_read_only(bundle):
    clustering = bundle.clusterings[KEY]
    arrays = [
        *(bundle.column(name) for name in bundle.column_names),
        *(bundle.encoded(name) for name in bundle.models),
        *(clustering.labels, clustering.responsibility, clustering.coordinates),
        *(clustering.feature_values, clustering.mixture.means, clustering.feature_map.components),
    ]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


def test_arrays_of_a_clustering_share_the_rows_of_the_catalogue(bundle):
    for clustering in bundle.clusterings.values():
        assert clustering.labels.shape == clustering.responsibility.shape == (200,)
        assert clustering.coordinates.shape == (200, 2)
        assert clustering.feature_values.shape == (200, clustering.mixture.means.shape[1])
        assert len(clustering.clusters) == clustering.mixture.n_components
        counts = np.bincount(clustering.labels, minlength=64)
        np.testing.assert_array_equal([c.count for c in clustering.clusters], counts)


def test_words_of_clusters_follow_todays_rule_whatever_is_written(bundle):
    stored = bundle.manifest.clusterings[KEY].clusters
    assert "early" in {cluster.kind for cluster in stored if cluster.n_ttype < 8}
    assert all(c.kind == "unknown" for c in bundle.clusterings[KEY].clusters if c.n_ttype < 8)


def test_clusters_have_names_that_differ(bundle):
    for key, clustering in bundle.clusterings.items():
        names = [one.name for one in bundle.cluster_names(key)]
        assert len(set(names)) == len(clustering.clusters)
    with pytest.raises(KeyError):
        bundle.cluster_names("nothing")


def test_index_features_are_the_codes(bundle):
    clustering = bundle.clusterings["k16-modern-8x8/index"]
    assert clustering.feature_map is None
    codes = bundle.codes("k16-modern-8x8").reshape(200, 64)
    np.testing.assert_array_equal(clustering.feature_values, codes)


def test_small_codebooks_take_one_byte_a_code(bundle):
    assert bundle.codes("k16-modern-8x8").dtype == np.uint8
    assert bundle.codes("k512-modern-8x8").dtype == np.uint16


def test_code_maps_and_latents_are_told_apart(bundle):
    assert bundle.models["convae-conv"].kind == "convae"
    assert bundle.latents("convae-conv").shape == (200, 64)
    assert bundle.codes("k16-modern-8x8").shape == (200, 8, 8)
    with pytest.raises(KeyError, match="latents instead"):
        bundle.codes("convae-conv")
    with pytest.raises(KeyError, match="code maps instead"):
        bundle.latents("k16-modern-8x8")


def test_features_of_latents_are_made_again_from_them(bundle):
    clustering = bundle.clusterings["convae-conv/latents"]
    latents = bundle.latents("convae-conv").astype(np.float32)
    made = latents @ clustering.feature_map.components.T
    np.testing.assert_allclose(clustering.feature_values, made, rtol=1e-4, atol=1e-5)


def test_decoding_draws_the_latents(bundle):
    from galaxy_explorer.models.inference import decode_codes

    drawn = bundle.decode("convae-conv", np.array([7, 0]))
    model = bundle.load_model("convae-conv")
    np.testing.assert_array_equal(drawn, decode_codes(model, bundle.latents("convae-conv")[[7, 0]]))


def test_triangular_factors_come_back_as_they_were():
    rng = np.random.default_rng(0)
    full = {"means": rng.normal(size=(3, 5)), FULL: np.triu(rng.normal(size=(3, 5, 5)))}
    stored = packed(full)
    assert stored[PACKED].shape == (3, 15)
    np.testing.assert_array_equal(unpacked(stored)[FULL], full[FULL])
    diagonal = {"means": full["means"], FULL: rng.uniform(size=(3, 5))}
    assert packed(diagonal) == unpacked(diagonal) == diagonal


def test_what_stopping_by_the_rule_would_have_cost(bundle):
    entry = bundle.models["k16-modern-8x8"]
    assert len(entry.curve) == 20
    assert (entry.best_step, entry.early_stop_step) == (60, 57)
    assert entry.early_stop_cost == pytest.approx(20 / 19 - 1)
    assert replace(entry, early_stop_step=None).early_stop_cost is None


def test_decoding_draws_the_code_maps(bundle):
    from galaxy_explorer.models.inference import decode_codes

    rows = np.array([3, 150, 3])
    drawn = bundle.decode("k512-modern-16x16", rows)
    model = bundle.load_model("k512-modern-16x16")
    np.testing.assert_array_equal(
        drawn, decode_codes(model, bundle.codes("k512-modern-16x16")[rows])
    )
    np.testing.assert_allclose(drawn[0], drawn[2], atol=1e-6)
    assert drawn.shape == (3, 1, 64, 64)


def test_threads_share_one_model(path):
    fresh = load_bundle(path)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fresh.load_model("k16-modern-8x8")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(model) for model in found}) == 1


def test_weights_altered_after_opening_are_refused(path, tmp_path):
    copy = shutil.copytree(path, tmp_path / "copy")
    opened = load_bundle(copy)
    file = copy / "k16-modern-8x8.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match=r"k16-modern-8x8\.safetensors: altered"):
        opened.load_model("k16-modern-8x8")


def test_a_task_takes_the_bundle_that_was_meant_and_no_other(bundle, path):
    shared = SharedBundle.of(bundle)
    assert shared.opened() is bundle  # in this process, as it is open
    with pytest.raises(BundleError, match="a worker finds another bundle; share that folder"):
        replace_dataclass(shared, sha256="0" * 64).opened()
    assert shared.opened().hash == bundle.hash
    with pytest.raises(BundleError, match="elsewhere"):
        replace_dataclass(shared, path=str(path.with_name("elsewhere"))).opened()
