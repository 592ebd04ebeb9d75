"""Bundles of many galaxies: what is read when, and that damage is told by whoever reads it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load, save

from galaxy_explorer import load_bundle
from galaxy_explorer.bundle import files, parts, writer
from galaxy_explorer.bundle.bundle import Bundle, verify_bundle
from galaxy_explorer.bundle.files import FileEntry
from galaxy_explorer.bundle.names import NAMES
from galaxy_explorer.bundle.parts import StoredArray, below, mapped_array
from galaxy_explorer.bundle.writer import add_clustering, add_files
from galaxy_explorer.errors import BundleError
from galaxy_explorer.explorer.search import find, name_index, parse_query
from tests.attacks.bundle_tools import CATALOG, read_manifest, reseal
from tests.small_bundle import write_small_bundle

MODEL, KEY, LATENTS = "k512-modern-8x8", "k512-modern-8x8/codes", "convae-conv"
CODES, VALUES = f"{MODEL}.code_maps.safetensors", f"features.{MODEL}.codes.safetensors"
ENCODED = f"{LATENTS}.encoded.safetensors"
PART = 4096


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("few") / "small")


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """The same galaxies, written as a million would be, in parts of 4 kB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "MANY", 200)
        for module in (files, parts, writer):
            patch.setattr(module, "PART_BYTES", PART)
        return write_small_bundle(tmp_path_factory.mktemp("many") / "small")


@pytest.fixture
def path(many, tmp_path, monkeypatch) -> Path:
    for module in (files, parts, writer):
        monkeypatch.setattr(module, "PART_BYTES", PART)
    return Path(shutil.copytree(many, tmp_path / "bundle"))


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def replaced(folder: Path, name: str, data: bytes) -> None:
    """Replace a file so that all hashes fit, as an attacker would."""
    (folder / name).write_bytes(data)
    manifest = read_manifest(folder)
    manifest["files"][name] = writer._file_entry(folder / name, in_parts=True)
    reseal(folder, manifest)


def test_both_ways_of_writing_hold_the_same(few, path) -> None:
    one, other = load_bundle(few), verify_bundle(path)
    assert (one.manifest.format, other.manifest.format) == (2, 3)
    for name in one.models:
        np.testing.assert_array_equal(one.encoded(name), other.encoded(name))
    for name in one.column_names:
        np.testing.assert_array_equal(one.column(name), other.column(name))
    for key, clustering in one.clusterings.items():
        for about in ("labels", "responsibility", "coordinates", "feature_values"):
            made = getattr(other.clusterings[key], about)
            np.testing.assert_array_equal(getattr(clustering, about), made)
            assert not made.flags.writeable
    rows = np.array([199, 0, 7, 7])
    np.testing.assert_array_equal(one.decode(MODEL, rows), other.decode(MODEL, rows))
    assert not other.encoded(MODEL).flags.writeable


def test_opening_reads_neither_codes_nor_features(path, monkeypatch) -> None:
    read = []
    plain = parts._PartedFile.part
    monkeypatch.setattr(parts._PartedFile, "part", lambda self, n: read.append(n) or plain(self, n))
    bundle = load_bundle(path)
    assert set(read) == {0}  # the headers
    bundle.decode(MODEL, np.array([199]))
    assert [n for n in read if n] == [200 * 128 // PART]  # two bytes a code, 64 a galaxy


USES: dict[str, tuple[str, Callable[[Bundle], object]]] = {
    "codes": (CODES, lambda bundle: bundle.codes(MODEL)),
    "rows of codes": (CODES, lambda bundle: bundle.decode(MODEL, np.array([-1]))),
    "latents": (ENCODED, lambda bundle: bundle.latents(LATENTS)),
    "features": (VALUES, lambda bundle: bundle.clusterings[KEY].feature_values),
    "names": (NAMES, name_index),
}


@pytest.mark.parametrize("use", USES)
def test_a_flipped_bit_is_told_at_the_latest_when_it_is_used(path, use) -> None:
    name, work = USES[use]
    work(load_bundle(path))
    flip(path / name, -1)
    with pytest.raises(BundleError, match=f"{name}: altered"):
        work(load_bundle(path))
    with pytest.raises(BundleError, match=f"{name}: altered"):
        verify_bundle(path)


def test_a_damaged_part_leaves_the_others_of_use(path) -> None:
    flip(path / CODES, -1)
    bundle = load_bundle(path)
    assert bundle.decode(MODEL, np.array([0, 3])).shape == (2, 1, 64, 64)
    for rows in ([199], np.arange(200) == 199, [-1, 0], [[3, 199]]):
        with pytest.raises(BundleError, match=CODES):
            bundle.decode(MODEL, rows)


@pytest.mark.parametrize("name", [CODES, VALUES, ENCODED, NAMES, CATALOG])
def test_cut_missing_and_linked_files_are_refused_at_once(path, name) -> None:
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[:-1])
    with pytest.raises(BundleError, match=name):
        load_bundle(path)
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing"):
        load_bundle(path)
    (path.parent / "elsewhere").write_bytes(data)
    (path / name).symlink_to(path.parent / "elsewhere")
    with pytest.raises(BundleError, match="not a regular file"):
        load_bundle(path)


def arrays_of(folder: Path, name: str, **changes) -> bytes:
    stored = load((folder / name).read_bytes())
    return save({key: changes.get(key, lambda a: a)(array) for key, array in stored.items()})


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[-1] = np.nan
    return array


HOSTILE = {
    "code too high": (CODES, lambda f: arrays_of(f, CODES, codes=lambda a: a + np.uint16(600))),
    "codes as text": (CODES, lambda f: b"codes" * 6000),
    "other shape": (CODES, lambda f: arrays_of(f, CODES, codes=lambda a: a[:, :, :7].copy())),
    "other rows": (CODES, lambda f: arrays_of(f, CODES, codes=lambda a: a[:-1])),
    "signed": (CODES, lambda f: arrays_of(f, CODES, codes=lambda a: a.astype(np.int16))),
    "real codes": (CODES, lambda f: arrays_of(f, CODES, codes=lambda a: a.astype(np.float16))),
    "two arrays": (CODES, lambda f: save({**load((f / CODES).read_bytes()), "more": np.ones(9)})),
    "empty": (CODES, lambda f: b""),
    "feature no number": (VALUES, lambda f: arrays_of(f, VALUES, features=with_nan)),
    "features narrow": (VALUES, lambda f: arrays_of(f, VALUES, features=lambda a: a[:, 1:].copy())),
    "latent no number": (ENCODED, lambda f: arrays_of(f, ENCODED, latents=with_nan)),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_fits_its_hash_but_is_no_such_array_is_refused(path, case) -> None:
    name, make = HOSTILE[case]
    replaced(path, name, make(path))
    with pytest.raises(BundleError, match=name):
        verify_bundle(path)


def test_parts_that_the_manifest_leaves_out_are_refused(path) -> None:
    manifest = read_manifest(path)
    manifest["files"][CODES]["parts"] = manifest["files"][CODES]["parts"][:-1]
    reseal(path, manifest)
    with pytest.raises(BundleError, match=f"{CODES}: .*no hashes of its parts"):
        load_bundle(path)


@pytest.mark.parametrize("row", [-1, 200])
def test_names_of_galaxies_that_are_not_there_are_refused(path, row) -> None:
    table = pq.read_table(path / NAMES)
    rows = np.full(len(table), row, np.int32)
    pq.write_table(table.set_column(1, "row", [rows]), path / NAMES)
    replaced(path, NAMES, (path / NAMES).read_bytes())
    with pytest.raises(BundleError, match="none of the 200 galaxies"):
        name_index(load_bundle(path))


def test_the_stored_names_are_those_that_would_be_made(few, path) -> None:
    assert name_index(load_bundle(path)).equals(name_index(load_bundle(few)))
    found = find(load_bundle(path), parse_query("NGC 7 and T = unknown"))
    assert found.rows.tolist() in ([], [7])


def test_what_is_added_later_keeps_the_parts(path) -> None:
    before = load_bundle(path)
    add_files(path, {"CLAIMS.md": b"# None"}, lambda _: "# new\n")
    after = verify_bundle(path)
    assert after.card == "# new\n"
    assert after.manifest.files[CODES] == before.manifest.files[CODES]
    np.testing.assert_array_equal(after.codes(MODEL), before.codes(MODEL))
    with pytest.raises(BundleError, match=VALUES):
        add_files(path, {VALUES: b""}, lambda _: "")


def test_a_clustering_is_added_in_parts(path) -> None:
    manifest = read_manifest(path)
    entry = {**manifest["clusterings"][KEY], "steering": None}
    entry = {name: value for name, value in entry.items() if name not in ("file", "values")}
    entry["features"] = "rings"
    stem = KEY.replace("/", ".")
    stored = {
        **load((path / f"{stem}.safetensors").read_bytes()),
        **load((path / VALUES).read_bytes()),
    }
    kinds = ("cluster", "responsibility", "x", "y")
    bundle = load_bundle(path)
    columns = {f"{MODEL}/rings/{kind}": bundle.column(f"{KEY}/{kind}") for kind in kinds}
    add_clustering(
        path, f"{MODEL}/rings", entry, lambda _: "# new\n", arrays=stored, columns=columns
    )
    made = verify_bundle(path).clusterings
    assert (path / f"features.{MODEL}.rings.safetensors").is_file()
    np.testing.assert_array_equal(made[f"{MODEL}/rings"].feature_values, made[KEY].feature_values)


def test_density_is_a_column_where_there_are_many(few, path) -> None:
    from galaxy_explorer.explorer.search import bundle_sparsity

    one, other = load_bundle(few), load_bundle(path)
    assert f"{KEY}/sparsity" in other.column_names
    assert f"{KEY}/sparsity" not in one.column_names
    measured = bundle_sparsity(one, KEY)
    np.testing.assert_allclose(bundle_sparsity(other, KEY), measured, rtol=1e-6)


def test_another_file_in_its_place_is_told(path) -> None:
    """A column is read from the file that was hashed, also when another one has its name."""
    bundle = load_bundle(path)
    table = pq.read_table(path / CATALOG)
    (path / CATALOG).rename(path / "old")
    pq.write_table(table.slice(0, 3), path / CATALOG)
    assert len(bundle.column("split")) == 200


def test_rows_of_a_mapped_array_are_those_of_the_whole(tmp_path, monkeypatch) -> None:
    """Galaxies that lie across the border of two parts, parts of any size."""
    rng = np.random.default_rng(0)
    for part, width in ((64, 7), (128, 40), (4096, 3)):
        monkeypatch.setattr(parts, "PART_BYTES", part)
        monkeypatch.setattr(writer, "PART_BYTES", part)
        monkeypatch.setattr(parts, "MAX_HEADER_BYTES", 1 << 12)
        array = rng.integers(0, 500, (50, width)).astype(np.uint16)
        name = f"{part}.safetensors"
        (tmp_path / name).write_bytes(save({"codes": array}))
        told = writer._file_entry(tmp_path / name, in_parts=True)
        entry = FileEntry(told["sha256"], told["bytes"], tuple(told["parts"]))
        if part < 128:
            with pytest.raises(BundleError, match="header"):  # larger than a part
                mapped_array(tmp_path / name, entry, "codes", array.shape, below(500))
            continue
        stored = mapped_array(tmp_path / name, entry, "codes", array.shape, below(500))
        for _ in range(20):
            rows = rng.integers(-50, 50, 6)
            np.testing.assert_array_equal(stored.rows(rows), array[rows])
        np.testing.assert_array_equal(stored.whole(), array)
    assert StoredArray(array).rows([]).shape == (0, 3)


def test_the_command_checks_all(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "MANY", 200)
    path = write_small_bundle(tmp_path / "small")
    command = [sys.executable, "-m", "galaxy_explorer", "info", str(path), "--verify", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["n_galaxies"] == 200
    flip(path / VALUES, -1)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert VALUES in done.stderr
