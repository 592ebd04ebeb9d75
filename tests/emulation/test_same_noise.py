"""Samples of one noise differ in what was asked for alone."""

from __future__ import annotations

import numpy as np

from galaxy_explorer.bundle.bundle import load_bundle
from galaxy_explorer.emulation.emulator import Emulator, Request
from tests.small_bundle import write_small_bundle


def test_same_noise_and_condition_are_the_same_galaxy(tmp_path) -> None:
    emulator = Emulator.open(load_bundle(write_small_bundle(tmp_path / "small")))
    alike = emulator.codes(Request(3, 5, {"ttype": (4.0, 4.0, -2.0)}, first=2, same_noise=True))
    alone = emulator.codes(Request(1, 5, {"ttype": 4.0}, first=2))
    np.testing.assert_array_equal(alike[:2], np.repeat(alone, 2, axis=0))
    different = emulator.codes(Request(2, 5, {"ttype": 4.0}, first=2))
    assert (different[0] != different[1]).any()
