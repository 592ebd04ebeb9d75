"""Colours that mean something: clusters, Hubble types, early and late. Fixed for ever.

Clusters have the colours of one ramp in the order of their mean T, so that what looks alike is of
like types. Categories of a catalogue have colours that were picked once from the glasbey sets of
colorcet (Kovesi 2015), by largest CIELAB distance among colours of middle lightness, so that they
read on dark and on light; they are written out here so that no library update can change them. For
those who do not see colours, `describe` says in words what a figure shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import CustomJS
from bokeh.plotting import figure

from galaxy_explorer.clustering.summary import MIN_KNOWN, ordered
from galaxy_explorer.explorer.assets import asset

if TYPE_CHECKING:
    from galaxy_explorer.clustering.summary import ClusterSummary

T_RANGE = (-3, 6)
UNKNOWN_COLOUR = "#8b93a1"
SELECTION_COLOUR = "#ffb000"
INKS = ("#10141c", "#ffffff")

CATEGORY_COLOURS = (
    "#2fa1da", "#f90000", "#31d400", "#dd00ff", "#caaa5e", "#ef72aa", "#01bd89", "#4d6eff",
    "#ff7e5d", "#599000", "#c6a3ff", "#db05b1", "#aa6e66", "#ff9e26", "#ff3464", "#13cad1",
    "#6b8752", "#876790", "#b8ba01", "#a754b8", "#007ce2", "#b15e00", "#008579", "#ff018c",
    "#fb7cff", "#f46200", "#03c862", "#fb9ca7", "#8c7700", "#e9a3d4", "#8cc68e", "#168742",
    "#ae6dff", "#cd576b", "#267c95", "#f0a06b", "#8abf5d", "#9e6b3b", "#7e6ebc", "#e2412f",
    "#dbb333", "#99acdd", "#00a316", "#ba5b3f", "#89ba00", "#df57ff", "#ac567c", "#70cf4f",
    "#878eff", "#6ebaaa", "#d482d4", "#ff548e", "#bfbc4d", "#829026", "#cf8c36", "#ff6e75",
    "#d1499e", "#eda590", "#cd87ff", "#7cb1ff", "#a8b869", "#b342ff", "#5b8a33", "#aca06d",
)  # fmt: skip

ORDER_COLOURS = (
    "#a8242f", "#d9652f", "#e6a63a", "#b9c04e", "#74c384", "#38a8b0", "#2f80cf", "#4a52b8",
    "#86409f",
)  # fmt: skip
"""Along the order of clusters: red for the earliest, violet for the latest, lightest between."""

T_COLOURS = (
    "#b72930", "#cd4630", "#e3612e", "#e58b37", "#e5b140",
    "#84c2d2", "#62a8d0", "#328fce", "#3172c5", "#2956bb",
)  # fmt: skip
"""T = -3 (early, red) to T = 6 (late, blue): two ramps in CIELAB, lightest in the middle, that keep
their order for every kind of colour vision."""


def cluster_colours(clusters: Sequence[ClusterSummary]) -> list[str]:
    """Colours #rrggbb of K clusters, by number: their places in the order of mean T.

    Where fewer than 8 members have a T that order is not known: grey, as what is in no cluster.
    """
    known = [cluster for cluster in clusters if cluster.n_ttype >= MIN_KNOWN]
    anchors = np.array([list(bytes.fromhex(colour[1:])) for colour in ORDER_COLOURS], float)
    places = np.linspace(0, len(anchors) - 1, len(known))
    bands = [np.interp(places, np.arange(len(anchors)), band) for band in anchors.T]
    found = [UNKNOWN_COLOUR] * len(clusters)
    for cluster, rgb in zip(ordered(known, "mean T"), np.rint(bands).T.astype(int), strict=True):
        found[cluster.id] = "#" + bytes(rgb.tolist()).hex()
    return found


def category_colours(n: int) -> list[str]:
    """Colours of `n` categories of a catalogue column, in the order of the categories."""
    return [CATEGORY_COLOURS[number % len(CATEGORY_COLOURS)] for number in range(n)]


def type_colour(ttype: float) -> str:
    """Colour of a Hubble type T (clipped to -3..6); unknown for NaN."""
    if np.isnan(ttype):
        return UNKNOWN_COLOUR
    low, high = T_RANGE
    return T_COLOURS[int(np.clip(np.floor(ttype + 0.5), low, high)) - low]


def ink_on(colour: str) -> str:
    """Colour of text on a colour: dark or white, whichever stands out more (WCAG 2.2)."""
    return max(INKS, key=lambda ink: contrast(ink, colour))


def contrast(first: str, second: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of a colour #rrggbb, 0 to 1 (WCAG 2.2)."""
    rgb = np.array(list(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def describe(plot: figure, words: str) -> None:
    """Give a figure its text alternative as soon as it is drawn, and whenever it is laid out."""
    callback = CustomJS(args={"plot": plot, "words": words}, code=asset("describe.js"))
    for name in ("inner_width", "inner_height"):
        plot.js_on_change(name, callback)
