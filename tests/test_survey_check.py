"""A bundle's own survey: by its fingerprint, or by the code maps that the models make of it."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.errors import SurveyError
from galaxy_explorer.survey.store import Survey, fingerprint


@pytest.fixture(scope="module")
def bundle(trained_plan) -> Bundle:
    return load_bundle(trained_plan.out)


@pytest.fixture(scope="module")
def survey(trained_plan) -> Survey:
    return trained_plan.survey


def made_again(survey: Survey, change=lambda stamps: stamps, rows=None) -> SimpleNamespace:
    """The survey with other pixels, and so another fingerprint, or with some rows in an order."""
    rows = np.arange(len(survey)) if rows is None else rows
    return SimpleNamespace(
        path="surveys/again",
        meta={**survey.meta, "fingerprint": "0" * 64},
        column=lambda name: survey.column(name)[rows],
        model_input=lambda wanted: change(survey.model_input(rows[wanted])),
    )


def test_the_last_bit_of_a_pixel_makes_no_other_survey(bundle, survey) -> None:
    rng = np.random.default_rng(0)
    check_survey(bundle, survey)
    check_survey(bundle, made_again(survey, lambda s: s * (1 + 1e-7 * rng.normal(size=s.shape))))


def test_a_survey_of_format_1_and_the_same_made_now_are_one(bundle, survey, tmp_path) -> None:
    shutil.copytree(survey.path, tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "stamps.zarr")
    stamps = survey.stamps()
    zarr.create_array(
        tmp_path / "old" / "stamps.zarr", data=stamps, chunks=(256, *stamps.shape[1:])
    )
    path = tmp_path / "old" / "survey.json"
    meta = json.loads(path.read_text()) | {"format": 1}
    path.write_text(json.dumps(meta))
    path.write_text(json.dumps(meta | {"fingerprint": fingerprint(tmp_path / "old")}))
    old = Survey.open(tmp_path / "old")
    assert old.meta["fingerprint"] != survey.meta["fingerprint"]
    check_survey(bundle, old)


@pytest.mark.parametrize(
    "change", [lambda s: s**1.3, lambda s: s[..., ::-1].copy(), lambda s: np.roll(s, 1, 0)]
)
def test_other_pixels_under_the_same_names_are_refused(bundle, survey, change) -> None:
    with pytest.raises(SurveyError, match="another fingerprint, other code maps") as caught:
        check_survey(bundle, made_again(survey, change))
    assert "surveys/again" in str(caught.value)
    assert "give the survey" in str(caught.value)


def test_other_galaxies_or_another_order_are_refused(bundle, survey) -> None:
    backwards = np.arange(len(survey))[::-1]
    with pytest.raises(SurveyError, match="not all of them in its order"):
        check_survey(bundle, made_again(survey, rows=backwards))
    with pytest.raises(SurveyError, match="not all of them in its order"):
        check_survey(bundle, made_again(survey, rows=backwards[:7]))
    stranger = made_again(survey)
    stranger.column = lambda name: np.array(["a", "b"])
    with pytest.raises(SurveyError, match="none of the galaxies"):
        check_survey(bundle, stranger)


def test_stamps_of_another_size_are_refused(bundle, survey) -> None:
    other = made_again(survey)
    other.meta = {**other.meta, "channels": 3}
    with pytest.raises(SurveyError, match="its pixels are not those"):
        check_survey(bundle, other)
