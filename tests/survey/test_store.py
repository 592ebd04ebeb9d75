from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey import store
from galaxy_explorer.survey.preprocessing import ArcsinhStretch, split_of
from galaxy_explorer.survey.repeats import shared_galaxies
from galaxy_explorer.survey.store import RowStamps, SharedSurvey, Survey, SurveySpec, fingerprint
from galaxy_explorer.survey.writer import SurveyWriter

COUNT = 300


@pytest.fixture(scope="module")
def stamps() -> np.ndarray:
    return np.random.default_rng(0).normal(5.0, 1.0, (COUNT, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def survey(tmp_path_factory, stamps) -> Survey:
    spec = SurveySpec(name="test", source="made", stamp_size=8, band="r", state="linear")
    writer = SurveyWriter(tmp_path_factory.mktemp("store") / "survey", spec, recipe={})
    columns = {
        "galaxy_id": [f"g{i}" for i in range(COUNT)],
        "ttype": np.where(np.arange(COUNT) % 3, 4.0, np.nan),
        "sky": np.full(COUNT, 5.0),
        "sky_sigma": np.linspace(1.0, 2.0, COUNT),
        "label": np.arange(COUNT),
    }
    writer.append(stamps, columns, cursor=COUNT, extras={"truth": stamps - 5.0})
    return writer.finish({"catalog_rows": COUNT})


def test_reads_back_what_was_written(survey, stamps):
    assert len(survey) == COUNT
    np.testing.assert_array_equal(survey.stamps(), stamps)
    np.testing.assert_array_equal(survey.truth(), stamps - 5.0)
    assert survey.extra_names == ["truth"]
    assert survey.column("label").tolist() == list(range(COUNT))
    assert survey.column("source")[0] == "made"
    assert np.isnan(survey.column("ra")).all()
    assert survey.column("split").tolist() == [split_of(f"g{i}") for i in range(COUNT)]
    assert survey.column("ttype_class")[:3].tolist() == [-1, 7, 7]


def test_rows_come_in_the_order_asked(survey, stamps):
    rows = np.array([299, 0, 256, 0, 17])
    np.testing.assert_array_equal(survey.stamps(rows), stamps[rows])
    np.testing.assert_array_equal(survey.stamps([3]), stamps[[3]])
    assert survey.stamps([]).shape == (0, 1, 8, 8)
    mask = np.arange(COUNT) % 7 == 0
    np.testing.assert_array_equal(survey.stamps(mask), stamps[mask])


def test_model_input_stretches_linear_stamps_only(survey, stamps):
    rows = np.array([20, 10])
    sigma = survey.column("sky_sigma")[rows]
    expected = ArcsinhStretch().apply(stamps[rows], 5.0, sigma).astype(np.float32)
    np.testing.assert_array_equal(survey.model_input(rows), expected)


def test_stamps_read_when_indexed_are_those_of_the_array(survey, monkeypatch):
    rows = np.array([299, 0, 256, 0, 17])
    found, array = RowStamps(survey, rows), survey.model_input(rows)
    assert found.shape == array.shape
    assert len(found) == len(array)
    for part in (slice(1, 4), slice(3, 99), np.array([4, 1, 1])):
        np.testing.assert_array_equal(found[part], array[part])
    held = []
    monkeypatch.setattr(store, "BLOCK_ROWS", 2)

    def mean(block):
        held.append(len(block))
        return block.mean((1, 2, 3))

    np.testing.assert_array_equal(found.measured(mean), array.mean((1, 2, 3)))
    assert held == [2, 2, 1]
    assert RowStamps(survey, rows[:0]).measured(mean).shape == (0,)


def test_fingerprint_is_the_stated_hash(survey, stamps):
    shard = hashlib.sha256()
    for i in range(COUNT):
        shard.update(f"g{i}".encode() + b"\0" + stamps[i].astype("<f4").tobytes())
    digest = hashlib.sha256(b"2 <f4 [1, 8, 8]" + shard.digest())
    assert survey.meta["fingerprint"] == digest.hexdigest() == fingerprint(survey.path)
    assert (survey.path / "hashes.txt").read_text() == f"{shard.hexdigest()}\n"


def test_counts_add_up(survey):
    counts = survey.meta["counts"]
    assert counts["galaxies"] == COUNT
    assert counts["train"] + counts["validation"] + counts["test"] == COUNT
    assert counts["with_ttype"] == 200


def test_columns_are_read_only(survey):
    with pytest.raises(ValueError, match="read-only"):
        survey.column("ra")[0] = 1.0


def test_unknown_names_are_answered_with_those_there_are(survey):
    with pytest.raises(SurveyError, match="label"):
        survey.column("labels")
    with pytest.raises(SurveyError, match="truth"):
        survey.extra_array("psf")


@pytest.mark.parametrize("name", ["survey.json", "catalog.parquet", "stamps.zarr"])
def test_incomplete_survey_is_refused_by_name(survey, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(survey.path, copy)
    assert len(Survey.open(copy)) == COUNT
    if (copy / name).is_dir():
        shutil.rmtree(copy / name)
    else:
        (copy / name).unlink()
    with pytest.raises(SurveyError, match=name):
        Survey.open(copy)


def test_damaged_survey_is_refused(survey, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(survey.path, copy)
    meta = copy / "survey.json"
    meta.write_text("{")
    with pytest.raises(SurveyError, match=r"survey\.json"):
        Survey.open(copy)
    meta.write_text(json.dumps({"format": 3}))
    with pytest.raises(SurveyError, match="format"):
        Survey.open(copy)
    meta.write_text(json.dumps(survey.meta))
    (copy / "catalog.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(SurveyError, match=r"catalog\.parquet"):
        Survey.open(copy)
    shutil.copyfile(survey.path / "catalog.parquet", copy / "catalog.parquet")
    chunk = copy / "stamps.zarr" / "c" / "0" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:500])
    with pytest.raises(SurveyError, match=r"stamps\.zarr"):
        Survey.open(copy).stamps([3])
    (copy / "stamps.zarr" / "zarr.json").write_text("[]")
    with pytest.raises(SurveyError, match=r"stamps\.zarr"):
        Survey.open(copy)


def small(path, ids, **columns) -> Survey:
    spec = SurveySpec(name=path.name, source="made", stamp_size=8, band="r", state="arcsinh")
    writer = SurveyWriter(path, spec, recipe={})
    names = np.array(ids)
    stamps = np.zeros((len(ids), 1, 8, 8), np.float32)
    writer.append(stamps, {"galaxy_id": names, **columns}, cursor=len(ids))
    return writer.finish({"catalog_rows": len(ids)})


def test_galaxies_of_two_surveys_are_found_by_id_name_and_place(tmp_path):
    one = small(
        tmp_path / "one", ["a", "b", "c", "d", "e"],
        ra=np.array([10.0, 20.0, 359.9999, 40.0, np.nan]), dec=np.array([0.0, 60.0, 5.0, 1.0, 2.0]),
    )  # fmt: skip
    other = small(
        tmp_path / "other", ["x", "c2", "a", "far", "near"],
        same_as=np.array(["one:b", "", "", "none", ""]),
        ra=np.array([99.0, 0.0001, 50.0, 40.1, 40.0003]), dec=np.array([9.0, 5.0, 0.0, 1.0, 1.0]),
    )  # fmt: skip
    shared = shared_galaxies(one, other)
    assert shared.rows.tolist() == [[0, 2], [1, 0], [2, 1], [3, 4]]
    assert shared.words == "1 by id, 1 by same_as, 2 by position"
    back = shared_galaxies(other, one)
    assert {tuple(pair) for pair in back.rows[:, ::-1].tolist()} == {
        tuple(pair) for pair in shared.rows.tolist()
    }


def test_a_survey_that_has_a_galaxy_twice_says_so_by_same_as(tmp_path):
    survey = small(
        tmp_path / "twice", ["a", "b", "c", "d"], same_as=np.array(["", "gz2:a", "", "elsewhere"])
    )
    assert shared_galaxies(survey, survey).rows.tolist() == [[0, 1]]


def test_surveys_without_a_galaxy_in_common_share_none(tmp_path):
    one, other = small(tmp_path / "one", ["a"]), small(tmp_path / "other", ["b"])
    assert shared_galaxies(one, other).rows.shape == (0, 2)


def test_a_task_takes_the_survey_that_was_meant_and_no_other(survey):
    shared = SharedSurvey.of(survey)
    assert shared.opened() is survey  # in this process, as it is open
    with pytest.raises(SurveyError, match="a worker finds another survey; share that folder"):
        replace(shared, fingerprint="0" * 64).opened()
    assert shared.opened().meta == survey.meta
