"""What a bundle says of one image, and of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.bundle import Bundle
from galaxy_explorer.bundle.placing import ALL, Choice, choose, read_stamps
from galaxy_explorer.classification.written import make_table, write_table
from galaxy_explorer.survey.store import taken_lines

if TYPE_CHECKING:
    from astropy.table import Table


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

    notes: what was left out of the folders that were named, and why. choice: what was computed,
    None for everything.
    """

    bundle: Bundle
    records: tuple[Classification, ...]
    notes: tuple[str, ...] = ()
    choice: Choice | None = None

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
        return make_table(self.bundle, self.records, self.choice)

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


def classify_stamps(
    bundle: Bundle, stamps: np.ndarray, choice: Choice | None = None
) -> list[Classification]:
    """Classify stamps (N, C, S, S) that are framed and stretched as the bundle's survey.

    choice: what is computed, else all.
    """
    read = read_stamps(bundle, stamps, choice or choose(bundle, [ALL]))
    best = {key: one.shares.argmax(1) for key, one in read.placements.items()}
    return [
        Classification(
            "",
            out_of_distribution=verdict.words,
            frame_filled=verdict.filled,
            other_scale=bool(verdict.scale),
            models={
                name: ModelReading(made[i], float(read.errors[name][i]), verdict.percentiles[name])
                for name, made in read.codes.items()
            },
            clusterings={
                key: Membership(
                    int(best[key][i]),
                    float(one.shares[i, best[key][i]]),
                    one.shares[i],
                    float(one.places[i, 0]),
                    float(one.places[i, 1]),
                    one.features[i],
                )
                for key, one in read.placements.items()
            },
        )
        for i, verdict in enumerate(read.verdicts)
    ]
