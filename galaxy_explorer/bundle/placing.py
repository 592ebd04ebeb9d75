"""What a bundle says of stamps that it has not seen: codes, errors, clusters, places, as arrays.

The models and clusterings that are asked for and no others are computed, and the eight
orientations of a stamp once a model, however many of its clusterings need them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import Bundle
from galaxy_explorer.bundle.clusterings import Clustering
from galaxy_explorer.bundle.novelty import Verdict, judge_novelty
from galaxy_explorer.clustering.features import POOLED, index_features, served_vectors
from galaxy_explorer.errors import SettingError

ALL = "all"


@dataclass(frozen=True)
class Choice:
    """Models by name and clusterings by key that are to be computed, in the bundle's order."""

    models: tuple[str, ...]
    clusterings: tuple[str, ...]

    @property
    def words(self) -> str:
        """What they are, in words."""
        return ", ".join((*self.models, *self.clusterings))


def choose(bundle: Bundle, wanted: Iterable[str] = ()) -> Choice:
    """What `--model` asks for: models with all their clusterings, or single clusterings by key.

    "all" is everything; nothing the model that the app shows, and the default clustering with its
    model. Raises SettingError naming what there is.
    """
    names = list(wanted)
    if names == [ALL]:
        return Choice(tuple(bundle.models), tuple(bundle.clusterings))
    manifest = bundle.manifest
    if not names:
        names, keys = [manifest.display_model], {manifest.default_clustering}
    else:
        keys = {name for name in names if name in bundle.clusterings}
        keys |= {key for key, one in bundle.clusterings.items() if one.model in names}
    if unknown := [n for n in names if n not in bundle.models and n not in bundle.clusterings]:
        raise SettingError(
            f"--model {unknown[0]}: {bundle.path} has the models {', '.join(bundle.models)} and the"
            f" clusterings {', '.join(bundle.clusterings)}; or {ALL}"
        )
    needed = {*names, *(bundle.clusterings[key].model for key in keys)}
    return Choice(
        tuple(name for name in bundle.models if name in needed),
        tuple(key for key in bundle.clusterings if key in keys),
    )


@dataclass(frozen=True)
class Placement:
    """Stamps in one clustering: features (n, P), shares of its clusters (n, K), place on its map.

    places (n, 2) float32; distances (n,) float32: mean distance to the nearest galaxies of the
    bundle (see `embedding.Placing`).
    """

    features: NDArray[np.float64]
    shares: NDArray[np.float64]
    places: NDArray[np.float32]
    distances: NDArray[np.float32]


@dataclass(frozen=True)
class StampReadings:
    """What a bundle says of n stamps, by model and by clustering.

    codes: as of `encode_stamps`; errors (n,): mean squared, in stretched units; verdicts: one each.
    """

    codes: dict[str, NDArray[Any]]
    errors: dict[str, NDArray[np.float32]]
    placements: dict[str, Placement]
    verdicts: list[Verdict]


def needs_orbit(clustering: Clustering) -> bool:
    """Whether its features are means over the eight orientations of a stamp."""
    return clustering.feature_map is not None and clustering.features != "latents"


def read_stamps(bundle: Bundle, stamps: NDArray[np.float32], choice: Choice) -> StampReadings:
    """Read stamps (n, C, S, S) that are framed and stretched as the bundle's survey."""
    from galaxy_explorer.models.inference import encode_orbit, encode_stamps, reconstruction_errors

    known = bundle.clusterings
    based = {key: _base(bundle, known[key]) for key in choice.clusterings}
    turned = {known[key].model for key in {*choice.clusterings, *based.values()}
              if needs_orbit(known[key])}  # fmt: skip
    maps: dict[str, NDArray[Any]] = {}
    codes, errors = {}, {}
    for name in choice.models:
        model = bundle.load_model(name)
        if name in turned:
            maps[name] = encode_orbit(model, stamps)
        else:
            maps[name] = encode_stamps(model, stamps)[:, None]
        codes[name] = np.ascontiguousarray(maps[name][:, 0])  # the stamp as it is
        errors[name] = reconstruction_errors(model, stamps, codes[name])
    placements: dict[str, Placement] = {}
    vectors: dict[tuple[str, str], NDArray[Any]] = {}
    for key in dict.fromkeys((*based.values(), *choice.clusterings)):
        clustering = known[key]
        features = _features(bundle, clustering, maps[clustering.model], vectors)
        places, distances = clustering.placing.among(features)
        if based.get(key, key) != key:  # it has the map of the features that it was made of
            places = placements[based[key]].places
        shares = clustering.mixture.responsibilities(features)
        placements[key] = Placement(features, shares, places, distances)
    wanted = {key: placements[key] for key in choice.clusterings}
    return StampReadings(codes, errors, wanted, judge_novelty(bundle, stamps, errors))


def _base(bundle: Bundle, clustering: Clustering) -> str:
    """Key of the clustering on whose map a clustering lies: its own, but of a steered one."""
    base = f"{clustering.model}/{clustering.features}"
    return (
        base if clustering.steering is not None and base in bundle.clusterings else clustering.key
    )


def _features(
    bundle: Bundle,
    clustering: Clustering,
    maps: NDArray[Any],
    vectors: dict[tuple[str, str], NDArray[Any]],
) -> NDArray[np.float64]:
    """Features made as those of the clustering's own galaxies were.

    vectors: those that features were made of so far, by model and kind, to be used again.
    """
    if clustering.feature_map is None:
        return index_features(maps[:, 0])
    kind = POOLED[0] if clustering.features in POOLED else clustering.features
    about = (clustering.model, kind)
    if about not in vectors:
        model: Any = bundle.load_model(clustering.model)
        codebook = model.codebook.cpu().numpy() if needs_orbit(clustering) else None
        vectors[about] = served_vectors(kind, maps, codebook)
    return clustering.feature_map.apply(vectors[about])
