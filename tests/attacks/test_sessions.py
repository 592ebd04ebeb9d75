"""The served app against many visitors, rude visitors and visitors whose connection drops."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tornado.httpclient import HTTPClientError

from tests.app_server import served
from tests.attacks.visitors import (
    BUSY,
    TOKEN,
    Visitor,
    come_in,
    connect,
    go,
    held,
    page_of,
    server_process,
    settled,
)
from tests.small_bundle import write_small_bundle

LIMIT = 3
QUICK = ("--check-unused-sessions", "300")
HOSTILE = (
    *(None, True, -1, 10**12, -1e308, {"type": "number", "value": "nan"}, "", "x" * 10_000),
    *("<script>alert(1)</script>", [], [1] * 1000, {"type": "map", "entries": [["a", 1]]}),
    *("../../etc/passwd", [["a", "b"]], {"id": "p1"}),
)
INPUTS = {"active", "clicks", "mode", "open", "options", "page", "stamp", "tab", "text", "value"}
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="what a process holds is read from /proc"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where at most LIMIT explorers are served; who is gone for a second may lose the place."""
    folder = tmp_path_factory.mktemp("visitors")
    bundle = write_small_bundle(folder / "small", n=60)
    settings = {"cache": folder / "cache", "labels": folder / "labels.db"}
    with served(*QUICK, bundle=bundle, max_explorers=LIMIT, absence=1, **settings) as where:
        yield where


def run(story: Callable[[list[Visitor]], Awaitable[None]]) -> None:
    """Tell a story of visitors; at its end all have left, whatever happened."""

    async def tell() -> None:
        party: list[Visitor] = []
        try:
            await story(party)
        finally:
            for visitor in party:
                visitor.leave()
            await asyncio.sleep(0.1)

    asyncio.run(tell())


def test_the_next_visitor_is_asked_to_wait_until_somebody_leaves(address) -> None:
    async def story(party: list[Visitor]) -> None:
        party.extend([await come_in(address) for _ in range(LIMIT)])
        page = await asyncio.to_thread(page_of, f"{address}?page=clusters")
        assert BUSY in page
        assert f"{LIMIT} of {LIMIT} explorers" in page
        assert "Try again" in page
        assert "<script" not in page
        assert TOKEN.search(page) is None, "no session is made for who waits"
        await go(party[0])
        party.append(await come_in(address))
        party[1].leave()  # without a word, as a machine that is switched off
        party.append(await come_in(address))

    run(story)


def test_a_dropped_connection_finds_everything_as_it_was(address) -> None:
    async def story(party: list[Visitor]) -> None:
        party.append(await come_in(address))
        page = await asyncio.to_thread(page_of, address)
        token = TOKEN.search(page)[1]
        shown = []
        for _ in range(2):
            visitor = Visitor(await connect(address, token))
            party.append(visitor)
            await visitor.hear()
            await visitor.pull()
            data = visitor.models[visitor.find("entries")]["attributes"]["data"]
            shown.append((visitor.find("visit"), data["attributes"]["page"]))
            await visitor.change(data["id"], "page", "clusters")
            visitor.leave()
        assert shown[1] == (shown[0][0], "clusters")
        assert shown[0][1] == "atlas"

    run(story)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example"])
def test_pages_of_others_may_not_connect(address, origin: str) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(connect(address, "a.token", origin))


def test_hostile_values_harm_nobody(address) -> None:
    async def story(party: list[Visitor]) -> None:
        party.extend([await come_in(address) for _ in range(2)])
        rude, kind = party
        replies = []
        for number, (model, name) in enumerate(inputs(rude) * 12):
            replies.append(await rude.change(model, name, HOSTILE[number % len(HOSTILE)]))
        assert len(replies) > 100
        assert set(replies) <= {"OK", "ERROR"}
        navigation = kind.models[kind.find("entries")]["attributes"]["data"]["id"]
        assert await kind.change(navigation, "page", "clusters") == "OK"
        await go(rude)
        party.append(await come_in(address))

    run(story)


def inputs(visitor: Visitor) -> list[tuple[str, str]]:
    """What a page may change: data model and property."""
    return [
        (data["id"], name)
        for one in visitor.models.values()
        if isinstance(data := one.get("attributes", {}).get("data"), dict)
        for name in visitor.properties.get(data.get("name"), ())
        if name in INPUTS
    ]


@pytest.mark.long
@needs_proc
def test_a_flood_of_requests_leaves_the_place_of_a_visitor_alone(address) -> None:
    async def story(party: list[Visitor]) -> None:
        party.extend([await come_in(address) for _ in range(LIMIT)])
        visitor, process = party[0], server_process(address)
        navigation = visitor.models[visitor.find("entries")]["attributes"]["data"]["id"]
        before = held(process)[2]
        with ThreadPoolExecutor(4) as pool:
            flood = [pool.submit(page_of, address) for _ in range(60)]
            for name in ("trend", "atlas"):
                assert await visitor.change(navigation, "page", name) == "OK"
            answers = await asyncio.to_thread(lambda: [one.result() for one in flood])
        assert all(BUSY in page for page in answers)
        assert held(process)[2] < before + 50

    run(story)


@pytest.mark.long
@needs_proc
@pytest.mark.parametrize("cycles", [15, 50])
def test_who_leaves_gives_everything_back(address, cycles: int) -> None:
    async def visit(times: int) -> None:
        for _ in range(times):
            visitor = await come_in(address)
            data = visitor.models[visitor.find("entries")]["attributes"]["data"]["id"]
            assert await visitor.change(data, "page", "clusters") == "OK"
            await go(visitor)

    process = server_process(address)
    asyncio.run(visit(8))
    before = settled(process)
    asyncio.run(visit(cycles))
    after = settled(process)
    sys.stderr.write(f"descriptors, threads, MB: {before}, after {cycles} visits {after}\n")
    assert np.abs(np.subtract(after[:2], before[:2])).max() <= 2
    assert after[2] - before[2] <= max(20, cycles)
