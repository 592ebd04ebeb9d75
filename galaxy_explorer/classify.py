"""New galaxies against a bundle: code map, clusters, place on the maps, reconstruction error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_explorer.bundle import Bundle, Clustering
from galaxy_explorer.clustering.embedding import place_on_map
from galaxy_explorer.clustering.features import index_features
from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.survey.images import SUFFIXES, read_image
from galaxy_explorer.survey.ingest import IngestOptions, make_stamp
from galaxy_explorer.survey.preprocessing import ArcsinhStretch
from galaxy_explorer.survey.rows import Row

if TYPE_CHECKING:
    from galaxy_explorer.models.vqvae import VQVAE

BATCH = 32
UNUSUAL_PERCENTILE = 99.0


@dataclass(frozen=True)
class ModelReading:
    """One autoencoder's view of an image: code map (h, w), mean squared error of the
    reconstruction in stretched units, and the percentile of that among the training galaxies.
    """

    codes: np.ndarray
    error: float
    percentile: float


@dataclass(frozen=True)
class Membership:
    """One clustering's view of an image: cluster, its probability, all of them (K,), place."""

    cluster: int
    probability: float
    responsibilities: np.ndarray
    x: float
    y: float


@dataclass(frozen=True)
class Classification:
    """What a bundle says of one image; `reason` says why an image could not be used."""

    file: str
    reason: str = ""
    out_of_distribution: str = ""
    models: dict[str, ModelReading] = field(default_factory=dict)
    clusterings: dict[str, Membership] = field(default_factory=dict)


def classify_images(
    bundle: Bundle, paths: Sequence[str | Path], *, frame: str = "auto", hdu: int | None = None
) -> Iterator[Classification]:
    """Classify image files one after the other, in batches; a bad one yields its reason.

    frame: "whole" resamples the largest central square; a number cuts that many central pixels
    first; "auto" frames the galaxy in linear FITS at 1.25 of its extent, as the training stamps
    are, and takes 8-bit pictures whole. hdu: extension of a FITS file, else its first image.
    Raises SettingError for another frame.
    """
    prepare = _Preparation(bundle, frame, hdu)
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        stamps: dict[int, np.ndarray] = {}
        reasons: dict[int, str] = {}
        for i, path in enumerate(batch):
            try:
                stamps[i] = prepare.stamp(path)
            except BadImage as error:
                reasons[i] = error.reason
        found = iter(classify_stamps(bundle, np.stack(list(stamps.values()))) if stamps else ())
        for i, path in enumerate(batch):
            name = str(path)
            if i in reasons:
                yield Classification(name, reason=reasons[i])
            else:
                yield replace(next(found), file=name)


def expand(patterns: Iterable[str]) -> list[Path]:
    """Files named by paths, shell patterns, or folders (every picture below them), in order."""
    files: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = (p for p in path.rglob("*") if p.is_file() and _is_picture(p))
            files += sorted(found)
        elif path.exists() or not any(mark in pattern for mark in "*?["):
            files.append(path)
        else:
            root = Path(path.anchor) if path.is_absolute() else Path()
            files += sorted(root.glob(str(path.relative_to(path.anchor))))
    return list(dict.fromkeys(files))


def _is_picture(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz").removesuffix(".bz2")
    return name.endswith(SUFFIXES)


class _Preparation:
    """From a file to a stamp as the bundle's own survey has them: (C, S, S) float32, stretched."""

    def __init__(self, bundle: Bundle, frame: str, hdu: int | None) -> None:
        survey = bundle.manifest["survey"]
        stored = survey["stretch"]
        self._stretch = ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
        self._size, self._channels = survey["stamp_size"], survey["channels"]
        self._frame, self._hdu = frame, hdu
        if frame not in {"auto", "whole"} and not (frame.isdecimal() and int(frame) >= 8):
            raise SettingError(f"--frame {frame}: auto, whole or a number of pixels from 8")

    def stamp(self, path: str | Path) -> np.ndarray:
        """Read, frame, resample and, where linear, stretch. Raises BadImage."""
        image = read_image(path, hdu=self._hdu)
        band = "rgb" if self._channels == 3 else "g"
        pixels = float(self._frame) if self._frame.isdecimal() else None
        auto = self._frame == "auto" and image.linear
        options = IngestOptions(size=self._size, band=band, frame="auto" if auto else "whole")
        row = Row(0, str(path), str(path), math.nan, math.nan, math.nan)
        # With a scale of 1 arcsec a pixel the cut is counted in pixels.
        if pixels and pixels > min(image.data.shape[1:]):
            height, width = image.data.shape[1:]
            raise BadImage(str(path), f"{width} x {height} px is less than --frame {pixels:.0f}")
        made = make_stamp(replace(image, pixel_scale_arcsec=1.0), row, options, cut=pixels)
        if len(made.pixels) != self._channels:
            raise BadImage(str(path), f"{len(made.pixels)} channels, {self._channels} are expected")
        if made.state == "arcsinh":
            return made.pixels
        stretched = self._stretch.apply(made.pixels, made.sky, made.sky_sigma)
        return np.asarray(stretched, dtype=np.float32)


def classify_stamps(bundle: Bundle, stamps: np.ndarray) -> list[Classification]:
    """Classify stamps (N, C, S, S) that are framed and stretched as the bundle's survey."""
    readings = {name: _read(bundle, name, stamps) for name in bundle.models}
    memberships = {
        key: _join(bundle, clustering, stamps, readings[clustering.model])
        for key, clustering in bundle.clusterings.items()
    }
    results = []
    for i in range(len(stamps)):
        models = {name: made[i] for name, made in readings.items()}
        words = _in_words([reading.percentile for reading in models.values()])
        members = {key: made[i] for key, made in memberships.items()}
        results.append(
            Classification("", out_of_distribution=words, models=models, clusterings=members)
        )
    return results


def _read(bundle: Bundle, name: str, stamps: np.ndarray) -> list[ModelReading]:
    from galaxy_explorer.models.inference import encode_stamps, reconstruction_errors

    model = bundle.load_model(name)
    codes = encode_stamps(model, stamps)
    errors = reconstruction_errors(model, stamps, codes)
    known = _training_errors(bundle, name)
    below = 100 * np.searchsorted(known, errors) / len(known)
    return [ModelReading(codes[i], float(errors[i]), float(below[i])) for i in range(len(stamps))]


def _training_errors(bundle: Bundle, name: str) -> np.ndarray:
    """Reconstruction errors of the training galaxies, ascending."""
    train = bundle.column("split") == "train"
    return np.sort(bundle.column(f"{name}/error")[train])


def _join(
    bundle: Bundle, clustering: Clustering, stamps: np.ndarray, readings: list[ModelReading]
) -> list[Membership]:
    if clustering.feature_map is None:
        features = index_features(np.stack([reading.codes for reading in readings]))
    else:
        model = bundle.load_model(clustering.model)
        features = clustering.feature_map.apply(_orbit_mean(model, stamps))
    shares = clustering.mixture.responsibilities(features)
    places = place_on_map(features, clustering.feature_values, clustering.coordinates)
    best = shares.argmax(1)
    return [
        Membership(
            int(best[i]), float(shares[i, best[i]]), shares[i], float(place[0]), float(place[1])
        )
        for i, place in enumerate(places)
    ]


def _orbit_mean(model: VQVAE, stamps: np.ndarray) -> np.ndarray:
    from galaxy_explorer.models.inference import orbit_mean_vectors

    return orbit_mean_vectors(model, stamps)


def _in_words(percentiles: list[float]) -> str:
    """The out-of-distribution flag: unusual if so for at least half of the models."""
    high = sum(percentile > UNUSUAL_PERCENTILE for percentile in percentiles)
    many = len(percentiles)
    if 2 * high < many:
        return "no"
    return (
        f"yes: {high} of {many} models reconstruct it worse than"
        f" {UNUSUAL_PERCENTILE:.0f} % of the training galaxies"
    )
