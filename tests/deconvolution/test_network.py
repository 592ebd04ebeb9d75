"""The network's light, and what the data make of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxy_explorer.deconvolution.classics import psnr, reduced_chi2
from galaxy_explorer.deconvolution.network import (
    FLOOR,
    SHARE,
    BlurOperator,
    ReconstructionError,
    conjugate_gradients,
    deconvolve,
    filtered,
    fitted_sky,
    local_size,
    measure_prior_error,
    network_light,
    positive,
    posterior_light,
    unbounded,
)
from galaxy_explorer.deconvolution.observations import (
    ObservedStamps,
    blur,
    observe,
    stamps_observed,
)
from galaxy_explorer.models.psf import RINGS, central
from tests.deconvolution.scenes import SIZE, galaxies, network, psfs

LEVELS = np.log([20.0, 50.0, 200.0])


def with_error(power: float, gain: float = 1.0):
    """An untrained network that says its error has this power at every frequency."""
    model = network()
    shape = (3, RINGS)
    ReconstructionError(LEVELS, np.full(shape, gain), np.full(shape, np.log(power))).store(model)
    return model


def test_the_way_back_through_the_telescope_is_the_transpose() -> None:
    generator = torch.Generator().manual_seed(0)
    canvas = torch.rand(3, 30, 30, dtype=torch.float64, generator=generator)
    stamp = torch.rand(3, 22, 22, dtype=torch.float64, generator=generator)
    psf = torch.rand(3, 9, 8, dtype=torch.float64, generator=generator)
    telescope = BlurOperator(canvas, psf, 22)
    there = (telescope.forward(canvas) * stamp).sum((1, 2))
    back = (canvas * telescope.back(stamp)).sum((1, 2))
    torch.testing.assert_close(there, back)


def test_conjugate_gradients_solve_each_image_of_a_batch() -> None:
    generator = torch.Generator().manual_seed(1)
    half = torch.rand(2, 16, 16, dtype=torch.float64, generator=generator)
    matrices = half @ half.mT + torch.eye(16, dtype=torch.float64)
    right = torch.rand(2, 16, 1, dtype=torch.float64, generator=generator)
    solved = conjugate_gradients(lambda x: matrices @ x, right)
    torch.testing.assert_close(matrices @ solved, right, atol=2e-3, rtol=0)


def test_without_error_of_the_prior_its_light_stays_whatever_the_data_say() -> None:
    observed = observe(galaxies(2), psfs(2), 100.0, seed=0)
    made = deconvolve(with_error(1e-9), observed)
    assert made.light == pytest.approx(made.network, abs=1e-3 * float(made.network.max()))


def test_data_correct_a_network_that_knows_nothing() -> None:
    truth = galaxies(4)
    observed = observe(truth, psfs(4), 100.0, seed=0)
    made = deconvolve(with_error(1e2), observed)
    before = reduced_chi2(observed.pixels - made.network_blurred, observed.sigma)
    after = reduced_chi2(observed.pixels - made.blurred, observed.sigma)
    assert (after < 2).all()
    assert (before > 10).all()
    clean = blur(truth, observed.psf)
    assert (psnr(made.blurred, clean) > psnr(made.network_blurred, clean) + 10).all()
    within = slice(10, -10)  # the canvas beyond the stamp holds light too
    again = blur(made.light, observed.psf)[:, within, within]
    assert np.abs(made.blurred[:, within, within] - again).max() < 0.05 * made.blurred.max()


def test_a_galaxy_alone_is_deconvolved_as_in_company() -> None:
    observed = observe(galaxies(3), psfs(3), 100.0, seed=0)
    model = with_error(1.0)
    together, alone = deconvolve(model, observed), deconvolve(model, observed.part(slice(1, 2)))
    assert alone.codes[0].tolist() == together.codes[1].tolist()
    assert alone.light[0] == pytest.approx(
        together.light[1], abs=1e-3 * float(together.light[1].max())
    )


def test_a_free_sky_makes_no_difference_to_the_light() -> None:
    plain = observe(galaxies(2), psfs(2), 100.0, seed=0)
    model, level = with_error(1.0), 0.3 * plain.sky_sigma[:, None, None]
    arrays = (plain.sigma, plain.sky_sigma, plain.psf)
    dark, bright = (ObservedStamps(plain.pixels + extra, *arrays) for extra in (0, level))
    one, other = deconvolve(model, dark), deconvolve(model, bright)
    same = one.codes == other.codes  # the encoder may see the sky, the likelihood does not
    assert same.mean() > 0.3
    assert np.abs(other.blurred - one.blurred - level).max() < 2 * float(level.max())


def test_the_fitted_sky_is_the_weighted_mean() -> None:
    residual, precision = torch.rand(2, 5, 5), torch.rand(2, 5, 5)
    expected = (residual * precision).sum((1, 2)) / precision.sum((1, 2))
    torch.testing.assert_close(fitted_sky(residual, precision, free=True)[:, 0, 0], expected)
    assert not fitted_sky(residual, precision, free=False).any()


def test_the_error_of_the_prior_is_found_again() -> None:
    """Truth made of the network's own light plus a white field of known power."""
    model = network()
    observed = observe(galaxies(24), psfs(24), 100.0, seed=0)
    light = network_light(model, observed)
    size = local_size(light)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.2, light.shape)).float()
    truth = central(light + size * noise, 84).numpy() * observed.sky_sigma[:, None, None]
    found = measure_prior_error(model, [(100.0, observed, truth)] * 3)
    middle = slice(4, RINGS - 4)
    assert np.exp(found.log_power[:, middle]) == pytest.approx(0.04, rel=0.25)


def test_what_a_model_carries_comes_back() -> None:
    model = network()
    rng = np.random.default_rng(0)
    error = ReconstructionError(LEVELS, rng.random((3, RINGS)), rng.normal(size=(3, RINGS)))
    error.store(model)
    found = ReconstructionError.of(model)
    for name in ("levels", "gain", "log_power"):
        assert getattr(found, name) == pytest.approx(getattr(error, name), rel=1e-6)
    power = found.powers(np.array([20.0, 200.0], np.float32), (48, 48))
    assert power.shape == (2, 48, 25)
    assert float(power[0, 0, 0]) == pytest.approx(np.exp(error.log_power[0, 0]), rel=1e-4)


def test_a_filter_of_ones_changes_nothing() -> None:
    field = torch.rand(2, 20, 20)
    torch.testing.assert_close(filtered(field, torch.ones(2, 32, 17), (32, 32)), field)


@pytest.mark.parametrize("power", [1e-9, 1.0, 1e2])
def test_light_of_a_galaxy_is_above_zero_whatever_the_data_say(power: float) -> None:
    """A hole in the middle of the core, deeper than the core is high."""
    network = torch.from_numpy(np.pad(1e4 * galaxies(2), ((0, 0), (8, 8), (8, 8))))
    telescope = BlurOperator(network, torch.from_numpy(psfs(2)), SIZE)
    pixels = telescope.forward(network)
    pixels[:, 40:44, 40:44] = -pixels.max()
    shape = (3, RINGS)
    error = ReconstructionError(LEVELS, np.ones(shape), np.full(shape, np.log(power)))
    found = posterior_light(error, network, telescope, pixels, torch.ones_like(pixels), free=False)
    galaxy = local_size(network) > FLOOR + SHARE
    assert bool(galaxy[:, 48:52, 48:52].all())
    assert bool((found[galaxy] > 0).all())
    assert bool((found > -2).all())


def test_positive_light_bends_and_comes_back() -> None:
    eta, floor = torch.linspace(-3, 50, 200, dtype=torch.float64), torch.tensor(0.3)
    light = positive(eta, floor)
    assert bool((light > 0).all())
    torch.testing.assert_close(unbounded(light, floor), eta, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(light[eta > 5], eta[eta > 5], rtol=0, atol=0.3**2 / 10)


@pytest.mark.parametrize("filling", [0.0, -1e6, np.nan, 3e4])
def test_what_pixels_without_data_hold_changes_nothing(filling: float) -> None:
    stamps, valid = 1000 * galaxies(2), np.ones((2, SIZE, SIZE), bool)
    valid[:, :, :25] = False
    valid[:, 40:44, 50:52] = False
    sky, sigma = np.zeros(2), np.array([0.5, 0.5])
    model, made = with_error(1.0), []
    for inside in (7.0, filling):
        seen = np.where(valid, stamps, np.float32(inside))
        observed = stamps_observed(seen, sky, sigma, psfs(2), np.full(2, 50.0), valid=valid)
        made.append((observed.pixels, deconvolve(model, observed).light))
    np.testing.assert_array_equal(*(pixels for pixels, _ in made))
    np.testing.assert_allclose(*(light for _, light in made), rtol=1e-4, atol=1e-4)


def test_photons_of_the_light_add_to_the_noise() -> None:
    stamps = 1000 * galaxies(2)
    sky, sigma = np.zeros(2), np.array([0.5, 0.5])
    quiet = stamps_observed(stamps, sky, sigma, psfs(2))
    bright = stamps_observed(stamps, sky, sigma, psfs(2), np.array([2.0, 2.0]))
    assert quiet.sigma == pytest.approx(0.5)
    assert (bright.sigma[:, 42, 42] ** 2 > 0.25 + 0.3 * stamps[:, 42, 42] / 2).all()
    assert bright.sigma[:, 0, 0] == pytest.approx(0.5, rel=1e-3)
