"""What colours a galaxy: its cluster, its Hubble type, or any column of the catalogue.

The legend says in a line of HTML what the colours mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from bokeh.palettes import Viridis256
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.plots.palette import (
    CLUSTER_COLOURS,
    T_COLOURS,
    T_RANGE,
    UNKNOWN_COLOUR,
    category_colours,
    cluster_colour,
    ink_on,
)
from galaxy_explorer.explorer.wording import column_unit

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle


KEPT_COLOURINGS = 16
"""Colourings kept ready for all visitors: one is 4 bytes a galaxy."""
COLOUR_PERCENTILES = (2, 98)
"""Limits of the colours of a numeric column: outliers must not take all the colours."""


@dataclass(frozen=True)
class Colouring:
    """Colour of each galaxy: values (N,) float32, NaN unknown, and the colours they run through.

    categories: names of whole values 0, 1, ...; empty for a numeric column between low and high.
    """

    values: NDArray[np.float32]
    palette: tuple[str, ...]
    low: float
    high: float
    categories: tuple[str, ...] = ()

    def rgb(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Colours (n, 3) of catalogue rows."""
        n = len(self.palette)
        values = self.values[rows]
        known = np.isfinite(values)
        place = (np.where(known, values, self.low) - self.low) / (self.high - self.low) * n
        place = np.where(known, np.clip(place, 0, n - 1), n).astype(np.int64)
        return np.asarray(_rgb_table((*self.palette, UNKNOWN_COLOUR))[place])


@cache
def _rgb_table(palette: tuple[str, ...]) -> NDArray[np.uint8]:
    return np.array([list(bytes.fromhex(colour[1:])) for colour in palette], np.uint8)


@lru_cache(KEPT_COLOURINGS)
def map_colouring(bundle: Bundle, clustering: str, column: str) -> Colouring:
    """The colouring of a clustering's map by a column of the catalogue or by its clusters.

    The same for all visitors, so nobody may change it.
    "cluster": a colour each; "cluster_ttype": the mean T of its members, which the model never saw.
    """
    made = bundle.clusterings[clustering]
    if column == "cluster":
        return colouring(column, made.labels)
    if column == "cluster_ttype":
        decided = (c.ttype_mean if c.kind != "unknown" else np.nan for c in made.clusters)
        return colouring("ttype", np.array([*decided])[made.labels])
    stored = bundle.catalogue.stored(column)
    if stored.null_count or not pa.types.is_dictionary(stored.type) or column == "ttype":
        return colouring(column, bundle.column(column))
    # Words that repeat lie packed: they are never written out for each galaxy.
    packed = stored.unify_dictionaries().combine_chunks()
    words, place = np.unique(packed.dictionary.to_pylist(), return_inverse=True)
    return _word_colouring(words, place[np.from_dlpack(packed.indices)])


def colouring(name: str, values: ArrayLike) -> Colouring:
    """The colouring by a column: "cluster", "ttype" (as T classes), numbers or words."""
    array = np.asarray(values)
    if name == "cluster":
        return _categories(array % len(CLUSTER_COLOURS), CLUSTER_COLOURS, ())
    if name == "ttype":
        first, last = T_RANGE
        whole = np.clip(np.floor(array + 0.5), first, last) - first
        return _categories(whole, T_COLOURS, tuple(str(t) for t in range(first, last + 1)))
    return number_colouring(array) if array.dtype.kind in "iufb" else text_colouring(array)


def number_colouring(array: NDArray[Any]) -> Colouring:
    """The colouring by numbers, between percentiles of them."""
    values = array.astype(np.float32)
    values.setflags(write=False)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, COLOUR_PERCENTILES) if len(known) else (0.0, 1.0)
    if high <= low:
        high = low + 1
    return Colouring(values, tuple(Viridis256[24:]), float(low), float(high))


def text_colouring(array: NDArray[Any]) -> Colouring:
    """The colouring by words, a colour each."""
    return _word_colouring(*np.unique(array.astype(str), return_inverse=True))


def _word_colouring(words: NDArray[np.str_], codes: NDArray[np.integer]) -> Colouring:
    """words: sorted, without repeats; codes (N,): which of them each galaxy has."""
    names = tuple(str(word) for word in words if word)
    return _categories(
        codes - (len(words) - len(names)), tuple(category_colours(max(1, len(names)))), names
    )


def _categories(codes: NDArray[Any], palette: tuple[str, ...], names: tuple[str, ...]) -> Colouring:
    values = np.where(codes >= 0, codes, np.nan).astype(np.float32)
    values.setflags(write=False)
    return Colouring(values, palette, -0.5, len(palette) - 0.5, names)


MAX_CATEGORIES = 12
"""More categories than this are counted, not named."""
GRADIENT_STOPS = 12
UNKNOWN_WORDS = {
    "ttype": "no T in the catalogue",
    "cluster_ttype": "too few members with a T (under 30 %)",
}


def legend(column: str, colours: Colouring, names: Sequence[str]) -> Html:
    """The legend of a colouring: chips for categories, a colour bar with its unit for numbers.

    names: of the clusters, shown where there are few and they are what colours mean.
    """
    if column == "cluster" and len(names) <= MAX_CATEGORIES:
        chips = [
            {"colour": cluster_colour(number), "words": f"{number}, {name}"}
            for number, name in enumerate(names)
        ]
        return render("map.chips", chips=chips)
    if column == "cluster":
        words = "One colour per cluster, the same on every page. Zoom in for their numbers."
        return render("map.words", words=words)
    if column in UNKNOWN_WORDS:
        pairs = zip(colours.palette, colours.categories, strict=True)
        boxes = [
            {"colour": colour, "ink": ink_on(colour), "words": name.replace("-", "−")}
            for colour, name in pairs
        ]
        unknown = UNKNOWN_WORDS[column]
        return render("map.types", boxes=boxes, unknown_colour=UNKNOWN_COLOUR, unknown=unknown)
    if colours.categories:
        named = list(zip(colours.palette, colours.categories, strict=True))[:MAX_CATEGORIES]
        left_out = len(colours.categories) - len(named)
        return render(
            "map.categories", chips=[{"colour": colour, "words": name} for colour, name in named],
            more=f"and {left_out} more" if left_out else "", unknown=UNKNOWN_COLOUR,
        )  # fmt: skip
    step = max(1, len(colours.palette) // GRADIENT_STOPS)
    unit = column_unit(column)
    low, high = (
        f"{value:.4g} {unit}".strip().replace("-", "−") for value in (colours.low, colours.high)
    )
    stops = ",".join([*colours.palette[::step], colours.palette[-1]])
    return render("map.bar", stops=stops, low=low, high=high, unknown=UNKNOWN_COLOUR)
