"""What a figure shows, in words for those who do not see it."""

from __future__ import annotations

from pathlib import Path

from bokeh.models import CustomJS
from bokeh.plotting import figure

_CODE = (Path(__file__).parent / "js" / "describe.js").read_text(encoding="utf-8")


def describe(plot: figure, words: str) -> None:
    """Give a figure its text alternative as soon as it is drawn, and whenever it is laid out."""
    callback = CustomJS(args={"plot": plot, "words": words}, code=_CODE)
    for name in ("inner_width", "inner_height"):
        plot.js_on_change(name, callback)
