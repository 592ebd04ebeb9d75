"""Which galaxies may be labelled, in which order they come, and an annotator's groups of them.

The model's clusters stay as they are. A merger or a split is a named event over them that can be
undone in turn, or reversed by itself as long as nothing was built on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.agreement import disagreements, ratings
from galaxy_explorer.labels.log import CLUSTER, CLUSTERING, SELECTION, Change
from galaxy_explorer.labels.store import Annotations, LabelStore, Value, selection_digest

MERGE, SPLIT, REVERSE = "merge", "split", "reverse"
Names = NDArray[np.object_]

UNLABELLED, UNCERTAIN, DISAGREEMENTS = "unlabelled", "uncertain", "disagreements"
SELECTED, EVERYTHING = "selection", "everything"
LEARNING, MEMBERS = "learning", "cluster"
QUEUES = (UNLABELLED, LEARNING, MEMBERS, UNCERTAIN, DISAGREEMENTS, SELECTED, EVERYTHING)
SHUFFLE_SEED = 2019


@dataclass(frozen=True, eq=False)
class Sample:
    """Identifiers of N galaxies; clusters: clustering key -> cluster of each galaxy, (N,) ints."""

    ids: tuple[str, ...]
    clusters: Mapping[str, NDArray[np.integer]]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each identifier."""
        return {galaxy: row for row, galaxy in enumerate(self.ids)}


def unlabelled(sample: Sample, layer: Annotations) -> NDArray[np.int64]:
    """Rows that the annotator has given no label of their own, shuffled.

    The order is the same for everyone: what is done so far is a fair sample of the galaxies, and
    annotators meet on the same ones.
    """
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(sample.ids))
    done = layer.galaxies()
    return np.array([row for row in order if sample.ids[row] not in done], np.int64)


def uncertain(sample: Sample, layer: Annotations, responsibility: ArrayLike) -> NDArray[np.int64]:
    """Rows without a label of their own, the least certain of their cluster first.

    responsibility (N,): probability of the cluster that the model gives each galaxy.
    """
    order = np.argsort(np.asarray(responsibility), kind="stable")
    done = layer.galaxies()
    return np.array([row for row in order if sample.ids[row] not in done], np.int64)


def disputed(
    sample: Sample, layers: Mapping[str, Annotations], order: Sequence[str]
) -> NDArray[np.int64]:
    """Rows whose stages differ between annotators, the widest apart in `order` first."""
    galaxies = disagreements(ratings(layers), order)
    rows = [sample.rows[galaxy] for galaxy in galaxies if galaxy in sample.rows]
    return np.array(rows, np.int64)


class Groups:
    """The groups of one annotator over one clustering; reads the store, writes nothing.

    until: as they were after that event of the log; None for now.
    """

    def __init__(
        self,
        store: LabelStore,
        sample: Sample,
        layer: Annotations,
        clustering: str,
        until: int | None = None,
    ) -> None:
        self.store, self.sample, self.clustering = store, sample, clustering
        self.target = store.provenance.clustering_target(clustering)
        # Mergers and splits of one clustering that are neither undone nor reversed.
        events = [
            event
            for event in layer.regroupings()
            if event.target == self.target and (until is None or event.seq <= until)
        ]
        gone = {json.loads(event.detail)["seq"] for event in events if event.aspect == REVERSE}
        self.events = [
            event for event in events if event.aspect != REVERSE and event.seq not in gone
        ]
        # Group of each galaxy, (N,): the cluster's number as text, or a name that was given.
        names = np.array([str(n) for n in self.sample.clusters[self.clustering]], object)
        for event in self.events:
            detail = json.loads(event.detail)
            if event.aspect == MERGE:
                names[self._galaxies(names, detail["groups"])] = event.label
            else:
                inside = self._galaxies(names, [detail["group"]])
                names[inside & self._listed(self.store.members(detail["selection"]))] = event.label
        self.names = names

    def _galaxies(self, names: Names, groups: Sequence[str]) -> NDArray[np.bool_]:
        known = set(names)
        for group in groups:
            if group not in known:
                raise LabelError(f"group {group[:40]!r}: has no galaxies in {self.clustering}")
        return np.isin(names.astype(str), list(groups))

    def _listed(self, members: Iterable[str]) -> NDArray[np.bool_]:
        marked = np.zeros(len(self.sample.ids), bool)
        rows = [self.sample.rows[galaxy] for galaxy in members if galaxy in self.sample.rows]
        marked[rows] = True
        return marked

    def members(self, group: str) -> NDArray[np.int64]:
        """Rows of a group. Raises LabelError for one without galaxies."""
        return np.flatnonzero(self._galaxies(self.names, [group]))

    def merge(self, groups: Sequence[str], name: str) -> Change:
        """The change that makes one group of several. Raises LabelError."""
        if len(set(groups)) < 2:
            raise LabelError("merge: name at least two groups")
        self._galaxies(self.names, groups)
        self._new(name)
        return self._change(MERGE, name, {"groups": sorted(set(groups))})

    def split(self, group: str, members: Iterable[str], name: str) -> Change:
        """The change that takes `members` out of a group and names them. Raises LabelError."""
        rows = self.members(group)
        chosen = self._listed(members)[rows]
        if not chosen.any() or chosen.all():
            raise LabelError(f"split {group}: select some but not all of its {len(rows)} galaxies")
        self._new(name)
        taken = tuple(self.sample.ids[row] for row in rows[chosen])
        detail = {"group": group, "selection": selection_digest(taken)}
        return self._change(SPLIT, name, detail, taken)

    def reverse(self, seq: int) -> Change:
        """The change that undoes one merger or split. Raises LabelError if others stand on it."""
        found = [event for event in self.events if event.seq == seq]
        if not found:
            raise LabelError(f"reverse: no merger or split {seq} stands")
        name = found[0].label
        for event in self.events:
            detail = json.loads(event.detail)
            if name in {detail.get("group"), *detail.get("groups", ())}:
                raise LabelError(f"reverse {name}: {event.label} stands on it; reverse that first")
        return self._change(REVERSE, name, {"seq": seq})

    def _new(self, name: str) -> None:
        taken = {event.label for event in self.events} | set(self.names)
        if name in taken or name.isdecimal():
            raise LabelError(f"name {name[:40]!r}: is taken or a cluster's number; choose another")

    def _change(
        self, aspect: str, name: str, detail: Mapping[str, object], members: tuple[str, ...] = ()
    ) -> Change:
        text = json.dumps(dict(detail), ensure_ascii=False)
        return Change(self.target, aspect, name, CLUSTERING, members=members, detail=text)


Spread = dict[str, tuple[Value, str]]
"""Aspect -> what holds for a galaxy because it is in a cluster or a selection, and which."""


def spread(store: LabelStore, sample: Sample, layer: Annotations) -> dict[str, Spread]:
    """What labels of clusters and selections say of their members: galaxy -> aspect -> value.

    Members are those that a group had when it was labelled, whatever became of it. The newest label
    of an aspect wins. Labels of other bundles' clusters say nothing here.
    """
    found: dict[str, Spread] = {}
    said = sorted(
        (value.seq, kind, target, aspect, value)
        for (kind, target, aspect), value in layer.values.items()
        if kind in {CLUSTER, SELECTION} and value.label
    )
    groups: dict[tuple[str, int], Groups] = {}
    regrouped = [event.seq for event in layer.regroupings()]
    for seq, kind, target, aspect, value in said:
        source = f"{kind} {target.partition(':')[2] or target}"
        until = max((number for number in regrouped if number < seq), default=0)
        for galaxy in _members(store, sample, layer, (kind, target, until), groups):
            found.setdefault(galaxy, {})[aspect] = (value, source)
    return found


def _members(
    store: LabelStore,
    sample: Sample,
    layer: Annotations,
    place: tuple[str, str, int],
    groups: dict[tuple[str, int], Groups],
) -> list[str]:
    kind, target, until = place
    if kind == SELECTION:
        return store.members(target)
    name, _, group = target.partition("#")
    for key in sample.clusters:
        if store.provenance.clustering_target(key) == name:
            if (key, until) not in groups:
                groups[key, until] = Groups(store, sample, layer, key, until)
            names = groups[key, until].names
            return [sample.ids[row] for row in np.flatnonzero(names == group)]
    return []
