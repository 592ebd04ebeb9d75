"""A visitor's place in the queue of slow work: one job at a time, its progress, and Cancel."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import panel as pn

from galaxy_explorer.errors import Busy, GalaxyExplorerError
from galaxy_explorer.explorer.background import Job, JobQueue, Queued, Work, has_visitor
from galaxy_explorer.explorer.widgets.components import JobBar


@dataclass(frozen=True)
class JobStep:
    """What a step of the work made: the share that is done, in words too, and what to show."""

    share: float
    words: str
    content: Any


@dataclass(frozen=True)
class JobTask:
    """Work for the queue, what shows a step of it, and what it makes, in words.

    finished: called after the last step, not where the work was cancelled or failed.
    """

    work: Work
    show: Callable[[Any], None]
    title: str
    finished: Callable[[], None] = lambda: None


class JobRunner(pn.viewable.Viewer):
    """Runs tasks whose steps are `JobStep`s; a new one takes the place of the one before.

    What was cancelled can be begun again. A job ends with the session that asked for it.
    """

    def __init__(self, queue: JobQueue, **params: Any) -> None:
        super().__init__(**params)
        self.queue = queue
        self.bar = JobBar(self.on_message, margin=0)
        self._job: Job | None = None
        self._task: JobTask | None = None
        self._number = 0
        if pn.state.curdoc is not None:
            pn.state.curdoc.on_session_destroyed(lambda _: self._drop())

    def __panel__(self) -> JobBar:
        return self.bar

    def start(self, task: JobTask) -> None:
        """Do a task, in place of what is being done."""
        self._drop()
        self._number += 1
        self._task = task
        # A browser that is still opening the page would miss what is shown meanwhile.
        pn.state.onload(partial(self._run, self._number, task))

    def refuse(self, words: str) -> None:
        """Stop, and say why."""
        self._stop(words, refused=True)

    def _stop(self, words: str, *, refused: bool) -> None:
        unfinished = self._drop()
        self._number += 1
        self._end(words, refused=refused, resumable=unfinished)

    async def _run(self, number: int, task: JobTask) -> None:
        if number != self._number:
            return
        try:
            job = self._job = self.queue.submit(task.work)
        except Busy as error:
            self._end(str(error), refused=True, resumable=True)
            return
        self.bar.param.update(
            running=True, refused=False, resumable=False, share=0.0, words=f"{task.title} …"
        )
        started = time.monotonic()
        try:
            await self._follow(job, task)
            words, refused = f"{task.title}: {time.monotonic() - started:.1f} s", False
        except GalaxyExplorerError as error:
            words, refused = str(error), True
        finally:
            self.queue.cancel(job)
        if job is self._job:
            self._end(words, refused=refused)
            if not refused:
                task.finished()

    async def _follow(self, job: Job, task: JobTask) -> None:
        document = pn.state.curdoc
        had_visitor = has_visitor(document)
        async for event in job.events():
            if job is not self._job or has_visitor(document) != had_visitor:
                return
            if isinstance(event, Queued):
                if event.before:
                    self.bar.words = f"Busy: {event.before} before you. {task.title} comes then."
            else:
                step: JobStep = event.part
                task.show(step.content)
                self.bar.param.update(share=step.share, words=f"{task.title}: {step.words}")

    def _end(self, words: str, *, refused: bool = False, resumable: bool = False) -> None:
        self._job = None
        self.bar.param.update(
            running=False, refused=refused, resumable=resumable, share=0.0, words=words,
            done=self.bar.done + 1,
        )  # fmt: skip

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if message.get("cancel") and self._job is not None:
            self._stop(f"Cancelled. {self.bar.words}", refused=False)
        elif message.get("again") and self._job is None and self._task is not None:
            self.start(self._task)

    def _drop(self) -> bool:
        """Give up the job that is being done; whether there was one."""
        if self._job is None:
            return False
        self.queue.cancel(self._job)
        self._job = None
        return True
