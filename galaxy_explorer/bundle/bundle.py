"""A bundle: everything the explorer needs, as numbers in one folder.

`load_bundle(path)` checks every file against the manifest before parsing any, in under two
seconds and without torch, pandas, scikit-learn or panel. `save_bundle` writes a folder that is
whole or absent. What a bundle holds no pixel of: the survey; `Bundle.decode` gives the
reconstruction of any galaxy from its code map or latents.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.clusterings import Clustering, read_clustering
from galaxy_explorer.bundle.emulation import EMULATION, EmulatorEvaluation
from galaxy_explorer.bundle.evaluation import EVALUATION, Evaluation
from galaxy_explorer.bundle.files import (
    CARD,
    CATALOG,
    column_array,
    parse_catalog,
    parse_emulation,
    parse_evaluation,
    read_manifest,
    strict_json,
    verified_bytes,
    verify_files,
)
from galaxy_explorer.bundle.manifest import HIERARCHICAL_KIND as HIERARCHICAL
from galaxy_explorer.bundle.manifest import (
    LATENTS,
    ModelEntry,
    PriorEntry,
    RegressorEntry,
    check_manifest,
    open_prior,
    open_regressor,
    read_models,
    read_priors,
    read_regressor,
)
from galaxy_explorer.bundle.writer import BundleContents, save_bundle
from galaxy_explorer.errors import BundleError

if TYPE_CHECKING:
    import pyarrow as pa

    from galaxy_explorer.models.inference import Model, Prior
    from galaxy_explorer.models.ttype_regressor import StoredRegressor

__all__ = ["Bundle", "BundleContents", "Clustering", "ModelEntry", "load_bundle", "save_bundle"]

REQUIRED_COLUMNS = ("galaxy_id", "ra", "dec", "ttype", "ttype_class", "source", "split")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle. `len(bundle)` is the number of galaxies; all arrays are read-only.

    hash: SHA-256 of the manifest, and so of everything. models, clusterings: by name and by key.
    card: the model card, Markdown. evaluation: what `galaxy-explorer evaluate` measured, None
    where it has not been run. priors: by the model whose code maps or latents they draw.
    emulation: what `evaluate --emulator` measured of a prior, judge: what it says of the network
    that judges samples; None where it has not been run.
    """

    path: Path
    hash: str
    manifest: dict[str, Any]
    models: dict[str, ModelEntry]
    clusterings: dict[str, Clustering]
    card: str = field(repr=False)
    evaluation: Evaluation | None = field(repr=False)
    _table: pa.Table = field(repr=False)
    _encoded: dict[str, np.ndarray] = field(repr=False)
    priors: dict[str, PriorEntry] = field(default_factory=dict, repr=False)
    emulation: EmulatorEvaluation | None = field(default=None, repr=False)
    judge: RegressorEntry | None = None
    _loaded: dict[str, Model] = field(default_factory=dict, repr=False)
    _loaded_priors: dict[str, Prior] = field(default_factory=dict, repr=False)
    _loaded_judges: list[StoredRegressor] = field(default_factory=list, repr=False)
    _columns: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __len__(self) -> int:
        return int(self.manifest["n_galaxies"])

    @property
    def name(self) -> str:
        """The bundle's name."""
        return str(self.manifest["name"])

    @property
    def column_names(self) -> list[str]:
        """Names of the catalogue's columns."""
        return list(self._table.column_names)

    def column(self, name: str) -> np.ndarray:
        """A catalogue column (N,), read-only. Raises KeyError for an unknown name."""
        if name not in self._columns:
            self._columns[name] = column_array(self._table, name)
        return self._columns[name]

    def codes(self, model: str) -> np.ndarray:
        """Code maps (N, h, w) of a model, unsigned integers.

        Raises KeyError for an unknown name or a model without one code map a galaxy.
        """
        if self.models[model].kind == HIERARCHICAL:
            raise KeyError(f"{model} has two code maps, see encoded")
        return self._of_kind(model, codes=True)

    def latents(self, model: str) -> np.ndarray:
        """Latents (N, 64) float16 of an autoencoder without codes; raises KeyError for others."""
        return self._of_kind(model, codes=False)

    def encoded(self, model: str) -> np.ndarray:
        """What a model encodes the galaxies to. Raises KeyError.

        Code maps (N, h, w), both maps row by row (N, F) of a hierarchical model, or latents (N, D).
        """
        return self._encoded[model]

    def _of_kind(self, model: str, *, codes: bool) -> np.ndarray:
        encoded = self._encoded[model]
        if (encoded.dtype.kind == "u") != codes:
            raise KeyError(f"{model} has {LATENTS if codes else 'code maps'} instead")
        return encoded

    def load_model(self, name: str) -> Model:
        """The trained autoencoder, in evaluation mode; loads torch at the first call.

        Raises KeyError for an unknown name, BundleError where the weights do not fit the config.
        """
        from galaxy_explorer.models.inference import config_from, load_weights

        with self._lock:
            if name not in self._loaded:
                entry = self.models[name]
                file = self.manifest["models"][name]["weights"]
                verified_bytes(self.path / file, self.manifest["files"][file])
                try:
                    config = config_from(entry.kind, entry.config)
                    model = load_weights(config, self.path / file)
                except (ValueError, TypeError, KeyError, RuntimeError) as error:
                    raise BundleError(f"{self.path / file}: does not fit {name}: {error}") from None
                self._loaded[name] = model
            return self._loaded[name]

    def load_prior(self, model: str) -> Prior:
        """The prior over the code maps or latents of a model, in evaluation mode; loads torch.

        Raises KeyError where there is none, BundleError where the weights do not fit the config.
        """
        with self._lock:
            if model not in self._loaded_priors:
                entry, file = self.priors[model], self.manifest["priors"][model]["file"]
                verified_bytes(self.path / file, self.manifest["files"][file])
                self._loaded_priors[model] = open_prior(entry, self.path / file)
            return self._loaded_priors[model]

    def load_judge(self) -> StoredRegressor:
        """The network that judges T; loads torch at the first call.

        Raises KeyError where there is none, BundleError where it does not read these stamps.
        """
        with self._lock:
            if not self._loaded_judges:
                file = self.manifest["judge"]["file"]
                data = verified_bytes(self.path / file, self.manifest["files"][file])
                judge = open_regressor(data, self.path / file, self.manifest["survey"])
                self._loaded_judges.append(judge)
            return self._loaded_judges[0]

    def decode(self, model: str, rows: np.ndarray) -> np.ndarray:
        """Reconstruct galaxies from code maps or latents: (n, C, S, S) float32, stretched units."""
        return self.draw(model, self.encoded(model)[rows])

    def draw(self, model: str, codes: np.ndarray) -> np.ndarray:
        """What a model draws from any code maps or latents: (n, C, S, S) float32, stretched."""
        from galaxy_explorer.models.inference import decode_codes

        return decode_codes(self.load_model(model), codes)


def load_bundle(path: str | Path) -> Bundle:
    """Open a bundle folder: hash every file, then parse it.

    Raises BundleError naming the first file that is missing, extra, truncated, altered, linked,
    or not what the manifest says.
    """
    folder = Path(path)
    manifest, digest = read_manifest(folder)
    check_manifest(manifest, folder)
    data = verify_files(folder, manifest["files"])
    rows = manifest["n_galaxies"]
    table = parse_catalog(data[CATALOG], folder / CATALOG, rows)
    if absent := [name for name in REQUIRED_COLUMNS if name not in table.column_names]:
        raise BundleError(f"{folder / CATALOG}: column {absent[0]} is missing")
    models, encoded = read_models(manifest, data, folder)
    clusterings = {
        key: read_clustering(
            key, entry, folder=folder, data=data, table=table, encoded=encoded[entry["model"]]
        )
        for key, entry in manifest["clusterings"].items()
    }
    card = data[CARD].decode(errors="replace")
    evaluation = _read_evaluation(data, folder)
    priors = read_priors(manifest, data, folder, encoded)
    emulation = _read_emulation(data, folder)
    judge = read_regressor(manifest, data, folder)
    parts = (models, clusterings, card, evaluation, table, encoded, priors, emulation, judge)
    return Bundle(folder, digest, manifest, *parts)


def _read_evaluation(data: dict[str, bytes], folder: Path) -> Evaluation | None:
    if EVALUATION not in data:
        return None
    path = folder / EVALUATION
    return parse_evaluation(strict_json(data[EVALUATION], path), path)


def _read_emulation(data: dict[str, bytes], folder: Path) -> EmulatorEvaluation | None:
    if EMULATION not in data:
        return None
    path = folder / EMULATION
    return parse_emulation(strict_json(data[EMULATION], path), path)
