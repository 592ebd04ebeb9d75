from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.survey.photometry import bands_of, colour_figures, colour_index, slope_kept


def galaxies(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stamps (n, 3, 8, 8) in i, r, g that get bluer with T; three in ten without a type."""
    rng = np.random.default_rng(seed)
    ttype = rng.uniform(-5, 9, n)
    light = rng.uniform(0.2, 1, (n, 1, 8, 8))
    blue = (1 + 0.03 * ttype + rng.normal(0, 0.05, n))[:, None, None, None]
    stamps = np.concatenate([light, light, light * blue], axis=1)
    return stamps.astype(np.float32), np.where(rng.random(n) < 0.3, np.nan, ttype)


def test_colour_by_hand() -> None:
    stamps = np.ones((1, 2, 4, 4))
    stamps[0, 1] = 0.1
    assert colour_index(stamps, blue=1, red=0) == pytest.approx(2.5)
    assert colour_index(7 * stamps, blue=1, red=0) == pytest.approx(2.5)
    assert np.isfinite(colour_index(0 * stamps, blue=1, red=0)).all()


def test_a_perfect_reconstruction_keeps_the_slope_and_another_galaxys_does_not() -> None:
    stamps, ttype = galaxies()
    real = colour_index(stamps, 2, 1)
    kept = slope_kept(real, real, ttype)
    assert kept["kept"] == kept["kept_low"] == kept["kept_high"] == pytest.approx(1)
    assert kept["slope_real"] < 0
    assert abs(kept["kept_control"]) < 0.2
    assert kept["n"] == int((~np.isnan(ttype)).sum())


def test_a_greyed_reconstruction_keeps_the_share_it_should() -> None:
    stamps, ttype = galaxies()
    real = colour_index(stamps, 2, 1)
    noise = np.random.default_rng(1).normal(0, 0.02, len(real))
    kept = slope_kept(real, 0.6 * real + noise, ttype)
    assert kept["kept_low"] < 0.6 < kept["kept_high"]
    assert kept["kept_high"] - kept["kept_low"] < 0.2


def test_errors_are_told_band_by_band() -> None:
    stamps, ttype = galaxies()
    drawn = stamps.copy()
    drawn[:, 2] += 0.1
    variance = np.array([0.1, 0.1, 0.05])
    figures = colour_figures(stamps, drawn, ttype, bands_of("i, r, g"), variance)
    assert figures["nmse_i"] == figures["nmse_r"] == 0
    assert figures["nmse_g"] == pytest.approx(0.01 / 0.05, rel=1e-5)
    assert figures["g_r_slope_real"] < 0
    unnamed = colour_figures(stamps, drawn, ttype, ["0", "1", "2"], variance)
    assert set(unnamed) == {"nmse_0", "nmse_1", "nmse_2"}
