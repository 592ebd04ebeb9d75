"""Labels as astropy tables, with descriptions, UCDs and provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.agreement import majority
from galaxy_explorer.labels.groups import Spread, spread
from galaxy_explorer.labels.log import Event
from galaxy_explorer.labels.scheme import NOTE, STAGE, ttype_of
from galaxy_explorer.labels.store import NOTHING, Annotations, Value

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.labels.groups import Sample
    from galaxy_explorer.labels.store import LabelStore

JOIN = ";"
"""Between features: no label holds a semicolon."""

LABEL_COLUMNS = {
    "galaxy_id": "Identifier of the galaxy in the survey",
    "annotator": "Who says so",
    "stage": "Hubble stage given to the galaxy itself; empty: none",
    "ttype": "Numerical Hubble stage T of the column stage; NaN: none",
    "features": "Features and verdicts given to the galaxy itself, between semicolons",
    "confidence": "Confidence in the stage or, without one, in the newest feature",
    "note": "Remark on the galaxy",
    "prediction": "What was predicted on screen when the stage or, without one, the newest feature"
    " was given; empty: nothing",
    "labelled_at": "Time of the newest of these labels, UTC",
    "derived_stage": "Hubble stage spread from a cluster or a selection; empty: none",
    "derived_features": "Features and verdicts spread from clusters and selections",
    "derived_from": "Clusters and selections that these are from",
}
MAJORITY_COLUMNS = {
    "galaxy_id": "Identifier of the galaxy in the survey",
    "n_annotators": "Annotators who labelled the galaxy itself",
    "annotators": "Who they are, between semicolons",
    "stage": "Hubble stage that most of those who gave one chose; empty: tied or none",
    "ttype": "Numerical Hubble stage T of the column stage; NaN: none",
    "n_stage": "Annotators who gave a stage",
    "n_prediction": "Of these, annotators who had a prediction on screen",
    "votes": "Annotators who chose the stage that most chose",
    "features": "Features and verdicts that more than half of the annotators gave",
}
EVENT_COLUMNS = {
    "seq": "Order of the commits",
    "event_id": "Identifier of the event",
    "at": "Time of the commit, UTC",
    "annotator": "Who",
    "action": "set; undo and redo compensate an earlier event",
    "kind": "What was labelled: galaxy, cluster, selection or clustering",
    "target": "Identifier of the galaxy, cluster, selection or clustering",
    "aspect": "What the label is about",
    "label": "Label from then on; empty: none",
    "previous": "Label before, of a remark the text before",
    "confidence": "Confidence in the label",
    "note": "Remark",
    "detail": "Parts of a merger or split of clusters, JSON",
    "vocabulary": "Version of the vocabulary",
    "bundle": "SHA-256 of the manifest of the bundle that was shown",
    "model": "Clustering that was shown",
    "app": "Version of the software",
    "undoes": "The event that an undo or redo compensates; 0: none",
    "grid": "Names the grid of galaxies that were accepted together; empty: given singly",
    "prediction": "What was predicted on screen when the label was given; empty: nothing",
}
UCDS = {
    "galaxy_id": "meta.id;meta.main",
    "ttype": "src.morph.type",
    "stage": "src.morph.type",
    "note": "meta.note",
}


def label_table(store: LabelStore, sample: Sample | None) -> Table:
    """One row for each galaxy and annotator with something to say about it."""
    rows = [
        row
        for layer in store.layers().values()
        for row in _layer_rows(layer, {} if sample is None else spread(store, sample, layer))
    ]
    return _table(store, rows, LABEL_COLUMNS)


def _layer_rows(layer: Annotations, derived: Mapping[str, Spread]) -> Iterator[dict[str, Any]]:
    own = layer.galaxies()
    for galaxy in [*own, *(galaxy for galaxy in derived if galaxy not in own)]:
        said, spread_to = own.get(galaxy, {}), derived.get(galaxy, {})
        values = {aspect: value for aspect, (value, _) in spread_to.items()}
        stage = said.get(STAGE, NOTHING)
        # The confidence is that of the stage, else that of the newest label.
        labels = [value for aspect, value in said.items() if aspect != NOTE]
        newest = max(labels, key=lambda value: value.seq, default=NOTHING)
        yield {
            "galaxy_id": galaxy,
            "annotator": layer.annotator,
            "stage": stage.label,
            "ttype": ttype_of(stage.label),
            "features": JOIN.join(features_of(said)),
            "confidence": said.get(STAGE, newest).confidence,
            "note": said.get(NOTE, NOTHING).note,
            "prediction": said.get(STAGE, newest).prediction,
            "labelled_at": max((value.at for value in said.values()), default=""),
            "derived_stage": values.get(STAGE, NOTHING).label,
            "derived_features": JOIN.join(features_of(values)),
            "derived_from": JOIN.join(sorted({source for _, source in spread_to.values()})),
        }


def features_of(said: Mapping[str, Value]) -> list[str]:
    """Labels of a galaxy that are neither its stage nor a remark, in alphabetical order."""
    return sorted(v.label for aspect, v in said.items() if aspect not in {STAGE, NOTE} and v.label)


def majority_table(store: LabelStore, _: Sample | None) -> Table:
    """One row for each galaxy that someone labelled itself: what most say."""
    said: dict[str, dict[str, dict[str, Value]]] = {}
    for name, layer in store.layers().items():
        for galaxy, values in layer.galaxies().items():
            if set(values) != {NOTE}:
                said.setdefault(galaxy, {})[name] = values
    rows = [_majority_row(galaxy, said[galaxy]) for galaxy in sorted(said)]
    return _table(store, rows, MAJORITY_COLUMNS)


def _majority_row(galaxy: str, said: Mapping[str, Mapping[str, Value]]) -> dict[str, Any]:
    stages = [values[STAGE].label for values in said.values() if STAGE in values]
    stage, votes = majority(stages)
    given = [feature for values in said.values() for feature in features_of(values)]
    return {
        "galaxy_id": galaxy,
        "n_annotators": len(said),
        "annotators": JOIN.join(said),
        "stage": stage,
        "ttype": ttype_of(stage),
        "n_stage": len(stages),
        "n_prediction": sum(bool(v[STAGE].prediction) for v in said.values() if STAGE in v),
        "votes": votes,
        "features": JOIN.join(f for f in sorted(set(given)) if 2 * given.count(f) > len(said)),
    }


def event_table(store: LabelStore, _: Sample | None) -> Table:
    """The whole log, one row for each event, oldest first."""
    rows = [{f.name: getattr(event, f.name) for f in fields(Event)} for event in store.events()]
    return _table(store, rows, EVENT_COLUMNS)


TABLES: dict[str, Callable[[LabelStore, Sample | None], Table]] = {
    "labels": label_table,
    "majority": majority_table,
    "events": event_table,
}
NUMBERS = {"ttype": float} | dict.fromkeys(
    ("seq", "vocabulary", "undoes", "n_annotators", "n_stage", "n_prediction", "votes"), np.int64
)


def _table(store: LabelStore, rows: list[dict[str, Any]], columns: dict[str, str]) -> Table:
    from astropy.table import Column, Table

    made = []
    for name, description in columns.items():
        values = np.array([row[name] for row in rows], NUMBERS.get(name, str))
        column = Column(values, name, description=description)
        column.meta.update({"ucd": UCDS[name]} if name in UCDS else {})
        made.append(column)
    given = store.provenance
    meta = {
        "bundle_sha256": given.bundle_hash,
        "clustering": given.model,
        "software": f"galaxy_explorer {given.app_version}",
        "vocabulary": f"version {store.vocabulary().version}",
    }
    return Table(made, meta=meta)


def table(store: LabelStore, what: str = "labels", sample: Sample | None = None) -> Table:
    """Labels as a table: what everyone says, the majority, or every event.

    what: "labels", "majority" or "events". sample: adds what was spread from clusters and
    selections. Raises LabelError for another `what`.
    """
    if what not in TABLES:
        raise LabelError(f"{what[:40]!r}: no such table; one of {', '.join(TABLES)}")
    return TABLES[what](store, sample)
