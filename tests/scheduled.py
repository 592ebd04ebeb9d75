"""Tasks that tests hand to workers, who import them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from galaxy_explorer.errors import BadImage


def double(number: int) -> int:
    return 2 * number


def worker_of(_: int) -> tuple[int, str, bool, bool]:
    """The worker, its threads, whether it looks at its own stack a hundred times a second, and
    whether it gives freed memory back at once."""
    import dask

    watches = dask.config.get("distributed.worker.profile.enabled")
    trims = "MALLOC_TRIM_THRESHOLD_" in os.environ
    time.sleep(0.05)  # so that others have their turn
    return os.getpid(), os.environ["OMP_NUM_THREADS"], watches, trims


def refuse(number: int) -> int:
    if number == 3:
        raise BadImage("three.fits", "is no picture")
    return number


def die_once(mark: str) -> str:
    """Kill the worker the first time that a mark is seen, and say what was asked the next."""
    path = Path(mark)
    if not path.exists():
        path.write_text("dead")
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def linger(mark: str) -> str:
    """Say that it has begun, then take long."""
    Path(mark).write_text(str(os.getpid()))
    time.sleep(60)
    return mark
