"""What the Vocabulary page shows of a codebook, computed once a process for each model."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import colorcet
import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.clustering.codebook_use import (
    CodeUse,
    code_use,
    constant_maps,
    sample_rows,
    similarity_order,
    surroundings,
)
from galaxy_explorer.models.registry import AUTOENCODERS

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.pictures.stamps import StampStore

KEPT = 16
"""Codebooks kept ready: pictures of 512 codes are 1 MB (surroundings) or 8 MB (decoded).

In colour three times as much.
"""
DRAWN = {"Where it occurs": "surroundings", "Decoded, alone": "constant"}


def coded_models(bundle: Bundle) -> list[str]:
    """Models that have a codebook and one code map a galaxy."""
    return [name for name, model in bundle.models.items() if AUTOENCODERS[model.kind].has_codebook]


@dataclass(frozen=True, eq=False)
class Codebook:
    """A codebook in use: vectors (K, D), an order in which neighbours are alike, and colours.

    colours: #rrggbb of each code along that order, so that similar codes look similar.
    """

    vectors: NDArray[np.float32]
    use: CodeUse
    similar: NDArray[np.int64]
    colours: list[str]


def codebook_of(bundle: Bundle, model: str) -> Codebook:
    """The codebook of a model and its use in the whole bundle; loads the model, a second or two."""
    with _LOCK:  # three drawings ask at once: one computes, the others take what it made
        return _codebook(bundle, model)


_LOCK = threading.Lock()


@lru_cache(KEPT)
def _codebook(bundle: Bundle, model: str) -> Codebook:
    autoencoder: Any = bundle.load_model(model)
    vectors = np.asarray(autoencoder.codebooks[0].cpu().numpy(), np.float32)
    classes = np.asarray(bundle.column("ttype_class"), np.int64)
    use = code_use(bundle.codes(model), len(vectors), bundle.column("ttype"), classes)
    similar = similarity_order(vectors)
    ramp = np.array(colorcet.rainbow)
    colours = np.empty(len(vectors), ramp.dtype)
    colours[similar] = ramp[np.linspace(0, len(ramp) - 1, len(vectors)).astype(np.int64)]
    return Codebook(vectors, use, similar, colours.tolist())


@lru_cache(KEPT)
def code_pictures(stamps: StampStore, model: str, drawn: str, pictures: str) -> NDArray[np.float32]:
    """Pictures (K, P, P[, 3]) of the codes of a model in stretched units. May wait for stamps.

    drawn: "surroundings", the mean of the stamps around each place that holds the code, or
    "constant", the decoder's answer to a map of that code alone.
    """
    bundle = stamps.bundle
    config = bundle.models[model].config
    count = int(config["num_embeddings"])
    if drawn == "constant":
        return stamps.draw(model, constant_maps(count, int(config["map_size"])))
    codes = bundle.codes(model)
    rows = sample_rows(codes, count)
    return surroundings(codes[rows], stamps.get(rows, pictures), count)
