"""Slow pictures without waiting: made in a thread, shown when they are still wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import panel as pn
import param


class Drawing(param.Parameterized):
    """Something that is drawn in two steps, whenever it is asked for.

    prepare: reads the state and returns the slow step, which runs in a thread; show: gets its
    result, under the document's lock. A drawing that was overtaken by a later one is dropped.
    While nothing is to be seen (`shown` is false) asking only notes that a drawing is due. Where
    `ready` says that the slow step is quick, a page that is being made contains its drawing from
    the start; where `at_hand` says that its result is known already, it is shown at once.
    """

    shown = param.Boolean(default=True, doc="Whether the drawing can be seen.")

    def __init__(
        self,
        prepare: Callable[[], Callable[[], Any]],
        show: Callable[[Any], None],
        ready: Callable[[], bool] = lambda: False,
        at_hand: Callable[[], bool] = lambda: False,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.number = 0
        self._prepare, self._show, self._ready, self._at_hand = prepare, show, ready, at_hand
        self._due = False
        self.param.watch(self._appear, "shown")

    def ask(self, *_: param.parameterized.Event) -> None:
        """Draw soon, or once it can be seen. Takes and ignores the events of watchers."""
        if not self.shown:
            self._due = True
        elif pn.state.curdoc is not None and self._may_draw_now():
            self.draw_at_once()
        else:
            # A browser that is still opening the page would miss a drawing made meanwhile.
            pn.state.onload(self.draw)

    def _may_draw_now(self) -> bool:
        return self._at_hand() if pn.state.loaded else self._ready()

    def _appear(self, *_: param.parameterized.Event) -> None:
        if self.shown and self._due:
            self._due = False
            self.ask()

    def draw_at_once(self) -> None:
        """Draw before going on, however long it takes."""
        self.number += 1
        self._show(self._prepare()())

    async def draw(self) -> None:
        """Draw now."""
        self.number += 1
        number, document = self.number, pn.state.curdoc
        had_visitor = has_visitor(document)
        result = await asyncio.to_thread(self._prepare())

        def finish() -> None:
            if number == self.number and has_visitor(document) == had_visitor:
                self._show(result)

        # Under the document's lock: else an earlier drawing may arrive after a later one.
        pn.state.execute(finish, schedule=True)


def has_visitor(document: Any) -> bool:
    """Whether a document belongs to a session; one that has ended has let go of it."""
    return document is not None and document.session_context is not None
