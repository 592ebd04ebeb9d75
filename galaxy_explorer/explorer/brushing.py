"""Brushes: galaxies by ranges of numbers and by words of the catalogue. No widgets, no state.

T:3..6;class:spiral,edge_on;z:..0.02;bmag:unknown

is the text form: columns between semicolons, what they may be between commas, open ends left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.wording import column_unit, format_column

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

Span = tuple[float | None, float | None]
"""From a number to another; None: no limit on that side."""

MAX_TEXT = 1200
"""Characters of a text form that is read: it has to leave an address room for the rest."""
MAX_PARTS = 64
MAX_BRUSHES = 16
UNKNOWN = "unknown"
SHORT = {"ttype": "T", "redshift": "z"}
_FULL = {short: column for column, short in SHORT.items()}
# As Python writes numbers: 17 digits, of which the first may be the fourth behind the point.
_NUMBER = r"[+-]?\d{1,17}(?:\.\d{1,21})?(?:[eE][+-]?\d{1,3})?"
_SPAN = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?|({_NUMBER})")


@dataclass(frozen=True)
class Brush:
    """What a column may be: numbers in any of `spans`, any of `words`, or (`missing`) nothing.

    A span of a column with few values, such as T, holds both its ends, of any other column its
    lower end only. Raises BadQuery for what holds nothing, numbers and words at once, or too much.
    """

    column: str
    spans: tuple[Span, ...] = ()
    words: tuple[str, ...] = ()
    missing: bool = False

    def __post_init__(self) -> None:
        for low, high in self.spans:
            ends = [end for end in (low, high) if end is not None]
            if not all(map(math.isfinite, ends)) or ends != sorted(ends):
                raise BadQuery(f"brush {self.column[:40]}: a range goes from less to more")
        if self.spans and self.words:
            raise BadQuery(f"brush {self.column[:40]}: numbers or words, not both")
        if not (self.spans or self.words or self.missing) or not all(self.words):
            raise BadQuery(f"brush {self.column[:40]}: nothing is asked for")
        if len(self.spans) + len(self.words) > MAX_PARTS:
            raise BadQuery(f"brush {self.column[:40]}: more than {MAX_PARTS} parts")
        spans = sorted({(_plain(low), _plain(high)) for low, high in self.spans}, key=_span_order)
        object.__setattr__(self, "spans", tuple(spans))
        object.__setattr__(self, "words", tuple(sorted(set(self.words))))


def _plain(end: float | None) -> float | None:
    return None if end is None else float(end) + 0.0  # no minus zero


def _span_order(span: Span) -> tuple[float, float]:
    low, high = span
    return (-math.inf if low is None else low, math.inf if high is None else high)


@dataclass(frozen=True)
class BrushSet:
    """Brushes on different columns, which all must hold, in the order in which they were made."""

    brushes: tuple[Brush, ...] = ()

    def __post_init__(self) -> None:
        columns = [brush.column for brush in self.brushes]
        if len(set(columns)) != len(columns):
            raise BadQuery("brushes: one column is there twice")
        if len(columns) > MAX_BRUSHES:
            raise BadQuery(f"brushes: at most {MAX_BRUSHES}")

    def __len__(self) -> int:
        return len(self.brushes)

    def of(self, column: str) -> Brush | None:
        """The brush on a column, if there is one."""
        return next((brush for brush in self.brushes if brush.column == column), None)

    def put(self, brush: Brush) -> BrushSet:
        """These brushes with this one, in place of the one on its column."""
        if self.of(brush.column) is None:
            return BrushSet((*self.brushes, brush))
        return BrushSet(tuple(brush if old.column == brush.column else old for old in self.brushes))

    def without(self, column: str) -> BrushSet:
        """These brushes but the one on a column."""
        return BrushSet(tuple(brush for brush in self.brushes if brush.column != column))


def format_brushes(brushes: BrushSet) -> str:
    """The text form."""
    return ";".join(_format_one(brush) for brush in brushes.brushes)


def _format_one(brush: Brush) -> str:
    column = SHORT.get(brush.column) or _escaped(brush.column, brush.column in _FULL)
    parts = [_format_span(span) for span in brush.spans]
    parts += [
        _escaped(word, word == UNKNOWN or bool(_SPAN.fullmatch(word))) for word in brush.words
    ]
    return f"{column}:{','.join(parts + [UNKNOWN] * brush.missing)}"


def _format_span(span: Span) -> str:
    low, high = ("" if end is None else repr(end).removesuffix(".0") for end in span)
    return low if low == high and low else f"{low}..{high}"


def _escaped(text: str, taken: bool) -> str:  # noqa: FBT001
    """A text in which nothing separates; `taken`: it would mean something else as it is."""
    safe = quote(text, safe=" " if text == text.strip() else "")
    return f"%{ord(safe[0]):02X}{safe[1:]}" if taken else safe


def parse_brushes(text: str) -> BrushSet:
    """Brushes of a text form. Raises BadQuery, in a sentence, for what is none."""
    if len(text) > MAX_TEXT:
        raise BadQuery(f"brushes: at most {MAX_TEXT} characters")
    return BrushSet(tuple(_parse_one(part) for part in text.split(";") if part.strip()))


def _parse_one(text: str) -> Brush:
    name, colon, listed = text.partition(":")
    if not colon or not name.strip():
        raise BadQuery(f"brush “{text[:40]}”: a column, a colon, and what it may be (T:3..6)")
    name = name.strip()
    spans: list[Span] = []
    words: list[str] = []
    missing = False
    for part in filter(None, (part.strip() for part in listed.split(","))):
        if part == UNKNOWN:
            missing = True
        elif found := _SPAN.fullmatch(part):
            low, high = (found[3], found[3]) if found[3] else (found[1], found[2])
            spans.append((float(low) if low else None, float(high) if high else None))
        else:
            words.append(_unescaped(part))
    return Brush(_FULL.get(name) or _unescaped(name), tuple(spans), tuple(words), missing)


def _unescaped(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadQuery(f"brush “{text[:40]}”: no text") from None


MOST_BARS = 30
BARS = 22
"""About as many bars as fit a histogram of the strip."""
MOST_VALUES = 20
MOST_WORDS = 24
SAMPLE = 10_000
"""Galaxies of which it is seen at once that a column has many values."""
RANGE_PERCENTILES = (0.5, 99.5)
"""Where the bars of many values begin and end: the outer bars hold what lies beyond."""
SKEWED = 0.2
"""Numbers whose median lies lower in their range than this share are shown by their logarithm."""
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
RENARD = {
    20: (
        1, 1.12, 1.25, 1.4, 1.6, 1.8, 2, 2.24, 2.5, 2.8, 3.15, 3.55, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9
    ),
    10: (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8),
    5: (1, 1.6, 2.5, 4, 6.3),
    1: (1,),
}  # fmt: skip
"""Round numbers that divide a decade evenly (ISO 3)."""
MOST_TICKS = 5
KEPT_COLUMNS = 48
"""Columns whose bars are kept: a byte a galaxy each, beside the column itself."""
KEPT_MASKS = 32
"""Brushes whose galaxies are kept: a byte a galaxy each."""


@dataclass(frozen=True, eq=False)
class BrushColumn:
    """A column of the catalogue with its galaxies counted in bars.

    stops: of numbers, the edges of the bars, or, where these are few, the values (few); half: how
    far from one of these a number may lie, as T is rounded; log: whether edges are even in the
    logarithm. words: of texts, the most frequent first, and all of them with their places
    (vocabulary; None for numbers); more: how many share a bar. bars (N,): number of each galaxy's
    bar; the last is that of the missing ones. values (N,): numbers, or places in the vocabulary.
    """

    name: str
    values: NDArray[np.number]
    bars: NDArray[np.uint8]
    stops: tuple[float, ...] = ()
    few: bool = False
    half: float = 0.0
    words: tuple[str, ...] = ()
    log: bool = False
    more: int = 0
    vocabulary: Mapping[str, int] | None = None

    @property
    def n_bars(self) -> int:
        """Bars beside that of the missing values; words that have none of their own share one."""
        if self.vocabulary is not None:
            return len(self.words) + bool(self.more)
        return len(self.stops) if self.few else len(self.stops) - 1

    @cached_property
    def totals(self) -> NDArray[np.int64]:
        """All galaxies in each bar, (n_bars + 1,); the last: missing."""
        return self.counts(None)

    def counts(self, mask: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """Galaxies of a mask (N,), or all, in each bar, (n_bars + 1,)."""
        bars = self.bars if mask is None else self.bars[mask]
        return np.bincount(bars, minlength=self.n_bars + 1)

    def passing(self, brush: Brush) -> NDArray[np.bool_]:
        """Which galaxies a brush lets pass, (N,). Raises BadQuery for words it has not."""
        self.check(brush)
        mask = self.bars == self.n_bars if brush.missing else np.zeros(len(self.bars), bool)
        if brush.words and self.vocabulary is not None:
            wanted = np.zeros(len(self.vocabulary) + 1, bool)
            wanted[[self.vocabulary[word] for word in brush.words]] = True
            return np.asarray(mask | wanted[self.values])
        known = self.bars < self.n_bars
        for low, high in brush.spans:
            inside = known.copy()
            if low is not None:
                inside &= self.values >= low - self.half
            if high is not None:
                last = not self.half and (self.few or low == high)
                inside &= self.values <= high if last else self.values < high + self.half
            mask |= inside
        return mask

    def check(self, brush: Brush) -> None:
        """Raise BadQuery for numbers of words, words of numbers, and words that there are not."""
        name = format_column(self.name)
        if brush.spans and self.vocabulary is not None:
            raise BadQuery(f"brush {name}: it holds words, not numbers")
        if brush.words and self.vocabulary is None:
            raise BadQuery(f"brush {name}: it holds numbers, such as 3..6")
        if absent := [word for word in brush.words if word not in (self.vocabulary or ())]:
            raise BadQuery(f"brush {name}: there is no “{absent[0][:40]}”")


@lru_cache(KEPT_COLUMNS)
def brush_column(bundle: Bundle, name: str) -> BrushColumn:
    """A column in bars, made once a process; the same for all visitors. Raises KeyError."""
    stored = bundle.catalogue.stored(name)
    kind = stored.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return number_column(name, bundle.column(name))
    if pa.types.is_boolean(kind):
        stored = pc.if_else(stored, "yes", "no")
    packed = stored if pa.types.is_dictionary(kind) else pc.dictionary_encode(stored)
    whole = packed.unify_dictionaries().combine_chunks()
    places = pc.fill_null(whole.indices, len(whole.dictionary))
    return word_column(name, whole.dictionary.to_pylist(), np.asarray(places, np.int64))


def number_column(name: str, values: NDArray[np.number]) -> BrushColumn:
    """A column of numbers (N,) in bars; what is not finite is missing."""
    known = np.isfinite(values)
    stops, few, log = _stops(name, values[known].astype(np.float64))
    half = 0.5 if name == "ttype" and few else 0.0
    n = len(stops) if few else len(stops) - 1
    bars = np.clip(np.searchsorted(np.array(stops) - half, values, side="right") - 1, 0, n - 1)
    bars[~known] = n
    return BrushColumn(name, values, _kept(bars), stops, few, half, log=log)


def word_column(
    name: str, dictionary: list[str | None], places: NDArray[np.integer]
) -> BrushColumn:
    """A column of words in bars, most frequent first; places (N,): of each, in the dictionary.

    No word, an empty one and a place beyond the dictionary: missing.
    """
    counts = np.bincount(places, minlength=len(dictionary) + 1)
    told = [i for i, word in enumerate(dictionary) if word and counts[i]]
    told.sort(key=lambda i: (-counts[i], dictionary[i]))
    shown, more = told[:MOST_WORDS], len(told[MOST_WORDS:])
    bar = np.full(len(dictionary) + 1, len(shown) + bool(more), np.uint8)
    bar[told[MOST_WORDS:]] = len(shown)
    bar[shown] = np.arange(len(shown))
    number = np.full(len(dictionary) + 1, len(told), np.int32)
    number[told] = np.arange(len(told))
    words = [str(dictionary[i]) for i in told]
    return BrushColumn(
        name, number[places], _kept(bar[places]), words=tuple(words[:MOST_WORDS]), more=more,
        vocabulary={word: i for i, word in enumerate(words)},
    )  # fmt: skip


def _kept(bars: NDArray[np.integer]) -> NDArray[np.uint8]:
    made = bars.astype(np.uint8)
    made.setflags(write=False)
    return made


def _stops(name: str, known: NDArray[np.float64]) -> tuple[tuple[float, ...], bool, bool]:
    """Stops, few and log of a `BrushColumn`."""
    if not len(known):
        return (0.0,), True, False
    least, most = math.floor(known.min() + 0.5), math.floor(known.max() + 0.5)
    whole = tuple(map(float, range(least, min(most, least + MOST_BARS) + 1)))
    if name == "ttype" and len(whole) <= MOST_BARS:
        return whole, True, False
    values = np.unique(known[:: max(1, len(known) // SAMPLE)])
    values = np.unique(known) if len(values) <= MOST_VALUES else values
    if len(values) <= MOST_VALUES:
        even = len(whole) <= MOST_BARS and (values == values.round()).all()
        return whole if even else tuple(values.tolist()), True, False
    low, middle, high = np.percentile(known, (RANGE_PERCENTILES[0], 50, RANGE_PERCENTILES[1]))
    if high <= low:
        low, high = known.min(), known.max()
    if low > 0 and middle - low < SKEWED * (high - low):
        return _log_edges(low, high), False, True
    return _even_edges(low, high), False, False


def _even_edges(low: float, high: float) -> tuple[float, ...]:
    """Round numbers at even steps from `low` or less to `high` or more."""
    size = 10.0 ** math.floor(math.log10((high - low) / BARS))
    step = next(s * size for s in STEPS if (high - low) / (s * size) <= BARS)
    first, last = math.floor(low / step), math.ceil(high / step)
    return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))


def _log_edges(low: float, high: float) -> tuple[float, ...]:
    """Round numbers at even steps of the logarithm from `low` or less to `high` or more."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for numbers in RENARD.values():
        edges = [float(f"{number}e{decade}") for decade in decades for number in numbers]
        first = max(i for i, edge in enumerate(edges) if edge <= low)
        last = min(i for i, edge in enumerate(edges) if edge >= high)
        if last - first <= MOST_BARS:
            break
    return tuple(edges[first : last + 1])


def ticks(column: BrushColumn) -> list[tuple[float, str]]:
    """Numbers written below the bars: place in bars from the left edge, and words."""
    stops, shift = column.stops, 0.5 if column.few else 0.0
    if column.log:
        leading = [f"{stop:.3e}".split("e")[0] for stop in stops]
        tries = [[i for i, one in enumerate(leading) if one[0] in few and one.endswith("000")]
                 for few in ("125", "13", "1")]  # fmt: skip
    else:
        step = min((b - a for a, b in pairwise(stops)), default=1.0)
        whole = [round(stop / step) for stop in stops]
        tries = [[i for i, n in enumerate(whole) if n % every == 0]
                 for every in (1, 2, 4, 5, 8, 10, 20, 40)]  # fmt: skip
    shown = next((found for found in tries if 2 <= len(found) <= MOST_TICKS), [0, len(stops) - 1])
    return [(i + shift, format_value(stops[i])) for i in sorted(set(shown))]


def format_value(value: float) -> str:
    """A number as it is read aloud, with a true minus."""
    return f"{value:.6g}".replace("-", "−")


def short_name(column: str) -> str:
    """What a column is called within a sentence: "T", "major axis", "B magnitude"."""
    name = SHORT["ttype"] if column == "ttype" else format_column(column)
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def format_brush(brush: Brush) -> str:
    """A brush in words: "T 3 to 6", "class spiral or edge on", "redshift below 0.02, or none"."""
    name, unit = short_name(brush.column), column_unit(brush.column)
    unit = "" if unit == name else unit
    told = [_span_words(span, unit) for span in brush.spans]
    told += [word.replace("_", " ") for word in brush.words]
    if not told:
        return f"no {name}"
    words = f"{name} {' or '.join(told)}"
    return f"{words} or none" if brush.missing else words


def _span_words(span: Span, unit: str) -> str:
    low, high = span
    if low is None and high is None:
        return "known"
    if low is None or high is None:
        end = low if high is None else high
        words = f"{format_value(end or 0.0)} {unit}".rstrip()
        return f"from {words}" if high is None else f"below {words}"
    if low == high:
        return f"{format_value(low)} {unit}".rstrip()
    return f"{format_value(low)} to {format_value(high)} {unit}".rstrip()


@lru_cache(KEPT_MASKS)
def passing(bundle: Bundle, brush: Brush) -> NDArray[np.bool_]:
    """Which galaxies a brush lets pass, (N,), read-only. Raises BadQuery and KeyError."""
    mask = brush_column(bundle, brush.column).passing(brush)
    mask.setflags(write=False)
    return mask


def mask_of(n: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows as a mask (n,)."""
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


def all_of(masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_] | None:
    """Where all masks hold; None without any."""
    found: NDArray[np.bool_] | None = None
    for mask in masks:
        found = mask if found is None else found & mask
    return found


def cross_counts(
    bundle: Bundle, columns: Iterable[str], brushes: BrushSet, base: NDArray[np.bool_] | None
) -> tuple[list[NDArray[np.int64]], int]:
    """Galaxies in the bars of each column that pass the base and the brushes on all others.

    base: a mask (N,) that is one more condition; None for none. Beside it, how many pass all.
    """
    first = [] if base is None else [base]
    masks = {brush.column: passing(bundle, brush) for brush in brushes.brushes}
    every = all_of([*first, *masks.values()])
    counts = []
    for name in columns:
        others = every
        if name in masks:
            others = all_of([*first, *(mask for at, mask in masks.items() if at != name)])
        counts.append(brush_column(bundle, name).counts(others))
    return counts, len(bundle) if every is None else int(np.count_nonzero(every))


KINDS: tuple[tuple[str, ...], ...] = (
    (r"ttype",),
    (r"class|class_name|galaxy_class|morphology|morphological_type", r"early_late"),
    (
        r"half_light_radius|effective_radius|petro_?(sian_)?r(adius|50|90)?|r_?50|r_?e(ff)?",
        r"majax|major_axis|diameter|d_?25|isophotal_radius|size|radius|measured_radius",
    ),
    (r"(petro_|model_|total_)?mag(nitude)?(_\w+)?|(model|petro|auto|tot)?[a-z]?mag(_[a-z])?",),
    (r"redshift|z|z_?(spec|best|phot)|photo_?z",),
    (r"inclination", r"axis_ratio|b_?a|ellipticity"),
    (r"source",),
)
"""What an astronomer asks for first: patterns of the names of columns, the best first."""
ASIDE = re.compile(
    r"(.*_)?(ra|dec|split|sky|sigma|err(or)?|psf|stamp|zero|pix(el|scale)?|px|offset|angle|posang"
    r"|source|rendering|frame|valid|id|label|match|lo|hi|inf|sup|same|taken|per)(_.*)?"
)
"""Names of what tells of the measurement or the sky rather than of the galaxy."""
ENOUGH = 5


def telling_columns(bundle: Bundle, offered: list[str]) -> list[str]:
    """The columns that a survey is best asked by: of each kind the one most galaxies have.

    offered: those there are. A size in pixels only where there is no other. Where few kinds are
    found, further columns that most galaxies have, in the catalogue's order.
    """
    found = []
    for patterns in KINDS:
        fits = [
            (column_unit(name) != "pixel", _known(bundle, name), -order, name)
            for name in offered
            for order, pattern in enumerate(patterns)
            if re.fullmatch(pattern, _stem(name), re.IGNORECASE)
        ]
        best = max(fits, key=lambda fit: fit[:3], default=None)
        if best is not None and brush_column(bundle, best[3]).n_bars > 1:
            found.append(best[3])
    for name in offered:
        if len(found) >= ENOUGH:
            break
        if name in found or ASIDE.fullmatch(name.lower()) or 2 * _known(bundle, name) < len(bundle):
            continue
        column = brush_column(bundle, name)
        if column.n_bars > 1 and not column.more:
            found.append(name)
    return found


def _stem(column: str) -> str:
    return re.sub(r"_[a-z]+$", "", column) if column_unit(column) and "_" in column else column


def _known(bundle: Bundle, name: str) -> int:
    """Galaxies that a column says something of."""
    return int(brush_column(bundle, name).totals[:-1].sum())
