"""The label store: takes changes, gives each annotator's annotations.

Annotations are what an annotator's events add up to, with what undo and redo would do. The store
knows identifiers, not bundles.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.log import (
    CLUSTERING,
    CONFIDENCES,
    GALAXY,
    HASH_DIGITS,
    REDO,
    SELECTION,
    SET,
    TARGET_KINDS,
    UNDO,
    Change,
    Event,
    EventLog,
    Place,
    Provenance,
)
from galaxy_explorer.labels.scheme import (
    DEFAULT,
    MAX_ID,
    MAX_LABEL,
    MAX_NAME,
    MAX_NOTE,
    NOTE,
    STAGE,
    LabelScheme,
    checked,
)


@dataclass(frozen=True)
class Value:
    """What one annotator says of one aspect: label, confidence, note; since which event.

    prediction: what was predicted on the screen when it was given; empty: nothing.
    """

    label: str = ""
    confidence: str = ""
    note: str = ""
    seq: int = 0
    at: str = ""
    prediction: str = ""

    @property
    def said(self) -> bool:
        """Whether it says anything."""
        return bool(self.label or self.note)

    def text(self, aspect: str) -> str:
        """The label; of a remark its text."""
        return self.note if aspect == NOTE else self.label


NOTHING = Value()
PART, AFTER_PART = "~", "\x7f"
"""Before the number of an event after the first of those that one request made; what follows it
in the order of the identifiers."""


@dataclass(frozen=True)
class UndoStep:
    """One change that can be undone: the event and what held before and after it."""

    event: Event
    before: Value
    after: Value


@dataclass
class Annotations:
    """Everything one annotator has said. Only `apply` changes it."""

    annotator: str
    values: dict[Place, Value] = field(default_factory=dict)
    done: list[UndoStep] = field(default_factory=list)
    undone: list[UndoStep] = field(default_factory=list)
    _galaxies: dict[str, dict[str, Value]] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Take in the next event of this annotator."""
        if event.action == UNDO:
            step = self.done.pop()
            self.undone.append(step)
            self._put(event.place, step.before)
        elif event.action == REDO:
            step = self.undone.pop()
            self.done.append(step)
            self._put(event.place, step.after)
        else:
            after = Value(
                event.label, event.confidence, event.note, event.seq, event.at, event.prediction
            )
            self.done.append(UndoStep(event, self.value(event.place), after))
            self.undone.clear()
            self._put(event.place, after)

    def _put(self, place: Place, value: Value) -> None:
        kind, target, aspect = place
        self.values[place] = value
        if kind != GALAXY:
            return
        said = self._galaxies.setdefault(target, {})
        said.pop(aspect, None)
        if value.said:
            said[aspect] = value
        if not said:
            del self._galaxies[target]

    def copy(self) -> Annotations:
        """A copy that later events leave alone."""
        galaxies = {galaxy: dict(said) for galaxy, said in self._galaxies.items()}
        return Annotations(
            self.annotator, dict(self.values), list(self.done), list(self.undone), galaxies
        )

    def value(self, place: Place) -> Value:
        """What holds for a place."""
        return self.values.get(place, NOTHING)

    def galaxies(self) -> dict[str, dict[str, Value]]:
        """Aspects and values of every galaxy that was labelled itself, in order of labelling."""
        return self._galaxies

    def stage(self, galaxy: str) -> str:
        """The Hubble stage given to a galaxy; empty if none."""
        return self._galaxies.get(galaxy, {}).get(STAGE, NOTHING).label

    def regroupings(self) -> list[Event]:
        """Splits, mergers and their reversals that are not undone, oldest first."""
        return [step.event for step in self.done if step.event.kind == CLUSTERING]


MAX_CHANGES = 100_000
"""Changes in one transaction: an import of as many takes some seconds."""


def selection_digest(members: Iterable[str]) -> str:
    """Name of a selection: a hash of the sorted identifiers."""
    return hashlib.sha256(_members_text(members).encode()).hexdigest()[:HASH_DIGITS]


def _members_text(members: Iterable[str]) -> str:
    return json.dumps(sorted(set(members)), ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class LabelStore:
    """Labels of any number of annotators in one log; safe for threads and processes.

    Whatever a method that writes returns is on the disk. path: made where it is absent.
    Raises LabelError where the log cannot be used.
    """

    def __init__(self, path: Path, provenance: Provenance) -> None:
        self.path, self.provenance = path, provenance
        self._log = EventLog(path)
        self._lock = threading.RLock()
        self._layers: dict[str, Annotations] = {}
        self._vocabularies: dict[int, LabelScheme] = {}
        self._seen = 0

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def record(self, annotator: str, changes: Sequence[Change]) -> list[Event]:
        """Store changes, all or none, and return their events.

        A change whose event_id is stored already gives that event. Raises LabelError for a change
        that is refused, NotSaved where it could not be written.
        """
        name = checked(annotator, "annotator", MAX_NAME)
        if len(changes) > MAX_CHANGES:
            raise LabelError(f"{len(changes)} changes; at most {MAX_CHANGES} at a time")
        changes = [self.checked(change) for change in changes]
        with self._writing():
            return [self._append(name, change) for change in changes]

    def undo(self, annotator: str, event_id: str) -> list[Event]:
        """Take the annotator's last change back; of a grid all that were accepted with it.

        An event for each, the one of that identifier first; none if there is nothing to undo.
        """
        return self._compensate(UNDO, annotator, event_id)

    def redo(self, annotator: str, event_id: str) -> list[Event]:
        """Put the change back that was undone last, as `undo` took it."""
        return self._compensate(REDO, annotator, event_id)

    def layer(self, annotator: str) -> Annotations:
        """What an annotator has said so far; later events leave it alone."""
        with self._lock:
            self._catch_up()
            return self._layers.get(annotator, Annotations(annotator)).copy()

    def said(self, annotator: str, galaxy: str) -> dict[str, Value]:
        """Aspects and values that an annotator has given to one galaxy."""
        with self._lock:
            self._catch_up()
            return dict(
                self._layers.get(annotator, Annotations(annotator)).galaxies().get(galaxy, {})
            )

    def layers(self) -> dict[str, Annotations]:
        """The layers of everyone who has labelled, by name in alphabetical order."""
        with self._lock:
            self._catch_up()
            return {name: self._layers[name].copy() for name in sorted(self._layers)}

    def remarks(self, kind: str) -> dict[str, tuple[str, str]]:
        """Of each target of a kind the newest remark on it and whose it is; "" takes one away."""
        with self._lock:
            self._catch_up()
            said = [
                (value.seq, target, layer.annotator, value.note)
                for layer in self._layers.values()
                for (one, target, aspect), value in layer.values.items()
                if one == kind and aspect == NOTE and value.seq
            ]
        newest = {target: (note, annotator) for _, target, annotator, note in sorted(said)}
        return {target: found for target, found in newest.items() if found[0]}

    def history(self, galaxy: str) -> list[Event]:
        """Every event on one galaxy, oldest first."""
        return self._log.events("kind = ? AND target = ?", (GALAXY, galaxy))

    def events(self) -> list[Event]:
        """The whole log, oldest first."""
        return self._log.events()

    def members(self, digest: str) -> list[str]:
        """Identifiers of a stored selection. Raises LabelError for an unknown one."""
        found = self._log.rows("SELECT members FROM selections WHERE digest = ?", (digest,))
        if not found:
            raise LabelError(f"{self.path}: no selection {digest[:40]!r}")
        return [str(member) for member in json.loads(found[0][0])]

    def vocabulary(self, version: int = 0) -> LabelScheme:
        """A version of the vocabulary; 0: the newest. Raises LabelError for an unknown one."""
        if not version:
            newest = self._log.rows("SELECT max(version) FROM vocabularies")[0][0]
            version = newest or DEFAULT.version
        if version not in self._vocabularies:
            query = "SELECT terms FROM vocabularies WHERE version = ?"
            found = self._log.rows(query, (version,))
            if not found and version != DEFAULT.version:
                raise LabelError(f"{self.path}: no version {version} of the vocabulary")
            made = LabelScheme.from_json(found[0][0], version) if found else DEFAULT
            self._vocabularies[version] = made
        return self._vocabularies[version]

    def edit_vocabulary(self, annotator: str, edited: LabelScheme) -> LabelScheme:
        """Store a new version of the vocabulary and return it; old labels stay as they are."""
        name = checked(annotator, "annotator", MAX_NAME)
        with self._writing():
            version = self.vocabulary().version + 1
            row = {"version": version, "at": _now(), "annotator": name, "terms": edited.to_json()}
            self._log.insert("vocabularies", row)
        return replace(edited, version=version)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction on layers that are up to date; they forget what was not stored."""
        with self._lock:
            stored = False
            try:
                with self._log.writing():
                    self._catch_up()
                    yield
                stored = True
            finally:
                if not stored:
                    self._layers.clear()
                    self._seen = 0

    def _catch_up(self) -> None:
        """Take in what was stored since, by this process or another."""
        for event in self._log.events("seq > ?", (self._seen,)):
            self._layers.setdefault(event.annotator, Annotations(event.annotator)).apply(event)
            self._seen = event.seq

    def checked(self, change: Change) -> Change:
        """Return the change as it is stored. Raises LabelError if it cannot be."""
        if change.kind not in TARGET_KINDS or change.confidence not in CONFIDENCES:
            raise LabelError(f"{change.kind[:40]!r}, {change.confidence[:40]!r}: not possible")
        vocabulary = self.vocabulary(change.vocabulary)
        checked(change.event_id, "event id", MAX_NAME)
        checked(change.note, "note", MAX_NOTE, empty=True)
        for member in change.members:
            checked(member, "galaxy", MAX_ID)
        if change.kind == SELECTION:
            change = replace(change, target=selection_digest(change.members))
        checked(change.target, "target", MAX_ID)
        if change.kind == CLUSTERING:
            checked(change.label, "name", MAX_LABEL)
        elif change.label and vocabulary.find(change.label).aspect != change.aspect:
            raise LabelError(f"label {change.label!r}: says nothing about {change.aspect[:40]!r}")
        checked(change.aspect, "aspect", MAX_LABEL)
        checked(change.model, "model", MAX_ID, empty=True)
        checked(change.grid, "grid", MAX_NAME, empty=True)
        checked(change.prediction, "prediction", MAX_LABEL, empty=True)
        return replace(change, vocabulary=vocabulary.version)

    def _append(self, annotator: str, change: Change) -> Event:
        if stored := self._log.events("event_id = ?", (change.event_id,)):
            return stored[0]
        if change.members:
            digest = selection_digest(change.members)
            if not self._log.rows("SELECT 1 FROM selections WHERE digest = ?", (digest,)):
                row = {"digest": digest, "members": _members_text(change.members)}
                self._log.insert("selections", row)
        return self._insert(annotator, SET, change, undoes=0)

    def _compensate(self, action: str, annotator: str, event_id: str) -> list[Event]:
        checked(event_id, "event id", MAX_NAME)
        with self._writing():
            if stored := self._stored_with(event_id):
                return stored
            made: list[Event] = []
            while step := self._next_step(action, annotator):
                if made and (not made[0].grid or step.event.grid != made[0].grid):
                    break
                # The change that makes `value` hold again where a step was made.
                value = step.before if action == UNDO else step.after
                event = step.event
                change = Change(
                    event.target,
                    event.aspect,
                    label=value.label,
                    kind=event.kind,
                    confidence=value.confidence,
                    note=value.note,
                    detail=event.detail,
                    vocabulary=event.vocabulary,
                    model=event.model,
                    grid=event.grid,
                    prediction=value.prediction,
                    event_id=f"{event_id}{PART}{len(made)}" if made else event_id,
                )
                made.append(self._insert(annotator, action, change, undoes=event.seq))
            return made

    def _stored_with(self, event_id: str) -> list[Event]:
        """The events that a request of this identifier made; none if it is a new one."""
        rest = (f"{event_id}{PART}", f"{event_id}{AFTER_PART}")
        return self._log.events("event_id = ? OR event_id > ? AND event_id < ?", (event_id, *rest))

    def _next_step(self, action: str, annotator: str) -> UndoStep | None:
        """What an undo or redo would compensate next."""
        layer = self._layers.get(annotator)
        steps = [] if layer is None else layer.done if action == UNDO else layer.undone
        return steps[-1] if steps else None

    def _insert(self, annotator: str, action: str, change: Change, *, undoes: int) -> Event:
        """Append one event; its order among the annotator's own is that of the commits."""
        layer = self._layers.get(annotator) or Annotations(annotator)
        before = layer.value(change.place)
        row = {
            "event_id": change.event_id,
            "at": _now(),
            "annotator": annotator,
            "action": action,
            "kind": change.kind,
            "target": change.target,
            "aspect": change.aspect,
            "label": change.label,
            "previous": before.text(change.aspect),
            "confidence": change.confidence,
            "note": change.note,
            "detail": change.detail,
            "vocabulary": change.vocabulary,
            "bundle": self.provenance.bundle_hash,
            "model": change.model or self.provenance.model,
            "app": self.provenance.app_version,
            "undoes": undoes,
            "grid": change.grid,
            "prediction": change.prediction,
        }
        self._log.insert("events", row)
        self._catch_up()
        return self._log.events("event_id = ?", (change.event_id,))[0]
