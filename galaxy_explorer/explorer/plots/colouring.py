"""What colours a galaxy: its cluster, its Hubble type, or any column of the catalogue.

The legend says in a line of HTML what the colours mean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from bokeh.palettes import Viridis256
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.plots.palette import (
    T_COLOURS,
    T_RANGE,
    UNKNOWN_COLOUR,
    category_colours,
    cluster_colours,
    ink_on,
)
from galaxy_explorer.explorer.state import LEARNT, about_of
from galaxy_explorer.explorer.wording import column_unit
from galaxy_explorer.utils.files import HashedFiles

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
    "cluster": a colour each, by mean T.
    """
    made = bundle.clusterings[clustering]
    if column == "cluster":
        return _categories(made.labels, tuple(cluster_colours(made.clusters)), ())
    stored = bundle.catalogue.stored(column)
    if stored.null_count or not pa.types.is_dictionary(stored.type) or column == "ttype":
        return colouring(column, bundle.column(column))
    # Words that repeat lie packed: they are never written out for each galaxy.
    packed = stored.unify_dictionaries().combine_chunks()
    words, place = np.unique(packed.dictionary.to_pylist(), return_inverse=True)
    return _word_colouring(words, place[np.from_dlpack(packed.indices)])


def colouring(name: str, values: ArrayLike) -> Colouring:
    """The colouring by a column: "ttype" (as T classes), numbers or words."""
    array = np.asarray(values)
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


CLASS, TTYPE, UNCERTAINTY = "class", "ttype", "uncertainty"
LEARNT_NAME = re.compile(rf"{LEARNT}({CLASS}|{TTYPE}|{UNCERTAINTY})-[0-9a-f]{{24}}")
KEPT_LEARNT = 300


class KeptColourings:
    """What labels taught of the N galaxies of one bundle, as files that all processes read.

    A file is a line of JSON and compressed float16; its name is the hash of its content, so an
    address that names it always gives the same colours. The 300 used last stay.
    """

    def __init__(self, folder: Path, bundle_hash: str, n_galaxies: int) -> None:
        about = {"bundle": bundle_hash, "n": n_galaxies}
        self._n, self._files = n_galaxies, HashedFiles(folder, LEARNT_NAME, about, KEPT_LEARNT)

    def put(
        self, about: str, values: NDArray[np.floating], words: str, names: Sequence[str] = ()
    ) -> str:
        """Keep values (N,), NaN unknown; returns the key to ask for.

        about: "class", numbers of `names`; "ttype"; "uncertainty", from 0 to 1. words: for the
        visitor. Raises OSError where the disk is full.
        """
        header = {"words": words, "names": list(names)}
        return self._files.put(f"{LEARNT}{about}-", header, np.asarray(values, "<f2").tobytes())

    def get(self, key: str) -> tuple[Colouring, str]:
        """The colouring and its words. Raises KeyError where it is not, or not whole."""
        header, content = self._files.get(key, 2 * self._n)
        values = np.frombuffer(content, "<f2", self._n).astype(np.float32)
        names = tuple(str(name) for name in header["names"])
        return _learnt(about_of(key), values, names), str(header["words"])


def _learnt(about: str, values: NDArray[np.float32], names: tuple[str, ...]) -> Colouring:
    if about == CLASS:
        return Colouring(
            values, tuple(category_colours(max(1, len(names)))), -0.5, len(names) - 0.5, names
        )
    if about == TTYPE:
        return colouring("ttype", values)
    return Colouring(values, tuple(Viridis256[24:]), 0.0, 1.0)


MAX_CATEGORIES = 12
"""More categories than this are counted, not named."""
GRADIENT_STOPS = 12
UNKNOWN_T = "no T in the catalogue"


def legend(column: str, colours: Colouring, names: Sequence[str]) -> Html:
    """The legend of a colouring: chips for categories, a colour bar with its unit for numbers.

    names: of the clusters, shown where there are few and they are what colours mean.
    """
    if column == "cluster" and len(names) <= MAX_CATEGORIES:
        chips = [
            {"colour": colour, "words": name}
            for colour, name in zip(colours.palette, names, strict=True)
        ]
        return render("map.chips", chips=chips)
    if column == "cluster":
        words = "Each cluster has a colour: red for those of the earliest mean T, over yellow and"
        words += " green, to violet for the latest; grey: fewer than 8 members have a T."
        return render("map.words", words=words)
    if column == "ttype":
        pairs = zip(colours.palette, colours.categories, strict=True)
        boxes = [
            {"colour": colour, "ink": ink_on(colour), "words": name.replace("-", "−")}
            for colour, name in pairs
        ]
        unknown = UNKNOWN_T
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
