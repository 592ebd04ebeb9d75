from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaincinv

from galaxy_explorer.emulation.morphology import sersic_index

Y, X = np.indices((64, 64)) - 31.3


def sersic(n: float, q: float, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A galaxy of half-light radius 8 px at an angle, 1 at that radius, and its pixels."""
    x, y = (X + Y) / np.sqrt(2), (X - Y) / np.sqrt(2) / q
    light = np.exp(-gammaincinv(2 * n, 0.5) * ((np.hypot(x, y) / 8) ** (1 / n) - 1))
    noisy = light + np.random.default_rng(0).normal(0, noise, light.shape)
    return noisy, light > 0.1


@pytest.mark.parametrize("n", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("q", [1.0, 0.5])
def test_the_index_is_found(n, q):
    assert sersic_index(*sersic(n, q)) == pytest.approx(n, rel=0.1)
    assert sersic_index(*sersic(n, q, noise=0.05)) == pytest.approx(n, rel=0.2)


def test_a_neighbour_is_left_out():
    light, member = sersic(1.0, 1.0)
    neighbour = np.hypot(X - 22, Y) < 5
    lit = light + 5 * neighbour
    assert sersic_index(lit, member, neighbour) == pytest.approx(1.0, rel=0.1)
    assert sersic_index(lit, member) > 1.5


def test_without_light_it_is_not_a_number():
    assert np.isnan(sersic_index(np.zeros((64, 64)), np.ones((64, 64), bool)))
