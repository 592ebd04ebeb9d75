"""What visitors take and give back: `python -m benchmarks.visitors [BUNDLE]`.

Serves the app, lets visitors without a browser come and go, and prints the memory of one explorer,
what is left after 50 visits, and how long a click takes while 200 requests come in.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.app_server import served
from tests.attacks.visitors import (
    BUSY,
    Visitor,
    come_in,
    go,
    held,
    page_of,
    server_process,
    settled,
)

EXPLORERS, VISITS, REQUESTS = 8, 50, 200
OPTIONS = ("--check-unused-sessions", "1000")


async def visit(address: str, times: int) -> None:
    """Come, open a page, leave, again and again."""
    for _ in range(times):
        visitor = await come_in(address)
        await visitor.change(navigation(visitor), "page", "clusters")
        await go(visitor)


def navigation(visitor: Visitor) -> str:
    """Id of what says which page is open."""
    return str(visitor.models[visitor.find("entries")]["attributes"]["data"]["id"])


async def memory_of_explorers(address: str, process: Path) -> float:
    """Resident memory (MB) that each of several explorers adds."""
    before = held(process)[2]
    visitors = [await come_in(address) for _ in range(EXPLORERS - 2)]
    after = held(process)[2]
    for visitor in visitors:
        await go(visitor)
    return (after - before) / len(visitors)


async def flood(address: str) -> tuple[list[float], int]:
    """Seconds of each click of a visitor while requests come in, and how many were refused."""
    visitor = await come_in(address)
    pages, seconds = ["clusters", "atlas"], []
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(page_of, address) for _ in range(REQUESTS)]
        while not all(answer.done() for answer in answers):
            start = time.perf_counter()
            await visitor.change(navigation(visitor), "page", pages[len(seconds) % 2])
            seconds.append(time.perf_counter() - start)
            await asyncio.sleep(0.1)
    await go(visitor)
    return seconds, sum(BUSY in answer.result() for answer in answers)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="trained/sdss")
    bundle = Path(parser.parse_args().bundle).resolve()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(*OPTIONS, bundle=bundle, labels=f"{folder}/l.db", max_explorers=EXPLORERS) as where,
    ):
        process = server_process(where)
        asyncio.run(visit(where, EXPLORERS))
        print(f"one explorer: {asyncio.run(memory_of_explorers(where, process)):.1f} MB")
        before = settled(process)
        asyncio.run(visit(where, VISITS))
        after = settled(process)
        print(f"descriptors, threads, MB before {before} and after {VISITS} visits {after}")
        seconds, refused = asyncio.run(flood(where))
        print(
            f"{len(seconds)} clicks during {REQUESTS} requests ({refused} asked to wait):"
            f" median {np.median(seconds):.2f} s, p95 {np.quantile(seconds, 0.95):.2f} s;"
            f" memory then {settled(process)[2] - after[2]:+.0f} MB"
        )


if __name__ == "__main__":
    main()
