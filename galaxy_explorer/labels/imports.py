"""Labels from a table of one's own: read, compared with what is there, then stored as events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from galaxy_explorer.errors import BadCatalog, LabelError
from galaxy_explorer.labels.groups import Sample
from galaxy_explorer.labels.log import CONFIDENCES, Change
from galaxy_explorer.labels.scheme import MAX_NAME, MAX_NOTE, NOTE, STAGE, LabelScheme, checked
from galaxy_explorer.labels.store import NOTHING, Annotations, LabelStore, Value
from galaxy_explorer.labels.tables import JOIN, LABEL_COLUMNS
from galaxy_explorer.utils.reading import plain_table, stage_table
from galaxy_explorer.utils.tables import (
    EMPTY,
    SUFFIXES,
    check_id_texts,
    hubble_stage,
    outside_words,
    stage_or_nan,
    unguarded,
)

PACKED = (".gz", ".bz2")
FORMATS = (*SUFFIXES, *PACKED)
MAX_BYTES = 200_000_000
"""Of a compressed table when it is unpacked."""
MAX_ROWS = 50_000
"""Rows of one import: each may become several events."""
IDS = ("galaxy_id", "objid", "dr7objid", "dr8objid", "object_id", "id", "name")
STAGES = (STAGE, "label", "ttype", "t_type", "t", "hubble_stage")
OWN = frozenset((*IDS, *STAGES, *LABEL_COLUMNS))
"""Columns that are never taken for a feature's, whatever the vocabulary."""
Row = dict[str, str]


@dataclass
class ImportPlan:
    """What an import would change. lines: (line, galaxy, annotator, aspect, before, after).

    flags: numbers in place of a stage T that are none, such as -999, and how many rows have them.
    notes: how the table was read, and which columns are used for what.
    said: line and value of each (annotator, galaxy, aspect).
    """

    changes: dict[str, list[Change]] = field(default_factory=dict)
    lines: list[tuple[int, str, str, str, str, str]] = field(default_factory=list)
    same: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    flags: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    said: dict[tuple[str, str, str], tuple[int, Value]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"<ImportPlan: {self.words()}>"

    @property
    def new(self) -> int:
        """How many of the changes give a label where there is none."""
        return sum(not before for *_, before, _ in self.lines)

    def words(self) -> str:
        """The plan in a sentence."""
        return (
            f"{self.new:,} new labels, {len(self.lines) - self.new:,} changed, "
            f"{self.same:,} as they are, {len(self.refused):,} refused"
            + (f"; T: {outside_words(self.flags)}" if self.flags else "")
        )

    def apply(self, store: LabelStore) -> int:
        """Store the changes, those of an annotator all or none; return how many."""
        return sum(len(store.record(name, changes)) for name, changes in self.changes.items())


def read_rows(
    data: bytes,
    suffix: str,
    source: str,
    *,
    table: str | None = None,
    said: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """Rows of a table as text, column names in lower case; what is masked or NaN is empty.

    table: name or number of the one to take where there are several. said: is told what was decided
    in reading. Raises LabelError for what cannot be read; `source` names it.
    """
    if not suffix.lower().endswith(FORMATS):
        raise LabelError(f"{source}: the extension must be one of {', '.join(FORMATS)}")
    with TemporaryDirectory() as folder:
        # Only the extension is of the user's making.
        path = Path(folder) / f"table{suffix.lower()}"
        path.write_bytes(data)
        try:
            staged = stage_table(
                path, Path(folder) / "staged", name=source, table=table, as_text=list,
                most_bytes=MAX_BYTES,
            )  # fmt: skip
            if (count := staged.metadata.num_rows) > MAX_ROWS:
                raise LabelError(f"{source}: {count} rows; at most {MAX_ROWS}, cut it into parts")
            wanted = [name for name in staged.schema_arrow.names if name not in staged.left_out]
            read = plain_table(staged.read(wanted))
            staged.close()
            for note in staged.said():
                said(note)
            columns = {name.lower(): _texts(read[name].to_pylist()) for name in read.column_names}
            if suffix.lower().startswith(".csv"):
                columns = {unguarded(n): [unguarded(t) for t in c] for n, c in columns.items()}
            for name in IDS:
                if name in columns and check_id_texts(columns[name], name, source):
                    columns[name] = [text.split(".")[0] for text in columns[name]]
        except BadCatalog as error:
            raise LabelError(str(error)) from error
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _texts(values: list[object]) -> list[str]:
    """Cells as text."""
    return ["" if v is None or v != v else str(v).strip() for v in values]  # noqa: PLR0124 (NaN)


def plan_import(
    store: LabelStore, rows: Sequence[Row], *, annotator: str = "", sample: Sample | None = None
) -> ImportPlan:
    """Compare a table with the log, without changing anything.

    Columns: an identifier; a stage (a label, its words or a number T); features between
    semicolons or a column named like a feature with 1 or 0; confidence; note; annotator. An empty
    cell says nothing. annotator: takes the place of that column. sample: galaxies that there are.
    Raises LabelError without an identifier or without a column of labels.
    """
    plan, vocabulary = ImportPlan(), store.vocabulary()
    if not rows:
        return plan
    identifier = next((name for name in IDS if name in rows[0]), None)
    if identifier is None:
        raise LabelError(f"no column with an identifier; name one {IDS[0]}: {', '.join(rows[0])}")
    usable = {*STAGES, "features", NOTE, *_flags(vocabulary)}
    if not usable & rows[0].keys():
        raise LabelError(f"no column of labels; name one {STAGE}, features or {NOTE}")
    plan.notes.extend(_column_words(list(rows[0]), identifier, usable, whose=bool(annotator)))
    layers = store.layers()
    for line, row in enumerate(rows, 2):
        galaxy, name = row.get(identifier, ""), annotator or row.get("annotator", "")
        try:
            if sample is not None and galaxy not in sample.rows:
                raise LabelError(f"galaxy {galaxy[:40]!r}: not in this bundle")
            checked(name, "annotator", MAX_NAME)
            values = dict(_values(row, vocabulary, plan.flags))
        except LabelError as error:
            plan.refused.append((line, str(error)))
            continue
        _compare(plan, layers.get(name, Annotations(name)), (line, galaxy), values)
    return plan


def _column_words(
    names: Sequence[str], identifier: str, usable: Collection[str], *, whose: bool
) -> Iterator[str]:
    """Which columns of a table are used, and which are not."""
    labels = [name for name in names if name in usable]
    yield f"galaxies by the column {identifier}, labels from {', '.join(labels)}"
    beside = {identifier, "confidence", *(() if whose else ("annotator",))}
    if unused := [name for name in names if name not in {*labels, *beside}]:
        yield f"columns not used: {', '.join(unused)}"


def _values(
    row: Row, vocabulary: LabelScheme, flags: dict[str, int]
) -> Iterator[tuple[str, Value]]:
    """Aspect and value of everything that a row says; counts flags. Raises LabelError."""
    confidence = row.get("confidence", "")
    if confidence not in CONFIDENCES:
        raise LabelError(f"confidence {confidence[:40]!r}: one of {', '.join(CONFIDENCES[1:])}")
    given = [row[name] for name in STAGES if row.get(name)]
    stage = next((t for t in given if t in vocabulary.by_label or t not in EMPTY), "")
    staged = _stage(stage, vocabulary) if stage else ""
    if stage and not staged:
        flags[stage] = flags.get(stage, 0) + 1
    labels = [staged] if staged else []
    labels += [part.strip() for part in row.get("features", "").split(JOIN) if part.strip()]
    for name, label in _flags(vocabulary).items():
        text = row.get(name, "")
        if text.lower() in {"1", "1.0", "true", "yes", "y"}:
            labels.append(label)
        elif text.lower() not in {"", "0", "0.0", "false", "no", "n"}:
            raise LabelError(f"{label} {text[:40]!r}: 1 or 0 is needed")
    for i, label in enumerate(labels):
        # As exported: the confidence is that of the stage where there is one.
        yield vocabulary.find(label).aspect, Value(label, "" if staged and i else confidence)
    if row.get(NOTE):
        yield NOTE, Value(note=checked(row[NOTE], NOTE, MAX_NOTE))


def _flags(vocabulary: LabelScheme) -> dict[str, str]:
    """Column names that say yes or no to a label each."""
    names = {label.lower(): label for label in vocabulary.by_label}
    return {name: label for name, label in names.items() if name not in OWN}


def _stage(text: str, vocabulary: LabelScheme) -> str:
    """The label that a text means: itself, its words, or the stage nearest a T or Hubble type.

    Empty for numbers that are no T (-999, 99) and types without a stage. Raises LabelError.
    """
    if text in vocabulary.by_label:
        return text
    words = {term.words.lower(): term.label for term in vocabulary.terms}
    if text.lower() in words:
        return words[text.lower()]
    stages = {term.ttype: term.label for term in vocabulary.terms if np.isfinite(term.ttype)}
    try:
        number = hubble_stage(text)
    except ValueError:
        return vocabulary.find(text).label
    if not stages:
        return vocabulary.find(text).label
    if np.isnan(stage_or_nan(number)):
        return ""
    whole = np.floor(number + 0.5)
    return stages[min(stages, key=lambda ttype: abs(ttype - whole))]


def _compare(
    plan: ImportPlan, layer: Annotations, where: tuple[int, str], values: Mapping[str, Value]
) -> None:
    line, galaxy = where
    said = layer.galaxies().get(galaxy, {})
    for aspect, value in values.items():
        first, one = plan.said.setdefault((layer.annotator, galaxy, aspect), (line, value))
        if one != value:
            words = f"galaxy {galaxy}: {aspect} {value.text(aspect)}, in line {first}"
            plan.refused.append((line, f"{words} {one.text(aspect)}; keep one of the two"))
            continue
        if first != line:
            plan.same += 1
            continue
        before = said.get(aspect, NOTHING)
        if (before.label, before.confidence, before.note) == (
            value.label,
            value.confidence or before.confidence,
            value.note,
        ):
            plan.same += 1
            continue
        change = Change(galaxy, aspect, value.label, confidence=value.confidence, note=value.note)
        plan.changes.setdefault(layer.annotator, []).append(change)
        texts = (before.text(aspect), value.text(aspect))
        plan.lines.append((line, galaxy, layer.annotator, aspect, *texts))
