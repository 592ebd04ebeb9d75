from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from galaxy_explorer.emulation.likeness import left_out_noise
from tests.survey.test_photometry import ellipse

SIGMA = np.linspace(0.01, 0.03, 40)


def correlated(rng: np.random.Generator, sigma: float) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.standard_normal((64, 64)), 0.8, mode="wrap")
    return sigma * noise / noise.std()


def neighbours(noise: np.ndarray) -> float:
    return float(np.mean(noise[..., 1:] * noise[..., :-1]) / noise.var())


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    """The noise of 40 stamps, and the galaxy, which is what a decoder draws of them."""
    rng = np.random.default_rng(0)
    galaxy = ellipse(scale=4, seed=None)
    return np.stack([correlated(rng, s) for s in SIGMA])[:, None], galaxy


def test_the_noise_that_is_put_back_is_the_one_left_out(parts):
    noise, galaxy = parts
    drawn = np.broadcast_to(galaxy, noise.shape).astype(np.float32)
    found = left_out_noise((noise + galaxy).astype(np.float32), drawn)
    np.testing.assert_allclose(found.sigma, SIGMA, rtol=0.1)
    numbers = np.arange(len(SIGMA))
    again = found.draw(found.sigma, numbers)
    assert again.std() == pytest.approx(noise.std(), rel=0.05)
    assert neighbours(again) == pytest.approx(neighbours(noise), abs=0.08)
    np.testing.assert_array_equal(again[5:9], found.draw(found.sigma[5:9], numbers[5:9]))
    assert np.abs(again - found.draw(found.sigma, numbers, kind=1)).max() > 0.01


def test_where_nothing_is_left_out_nothing_is_put_back(parts):
    _, galaxy = parts
    stamps = np.broadcast_to(galaxy, (3, 1, 64, 64)).astype(np.float32)
    found = left_out_noise(stamps, stamps)
    assert np.abs(found.draw(found.sigma, np.arange(3))).max() < 1e-4
