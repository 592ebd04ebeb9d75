"""The one progress display: a bar in a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from tqdm import tqdm

LINE_INTERVAL_S = 10.0
QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""Whether progress is not shown."""


class ProgressLines(tqdm):  # type: ignore[misc]
    """Whole lines in place of a bar, for files and pipes; the last one when all is done."""

    monitor_interval = 0  # nothing to adapt to: no thread

    def display(self, msg: str | None = None, pos: int | None = None) -> None:  # noqa: ARG002
        """Write a line: count, rate and time left."""
        rate = (self.n - self.initial) / max(self.format_dict["elapsed"], 1e-9)
        left = ((self.total or 0) - self.n) / rate if rate else float("inf")
        self.fp.write(
            f"{self.desc}: {self.n}/{self.total}{self.unit},"
            f" {rate:.3g}{self.unit}/s, {left:.0f} s left\n"
        )

    def close(self) -> None:
        """No line of farewell: the last one has been written."""
        self.disable = True


@contextmanager
def progress(
    total: int, description: str, *, unit: str = "galaxies", done: int = 0, after: float = 0.0
) -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`; shows count, rate and time left on standard error.

    `done` is what an earlier, interrupted run already did: it counts in the bar, not in the rate.
    What takes less than `after` seconds shows nothing.
    """
    if QUIET.get():
        yield lambda _: None
        return
    common = {"total": total, "desc": description, "unit": f" {unit}", "initial": done}
    if sys.stderr.isatty():
        kept = {"dynamic_ncols": True, "delay": after, "leave": not after}
        with tqdm(**common, file=sys.stderr, **kept) as bar:
            yield bar.update
        return
    # A delay, however short, leaves out the line of the start.
    every = {"mininterval": LINE_INTERVAL_S, "miniters": 1, "delay": 1e-9}
    start = monotonic()
    with ProgressLines(**common, **every, file=sys.stderr) as lines:

        def advance(n: int) -> None:
            lines.update(n)
            late = monotonic() - start >= after
            if late and lines.n >= total and lines.last_print_n < lines.n:
                lines.refresh()

        yield advance
