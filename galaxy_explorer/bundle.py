"""A bundle: everything the explorer needs, as numbers in one folder.

`load_bundle(path)` checks every file against the manifest before parsing any, in under two
seconds and without torch, pandas, scikit-learn or panel. `save_bundle` writes a folder that is
whole or absent. What a bundle holds no pixel of: the survey; `Bundle.decode` gives the
reconstruction of any galaxy from its code map.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle_evaluation import EVALUATION, Evaluation, parse_evaluation
from galaxy_explorer.bundle_files import (
    CARD,
    CATALOG,
    column_array,
    parse_arrays,
    parse_catalog,
    parse_codes,
    read_manifest,
    read_only,
    strict_json,
    verified_bytes,
    verify_files,
)
from galaxy_explorer.bundle_schema import check_manifest
from galaxy_explorer.bundle_writer import BundleContents, save_bundle
from galaxy_explorer.clustering.features import FeatureMap, index_features
from galaxy_explorer.clustering.mixture import Mixture
from galaxy_explorer.clustering.summary import ClusterSummary
from galaxy_explorer.errors import BundleError

if TYPE_CHECKING:
    import pyarrow as pa

    from galaxy_explorer.models.vqvae import VQVAE

__all__ = ["Bundle", "BundleContents", "Clustering", "ModelEntry", "load_bundle", "save_bundle"]

REQUIRED_COLUMNS = ("galaxy_id", "ra", "dec", "ttype", "ttype_class", "source", "split")


@dataclass(frozen=True)
class ModelEntry:
    """One trained autoencoder as the manifest describes it.

    metrics: measured on the held-out test split (mse, nmse, psnr_db, perplexity, used_share,
    n_test). steps, seconds: what the training ran.
    """

    name: str
    config: dict[str, Any]
    steps: int
    seconds: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Clustering:
    """One clustering of all galaxies, with N rows in the order of the catalogue.

    key: "<model>/<features>". labels (N,) int16, responsibility (N,) float32 of that cluster,
    coordinates (N, 2) float32 on the map (for the view only). agreement: score -> value, low,
    high, chance, on the held-out test split. feature_map: None for the index features.
    """

    key: str
    model: str
    features: str
    labels: np.ndarray
    responsibility: np.ndarray
    coordinates: np.ndarray
    clusters: tuple[ClusterSummary, ...]
    agreement: dict[str, dict[str, float]]
    effective_clusters: int
    mixture: Mixture
    feature_map: FeatureMap | None
    feature_values: np.ndarray


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle. `len(bundle)` is the number of galaxies; all arrays are read-only.

    hash: SHA-256 of the manifest, and so of everything. models, clusterings: by name and by key.
    card: the model card, Markdown. evaluation: what `galaxy-explorer evaluate` measured, None
    where it has not been run.
    """

    path: Path
    hash: str
    manifest: dict[str, Any]
    models: dict[str, ModelEntry]
    clusterings: dict[str, Clustering]
    card: str = field(repr=False)
    evaluation: Evaluation | None = field(repr=False)
    _table: pa.Table = field(repr=False)
    _codes: dict[str, np.ndarray] = field(repr=False)
    _loaded: dict[str, VQVAE] = field(default_factory=dict, repr=False)
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
        """Code maps (N, h, w) of a model, unsigned integers. Raises KeyError."""
        return self._codes[model]

    def load_model(self, name: str) -> VQVAE:
        """The trained autoencoder, in evaluation mode; loads torch at the first call.

        Raises KeyError for an unknown name, BundleError where the weights do not fit the config.
        """
        from galaxy_explorer.models.inference import load_weights
        from galaxy_explorer.models.vqvae import VQVAEConfig

        with self._lock:
            if name not in self._loaded:
                config = self.models[name].config
                file = self.manifest["models"][name]["weights"]
                verified_bytes(self.path / file, self.manifest["files"][file])
                try:
                    model = load_weights(VQVAEConfig.from_dict(config), self.path / file)
                except (ValueError, TypeError, KeyError, RuntimeError) as error:
                    raise BundleError(f"{self.path / file}: does not fit {name}: {error}") from None
                self._loaded[name] = model
            return self._loaded[name]

    def decode(self, model: str, rows: np.ndarray) -> np.ndarray:
        """Reconstruct galaxies from their code maps: (n, C, S, S) float32, stretched units."""
        from galaxy_explorer.models.inference import decode_codes

        return decode_codes(self.load_model(model), self.codes(model)[rows])

    def draw(self, model: str, codes: np.ndarray) -> np.ndarray:
        """What a model draws from any code maps (n, h, w): (n, C, S, S) float32, stretched."""
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
    models, codes = {}, {}
    for name, entry in manifest["models"].items():
        _check_weights(data[entry["weights"]], folder / entry["weights"])
        side, count = entry["config"]["map_size"], entry["config"]["num_embeddings"]
        file = entry["codes"]
        codes[name] = parse_codes(data[file], folder / file, (rows, side, side), count)
        models[name] = ModelEntry(
            name, entry["config"], entry["steps"], float(entry.get("seconds", 0)), entry["metrics"]
        )
    clusterings = {
        key: _read_clustering(
            key, entry, folder=folder, data=data, table=table, codes=codes[entry["model"]]
        )
        for key, entry in manifest["clusterings"].items()
    }
    card = data[CARD].decode(errors="replace")
    evaluation = _read_evaluation(data, folder)
    return Bundle(folder, digest, manifest, models, clusterings, card, evaluation, table, codes)


def _read_evaluation(data: dict[str, bytes], folder: Path) -> Evaluation | None:
    if EVALUATION not in data:
        return None
    path = folder / EVALUATION
    return parse_evaluation(strict_json(data[EVALUATION], path), path)


def _check_weights(data: bytes, path: Path) -> None:
    """Weights are float16 and finite; their shapes are compared when the model is loaded."""
    for name, array in parse_arrays(data, path).items():
        if array.dtype != np.float16:
            raise BundleError(f"{path}: {name} is {array.dtype} where float16 is expected")


def _read_clustering(
    key: str,
    entry: dict[str, Any],
    *,
    folder: Path,
    data: dict[str, bytes],
    table: pa.Table,
    codes: np.ndarray,
) -> Clustering:
    path = folder / entry["file"]
    arrays = parse_arrays(data[entry["file"]], path)
    try:
        mixture = Mixture.from_arrays(arrays)
        index = entry["features"] == "index"
        feature_map = None if index else FeatureMap.from_arrays(arrays)
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from None
    values = index_features(codes) if index else arrays.get("features")
    count = entry["n_components"]
    if mixture.n_components != count:
        raise BundleError(f"{path}: {mixture.n_components} components where {count} are expected")
    if values is None or values.shape != (len(codes), mixture.means.shape[1]):
        raise BundleError(f"{path}: features are missing or of the wrong shape")
    return Clustering(
        key=key,
        model=entry["model"],
        features=entry["features"],
        labels=_labels(table, key, count, folder),
        responsibility=_key_column(table, f"{key}/responsibility", np.float32, folder),
        coordinates=_coordinates(table, key, folder),
        clusters=tuple(ClusterSummary.from_dict(values) for values in entry["clusters"]),
        agreement=entry["agreement"],
        effective_clusters=entry["effective_clusters"],
        mixture=mixture,
        feature_map=feature_map,
        feature_values=read_only(values),
    )


def _labels(table: pa.Table, key: str, count: int, folder: Path) -> np.ndarray:
    labels = _key_column(table, f"{key}/cluster", np.int16, folder)
    if labels.min() < 0 or labels.max() >= count:
        raise BundleError(f"{folder / CATALOG}: {key}/cluster is not in 0..{count - 1}")
    return labels


def _coordinates(table: pa.Table, key: str, folder: Path) -> np.ndarray:
    axes = [_key_column(table, f"{key}/{axis}", np.float32, folder) for axis in "xy"]
    return read_only(np.stack(axes, axis=1))


def _key_column(table: pa.Table, name: str, dtype: type[np.generic], folder: Path) -> np.ndarray:
    """A clustering's own column, of the given type and finite."""
    if name not in table.column_names:
        raise BundleError(f"{folder / CATALOG}: column {name} is missing")
    values = column_array(table, name)
    if values.dtype != dtype or not np.isfinite(values).all():
        raise BundleError(f"{folder / CATALOG}: {name} is not finite {np.dtype(dtype).name}")
    return values
