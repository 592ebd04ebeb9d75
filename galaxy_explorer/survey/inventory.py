"""What was taken from a source, or would be, and what was left out: in words and in figures.

`check` and `ingest` give the same account. It holds what was decided, by whom it was stated, and
what deserves a second look.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.survey.preprocessing import Framing
from galaxy_explorer.survey.store import framed_counts, framing_words

EXAMPLES = 3
MOST_KINDS = 5
MOST_REASONS = 12
MOST_NAMES = 12
MOST_ENDING = 0.1
"""Share of pictures that may end within the frame of their galaxy without a word."""
LABEL = 14
"""Characters of the words at the head of a line."""
_OWN = re.compile(r"'[^']*'|[-+]?\d[\d.,e+-]*")
_DECIMAL = re.compile(r"\d+\.\d+(e[-+]\d+)?")
_HINT = re.compile(r"; the nearest is |, such as ")


DOUBTS = (
    (
        "-bit whole numbers",
        "{} FITS of whole numbers are taken as linear flux; if they are stretched pictures, give"
        " --stretch arcsinh",
    ),
    (
        r"plane \d.* of 0 to",
        "{} headers do not name the planes: r, g, b are believed to be 0, 1, 2; choose by --band",
    ),
    (
        "channel .* of r, g, b",
        "which band a channel of a colour picture is, is not in the file; name it by --band-name"
        " (of SDSS gri pictures r is i, g is r, b is g)",
    ),
    ("north unknown", "{} FITS have no WCS: which way north is cannot be known"),
    (
        "linear flux.*scale unknown$",
        "the pixel scale of {} pictures is not stated; give --pixel-scale if it is known",
    ),
    ("enlarged", "{} pictures are enlarged more than twice"),
    (
        "darker in the middle",
        "{} pictures are darker in the middle than at the edge: are they negatives? Light must be"
        " the larger number",
    ),
    (
        "flat regions",
        "{} pictures are flat regions of a few numbers: are they masks or segmentation maps? Such"
        " maps are no galaxies: leave them out",
    ),
)
"""What the words on a picture leave open, and what settles it."""


class Reasons:
    """What was left out, by reason: how many, and the first of them by name.

    Reasons that differ in numbers and names alone are one.
    """

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[str, tuple[str, list[str], int]] = {}

    def add(self, reason: str, name: str) -> None:
        """Count one more."""
        self.count += 1
        key = _OWN.sub("#", _HINT.split(reason)[0])
        first, names, count = self._kinds.get(key, (reason, [], 0))
        if len(names) < EXAMPLES:
            names.append(name)
        self._kinds[key] = (first, names, count + 1)

    def ranked(self) -> list[dict[str, Any]]:
        """reason, count and examples, the most frequent first."""
        kinds = sorted(self._kinds.values(), key=lambda kind: -kind[2])
        return [{"reason": why, "count": n, "examples": names} for why, names, n in kinds]

    def lines(self) -> list[str]:
        """The same in words, a line each."""
        return [
            f"{one['count']:,} x {one['reason']} ({', '.join(one['examples'])}"
            + (", ...)" if one["count"] > EXAMPLES else ")")
            for one in self.ranked()
        ]


class ColumnUse(NamedTuple):
    """What a column of the catalogue is used for and what is in it; guessed: by its usual name."""

    role: str
    column: str
    guessed: bool
    words: str


@dataclass(frozen=True)
class TypeCounts:
    """Stages T of a catalogue: how many are known, from where to where, and what was no stage."""

    known: int = 0
    unknown: int = 0
    least: float = math.nan
    most: float = math.nan
    flags: Mapping[str, int] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """In words, with examples of what is unknown and why."""
        known = f"{self.known:,} known"
        if self.known:
            known += f", {range_words(self.least, self.most, '').strip()}"
        flagged = sum(self.flags.values())
        ranked = sorted(self.flags.items(), key=lambda flag: -flag[1])[:EXAMPLES]
        why = [f"{count:,} x {flag}" for flag, count in ranked]
        if rest := flagged - sum(count for _, count in ranked):
            why.append(f"{rest:,} others")
        if flagged:
            why[-1] += " outside -6..11 or without a stage"
        if self.unknown > flagged:
            why.append(f"{self.unknown - flagged:,} empty")
        return f"{known}; {self.unknown:,} unknown" + (f" ({', '.join(why)})" if why else "")

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values; null where no stage is known."""
        ends = {"least": self.least, "most": self.most} if self.known else {}
        counts = {"known": self.known, "unknown": self.unknown, "flags": dict(self.flags)}
        return {**counts, "least": None, "most": None, **ends}


@dataclass(frozen=True)
class CatalogUse:
    """What is made of a catalogue.

    kept: survey column to catalogue column, of those without a use; words: columns with one text in
    all rows. left_out: columns that do not go into the survey, and why. doubts: what may have been
    misread.
    """

    path: str
    rows: int
    uses: tuple[ColumnUse, ...]
    kept: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    types: TypeCounts | None = None
    doubts: tuple[str, ...] = ()

    @property
    def renamed(self) -> dict[str, str]:
        """Survey column to catalogue column, of those that get another name."""
        return {name: column for name, column in self.kept.items() if name != column}

    def lines(self) -> Iterator[str]:
        """The account in words."""
        yield _line("Catalogue", f"{self.path}: {self.rows:,} rows")
        for note in self.notes:
            yield _line("", note)
        for use in self.uses:
            guessed = " (by its usual name)" if use.guessed else ""
            yield _line(f"  {use.role}", f"{use.column}{guessed}: {use.words}")
        have = {use.role for use in self.uses}
        for role, cure in (("RA", "--ra and --dec name them"), ("T", "--ttype names one")):
            if role not in have:
                yield _line(f"  {role}", f"no column is used; {cure}")
        if same := [name for name, column in self.kept.items() if name == column]:
            yield _line("  kept", f"as they are: {some_words(same)}")
        if renamed := self.renamed:
            words = [f"{name} is {column}" for name, column in renamed.items()]
            yield _line("  renamed", some_words(words))
        for name, text in self.words.items():
            yield _line("  added", f"{name}: {text!r} in every row")
        for name, why in self.left_out.items():
            yield _line("  not used", f"{name}: {why}")


class SameRows(NamedTuple):
    """What a column of rows that show the same galaxy came to.

    joined: rows that show a galaxy of an earlier row, and share its side of the split. absent: rows
    that name a row which is not there.
    """

    joined: int
    absent: int


class Shown(NamedTuple):
    """A stamp (C, S, S) as a model sees it, stretched, with what the catalogue says of it."""

    galaxy_id: str
    ttype: float
    pixels: NDArray[np.float32]


@dataclass
class Inventory:
    """What was taken of a source, or would be; `lines` and `to_dict` tell it.

    rows: of the catalogue, else pictures. examined: how many pictures were read. taken: of how many
    what was read, in words. frames: (width, height, side) in px of pictures and of the square that
    becomes a stamp. wanted: side of the frame by measured size over that of the picture, where
    frames are of that kind (see `preprocessing.Framing`). same: where rows name others. scales:
    arcsec a stamp pixel, NaN where unknown. valid: share of pixels with data. absent: rows that
    have no picture or id, of all; refused: pictures that were read in vain. capped: linear pictures
    with values from 0 to exactly 1 or 255, by that value. stamps: what the survey holds, in words.
    alone: what a table or a mosaic is good for that lacks the other one. done: whether it was
    written. sample: for the sheet.
    """

    source: str
    kind: str
    notes: tuple[str, ...] = ()
    catalog: CatalogUse | None = None
    rows: int = 0
    examined: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    frames: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    framing: str = ""
    wanted: list[float] | None = None
    same: SameRows | None = None
    scales: list[float] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    absent: Reasons = field(default_factory=Reasons)
    refused: Reasons = field(default_factory=Reasons)
    unused: int = 0
    capped: Counter[float] = field(default_factory=Counter)
    stamps: str = ""
    alone: str = ""
    done: bool = False
    sample: list[Shown] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Inventory of {self.source}: {self.outcome} {self._verb}>"

    @property
    def _verb(self) -> str:
        return "taken" if self.done else "would be taken"

    @property
    def usable(self) -> int:
        """Pictures that were read and can be used."""
        return sum(self.taken.values())

    @property
    def ways(self) -> Counter[str]:
        """How many were read in one way: those that differ in a decimal number alone are one."""
        first: dict[str, str] = {}
        found = Counter[str]()
        for words, count in self.taken.most_common():
            found[first.setdefault(_DECIMAL.sub("#", words), words)] += count
        return found

    @property
    def all_examined(self) -> bool:
        """Whether every row that has a picture was examined."""
        return self.examined + self.absent.count >= self.rows

    @property
    def anything(self) -> bool:
        """Whether something would be taken: stamps, else what is `alone` and can be read."""
        empty = self.rows > 0 and self.absent.count == self.rows
        return bool(self.usable or (self.alone and not empty))

    @property
    def outcome(self) -> str:
        """How much is taken, in words."""
        if self.alone:
            return f"{self.rows - self.absent.count:,} {self.alone}" if self.rows else self.alone
        unit = "pictures" if self.catalog is None else "rows"
        if self.all_examined:
            return f"{self.usable:,} of {self.rows:,} {unit}"
        most = self.rows - self.absent.count
        return (
            f"up to {most:,} of {self.rows:,} {unit}; of {self.examined:,} examined"
            f" {self.usable:,} can be used"
        )

    def lines(self) -> Iterator[str]:
        """The account in words, a line each."""
        yield _line("Source", f"{self.source}: {self.kind}")
        for note in self.notes:
            yield _line("", note)
        if self.unused:
            whose = "are in no row of the catalogue and were left out"
            yield _line("", f"{self.unused:,} pictures {whose}")
        if self.catalog is not None:
            yield from self.catalog.lines()
        if self.same and any(self.same):
            yield _line("Same galaxy", self._same_words(self.same))
        if self.examined:
            yield from self._read_lines()
        if self.absent.count:
            what = "Not usable" if self.alone else "No picture"
            yield _line(what, f"{self.absent.count:,} of {self.rows:,} rows")
            yield from _listed(self.absent)
        if self.refused.count:
            yield _line("Left out", f"{self.refused.count:,} of {self.examined:,} examined")
            yield from _listed(self.refused)
        for doubt in self.doubts():
            yield _line("Look at", doubt)
        stamps = f": {self.stamps}" if self.stamps and self.usable else ""
        yield _line("Taken" if self.done else "Would take", self.outcome + stamps)

    def _read_lines(self) -> Iterator[str]:
        of = self.rows - self.absent.count
        some = f"{self.examined:,} of {of:,}; --all examines every one"
        every = f"all {of:,}" + (" rows" if self.done else "")
        yield _line("Pictures", f"examined: {every if self.all_examined else some}")
        ways = self.ways.most_common()
        for words, count in ways[:MOST_KINDS]:
            yield _line("  read", f"{count:,} x {words}")
        if rest := sum(count for _, count in ways[MOST_KINDS:]):
            yield _line("  read", f"{rest:,} otherwise")
        if self.frames:
            yield _line("  size", self._size_words())
        if self.wanted:
            yield _line("  frame", framing_words(self.wanted))
        if self.taken:
            yield _line("  scale", self._scale_words())
            holed = sum(share < 1 for share in self.valid)
            least = f" (valid_share down to {min(self.valid):.4g})" if holed else ""
            words = f"{holed:,} of {self.usable:,} stamps have pixels without data"
            yield _line("  data", f"{words}, filled from others{least}" if holed else words)

    def _same_words(self, same: SameRows) -> str:
        words = f"{same.joined:,} rows show one that an earlier row shows, on one side of the split"
        where = "that is not in the survey" if self.done else "of another source or of none"
        return words + (f"; {same.absent:,} rows name a row {where}" if same.absent else "")

    def _size_words(self) -> str:
        sizes = Counter[str]()
        for (width, height, _), count in self.frames.items():
            sizes[f"{width} x {height} px"] += count
        each = [
            f"{size} ({count:,})" if len(sizes) > 1 else size
            for size, count in sizes.most_common(EXAMPLES)
        ]
        if len(sizes) > EXAMPLES:
            widths = [min(w, h) for w, h, _ in self.frames]
            each.append(f"{len(sizes) - EXAMPLES:,} other sizes, {min(widths)} to {max(widths)} px")
        sides = [side for _, _, side in self.frames]
        return (
            f"{', '.join(each)}; {self.framing.format(range_words(min(sides), max(sides), 'px'))}"
        )

    def _scale_words(self) -> str:
        known = [scale for scale in self.scales if scale > 0]
        unknown = len(self.scales) - len(known)
        words = []
        if known:
            words.append(f"{range_words(min(known), max(known), 'arcsec')} a stamp pixel")
        if unknown:
            words.append(f"unknown for {unknown:,}" if known else "unknown")
        return "; ".join(words)

    def doubts(self) -> list[str]:
        """What may have gone wrong without an error: each with the option that settles it."""
        found = list(self.catalog.doubts) if self.catalog else []
        for pattern, words in DOUBTS:
            count = sum(n for said, n in self.taken.items() if re.search(pattern, said))
            if count and ("--band-name" not in words or ", band ?," in self.stamps):
                found.append(words.format(f"{count:,}"))
        if any("by position, row by row" in note for note in self.notes):
            found.append("stamp i belongs to row i, as nothing in the cube says otherwise")
        if len(self.ways) > 1:
            found.append(f"pictures are read in {len(self.ways):,} ways (lines 'read' above)")
        for top, count in self.capped.items():
            if 2 * count > self.usable:
                found.append(
                    f"{count:,} pictures of 'linear flux' go from 0 to {top:g} at most: if they are"
                    " scaled or stretched, give --stretch arcsinh or the original flux"
                )
        ends = framed_counts(self.wanted)["picture_ends"] if self.wanted else 0
        if ends > MOST_ENDING * self.usable:
            found.append(
                f"{ends:,} of {self.usable:,} pictures end within the frame of their galaxy: larger"
                " cutouts would show all of it"
            )
        if self.rows and 2 * self.absent.count > self.rows:
            found.append(
                "more than half of the rows have no picture: do --id and --image name the right"
                " columns?"
            )
        return found

    def take(self, words: str, framing: Framing, scale: float, valid: float) -> None:
        """Enter a stamp that can be used."""
        self.taken[words] += 1
        self.frames[*framing.size, framing.side] += 1
        if self.wanted is not None:
            self.wanted.append(framing.wanted)
        self.scales.append(scale)
        self.valid.append(valid)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        catalog = self.catalog
        known = [scale for scale in self.scales if scale > 0]
        return {
            "source": self.source,
            "kind": self.kind,
            "notes": list(self.notes),
            "catalog": None
            if catalog is None
            else {
                "path": catalog.path,
                "rows": catalog.rows,
                "notes": list(catalog.notes),
                "columns": [use._asdict() for use in catalog.uses],
                "kept": dict(catalog.kept),
                "words": dict(catalog.words),
                "left_out": dict(catalog.left_out),
                "ttype": None if catalog.types is None else catalog.types.to_dict(),
            },
            "rows": self.rows,
            "examined": self.examined,
            "usable": self.usable,
            "all_examined": self.all_examined,
            "taken": dict(self.taken.most_common()),
            "sizes_px": [[*size, count] for size, count in self.frames.most_common()],
            "framed": framed_counts(self.wanted) if self.wanted else None,
            "same_as": None if self.same is None else self.same._asdict(),
            "stamp_scale_arcsec": [min(known), max(known)] if known else None,
            "scale_unknown": len(self.scales) - len(known),
            "least_valid_share": min(self.valid, default=None),
            "without_picture": self.absent.ranked(),
            "left_out": self.refused.ranked(),
            "unused_pictures": self.unused,
            "doubts": self.doubts(),
            "stamps": self.stamps,
            "outcome": self.outcome,
        }


def _line(label: str, words: str) -> str:
    return f"{label:<{LABEL}}{words}"


def _listed(reasons: Reasons) -> Iterator[str]:
    lines = reasons.lines()
    for words in lines[:MOST_REASONS]:
        yield _line("", words)
    if len(lines) > MOST_REASONS:
        yield _line("", f"and {len(lines) - MOST_REASONS:,} other reasons")


def some_words(names: Sequence[str]) -> str:
    """Names, the first of many."""
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest:,} more" if rest > 0 else "")


def range_words(least: float, most: float, unit: str) -> str:
    """From where to where, or the one value."""
    ends = dict.fromkeys((f"{least:.6g}", f"{most:.6g}"))
    return f"{' to '.join(ends)} {unit}"
