"""What the log holds: one event for every change, with who, when, on what and by which model."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, fields

GALAXY, CLUSTER, SELECTION, CLUSTERING = "galaxy", "cluster", "selection", "clustering"
TARGET_KINDS = (GALAXY, CLUSTER, SELECTION, CLUSTERING)
SET, UNDO, REDO = "set", "undo", "redo"
ACTIONS = (SET, UNDO, REDO)
CONFIDENCES = ("", "low", "medium", "high")
HASH_DIGITS = 16

Place = tuple[str, str, str]
"""Kind of target, target, aspect: what has one value in the layer of an annotator."""


def new_event_id() -> str:
    """An identifier that no other event has."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Provenance:
    """What was on the screen when a label was given: bundle (SHA-256), model, software."""

    bundle_hash: str
    model: str
    app_version: str

    def cluster_target(self, clustering: str, group: str | int) -> str:
        """Name of a cluster, or of a group of regrouped ones, that no other bundle shares."""
        return f"{self.clustering_target(clustering)}#{group}"

    def clustering_target(self, clustering: str) -> str:
        """Name of a clustering that no other bundle shares."""
        return f"{self.bundle_hash[:HASH_DIGITS]}:{clustering}"


@dataclass(frozen=True)
class Change:
    """One change that an annotator asks for.

    target: a galaxy's identifier, a cluster's name, or "" for a selection, whose galaxies are in
    `members`. label: empty takes the label of the aspect away. event_id comes from the browser:
    the same change sent twice is stored once. vocabulary: version that was on the screen; 0: the
    newest. model: clustering that was on the screen; empty: that of the store. detail: what a
    split or a merger of clusters is made of (JSON).
    """

    target: str
    aspect: str
    label: str = ""
    kind: str = GALAXY
    confidence: str = ""
    note: str = ""
    members: tuple[str, ...] = ()
    detail: str = ""
    vocabulary: int = 0
    model: str = ""
    event_id: str = field(default_factory=new_event_id)

    @property
    def place(self) -> Place:
        """What the change gives a value to."""
        return self.kind, self.target, self.aspect


@dataclass(frozen=True)
class Event:
    """One row of the log, never changed afterwards.

    seq: order of the commits. at: UTC, ISO 8601. action: "set", or "undo" and "redo", which
    compensate the event `undoes`. label, confidence, note: what holds from now on; previous: the
    label (of a remark: the text) that held before.
    """

    seq: int
    event_id: str
    at: str
    annotator: str
    action: str
    kind: str
    target: str
    aspect: str
    label: str
    previous: str
    confidence: str
    note: str
    detail: str
    vocabulary: int
    bundle: str
    model: str
    app: str
    undoes: int

    @property
    def place(self) -> Place:
        """What the event gives a value to."""
        return self.kind, self.target, self.aspect


COLUMNS = tuple(column.name for column in fields(Event))
