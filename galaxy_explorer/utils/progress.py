"""The one progress display: a bar in a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LINE_INTERVAL_S = 10.0
RATE_SPAN_S = 60.0
QUIET: ContextVar[bool] = ContextVar("quiet", default=False)
"""Whether progress is not shown."""


@contextmanager
def progress(
    total: int, description: str, *, unit: str = "galaxies", done: int = 0
) -> Iterator[Callable[[int], None]]:
    """Yield `advance(n)`; shows count, rate and time left on standard error.

    `done` is what an earlier, interrupted run already did: it counts in the bar, not in the rate.
    """
    if QUIET.get():
        yield lambda _: None
        return
    shown = _bar if sys.stderr.isatty() else _lines
    with shown(total, description, unit, done) as advance:
        yield advance


@contextmanager
def _bar(total: int, description: str, unit: str, done: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, speed_estimate_period=RATE_SPAN_S) as bars:
        task = bars.add_task(description, total=total, completed=done, rate="")

        def advance(n: int) -> None:
            bars.advance(task, n)
            speed = bars.tasks[task].speed
            bars.update(task, rate=f"{speed:.3g} {unit}/s" if speed else "")

        yield advance


@contextmanager
def _lines(total: int, description: str, unit: str, done: int) -> Iterator[Callable[[int], None]]:
    start = last = time.monotonic()
    count = done

    def advance(n: int) -> None:
        nonlocal count, last
        count += n
        now = time.monotonic()
        if now - last < LINE_INTERVAL_S and count < total:
            return
        last = now
        rate = (count - done) / max(now - start, 1e-9)
        left = (total - count) / rate if rate else float("inf")
        sys.stderr.write(
            f"{description}: {count}/{total} {unit}, {rate:.3g} {unit}/s, {left:.0f} s left\n"
        )

    yield advance
