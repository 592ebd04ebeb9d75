"""The features by which a bundle's clusterings know a galaxy, made for new galaxies alike."""

from __future__ import annotations

import numpy as np

from galaxy_explorer.clustering.feature_kinds import code_vectors, ring_vectors
from galaxy_explorer.clustering.features import FeatureMap, index_features


def serve_features(
    kind: str, codes: np.ndarray, codebook: np.ndarray | None, feature_map: FeatureMap | None
) -> np.ndarray:
    """Features (n, P) of galaxies by what they are encoded to, (n, O, ...) in O orientations.

    kinds "codes" and "rings" average over all orientations, which must be the eight of the stamp,
    and need the codebook (K, D); "index" and "latents" look at the first.
    """
    first = codes[:, 0]
    if feature_map is None:
        return index_features(first)
    if kind == "latents" or codebook is None:
        return feature_map.apply(first.astype(np.float32))
    if kind == "rings":
        return feature_map.apply(ring_vectors(codes, codebook))
    return feature_map.apply(code_vectors(codes, codebook))
