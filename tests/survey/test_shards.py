"""How stamps lie on the disk: shards, 8 bits where they are that exactly, hashes, format 1."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey import shards
from galaxy_explorer.survey.store import Survey, SurveySpec, fingerprint
from galaxy_explorer.survey.writer import SurveyWriter
from tests.survey.test_writer import contents

SIDE = 8


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(shards, "CHUNK_ROWS", 16)
    monkeypatch.setattr(shards, "SHARD_ROWS", 64)


def pictures(count: int, *, exact: bool = True, seed: int = 0) -> np.ndarray:
    bits = np.random.default_rng(seed).integers(0, 256, (count, 1, SIDE, SIDE), np.uint8)
    stamps = (bits / 255.0).astype(np.float32)
    if not exact:
        stamps[-1, 0, 0, 0] = 0.3
    return stamps


def made(path: Path, blocks: list[np.ndarray], *, append: bool = False, until: int = -1, **spec):
    """A survey of blocks of stamps; None where only the first `until` were written."""
    given = {"name": "s", "source": "one", "stamp_size": SIDE, "state": "arcsinh", **spec}
    writer = SurveyWriter(path, SurveySpec(**given), recipe={}, append=append)
    for number in range(writer.cursor, len(blocks) if until < 0 else until):
        ids = [f"{given['source']}{number}-{i}" for i in range(len(blocks[number]))]
        writer.append(blocks[number], {"galaxy_id": ids}, cursor=number + 1)
    return writer.finish({}) if until < 0 else None


def old_survey(path: Path, stamps: np.ndarray) -> None:
    """As format 1 had it: a file for 256 stamps, one hash over everything."""
    made(path, [stamps])
    meta = json.loads((path / "survey.json").read_text())
    digest = hashlib.sha256()
    for i, stamp in enumerate(stamps):
        digest.update(f"one0-{i}".encode() + stamp.astype("<f4").tobytes())
    shutil.rmtree(path / "stamps.zarr")
    (path / "hashes.txt").unlink()
    zarr.create_array(path / "stamps.zarr", data=stamps, chunks=(256, *stamps.shape[1:]))
    del meta["pixels"]
    meta |= {"format": 1, "fingerprint": digest.hexdigest()}
    (path / "survey.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("kind", ["u1", "f4", "f8"])
@pytest.mark.parametrize("shape", [(1, SIDE, SIDE), (3, 5, 5), (7,)])
def test_rows_are_read_in_any_order(tmp_path, kind, shape):
    generator = np.random.default_rng(0)
    values = (generator.normal(40, 20, (200, *shape)).clip(0, 255)).astype(kind)
    values[16:48] = 0  # chunks that are not stored
    shards.create_array(tmp_path / "a", shape, np.dtype(kind))
    array = zarr.open_array(tmp_path / "a", mode="r+")
    array.resize((200, *shape))
    array[:] = values
    array = shards.open_array(tmp_path / "a")
    for rows in (np.arange(200), generator.integers(0, 200, 50), np.array([199, 0, 63, 64, 20, 0])):
        found = shards.read_rows(array, rows)
        np.testing.assert_array_equal(found, values[rows])
        assert found.dtype == kind
    with pytest.raises(SurveyError, match="no row"):
        shards.read_rows(array, np.array([3, 200]))


@pytest.mark.parametrize("offset", [4, 8, 12, 16, 20])
def test_a_damaged_chunk_is_refused(tmp_path, offset):
    survey = made(tmp_path / "s", [(pictures(40) > 0.5).astype(np.float32)])
    shard = survey.path / "stamps.zarr" / "c" / "0" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    data[offset : offset + 4] = b"\xff\xff\xff\x7f"
    shard.write_bytes(data)
    with pytest.raises(SurveyError, match=r"stamps\.zarr"):
        Survey.open(survey.path).stamps([0, 1])


def test_8_bit_pictures_are_kept_as_such_with_the_same_numbers(tmp_path):
    stamps = pictures(150)
    survey = made(tmp_path / "s", [stamps])
    assert survey.stored().dtype == np.uint8
    assert survey.meta["pixels"] == "uint8, over 255"
    for rows in (None, [3, 149, 3]):
        wanted = stamps if rows is None else stamps[rows]
        found = survey.model_input(rows)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))
    for values in (stamps * 0.5, stamps + np.float32(1e-6), -stamps, stamps * 2):
        assert shards.as_eight_bits(values) is None
    assert made(tmp_path / "l", [stamps], state="linear").stored().dtype == np.float32


def test_files_grow_with_shards_not_with_stamps(tmp_path):
    survey = made(tmp_path / "s", [pictures(100)] * 7)
    files = [path for path in survey.path.rglob("*") if path.is_file()]
    assert len(files) <= 5 + 700 / 64 + 1
    assert fingerprint(survey.path) == survey.meta["fingerprint"]


@pytest.mark.parametrize("wide", [0, 2, 4])
def test_a_stamp_that_is_no_8_bit_picture_makes_all_of_them_float32(tmp_path, wide):
    blocks = [pictures(50, exact=number != wide, seed=number) for number in range(5)]
    survey = made(tmp_path / "s", blocks)
    assert survey.stored().dtype == np.float32
    np.testing.assert_array_equal(survey.stamps(), np.concatenate(blocks))
    assert survey.meta["pixels"] == "float32"
    assert fingerprint(survey.path) == survey.meta["fingerprint"]
    broken = tmp_path / "broken" / "s"
    for until in (1, 3, 5):
        made(broken, blocks, until=until)
    made(broken, blocks)
    assert contents(broken) == contents(survey.path)


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("function", ["create_array", "save_block", "shard_hash"])
@pytest.mark.parametrize("call", range(1, 6))
def test_killed_in_a_shard_gives_the_same_bytes(tmp_path, monkeypatch, function, call):
    blocks = [pictures(50, exact=number != 3, seed=number) for number in range(5)]
    whole = made(tmp_path / "whole" / "s", blocks)
    calls, real = [], getattr(shards, function)

    def dying(*args, **options):
        calls.append(args)
        if len(calls) == call:
            raise Killed
        return real(*args, **options)

    path = tmp_path / "s"
    with monkeypatch.context() as patch:
        patch.setattr(shards, function, dying)
        if function == "save_block":
            patch.setattr("galaxy_explorer.survey.writer.save_block", dying)
        try:
            made(path, blocks)
        except Killed:
            assert not path.exists()
    if not path.exists():
        made(path, blocks)
    assert contents(path) == contents(whole.path)


def test_the_same_survey_whatever_it_was_appended_to(tmp_path):
    one, two = pictures(150, seed=1), pictures(90, seed=2)
    whole = made(tmp_path / "s", [one])
    both = made(tmp_path / "s", [two], append=True, source="two")
    np.testing.assert_array_equal(both.stamps(), np.concatenate([one, two]))
    assert both.stored().dtype == np.uint8
    assert fingerprint(both.path) == both.meta["fingerprint"] != whole.meta["fingerprint"]
    three = made(tmp_path / "s", [pictures(9, exact=False)], append=True, source="three")
    np.testing.assert_array_equal(three.stamps()[:240], np.concatenate([one, two]))
    assert fingerprint(three.path) == three.meta["fingerprint"]


def test_format_1_opens_keeps_its_fingerprint_and_grows_in_format_2(tmp_path):
    stamps = pictures(300, exact=False)
    old_survey(tmp_path / "old", stamps)
    old = Survey.open(tmp_path / "old")
    np.testing.assert_array_equal(old.model_input([299, 3]), stamps[[299, 3]])
    np.testing.assert_array_equal(old.stamps(), stamps)
    assert fingerprint(old.path) == old.meta["fingerprint"]
    grown = made(tmp_path / "old", [pictures(20)], append=True, source="two")
    assert grown.meta["format"] == 2
    np.testing.assert_array_equal(grown.stamps(), np.concatenate([stamps, pictures(20)]))
    assert fingerprint(grown.path) == grown.meta["fingerprint"]
