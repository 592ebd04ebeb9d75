"""The Labels page: one galaxy large, keys that assign and advance, and what annotators say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.errors import LabelError
from galaxy_explorer.explorer.assets import asset
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pages.labels.session import QUEUE_WORDS, LabelSession
from galaxy_explorer.explorer.pages.labels.tools import (
    STYLES,
    EditVocabulary,
    Export,
    Import,
    LabelMany,
    Regroup,
    agreement_html,
    annotations_html,
    bad,
    history_html,
    offer,
)
from galaxy_explorer.explorer.pictures.originals import example_rows
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.search import label_store
from galaxy_explorer.explorer.urls import one_url
from galaxy_explorer.explorer.widgets.cluster_headings import choice
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import HtmlPane, LabelDesk, View, when_loaded
from galaxy_explorer.explorer.widgets.controls import (
    BOUND,
    COMPACT,
    SMALL,
    SOURCE_WORDS,
    display_controls,
    keep_in_address,
    logged_in,
    model_controls,
)
from galaxy_explorer.labels.groups import DISAGREEMENTS, LEARNING, MEMBERS, SELECTED
from galaxy_explorer.labels.scheme import STAGE

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState
    from galaxy_explorer.labels.scheme import Term
    from galaxy_explorer.labels.store import LabelStore

SHEET = [asset("labels.css")]
BEHIND = 20
"""Galaxies before the one on the screen that can be gone back to after a change of view."""
"""What Panel calls a visitor who did not log in."""
EMPTY_WORDS = {
    SELECTED: "Nothing is selected: select galaxies on another page, then fill the queue anew.",
    MEMBERS: "Every galaxy of this cluster has a label of yours.",
    DISAGREEMENTS: "No two annotators disagree on the stage of a galaxy.",
}
WAY_WORDS = {"One galaxy": "one", "Grid of 24": "grid"}
END_WORDS = "The end of this queue. Refresh it, or choose another."


def term_values(term: Term) -> dict[str, Any]:
    """A term as the desk wants it."""
    stage = term.kind == STAGE
    return {
        "label": term.label,
        "key": term.key,
        "words": term.words,
        "kind": term.kind,
        "aspect": term.aspect,
        "colour": type_colour(term.ttype) if stage else "",
        "note": f"T {term.ttype:g}".replace("-", "−") if np.isfinite(term.ttype) else "",
    }


class LabelsPage(View):
    """The desk on the left; queue, agreement and tools on the right."""

    def __init__(
        self,
        state: ExplorerState,
        context: AppContext,
        store: LabelStore | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.state, self.stamps, self.context = state, context.stamps, context
        try:
            self.session = LabelSession(store or label_store(state.bundle), state)
        except LabelError as error:
            self.view = pn.Column(HtmlPane(bad(error), stylesheets=[STYLES], margin=30))
            return
        login = logged_in()
        preview = example_rows(state.bundle).get("A spiral", 0)
        self.desk = LabelDesk(self.on_message, login=bool(login), preview=preview)
        self.row, self.serial, self.login = -1, 0, login
        self.about, self.agreement, self.learnt = (
            HtmlPane("", stylesheets=[STYLES], margin=(4, 10), sizing_mode="stretch_width")
            for _ in range(3)
        )
        self.task = LatestTask(self.prepare, self.fill)
        self.lesson = LatestTask(lambda: self._lesson, self._learnt)
        makers = {
            "Label many at once": LabelMany,
            "Merge and split clusters": Regroup,
            "Vocabulary": EditVocabulary,
            "Import": Import,
            "Export": Export,
        }
        self.tools = {title: make(self.session, self._changed) for title, make in makers.items()}
        self.cluster = pmui.Select(label="Cluster", margin=(0, 10), **SMALL)
        self.cluster.param.watch(self._choose, "value")
        self.view = self._layout()
        self.view.param.watch(self.appear, "visible")
        session = self.session
        session.param.update(queue=state.label_queue, way=state.label_way)
        keep_in_address(state, session, {"cluster": "cluster"})
        session.param.watch(self._fill, ["queue", "cluster"])
        session.param.watch(self._again, "blind")
        session.param.watch(self._keep, ["queue", "way"])
        self._keep()
        session.learner.param.watch(self._again, "shown")
        session.param.watch(self._teach, "blind")
        session.learner.param.watch(self._teach, "allowed")
        state.param.watch(self._asked, "label_requests")
        state.param.watch(self._reclustered, "clustering")
        state.param.watch(self._refresh, ["selection", "clustering"])
        session.param.watch(self._picture, "pictures")
        state.display.param.watch(self._picture, list(state.display.param.values()))
        self._picture()
        self._terms()
        self._offer_clusters()
        if login:
            pn.state.onload(partial(self._begin, login))

    async def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        kind = message.get("do")
        if kind == "name" and not self.login:
            await self._begin(message.get("name"))
        elif kind == "leave" and not self.login:
            self.session.leave()
            self.desk.annotator = ""
        elif kind == "save" and (annotator := self.login or message.get("annotator")):
            items = message.get("items")
            answer = await asyncio.to_thread(
                self.session.save, annotator, items if isinstance(items, list) else []
            )
            self.desk.tell(answer)
            self.lesson.ask()
        elif kind == "more" and message.get("serial") == self.serial:
            first = message.get("first")
            if isinstance(first, int) and 0 <= first < len(self.session.order):
                self._window(first)
        elif kind == "at":
            row = message.get("row")
            self.row = row if isinstance(row, int) and row < len(self.state.bundle) else -1
            self.task.ask()

    async def _begin(self, name: object) -> None:
        try:
            self.session.begin(name)
        except LabelError as error:
            self.desk.tell({"name_error": str(error)})
            return
        await self._fill()
        self.desk.annotator = self.session.annotator
        self._refresh()

    def _asked(self, *_: Any) -> None:
        """Show the selection as a grid, as another page asks."""
        queue, way = self.state.label_queue, self.state.label_way
        same = queue == self.session.queue
        self.session.param.update(queue=queue, way=way)
        if same and self.session.annotator:
            pn.state.execute(self._fill, schedule=True)

    def _keep(self, *_: Any) -> None:
        """Tell the state, for the address, and the desk what is chosen."""
        queue, way = self.session.queue, self.session.way
        self.state.param.update(label_queue=queue, label_way=way)
        self.desk.way = way
        self.cluster.visible = queue == MEMBERS

    async def _teach(self, *_: Any) -> None:
        """Learn anew, or forget."""
        if self.session.annotator:
            self._learnt(await asyncio.to_thread(self._lesson, anew=True))

    def _lesson(self, *, anew: bool = False) -> dict[str, str] | None:
        """Learn if it is time to; the colourings that came of it, None if it is not."""
        session = self.session
        if not session.annotator or not session.learn(anew=anew):
            return None
        with suppress(OSError):  # the map is not coloured; all else works
            return session.learner.keep(self.context.colourings)
        return {}

    def _learnt(self, colourings: dict[str, str] | None) -> None:
        """Show what was learnt; the galaxy on the screen stays, those after it come anew."""
        session = self.session
        self.learnt.object = session.learner.html(learns=session.learns)
        self.allow.visible = session.blind
        self.predict.disabled = session.learner.probe is None
        if colourings is None:
            return
        # Under the lock of the document: the map may be open, in colours that were learnt before.
        when_loaded(partial(self.state.offer_colourings, colourings))
        self.paint.disabled = not colourings
        self.serial += 1
        learning = session.queue == LEARNING
        self.desk.tell({"anew": {"serial": self.serial, "moved": learning,
                                 "total": len(session.order)}})  # fmt: skip

    def _paint(self, _: Any) -> None:
        """Show the map in the colours of the predicted classes."""
        if self.state.learnt:
            self.state.colour_by = next(iter(self.state.learnt))
            self.state.page = "atlas"

    async def _fill(self, *_: Any) -> None:
        """Put the queue in order anew and start it."""
        if not self.session.annotator:
            return
        self._learnt(await asyncio.to_thread(self._lesson, anew=True))
        await asyncio.to_thread(self.session.refill)
        self.serial += 1
        self._window(0)

    def _again(self, *_: Any) -> None:
        """Describe the galaxies anew, the same one on the screen."""
        place = np.flatnonzero(self.session.order == self.row)
        self.serial += 1
        self._window(max(0, int(place[0]) - BEHIND) if len(place) else 0)

    async def _reclustered(self, *_: Any) -> None:
        """A queue that holds a cluster holds one of the clustering that is shown."""
        if self.session.queue == MEMBERS:
            await self._fill()
        else:
            self._again()

    def _window(self, first: int) -> None:
        part = self.session.window(first)
        rows = [item[0] for item in part["items"]]
        cursor = first + (rows.index(self.row) if self.row in rows else 0)
        queue = self.session.queue
        empty = EMPTY_WORDS.get(queue, END_WORDS) if not part["total"] else END_WORDS
        self.desk.param.update(
            window={"serial": self.serial, "cursor": cursor, **part}, empty=empty
        )

    def _choose(self, event: Any) -> None:
        self.session.cluster = int(event.new or 0)

    def _picture(self, *_: Any) -> None:
        original = self.session.pictures == "original" and self.stamps.originals is not None
        words = "Original" if original else "Reconstruction by the model, no survey pixels"
        source = "original" if original else "reconstruction"
        self.desk.param.update(picture=one_url(self.state, "@row", source), pictures_words=words)

    def _terms(self) -> None:
        terms = [term_values(term) for term in self.session.vocabulary.terms]
        if terms != self.desk.terms:
            self.desk.terms = terms

    def appear(self, event: Any) -> None:
        """Draw only while the page can be seen."""
        self.task.shown = self.lesson.shown = event.new

    def prepare(self) -> Callable[[], tuple[str, str]]:
        """What to draw now; it is made in a thread."""
        row = self.row if self.session.way == "one" else -1
        return partial(self._about_html, row, self.session.annotator, blind=self.session.blind)

    def _about_html(self, row: int, me: str, *, blind: bool) -> tuple[str, str]:
        store = self.session.store
        layers = store.layers()
        agreement = agreement_html(layers, self.session.stages(layers), me)
        if row < 0:
            return "", agreement
        galaxy = self.session.sample.ids[row]
        everyone = {name: layer.galaxies().get(galaxy, {}) for name, layer in layers.items()}
        events = store.history(galaxy)
        said = annotations_html({me: {}, **everyone}, me, blind=blind)
        return said + history_html(events, me, blind=blind), agreement

    def fill(self, words: tuple[str, str]) -> None:
        """Show what was made."""
        self.about.object, self.agreement.object = words

    def _offer_clusters(self) -> None:
        names = shown_names(self.state.bundle, self.state.clustering)
        numbered = {f"{n}, {one.name}": n for n, one in enumerate(names)}
        offer(self.cluster, numbered, self.session.cluster)

    def _refresh(self, *_: Any) -> None:
        self._terms()
        self._offer_clusters()
        self.task.ask()
        for tool in self.tools.values():
            tool.refresh()

    def _changed(self) -> None:
        """After a tool has stored something."""
        self._terms()
        self.task.ask()

    def _layout(self) -> pn.Row:
        tools = pmui.Accordion(
            *((title, tool.view) for title, tool in self.tools.items()),
            active=[],
            disable_gutters=True,
            sizing_mode="stretch_width",
            margin=(5, 10),
            sx=COMPACT,
        )
        sources = choice("Pictures", self.session.param.pictures, SOURCE_WORDS)
        sources.margin = (6, 10)
        sources.visible = self.stamps.originals is not None
        session = self.session
        queue = pmui.Select.from_param(
            session.param.queue, label="Queue", options=QUEUE_WORDS, margin=(10, 10, 5, 10), **BOUND
        )
        again = pmui.Button(
            label="Refresh", size="small", variant="outlined", margin=(10, 10, 5, 0)
        )
        again.on_click(self._fill)
        blind = pmui.Switch.from_param(
            session.param.blind, label="Blind: hide T, clusters and what others say", description=""
        )
        way = choice("Show", session.param.way, WAY_WORDS)
        way.margin = (8, 10, 0, 10)
        learner = session.learner.param
        self.allow = pmui.Switch.from_param(
            learner.allowed, label="Learn in this blind session", description=""
        )
        self.predict = pmui.Switch.from_param(
            learner.shown, label="Show predictions beside galaxies", description="", disabled=True
        )
        self.paint = pmui.Button(
            label="Show on the map", size="small", variant="outlined", margin=(4, 10), disabled=True
        )
        self.paint.on_click(self._paint)
        queue_controls = (
            way, pn.Row(queue, again, sizing_mode="stretch_width"), self.cluster, blind,
            self.learnt, self.allow, self.predict, self.paint,
        )  # fmt: skip
        side = pn.Column(
            *queue_controls, self.about, self.agreement, tools,
            model_controls(self.state), sources, display_controls(self.state),
            sizing_mode="stretch_both", scroll="y-auto", stylesheets=SHEET,
            css_classes=["side-panel"], margin=(10, 0, 0, 0),
        )  # fmt: skip
        stage = pn.Column(
            self.desk, sizing_mode="stretch_both", scroll="y-auto", margin=(12, 8, 0, 16),
            css_classes=["stage"], stylesheets=SHEET,
        )  # fmt: skip
        return pn.Row(
            stage, side, sizing_mode="stretch_both", margin=0, css_classes=["labels"],
            stylesheets=SHEET,
        )  # fmt: skip
