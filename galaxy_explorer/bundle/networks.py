"""The networks of a bundle: their weights as numbers, what they encode galaxies to, and themselves.

Reading compares every file with what the manifest says of it and loads no torch; opening makes
the network, and loads torch at the first call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle.files import parse_arrays, parse_codes
from galaxy_explorer.bundle.manifest import Manifest, ModelEntry, PriorEntry, SurveyEntry
from galaxy_explorer.bundle.parts import StoredArray, below, finite, mapped_array
from galaxy_explorer.errors import BundleError
from galaxy_explorer.models.registry import AUTOENCODERS, LATENTS, PRIORS

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder, Prior
    from galaxy_explorer.models.ttype_regressor import StoredRegressor

CODES = "codes"
SCALE = ".scale"  # of a matrix stored in eight bits: one number for each of its rows
JUDGE_CURE = "run galaxy-explorer evaluate --judge again"


def check_weights(data: bytes, path: Path) -> None:
    """Weights are float16, or int8 with a float32 scale beside; finite.

    Their shapes are compared when the network is opened.
    """
    arrays = parse_arrays(data, path)
    for name, array in arrays.items():
        scaled = array.dtype == np.int8 and name + SCALE in arrays
        scale = array.dtype == np.float32 and name.endswith(SCALE)
        if array.dtype != np.float16 and not (scaled or scale):
            raise BundleError(f"{path}: {name} is {array.dtype} where float16 is expected")


def read_encoded(
    manifest: Manifest, data: Mapping[str, bytes], folder: Path
) -> dict[str, StoredArray]:
    """What each model encodes the galaxies to, checked against its config; its weights too.

    data: of the files that are read at once; others are mapped. Raises BundleError naming the file
    that is not what the manifest says.
    """
    encoded = {}
    for name, entry in manifest.models.items():
        check_weights(data[entry.weights], folder / entry.weights)
        read = _read_latents if entry.has_latents else _read_codes
        encoded[name] = read(entry, manifest, data, folder)
    return encoded


def _read_codes(
    entry: ModelEntry, manifest: Manifest, data: Mapping[str, bytes], folder: Path
) -> StoredArray:
    config, path = entry.config, folder / (entry.codes or "")
    shape = (manifest.n_galaxies, *AUTOENCODERS[entry.kind].code_shape(config))
    codes = config["num_embeddings"]
    if path.name in data:
        return StoredArray(parse_codes(data[path.name], path, shape, codes))
    found = mapped_array(path, manifest.files[path.name], CODES, shape, below(codes))
    if found.dtype.kind != "u":
        raise BundleError(f"{path}: {found.dtype} where code maps are expected")
    return found


def _read_latents(
    entry: ModelEntry, manifest: Manifest, data: Mapping[str, bytes], folder: Path
) -> StoredArray:
    path, rows = folder / (entry.latents or ""), manifest.n_galaxies
    if path.name in data:
        array = parse_arrays(data[path.name], path).get(LATENTS)
        latents = None if array is None else StoredArray(array)
    else:
        shape = (rows, AUTOENCODERS[entry.kind].code_shape(entry.config)[0])
        latents = mapped_array(path, manifest.files[path.name], LATENTS, shape, finite)
    if latents is None or latents.dtype != np.float16 or len(latents.shape) != 2:
        raise BundleError(f"{path}: a table of float16 named {LATENTS} is expected")
    if len(latents) != rows:
        raise BundleError(f"{path}: {len(latents)} rows where {rows} are expected")
    return latents


def check_other_networks(
    manifest: Manifest, data: Mapping[str, bytes], folder: Path, encoded: Mapping[str, StoredArray]
) -> None:
    """Check the weights of the priors and of the network that judges samples.

    encoded: what each model encodes the galaxies to. Raises BundleError naming the file whose
    weights are not numbers, or that draws as many latents as its model does not have.
    """
    for entry in manifest.priors.values():
        check_weights(data[entry.file], folder / entry.file)
        shape = encoded[entry.model].shape[1:]
        if PRIORS[entry.kind].code_shape(entry.config) != shape:
            what = f"{shape[0]} latents" if len(shape) == 1 else f"code maps of {shape}"
            raise BundleError(f"{folder / entry.file}: {entry.model} has {what}")
    if manifest.ttype_regressor is not None:
        file = manifest.ttype_regressor.file
        try:
            check_weights(data[file], folder / file)
        except BundleError as error:
            raise BundleError(f"{error}; {JUDGE_CURE}") from None


def open_model(entry: ModelEntry, path: Path) -> Autoencoder:
    """The autoencoder of a verified file, in evaluation mode.

    Raises BundleError where the weights do not fit the config.
    """
    from galaxy_explorer.models.inference import config_from, load_weights

    try:
        return load_weights(config_from(entry.kind, entry.config), path)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit {entry.name}: {error}") from None


def open_prior(entry: PriorEntry, path: Path) -> Prior:
    """The prior of a verified file, in evaluation mode.

    Raises BundleError where the weights do not fit the config.
    """
    from galaxy_explorer.models.inference import load_prior, prior_config

    try:
        return load_prior(prior_config(entry.kind, entry.config), path)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise BundleError(f"{path}: does not fit the prior of {entry.model}: {error}") from None


def open_regressor(
    data: bytes, path: Path, survey: SurveyEntry, attributes: Iterable[str]
) -> StoredRegressor:
    """The network that reads T and attributes, of verified bytes, in evaluation mode.

    Raises BundleError where it does not read such stamps.
    """
    from galaxy_explorer.models.ttype_regressor import parse_judge

    try:
        return parse_judge(
            data, tuple(attributes), channels=survey.channels, side=survey.stamp_size
        )
    except ValueError as error:
        raise BundleError(f"{path}: not the judge of these stamps: {error}; {JUDGE_CURE}") from None
