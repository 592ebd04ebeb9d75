"""Trained models of a work folder, other seeds among them, opened without training anything.

`galaxy-explorer train --seeds 3` leaves every model of the trends trained three times. Replicas
ship no weights: their code maps, errors and curves stay in the work folder beside the bundle,
`<bundle>.work` for the first seed and `<bundle>.work/seed-1.work` and so on for the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

from galaxy_explorer.errors import TrainingError
from galaxy_explorer.pipeline.autoencoders import measure
from galaxy_explorer.pipeline.plan import PIXELS_MARK, config_of
from galaxy_explorer.survey.store import Survey
from galaxy_explorer.utils.cache import StageCache, StageResult
from galaxy_explorer.utils.files import sha256_of

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder, AutoencoderConfig
    from galaxy_explorer.pipeline.autoencoders import Products

TRAINED = ".training.safetensors"
SEED_FOLDER = re.compile(r"seed-(\d+)\.work")
CODEBOOK = "quantizer.codebook"


@dataclass(frozen=True)
class Replica:
    """One finished training, with N galaxies in the order of the survey.

    training: steps, best_step, rule_step, seconds, precision, variance (of the training pixels)
    and the curve, a list of {step, nmse, perplexity, used_share, codes_changed}. weights: the file
    with the rounded weights. Arrays are read at first use.
    """

    name: str
    seed: int
    config: AutoencoderConfig
    training: dict[str, Any]
    weights: Path
    _cache: StageCache
    _splits: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """Code maps (N, h, w) uint16, or latents (N, 64) float16 where there is no codebook."""
        return self._encoded.arrays["codes"]

    @property
    def errors(self) -> np.ndarray:
        """Mean squared error (N,) float32 of each reconstruction, in stretched units."""
        return self._encoded.arrays["errors"]

    @cached_property
    def codebook(self) -> np.ndarray | None:
        """Code vectors (K, D) float32; None where there is no codebook, or more than one."""
        stored = load_file(self.weights).get(CODEBOOK)
        return None if stored is None else stored.astype(np.float32)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Figures on the held-out test split, as `measures.measure` defines them."""
        test = self._splits == "test"
        variance = self.training["variance"]
        return measure(self.errors[test], self.codes[test], self.config, variance=variance)

    @cached_property
    def _encoded(self) -> StageResult:
        stored = self._cache.peek(f"{self.name}.encoded")
        if stored is None:
            raise TrainingError(f"{self.weights}: not encoded; run galaxy-explorer train again")
        return stored

    def load(self) -> Autoencoder:
        """The model itself, in evaluation mode."""
        from galaxy_explorer.models.inference import load_weights

        return load_weights(self.config, self.weights)


def find_replicas(work: Path, survey: Survey) -> list[Replica]:
    """All finished models of `work` trained on `survey`, by name, then seed; none if none.

    Models whose weights were altered, or which saw other pixels, are left out.
    """
    folders = {0: work}
    if work.is_dir():
        found = {int(m[1]): p for p in work.iterdir() if (m := SEED_FOLDER.fullmatch(p.name))}
        folders |= found
    replicas = [r for seed, folder in folders.items() for r in _finished(folder, seed, survey)]
    return sorted(replicas, key=lambda replica: (replica.name, replica.seed))


def training_entry(made: Products | Replica) -> dict[str, Any]:
    """What a manifest says of a training: figures, curve, where it stopped."""
    kept = ("steps", "best_step", "rule_step", "seconds")
    curve = [{k: v for k, v in row.items() if k != "score"} for row in made.training["curve"]]
    return {
        "name": made.config.name,
        "kind": made.config.kind,
        "config": made.config.to_dict(),
        **{field: made.training[field] for field in kept},
        "metrics": made.metrics,
        "curve": curve,
    }


def _finished(work: Path, seed: int, survey: Survey) -> list[Replica]:
    cache, splits = StageCache(work / "stages"), survey.column("split")
    replicas = []
    for path in sorted(cache.folder.glob(f"*{TRAINED}")):
        name = path.name.removesuffix(TRAINED)
        weights, mark = work / "weights" / f"{name}.safetensors", work / "models" / name
        stored = cache.peek(f"{name}.training")
        if stored is None or not weights.is_file() or cache.peek(f"{name}.encoded") is None:
            continue
        pixels = (mark / PIXELS_MARK).read_text().strip()
        if pixels != survey.meta["fingerprint"] or sha256_of(weights) != stored.facts["sha256"]:
            continue
        config = config_of(name, survey.meta)
        replicas.append(Replica(name, seed, config, dict(stored.facts), weights, cache, splits))
    return replicas
