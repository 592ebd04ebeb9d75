"""Seats: at most so many, free when their visitor has gone, kept while one may come back."""

from __future__ import annotations

import asyncio
import base64
import gc
import gzip
import tracemalloc
from types import SimpleNamespace

import pytest
from bokeh.core.serialization import Deserializer
from bokeh.document import Document
from bokeh.server.contexts import BokehSessionContext
from hypothesis import given
from hypothesis import strategies as st
from panel.io import document as panel_document

from galaxy_explorer.explorer.server import routes  # noqa: F401 (bounds what messages hold)
from galaxy_explorer.explorer.server.sessions import MAX_UNPACKED_BYTES, SessionSlots

ABSENCE = 30
COMING, LEAVING, DROPPED, BACK = range(4)


class Session(SimpleNamespace):
    """What seats look at of a session."""

    destroyed = expiration_requested = False
    connection_count, milliseconds_since_last_unsubscribe = 1, 0.0

    def request_expiration(self) -> None:
        self.expiration_requested = True


def visitor() -> BokehSessionContext:
    context = BokehSessionContext("id", SimpleNamespace(), Document())
    context._session = Session()
    return context


def drop(one: BokehSessionContext, seconds: float) -> None:
    one.session.connection_count = 0
    one.session.milliseconds_since_last_unsubscribe = 1000 * seconds


def test_the_next_one_has_no_seat_until_one_is_given_back() -> None:
    seats = SessionSlots(2, ABSENCE)
    first, second = visitor(), visitor()
    assert seats.take(first)
    assert seats.take(second)
    assert not seats.take(visitor())
    first.session.destroyed = True
    assert seats.take(visitor())


def test_a_goodbye_frees_the_seat_at_once_but_only_when_the_connection_is_closed() -> None:
    seats, one = SessionSlots(1, ABSENCE), visitor()
    seats.take(one)
    one.session.request_expiration()
    assert not seats.take(visitor())
    drop(one, 0)
    assert seats.take(visitor())


@pytest.mark.parametrize(("away", "free"), [(ABSENCE - 1, False), (ABSENCE + 1, True)])
def test_a_dropped_connection_keeps_its_seat_for_a_while(away: float, free: bool) -> None:
    seats, one = SessionSlots(1, ABSENCE), visitor()
    seats.take(one)
    drop(one, away)
    assert seats.take(visitor()) is free
    assert one.session.expiration_requested is free


def test_who_is_away_longest_goes_and_nobody_goes_while_there_is_room() -> None:
    seats, visitors = SessionSlots(3, ABSENCE), [visitor() for _ in range(3)]
    for one, away in zip(visitors, (40, 90, 60), strict=True):
        seats.take(one)
        drop(one, away)
    assert not any(one.session.expiration_requested for one in visitors)
    assert seats.take(visitor())
    assert [one.session.expiration_requested for one in visitors] == [False, True, False]


def test_a_page_that_could_not_be_made_takes_no_seat() -> None:
    seats = SessionSlots(1, ABSENCE)
    seats.take(visitor())
    gc.collect()
    assert seats.take(visitor())


@pytest.mark.parametrize("nobody", [None, SimpleNamespace(session=None)])
def test_what_is_no_session_of_a_server_needs_no_seat(nobody: object) -> None:
    seats = SessionSlots(0, ABSENCE)
    assert seats.take(nobody)
    assert not seats.take(visitor())


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from(range(4)), st.integers(0, 9))))
def test_never_more_than_the_limit_are_connected(limit: int, story: list[tuple[int, int]]) -> None:
    seats, seated = SessionSlots(limit, ABSENCE), []
    for what, who in story:
        if what == COMING:
            one = visitor()
            seated += [one] if seats.take(one) else []
        elif seated:
            one = seated[who % len(seated)]
            if what == LEAVING:
                one.session.request_expiration()
            if what in {LEAVING, DROPPED}:
                drop(one, 10 * who)
            elif not one.session.expiration_requested:
                one.session.connection_count = 1
        assert sum(one.session.connection_count for one in seated) <= limit


def message(packed: bytes) -> dict[str, str]:
    return {"type": "bytes", "data": base64.b64encode(packed).decode()}


def test_bytes_in_a_message_come_as_they_were_sent() -> None:
    data = bytes(range(256)) * 4096
    assert Deserializer().decode(message(gzip.compress(data))) == data


def test_a_small_message_cannot_fill_the_memory() -> None:
    bomb = message(gzip.compress(bytes(8 * MAX_UNPACKED_BYTES), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(ValueError, match=str(MAX_UNPACKED_BYTES)):
        Deserializer().decode(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_UNPACKED_BYTES
    with pytest.raises(ValueError, match="cut"):
        Deserializer().decode(message(gzip.compress(b"galaxy" * 1000)[:-9]))


def test_a_message_that_comes_while_others_are_sent_is_sent_too(monkeypatch) -> None:
    class Socket:
        """Of no kind that Panel knows."""

    class Connection:
        _socket = Socket()

    sent: list[str] = []
    document, connection = Document(), Connection()

    async def write(message: str) -> None:
        sent.append(message)
        if message == "first":  # meanwhile the next one comes
            panel_document._WRITE_MSGS[document] = {connection: ["second"]}

    def handler(_: object, events: object = None, msg: str = "") -> list[asyncio.Future]:
        return [asyncio.ensure_future(write(msg))]

    monkeypatch.setitem(panel_document.extra_socket_handlers, Socket, handler)
    panel_document._WRITE_MSGS[document] = {connection: ["first"]}
    panel_document._WRITE_BLOCK[document] = True

    async def both() -> None:
        await panel_document._dispatch_msgs(document)
        await panel_document._dispatch_msgs(document)

    asyncio.run(both())
    assert sent == ["first", "second"]
