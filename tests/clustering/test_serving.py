from __future__ import annotations

import numpy as np
import pytest

from galaxy_explorer.clustering.features import (
    code_vectors,
    fit_vectors,
    ring_vectors,
    serve_features,
)

RNG = np.random.default_rng(0)
CODEBOOK = RNG.normal(size=(16, 4)).astype(np.float32)
MAPS = RNG.integers(16, size=(30, 8, 4, 4))
VECTORS = {"codes": code_vectors, "rings": ring_vectors}


@pytest.mark.parametrize("kind", ["codes", "rings"])
def test_new_galaxies_are_served_the_features_that_were_fitted(kind):
    vectors = VECTORS[kind](MAPS, CODEBOOK)
    fitted = fit_vectors(vectors, np.arange(20), n=5, standardise=False)
    served = serve_features(kind, MAPS, CODEBOOK, fitted)
    np.testing.assert_allclose(served, fitted.apply(vectors), atol=1e-6)
    others = np.roll(MAPS, 3, axis=1)  # the same orientations in another order
    np.testing.assert_allclose(serve_features(kind, others, CODEBOOK, fitted), served, atol=1e-5)


def test_index_and_latents_look_at_the_stamp_as_it_is():
    np.testing.assert_array_equal(
        serve_features("index", MAPS, None, None), MAPS[:, 0].reshape(30, -1)
    )
    latents = RNG.normal(size=(30, 8, 6)).astype(np.float32)
    fitted = fit_vectors(latents[:, 0], np.arange(20), n=3)
    served = serve_features("latents", latents, None, fitted)
    np.testing.assert_allclose(served, fitted.apply(latents[:, 0]))
