"""One visitor who labels: name, queue, and what their browser asks for. Knows no widgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import param

from galaxy_explorer.errors import LabelError, NotSaved
from galaxy_explorer.explorer.pages.labels.learning import Learner
from galaxy_explorer.explorer.search import label_sample
from galaxy_explorer.explorer.state import LABEL_WAYS, PICTURES
from galaxy_explorer.explorer.wording import caption
from galaxy_explorer.labels import groups
from galaxy_explorer.labels.agreement import ratings
from galaxy_explorer.labels.log import GALAXY, REDO, SET, UNDO, Change, Event
from galaxy_explorer.labels.probe import taught
from galaxy_explorer.labels.scheme import MAX_NAME, NOTE, STAGE, checked, ttype_of
from galaxy_explorer.labels.store import Annotations, LabelStore

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import ExplorerState


WINDOW = 120
"""Galaxies that the browser holds ahead: keys are faster than the network."""
MAX_BATCH = 1000
"""Changes that a browser may send at a time."""
QUEUE_WORDS = {
    "Not yet labelled by me": groups.UNLABELLED,
    "Learning: what teaches most": groups.LEARNING,
    "One cluster": groups.MEMBERS,
    "The model is least sure": groups.UNCERTAIN,
    "Annotators disagree": groups.DISAGREEMENTS,
    "The selection": groups.SELECTED,
    "All galaxies": groups.EVERYTHING,
}


class LabelSession(param.Parameterized):
    """What one visitor labels, in which order; nothing here is shared with other visitors."""

    annotator = param.String(default="", doc="Who labels; empty: not known yet.")
    queue: Any = param.Selector(default=groups.UNLABELLED, objects=list(groups.QUEUES))
    way: Any = param.Selector(default="one", objects=list(LABEL_WAYS), doc="One or a grid.")
    cluster = param.Integer(default=0, bounds=(0, None), doc="That the queue holds; see `queue`.")
    pictures: Any = param.Selector(default="original", objects=list(PICTURES))
    blind = param.Boolean(default=True, doc="Hide T, clusters and what others say.")

    def __init__(self, store: LabelStore, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.store, self.state = store, state
        self.sample = label_sample(state.bundle)
        self.vocabulary = store.vocabulary()
        self.order = np.zeros(0, np.int64)
        self.learner = Learner(state.bundle)

    def begin(self, name: object) -> None:
        """Take the annotator's name. Raises LabelError for one that cannot be stored."""
        self.annotator = checked(name, "name", MAX_NAME)

    def leave(self) -> None:
        """Make room for another annotator."""
        self.annotator = ""

    def refill(self) -> None:
        """Put the queue in order anew; it stays as it is until the next call."""
        layer = self.store.layer(self.annotator)
        if self.queue in {groups.UNLABELLED, groups.LEARNING}:
            self.order = groups.unlabelled(self.sample, layer)
            if self.queue == groups.LEARNING and self.learns:
                self.order = self.learner.order(self.state.clustering, self.order)
        elif self.queue == groups.MEMBERS:
            left = groups.unlabelled(self.sample, layer)
            labels = self.state.bundle.clusterings[self.state.clustering].labels
            self.order = left[labels[left] == self.cluster]
        elif self.queue == groups.UNCERTAIN:
            clustering = self.state.bundle.clusterings[self.state.clustering]
            self.order = groups.uncertain(self.sample, layer, clustering.responsibility)
        elif self.queue == groups.DISAGREEMENTS:
            layers = self.store.layers()
            self.order = groups.disputed(self.sample, layers, self.stages(layers))
        elif self.queue == groups.SELECTED:
            self.order = np.array(self.state.selection)
        else:
            self.order = np.arange(len(self.sample.ids))

    @property
    def learns(self) -> bool:
        """Whether anything may be learnt: in blind sessions only where that is allowed."""
        return bool(not self.blind or self.learner.allowed)

    def learn(self, *, anew: bool = True) -> bool:
        """Learn from the annotator's labels, and put a queue that learns in order.

        anew: even where fewer than 20 labels were given or taken back since. Whether it was done.
        """
        if self.learns:
            labels = taught(self.store.layer(self.annotator), self.vocabulary, self.sample.rows)
            done = self.learner.learn(self.state.clustering, labels, anew=anew)
        else:
            done = self.learner.forget()
        if done and self.queue == groups.LEARNING:
            self.refill()
        return done

    def stages(self, layers: Mapping[str, Annotations]) -> list[str]:
        """Labels of the stages in the order of their T, for weights: offered now, or given."""
        labels = {term.label for term in self.vocabulary.terms if term.kind == STAGE}
        for given in ratings(layers).values():
            labels.update(given.values())
        return sorted(filter(lambda label: np.isfinite(ttype_of(label)), labels), key=ttype_of)

    def window(self, first: int) -> dict[str, Any]:
        """Part of the queue from place `first` on, as the browser wants it."""
        rows = self.order[first : first + WINDOW]
        items = [self.item(int(row)) for row in rows]
        return {"first": first, "total": len(self.order), "items": items}

    def item(self, row: int) -> list[Any]:
        """One galaxy: row, identifier, caption, what the annotator said of it, what is predicted.

        The prediction is empty where it is not to be on the screen.
        """
        galaxy = self.sample.ids[row]
        words = galaxy
        if not self.blind:
            clustering = self.state.bundle.clusterings[self.state.clustering]
            words = caption(self.state.bundle, clustering, row).removeprefix(f"{galaxy} · ")
        probe = self.learner.probe if self.learns and self.learner.shown else None
        prediction = "" if probe is None else probe.words(row)
        return [row, galaxy, words, self.annotations_of(galaxy), prediction]

    def annotations_of(self, galaxy: str) -> dict[str, str]:
        """What the annotator has said of a galaxy: aspect -> label, note -> text."""
        said = self.store.said(self.annotator, galaxy)
        return {aspect: value.text(aspect) for aspect, value in said.items()}

    def save(self, annotator: Any, items: Iterable[Any]) -> dict[str, Any]:
        """Store what a browser sent, in its order; what is "saved" in the answer is on the disk.

        annotator: whose it is, who may have made room for another one since. items: dicts with
        "do" ("set", "undo", "redo") and "event_id". May wait for the disk.
        """
        answer: dict[str, Any] = {"saved": [], "refused": {}, "failed": "", "show": None}
        touched: set[str] = set()
        listed = [item for item in list(items)[:MAX_BATCH] if isinstance(item, dict)]
        for kind, group in groupby(listed, key=lambda item: item.get("do")):
            together = list(group)
            try:
                for event in self._store(annotator, kind, together, answer["refused"]):
                    answer["saved"].append(event.event_id)
                    # Say what an event touched: the browser goes back to what was undone.
                    row = self.sample.rows.get(event.target) if event.kind == GALAXY else None
                    if row is not None:
                        touched.add(event.target)
                    if event.action != SET and annotator == self.annotator:
                        answer["show"] = None if row is None else self.item(row)
            except NotSaved as error:
                answer["failed"] = str(error)
                break
            except LabelError as error:
                reasons = {str(item.get("event_id")): str(error) for item in together}
                answer["refused"] |= reasons
        answer["said"] = {galaxy: self.annotations_of(galaxy) for galaxy in touched}
        return answer

    def _store(
        self, annotator: Any, kind: Any, items: list[dict[str, Any]], refused: dict[str, str]
    ) -> list[Event]:
        """Store items of one kind. Refused ones are left out, with the reason in `refused`."""
        checked(annotator, "name", MAX_NAME)
        if kind in {UNDO, REDO}:
            return list(self._compensate(annotator, kind, items, refused))
        changes = []
        for item in items:
            try:
                changes.append(self._change(kind, item))
            except LabelError as error:
                refused[str(item.get("event_id"))] = str(error)
        return self.store.record(annotator, changes)

    def _compensate(
        self, annotator: str, kind: str, items: list[dict[str, Any]], refused: dict[str, str]
    ) -> Iterator[Event]:
        step = self.store.undo if kind == UNDO else self.store.redo
        for item in items:
            events = step(annotator, str(item.get("event_id")))
            if not events:
                refused[str(item.get("event_id"))] = f"nothing to {kind}"
            yield from events

    def _change(self, kind: Any, item: dict[str, Any]) -> Change:
        """The change that a browser asks for. Raises LabelError for one that is not possible."""
        texts = all(isinstance(value, str) for value in item.values())
        if kind != SET or not texts or item.get("galaxy") not in self.sample.rows:
            raise LabelError("no galaxy of this bundle")
        if item.get("aspect") not in {NOTE, *(term.aspect for term in self.vocabulary.terms)}:
            raise LabelError("nothing that the vocabulary speaks of")
        change = Change(
            item["galaxy"],
            item.get("aspect", ""),
            item.get("label", ""),
            confidence=item.get("confidence", ""),
            note=item.get("note", ""),
            vocabulary=self.vocabulary.version,
            model=self.state.clustering,
            grid=item.get("grid", ""),
            prediction=item.get("prediction", ""),
            event_id=item.get("event_id", ""),
        )
        return self.store.checked(change)
