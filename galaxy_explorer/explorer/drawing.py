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
    result. A drawing that was overtaken by a later one is dropped. While nothing is to be seen
    (`shown` is false) asking only notes that a drawing is due.
    """

    shown = param.Boolean(default=True, doc="Whether the drawing can be seen.")

    def __init__(
        self, prepare: Callable[[], Callable[[], Any]], show: Callable[[Any], None], **params: Any
    ) -> None:
        super().__init__(**params)
        self.number = 0
        self._prepare, self._show, self._due = prepare, show, False
        self.param.watch(self._appear, "shown")

    def ask(self, *_: param.parameterized.Event) -> None:
        """Draw soon, or once it can be seen. Takes and ignores the events of watchers."""
        if self.shown:
            pn.state.execute(self.draw)
        else:
            self._due = True

    def _appear(self, *_: param.parameterized.Event) -> None:
        if self.shown and self._due:
            self._due = False
            self.ask()

    async def draw(self) -> None:
        """Draw now."""
        self.number += 1
        number = self.number
        result = await asyncio.to_thread(self._prepare())
        if number == self.number:
            self._show(result)
