"""`galaxy-explorer ingest`."""

from __future__ import annotations


def ingest() -> None:
    """Not written yet."""
    raise NotImplementedError
