"""The clusterings of a bundle, read and compared with the catalogue and the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle.files import CATALOG, column_array, parse_arrays, read_only
from galaxy_explorer.clustering.features import FeatureMap, index_features
from galaxy_explorer.clustering.mixture import Mixture
from galaxy_explorer.clustering.summary import ClusterSummary
from galaxy_explorer.errors import BundleError

if TYPE_CHECKING:
    import pyarrow as pa

FULL, PACKED = "precisions_cholesky", "precisions_packed"


@dataclass(frozen=True)
class Clustering:
    """One clustering of all galaxies, with N rows in the order of the catalogue.

    key: "<model>/<features>". labels (N,) int16, responsibility (N,) float32 of that cluster,
    coordinates (N, 2) float32 on the map (for the view only). agreement: score -> value, low,
    high, chance, on the held-out test split. feature_map: None for the index features.
    feature_values (N, P): what the mixture is given.
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


def packed(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a clustering with triangular factors (K, P, P) as (K, P (P + 1) / 2)."""
    arrays = dict(arrays)
    if FULL in arrays and arrays[FULL].ndim == 3:
        factors = arrays.pop(FULL)
        rows, columns = np.triu_indices(factors.shape[1])
        arrays[PACKED] = np.ascontiguousarray(factors[:, rows, columns])
    return arrays


def unpacked(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `packed`. Raises ValueError where the arrays do not fit together."""
    arrays = dict(arrays)
    if PACKED in arrays:
        triangles, means = arrays.pop(PACKED), arrays.get("means")
        if means is None or means.ndim != 2:
            raise ValueError("means of two dimensions are missing")
        size = means.shape[1]
        rows, columns = np.triu_indices(size)
        if triangles.shape != (len(means), len(rows)):
            raise ValueError(f"{PACKED} {triangles.shape} does not fit means {means.shape}")
        factors = np.zeros((len(means), size, size), triangles.dtype)
        factors[:, rows, columns] = triangles
        arrays[FULL] = read_only(factors)
    return arrays


def read_clustering(
    key: str,
    entry: dict[str, Any],
    *,
    folder: Path,
    data: dict[str, bytes],
    table: pa.Table,
    encoded: np.ndarray,
) -> Clustering:
    """One clustering; `encoded` is what its model makes of all galaxies. Raises BundleError."""
    path = folder / entry["file"]
    arrays = parse_arrays(data[entry["file"]], path)
    try:
        mixture = Mixture.from_arrays(unpacked(arrays))
        index = entry["features"] == "index"
        feature_map = None if index else FeatureMap.from_arrays(arrays)
        values = _feature_values(entry["features"], feature_map, arrays, encoded)
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from None
    count = entry["n_components"]
    if mixture.n_components != count:
        raise BundleError(f"{path}: {mixture.n_components} components where {count} are expected")
    if values.shape != (len(encoded), mixture.means.shape[1]):
        raise BundleError(f"{path}: features {values.shape} do not fit its means")
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


def _feature_values(
    kind: str,
    feature_map: FeatureMap | None,
    arrays: Mapping[str, np.ndarray],
    encoded: np.ndarray,
) -> np.ndarray:
    """Features (N, P): made again where that is quick, else as stored."""
    if feature_map is None:
        return index_features(encoded)
    if kind == "latents":
        return feature_map.apply(encoded.astype(np.float32))
    stored = arrays.get("features")
    if stored is None or stored.dtype.kind != "f":
        raise ValueError("features are missing")
    return stored.astype(np.float32)


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
