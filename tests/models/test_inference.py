from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.inference import (
    decode_codes,
    encode_stamps,
    load_weights,
    orbit_mean_vectors,
    reconstruction_errors,
    save_weights,
)
from galaxy_explorer.models.vqvae import VQVAE, VQVAEConfig

CONFIG = VQVAEConfig(stamp_size=32, map_size=8, num_embeddings=20, channels=2)


@pytest.fixture
def model() -> VQVAE:
    torch.manual_seed(0)
    model = VQVAE(CONFIG).eval()
    codes = model.encoder(torch.from_numpy(stamps(20))).movedim(1, -1).reshape(-1, 64)
    model.quantizer.codebook.copy_(codes[::64].detach()[:20])  # so that many codes are used
    return model


def stamps(n: int) -> np.ndarray:
    return np.random.default_rng(3).random((n, 2, 32, 32), dtype=np.float32)


def test_batches_do_not_change_the_codes(model: VQVAE) -> None:
    together = encode_stamps(model, stamps(10))
    np.testing.assert_array_equal(together, encode_stamps(model, stamps(10), batch=1))
    assert together.dtype == np.uint16
    assert len(np.unique(together)) > 3


def test_decoding_is_the_models_reconstruction(model: VQVAE) -> None:
    x = stamps(5)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).reconstruction.numpy()
    codes = encode_stamps(model, x)
    np.testing.assert_allclose(decode_codes(model, codes, batch=2), expected, atol=1e-5)
    errors = np.square(expected - x).mean((1, 2, 3))
    np.testing.assert_allclose(reconstruction_errors(model, x, codes), errors, rtol=1e-4)


@pytest.mark.parametrize("turn", range(1, 8))
def test_orbit_means_do_not_change_when_the_stamp_is_turned(model: VQVAE, turn: int) -> None:
    x = stamps(4)
    turned = np.rot90(x, turn % 4, axes=(-2, -1))
    turned = turned[..., ::-1] if turn >= 4 else turned
    upright = orbit_mean_vectors(model, x)
    np.testing.assert_allclose(orbit_mean_vectors(model, turned), upright, atol=1e-5)
    assert not np.array_equal(encode_stamps(model, turned), encode_stamps(model, x))


def test_saved_weights_are_the_models_own_afterwards(model: VQVAE, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(model, path)
    again = load_weights(CONFIG, path)
    x = stamps(6)
    np.testing.assert_array_equal(encode_stamps(model, x), encode_stamps(again, x))
    codes = encode_stamps(model, x)
    np.testing.assert_allclose(decode_codes(model, codes), decode_codes(again, codes), atol=1e-5)


def test_weights_of_another_model_and_nan_are_refused(model: VQVAE, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(model, path)
    other = VQVAEConfig(stamp_size=32, map_size=8, num_embeddings=21, channels=2)
    with pytest.raises(BundleError, match="not those of k21"):
        load_weights(other, path)
    tensors = load_file(path)
    scale = tensors["decoder.conv.weight.scale"]
    for wrong in (scale[:-1], scale[:, None]):
        save_file({**tensors, "decoder.conv.weight.scale": wrong.clone()}, path)
        with pytest.raises(KeyError, match=r"decoder\.conv\.weight"):
            load_weights(CONFIG, path)
    tensors["quantizer.codebook"][0, 0] = float("nan")
    save_file(tensors, path)
    with pytest.raises(BundleError, match="not finite"):
        load_weights(CONFIG, path)
