"""What a telescope makes of light: convolution with its PSF, the right way round."""

from __future__ import annotations

import numpy as np
from scipy.signal import convolve2d

from galaxy_explorer.deconvolution.observations import blur


def test_blur_is_convolution_with_a_psf_that_is_not_round() -> None:
    rng = np.random.default_rng(0)
    light = rng.gamma(1, 1, (2, 24, 24)).astype(np.float32)
    psf = rng.gamma(0.3, 1, (2, 7, 7)).astype(np.float32)
    psf /= psf.sum((1, 2), keepdims=True)
    pairs = zip(light, psf, strict=True)
    expected = np.array([convolve2d(one, kernel, mode="same") for one, kernel in pairs])
    inner = (slice(None), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(blur(light, psf)[inner], expected[inner], rtol=1e-4)
    turned = blur(light, psf[:, ::-1])
    assert np.abs(turned - expected)[inner].max() > 0.1
