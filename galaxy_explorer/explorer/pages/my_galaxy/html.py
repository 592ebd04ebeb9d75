"""An examined picture as HTML: pictures, words, probabilities, morphology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.pages.my_galaxy.examine import FLAG_WORDS, ImageReport, ood_sentence
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    as_shown,
    has_colour,
    render_stamps,
)
from galaxy_explorer.explorer.plots.clusterings import format_residual, residual_pictures
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR, cluster_colour
from galaxy_explorer.explorer.plots.ttype_histogram import format_mean
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.detail import picture_values

if TYPE_CHECKING:
    from galaxy_explorer.classification import Membership, Prepared
    from galaxy_explorer.explorer.state import ExplorerState

SHOWN_CLUSTERS = 3
PREVIEW_PIXELS = 256
RESIDUAL_LIMIT = 0.1
MEASURES = {
    "concentration": ("C", "concentration"),
    "asymmetry": ("A", "asymmetry"),
    "smoothness": ("S", "smoothness"),
    "gini": ("Gini", "Gini coefficient"),
    "m20": ("M20", "second moment of the brightest 20 % of the flux"),
}
EXAMINATION_STYLES = (
    STYLES
    + """
.shots { display: grid; grid-template-columns: repeat(4, minmax(0, 168px)); gap: 10px; }
.shots figure { margin: 0; }
.shots img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #000;
  border-radius: 4px; image-rendering: pixelated; }
.shots figcaption { font-size: 11.5px; opacity: 0.8; margin-top: 3px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 3px 8px 3px 0; text-align: left; vertical-align: top; font-weight: 400; }
thead th { opacity: 0.72; border-bottom: 1px solid currentColor; }
.share { display: inline-block; width: 86px; height: 8px; margin: 0 6px; border-radius: 2px;
  background: color-mix(in srgb, currentColor 15%, transparent); }
.share i { display: block; height: 100%; border-radius: 2px; }
.pick { white-space: nowrap; margin-right: 14px; display: inline-block; }
.verdict { font-size: 14px; margin: 4px 0 8px; }
"""
)


def pictures(found: ImageReport, display: DisplaySettings) -> Html:
    """The picture with its cut, the stamp, the reconstruction and the residual."""
    stamps = np.stack([found.stamp, found.reconstruction])
    seen, drawn = render_stamps(stamps, display)
    residual = residual_pictures((stamps[0] - stamps[1])[None], RESIDUAL_LIMIT)[0]
    how = "linear flux" if found.prepared.flux is not None else "already stretched"
    height, width = found.prepared.image.shape[1:]
    size = f"{width} × {height} pixels, {how}"
    cut = f"{found.name}: {size}; the square of {found.prepared.side} is cut"
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


def verdict(found: ImageReport, model: str, thin: float) -> Html:
    """How unusual the picture is, in a sentence and by how many models."""
    words = ood_sentence(found.classification.models[model].percentile, thin)
    many = found.classification.out_of_distribution
    agreed = f" Of all models: {many}." if many.startswith("yes") else ""
    return render("my_galaxy.verdict", words=f"{words}{agreed}")


def probabilities(state: ExplorerState, found: ImageReport) -> Html:
    """The most probable clusters of the picture, for every clustering of the bundle."""
    clusterings = [
        {"words": state.words(key), "picks": picks(state, key, member)}
        for key, member in found.classification.clusterings.items()
    ]
    return render("my_galaxy.probabilities", clusterings=clusterings)


def picks(state: ExplorerState, key: str, member: Membership) -> list[dict[str, str]]:
    """The most probable clusters of a clustering: number, share and mean T of each."""
    clusters = state.bundle.clusterings[key].clusters
    best = np.argsort(-member.responsibilities, kind="stable")[:SHOWN_CLUSTERS]
    chosen: list[dict[str, str]] = []
    for cluster in best.tolist():
        share = float(member.responsibilities[cluster])
        if share < 0.005 and chosen:
            break
        words = f"{100 * share:.0f} % (T {format_mean(clusters[cluster])})"
        chosen.append(
            {
                "cluster": str(cluster), "colour": cluster_colour(cluster),
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
