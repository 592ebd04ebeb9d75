"""Clusters along the directions that labels give, as a named clustering of a finished bundle.

A ridge leads from a model's features to the labels of a few galaxies, its strength chosen by
leaving one of them out; k-means then parts what it reads of all galaxies. What the ridge reads is
linear in the features, so such a clustering is served as every other is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.clusterings import Clustering, Score, Steering
from galaxy_explorer.bundle.remaking import card_of
from galaxy_explorer.bundle.writer import add_clustering
from galaxy_explorer.clustering.clusterers import Centres, centres_of, fit_kmeans
from galaxy_explorer.clustering.features import POOLED, FeatureMap
from galaxy_explorer.clustering.validation import pair_score, vector_eta2
from galaxy_explorer.errors import LabelError, SettingError
from galaxy_explorer.labels.imports import IDS, Row, read_rows
from galaxy_explorer.labels.tables import JOIN
from galaxy_explorer.pipeline.clusters import MixtureSettings, facts_of
from galaxy_explorer.utils.resampling import FEW_RESAMPLES, bootstrap

STRENGTHS = np.logspace(-2, 5, 15)
"""Of the ridge, on standardised features."""
LEAST_LABELS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Targets:
    """What labels say of some galaxies.

    rows (n,): of the catalogue, each once. values (n, V): numbers, V = 1, or the share of each of
    V words where annotators differ. words: the V words, none of numbers.
    """

    rows: NDArray[np.int64]
    values: Floats
    words: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def figure(self) -> str:
        """By which clusters are judged: eta squared of numbers, adjusted mutual information."""
        return "ami" if self.words else "eta2"

    @property
    def truth(self) -> NDArray[Any]:
        """Number, or word that most gave, of each galaxy, (n,)."""
        return np.array(self.words)[self.values.argmax(1)] if self.words else self.values[:, 0]

    def take(self, places: NDArray[np.integer]) -> Targets:
        """Those of some of the n galaxies."""
        return Targets(self.rows[places], self.values[places], self.words)


def targets_of(rows: NDArray[np.integer], values: NDArray[Any]) -> Targets:
    """Labels (n,) of galaxies in rows (n,), which may come more than once; the unknown left out.

    values: numbers, NaN unknown, or texts, "" unknown; texts that are all numbers are numbers.
    """
    values = np.asarray(values)
    if values.dtype.kind in "OUS":
        texts = values.astype(str)
        rows, texts = rows[texts != ""], texts[texts != ""]
        try:
            values = texts.astype(np.float64)
        except ValueError:
            words, codes = np.unique(texts, return_inverse=True)
            return _averaged(rows, np.eye(len(words))[codes], tuple(str(word) for word in words))
    numbers = values.astype(np.float64)
    known = np.isfinite(numbers)
    return _averaged(rows[known], numbers[known, None], ())


def _averaged(rows: NDArray[np.integer], values: Floats, words: tuple[str, ...]) -> Targets:
    found, place = np.unique(rows.astype(np.int64), return_inverse=True)
    sums = np.zeros((len(found), values.shape[1]))
    np.add.at(sums, place, values)
    return Targets(found, sums / np.bincount(place, minlength=len(found))[:, None], words)


@dataclass(frozen=True, eq=False)
class Steered:
    """k clusters along directions that labels gave.

    read (N, V) = features (N, P) axes (P, V) + offset (V,): what the ridge says of each galaxy, in
    the labels' own unit, or how far the share of each word lies above an even one. strength: of
    the ridge. centres: of the clusters in `read`, in ascending order where that is a number.
    """

    axes: Floats
    offset: Floats
    strength: float
    read: Floats
    centres: Centres

    @property
    def labels(self) -> NDArray[np.int16]:
        """Cluster of each galaxy, (N,)."""
        return self.centres.predict(self.read)


def steer(
    features: NDArray[np.floating],
    targets: Targets,
    k: int,
    fit: NDArray[np.bool_],
    *,
    seed: int = 0,
) -> Steered:
    """Part all galaxies along the directions in which the labels of some differ.

    features (N, P); fit (N,): galaxies that set the scale of the features and are parted by
    k-means. Some 0.3 s for 30,000 galaxies. Raises LabelError for fewer than 10 labels, or where
    all say the same.
    """
    from sklearn.linear_model import RidgeCV

    if len(targets) < LEAST_LABELS or not np.ptp(targets.values, axis=0).any():
        raise LabelError(
            f"{len(targets)} labelled galaxies that differ are too few: give at least"
            f" {LEAST_LABELS}, not all with the same label"
        )
    features = np.asarray(features, np.float64)
    middle, spread = features[fit].mean(0), features[fit].std(0)
    spread = np.where(spread > 0, spread, 1)
    ridge = RidgeCV(STRENGTHS).fit((features[targets.rows] - middle) / spread, targets.values)
    axes = np.atleast_2d(ridge.coef_).T / spread[:, None]
    offset = np.atleast_1d(ridge.intercept_) - middle @ axes
    if targets.words:  # shares add up to 1: no linear map reads them, but one what they are above
        offset -= 1 / len(targets.words)
    read = features @ axes + offset
    parted = fit_kmeans(read[fit], k, seed=seed).predict(read[fit])
    if not targets.words:  # ascending
        means = centres_of(read[fit], parted).means[:, 0]
        parted = np.argsort(np.argsort(means))[parted]
    return Steered(axes, offset, float(ridge.alpha_), read, centres_of(read[fit], parted))


def linear_features(bundle: Bundle, key: str) -> tuple[Floats, list[FeatureMap]]:
    """Features (N, P) that a clustering can be steered by, and the maps that make them, in order.

    Those of the clustering itself; of rings both kinds that the model has. Raises SettingError for
    an unknown key and for features that are no linear map of anything.
    """
    if key not in bundle.clusterings:
        raise SettingError(f"--clustering {key}: not among {', '.join(bundle.clusterings)}")
    own = bundle.clusterings[key]
    if own.feature_map is None or own.steering is not None:
        raise SettingError(f"--clustering {key}: choose one by codes, rings, aligned or latents")
    kinds = POOLED if own.features in POOLED else (own.features,)
    names = [f"{own.model}/{kind}" for kind in kinds]
    found: list[tuple[NDArray[np.floating], FeatureMap]] = [
        (one.feature_values, one.feature_map)
        for one in (bundle.clusterings[name] for name in names if name in bundle.clusterings)
        if one.feature_map is not None
    ]
    values = np.concatenate([features for features, _ in found], axis=1).astype(np.float64)
    return values, [one for _, one in found]


def joined_map(maps: Sequence[FeatureMap], steered: Steered) -> FeatureMap:
    """One linear map from the vectors (N, F) of `maps` to what the ridge reads (N, V)."""
    ends = np.cumsum([len(one.components) for one in maps])[:-1]
    parts = list(zip(maps, np.split(steered.axes, ends), strict=True))
    components = sum(axes.T @ one.components.astype(np.float64) for one, axes in parts)
    level = sum(
        one.mean.astype(np.float64) @ one.components.T.astype(np.float64) @ axes
        for one, axes in parts
    )
    # The nearest vector to the mean of the first of which nothing is read but 0.
    mean = maps[0].mean.astype(np.float64)
    missing = level - steered.offset - components @ mean
    mean = mean + np.linalg.pinv(components, rcond=1e-9) @ missing
    return FeatureMap(mean.astype(np.float32), np.ascontiguousarray(components, np.float32))


def catalogued(bundle: Bundle, column: str) -> Targets:
    """What a column of the catalogue says. Raises SettingError for a column that is not there."""
    if column not in bundle.column_names:
        raise SettingError(f"--column {column}: not in the catalogue of {bundle.name}")
    return targets_of(np.arange(len(bundle)), bundle.column(column))


def read_targets(bundle: Bundle, path: Path, column: str) -> tuple[Targets, int]:
    """What a table of labels says in a column, and how many of its rows are of other galaxies.

    The table: any that `galaxy-explorer labels` exports or reads. column: one of it, or a label
    that its column of features may hold: then galaxies have it or not. Raises LabelError.
    """
    rows = read_rows(path.read_bytes(), "".join(path.suffixes[-2:]), str(path))
    if not rows:
        raise LabelError(f"{path}: no rows")
    names = next((name for name in IDS if name in rows[0]), None)
    if names is None:
        raise LabelError(f"{path}: no column with an identifier; name one {IDS[0]}")
    said = _said(rows, column, path)
    places = {str(galaxy): row for row, galaxy in enumerate(bundle.column("galaxy_id"))}
    known = [(places[row[names]], text) for row, text in zip(rows, said, strict=True)
             if row[names] in places]  # fmt: skip
    found = np.array([place for place, _ in known], np.int64)
    targets = targets_of(found, np.array([text for _, text in known], str))
    return targets, len(rows) - len(known)


def _said(rows: Sequence[Row], column: str, path: Path) -> list[str]:
    """What each row of a table says of a column or a label."""
    if column.lower() in rows[0]:
        return [row[column.lower()] for row in rows]
    features = [row.get("features", "").split(JOIN) for row in rows]
    if not any(column in given for given in features):
        raise LabelError(f"{path}: no column and no label {column}; there are {', '.join(rows[0])}")
    return [column if column in given else f"no {column}" for given in features]


def drawn(bundle: Bundle, targets: Targets, n: int, seed: int) -> Targets:
    """The labels of n training galaxies at random, of all where there are fewer."""
    places = np.flatnonzero(bundle.column("split")[targets.rows] == "train")
    return targets.take(np.sort(np.random.default_rng(seed).permutation(places)[:n]))


def add_steered(
    path: str | Path,
    targets: Targets,
    *,
    name: str,
    column: str,
    source: str,
    k: int = 8,
    clustering: str | None = None,
    seed: int = 0,
) -> tuple[str, Steering]:
    """Put clusters along what labels say into a finished bundle; its key, and what it is worth.

    They are judged on galaxies of the test split that the labels do not hold, by the catalogue's
    column of that name; where it has none, on a quarter of the labels, which are then not used.
    clustering: key of the one whose features and map are taken, else the recommended one. Raises
    LabelError, SettingError, BundleError.
    """
    bundle = load_bundle(path)
    key = clustering or bundle.manifest.default_clustering
    features, maps = linear_features(bundle, key)
    base = bundle.clusterings[key]
    train = bundle.column("split") == "train"
    targets, held = _set_aside(bundle, targets, column, seed)
    steered = steer(features, targets, k, train, seed=seed)
    labels, mixture = steered.labels, steered.centres.mixture()
    if not train.any():
        raise SettingError(f"{path}: no galaxy is of the train split")
    steering = _judged(
        held, labels, _unsteered(base, k, train, seed),
        name=name, column=column, source=source, n=len(targets), strength=steered.strength,
    )  # fmt: skip
    read = steered.read.astype(np.float32)
    ttype, classes = bundle.column("ttype"), bundle.column("ttype_class")
    test = np.setdiff1d(np.flatnonzero(bundle.column("split") == "test"), targets.rows)
    settings = MixtureSettings(clusterer="kmeans", n_components=mixture.n_components)
    entry = {
        "model": base.model,
        "features": base.features,
        "n_components": mixture.n_components,
        "mixture": asdict(settings),
        "steering": msgspec.to_builtins(steering),
        **facts_of(mixture, read, labels, types=(ttype, classes), test=test, seed=seed),
    }
    added = f"{base.model}/{base.features}/{name}"
    columns = {
        "cluster": labels,
        "responsibility": mixture.responsibilities(read).max(1).astype(np.float32),
        "x": np.ascontiguousarray(base.coordinates[:, 0]),
        "y": np.ascontiguousarray(base.coordinates[:, 1]),
    }
    add_clustering(
        bundle.path,
        added,
        entry,
        card_of(bundle),
        arrays={**mixture.arrays(), **joined_map(maps, steered).arrays(), "features": read},
        columns={f"{added}/{about}": values for about, values in columns.items()},
    )
    return added, steering


def _set_aside(bundle: Bundle, targets: Targets, column: str, seed: int) -> tuple[Targets, Targets]:
    """The labels to steer by, and those of other galaxies to judge by."""
    if column in bundle.column_names:
        known = catalogued(bundle, column)
        test = bundle.column("split")[known.rows] == "test"
        held = known.take(np.flatnonzero(test & ~np.isin(known.rows, targets.rows)))
        if bool(held.words) == bool(targets.words):
            return targets, held
    order = np.random.default_rng(seed).permutation(len(targets))
    aside = len(targets) // 4
    return targets.take(np.sort(order[aside:])), targets.take(np.sort(order[:aside]))


def _unsteered(base: Clustering, k: int, train: NDArray[np.bool_], seed: int) -> NDArray[np.int16]:
    """As many clusters (N,) of the same kind of features, by themselves."""
    if k == base.mixture.n_components:
        return np.asarray(base.labels, np.int16)
    return fit_kmeans(base.feature_values[train], k, seed=seed).predict(base.feature_values)


def score_of(figure: str) -> Callable[[NDArray[Any], NDArray[np.integer]], float]:
    """How well clusters (n,) follow the truth (n,), as a function of the two."""
    from sklearn.metrics import adjusted_mutual_info_score

    return adjusted_mutual_info_score if figure == "ami" else vector_eta2


def _judged(
    held: Targets, steered: NDArray[np.integer], unsteered: NDArray[np.integer], **facts: Any
) -> Steering:
    score, truth, rows = score_of(held.figure), held.truth, held.rows
    one, other = steered[rows], unsteered[rows]
    gain = bootstrap(
        lambda some: score(truth[some], one[some]) - score(truth[some], other[some]),
        len(rows),
        resamples=FEW_RESAMPLES,
    )
    found = [pair_score(score, truth, labels) for labels in (one, other)] + [gain.scores()]
    plain = [Score(**{n: None if np.isnan(v) else v for n, v in one.items()}) for one in found]
    return Steering(
        figure=held.figure, held=len(rows),
        steered=plain[0], unsteered=plain[1], gain=plain[2], **facts,
    )  # fmt: skip
