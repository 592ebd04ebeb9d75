"""`galaxy-explorer info`."""

from __future__ import annotations


def info() -> None:
    """Not written yet."""
    raise NotImplementedError
