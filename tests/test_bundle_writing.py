from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle import writer as bundle_writer
from galaxy_explorer.bundle.manifest import CardFigure
from galaxy_explorer.bundle.writer import BundleContents, add_files
from galaxy_explorer.errors import BundleError
from tests.small_bundle import write_small_bundle


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "small")


def test_same_contents_same_hash(path, tmp_path):
    assert load_bundle(write_small_bundle(tmp_path / "small")).hash == load_bundle(path).hash
    assert load_bundle(write_small_bundle(tmp_path / "other", seed=1)).hash != (
        load_bundle(path).hash
    )


def test_manifest_lists_what_sha256sum_would(path):
    manifest = json.loads((path / "manifest.json").read_text())
    done = subprocess.run(
        ["sha256sum", "--check", "manifest.sha256"], cwd=path, capture_output=True, check=False
    )
    assert done.returncode == 0
    present = {file.name for file in path.iterdir()} - {"manifest.json", "manifest.sha256"}
    assert set(manifest["files"]) == present


STEPS = ["_encoded_bytes", "_catalog_bytes", "_write_manifest", "parse_manifest", "_swap"]


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_write_leaves_the_old_bundle(path, tmp_path, monkeypatch, step):
    target = tmp_path / "bundle"
    shutil.copytree(path, target)
    before = load_bundle(target).hash

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(bundle_writer, step, fail)
    with pytest.raises(OSError, match="no space left"):
        write_small_bundle(target, seed=1)
    assert load_bundle(target).hash == before
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_a_failed_rename_puts_the_old_bundle_back(path, tmp_path, monkeypatch):
    from pathlib import Path

    target = tmp_path / "bundle"
    shutil.copytree(path, target)
    rename = Path.rename

    def fail(self, other):
        if ".new." in self.name:
            raise OSError("refused")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="refused"):
        write_small_bundle(target, seed=1)
    assert load_bundle(target).name == "small"


def test_a_kill_between_the_renames_is_told_and_repaired(path, tmp_path):
    shutil.copytree(path, tmp_path / ".bundle.old")
    (tmp_path / ".bundle.new.abc").mkdir()
    with pytest.raises(BundleError, match=r"\.bundle\.old: rename it"):
        load_bundle(tmp_path / "bundle")
    write_small_bundle(tmp_path / "bundle")
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_contents_that_do_not_fit_are_not_written(tmp_path, monkeypatch):
    original = bundle_writer.save_bundle

    def spoil(target, contents: BundleContents):
        manifest = {**contents.manifest, "display_model": "k9-none-8x8"}
        fields = {**contents.__dict__, "manifest": manifest}
        return original(target, BundleContents(**fields))

    monkeypatch.setattr("tests.small_bundle.save_bundle", spoil)
    with pytest.raises(BundleError, match="display_model"):
        write_small_bundle(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_files_and_figures_are_added_under_their_hash(path, tmp_path):
    target = shutil.copytree(path, tmp_path / "bundle")
    before = load_bundle(target)
    figures = [{"what": "opening", "value": "0.2 s", "command": "make bench"}]
    more = {"CLAIMS.md": b"# Claims", "more.json": b"{}"}
    add_files(target, more, lambda m: f"# {m.figures[0].value}\n", figures=figures)
    after = load_bundle(target)
    assert after.card == "# 0.2 s\n"
    assert after.manifest.figures == (CardFigure(**figures[0]),)
    assert (target / "CLAIMS.md").read_bytes() == b"# Claims"
    assert after.hash != before.hash
    np.testing.assert_array_equal(after.codes("k16-modern-8x8"), before.codes("k16-modern-8x8"))
    add_files(target, {"CLAIMS.md": b"# None"}, lambda _: "# none\n")
    assert load_bundle(target).manifest.figures == after.manifest.figures
    assert (target / "CLAIMS.md").read_bytes() == b"# None"
    (target / "more.json").write_bytes(b"[]")
    with pytest.raises(BundleError, match=r"more\.json: altered"):
        load_bundle(target)


@pytest.mark.parametrize("name", ["catalog.parquet", "convae-conv.encoded.safetensors", "../out"])
def test_added_files_cannot_replace_the_bundles_own_or_go_elsewhere(path, tmp_path, name):
    target = shutil.copytree(path, tmp_path / "bundle")
    before = load_bundle(target).hash
    with pytest.raises(BundleError, match=name):
        add_files(target, {name: b"x"}, lambda _: "# none\n")
    assert load_bundle(target).hash == before
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
