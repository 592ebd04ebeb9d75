"""New galaxies against a bundle: code map, clusters, place on the maps, reconstruction error.

Their table is written as CSV, ECSV, FITS or Parquet, by the file's extension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle import Bundle, Clustering
from galaxy_explorer.bundle.novelty import judge_stamps
from galaxy_explorer.clustering.features import index_features, serve_features
from galaxy_explorer.errors import BadImage, SettingError
from galaxy_explorer.survey.catalog import CatalogRow
from galaxy_explorer.survey.folders import list_pictures
from galaxy_explorer.survey.images import AS_STORED, Image, read_image, same_band
from galaxy_explorer.survey.photometry import bands_of
from galaxy_explorer.survey.preprocessing import ArcsinhStretch, Frame
from galaxy_explorer.survey.scales import same_scale
from galaxy_explorer.survey.stamps import IngestOptions, make_stamp
from galaxy_explorer.survey.store import taken_lines
from galaxy_explorer.utils.tables import write_table as checked_table

if TYPE_CHECKING:
    from astropy.table import Table

BATCH = 32


@dataclass(frozen=True)
class ModelReading:
    """One autoencoder's view of an image.

    codes: code map (h, w), or latents (64,) where there is no codebook. error: mean squared error
    of the reconstruction in stretched units; percentile: of that among galaxies of as much detail
    and noise, or among the training galaxies where the bundle does not know better.
    """

    codes: np.ndarray = field(repr=False)
    error: float
    percentile: float


@dataclass(frozen=True)
class Membership:
    """One clustering's view of an image: cluster, its probability, all of them (K,), place.

    features: (P,) in the clustering's code space.
    """

    cluster: int
    probability: float
    responsibilities: np.ndarray = field(repr=False)
    x: float
    y: float
    features: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Classification:
    """What a bundle says of one image; `reason` says why an image could not be used.

    taken: HDU, planes and unit that were read, in words.

    models: by name; clusterings: by key. out_of_distribution: "no", or "yes" with the reason.
    frame_filled: size in the frame over what is usual among the training galaxies, NaN if unknown;
    other_scale: whether it is so small or large that another frame is worth a try.
    """

    file: str
    reason: str = ""
    out_of_distribution: str = ""
    models: dict[str, ModelReading] = field(default_factory=dict)
    clusterings: dict[str, Membership] = field(default_factory=dict)
    taken: str = ""
    frame_filled: float = math.nan
    other_scale: bool = False

    def __repr__(self) -> str:
        found = f"{len(self.models)} models, {len(self.clusterings)} clusterings"
        return f"<Classification of {self.file or 'a stamp'}: {self.reason or found}>"

    @property
    def unusual(self) -> bool:
        """Whether it is unlike the training galaxies."""
        return self.out_of_distribution.startswith("yes")


@dataclass(frozen=True, eq=False, repr=False)
class Classifications(Sequence[Classification]):
    """What a bundle says of images, in their order; see `table`.

    notes: what was left out of the folders that were named, and why.
    """

    bundle: Bundle
    records: tuple[Classification, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Any) -> Any:
        return self.records[index]

    def __repr__(self) -> str:
        return (
            f"<Classifications by {self.bundle.name}: {len(self) - len(self.rejected)} images,"
            f" {len(self.unusual)} unlike the training galaxies, {len(self.rejected)} not usable>"
        )

    @property
    def rejected(self) -> dict[str, str]:
        """Why images could not be used, by file."""
        return {record.file: record.reason for record in self if record.reason}

    @property
    def unusual(self) -> list[str]:
        """Files of the galaxies that are unlike the training galaxies."""
        return [record.file for record in self if record.unusual]

    @property
    def taken_words(self) -> list[str]:
        """What was read of how many images."""
        return taken_lines([record.taken for record in self])

    @cached_property
    def table(self) -> Table:
        """One row an image. Where there is no number: NaN, cluster -1, empty text."""
        return make_table(self.bundle, self.records)

    def write(self, out: str | Path) -> list[Path]:
        """Write the table, .csv, .ecsv, .fits or .parquet; returns what was written.

        Raises SettingError for another extension.
        """
        return write_table(self.table, Path(out))

    def to_dict(self) -> dict[str, Any]:
        """Everything of the table as JSON values; null where there is no number."""
        return {
            "bundle": self.bundle.name,
            "bundle_sha256": self.bundle.hash,
            "classified": len(self) - len(self.rejected),
            "unusual": len(self.unusual),
            "rejected": len(self.rejected),
            "notes": list(self.notes),
            "images": [
                {
                    "file": record.file,
                    "reason": record.reason,
                    "taken": record.taken,
                    "out_of_distribution": record.out_of_distribution,
                    "frame_filled": None if math.isnan(f := record.frame_filled) else f,
                    "models": {
                        name: {
                            "codes": reading.codes.tolist(),
                            "error": reading.error,
                            "percentile": reading.percentile,
                        }
                        for name, reading in record.models.items()
                    },
                    "clusterings": {
                        key: {
                            "cluster": member.cluster,
                            "cluster_name": self.bundle.cluster_names(key)[member.cluster].name,
                            "probability": member.probability,
                            "x": member.x,
                            "y": member.y,
                            "probabilities": member.responsibilities.tolist(),
                        }
                        for key, member in record.clusterings.items()
                    },
                }
                for record in self
            ],
        }


def classify_images(
    bundle: Bundle,
    paths: Sequence[str | Path],
    *,
    frame: str = "auto",
    hdu: int | None = None,
    band: str | None = None,
) -> Iterator[Classification]:
    """Classify image files one after the other, in batches; a bad one yields its reason.

    frame: "whole" resamples the largest central square; a number cuts that many central pixels
    first; "auto" frames the galaxy by its measured size where the bundle's survey was, else in
    linear FITS at 1.25 of its extent, and takes 8-bit pictures whole. hdu: extension of a FITS
    file, else the one that is the picture. band: planes of a cube, else the bundle's own where
    the header names them. Raises SettingError for another frame.
    """
    check_frame(frame)
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        images: dict[int, Prepared] = {}
        reasons: dict[int, str] = {}
        for i, path in enumerate(batch):
            try:
                images[i] = prepare_image(bundle, path, frame=frame, hdu=hdu, band=band)
            except BadImage as error:
                reasons[i] = error.reason
        stamps = [prepared.stamp for prepared in images.values()]
        found = iter(classify_stamps(bundle, np.stack(stamps)) if stamps else ())
        for i, path in enumerate(batch):
            name = str(path)
            if i in reasons:
                yield Classification(name, reason=reasons[i])
            else:
                yield images[i].described(replace(next(found), file=name))


def expand(
    patterns: Iterable[str | Path], said: Callable[[str], object] = lambda _: None
) -> list[Path]:
    """Files named by paths, shell patterns, or folders (every picture below them), in order.

    said: is told what was left out of each folder, and why.
    """
    files: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            listing = list_pictures(path)
            files += sorted(path / name for name in listing.pictures)
            for words in listing.words():
                said(f"{path}: {words}")
        elif path.exists() or not any(mark in str(pattern) for mark in "*?["):
            files.append(path)
        else:
            root = Path(path.anchor) if path.is_absolute() else Path()
            files += sorted(root.glob(str(path.relative_to(path.anchor))))
    return list(dict.fromkeys(files))


@dataclass(frozen=True)
class Prepared:
    """An image as the models of a bundle see it.

    stamp: (C, S, S) float32, stretched. flux: the same before the stretch, None where the image
    came stretched. image: (C, H, W) as read, row 0 on top. side: pixels of its central square that
    were taken. taken: HDU, planes and unit in words.
    """

    stamp: np.ndarray
    flux: np.ndarray | None
    image: np.ndarray
    side: int
    taken: str = ""

    def described(self, found: Classification) -> Classification:
        """What was found of its stamp, with what was taken and which frame to try instead."""
        words = found.out_of_distribution
        if found.other_scale:
            pixels = round(self.side * found.frame_filled)
            fits = 8 <= pixels <= min(self.image.shape[1:])
            hint = (
                f"take its central {pixels} pixels (--frame {pixels})"
                if fits
                else "a wider picture is needed"
            )
            words = f"{words}; {hint}"
        return replace(found, taken=self.taken, out_of_distribution=words)


def prepare_image(
    bundle: Bundle,
    source: str | Path | bytes,
    *,
    name: str = "",
    frame: str = "auto",
    hdu: int | None = None,
    band: str | None = None,
) -> Prepared:
    """Read, frame, resample and, where linear, stretch an image as the bundle's own survey was.

    frame, hdu and band: as in `classify_images`. Raises BadImage for what cannot be used,
    SettingError for another frame.
    """
    check_frame(frame)
    name = name or (str(source) if not isinstance(source, bytes) else "image")
    survey = bundle.manifest.survey
    image = read_image(source, name=name, hdu=hdu)
    pixels = float(frame) if frame.isdecimal() else None
    height, width = image.data.shape[1:]
    if pixels and pixels > min(height, width):
        raise BadImage(name, f"{width} x {height} px is less than --frame {pixels:.0f}")
    chosen: Frame = "whole"
    if frame == "auto":
        chosen = "measured" if survey.frame == "measured" else "auto" if image.linear else "whole"
    if not survey.orientation and survey.stretch.get("state") == "linear":
        image = replace(image, turn=AS_STORED)  # as the bundle's own FITS were
    size = survey.stamp_size
    row = CatalogRow(0, name, name, math.nan, math.nan, math.nan)
    # With a scale of 1 arcsec a pixel the cut is counted in pixels.
    try:
        planes = band or _bundle_band(image, survey.band or "", survey.channels)
        options = IngestOptions(size=size, band=planes, frame=chosen)
        made = make_stamp(replace(image, pixel_scale_arcsec=1.0), row, options, cut=pixels)
    except BadImage as error:
        raise BadImage(name, error.reason) from error
    if len(made.pixels) != survey.channels:
        raise BadImage(name, _channel_words(len(made.pixels), survey.channels, survey.band or "?"))
    shown, side = image.turned().data, round(made.scale * size)
    taken = made.taken + _scale_words(image.pixel_scale_arcsec, survey.pixel_scale_arcsec)
    if made.state == "arcsinh":
        return Prepared(made.pixels, None, shown, side, taken)
    stored = survey.stretch
    stretch = ArcsinhStretch(stored["softening"], stored["scale"], stored["pedestal"])
    stamp = np.asarray(stretch.apply(made.pixels, made.skies, made.sigmas), np.float32)
    return Prepared(stamp, made.pixels, shown, side, taken)


def _channel_words(found: int, expected: int, bands: str) -> str:
    """Why a picture with another number of bands than those of the bundle's survey is no use."""
    have, need = (f"{n} band{'s' * (n != 1)}" for n in (found, expected))
    return (
        f"has {have}, the galaxies of this bundle have {need} ({bands}): give a picture in them, or"
        f" take a bundle of {have}"
    )


def _scale_words(stated: float | None, known: float | None) -> str:
    """What to say of an image at another pixel scale than the stamps of the bundle's survey."""
    if stated is None or known is None or same_scale(stated, known):
        return ""
    return f"; {stated:.4g} arcsec/px, the stamps of the bundle {known:.4g}"


def _bundle_band(image: Image, band: str, channels: int) -> str:
    """Planes that the bundle's survey has, by name where the header names planes, else as of JPEG.

    Raises BadImage where the names of a cube are not those of the bundle.
    """
    wanted = bands_of(band)
    if len(image.data) == 1 < channels:
        raise BadImage("", _channel_words(1, channels, band or "?"))
    if len(image.data) == 1 or not image.bands:
        return "rgb" if channels == 3 else "g"
    if len(wanted) == channels and all(any(same_band(w, b) for b in image.bands) for w in wanted):
        return ",".join(wanted)
    if channels == 3 == len(image.data):
        return "rgb"
    have = ", ".join(image.bands)
    raise BadImage("", f"has the planes {have}, not the bundle's {band or '?'}; choose by --band")


def check_frame(frame: str) -> None:
    """Raise SettingError for a frame that is not "auto", "whole" or a number of pixels from 8."""
    if frame not in {"auto", "whole"} and not (frame.isdecimal() and int(frame) >= 8):
        raise SettingError(f"--frame {frame}: auto, whole or a number of pixels from 8")


def classify_stamps(bundle: Bundle, stamps: np.ndarray) -> list[Classification]:
    """Classify stamps (N, C, S, S) that are framed and stretched as the bundle's survey."""
    from galaxy_explorer.models.inference import encode_stamps, reconstruction_errors

    codes, errors = {}, {}
    for name in bundle.models:
        model = bundle.load_model(name)
        codes[name] = encode_stamps(model, stamps)
        errors[name] = reconstruction_errors(model, stamps, codes[name])
    memberships = {
        key: _memberships(bundle, clustering, stamps, codes[clustering.model])
        for key, clustering in bundle.clusterings.items()
    }
    for key, clustering in bundle.clusterings.items():
        if clustering.steering is not None:  # it has the map of the features that it was made of
            own, base = memberships[key], f"{clustering.model}/{clustering.features}"
            memberships[key] = [
                replace(one, x=placed.x, y=placed.y)
                for one, placed in zip(own, memberships[base], strict=True)
            ]
    return [
        Classification(
            "",
            out_of_distribution=verdict.words,
            frame_filled=verdict.filled,
            other_scale=bool(verdict.scale),
            models={
                name: ModelReading(made[i], float(errors[name][i]), verdict.percentiles[name])
                for name, made in codes.items()
            },
            clusterings={key: made[i] for key, made in memberships.items()},
        )
        for i, verdict in enumerate(judge_stamps(bundle, stamps, errors))
    ]


def _memberships(
    bundle: Bundle, clustering: Clustering, stamps: np.ndarray, codes: np.ndarray
) -> list[Membership]:
    """What a clustering says of new galaxies, from features made as those of its own were."""
    if clustering.feature_map is None:
        features = index_features(codes)
    elif clustering.features == "latents":
        features = clustering.feature_map.apply(codes.astype(np.float32))
    else:
        from galaxy_explorer.models.inference import encode_orbit

        model: Any = bundle.load_model(clustering.model)
        maps, codebook = encode_orbit(model, stamps), model.codebook.cpu().numpy()
        features = serve_features(clustering.features, maps, codebook, clustering.feature_map)
    shares = clustering.mixture.responsibilities(features)
    places = clustering.placing.place(features)
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


FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", ".fits": "fits", ".parquet": "parquet"}


def table_format(path: Path) -> str:
    """Name of the astropy format of a path. Raises SettingError for another extension."""
    if path.suffix not in FORMATS:
        raise SettingError(f"--out {path}: the extension must be one of {', '.join(FORMATS)}")
    return FORMATS[path.suffix]


def codes_text(codes: np.ndarray, num_embeddings: int) -> str:
    """A code map row by row in hexadecimal, as many digits a code as the largest one needs.

    It starts with "x", or a program that reads the CSV would take some maps for numbers.
    """
    digits = len(f"{num_embeddings - 1:x}")
    return "x" + "".join(f"{code:0{digits}x}" for code in codes.ravel().tolist())


def make_table(bundle: Bundle, records: Sequence[Classification]) -> Table:
    """One row an image. Where there is no number: NaN, cluster -1, empty text."""
    from astropy.table import Table

    table = Table()
    for name in ("file", "reason", "out_of_distribution", "taken"):
        table[name] = np.array([getattr(record, name) for record in records], dtype=str)
    table["frame_filled"] = np.array([record.frame_filled for record in records])
    for name, entry in bundle.models.items():
        readings = [record.models.get(name) for record in records]
        size = entry.config.get("num_embeddings")
        if size is not None:  # latents, where there is no codebook, stay out
            maps = ["" if r is None else codes_text(r.codes, size) for r in readings]
            table[f"{name}/codes"] = np.array(maps, dtype=str)
        for about in ("error", "percentile"):
            values = [np.nan if r is None else getattr(r, about) for r in readings]
            table[f"{name}/{about}"] = np.array(values)
    for key, clustering in bundle.clusterings.items():
        members = [record.clusterings.get(key) for record in records]
        clusters = [-1 if m is None else m.cluster for m in members]
        table[f"{key}/cluster"] = np.array(clusters, dtype=np.int16)
        names = [one.name for one in bundle.cluster_names(key)]
        called = ["" if cluster < 0 else names[cluster] for cluster in clusters]
        table[f"{key}/cluster_name"] = np.array(called, dtype=str)
        for about in ("probability", "x", "y"):
            values = [np.nan if m is None else getattr(m, about) for m in members]
            table[f"{key}/{about}"] = np.array(values)
        shares = np.full((len(records), clustering.mixture.n_components), np.nan)
        for i, member in enumerate(members):
            if member is not None:
                shares[i] = member.responsibilities
        table[f"{key}/probabilities"] = shares
    table.meta["bundle"] = bundle.name
    table.meta["bundle_sha256"] = bundle.hash
    return table


def write_table(table: Table, path: Path) -> list[Path]:
    """Write the table; CSV knows no vectors, so they go to `<name>-probabilities.csv` beside it.

    That has one row for each file and clustering, one column for each cluster.
    """
    from astropy.table import Table

    if table_format(path) != "ascii.csv":
        checked_table(table, path)
        return [path]
    vectors = [name for name in table.colnames if table[name].ndim > 1]
    plain = table.copy(copy_data=False)
    plain.remove_columns(vectors)
    checked_table(plain, path)
    long = Table()
    long["file"] = np.tile(np.asarray(table["file"]), len(vectors))
    names = [name.removesuffix("/probabilities") for name in vectors]
    long["clustering"] = np.repeat(np.array(names, dtype=str), len(table))
    width = max((table[name].shape[1] for name in vectors), default=0)
    values = np.full((len(long), width), np.nan)
    for i, name in enumerate(vectors):
        values[i * len(table) : (i + 1) * len(table), : table[name].shape[1]] = table[name]
    for cluster in range(width):
        long[f"p{cluster}"] = values[:, cluster]
    beside = path.with_name(f"{path.stem}-probabilities.csv")
    checked_table(long, beside)
    return [path, beside]
