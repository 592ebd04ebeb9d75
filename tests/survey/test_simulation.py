from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from astropy.io import fits
from scipy.stats import spearmanr

from galaxy_explorer.errors import SettingError, SurveyError
from galaxy_explorer.survey.simulation import survey as simulation
from galaxy_explorer.survey.simulation.survey import convolve, simulate_galaxy, simulate_survey
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.survey.telescopes import CANDELS, SDSS, draw_psf, noise_sigma
from galaxy_explorer.utils.files import sha256_of

SEED = 11


@pytest.fixture(scope="module")
def sdss():
    return [simulate_galaxy(SDSS, SEED, index) for index in range(96)]


@pytest.fixture(scope="module")
def candels():
    return [simulate_galaxy(CANDELS, SEED, index) for index in range(24)]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(simulation, "BLOCK", 8)


def column(galaxies, name):
    return np.array([galaxy.row[name] for galaxy in galaxies])


def pixels_of(survey):
    return [survey.stamps(), survey.truth(), survey.extra_array("psf")]


def test_number_of_workers_changes_no_pixel(tmp_path, small_blocks):
    one = simulate_survey(tmp_path / "one", like="sdss", n=20, seed=3, workers=1)
    two = simulate_survey(tmp_path / "two", like="sdss", n=20, seed=3, workers=2)
    for a, b in zip(pixels_of(one), pixels_of(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.meta["fingerprint"] == two.meta["fingerprint"]
    for name in one.column_names:
        np.testing.assert_array_equal(one.column(name), two.column(name))


def test_interrupted_run_gives_the_same_survey(tmp_path, small_blocks, monkeypatch):
    whole = simulate_survey(tmp_path / "whole", like="sdss", n=20, seed=3)
    original = simulation._simulate_block

    def fail_at_second(like, seed, start, *rest):
        if start:
            raise KeyboardInterrupt
        return original(like, seed, start, *rest)

    monkeypatch.setattr(simulation, "_simulate_block", fail_at_second)
    with pytest.raises(KeyboardInterrupt):
        simulate_survey(tmp_path / "broken", like="sdss", n=20, seed=3)
    with pytest.raises(SurveyError):
        Survey.open(tmp_path / "broken")
    drawn = []
    monkeypatch.setattr(
        simulation, "_simulate_block", lambda *task: (drawn.append(task[2]), original(*task))[1]
    )
    resumed = simulate_survey(tmp_path / "broken", like="sdss", n=20, seed=3)
    assert drawn == [8, 16]  # the first block was not drawn again
    assert resumed.meta["fingerprint"] == whole.meta["fingerprint"]
    np.testing.assert_array_equal(resumed.truth(), whole.truth())


@pytest.mark.slow
def test_killed_run_resumes_and_leaves_no_worker(tmp_path):
    code = "from galaxy_explorer.cli import main; main()"
    options = ["simulate", "--out", str(tmp_path / "s"), "--n", "300", "--workers", "2"]
    command = [sys.executable, "-c", code, *options]
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    state = tmp_path / "s.partial" / "progress" / "part-000000.parquet"
    while not state.exists():
        assert run.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 30
    while _group_lives(run.pid):
        assert time.monotonic() < deadline, "workers outlive the killed parent"
        time.sleep(0.1)
    subprocess.run(command, check=True, capture_output=True)
    whole = simulate_survey(tmp_path / "whole", like="sdss", n=300)
    assert Survey.open(tmp_path / "s").meta["fingerprint"] == whole.meta["fingerprint"]


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_other_seed_other_galaxies():
    assert not np.array_equal(simulate_galaxy(SDSS, 0, 5).stamp, simulate_galaxy(SDSS, 1, 5).stamp)
    assert not np.array_equal(simulate_galaxy(SDSS, 0, 5).stamp, simulate_galaxy(SDSS, 0, 6).stamp)


@pytest.mark.parametrize("telescope", [SDSS, CANDELS], ids=lambda t: t.name)
def test_truth_blurred_with_the_stored_psf_is_the_picture(telescope, sdss, candels):
    chi2 = []
    for galaxy in sdss if telescope is SDSS else candels:
        light = convolve(galaxy.truth, galaxy.psf)
        sigma = noise_sigma(light, galaxy.row["sky_sigma"], galaxy.row["electrons_per_flux"])
        residual = (galaxy.stamp - galaxy.row["sky"] - light) / sigma
        # Light that the PSF brings in from beyond the stamp is not in the stored truth.
        chi2.append(np.mean(residual[12:-12, 12:-12] ** 2))
    assert np.median(chi2) == pytest.approx(1.0, abs=0.1)
    assert np.mean(np.abs(np.array(chi2) - 1.0) < 0.2) > 0.9


def test_psf_of_another_galaxy_does_not_reproduce_the_picture(sdss):
    bright = [g for g in sdss if g.row["magnitude_r"] < 16.2]
    worse = 0
    for galaxy, other in itertools.pairwise(bright):
        chi2 = []
        for psf in (galaxy.psf, other.psf):
            light = convolve(galaxy.truth, psf)
            sigma = noise_sigma(light, galaxy.row["sky_sigma"], galaxy.row["electrons_per_flux"])
            residual = (galaxy.stamp - galaxy.row["sky"] - light) / sigma
            chi2.append(np.mean(residual[12:-12, 12:-12] ** 2))
        worse += chi2[1] > chi2[0]
    assert worse >= 0.9 * (len(bright) - 1)


def test_blurring_keeps_the_flux(sdss):
    for galaxy in sdss[:20]:
        padded = np.pad(galaxy.truth, SDSS.margin)
        assert convolve(padded, galaxy.psf).sum() == pytest.approx(padded.sum(), rel=1e-4)


def test_concentration_and_bulge_follow_t(sdss):
    ttype = column(sdss, "ttype")
    ratio = np.array([_light_ratio(galaxy) for galaxy in sdss])
    shuffled = np.random.default_rng(0).permutation(ttype)
    assert spearmanr(ratio, ttype).statistic < -0.5
    assert abs(spearmanr(ratio, shuffled).statistic) < 0.3
    assert spearmanr(column(sdss, "bulge_to_total"), ttype).statistic < -0.8
    assert spearmanr(column(sdss, "clump_fraction"), ttype).statistic > 0.6
    armed = column(sdss, "n_arms") > 0
    pitch = column(sdss, "pitch_angle_deg")
    assert spearmanr(pitch[armed], ttype[armed]).statistic > 0.5


def _light_ratio(galaxy) -> float:
    """Light of the picture within 0.3 isophotal radii over that within one."""
    size = galaxy.stamp.shape[0]
    y, x = np.mgrid[:size, :size] - 0.5 * (size - 1)
    radius = np.hypot(x, y) * SDSS.pixel_scale_arcsec / galaxy.row["isophotal_radius_arcsec"]
    light = galaxy.stamp - galaxy.row["sky"]
    return float(light[radius < 0.3].sum() / light[radius < 1.0].sum())


def test_every_stage_occurs_and_every_number_is_finite(tmp_path):
    survey = simulate_survey(tmp_path / "s", like="sdss", n=128, seed=5)
    stages = np.floor(survey.column("ttype") + 0.5)
    assert set(stages) == set(range(-5, 11))
    assert set(survey.column("ttype_class")) == set(range(10))
    for name in survey.column_names:
        values = survey.column(name)
        if values.dtype.kind in "fi" and name not in ("ra", "dec"):
            assert np.isfinite(values).all(), name
    assert survey.column("galaxy_id")[7] == "sim-sdss-5-000007"
    assert survey.meta["stretch"]["state"] == "linear"
    assert np.isfinite(survey.model_input()).all()


def test_candels_survey_has_its_own_scale(tmp_path):
    survey = simulate_survey(tmp_path / "s", like="candels", n=3)
    assert survey.stamps().shape == (3, 1, 84, 84)
    assert survey.truth().shape == (3, 1, 84, 84)
    assert survey.extra_array("psf").shape == (3, CANDELS.psf_size, CANDELS.psf_size)
    assert survey.meta["pixel_scale_arcsec"] == 0.06
    assert "magnitude_f160w" in survey.column_names


def test_what_was_begun_when_a_psf_lost_its_width_is_not_gone_on_with(tmp_path, monkeypatch):
    psf, given = tmp_path / "psf.fits", {"like": "candels", "n": 2}
    fits.writeto(psf, draw_psf(CANDELS, np.random.default_rng(0))[0])
    monkeypatch.setattr(simulation, "_blocks", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        simulate_survey(tmp_path / "s", psf_file=psf, **given)
    (state,) = tmp_path.rglob("state.json")
    about = json.loads(state.read_text())
    about["recipe"]["psf"] = sha256_of(psf)
    state.write_text(json.dumps(about))
    with pytest.raises(SurveyError, match="begun with other options"):
        simulate_survey(tmp_path / "s", psf_file=psf, **given)


def test_magnitude_is_that_of_the_light(sdss):
    lonely = [g for g in sdss if g.row["n_neighbours"] == g.row["n_stars"] == 0]
    small = [g for g in lonely if g.row["isophotal_radius_arcsec"] < 7.0]
    assert small
    for galaxy in small:
        magnitude = SDSS.zero_point - 2.5 * np.log10(galaxy.truth.sum())
        assert magnitude == pytest.approx(galaxy.row["magnitude_r"], abs=0.2)


def test_isophote_spans_the_stamp_as_stated(sdss):
    extent = 2.0 * column(sdss, "isophotal_radius_arcsec") / SDSS.width_arcsec
    assert extent.min() >= 0.3
    assert extent.max() <= 0.9


def test_neighbours_do_not_wrap():
    """Light at one edge of the canvas stays there."""
    light = np.zeros((60, 60), np.float32)
    light[1, 30] = 1.0
    psf, _ = draw_psf(SDSS, np.random.default_rng(0))
    assert np.abs(convolve(light, psf)[40:]).max() < 1e-7


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"like": "jwst"}, SettingError, "sdss, candels"),
        ({"n": 0}, SettingError, "n=0"),
        ({"seed": -1}, SettingError, "seed=-1"),
        ({"workers": 0}, SettingError, "workers=0"),
        ({"psf_file": Path("p.fits")}, SettingError, "leave the file out"),
        ({"like": "candels", "psf_file": Path("absent.fits")}, SurveyError, "absent.fits"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        simulate_survey(tmp_path / "s", **{"like": "sdss", "n": 4} | options)
    assert not list(tmp_path.iterdir())
