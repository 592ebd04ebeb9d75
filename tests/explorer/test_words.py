"""Models and clusterings in words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from galaxy_explorer.explorer.wording import format_clustering, format_model
from galaxy_explorer.models.convae import ConvAEConfig
from galaxy_explorer.models.vqvae import VQVAEConfig
from galaxy_explorer.models.vqvae2 import VQVAE2Config


@pytest.mark.parametrize(
    ("config", "words", "clustering"),
    [
        (
            VQVAEConfig(num_embeddings=16, map_size=8),
            "16 codes, modern, 8×8 map",
            "16 codes, modern",
        ),
        (
            VQVAE2Config(),
            "512 codes, hierarchical, maps of 8×8 and 16×16",
            "512 codes, hierarchical",
        ),
        (ConvAEConfig("conv"), "ConvAE without dense layers", "ConvAE without dense layers"),
    ],
)
def test_a_model_is_named_by_what_it_is(config, words, clustering) -> None:
    assert format_model(config.name, config.to_dict()) == words
    one = SimpleNamespace(model=config.name, features="codes", steering=None)
    assert format_clustering(one, config.to_dict()).startswith(f"{clustering}, ")


def test_an_unusual_model_keeps_its_key() -> None:
    assert format_model("mine", {"depth": 3}) == "mine"
