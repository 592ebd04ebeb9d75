"""The Hubble stages as buttons for the galaxy in the drawer, stored as those of the Label page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import param

from galaxy_explorer.errors import LabelError
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.search import label_sample, label_store
from galaxy_explorer.explorer.widgets.components import MessageComponent, View, script
from galaxy_explorer.explorer.widgets.controls import logged_in
from galaxy_explorer.labels.log import Change
from galaxy_explorer.labels.scheme import MAX_NAME, STAGE, checked

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import ExplorerState
    from galaxy_explorer.labels.store import LabelStore


class KeyRow(MessageComponent):
    """Buttons of the stages; reports {"name"} and {"name", "galaxy", "label", "event_id"}."""

    terms = param.List(default=[], doc="label, words, colour of each stage.")
    galaxy = param.String(default="", doc="Identifier of the galaxy.")
    said = param.String(default="", doc="The stage that the annotator has given it; empty: none.")
    note = param.String(default="", doc="What became of the last label.")
    stamp = param.Integer(default=0, doc="Counts the answers.")
    login = param.Boolean(default=False, doc="Whether the annotator is known by a login.")

    _esm = script("outbox.js", "stage_keys.js")


class StageKeys(View):
    """One label of one galaxy, by one click; nothing where the log of labels cannot be used."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.annotator = state, logged_in()
        self.view = self.row = KeyRow(self.on_message, login=bool(self.annotator), margin=(0, 12))
        try:
            self.store: LabelStore | None = label_store(state.bundle)
            stages = [term for term in self.store.vocabulary().terms if term.kind == STAGE]
        except LabelError:  # the Label page says why
            self.store, stages = None, []
        self.row.terms = [[one.label, one.words, type_colour(one.ttype)] for one in stages]
        self.row.visible = bool(stages)
        state.param.watch(lambda _: self.tell(), "focus")
        self.tell()

    def tell(self, note: str = "") -> None:
        """Show the label of the galaxy in focus; note: what became of the last one."""
        focus, said = self.state.focus, ""
        galaxy = "" if focus is None else str(self.state.bundle.column("galaxy_id")[focus])
        if self.store is not None and self.annotator and galaxy:
            value = self.store.said(self.annotator, galaxy).get(STAGE)
            said = "" if value is None else value.label
        self.row.param.update(galaxy=galaxy, said=said, note=note, stamp=self.row.stamp + 1)

    async def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        note = ""
        try:
            if not self.row.login:
                self.annotator = checked(message.get("name"), "name", MAX_NAME)
            if "label" in message:
                note = await asyncio.to_thread(self._record, message)
        except LabelError as error:
            note = f"Not saved: {error}"
        self.tell(note)

    def _record(self, message: dict[str, Any]) -> str:
        """Store a label; what was done, once it is on the disk. Raises LabelError, NotSaved."""
        galaxy, label, event_id = (str(message.get(key)) for key in ("galaxy", "label", "event_id"))
        words = {"": "no stage", **{term: words for term, words, _ in self.row.terms}}
        if self.store is None or galaxy not in label_sample(self.state.bundle).rows:
            raise LabelError("no galaxy of this bundle")
        if label not in words:
            raise LabelError("no stage of the vocabulary")
        version, model = self.store.vocabulary().version, self.state.clustering
        change = Change(galaxy, STAGE, label, vocabulary=version, model=model, event_id=event_id)
        self.store.record(self.annotator, [change])
        return f"Saved: {words[label]}, by {self.annotator}"
