"""A figure with its interval, chance level and ceiling, as words and as a small drawing in HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable

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


def interval_html(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    axis: Axis,
    chance: float | None = None,
    ceiling: float | None = None,
) -> str:
    """Dot and bar on an axis; a tick for chance and one for the ceiling. Only numbers get in."""
    parts = []
    if axis[0] < 0:
        parts.append(_mark("zero", 0.0, axis))
    if low is not None and high is not None:
        start, end = _place(low, axis), _place(high, axis)
        parts.append(
            f'<i class="range" style="left:{start:.1f}%;width:{max(0.6, end - start):.1f}%"></i>'
        )
    for name, place in (("chance", chance), ("ceiling", ceiling), ("dot", value)):
        if place is not None:
            parts.append(_mark(name, place, axis))
    return f'<span class="interval" aria-hidden="true">{"".join(parts)}</span>'


def _mark(name: str, value: float, axis: Axis) -> str:
    return f'<i class="{name}" style="left:{_place(value, axis):.1f}%"></i>'


def _place(value: float, axis: Axis) -> float:
    return 100 * min(1.0, max(0.0, (value - axis[0]) / (axis[1] - axis[0])))
