"""Laws of the PSF layer: eq. 10, each image with its own PSF."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

from galaxy_explorer.models.psf import PSFConvolution, central

SIZES = [(21, 21), (20, 20), (20, 21), (61, 61)]


def gaussian(shape: tuple[int, int], fwhm: float, centre: tuple[float, float]) -> np.ndarray:
    y, x = np.indices(shape)
    radius2 = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    return np.exp(-4 * np.log(2) * radius2 / fwhm**2)


def psf_of(shape: tuple[int, int], fwhm: float = 3.1) -> np.ndarray:
    return gaussian(shape, fwhm, (shape[0] // 2, shape[1] // 2))


def blur(image: np.ndarray, psf: np.ndarray, **options: int) -> np.ndarray:
    layer = PSFConvolution(**options)
    blurred = layer(torch.from_numpy(image)[None, None], torch.from_numpy(psf)[None])
    return blurred[0, 0].numpy()


def centroid(image: np.ndarray) -> np.ndarray:
    grids = np.indices(image.shape)
    return np.array([(grid * image).sum() / image.sum() for grid in grids])


@pytest.mark.parametrize("shape", SIZES)
def test_it_is_the_convolution_of_scipy(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image, psf = rng.random((84, 84)), rng.random(shape)
    full = fftconvolve(image, psf / psf.sum(), mode="full")
    top, left = shape[0] // 2, shape[1] // 2
    expected = full[top : top + 84, left : left + 84]
    assert np.abs(blur(image, psf) - expected).max() < 1e-12
    single = blur(image.astype(np.float32), psf.astype(np.float32))
    assert np.abs(single - expected).max() < 1e-5


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("size", [63, 64])
def test_a_galaxy_stays_where_it_is_and_keeps_its_flux(shape: tuple[int, int], size: int) -> None:
    galaxy = gaussian((size, size), 5.0, (30.3, 31.8)).astype(np.float32)
    blurred = blur(galaxy, psf_of(shape).astype(np.float32) * 17)
    assert np.abs(centroid(blurred) - centroid(galaxy)).max() < 0.01
    assert blurred.sum() == pytest.approx(galaxy.sum(), rel=1e-4)


def test_swapping_two_psfs_changes_these_two_images_only() -> None:
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.random((5, 1, 32, 32)))
    psfs = torch.from_numpy(rng.random((5, 11, 11)))
    swapped = psfs[[0, 3, 2, 1, 4]]
    before, after = (PSFConvolution()(images, psf) for psf in (psfs, swapped))
    changed = (before - after).abs().amax((1, 2, 3)) > 1e-6
    assert changed.tolist() == [False, True, False, True, False]


def test_each_image_of_a_batch_is_blurred_as_if_alone() -> None:
    rng = np.random.default_rng(2)
    images, psfs = (
        torch.from_numpy(rng.random((4, 2, 30, 30))),
        torch.from_numpy(rng.random((4, 9, 9))),
    )
    together = PSFConvolution()(images, psfs)
    alone = [PSFConvolution()(images[i : i + 1], psfs[i : i + 1])[0] for i in range(4)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_gradients_of_image_and_psf() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 1, 8, 8, dtype=torch.float64, generator=generator, requires_grad=True)
    psf = torch.rand(2, 5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(PSFConvolution(6), (image, psf))


def test_light_from_outside_the_stamp_enters() -> None:
    canvas = np.zeros((48, 48))
    canvas[24, 5] = 1.0  # three pixels left of a stamp of 32
    stamp = blur(canvas, psf_of((21, 21), 6.0), output_size=32)
    assert stamp.shape == (32, 32)
    assert stamp[16, 0] > 10 * stamp[16, 5] > 1e-6  # within the PSF's reach, no rounding


def test_nothing_wraps_round_the_edge() -> None:
    canvas = np.zeros((40, 40))
    canvas[0, 20] = 1.0
    assert np.abs(blur(canvas, psf_of((21, 21)))[20:]).max() < 1e-12


def test_it_refuses_psfs_and_canvases_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="as many PSFs"):
        PSFConvolution()(torch.zeros(3, 1, 8, 8), torch.ones(2, 5, 5))
    with pytest.raises(ValueError, match="holds no stamp"):
        central(torch.zeros(1, 1, 8, 8), 9)
