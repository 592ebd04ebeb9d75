"""What the colours of the map mean, as a line of HTML."""

from __future__ import annotations

from galaxy_explorer.explorer.colouring import Colouring
from galaxy_explorer.explorer.palette import UNKNOWN_COLOUR, ink_on
from galaxy_explorer.explorer.text import plain
from galaxy_explorer.explorer.words import column_unit

MAX_CATEGORIES = 12
"""More categories than this are counted, not named."""
GRADIENT_STOPS = 12
_LINE = "display:flex;flex-wrap:wrap;gap:4px 10px;align-items:center;font-size:13px"


def legend(column: str, colours: Colouring) -> str:
    """The legend of a colouring: chips for categories, a colour bar with its unit for numbers."""
    if column == "cluster":
        return _line("One colour per cluster, the same on every page. Zoom in for their numbers.")
    if column == "ttype":
        return _type_bar(colours, "no T in the catalogue")
    if column == "cluster_ttype":
        return _type_bar(colours, "too few members with a T")
    if colours.categories:
        return _chips(colours)
    return _colour_bar(colours, column_unit(column))


def _line(content: str) -> str:
    return f'<div style="{_LINE}">{content}</div>'


def _chip(colour: str, words: str) -> str:
    dot = f"width:11px;height:11px;border-radius:50%;background:{colour};display:inline-block"
    return f'<span style="white-space:nowrap"><span style="{dot}"></span> {plain(words)}</span>'


def _chips(colours: Colouring) -> str:
    named = list(zip(colours.palette, colours.categories, strict=True))[:MAX_CATEGORIES]
    left_out = len(colours.categories) - len(named)
    chips = [_chip(colour, words) for colour, words in named]
    more = [f"and {left_out} more"] if left_out else []
    return _line("".join([*chips, *more, _chip(UNKNOWN_COLOUR, "unknown")]))


def _type_bar(colours: Colouring, unknown: str) -> str:
    box = "flex:1;text-align:center;padding:1px 0;font-weight:600;"
    boxes = "".join(
        f'<span style="{box}color:{ink_on(colour)};background:{colour}">'
        f"{plain(t.replace('-', '−'))}</span>"
        for colour, t in zip(colours.palette, colours.categories, strict=True)
    )
    bar = (
        f'<div style="display:flex;border-radius:4px;overflow:hidden;font-size:12px">{boxes}</div>'
    )
    ends = '<span>early</span><span style="margin-left:auto">late</span>'
    return f"{bar}{_line(ends)}{_line(_chip(UNKNOWN_COLOUR, unknown))}"


def _colour_bar(colours: Colouring, unit: str) -> str:
    step = max(1, len(colours.palette) // GRADIENT_STOPS)
    stops = ",".join([*colours.palette[::step], colours.palette[-1]])
    bar = f"height:12px;border-radius:4px;background:linear-gradient(90deg,{stops})"
    low, high = (
        f"{value:.4g} {unit}".strip().replace("-", "−") for value in (colours.low, colours.high)
    )
    ends = f'<span>{plain(low)}</span><span style="margin-left:auto">{plain(high)}</span>'
    return f'<div style="{bar}"></div>{_line(ends)}{_line(_chip(UNKNOWN_COLOUR, "unknown"))}'
