"""Judging: the truth itself is perfect, others are not, and targets say what was met."""

from __future__ import annotations

import numpy as np

from galaxy_explorer.deconvolution.observations import observe
from galaxy_explorer.evaluation.deconvolution import (
    LUCY,
    MEASURES,
    POSTERIOR,
    WIENER,
    judge,
    rows,
    targets,
)
from tests.deconvolution.scenes import galaxies, psfs


def figures_of(method: str, light: np.ndarray, truth: np.ndarray):
    observed = observe(truth, psfs(len(truth)), 50.0, seed=0)
    return judge(method, light, truth, observed, peak_sn=50.0, scale_arcsec=0.06)


def test_the_truth_is_judged_perfect_and_a_wrong_galaxy_is_not() -> None:
    truth = galaxies(12) * np.linspace(1, 3, 12, dtype=np.float32)[:, None, None]
    figures = {f.name: f for f in figures_of(POSTERIOR, truth + 1e-9, truth)}
    assert set(figures) == {measure.name for measure in MEASURES}
    for name in ("flux bias", "half-light radius bias", "ellipticity rms", "NMSE as Euclid VIS"):
        figure = figures[name]
        assert abs(figure.value) < 1e-2, name
        assert figure.low <= figure.value <= figure.high
        assert figure.control is not None
    assert figures["NMSE as Euclid VIS"].control > 1
    assert figures["PSNR"].value > figures["PSNR"].control + 30
    chi2 = figures["reduced chi^2, re-convolved"]
    assert abs(chi2.value - 1) < 0.05
    assert chi2.control is None


def test_targets_compare_with_the_better_classic() -> None:
    truth = galaxies(10)
    blurred = np.roll(truth, 1, 1)
    good = [*figures_of(POSTERIOR, truth * 1.001, truth), *figures_of(WIENER, blurred, truth)]
    figures = [*good, *figures_of(LUCY, np.roll(truth, 2, 1), truth)]
    met = {target.name: target.met for target in targets(figures)}
    assert all(met.values()), met
    worse = [*figures_of(POSTERIOR, np.roll(truth, 3, 1) * 1.05, truth), *figures[6:]]
    met = {target.name: target.met for target in targets(worse)}
    assert not met["PSNR over the better classic"]
    assert not met["flux bias"]
    assert len(rows(list(targets(worse)))) == 6
