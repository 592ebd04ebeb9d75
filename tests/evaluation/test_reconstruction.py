from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from galaxy_explorer.evaluation.reconstruction import (
    fine_structure,
    light_kept,
    similarity,
    sky_and_core,
)
from galaxy_explorer.models.quantizer import perplexity
from tests.survey.test_photometry import ellipse


@pytest.fixture(scope="module")
def clean():
    return ellipse(noise=0).astype(np.float32)


@pytest.fixture(scope="module")
def stamp(clean):
    return (clean + np.random.default_rng(0).normal(0, 0.02, clean.shape)).astype(np.float32)


def test_the_truth_leaves_a_chi_squared_of_one(stamp, clean):
    sky, core = sky_and_core(stamp, clean)
    assert sky == pytest.approx(1, abs=0.15)
    assert core == pytest.approx(1, abs=0.2)


def test_a_wrong_core_shows_in_the_core_alone(stamp, clean):
    wrong = clean + np.where(clean > 0.5, 0.2, 0).astype(np.float32)
    sky, core = sky_and_core(stamp, wrong)
    assert core > 5
    assert sky == pytest.approx(1, abs=0.15)


def test_a_picture_is_like_itself(stamp, clean):
    assert similarity(stamp[None], stamp[None]) == pytest.approx(1)
    assert similarity(stamp[None], clean[None]) < 0.95


def test_smoothing_takes_fine_structure_and_no_light(stamp):
    smooth = ndimage.gaussian_filter(stamp, 1.5)
    assert fine_structure(smooth) < 0.6 * fine_structure(stamp)
    assert light_kept(stamp, stamp) == pytest.approx(1)
    assert light_kept(stamp, smooth) == pytest.approx(1, abs=0.05)


def test_perplexity_by_hand():
    assert perplexity(np.bincount([0, 1, 2, 3], minlength=8)) == pytest.approx(4)
    assert perplexity(np.bincount(np.zeros(5, int), minlength=8)) == pytest.approx(1)
