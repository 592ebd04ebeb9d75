"""Layers: what each annotator's events add up to, and what undo and redo would do."""

from __future__ import annotations

from dataclasses import dataclass, field

from galaxy_explorer.labels.events import CLUSTERING, GALAXY, REDO, UNDO, Event, Place
from galaxy_explorer.labels.vocabulary import NOTE, STAGE


@dataclass(frozen=True)
class Value:
    """What one annotator says of one aspect: label, confidence, note; since which event."""

    label: str = ""
    confidence: str = ""
    note: str = ""
    seq: int = 0
    at: str = ""

    @property
    def said(self) -> bool:
        """Whether it says anything."""
        return bool(self.label or self.note)

    def text(self, aspect: str) -> str:
        """The label; of a remark its text."""
        return self.note if aspect == NOTE else self.label


NOTHING = Value()


@dataclass(frozen=True)
class Step:
    """One change that can be undone: the event and what held before and after it."""

    event: Event
    before: Value
    after: Value


@dataclass
class Layer:
    """Everything one annotator has said. Only `apply` changes it."""

    annotator: str
    values: dict[Place, Value] = field(default_factory=dict)
    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
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
            after = Value(event.label, event.confidence, event.note, event.seq, event.at)
            self.done.append(Step(event, self.value(event.place), after))
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

    def copy(self) -> Layer:
        """A copy that later events leave alone."""
        galaxies = {galaxy: dict(said) for galaxy, said in self._galaxies.items()}
        return Layer(
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
