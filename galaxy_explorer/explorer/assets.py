"""What ships beside the code for the browser: scripts and styles."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "js"


@cache
def asset(name: str) -> str:
    """The text of a script or style sheet of this package."""
    return (_FOLDER / name).read_text(encoding="utf-8")
