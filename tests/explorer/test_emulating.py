"""The line of slow work: who waits is told for how many, and cancelling is heard at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from galaxy_explorer.errors import BundleError, Busy
from galaxy_explorer.explorer.background import JobQueue, Queued, Result
from galaxy_explorer.explorer.widgets.job_bar import JobRunner, JobStep, JobTask


@pytest.fixture
def line() -> Iterator[JobQueue]:
    made = JobQueue(max_jobs=3)
    yield made
    made.close()


class Gate:
    """Work of two steps; the second waits until the gate is open."""

    def __init__(self) -> None:
        self.open, self.begun, self.ended = threading.Event(), threading.Event(), False

    def __call__(self, cancelled) -> Iterator[JobStep]:
        yield JobStep(0.5, "half", "first")
        self.begun.set()
        while not self.open.wait(0.01):
            if cancelled():
                break
        self.ended = True
        yield JobStep(1.0, "whole", "second")


def quick(_cancelled) -> Iterator[JobStep]:
    yield JobStep(1.0, "whole", "quick")


async def all_news(job) -> list:
    return [news async for news in job.events()]


def test_whoever_waits_is_told_for_how_many_and_moves_up(line) -> None:
    async def visit() -> None:
        gate = Gate()
        first, second, third = (line.submit(work) for work in (gate, quick, quick))
        told = third.events()
        assert await anext(told) == Queued(2)
        line.cancel(second)
        assert await all_news(second) == []
        assert await anext(told) == Queued(1)
        gate.open.set()
        contents = [n.part.content for n in await all_news(first) if isinstance(n, Result)]
        assert contents == ["first", "second"]
        assert await anext(told) == Queued(0)
        assert (await anext(told)).part.content == "quick"

    asyncio.run(visit())


def test_a_full_line_refuses(line) -> None:
    async def visit() -> None:
        gate = Gate()
        jobs = [line.submit(gate), line.submit(quick), line.submit(quick)]
        with pytest.raises(Busy, match="3 requests"):
            line.submit(quick)
        for job in jobs:
            line.cancel(job)

    asyncio.run(visit())


def test_cancelling_is_heard_at_once_and_nothing_follows(line) -> None:
    async def visit() -> None:
        gate = Gate()
        job = line.submit(gate)
        await asyncio.to_thread(gate.begun.wait)
        line.cancel(job)
        assert await all_news(job) == []
        assert not gate.open.is_set()  # it was heard, not waited for
        following = await all_news(line.submit(quick))
        assert isinstance(following[-1], Result)
        assert gate.ended

    asyncio.run(visit())


def test_an_error_of_the_work_reaches_who_waits_and_the_line_goes_on(line) -> None:
    def broken(_cancelled) -> Iterator[JobStep]:
        raise BundleError("no prior")
        yield

    async def visit() -> None:
        with pytest.raises(BundleError, match="no prior"):
            await all_news(line.submit(broken))
        assert len(await all_news(line.submit(quick))) == 2

    asyncio.run(visit())


def test_a_visitor_has_one_job_and_a_new_one_takes_its_place(line) -> None:
    async def visit() -> None:
        runner, gate, shown = JobRunner(line), Gate(), []
        runner.start(JobTask(gate, shown.append, "Old"))
        await asyncio.to_thread(gate.begun.wait)
        runner.start(JobTask(quick, shown.append, "New"))
        while runner.bar.running or not runner.bar.done:
            await asyncio.sleep(0.01)
        assert shown[-1] == "quick"
        assert "second" not in shown
        assert runner.bar.words.startswith("New")

    asyncio.run(visit())


def test_cancel_is_said_at_once(line) -> None:
    async def visit() -> None:
        runner, gate, shown = JobRunner(line), Gate(), []
        runner.start(JobTask(gate, shown.append, "Galaxies"))
        await asyncio.to_thread(gate.begun.wait)
        while not shown:
            await asyncio.sleep(0.01)
        runner.on_message({"cancel": True})
        assert not runner.bar.running
        assert runner.bar.words == "Cancelled. Galaxies: half"
        assert shown == ["first"]
        gate.open.set()
        runner.on_message({"again": True})
        while runner.bar.done < 2:
            await asyncio.sleep(0.01)
        assert shown == ["first", "first", "second"]

    asyncio.run(visit())


def test_a_visitor_behind_others_is_told_so(line) -> None:
    async def visit() -> None:
        gate, runner = Gate(), JobRunner(line)
        line.submit(gate)
        runner.start(JobTask(quick, lambda _: None, "Galaxies"))
        while not runner.bar.words.startswith("Busy: 1 before you"):
            await asyncio.sleep(0.005)
        assert not gate.ended
        gate.open.set()
        while not runner.bar.done:
            await asyncio.sleep(0.01)

    asyncio.run(visit())
