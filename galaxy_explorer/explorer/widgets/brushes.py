"""The strip of brushes: small histograms of the catalogue's columns, each narrows all else."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.brushing import (
    Brush,
    BrushColumn,
    BrushSet,
    Span,
    brush_column,
    cross_counts,
    format_brush,
    mask_of,
    short_name,
    telling_columns,
    ticks,
)
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.state import ExplorerState, brush_columns
from galaxy_explorer.explorer.widgets.components import BrushStrip
from galaxy_explorer.explorer.wording import column_unit, format_column

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext

MOST_SHOWN = 16
"""Histograms side by side."""


class Brushes(pn.viewable.Viewer):
    """Histograms of the most telling columns, and of any others; they set the state's brushes.

    Each shows all galaxies and, in front, those that pass the brushes on all other columns and
    whatever else is selected. While a brush moves, histograms alone follow; the state does when
    it is let go.
    """

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.bundle = state, context.bundle
        self._offered = brush_columns(self.bundle)
        self.columns = telling_columns(self.bundle, self._offered)
        self._base: NDArray[np.bool_] | None = None
        self.strip = BrushStrip(self.on_message)
        state.param.watch(self._refresh, ["base", "brushes", "selection"])
        self._refresh()

    def __panel__(self) -> BrushStrip:
        return self.strip

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser; what no page of this app sends changes nothing."""
        name = message.get("clear")
        if "brush" in message:
            self._brush(message)
        elif isinstance(name, str):
            self.state.brush(self.state.brushes.without(name)) if name else self.state.clear()
        elif message.get("base") is False:
            self.state.select((), "")
        elif message.get("add") in self._offered and len(self.columns) < MOST_SHOWN:
            self.columns = [*self.columns, message["add"]]
            self._refresh()
        elif (name := message.get("remove")) in self.columns:
            self.columns = [column for column in self.columns if column != name]
            self.state.brush(self.state.brushes.without(str(name)))
            self._refresh()

    def _brush(self, message: dict[str, Any]) -> None:
        """Take over a brush that was let go; while it moves, say what would pass."""
        fronts, count, brushes = self.strip.fronts, self.strip.count, self.state.brushes
        with suppress(BadQuery):
            brush = read_brush(message)
            if brush.column not in self.columns:
                raise BadQuery("brush: the strip has no such column")
            asked = brushes.put(brush)
            fronts, count = self._passing(asked)[:2]
            brushes = asked if message.get("final") else brushes
        self.strip.tell({"serial": message.get("serial"), "fronts": fronts, "count": count})
        self.state.brush(brushes)

    def _passing(self, brushes: BrushSet) -> tuple[list[list[int]], str, bool]:
        """What the histograms show with some brushes, how many pass in words, whether any does."""
        counts, passed = cross_counts(self.bundle, self.columns, brushes, self._base)
        n = len(self.bundle)
        words = f"{n:,}" if passed == n else f"{passed:,} of {n:,}"
        return [one.tolist() for one in counts], words, passed > 0

    def _refresh(self, *events: Any) -> None:
        """Show what the state holds; a column that a link brushes comes along."""
        state = self.state
        if not events or any(event.name == "base" for event in events):
            self._base = mask_of(len(self.bundle), state.base) if len(state.base) else None
        brushed = [brush.column for brush in state.brushes.brushes]
        self.columns += [name for name in brushed if name not in self.columns]
        fronts, count, any_passes = self._passing(state.brushes)
        shown = [one["name"] for one in self.strip.histograms]
        new = {"histograms": self._histograms(), "offered": self._choices()}
        self.strip.param.update(
            **(new if shown != self.columns else {}),
            fronts=fronts,
            brushes={brush.column: written(brush) for brush in state.brushes.brushes},
            count=count,
            none=not any_passes,
            base=state.base_label,
        )

    def _histograms(self) -> list[dict[str, Any]]:
        return [histogram(brush_column(self.bundle, name)) for name in self.columns]

    def _choices(self) -> list[list[str]]:
        """The columns that can be added; two of the same words are told apart by their names."""
        left = [name for name in self._offered if name not in self.columns]
        words = [format_column(name) for name in left]
        return [
            [name, f"{word} ({name})" if words.count(word) > 1 else word]
            for name, word in zip(left, words, strict=True)
        ]


def histogram(column: BrushColumn) -> dict[str, Any]:
    """What the strip draws of a column: its bars, what is written at them, all galaxies in them."""
    name = column.name
    unit = column_unit(name)
    short = short_name(name)
    return {
        "name": name,
        "title": format_column(name),
        "short": short,
        "unit": "" if unit == short else unit,
        "stops": list(column.stops),
        "few": column.few,
        "words": [[word, word.replace("_", " ")] for word in column.words],
        "more": column.more,
        "ticks": [list(tick) for tick in ticks(column)] if column.stops else [],
        "colours": [type_colour(t) for t in column.stops] if name == "ttype" else [],
        "all": column.totals.tolist(),
    }


def written(brush: Brush) -> dict[str, Any]:
    """What the strip draws of a brush; told: the brush in words."""
    return {
        "spans": [list(span) for span in brush.spans],
        "words": list(brush.words),
        "missing": brush.missing,
        "told": format_brush(brush),
    }


def read_brush(message: dict[str, Any]) -> Brush:
    """The brush that the browser reports. Raises BadQuery for what is none."""
    column, words = message.get("brush"), message.get("words")
    if not isinstance(column, str) or not _all_are(words, str):
        raise BadQuery("brush: no column, or no words")
    spans = message.get("spans")
    if not _all_are(spans, list) or any(len(span) != 2 for span in spans):
        raise BadQuery(f"brush {column[:40]}: no ranges")
    ends = [end for span in spans for end in span if end is not None]
    if any(type(end) not in {int, float} for end in ends):
        raise BadQuery(f"brush {column[:40]}: no numbers")
    made: Iterable[Span] = ((_number(low), _number(high)) for low, high in spans)
    return Brush(column, tuple(made), tuple(words), message.get("missing") is True)


def _all_are(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _number(end: Any) -> float | None:
    return None if end is None else float(end)
