"""Slow work off the event loop: pictures of one visitor, and jobs that all visitors queue for.

`LatestTask` makes something in a thread and shows it if nothing newer was asked for meanwhile.
`JobQueue` does one job after the other, step by step, in one thread of the whole server. Whoever
submits one is told at once how many are before it; the queue is bounded, and a job can be cancelled
between two of its steps.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

import panel as pn
import param

from galaxy_explorer.errors import Busy, GalaxyExplorerError, in_words

DURATION_MS = 8000


def notify(words: str, *, warning: bool = False) -> None:
    """Show a notice to the visitor whose callback this is; nothing without a page."""
    notifications = pn.state.notifications
    if notifications is not None:
        send = notifications.warning if warning else notifications.info
        send(words, duration=DURATION_MS)


class LatestTask(param.Parameterized):
    """Something that is drawn in two steps, whenever it is asked for.

    prepare: reads the state and returns the slow step, which runs in a thread; show: gets its
    result, under the document's lock. A drawing that was overtaken by a later one is dropped.
    While nothing is to be seen (`shown` is false) asking only notes that a drawing is due. Where
    `ready` says that the slow step is quick, a page that is being made contains its drawing from
    the start; where `at_hand` says that its result is known already, it is shown at once.
    """

    shown = param.Boolean(default=True, doc="Whether the drawing can be seen.")

    def __init__(
        self,
        prepare: Callable[[], Callable[[], Any]],
        show: Callable[[Any], None],
        ready: Callable[[], bool] = lambda: False,
        at_hand: Callable[[], bool] = lambda: False,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.number = 0
        self._prepare, self._show, self._ready, self._at_hand = prepare, show, ready, at_hand
        self._due = False
        self.param.watch(self._appear, "shown")

    def ask(self, *_: param.parameterized.Event) -> None:
        """Draw soon, or once it can be seen. Takes and ignores the events of watchers."""
        if not self.shown:
            self._due = True
        elif pn.state.curdoc is not None and (
            self._at_hand() if pn.state.loaded else self._ready()
        ):
            self.draw_at_once()
        else:
            # A browser that is still opening the page would miss a drawing made meanwhile.
            pn.state.onload(self.draw)

    def _appear(self, *_: param.parameterized.Event) -> None:
        if self.shown and self._due:
            self._due = False
            self.ask()

    def draw_at_once(self) -> None:
        """Draw before going on, however long it takes."""
        self.number += 1
        self._show(self._prepare()())

    async def draw(self) -> None:
        """Draw now."""
        self.number += 1
        number, document = self.number, pn.state.curdoc
        had_visitor = has_visitor(document)
        show: Callable[[], None]
        try:
            show = partial(self._show, await asyncio.to_thread(self._prepare()))
        except (GalaxyExplorerError, OSError) as error:
            # Such as a bundle that another one has taken the place of since it was opened.
            show = partial(notify, in_words(error), warning=True)

        def finish() -> None:
            if number == self.number and has_visitor(document) == had_visitor:
                show()

        # Under the document's lock: else an earlier drawing may arrive after a later one.
        pn.state.execute(finish, schedule=True)


Value = TypeVar("Value")
NICE = 10
"""How far what runs beside the server stands back when the cores are busy."""


@cache
def _beside() -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, spawn, initializer=_stand_back)


def _stand_back() -> None:
    """Let others go first, and end with the server, however that ends."""
    os.nice(NICE)
    server = multiprocessing.parent_process()

    def watch() -> None:
        if server is not None:
            server.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def beside(seconds: float, work: Callable[..., Value], *given: Any) -> Value:
    """What a function of a module returns, run in a process beside the server's; call in a thread.

    Visitors' clicks do not wait for it. Raises TimeoutError after so many seconds, and kills the
    process; Busy where that ended before it was done, as when memory is short.
    """
    pool = _beside()
    try:
        return pool.submit(work, *given).result(seconds)
    except (TimeoutError, BrokenProcessPool) as error:
        _beside.cache_clear()
        for process in list((pool._processes or {}).values()):  # noqa: SLF001 (no other way stops it)
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise Busy("What examined it ended before it was done; try a smaller part") from error
        raise


def has_visitor(document: Any) -> bool:
    """Whether a document belongs to a session; one that has ended has let go of it."""
    return document is not None and document.session_context is not None


MAX_JOBS = 12
"""Jobs at a time, the one that is worked on included: a job takes a second or a few."""

Work = Callable[[Callable[[], bool]], Iterator[Any]]
"""Given a function that says whether it was cancelled, yields its results step by step."""


@dataclass(frozen=True)
class Queued:
    """How many jobs are before this one; 0: it is its turn."""

    before: int


@dataclass(frozen=True)
class Result:
    """A step of the work is done, and this is what it made."""

    part: Any


@dataclass(frozen=True)
class Finished:
    """Nothing more follows; with the error that ended the work, if one did."""

    error: Exception | None = None


JobEvent = Queued | Result | Finished


class Job:
    """A piece of work in the queue. Made by `JobQueue.submit`, on the event loop."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[JobEvent] = asyncio.Queue()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop after the step that is being worked on; its result is dropped."""
        self._cancelled.set()
        self._events.put_nowait(Finished())

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set()

    def emit(self, event: JobEvent) -> None:
        """Hand an event over to the loop, from any thread; nobody listens once that is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def events(self) -> AsyncIterator[Queued | Result]:
        """What happens, as it happens. Raises what ended the work, if an error did."""
        while not self.cancelled():
            event = await self._events.get()
            if self.cancelled():
                return
            if isinstance(event, Finished):
                if event.error is not None:
                    raise event.error
                return
            yield event


def _on_one_core() -> None:
    """Keep torch on one core in this thread: short steps on a busy machine wait long for a second.

    On two busy cores a request took a tenth of the time so.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1, user_api="openmp")


class JobQueue:
    """Jobs one after the other, in the order in which they came; at most `max_jobs` of them."""

    def __init__(self, max_jobs: int = MAX_JOBS) -> None:
        self._max_jobs = max_jobs
        self._jobs: list[Job] = []  # the first is worked on
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "emulator", initializer=_on_one_core)

    def submit(self, work: Work) -> Job:
        """Queue work at the end. Raises Busy where the queue is full."""
        job = Job(work)
        with self._lock:
            if len(self._jobs) >= self._max_jobs:
                raise Busy(
                    f"{len(self._jobs)} requests are waiting already; try again in a few seconds"
                )
            job.emit(Queued(len(self._jobs)))
            self._jobs.append(job)
        self._worker.submit(self._do, job)
        return job

    def prepare(self, work: Callable[[], object]) -> None:
        """Do something that nobody waits for, before the jobs that come later."""
        self._worker.submit(work)

    def cancel(self, job: Job) -> None:
        """Cancel a job; if it is still waiting, those behind it move up."""
        job.cancel()
        with self._lock:
            waiting = job in self._jobs[1:]
        if waiting:
            self._leave(job)

    def _do(self, job: Job) -> None:
        error = None
        try:
            if not job.cancelled():
                for part in job.work(job.cancelled):
                    if job.cancelled():
                        break
                    job.emit(Result(part))
        except Exception as caught:  # noqa: BLE001 - raised where the job is waited for
            error = caught
        self._leave(job)
        job.emit(Finished(error))

    def _leave(self, job: Job) -> None:
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
                for before, other in enumerate(self._jobs):
                    other.emit(Queued(before))

    def close(self) -> None:
        """Cancel everything and let the thread end."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            self.cancel(job)
        self._worker.shutdown(wait=True, cancel_futures=True)
