"""The clusterings of a bundle, read and compared with the catalogue and the models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from galaxy_explorer.bundle.catalogue import Catalogue
from galaxy_explorer.bundle.files import CATALOG, FileEntry, parse_arrays, read_only
from galaxy_explorer.bundle.json_values import Count, FieldError, Name, Text, check_known, one_of
from galaxy_explorer.bundle.parts import StoredArray, finite, mapped_array
from galaxy_explorer.clustering.embedding import Placing
from galaxy_explorer.clustering.features import FeatureMap, index_features
from galaxy_explorer.clustering.mixture import Mixture
from galaxy_explorer.clustering.summary import KINDS, TTYPE_CLASSES, ClusterSummary, kind_of
from galaxy_explorer.errors import BundleError

SCORES = ("ami", "homogeneity", "eta2")
Row = Annotated[int, Meta(ge=-1)]
Classes = Annotated[tuple[Count, ...], Meta(min_length=TTYPE_CLASSES, max_length=TTYPE_CLASSES)]
STEERED_NAME = r"\A[a-z0-9][a-z0-9_-]{0,40}\Z"
FULL, PACKED = "precisions_cholesky", "precisions_packed"
FEATURES = "features"
SPARSITY = "sparsity"
VIEWS, SAME_SURVEY = "artificial looks", "the survey itself"
"""Second looks that an alignment was fitted on; others have the names of surveys."""
"""Column of a clustering of many galaxies: how thin code space is around each."""


class Score(Struct, frozen=True):
    """A score of a clustering, its 95 % interval, and its mean for shuffled labels."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None


class ClusterEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A cluster as it lies on disk: a `ClusterSummary` with None for what is not a number."""

    id: int
    count: Count
    n_ttype: Count
    ttype_mean: float | None
    ttype_std: float | None
    histogram: Classes
    kind: Annotated[str, one_of(KINDS)]
    early_fraction: float | None
    early_low: float | None
    early_high: float | None
    medoid: Row
    typical: tuple[Row, ...]

    def summary(self) -> ClusterSummary:
        """The cluster as all others know it."""
        values = msgspec.structs.asdict(self).items()
        plain: dict[str, Any] = {name: math.nan if v is None else v for name, v in values}
        return ClusterSummary(**plain)


def _told(entries: Iterable[ClusterEntry]) -> tuple[ClusterSummary, ...]:
    """The clusters, early or late by today's rule, whenever they were written."""
    clusters = [entry.summary() for entry in entries]
    typed = [c for c in clusters if c.n_ttype]
    early = sum(c.early_fraction * c.n_ttype for c in typed)
    overall = early / max(sum(c.n_ttype for c in typed), 1)
    return tuple(
        replace(c, kind=kind_of(c.count, c.n_ttype, c.early_low, c.early_high, overall))
        for c in clusters
    )


class Steering(Struct, frozen=True, kw_only=True):
    """What a clustering was steered by, and what that is worth on galaxies that it did not use.

    name: its own; column: of the labels; source: where they are from; n: labelled galaxies that it
    stands on; strength: of the ridge, chosen among those by leaving one out. figure: "eta2" of
    numbers, else "ami"; held: galaxies that it is measured on; steered, unsteered (as many
    clusters of the same features by themselves) with intervals and chance; gain: their difference,
    on the same galaxies, with its interval.
    """

    name: Annotated[str, Meta(pattern=STEERED_NAME)]
    column: Name
    source: Text
    n: Count
    strength: float
    figure: Annotated[str, one_of(("eta2", "ami"))]
    held: Count
    steered: Score
    unsteered: Score
    gain: Score


class PlacingEntry(Struct, frozen=True, kw_only=True):
    """How a map was drawn of which UMAP saw the landmarks alone.

    landmarks: galaxies that UMAP drew; the others lie among their nearest neighbours. error: by how
    much these miss, measured on `held` landmarks: median distance from where UMAP drew them, over
    the root mean square distance of the landmarks from their centre.
    """

    landmarks: Count
    held: Count
    error: Annotated[float, Meta(ge=0, le=1e9)]


class ClusteringEntry(Struct, frozen=True, kw_only=True):
    """What the manifest says of a clustering; arrays lie in `file`, columns in the catalogue.

    values: file of the features of many galaxies, which lie in `file` where they are few.
    mixture: the settings that it was fitted with. alignment: of aligned features, which second
    looks at galaxies they were fitted on, and what becomes of others. steering: of a clustering
    along directions that labels gave, which is named <model>/<features>/<name>. placing: of a map
    that UMAP drew of some of the galaxies. agreement: scores
    by name,
    on the held-out test split; agreement_all: on all galaxies with a type; n_ttype: how many they
    are.
    """

    model: Name
    features: Literal["index", "codes", "latents", "rings", "aligned"]
    file: Name
    values: Name | None = None
    n_components: Annotated[int, Meta(ge=1, le=65536)]
    effective_clusters: Annotated[int, Meta(ge=0, le=65536)]
    agreement: dict[str, Score]
    agreement_all: dict[str, Score] = {}
    n_ttype: dict[str, int] = {}
    mixture: dict[str, Any] = {}
    alignment: dict[str, Any] = {}
    steering: Steering | None = None
    placing: PlacingEntry | None = None
    clusters: tuple[ClusterEntry, ...]


@dataclass(frozen=True)
class Clustering:
    """One clustering of all galaxies, with N rows in the order of the catalogue.

    key: "<model>/<features>", or that and the name of a steered one. agreement: score -> value,
    low, high, chance, on the held-out test split. feature_map: None for the index features.
    steering: of a clustering along directions that labels gave. Arrays are read-only, and read
    when they are first asked for, which of a damaged bundle of many galaxies raises BundleError.
    """

    key: str
    model: str
    features: str
    clusters: tuple[ClusterSummary, ...]
    agreement: dict[str, Score]
    effective_clusters: int
    mixture: Mixture
    feature_map: FeatureMap | None
    steering: Steering | None
    _columns: _Columns = field(repr=False)
    _values: StoredArray | None = field(repr=False)
    _encoded: StoredArray = field(repr=False)

    @cached_property
    def labels(self) -> np.ndarray:
        """Cluster of each galaxy, (N,) int16."""
        return self._columns.labels(len(self.clusters))

    @cached_property
    def responsibility(self) -> np.ndarray:
        """Probability of each galaxy's cluster, (N,) float32."""
        return self._columns.of("responsibility", np.float32)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """Places on the map, (N, 2) float32, for the view only."""
        axes = [self._columns.of(axis, np.float32) for axis in "xy"]
        return read_only(np.stack(axes, axis=1))

    @cached_property
    def feature_values(self) -> np.ndarray:
        """What the mixture is given of each galaxy, (N, P): made again where that is quick."""
        if self.feature_map is None:
            return read_only(index_features(self._encoded.whole()))
        if self._values is None:
            return read_only(self.feature_map.apply(self._encoded.whole().astype(np.float32)))
        return read_only(self._values.whole().astype(np.float32))

    @cached_property
    def placing(self) -> Placing:
        """What puts new galaxies on its map, by the features of its mixture."""
        return Placing(self.feature_values, self.coordinates)

    def read(self) -> None:
        """Read and check all arrays now. Raises BundleError."""
        for array in (self.labels, self.responsibility, self.coordinates, self.feature_values):
            array.flags.writeable = False


@dataclass(frozen=True)
class _Columns:
    """The columns of a clustering in the catalogue."""

    key: str
    catalogue: Catalogue
    path: Path

    def of(self, name: str, dtype: type[np.generic]) -> np.ndarray:
        """A column of the given type, finite."""
        whole = f"{self.key}/{name}"
        values = self.catalogue.column(whole)
        if values.dtype != dtype or not np.isfinite(values).all():
            raise BundleError(f"{self.path}: {whole} is not finite {np.dtype(dtype).name}")
        return values

    def labels(self, count: int) -> np.ndarray:
        """The clusters, all among so many."""
        labels = self.of("cluster", np.int16)
        if labels.min() < 0 or labels.max() >= count:
            raise BundleError(f"{self.path}: {self.key}/cluster is not in 0..{count - 1}")
        return labels


def check_clusterings(
    entries: Mapping[str, ClusteringEntry], models: Iterable[str], files: Iterable[str], rows: int
) -> None:
    """Compare entries with the names of models and files, and with the number of galaxies.

    Raises FieldError.
    """
    for key, entry in entries.items():
        place = f"clusterings.{key}"
        check_known(entry.model, models, f"{place}.model")
        steered = "" if entry.steering is None else f"/{entry.steering.name}"
        if key != f"{entry.model}/{entry.features}{steered}":
            raise FieldError(place, "is not named <model>/<features>, and its own name if steered")
        check_known(entry.file, files, f"{place}.file")
        check_known(entry.values or entry.file, files, f"{place}.values")
        for score in SCORES:
            if score not in entry.agreement:
                raise FieldError(f"{place}.agreement.{score}", "is missing")
        if len(entry.clusters) != entry.n_components:
            raise FieldError(f"{place}.clusters", f"{entry.n_components} summaries are expected")
        for number, cluster in enumerate(entry.clusters):
            where = f"{place}.clusters[{number}]"
            if cluster.id != number:
                raise FieldError(where, f"id {cluster.id} is wrong")
            if sum(cluster.histogram) != cluster.n_ttype:
                raise FieldError(f"{where}.histogram", "does not add up to n_ttype")
            if max(cluster.medoid, *cluster.typical, -1) >= rows:
                raise FieldError(where, f"a member is not a row of the {rows} galaxies")


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
    entry: ClusteringEntry,
    *,
    folder: Path,
    files: Mapping[str, FileEntry],
    data: bytes,
    catalogue: Catalogue,
    encoded: StoredArray,
) -> Clustering:
    """One clustering; data: of its file; encoded: what its model makes of all galaxies.

    Raises BundleError, for what is in its columns and features when they are read.
    """
    path = folder / entry.file
    arrays = parse_arrays(data, path)
    columns = _Columns(key, catalogue, folder / CATALOG)
    try:
        mixture = Mixture.from_arrays(unpacked(arrays))
        index = entry.features == "index"
        feature_map = None if index else FeatureMap.from_arrays(arrays)
        size = mixture.means.shape[1]
        if index:
            found, values = math.prod(encoded.shape[1:]), None
        elif entry.features == "latents":
            found, values = len(feature_map.components), None  # type: ignore[union-attr]
            if feature_map is not None and len(feature_map.mean) != encoded.shape[1]:
                raise ValueError(f"pca_mean does not fit latents {encoded.shape}")
        elif entry.values is not None:
            at, shape = folder / entry.values, (len(encoded), size)
            found, values = size, mapped_array(at, files[entry.values], FEATURES, shape, finite)
        else:
            values = _stored_values(arrays, len(encoded))
            found = values.shape[1]
    except ValueError as error:
        raise BundleError(f"{path}: {error}") from None
    count = entry.n_components
    if mixture.n_components != count:
        raise BundleError(f"{path}: {mixture.n_components} components where {count} are expected")
    if found != size:
        raise BundleError(f"{path}: {found} features do not fit its means {mixture.means.shape}")
    for name in ("cluster", "responsibility", "x", "y"):
        if f"{key}/{name}" not in catalogue.column_names:
            raise BundleError(f"{folder / CATALOG}: column {key}/{name} is missing")
    return Clustering(
        key, entry.model, entry.features, _told(entry.clusters), entry.agreement,
        entry.effective_clusters, mixture, feature_map, entry.steering, columns, values, encoded,
    )  # fmt: skip


def _stored_values(arrays: Mapping[str, np.ndarray], rows: int) -> StoredArray:
    stored = arrays.get(FEATURES)
    if stored is None or stored.dtype.kind != "f" or stored.ndim != 2 or len(stored) != rows:
        raise ValueError(f"{FEATURES} of {rows} galaxies are missing")
    return StoredArray(stored)
