"""A bundle of an encoded survey: the networks of the one that encoded it, and all its galaxies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.bundle.catalogue import column_array
from galaxy_explorer.bundle.clusterings import Clustering
from galaxy_explorer.bundle.files import CARD
from galaxy_explorer.bundle.manifest import MODEL_NAME, ExcerptEntry
from galaxy_explorer.bundle.novelty import novelty_of
from galaxy_explorer.bundle.placing import needs_orbit
from galaxy_explorer.bundle.remaking import OtherGalaxies, write_remade
from galaxy_explorer.clustering.features import index_features
from galaxy_explorer.encoding.parts import DISTANCE, FILLED, UNUSUAL, WORDS
from galaxy_explorer.encoding.run import Encoding
from galaxy_explorer.errors import BundleError, SettingError, SurveyError
from galaxy_explorer.models.registry import AUTOENCODERS

FOUND = ("cluster", "responsibility", "x", "y")
"""Columns of a clustering that a bundle has in its catalogue."""
NOT_KEPT = (UNUSUAL, WORDS, FILLED, DISTANCE)
"""Columns of an encoding that a bundle makes again where it shows them."""


def write_encoded_bundle(bundle: Bundle, encoding: Encoding, out: Path, name: str = "") -> Path:
    """Write what a bundle made of a survey as a bundle: nothing is trained or computed again.

    The models and clusterings are those that were encoded; weights, priors, mixtures and figures
    stay those of the training, but for what was measured of models that are not among them, which
    is left out, as are steered clusterings. name: of the bundle; else that of its folder.

    Raises SettingError where another bundle encoded the survey or no clustering is there,
    SurveyError where parts are missing, BundleError where `out` is something else.
    """
    if encoding.meta["bundle_sha256"] != bundle.hash:
        raise SettingError(
            f"{encoding.path}: was encoded by another bundle than {bundle.path}, or an older"
            " version of it"
        )
    called = name or out.name
    if not MODEL_NAME.fullmatch(called):
        raise SettingError(f"--name {called!r}: small letters, digits and - are expected")
    if out.exists() and not (out / CARD).exists():
        raise BundleError(f"{out}: is there and no bundle; name another folder")
    models = list(encoding.meta["models"])
    all_of = bundle.clusterings
    wanted = [key for key, one in all_of.items() if one.steering is None]
    keys = [key for key in wanted if key in encoding.meta["clusterings"]]
    if not keys:
        raise SettingError(f"{encoding.path}: no clustering there; encode with one")
    galaxies = _Parts(bundle, encoding, models, keys).galaxies()
    ours = bundle.manifest.survey
    origin = ExcerptEntry(
        bundle.name, len(bundle), bundle.hash, ours.fingerprint, encoding.meta["survey"]
    )
    complete = set(models) == set(bundle.models) and keys == wanted
    left = () if complete else ("evaluation", "emulation")
    fingerprint = encoding.meta["fingerprint"]
    return write_remade(
        bundle, out, called, galaxies, origin, fingerprint=fingerprint, left_out=left
    )


@dataclass(frozen=True)
class _Parts:
    """The parts of an encoding, read for a bundle of some models and clusterings."""

    bundle: Bundle
    encoding: Encoding
    models: list[str]
    keys: list[str]

    def galaxies(self) -> OtherGalaxies:
        """All galaxies. Raises SurveyError where parts are missing."""
        stored = [name for name in self.encoding.column_names if self._is_kept(name)]
        judged = [f"{name}/percentile" for name in self.models] + [DISTANCE]
        table = self.encoding.table([*stored, *judged]) if self.encoding.files else pa.table({})
        if len(table) != len(self.encoding):
            raise SurveyError(
                f"{self.encoding.path}: {len(table):,} of {len(self.encoding):,} galaxies are in"
                " its parts; run galaxy-explorer encode again"
            )
        codes = {name: self._codes(name) for name in self.models}
        usual: dict[str, NDArray[np.float32]] = {}
        if novelty_of(self.bundle) is not None:
            far = column_array(table[DISTANCE])
            for name in self.models:
                usual[name] = np.maximum(column_array(table[f"{name}/percentile"]), far)
        columns: dict[str, NDArray[Any] | pa.ChunkedArray] = {n: table[n] for n in stored}
        features = {key: self._features(self.bundle.clusterings[key], codes) for key in self.keys}
        return OtherGalaxies(columns, codes, features, usual)

    def _is_kept(self, name: str) -> bool:
        """Whether a column of the encoding is one of the bundle's catalogue."""
        if "/" not in name:
            return name not in NOT_KEPT
        about, _, last = name.rpartition("/")
        return (about in self.models and last == "error") or (about in self.keys and last in FOUND)

    def _codes(self, name: str) -> NDArray[Any]:
        """Code maps or latents (N, ...) of a model."""
        entry = self.bundle.models[name]
        return self._lists(f"{name}/codes", AUTOENCODERS[entry.kind].code_shape(entry.config))

    def _features(self, one: Clustering, codes: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """Features (N, P) of a clustering: as they were encoded, or made again from codes."""
        if needs_orbit(one):
            return self._lists(f"{one.key}/features", one.mixture.means.shape[1:])
        encoded = codes[one.model]
        if one.feature_map is None:
            return index_features(encoded)
        return one.feature_map.apply(encoded.astype(np.float32))

    def _lists(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """A column of lists of numbers as an array (N, *shape), filled part by part."""
        found: NDArray[Any] | None = None
        start = 0
        for table in self.encoding.tables([name]):
            values = table[name].combine_chunks().flatten().to_numpy().reshape(len(table), *shape)
            if found is None:
                found = np.empty((len(self.encoding), *shape), values.dtype)
            found[start : start + len(table)] = values
            start += len(table)
        return np.empty((0, *shape)) if found is None else found
