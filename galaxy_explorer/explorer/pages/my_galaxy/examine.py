"""What a bundle makes of a picture that a visitor brings. Works in memory; keeps nothing.

Slow: torch, statmorph and a search through code space. Never call it on the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.classify import (
    Classification,
    Membership,
    Prepared,
    classify_stamps,
    prepare_image,
)
from galaxy_explorer.clustering.neighbours import kth_distance, nearest
from galaxy_explorer.explorer.pictures.display import as_shown
from galaxy_explorer.explorer.search import bundle_sparsity

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

LOOK_ALIKES = 24
UNUSUAL_PERCENTILE = 99.0
ODD_PERCENTILE = 90.0
FLAG_WORDS = {
    0: "good",
    1: "suspect: something is odd, use with care",
    2: "bad: not to be used",
    4: "nothing could be measured",
}
"""statmorph's quality flag in words (Rodriguez-Gomez et al. 2019)."""


@dataclass(frozen=True)
class Measured:
    """C, A, S, Gini and M20 of a stamp and statmorph's flag; linear: in flux, else as stretched."""

    values: dict[str, float]
    flag: int
    linear: bool


@dataclass(frozen=True)
class ImageReport:
    """Everything that is said of one picture.

    reconstruction: (S, S) by the display model, stretched; (S, S, 3) of three bands.
    """

    name: str
    prepared: Prepared
    classification: Classification
    reconstruction: NDArray[np.float32]
    measured: Measured

    @property
    def stamp(self) -> NDArray[np.float32]:
        """What the models see, (S, S) or (S, S, 3)."""
        return np.asarray(as_shown(self.prepared.stamp[None])[0])


def read(bundle: Bundle, source: bytes, name: str, frame: str) -> tuple[Prepared, Measured]:
    """Read and frame a picture, and measure it. Raises BadImage, SettingError."""
    prepared = prepare_image(bundle, source, name=name, frame=frame)
    return prepared, measure(prepared)


def measure(prepared: Prepared) -> Measured:
    """Non-parametric morphology: of the framed flux where there is one, else of the stamp."""
    from galaxy_explorer.emulation.morphology import STATISTICS, measure_one

    linear = prepared.flux is not None
    pixels = prepared.flux if prepared.flux is not None else prepared.stamp
    *values, flag = measure_one(pixels.mean(axis=0)).tolist()
    return Measured(dict(zip(STATISTICS, values, strict=False)), int(flag), linear)


def analyse_image(bundle: Bundle, name: str, prepared: Prepared, measured: Measured) -> ImageReport:
    """Code maps, clusters, places and the reconstruction of a picture; loads torch."""
    found = classify_stamps(bundle, prepared.stamp[None])[0]
    model = bundle.manifest.display_model
    drawn = as_shown(bundle.draw(model, found.models[model].codes[None]))[0]
    return ImageReport(name, prepared, found, drawn, measured)


def look_alikes(
    bundle: Bundle, key: str, membership: Membership
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Galaxies nearest in code space to a picture, and their distances, nearest first."""
    return nearest(bundle.clusterings[key].feature_values, membership.features, LOOK_ALIKES)


def sparsity_percentile(bundle: Bundle, key: str, membership: Membership) -> float:
    """Share (%) of all galaxies whose 15th neighbour is at most as far as that of a picture."""
    known = np.sort(bundle_sparsity(bundle, key))
    far = kth_distance(bundle.clusterings[key].feature_values, membership.features)
    return 100.0 * float(np.searchsorted(known, far, side="right")) / len(known)


def ood_sentence(percentile: float, thin: float) -> str:
    """How unusual a picture is, in a sentence, from two percentiles among known galaxies.

    percentile: of the reconstruction error among training galaxies; thin: of the distance to the
    15th neighbour in code space among all.
    """
    worst = max(percentile, thin)
    if worst > UNUSUAL_PERCENTILE:
        start = "Unlike what the model was trained on: do not trust clusters and probabilities."
    elif worst > ODD_PERCENTILE:
        start = "Unusual, but not without example."
    else:
        start = "Nothing unusual."
    return (
        f"{start} It is reconstructed worse than {percentile:.0f} % of the training galaxies, and"
        f" {thin:.0f} % of all galaxies have near neighbours in code space that are nearer."
    )
