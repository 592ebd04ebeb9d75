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
from galaxy_explorer.clustering.features import index_features, serve_features
from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.images import SUFFIXES, read_image
from galaxy_explorer.survey.ingest import IngestOptions, make_stamp
from galaxy_explorer.survey.preprocessing import ArcsinhStretch

if TYPE_CHECKING:
    from galaxy_explorer.models.protocols import Autoencoder

BATCH = 32
UNUSUAL_PERCENTILE = 99.0


@dataclass(frozen=True)
class ModelReading:
    """One autoencoder's view of an image.

    codes: code map (h, w), or latents (64,) where there is no codebook. error: mean squared error
    of the reconstruction in stretched units; percentile: of that among the training galaxies.
    """

    codes: np.ndarray
    error: float
    percentile: float


@dataclass(frozen=True)
class Membership:
    """One clustering's view of an image: cluster, its probability, all of them (K,), place.

    features: (P,) in the clustering's code space.
    """

    cluster: int
    probability: float
    responsibilities: np.ndarray
    x: float
    y: float
    features: np.ndarray


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
    check_frame(frame)
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        stamps: dict[int, np.ndarray] = {}
        reasons: dict[int, str] = {}
        for i, path in enumerate(batch):
            try:
                stamps[i] = prepare_image(bundle, path, frame=frame, hdu=hdu).stamp
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


@dataclass(frozen=True)
class Prepared:
    """An image as the models of a bundle see it.

    stamp: (C, S, S) float32, stretched. flux: the same before the stretch, None where the image
    came stretched. image: (C, H, W) as read. side: pixels of its central square that were taken.
    """

    stamp: np.ndarray
    flux: np.ndarray | None
    image: np.ndarray
    side: int


def prepare_image(
    bundle: Bundle,
    source: str | Path | bytes,
    *,
    name: str = "",
    frame: str = "auto",
    hdu: int | None = None,
) -> Prepared:
    """Read, frame, resample and, where linear, stretch an image as the bundle's own survey was.

    frame and hdu: as in `classify_images`. Raises BadImage for what cannot be used, SettingError
    for another frame.
    """
    check_frame(frame)
    name = name or (str(source) if not isinstance(source, bytes) else "image")
    survey = bundle.manifest.survey
    image = read_image(source, name=name, hdu=hdu)
    pixels = float(frame) if frame.isdecimal() else None
    height, width = image.data.shape[1:]
    if pixels and pixels > min(height, width):
        raise BadImage(name, f"{width} x {height} px is less than --frame {pixels:.0f}")
    auto = frame == "auto" and image.linear
    band, size = "rgb" if survey.channels == 3 else "g", survey.stamp_size
    options = IngestOptions(size=size, band=band, frame="auto" if auto else "whole")
    row = CatalogRow(0, name, name, math.nan, math.nan, math.nan)
    # With a scale of 1 arcsec a pixel the cut is counted in pixels.
    made = make_stamp(replace(image, pixel_scale_arcsec=1.0), row, options, cut=pixels)
    if len(made.pixels) != survey.channels:
        raise BadImage(name, f"{len(made.pixels)} channels, {survey.channels} are expected")
    side = round(made.scale * size)
    if made.state == "arcsinh":
        return Prepared(made.pixels, None, image.data, side)
    stored = survey.stretch
    stretch = ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
    stamp = np.asarray(stretch.apply(made.pixels, made.sky, made.sky_sigma), np.float32)
    return Prepared(stamp, made.pixels, image.data, side)


def check_frame(frame: str) -> None:
    """Raise SettingError for a frame that is not "auto", "whole" or a number of pixels from 8."""
    if frame not in {"auto", "whole"} and not (frame.isdecimal() and int(frame) >= 8):
        raise SettingError(f"--frame {frame}: auto, whole or a number of pixels from 8")


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
        words = _format_percentiles([reading.percentile for reading in models.values()])
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
    features = _features(bundle, clustering, stamps, readings)
    shares = clustering.mixture.responsibilities(features)
    places = place_on_map(features, clustering.feature_values, clustering.coordinates)
    best = shares.argmax(1)
    return [
        Membership(
            int(best[i]),
            float(shares[i, best[i]]),
            shares[i],
            float(place[0]),
            float(place[1]),
            features[i],
        )
        for i, place in enumerate(places)
    ]


def _features(
    bundle: Bundle, clustering: Clustering, stamps: np.ndarray, readings: list[ModelReading]
) -> np.ndarray:
    """Features (N, P) of new galaxies, made as those of the bundle's own were."""
    codes = np.stack([reading.codes for reading in readings])
    if clustering.feature_map is None:
        return index_features(codes)
    if clustering.features == "latents":
        return clustering.feature_map.apply(codes.astype(np.float32))
    model = bundle.load_model(clustering.model)
    maps, codebook = _orbit(model, stamps), model.codebooks[0].cpu().numpy()
    return serve_features(clustering.features, maps, codebook, clustering.feature_map)


def _orbit(model: Autoencoder, stamps: np.ndarray) -> np.ndarray:
    from galaxy_explorer.models.inference import encode_orbit

    return encode_orbit(model, stamps)


def _format_percentiles(percentiles: list[float]) -> str:
    """The out-of-distribution flag: unusual if so for at least half of the models."""
    high = sum(percentile > UNUSUAL_PERCENTILE for percentile in percentiles)
    many = len(percentiles)
    if 2 * high < many:
        return "no"
    return (
        f"yes: {high} of {many} models reconstruct it worse than"
        f" {UNUSUAL_PERCENTILE:.0f} % of the training galaxies"
    )
