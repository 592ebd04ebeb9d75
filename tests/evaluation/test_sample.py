"""How many held-out galaxies an evaluation measures: a bound, drawn at random and stated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from msgspec.structs import replace

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.bundle.card import model_card
from galaxy_explorer.evaluation import context as module
from galaxy_explorer.evaluation.context import GRIDS, Context
from tests.small_bundle import write_small_bundle
from tests.small_evaluation import small_evaluation

SHARES = {"train": 600, "validation": 90, "test": 150}
BOUND = 100


@pytest.fixture
def context(tmp_path, monkeypatch) -> Context:
    """A context of a survey of which only the splits are known."""
    monkeypatch.setattr(module, "check_survey", lambda *_: None)
    monkeypatch.setattr(module, "HELD_OUT", BOUND)
    splits = np.repeat(list(SHARES), list(SHARES.values()))
    splits = np.random.default_rng(0).permutation(splits)
    (tmp_path / "catalog.parquet").write_bytes(b"")
    survey = SimpleNamespace(
        column=lambda _: splits, path=tmp_path, meta={"fingerprint": "of pixels"}
    )
    return Context(SimpleNamespace(), survey, tmp_path, "tiny")


def test_a_large_split_is_measured_by_so_many_of_it_drawn_at_random(context):
    test = context.rows("test")
    assert len(test) == BOUND < len(context.in_split("test")) == SHARES["test"]
    assert set(test) < set(context.in_split("test"))
    assert (test != context.in_split("test")[:BOUND]).any()
    np.testing.assert_array_equal(context.rows("validation"), context.in_split("validation"))
    assert len(context.rows("train")) == GRIDS["tiny"].fit_rows
    assert len(np.unique(context.sample)) == len(context.sample)


def test_stages_of_a_survey_within_the_bound_keep_their_key(context, monkeypatch):
    bounded = context.sample_key
    monkeypatch.setattr(module, "HELD_OUT", SHARES["test"])
    del context.sample_key
    assert bounded == {"held_out": BOUND, **context.sample_key}


def test_the_card_states_the_draw_and_only_that(tmp_path):
    manifest = load_bundle(write_small_bundle(tmp_path / "b", n=60)).manifest
    evaluation = small_evaluation()
    counts = {"test galaxies": "10000", "of test galaxies in all": "123456"}
    drawn = replace(evaluation, settings=evaluation.settings | counts)
    every = replace(evaluation, settings=evaluation.settings | dict.fromkeys(counts, "10000"))
    words = "Measured are 10,000 test galaxies, drawn at random from 123,456."
    assert words in model_card(manifest, evaluation=drawn)
    for other in (evaluation, every):
        assert "drawn at random from" not in model_card(manifest, evaluation=other)
