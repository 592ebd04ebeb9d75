"""Wiener and Richardson-Lucy sharpen, keep flux, and are tuned to what is best."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.deconvolution.classics import RichardsonLucy, Wiener, facts, flux, psnr, tuned
from galaxy_explorer.deconvolution.observations import observe
from tests.deconvolution.scenes import galaxies, psfs

METHODS = [Wiener(1e-2, positive=False), RichardsonLucy(20, 3.0)]


@pytest.mark.parametrize("method", METHODS, ids=["wiener", "lucy"])
def test_they_come_nearer_to_the_truth_than_the_image_and_keep_its_flux(method) -> None:
    truth = galaxies(4)
    observed = observe(truth, psfs(4), 200.0, seed=0)
    light = method(observed)
    assert (psnr(light, truth) > psnr(observed.pixels, truth) + 1).all()
    assert flux(light) == pytest.approx(flux(truth), rel=0.03)


def test_tuning_takes_the_setting_with_the_highest_psnr() -> None:
    truth = galaxies(3)
    observed = observe(truth, psfs(3), 50.0, seed=0)
    settings = [Wiener(balance, positive=False) for balance in (1e-6, 1e-2, 1e2)]
    best = tuned(iter(settings), observed, truth)
    scores = [psnr(setting(observed), truth).mean() for setting in settings]
    assert best == settings[int(np.argmax(scores))]
    assert facts(best) == {"balance": best.balance, "positive": False}
