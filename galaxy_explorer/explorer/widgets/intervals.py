"""A figure with its interval, chance level and ceiling, as words and as a small drawing in HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from galaxy_explorer.explorer.assets import Html, render

Axis = tuple[float, float]


def format_figure(value: float | None) -> str:
    """A figure to about three significant digits, with a true minus; a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 100:
        text = f"{value:.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 0.01 or value == 0:
        text = f"{value:.3f}"
    else:
        text = f"{value:.1e}"
    return text.replace("-", "−")


def format_interval(low: float | None, high: float | None) -> str:
    """An interval such as "0.12 to 0.31"; empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{format_figure(low)} to {format_figure(high)}"


def common_axis(values: Iterable[float | None]) -> Axis:
    """Ends of an axis that holds 0 and all values; up to 1 where they come near it."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    if 0.5 < high <= 1:
        high = 1.0
    return (low, high) if high > low else (low, low + 1)


class IntervalMark(NamedTuple):
    """A mark on an axis: what it stands for, its left end and its width in per cent of the axis."""

    kind: str
    left: str
    width: str = ""


def interval_html(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    axis: Axis,
    chance: float | None = None,
    ceiling: float | None = None,
) -> Html:
    """Dot and bar on an axis; a tick for chance and one for the ceiling. Only numbers get in."""

    def place(at: float) -> float:
        return 100 * min(1.0, max(0.0, (at - axis[0]) / (axis[1] - axis[0])))

    marks = [IntervalMark("zero", f"{place(0.0):.1f}")] if axis[0] < 0 else []
    if low is not None and high is not None:
        start, end = place(low), place(high)
        marks.append(IntervalMark("range", f"{start:.1f}", f"{max(0.6, end - start):.1f}"))
    for name, at in (("chance", chance), ("ceiling", ceiling), ("dot", value)):
        if at is not None:
            marks.append(IntervalMark(name, f"{place(at):.1f}"))
    return render("parts.interval", marks=marks)
