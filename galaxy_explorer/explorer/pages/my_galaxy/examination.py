"""What the models make of one picture, and how it is said: words, tables, pictures.

Reading and analysing are slow (torch, statmorph, a search through code space): never call them on
the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.classification import (
    Classification,
    Membership,
    Prepared,
    classify_stamps,
    prepare_image,
)
from galaxy_explorer.clustering.embedding import kth_distance
from galaxy_explorer.errors import SettingError
from galaxy_explorer.explorer.assets import Html, asset, render
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    as_shown,
    has_colour,
    render_stamps,
)
from galaxy_explorer.explorer.plots.clusterings import (
    format_residual,
    residual_pictures,
)
from galaxy_explorer.explorer.plots.palette import (
    SELECTION_COLOUR,
    cluster_colours,
)
from galaxy_explorer.explorer.plots.ttype_histogram import format_mean
from galaxy_explorer.explorer.search import (
    bundle_sparsity,
)
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.detail import RESIDUAL_LIMIT, picture_values

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.classification import Membership, Prepared
    from galaxy_explorer.explorer.state import ExplorerState


LOOK_ALIKES = 24
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
    ttype: T as the bundle's own network reads it, NaN where there is none.
    """

    name: str
    prepared: Prepared
    classification: Classification
    reconstruction: NDArray[np.float32]
    measured: Measured
    ttype: float = float("nan")

    @property
    def stamp(self) -> NDArray[np.float32]:
        """What the models see, (S, S) or (S, S, 3)."""
        return np.asarray(as_shown(self.prepared.stamp[None])[0])


def read(
    bundle: Bundle, source: bytes, name: str, frame: str, asked: tuple[str, str] = ("", "")
) -> tuple[Prepared, Measured]:
    """Read and frame a picture, and measure it; asked: HDU and band as typed, "" to find them.

    Raises BadImage, SettingError.
    """
    hdu, band = asked
    if hdu and not hdu.isdecimal():
        raise SettingError(f"HDU {hdu!r}: give its number, from 0")
    number = int(hdu[:9]) if hdu else None
    prepared = prepare_image(bundle, source, name=name, frame=frame, hdu=number, band=band or None)
    return prepared, measure(prepared)


def measure(prepared: Prepared) -> Measured:
    """Non-parametric morphology: of the framed flux where there is one, else of the stamp."""
    from galaxy_explorer.emulation.morphology import STATISTICS, measure_one
    from galaxy_explorer.survey.photometry import SMALLEST_SIGMA

    linear = prepared.flux is not None
    pixels = prepared.flux if prepared.flux is not None else prepared.stamp
    smallest = 0.0 if linear else SMALLEST_SIGMA
    *values, flag = measure_one(pixels.mean(axis=0), smallest).tolist()
    return Measured(dict(zip(STATISTICS, values, strict=False)), int(flag), linear)


def analyse_image(bundle: Bundle, name: str, prepared: Prepared, measured: Measured) -> ImageReport:
    """Code maps, clusters, places and the reconstruction of a picture; loads torch."""
    found = prepared.described(classify_stamps(bundle, prepared.stamp[None])[0])
    model = bundle.manifest.display_model
    drawn = as_shown(bundle.draw(model, found.models[model].codes[None]))[0]
    return ImageReport(name, prepared, found, drawn, measured, read_ttype(bundle, prepared.stamp))


def read_ttype(bundle: Bundle, stamp: NDArray[np.float32]) -> float:
    """T of a stretched stamp (C, S, S) as the bundle's own network reads it, NaN without one."""
    if bundle.ttype_regressor is None:
        return float("nan")
    from galaxy_explorer.models.ttype_regressor import judge_stamps

    return float(judge_stamps(bundle.load_ttype_regressor().model, stamp[None]).ttype[0])


def look_alikes(
    bundle: Bundle, key: str, membership: Membership, *, own: int = -1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Galaxies nearest in code space to a picture, and their distances, nearest first.

    own: row of the galaxy in the picture where it is one of the bundle's; it is left out.
    """
    neighbours = bundle.clusterings[key].placing.neighbours
    rows, far = neighbours.nearest(membership.features, LOOK_ALIKES + 1)
    others = np.flatnonzero(rows != own)[:LOOK_ALIKES]
    return rows[others], far[others]


def sparsity_percentile(bundle: Bundle, key: str, membership: Membership) -> float:
    """Share (%) of all galaxies whose 15th neighbour is at most as far as that of a picture."""
    known = np.sort(bundle_sparsity(bundle, key))
    far = kth_distance(bundle.clusterings[key].feature_values, membership.features)
    return 100.0 * float(np.searchsorted(known, far, side="right")) / len(known)


def _sentence(found: Classification, answer: str) -> str:
    words = found.out_of_distribution.removeprefix(answer)
    return f"{words[:1].upper()}{words[1:]}."


def ood_sentence(found: Classification, model: str, thin: float) -> str:
    """How unusual a picture is, in a sentence, by the rule of `classify`.

    thin: percentile of the distance to the 15th neighbour in code space among all galaxies.
    """
    percentile = found.models[model].percentile
    if found.unusual:
        start = (
            "Unlike what the model was trained on: do not trust clusters and probabilities."
            f" {_sentence(found, 'yes: ')}"
        )
    elif found.other_scale:
        start = f"Not at the scale of the training. {_sentence(found, 'no, but ')}"
    elif max(percentile, thin) > ODD_PERCENTILE:
        start = "Unusual, but not without example."
    else:
        start = "Nothing unusual."
    others = "the training galaxies"
    if not np.isnan(found.frame_filled):  # the bundle knows which error is usual
        others = "galaxies of as much detail and noise"
    return (
        f"{start} It is reconstructed worse than {percentile:.0f} % of {others}, and {thin:.0f} %"
        " of all galaxies have near neighbours in code space that are nearer."
    )


SHOWN_CLUSTERS = 3
PREVIEW_PIXELS = 256
MEASURES = {
    "concentration": ("C", "concentration"),
    "asymmetry": ("A", "asymmetry"),
    "smoothness": ("S", "smoothness"),
    "gini": ("Gini", "Gini coefficient"),
    "m20": ("M20", "second moment of the brightest 20 % of the flux"),
}
PAGE_STYLES = asset("my_galaxy.css")
EXAMINATION_STYLES = STYLES + PAGE_STYLES


def pictures(found: ImageReport, display: DisplaySettings) -> Html:
    """The picture with its cut, the stamp, the reconstruction and the residual."""
    stamps = np.stack([found.stamp, found.reconstruction])
    seen, drawn = render_stamps(stamps, display)
    residual = residual_pictures((stamps[0] - stamps[1])[None], RESIDUAL_LIMIT)[0]
    height, width = found.prepared.image.shape[1:]
    size = f"{width} × {height} pixels; the square of {found.prepared.side} is cut"
    cut = f"{found.name}: {found.prepared.taken}; {size}"
    scale = format_residual(RESIDUAL_LIMIT, colour=stamps.ndim == 4)
    shown = [
        (preview(found.prepared, display), cut),
        (seen, "What the model sees: framed, resampled and stretched as the survey was"),
        (drawn, "What the model draws of it"),
        (residual, f"Residual: seen − drawn, {scale}"),
    ]
    return render("my_galaxy.pictures", pictures=[picture_values(*one) for one in shown])


def preview(prepared: Prepared, display: DisplaySettings) -> NDArray[np.uint8]:
    """The whole picture, at most 256 pixels wide, with a frame around what is cut."""
    planes = prepared.image  # of a colour picture all, even where the models see one band
    if not has_colour(len(prepared.stamp)):
        planes = planes.mean(axis=0, keepdims=True)
    height, width = planes.shape[1:]
    step = max(1, -(-max(height, width) // PREVIEW_PIXELS))
    settings = display
    if prepared.flux is not None:  # linear flux is all galaxy and no disc unless it is stretched
        own = {name: value for name, value in display.param.values().items() if name != "name"}
        settings = DisplaySettings(**{**own, "stretch": "asinh"})
    shown = render_stamps(as_shown(planes[None, :, ::step, ::step]), settings)[0].copy()
    top, left = (height - prepared.side) // 2 // step, (width - prepared.side) // 2 // step
    bottom, right = top + prepared.side // step - 1, left + prepared.side // step - 1
    colour = [int(SELECTION_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
    shown[[top, bottom], left : right + 1] = colour
    shown[top : bottom + 1, [left, right]] = colour
    return np.asarray(shown)


def verdict(found: ImageReport, line: list[str], model: str, thin: float) -> Html:
    """What the galaxy is, and how unusual the picture is, in a sentence."""
    words = ood_sentence(found.classification, model, thin)
    return render("my_galaxy.verdict", line=line, words=words, unusual=found.classification.unusual)


def probabilities(state: ExplorerState, found: ImageReport) -> Html:
    """The most probable clusters of the picture, for every clustering of the bundle."""
    clusterings = [
        {"words": state.words(key), "picks": picks(state, key, member)}
        for key, member in found.classification.clusterings.items()
    ]
    return render("my_galaxy.probabilities", clusterings=clusterings)


def picks(state: ExplorerState, key: str, member: Membership) -> list[dict[str, str]]:
    """The most probable clusters of a clustering: number, share and mean T of each."""
    clusters, names = state.bundle.clusterings[key].clusters, shown_names(state.bundle, key)
    colours = cluster_colours(clusters)
    best = np.argsort(-member.responsibilities, kind="stable")[:SHOWN_CLUSTERS]
    chosen: list[dict[str, str]] = []
    for cluster in best.tolist():
        share = float(member.responsibilities[cluster])
        if share < 0.005 and chosen:
            break
        words = f"{100 * share:.0f} % {names[cluster].name} (T {format_mean(clusters[cluster])})"
        chosen.append(
            {
                "cluster": str(cluster), "colour": colours[cluster],
                "width": f"{100 * share:.0f}%", "share": words,
            }
        )  # fmt: skip
    return chosen


def morphology(found: ImageReport) -> Html:
    """What statmorph measures, with its flag in words."""
    measured = found.measured
    unit = (
        "in linear flux on the framed stamp"
        if measured.linear
        else "on the stretched stamp: to be compared with stretched stamps, not with the literature"
    )
    measures = []
    for key, (short, words) in MEASURES.items():
        value = measured.values[key]
        text = f"{value:.3f}".replace("-", "−") if np.isfinite(value) else "–"
        measures.append({"short": short, "words": words, "value": text})
    flag = FLAG_WORDS.get(measured.flag, f"flag {measured.flag}")
    note = f"statmorph, {unit}. Flag {measured.flag}: {flag}."
    return render("my_galaxy.morphology", measures=measures, note=note)
