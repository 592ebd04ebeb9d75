"""The models of a bundle: what the manifest says of each, and what each made of every galaxy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galaxy_explorer.bundle_files import parse_arrays, parse_codes
from galaxy_explorer.errors import BundleError

LATENTS = "latents"
HIERARCHICAL = "vqvae2"
SCALE = ".scale"  # of a matrix stored in eight bits: one number for each of its rows


@dataclass(frozen=True)
class ModelEntry:
    """One trained autoencoder as the manifest describes it.

    kind: "vqvae" and "psf-vqvae" have code maps, "vqvae2" has two, "convae" has latents. metrics:
    measured on the held-out test split (mse, nmse, psnr_db, n_test; with codes also perplexity and
    used_share). steps, seconds: what the training ran. curve: figures on the validation split every
    5 % of the steps. best_step: whose weights are kept. rule_step: where the stop rule was first
    met, None if never.
    """

    name: str
    config: dict[str, Any]
    steps: int
    seconds: float
    metrics: dict[str, float]
    kind: str = "vqvae"
    curve: tuple[dict[str, float], ...] = ()
    best_step: int | None = None
    rule_step: int | None = None

    @property
    def rule_cost(self) -> float | None:
        """By how much the error would have been larger had the training ended by the rule.

        A share of the error of the best step; None where the rule was never met.
        """
        at = {row["step"]: row["nmse"] for row in self.curve}
        if self.rule_step is None or self.rule_step not in at:
            return None
        return at[self.rule_step] / min(at.values()) - 1


def read_models(
    manifest: dict[str, Any], data: dict[str, bytes], folder: Path
) -> tuple[dict[str, ModelEntry], dict[str, np.ndarray]]:
    """Entries by name, and what each model encodes the galaxies to, checked against its config.

    Raises BundleError naming the file that is not what the manifest says.
    """
    rows = manifest["n_galaxies"]
    models, encoded = {}, {}
    for name, entry in manifest["models"].items():
        check_weights(data[entry["weights"]], folder / entry["weights"])
        read = _read_latents if entry["kind"] == "convae" else _read_codes
        encoded[name] = read(entry, rows, data, folder)
        models[name] = _entry(name, entry)
    return models, encoded


def _entry(name: str, entry: dict[str, Any]) -> ModelEntry:
    return ModelEntry(
        name=name,
        config=entry["config"],
        steps=entry["steps"],
        seconds=float(entry.get("seconds", 0)),
        metrics=entry["metrics"],
        kind=entry["kind"],
        curve=tuple(entry.get("curve", ())),
        best_step=entry.get("best_step"),
        rule_step=entry.get("rule_step"),
    )


def _read_codes(
    entry: dict[str, Any], rows: int, data: dict[str, bytes], folder: Path
) -> np.ndarray:
    config, file = entry["config"], entry["codes"]
    if entry["kind"] == HIERARCHICAL:  # both maps of a galaxy in one row, the top one first
        side = config["bottom_size"]
        shape: tuple[int, ...] = (rows, side**2 + (side // 2) ** 2)
    else:
        shape = (rows, config["map_size"], config["map_size"])
    return parse_codes(data[file], folder / file, shape, config["num_embeddings"])


def _read_latents(
    entry: dict[str, Any], rows: int, data: dict[str, bytes], folder: Path
) -> np.ndarray:
    path = folder / entry[LATENTS]
    latents = parse_arrays(data[path.name], path).get(LATENTS)
    if latents is None or latents.dtype != np.float16 or latents.ndim != 2:
        raise BundleError(f"{path}: a table of float16 named {LATENTS} is expected")
    if len(latents) != rows:
        raise BundleError(f"{path}: {len(latents)} rows where {rows} are expected")
    return latents


def check_weights(data: bytes, path: Path) -> None:
    """Weights are float16, or int8 with a float32 scale beside; finite.

    Their shapes are compared when the model is loaded.
    """
    arrays = parse_arrays(data, path)
    for name, array in arrays.items():
        scaled = array.dtype == np.int8 and name + SCALE in arrays
        scale = array.dtype == np.float32 and name.endswith(SCALE)
        if array.dtype != np.float16 and not (scaled or scale):
            raise BundleError(f"{path}: {name} is {array.dtype} where float16 is expected")
