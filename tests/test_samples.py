"""A training's stamps: a fixed sample of very many, in bounded memory, with the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxy_explorer.models.autoencoder_training import data_variance, train_model
from galaxy_explorer.pipeline import samples
from galaxy_explorer.pipeline.samples import (
    StoredStamps,
    mapped_stamps,
    sample_words,
    sampled_rows,
    stretched_stamps,
    variance_of_bands,
)
from galaxy_explorer.survey.store import Survey, SurveySpec
from galaxy_explorer.survey.writer import SurveyWriter
from tests.models.test_training import CONFIG, RECIPE, state

COUNT = 300


def made(path: Path, *, exact: bool = True, count: int = COUNT) -> Survey:
    bits = np.random.default_rng(0).integers(0, 256, (COUNT, 1, 16, 16), np.uint8)
    stamps = (bits / 255.0).astype(np.float32) + np.float32(0 if exact else 0.001)
    spec = SurveySpec(name="s", source="one", stamp_size=16, state="arcsinh")
    writer = SurveyWriter(path, spec, recipe={})
    names = [f"g{i}" for i in range(count)]
    writer.append(stamps[:count], {"galaxy_id": names}, cursor=1)
    return writer.finish({})


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(samples, "MOST", {"train": 100, "validation": 20, "test": 300})


def test_a_small_survey_is_taken_as_a_whole(tmp_path):
    survey = made(tmp_path / "s")
    assert sample_words(survey) == {}
    for split in samples.MOST:
        wanted = np.flatnonzero(survey.column("split") == split)
        np.testing.assert_array_equal(sampled_rows(survey, split), wanted)


@pytest.mark.usefixtures("few")
def test_a_sample_is_fixed_by_ids_and_stays_as_the_survey_grows(tmp_path):
    survey, shorter = made(tmp_path / "s"), made(tmp_path / "t", count=200)
    rows, before = sampled_rows(survey, "train"), sampled_rows(shorter, "train")
    assert sample_words(survey) == {"train": 100, "validation": 20}
    assert len(rows) == len(before) == 100
    assert (np.diff(rows) > 0).all()
    assert set(survey.column("split")[rows]) == {"train"}
    # Of the longer survey's sample, those that were there already were in the sample before.
    assert set(rows[rows < 200]) <= set(before)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("room", [0, 1 << 30])
def test_stamps_are_the_same_wherever_they_are_held(tmp_path, monkeypatch, exact, room):
    monkeypatch.setattr(samples, "MEMORY_BYTES", room)
    survey = made(tmp_path / "s", exact=exact)
    rows = sampled_rows(survey, "train")
    held = stretched_stamps(survey, rows, tmp_path / "work", "train")
    again = stretched_stamps(survey, rows, tmp_path / "work", "train")
    whole = survey.model_input(rows)
    half = not exact and not room
    wanted = whole.astype(np.float16).astype(np.float32) if half else whole
    assert held.shape == whole.shape
    for key in (3, slice(5, 40), np.array([9, 2]), slice(None)):
        assert held[key].dtype == np.float32
        np.testing.assert_array_equal(held[key], wanted[key])
        np.testing.assert_array_equal(again[key], wanted[key])
    assert len(list((tmp_path / "work").glob("*.npy"))) == (0 if room else 1)
    assert data_variance(held) == data_variance(wanted)
    np.testing.assert_allclose(variance_of_bands(held), wanted.var((0, 2, 3)), rtol=1e-5)


def test_a_file_of_another_survey_goes(tmp_path):
    for number, exact in enumerate((True, False)):
        survey = made(tmp_path / f"s{number}", exact=exact)
        mapped_stamps(survey, np.arange(9), tmp_path / "work", "train")
        mapped_stamps(survey, np.arange(9), tmp_path / "work", "test")
    names = {path.name.split("-")[0] for path in (tmp_path / "work").iterdir()}
    assert names == {"train", "test"}
    assert len(list((tmp_path / "work").iterdir())) == 2


def test_a_training_on_stored_stamps_is_that_on_the_array(tmp_path):
    bits = np.random.default_rng(0).integers(0, 256, (80, 1, 16, 16), np.uint8)
    stored, plain = StoredStamps(bits), (bits / 255.0).astype(np.float32)
    one, first = train_model(CONFIG, plain[:64], plain[64:], tmp_path / "a", RECIPE)
    other, second = train_model(
        CONFIG, StoredStamps(bits[:64]), StoredStamps(bits[64:]), tmp_path / "b", RECIPE
    )
    assert len(stored) == 80
    assert first.curve == second.curve
    assert {k: v.tolist() for k, v in state(one).items()} == {
        k: v.tolist() for k, v in state(other).items()
    }
