"""Stamps: decoded once, kept on disk, the same for every process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.explorer.pictures import stamps
from galaxy_explorer.explorer.pictures.display import DisplaySettings, render_stamps
from galaxy_explorer.explorer.pictures.stamps import KEPT_BUNDLES, StampStore, first_shown
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from tests.explorer.fakes import drawn

FILL_LIMIT_S = 60


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every row that was decoded, in order."""
    calls: list[int] = []

    def decode(_: Bundle, model: str, rows: np.ndarray) -> np.ndarray:
        calls.extend(rows.tolist())
        return drawn(rows, model)

    monkeypatch.setattr(Bundle, "decode", decode)
    return calls


@pytest.fixture
def store(bundle, tmp_path, decoded):
    made = StampStore(bundle, tmp_path)
    yield made
    made.close()


def expected(bundle: Bundle, rows: list[int]) -> np.ndarray:
    return drawn(np.array(rows), bundle.manifest.display_model)[:, 0].astype(np.float16)


def test_stamps_come_in_the_order_asked_for_and_may_repeat(bundle, store) -> None:
    rows = [5, 2, 5, 199]
    np.testing.assert_array_equal(store.get(np.array(rows)), expected(bundle, rows))


def test_each_galaxy_is_decoded_once(store, decoded) -> None:
    store.get(np.array([4, 4, 7]))
    store.get(np.array([7, 4]))
    assert sorted(decoded) == [4, 7]


def test_another_process_finds_what_was_decoded(bundle, store, tmp_path, decoded) -> None:
    store.get(np.array([1, 2]))
    other = StampStore(bundle, tmp_path)
    np.testing.assert_array_equal(other.get(np.array([2])), expected(bundle, [2]))
    other.close()
    assert sorted(decoded) == [1, 2]


def test_a_stamp_without_its_mark_is_decoded_again(bundle, store, tmp_path, decoded) -> None:
    rows = store.first[:2]
    store.get(rows)
    marks = np.memmap(next(tmp_path.glob("*.done")), np.uint8, "r+")
    marks[1] = 0
    store.get(rows)
    assert decoded == [*sorted(rows), rows[1]]


def test_a_cut_file_is_made_anew(bundle, store, tmp_path, decoded) -> None:
    store.get(np.array([1]))
    store.close()
    for path in tmp_path.iterdir():
        os.truncate(path, 10)
    again = StampStore(bundle, tmp_path)
    np.testing.assert_array_equal(again.get(np.array([1])), expected(bundle, [1]))
    again.close()


def test_cut_pixels_make_the_marks_worthless(bundle, store, tmp_path, decoded) -> None:
    store.get(np.array([1]))
    store.close()
    os.truncate(next(tmp_path.glob("*.f16")), 10)
    again = StampStore(bundle, tmp_path)
    np.testing.assert_array_equal(again.get(np.array([1])), expected(bundle, [1]))
    again.close()


def test_the_background_fill_decodes_what_is_shown_first_and_no_more(
    bundle, store, decoded, monkeypatch
) -> None:
    fill(store)
    assert decoded == store.first.tolist()
    monkeypatch.setattr(stamps, "FIRST_SHOWN", 30)
    np.testing.assert_array_equal(first_shown(bundle), store.first[:30])


def fill(store: StampStore) -> None:
    store.start_filling()
    end = time.monotonic() + FILL_LIMIT_S
    while not store._file.done.all() and time.monotonic() < end:
        time.sleep(0.01)


def test_the_disk_holds_what_is_shown_first_and_memory_what_was_asked_for_last(
    bundle, tmp_path, decoded, monkeypatch
) -> None:
    monkeypatch.setattr(stamps, "FIRST_SHOWN", 20)
    monkeypatch.setattr(stamps, "KEPT_BYTES", 3 * 2 * 64 * 64)
    store = StampStore(bundle, tmp_path)
    assert next(tmp_path.glob("*.f16")).stat().st_size == 20 * 2 * 64 * 64
    others = np.setdiff1d(np.arange(len(bundle)), store.first)[:5]
    for row in others:
        np.testing.assert_array_equal(store.get(np.array([row])), expected(bundle, [row]))
    assert store.ready(others[2:])
    assert not store.ready(others[:1])
    store.get(others[2:3])  # used again: the next to go is another
    store.get(others[:1])
    assert store.ready(others[[2, 4, 0]])
    assert not store.ready(others[3:4])
    assert decoded == [*others, others[0]]
    store.close()


def test_then_every_model_is_loaded(bundle, store, decoded, monkeypatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(type(bundle), "load_model", lambda _, name: loaded.append(name))
    store.start_filling()
    end = time.monotonic() + FILL_LIMIT_S
    while len(loaded) < len(bundle.models) and time.monotonic() < end:
        time.sleep(0.01)
    assert sorted(loaded) == sorted(bundle.models)
    assert store._file.done.all()


def test_first_come_the_galaxies_of_the_map_and_the_centres_of_clusters(bundle) -> None:
    first = first_shown(bundle)
    assert len(np.unique(first)) == len(first)
    default = bundle.clusterings[bundle.manifest.default_clustering]
    tiles = map_tiles(bundle, bundle.manifest.default_clustering)
    mosaic = {row for x in range(2) for y in range(2) for row in tiles.rows(1, x, y).ravel()} - {-1}
    central = {cluster.medoid for cluster in default.clusters if cluster.medoid >= 0}
    assert set(first[: len(mosaic)]) == mosaic
    assert central <= set(first[: len(mosaic | central)])


def test_a_version_that_shows_others_first_takes_no_stamp_for_theirs(
    bundle, store, tmp_path, decoded, monkeypatch
) -> None:
    store.get(store.first[:2])
    others = store.first[::-1].copy()
    monkeypatch.setattr(stamps, "first_shown", lambda _: others)
    other = StampStore(bundle, tmp_path)
    rows = others[:2].tolist()
    np.testing.assert_array_equal(other.get(others[:2]), expected(bundle, rows))
    other.close()
    assert set(rows) <= set(decoded)


def test_a_failing_decoder_reaches_who_asked_and_the_next_one_works(
    bundle, store, monkeypatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "decode", fail)
        with pytest.raises(RuntimeError, match="no memory"):
            store.get(np.array([3]))
    np.testing.assert_array_equal(store.get(np.array([3])), expected(bundle, [3]))


def test_old_bundles_leave_the_cache(bundle, tmp_path, decoded) -> None:
    for age in range(KEPT_BUNDLES + 3):
        for suffix in ("done", "f16"):
            path = tmp_path / f"old{age}-first.{suffix}"
            path.touch()
            os.utime(path, (1e9 - age, 1e9 - age))
    StampStore(bundle, tmp_path).close()
    assert {path.stem for path in tmp_path.glob("old*.done")} == {
        f"old{age}-first" for age in range(3)
    }
    assert len(list(tmp_path.glob("*.f16"))) == KEPT_BUNDLES


def test_files_of_a_version_that_kept_every_galaxy_go(bundle, tmp_path, decoded) -> None:
    for name in (f"{bundle.hash[:24]}.f16", f"{bundle.hash[:24]}-rgb.done"):
        (tmp_path / name).write_bytes(b"many")
    StampStore(bundle, tmp_path).close()
    assert {path.suffix for path in tmp_path.iterdir()} == {".f16", ".done"}
    assert all("-first" in path.stem for path in tmp_path.iterdir())


def test_originals_come_from_their_source_alone(bundle, tmp_path, decoded) -> None:
    bright = np.full((2, 64, 64), 0.75, np.float32)
    store = StampStore(bundle, tmp_path, originals=lambda rows: bright[: len(rows)])
    np.testing.assert_array_equal(store.get(np.array([8, 9]), "original"), bright)
    assert decoded == []
    store.close()


def test_pictures_are_the_rendered_stamps(store) -> None:
    rows, settings = np.array([3, 1]), DisplaySettings(stretch="asinh")
    np.testing.assert_array_equal(
        store.pictures(rows, settings), render_stamps(store.get(rows), settings)
    )


def test_shared_limits_do_not_depend_on_who_else_is_on_the_page(store) -> None:
    settings = DisplaySettings(shared=True, interval="minmax")
    both = store.pictures(np.array([0, 6]), settings)
    np.testing.assert_array_equal(store.pictures(np.array([6]), settings)[0], both[1])


def test_stamps_of_three_bands_keep_their_colours_in_a_file_of_their_own(
    coloured, tmp_path, monkeypatch
) -> None:
    bands = np.random.default_rng(2).random((3, 3, 64, 64), np.float32)
    monkeypatch.setattr(Bundle, "decode", lambda *_: bands)
    for suffix in ("f16", "done"):  # what a version without colours kept of the same bundle
        (tmp_path / f"{coloured.hash[:24]}.{suffix}").write_bytes(b"old")
    store = StampStore(coloured, tmp_path)
    found = store.get(np.array([1, 4, 7]))
    np.testing.assert_array_equal(found, bands.transpose(0, 2, 3, 1).astype(np.float16))
    assert store.pictures(np.array([4]), DisplaySettings()).shape == (1, 64, 64, 3)
    store.close()
    again = StampStore(coloured, tmp_path)
    monkeypatch.setattr(Bundle, "decode", None)
    np.testing.assert_array_equal(again.get(np.array([7])), found[2:])
    again.close()


def test_the_folder_of_the_cache_may_be_missing(bundle, tmp_path: Path, decoded) -> None:
    StampStore(bundle, tmp_path / "not" / "there").close()
    assert list((tmp_path / "not" / "there").glob("*.done"))
