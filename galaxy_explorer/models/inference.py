"""Trained models at work on numpy arrays, batch by batch, into preallocated results.

Weights are stored with kernels and matrices in eight bits, the rest in half precision. A kernel in
eight bits has one scale for each of its rows (output features; input features of a transposed
convolution), so that the row's largest weight is 127: weight = scale * integer. On the validation
galaxies this raised the error of the VQ-VAEs by 0.02 to 0.5 %, for half the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.conditions import Condition
from galaxy_explorer.models.protocols import (
    Autoencoder,
    AutoencoderConfig,
    Prior,
    PriorConfig,
    StampRows,
)
from galaxy_explorer.models.registry import AUTOENCODERS, PRIORS
from galaxy_explorer.models.training import has_bfloat16
from galaxy_explorer.utils.files import atomic_path


def config_from(kind: str, values: Mapping[str, Any]) -> AutoencoderConfig:
    """The config of a manifest entry; raises KeyError, TypeError or ValueError."""
    return AUTOENCODERS[kind].config_of(values)


def build_model(config: AutoencoderConfig) -> Autoencoder:
    """An untrained model of a config."""
    return AUTOENCODERS[config.kind].build(config)


def prior_config(kind: str, values: Mapping[str, Any]) -> PriorConfig:
    """The config of a manifest entry; raises KeyError, TypeError or ValueError."""
    return PRIORS[kind].config_of(values)


def build_prior(config: PriorConfig, seed: int | None = None) -> Prior:
    """An untrained prior of a config; seed: of its weights, None: whatever torch has."""
    if seed is not None:
        torch.manual_seed(seed)
    return PRIORS[config.kind].build(config)


KERNEL, SCALE = ".weight", ".scale"
LARGEST = 127.0


def rounded(model: Autoencoder | Prior) -> dict[str, Tensor]:
    """The tensors to store of a model; all in half precision if its config is not `eight_bit`."""
    stored: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        weight = value.detach().cpu().float().contiguous()
        if model.config.eight_bit and name.endswith(KERNEL) and weight.ndim > 1:
            stored |= _eight_bit(name, weight)
        else:
            stored[name] = weight.half()
    return stored


def _eight_bit(name: str, weight: Tensor) -> dict[str, Tensor]:
    rows = weight.flatten(1)
    scale = (rows.abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
    integers = (rows / scale[:, None]).round().to(torch.int8)
    return {name: integers.reshape(weight.shape), name + SCALE: scale}


def restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, float32, of what `rounded` returns; an integer matrix needs its scale.

    Raises KeyError where a scale is missing or does not fit.
    """
    state = {}
    for name, value in stored.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in stored:
            continue
        state[name] = value.float() if value.dtype != torch.int8 else _scaled(name, stored)
    return state


def _scaled(name: str, stored: Mapping[str, Tensor]) -> Tensor:
    integers, scale = stored[name], stored.get(name + SCALE)
    if scale is None or scale.shape != integers.shape[:1]:
        raise KeyError(f"{name}: no scale for each of its rows")
    return integers.float() * scale.float().reshape(-1, *[1] * (integers.ndim - 1))


BATCH = 256
Stamps = NDArray[np.float32]
Codes = NDArray[Any]  # code maps (N, h, w) uint16, or what else the kind of model encodes to


def _device(model: Autoencoder) -> torch.device:
    return next(model.parameters()).device


def _stamps_tensor(model: Autoencoder, stamps: Stamps) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(stamps, dtype=np.float32))
    return tensor.to(_device(model), memory_format=torch.channels_last)


@torch.inference_mode()
def encode_stamps(model: Autoencoder, stamps: StampRows, *, batch: int = BATCH) -> Codes:
    """What stretched stamps (N, C, S, S) are encoded to.

    Code maps (N, h, w) uint16, both code maps row by row (N, F) uint16 of a hierarchical model,
    latents (N, D) float16 of a model without a codebook.
    """
    config = model.config
    codes = np.empty((len(stamps), *config.code_shape), config.code_dtype)
    for start in range(0, len(stamps), batch):
        part = slice(start, start + batch)
        codes[part] = model.encode(_stamps_tensor(model, stamps[part])).cpu().numpy()
    return codes


@torch.inference_mode()
def decode_codes(model: Autoencoder, codes: Codes, *, batch: int = BATCH) -> Stamps:
    """Stamps (N, C, S, S) float32 drawn by the decoder from what `encode_stamps` returns."""
    size, channels = model.config.stamp_size, model.config.channels
    number = np.float32 if model.config.code_dtype == "float16" else np.int64
    stamps = np.empty((len(codes), channels, size, size), np.float32)
    for start in range(0, len(codes), batch):
        part = slice(start, start + batch)
        encoded = torch.from_numpy(codes[part].astype(number)).to(_device(model))
        stamps[part] = model.decode(encoded).float().cpu().numpy()
    return stamps


@torch.inference_mode()
def prior_log_prob(
    prior: Prior, codes: Codes, condition: Condition, *, batch: int = BATCH, quick: bool = False
) -> NDArray[np.float64]:
    """Log-likelihood (N,) of code maps (N, h, w) or latents (N, D), in nats a galaxy.

    quick: of a network in bfloat16, where the processor multiplies so: to compare galaxies by.
    """
    found = np.empty(len(codes))
    device = next(prior.parameters()).device
    values, states = (torch.from_numpy(part).to(device) for part in condition)
    for start in range(0, len(codes), batch):
        part = slice(start, start + batch)
        maps = torch.from_numpy(codes[part].astype(prior.config.reads)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=quick and has_bfloat16()):
            shares = prior.log_prob(maps, values[part], states[part])
        found[part] = shares.double().cpu().numpy()
    return found


@torch.inference_mode()
def code_features(model: Autoencoder, codes: Codes) -> NDArray[np.float32]:
    """Numbers (N, V) in which like galaxies are near: code vectors of all levels, or latents."""
    number = np.float32 if model.config.code_dtype == "float16" else np.int64
    found = model.features(torch.from_numpy(codes.astype(number)).to(_device(model)))
    return np.asarray(found.cpu().numpy(), np.float32)


def reconstruction_errors(model: Autoencoder, stamps: Stamps, codes: Codes) -> NDArray[np.float32]:
    """Mean squared error (N,) of the reconstruction of each stamp, in stretched units."""
    errors = np.empty(len(stamps), np.float32)
    for start in range(0, len(stamps), BATCH):
        part = slice(start, start + BATCH)
        drawn = decode_codes(model, codes[part])
        errors[part] = np.square(drawn - stamps[part]).mean(axis=(1, 2, 3))
    return errors


def d4(stamp: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """One of the eight orientations of a stamp (..., S, S): four rotations, each also mirrored."""
    turned = np.rot90(stamp, turn % 4, axes=(-2, -1))
    return turned[..., ::-1] if turn >= 4 else turned


def encode_orbit(model: Autoencoder, stamps: Stamps) -> Codes:
    """What stamps (N, C, S, S) are encoded to in each of their eight orientations, (N, 8, ...)."""
    turns = [encode_stamps(model, d4(stamps, turn)) for turn in range(8)]
    return np.stack(turns, axis=1)


def orbit_mean_vectors(model: Autoencoder, stamps: Stamps) -> NDArray[np.float32]:
    """Code vectors averaged over the eight orientations of each stamp, (N, D h w).

    The mean runs over the orbit of the stamp under D4, so a stamp turned by 90 degrees or
    mirrored has the same features, up to rounding. Raises TypeError for a model without one map of
    codes.
    """
    if len(model.codebooks) != 1:
        raise TypeError(f"{model.config.name} has no map of code vectors")
    codebook = model.codebooks[0].cpu().numpy()  # (K, D)
    width = codebook.shape[1] * sum(model.config.code_counts)
    vectors = np.zeros((len(stamps), width), np.float32)
    for turn in range(8):
        codes = encode_stamps(model, d4(stamps, turn))
        for start in range(0, len(stamps), BATCH):
            part = slice(start, start + BATCH)
            vectors[part] += codebook[codes[part]].reshape(len(codes[part]), -1) / 8
    return vectors


def save_weights(model: Autoencoder | Prior, path: Path) -> None:
    """Write the weights rounded and round the model's own to match.

    What is measured afterwards is therefore measured on the weights that ship (see `rounded`).
    """
    stored = rounded(model)
    serving = {
        k: v for k, v in stored.items() if not k.endswith(NOT_STORED) and not k.startswith(TRAINED)
    }
    with atomic_path(path) as temporary:
        save_file(serving, temporary)
    model.load_state_dict(restored(stored))


TRAINED = "trained."  # weights in training, of a prior that draws with their average
# What only training needs, and what a flow makes anew from its config.
NOT_STORED = ("quantizer.size", "quantizer.total", ".mask", ".order", "base.loc", "base.scale")


def load_weights(config: AutoencoderConfig, path: Path) -> Autoencoder:
    """Rebuild a model from `save_weights`; raises BundleError naming the file."""
    model = build_model(config)
    _fill(model, path, config.name)
    model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def load_prior(config: PriorConfig, path: Path) -> Prior:
    """Rebuild a prior from `save_weights`; raises BundleError naming the file."""
    prior = build_prior(config)
    _fill(prior, path, "the prior")
    if reason := prior.misfit():
        raise BundleError(f"{path}: {reason}")
    return prior.eval()


def _fill(model: Autoencoder | Prior, path: Path, name: str) -> None:
    state = restored(load_file(path))
    names = {k: v.shape for k, v in model.state_dict().items() if not k.endswith(NOT_STORED)}
    if {k: v.shape for k, v in state.items()} != names:
        raise BundleError(f"{path}: its tensors are not those of {name}")
    if not all(bool(torch.isfinite(v).all()) for v in state.values()):
        raise BundleError(f"{path}: a weight is not finite")
    model.load_state_dict(state, strict=False)
