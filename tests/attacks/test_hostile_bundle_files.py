"""Bundles from strangers, whose files have the right hash but were made to harm.

Each must end in one BundleError.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load, save

from galaxy_explorer import load_bundle
from galaxy_explorer.errors import BundleError
from tests.attacks.bundle_tools import (
    CATALOG,
    CODES,
    FULL_MIXTURE,
    LATENTS,
    MIXTURE,
    MODEL,
    WEIGHTS,
    read_manifest,
    refused,
    replace_file,
    reseal,
)
from tests.attacks.test_hostile_bundles import CHANGES


class Canary:
    """Writes a file when unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("canary-was-here",))


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def bomb() -> bytes:
    """A small archive that would unpack to 64 MB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codes.npy", b"\0" * (1 << 26))
    return stream.getvalue()


BAD_CODES = {
    "pickle": lambda: pickle.dumps(Canary()),
    "pickle inside": lambda: npz(codes=np.array([Canary()], dtype=object)),
    "other name": lambda: npz(maps=np.zeros((60, 8, 8), np.uint8)),
    "two arrays": lambda: npz(codes=np.zeros((60, 8, 8), np.uint8), more=np.zeros(2)),
    "shape": lambda: npz(codes=np.zeros((60, 8, 7), np.uint8)),
    "rows": lambda: npz(codes=np.zeros((59, 8, 8), np.uint8)),
    "type": lambda: npz(codes=np.zeros((60, 8, 8), np.int8)),
    "range": lambda: npz(codes=np.full((60, 8, 8), 16, np.uint8)),
    "bomb": bomb,
    "empty": lambda: b"",
    "text": lambda: b"codes",
}


@pytest.mark.parametrize("attack", BAD_CODES)
def test_bad_code_maps_are_refused(bundle, attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace_file(bundle, CODES, BAD_CODES[attack]())
    refused(bundle, CODES)
    assert not (tmp_path / "canary-was-here").exists()


def edited(folder: Path, name: str, **changes) -> bytes:
    arrays = load((folder / name).read_bytes())
    for key, change in changes.items():
        arrays[key] = change(arrays[key])
    return save(arrays)


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[0] = np.nan
    return array


BAD_ARRAYS = {
    "pickle": lambda folder, name: pickle.dumps(Canary()),
    "empty": lambda folder, name: b"",
    "short": lambda folder, name: b"\x01",
    "header length": lambda folder, name: struct.pack("<Q", 1 << 62) + b"{}",
    "oversize header": lambda folder, name: struct.pack("<Q", 1 << 21) + b" " * (1 << 21),
    "header no json": lambda folder, name: struct.pack("<Q", 4) + b"oops",
    "offsets": lambda folder, name: (
        (header := b'{"a":{"dtype":"F16","shape":[9],"data_offsets":[0,99999]}}')
        and struct.pack("<Q", len(header)) + header + b"\0" * 18
    ),
}


@pytest.mark.parametrize("name", [WEIGHTS, MIXTURE, LATENTS])
@pytest.mark.parametrize("attack", BAD_ARRAYS)
def test_bad_tensor_files_are_refused(bundle, attack, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace_file(bundle, name, BAD_ARRAYS[attack](bundle, name))
    refused(bundle, name)
    assert not (tmp_path / "canary-was-here").exists()


@pytest.mark.parametrize(
    ("name", "array", "change"),
    [
        (MIXTURE, "means", with_nan),
        (MIXTURE, "means", lambda a: a[:-1]),
        (MIXTURE, "means", lambda a: a[:, :-1]),
        (MIXTURE, "weights", lambda a: -a),
        (MIXTURE, "weights", lambda a: a * 1.1),
        (MIXTURE, "log_constants", lambda a: a.astype(np.float32)),
        (MIXTURE, "precisions_cholesky", lambda a: a[:, :, None]),
        (MIXTURE, "pca_mean", lambda a: a[:-1]),
        (MIXTURE, "pca_components", lambda a: a.astype(np.float64)),
        (MIXTURE, "features", lambda a: a[:-1]),
        (MIXTURE, "features", with_nan),
        (MIXTURE, "features", lambda a: a.astype(np.int32)),
        (FULL_MIXTURE, "precisions_packed", lambda a: a[:, :-1]),
        (FULL_MIXTURE, "precisions_packed", lambda a: a[:-1]),
        (FULL_MIXTURE, "precisions_packed", with_nan),
        (FULL_MIXTURE, "means", lambda a: a[0]),
        (FULL_MIXTURE, "pca_components", lambda a: a[:, :-1]),
        (LATENTS, "latents", lambda a: a[:-1]),
        (LATENTS, "latents", lambda a: a[:, :-1]),
        (LATENTS, "latents", lambda a: a[..., None]),
        (LATENTS, "latents", lambda a: a.astype(np.float32)),
        (LATENTS, "latents", with_nan),
    ],
)
def test_arrays_that_do_not_fit_are_refused(bundle, name, array, change):
    replace_file(bundle, name, edited(bundle, name, **{array: change}))
    refused(bundle, "convae-conv" if name == LATENTS else name)


def first_array(folder: Path) -> str:
    return min(load((folder / WEIGHTS).read_bytes()))


@pytest.mark.parametrize(
    "change", [with_nan, lambda a: a.astype(np.float32), lambda a: a.astype(np.int8)]
)
def test_weights_of_no_use_are_refused_at_once(bundle, change):
    replace_file(bundle, WEIGHTS, edited(bundle, WEIGHTS, **{first_array(bundle): change}))
    refused(bundle, WEIGHTS)


def test_an_eight_bit_kernel_without_its_scale_is_refused_at_once(bundle):
    arrays = load((bundle / WEIGHTS).read_bytes())
    del arrays["decoder.conv.weight.scale"]
    replace_file(bundle, WEIGHTS, save(arrays))
    refused(bundle, r"decoder\.conv\.weight is int8")


@pytest.mark.parametrize("attack", ["shape", "missing", "extra", "config", "scale"])
def test_weights_of_another_model_are_refused_when_loaded(bundle, attack):
    arrays = load((bundle / WEIGHTS).read_bytes())
    manifest = read_manifest(bundle)
    name = min(arrays)
    if attack == "shape":
        arrays[name] = arrays[name][None]
    elif attack == "missing":
        del arrays[name]
    elif attack == "scale":
        arrays["decoder.conv.weight.scale"] = np.ones(3, np.float32)
    elif attack == "extra":
        arrays["more"] = np.zeros(2, np.float16)
    else:
        manifest["models"][MODEL]["config"]["embedding_dim"] = 32
    reseal(bundle, manifest)
    replace_file(bundle, WEIGHTS, save(arrays))
    opened = load_bundle(bundle)
    with pytest.raises(BundleError, match=WEIGHTS):
        opened.load_model(MODEL)


def table_bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def changed(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


LABELS = f"{MODEL}/codes/cluster"
BAD_TABLES = {
    "rows": lambda t: t.slice(1),
    "no split": lambda t: t.drop_columns(["split"]),
    "no labels": lambda t: t.drop_columns([LABELS]),
    "label too high": lambda t: changed(t, LABELS, np.full(60, 64, np.int16)),
    "label negative": lambda t: changed(t, LABELS, np.full(60, -1, np.int16)),
    "label type": lambda t: changed(t, LABELS, np.zeros(60)),
    "map with nan": lambda t: changed(t, f"{MODEL}/codes/x", np.full(60, np.nan, np.float32)),
    "map as text": lambda t: changed(t, f"{MODEL}/codes/x", ["left"] * 60),
    "name twice": lambda t: t.append_column("ra", t.column("dec")),
}


@pytest.mark.parametrize("attack", BAD_TABLES)
def test_bad_catalogues_are_refused(bundle, attack):
    table = pq.read_table(bundle / CATALOG)
    replace_file(bundle, CATALOG, table_bytes(BAD_TABLES[attack](table)))
    refused(bundle, CATALOG)


@pytest.mark.parametrize("name", [CATALOG, CODES, MIXTURE, LATENTS, FULL_MIXTURE])
@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.long)])
def test_mutants_with_a_fitting_hash_raise_nothing_else(bundle, name, count):
    rng = np.random.default_rng(count)
    data = (bundle / name).read_bytes()
    for _ in range(count):
        mutant = bytearray(data)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            mutant[place] = rng.integers(256)
        if rng.random() < 0.2:
            mutant = mutant[: rng.integers(len(data))]
        replace_file(bundle, name, bytes(mutant))
        try:
            opened = load_bundle(bundle)
            for column in opened.column_names:
                opened.column(column)
        except BundleError as error:
            assert str(bundle) in str(error)  # noqa: PT017


def test_there_are_over_thirty_kinds_of_hostile_bundle():
    """Those that are lists of changes; missing, cut, swapped and linked files come on top."""
    assert sum(map(len, (CHANGES, BAD_CODES, BAD_ARRAYS, BAD_TABLES))) > 30


def test_a_bomb_is_refused_by_the_size_it_claims_before_it_is_unpacked(bundle):
    replace_file(bundle, CODES, bomb())
    refused(bundle, r"more than \d+ bytes unpacked")


def rewritten(folder, change):
    table = change(pq.read_table(folder / CATALOG))
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    replace_file(folder, CATALOG, stream.getvalue())


def with_column(name, values):
    def change(table):
        place = table.column_names.index(name) if name in table.column_names else table.num_columns
        kept = table.drop_columns([name]) if name in table.column_names else table
        return kept.add_column(min(place, kept.num_columns), name, [values])

    return change


TWICE = pa.array([f"galaxy-{i // 2}" for i in range(60)])
SPOILT = {
    "twice": (with_column("galaxy_id", TWICE), "more than once"),
    "infinite": (with_column("ttype", pa.array([np.inf] * 60)), "ttype holds"),
    "words": (with_column("ttype", pa.array(["Sb"] * 60)), "ttype holds"),
    "nested": (with_column("more", pa.array([[1, 2]] * 60)), "only numbers and text"),
    "long text": (with_column("more", pa.array(["x" * (8 << 20)] * 60)), "bytes of memory"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_catalogue_that_cannot_be_served_is_refused(bundle, case):
    change, words = SPOILT[case]
    rewritten(bundle, change)
    refused(bundle, words)


def test_hundreds_of_columns_are_refused(bundle):
    def change(table):
        for i in range(400):
            table = table.append_column(f"c{i}", pa.array([0.0] * 60))
        return table

    rewritten(bundle, change)
    refused(bundle, "columns; at most")


LIMITED = """
import os, resource, sys
from galaxy_explorer import load_bundle
from galaxy_explorer.errors import BundleError
load_bundle(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
try:
    load_bundle(sys.argv[1])
except BundleError as error:
    print(error, flush=True)
os._exit(0)  # under the limit a library that starts a thread while it ends may abort
"""


@pytest.mark.parametrize("case", ["long text", "many galaxies"])
def test_no_more_memory_is_taken_than_the_files_deserve(bundle, tmp_path, case):
    sound = shutil.copytree(bundle, tmp_path / "sound")
    if case == "long text":
        rewritten(bundle, SPOILT[case][0])
    else:
        manifest = read_manifest(bundle)
        manifest["n_galaxies"] = 40_000_000
        reseal(bundle, manifest)
    command = [sys.executable, "-c", LIMITED, str(bundle), str(sound)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert str(bundle) in done.stdout
