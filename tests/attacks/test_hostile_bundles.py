"""Bundles from strangers, altered, incomplete, or with a false manifest.

Each must end in one BundleError.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer import load_bundle
from galaxy_explorer.errors import BundleError
from tests.attacks.bundle_tools import (
    CATALOG,
    CODES,
    MODEL,
    WEIGHTS,
    read_manifest,
    refused,
    reseal,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_intact_bundle_opens_after_resealing(bundle):
    reseal(bundle, read_manifest(bundle))
    assert len(load_bundle(bundle)) == 60


def test_no_folder(tmp_path):
    refused(tmp_path / "none", "none: no such bundle")


def test_each_missing_file_is_named(bundle):
    for name in names(bundle):
        data = (bundle / name).read_bytes()
        (bundle / name).unlink()
        refused(bundle, f"{name}: missing")
        (bundle / name).write_bytes(data)


def test_each_truncated_file_is_named(bundle):
    for name in names(bundle):
        data = (bundle / name).read_bytes()
        (bundle / name).write_bytes(data[:-1])
        refused(
            bundle,
            r"manifest\.json: altered"
            if "manifest" in name
            else f"{name}: .*where manifest.json has",
        )
        (bundle / name).write_bytes(data)


def test_longer_files_are_named(bundle):
    for name in (WEIGHTS, CODES, CATALOG, "README.md"):
        data = (bundle / name).read_bytes()
        (bundle / name).write_bytes(data + b"\0")
        refused(bundle, name)
        (bundle / name).write_bytes(data)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_every_flipped_bit_is_caught(bundle, count):
    rng = np.random.default_rng(count)
    files = names(bundle)
    for _ in range(count):
        name = files[rng.integers(len(files))]
        data = bytearray((bundle / name).read_bytes())
        place = int(rng.integers(len(data)))
        bit = 1 << int(rng.integers(8))
        data[place] ^= bit
        (bundle / name).write_bytes(data)
        refused(bundle, r"manifest\.json: altered" if "manifest" in name else f"{name}: altered")
        data[place] ^= bit
        (bundle / name).write_bytes(data)


@pytest.mark.parametrize("extra", ["notes.txt", ".hidden", "evil.py", "sub/file"])
def test_extra_files_are_named(bundle, extra):
    (bundle / extra).parent.mkdir(exist_ok=True)
    (bundle / extra).write_text("x")
    refused(bundle, f"{extra.split('/')[0]}: not in manifest")


@pytest.mark.parametrize("name", [WEIGHTS, CATALOG, "manifest.json", "manifest.sha256"])
def test_links_and_folders_are_refused(bundle, tmp_path, name):
    shutil.move(bundle / name, tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    refused(bundle, f"{name}: not a regular file")
    (bundle / name).unlink()
    (bundle / name).mkdir()
    refused(bundle, f"{name}: not a regular file")


def test_a_pipe_does_not_hang(bundle):
    (bundle / WEIGHTS).unlink()
    os.mkfifo(bundle / WEIGHTS)
    refused(bundle, "not a regular file")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b", ".", "..", "a\0b", "é", ""])
def test_a_manifest_cannot_name_files_elsewhere(bundle, name):
    manifest = read_manifest(bundle)
    manifest["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    reseal(bundle, manifest)
    refused(bundle, "is not a plain file name")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"format": 1, "format": 1}',
        '{"format": NaN}',
        '{"format": 1e999}',
        '{"a": ' * 100_000,
        '{"format": ' + "9" * 5000 + "}",
        '{"format": 1} trailing',
        "\ufeff{}",
    ],
)
def test_a_manifest_must_be_strict_json(bundle, text):
    reseal(bundle, text)
    refused(bundle, r"manifest\.json")


def test_a_huge_manifest_is_not_read(bundle):
    with (bundle / "manifest.json").open("r+b") as stream:
        stream.truncate(1 << 40)
    refused(bundle, r"manifest\.json: 1099511627776 bytes")


CHANGES = {
    "format": lambda m: m.update(format=1),
    "format ": lambda m: m.pop("format"),
    "n_galaxies": lambda m: m.update(n_galaxies=True),
    "n_galaxies ": lambda m: m.update(n_galaxies=10**12),
    "name": lambda m: m.update(name=""),
    "survey.stamp_size": lambda m: m["survey"].update(stamp_size=10**6),
    "survey.stretch": lambda m: m["survey"].update(stretch=None),
    "files": lambda m: m.update(files=[]),
    f"files.{WEIGHTS}.bytes": lambda m: m["files"][WEIGHTS].update(bytes=-1),
    f"files.{WEIGHTS}.sha256": lambda m: m["files"][WEIGHTS].update(sha256="g" * 64),
    "models": lambda m: m["models"].update({"../x": {}}),
    f"models.{MODEL}.weights": lambda m: m["models"][MODEL].update(weights="other.safetensors"),
    f"models.{MODEL}.config": lambda m: m["models"][MODEL].update(config=3),
    f"models.{MODEL}.config.map_size": lambda m: m["models"][MODEL]["config"].update(map_size=1e3),
    f"models.{MODEL}.kind": lambda m: m["models"][MODEL].update(kind="pickle"),
    f"models.{MODEL}.codes": lambda m: m["models"][MODEL].pop("codes"),
    "models.convae-conv.latents": lambda m: m["models"]["convae-conv"].update(
        kind="convae", latents=0
    ),
    f"models.{MODEL}.curve": lambda m: m["models"][MODEL].update(curve=[[1, 2]]),
    f"models.{MODEL}.curve[3].nmse": lambda m: m["models"][MODEL]["curve"][3].update(nmse="low"),
    f"models.{MODEL}.rule_step": lambda m: m["models"][MODEL].update(rule_step=1.5),
    f"models.{MODEL}.metrics.nmse": lambda m: m["models"][MODEL]["metrics"].update(nmse=None),
    "trainings": lambda m: m.update(trainings={}),
    "trainings[0]": lambda m: m.update(trainings=[{"name": "<b>"}]),
    "trainings[0].seed": lambda m: m.update(trainings=[{**m["models"][MODEL], "name": MODEL}]),
    f"models.{MODEL}.steps": lambda m: m["models"][MODEL].update(steps="60"),
    "display_model": lambda m: m.update(display_model=["k16"]),
    "default_clustering": lambda m: m.update(default_clustering="none/index"),
    f"clusterings.{MODEL}/codes.features": lambda m: clustering(m).update(features="pixels"),
    f"clusterings.{MODEL}/codes": lambda m: clustering(m).update(features="index"),
    f"clusterings.{MODEL}/codes.n_components": lambda m: clustering(m).update(n_components=0),
    f"clusterings.{MODEL}/codes.clusters": lambda m: clustering(m)["clusters"].pop(),
    f"clusterings.{MODEL}/codes.agreement.ami": lambda m: clustering(m)["agreement"].pop("ami"),
    f"clusterings.{MODEL}/codes.agreement.eta2.low": lambda m: clustering(m)["agreement"][
        "eta2"
    ].update(low="<b>"),
}


def clustering(manifest: dict) -> dict:
    return manifest["clusterings"][f"{MODEL}/codes"]


@pytest.mark.parametrize("field", CHANGES)
def test_a_manifest_field_out_of_range_is_named(bundle, field):
    manifest = read_manifest(bundle)
    CHANGES[field](manifest)
    reseal(bundle, manifest)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle)
    assert f"manifest.json: {field.strip()}" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"typical": [10**6]},
        {"medoid": -2},
        {"medoid": 1.5},
        {"histogram": [1] * 9},
        {"histogram": [10**9] * 10},
        {"kind": "<script>"},
        {"count": "many"},
        {"id": 5},
        {"colour": "red"},
        {"ttype_mean": "high"},
    ],
)
def test_a_cluster_summary_out_of_range_is_refused(bundle, change):
    manifest = read_manifest(bundle)
    clustering(manifest)["clusters"][3].update(change)
    reseal(bundle, manifest)
    refused(bundle, r"clusters\[3\]")
