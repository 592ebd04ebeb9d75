"""Models and clusterings in words."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from galaxy_explorer.explorer.wording import (
    count_types,
    explanation,
    format_clustering,
    format_model,
    format_survey,
    format_types,
    real_mark,
)
from galaxy_explorer.models.convae import ConvAEConfig
from galaxy_explorer.models.vqvae import VQVAEConfig
from galaxy_explorer.models.vqvae2 import VQVAE2Config


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("C kept", "Slope of the statistic"),
        ("fine structure kept", "smooths away"),
        ("light kept", "Light of the galaxy"),
        ("blur", "FWHM"),
        ("n", ""),
    ],
)
def test_each_figure_has_its_own_explanation(figure, words):
    assert words in explanation(figure)
    assert bool(words) is bool(explanation(figure))


@pytest.mark.parametrize(
    ("config", "words", "clustering"),
    [
        (
            VQVAEConfig(num_embeddings=16, map_size=8),
            "16 codes, modern, 8×8 map",
            "16 codes, modern",
        ),
        (
            VQVAE2Config(),
            "512 codes, hierarchical, maps of 8×8 and 16×16",
            "512 codes, hierarchical",
        ),
        (ConvAEConfig("conv"), "ConvAE without dense layers", "ConvAE without dense layers"),
    ],
)
def test_a_model_is_named_by_what_it_is(config, words, clustering) -> None:
    assert format_model(config.name, config.to_dict()) == words
    one = SimpleNamespace(model=config.name, features="codes", steering=None)
    assert format_clustering(one, config.to_dict()).startswith(f"{clustering}, ")


def test_an_unusual_model_keeps_its_key() -> None:
    assert format_model("mine", {"depth": 3}) == "mine"


@pytest.mark.parametrize(
    ("ttype", "error", "words"),
    [
        (0.3, 1.6, "S0 to Sab, T 0.3 ± 1.6"),
        (-5.0, 0.2, "E, T −5.0 ± 0.2"),
        (-0.01, 0.1, "S0/a, T 0.0 ± 0.1"),
        (9.7, 4.0, "Scd to Im, T 9.7 ± 4.0"),
    ],
)
def test_a_type_is_said_in_stages_and_as_a_number(ttype, error, words) -> None:
    assert format_types(ttype, error) == words


@pytest.mark.parametrize(
    ("ttype", "words"),
    [
        ([-5, -2, 0, 4], "3 of 4 are early"),
        ([-5, 3, 5, np.nan], "2 of the 3 with a T are late"),
        ([3, 5, np.nan], "all 2 with a T are late"),
        ([np.nan, np.nan], "none of 2 has a T"),
    ],
)
def test_galaxies_are_counted_by_their_types(ttype, words) -> None:
    assert count_types(np.array(ttype, float)) == words


@pytest.mark.parametrize(
    ("sources", "mark"),
    [(["sdss_ngc", "efigi"], "REAL"), (["simulated-candels"], "SIMULATED"), ([], "REAL")],
)
def test_nothing_simulated_is_called_real(sources, mark) -> None:
    column = {"source": np.array(sources, str)}
    assert real_mark(SimpleNamespace(column=column.__getitem__)) == mark


@pytest.mark.parametrize(
    ("band", "encoded", "words"),
    [
        (None, None, "sdss"),
        ("r", None, "sdss in the r band"),
        ("i,r,g", "", "sdss in the bands i, r, g"),
        ("i,r,g", "mine", "mine"),
    ],
)
def test_galaxies_are_said_to_be_of_the_survey_that_they_are_of(band, encoded, words) -> None:
    about = None if encoded is None else SimpleNamespace(survey=encoded)
    survey = SimpleNamespace(name="sdss", band=band)
    assert format_survey(SimpleNamespace(survey=survey, excerpt=about)) == words
