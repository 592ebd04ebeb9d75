"""The words that may be assigned, their keys, and what each does. Versioned by the log.

A text is stored only if every export format gives it back unchanged.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, dataclass
from functools import cached_property

from galaxy_explorer.errors import LabelError

MAX_LABEL = 60
MAX_NAME = 60
MAX_NOTE = 500
MAX_ID = 200
"""Characters; an identifier is whatever a catalogue holds."""
CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates and line separators: no line of a table can hold them."""
NO_XML = frozenset("\ufffe\uffff")
"""The characters that XML, and so VOTable, refuses besides the control characters."""


def checked(text: object, field: str, limit: int, *, empty: bool = False) -> str:
    """Return `text` unchanged if it can be stored; `field` names it in the error.

    Raises LabelError for what is no text, empty (unless `empty`), longer than `limit` characters,
    with blanks at its ends, or with characters that a line of a table cannot hold.
    """
    if not isinstance(text, str):
        raise LabelError(f"{field}: text is needed, not {type(text).__name__}")
    if not text and not empty:
        raise LabelError(f"{field}: empty; write something")
    if len(text) > limit:
        raise LabelError(f"{field}: {len(text)} characters; at most {limit} are stored")
    if text != text.strip():
        raise LabelError(f"{field} {text[:40]!r}: remove the blanks at its ends")
    for character in text:
        if unicodedata.category(character) in CONTROLS or character in NO_XML:
            raise LabelError(f"{field} {text[:40]!r}: remove the character {character!r}")
    return text


STAGE, NOTE = "stage", "note"
"""Aspects of a galaxy: its Hubble stage, a remark; every other term is an aspect of its own."""
KINDS = ("stage", "verdict", "feature")
RESERVED_KEYS = frozenset("?nczy /")
"""Keys of the page itself: help, note, confidence, undo, redo, and what browsers use."""
RESERVED_LABELS = frozenset({STAGE, NOTE})
MAX_TERMS = 60
FORM = "label; key; words; kind"


@dataclass(frozen=True)
class Term:
    """One word of the vocabulary.

    kind: "stage" (one of them holds, the page goes on to the next galaxy), "verdict" (on or off,
    the page goes on) or "feature" (on or off, the page stays).
    """

    label: str
    key: str
    words: str
    kind: str

    @property
    def aspect(self) -> str:
        """What the term says something about: stages exclude each other, the rest stand alone."""
        return STAGE if self.kind == STAGE else self.label

    @property
    def ttype(self) -> float:
        """The Hubble stage T of a stage; NaN for every other label."""
        return ttype_of(self.label) if self.kind == STAGE else float("nan")


def ttype_of(stage: str) -> float:
    """T of a stage by its label, "T-3" .. "T6" and the like, of any vocabulary; else NaN."""
    number = stage.removeprefix("T")
    plain = number.removeprefix("-")
    if number != stage and plain.isdecimal() and plain.isascii():
        return float(number)
    return float("nan")


@dataclass(frozen=True)
class LabelScheme:
    """Terms in the order of the page; labels and keys are all different."""

    terms: tuple[Term, ...]
    version: int = 1

    def __post_init__(self) -> None:
        if not 1 <= len(self.terms) <= MAX_TERMS:
            raise LabelError(f"vocabulary: {len(self.terms)} terms; 1 to {MAX_TERMS} are possible")
        keys: dict[str, str] = {}
        for term in self.terms:
            checked(term.label, "label", MAX_LABEL)
            checked(term.words, f"words of {term.label}", MAX_LABEL)
            if term.label in RESERVED_LABELS or ";" in term.label + term.words:
                raise LabelError(f"label {term.label!r}: choose another word, without a semicolon")
            if term.kind not in KINDS:
                raise LabelError(
                    f"kind {term.kind[:40]!r} of {term.label}: one of {', '.join(KINDS)}"
                )
            if (
                len(term.key) != 1
                or not term.key.isprintable()
                or term.key.lower() in RESERVED_KEYS
            ):
                raise LabelError(
                    f"key {term.key[:40]!r} of {term.label}: one character, none of "
                    f"{' '.join(sorted(RESERVED_KEYS - {' '}))} or the space bar"
                )
            if (other := keys.setdefault(term.key.lower(), term.label)) != term.label:
                raise LabelError(f"key {term.key!r}: both {other} and {term.label} want it")
        if len(self.by_label) != len(self.terms):
            raise LabelError("vocabulary: a label appears twice; give each term its own")

    @cached_property
    def by_label(self) -> dict[str, Term]:
        """Terms by their labels."""
        return {term.label: term for term in self.terms}

    def find(self, label: str) -> Term:
        """The term of a label. Raises LabelError naming those there are."""
        if label not in self.by_label:
            known = ", ".join(self.by_label)
            raise LabelError(f"label {label[:40]!r}: not in the vocabulary ({known})")
        return self.by_label[label]

    def to_json(self) -> str:
        """The terms as JSON text."""
        return json.dumps([asdict(term) for term in self.terms], ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, version: int) -> LabelScheme:
        """Invert `to_json`."""
        return cls(tuple(Term(**values) for values in json.loads(text)), version)

    def to_lines(self) -> str:
        """The terms as lines to edit: "label; key; words; kind"."""
        return "\n".join("; ".join((t.label, t.key, t.words, t.kind)) for t in self.terms)

    @classmethod
    def from_lines(cls, text: str) -> LabelScheme:
        """Invert `to_lines`. Raises LabelError naming the line."""
        terms = []
        for number, line in enumerate(text.splitlines(), 1):
            parts = [part.strip() for part in line.split(";")]
            if parts == [""]:
                continue
            if len(parts) != 4:
                raise LabelError(f"line {number}: {len(parts)} parts; write {FORM}")
            terms.append(Term(*parts))
        return cls(tuple(terms))


DEFAULT = LabelScheme(
    (
        Term("T-3", "e", "E, S0−", "stage"),
        Term("T-2", "w", "S0", "stage"),
        Term("T-1", "q", "S0+", "stage"),
        Term("T0", "0", "S0/a", "stage"),
        Term("T1", "1", "Sa", "stage"),
        Term("T2", "2", "Sab", "stage"),
        Term("T3", "3", "Sb", "stage"),
        Term("T4", "4", "Sbc", "stage"),
        Term("T5", "5", "Sc", "stage"),
        Term("T6", "6", "Scd and later", "stage"),
        Term("bar", "b", "bar", "feature"),
        Term("ring", "r", "ring", "feature"),
        Term("merger", "m", "merger", "feature"),
        Term("edge-on", "d", "edge-on disc", "feature"),
        Term("artefact", "x", "artefact", "verdict"),
        Term("unsure", "u", "unsure", "verdict"),
    )
)
"""Hubble stages of the catalogue's classes T = -3..6; -1, -2, -3 lie under the keys 1, 2, 3."""
