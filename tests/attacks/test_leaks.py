"""A session that has ended leaves no object behind, whatever pages were open in it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from bokeh.application.handlers.document_lifecycle import DocumentLifecycleHandler
from bokeh.document import Document
from bokeh.events import DocumentReady
from bokeh.server.contexts import ApplicationContext
from bokeh.util.token import generate_jwt_token
from panel.io.application import build_single_handler_application
from panel.io.state import set_curdoc
from tornado.ioloop import IOLoop

from galaxy_explorer.explorer.context import app_context
from galaxy_explorer.explorer.pages.registry import PAGES
from galaxy_explorer.explorer.server.sessions import session_slots
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.components import Navigation
from galaxy_explorer.settings import PREFIX
from tests.app_server import ROOT

SESSIONS = 2
PATIENCE_S = 300.0
REQUEST = SimpleNamespace(
    arguments={}, cookies={}, headers={}, path="/app", uri="/app", protocol="http", host="a"
)


@pytest.fixture
def application(intact, tmp_path, monkeypatch) -> Iterator[object]:
    for name, value in (("BUNDLE", intact), ("CACHE", tmp_path), ("LABELS", tmp_path / "l.db")):
        monkeypatch.setenv(PREFIX + name, str(value))
    app_context.cache_clear()
    session_slots.cache_clear()
    made = build_single_handler_application(ROOT / "app.py")
    made.add(DocumentLifecycleHandler())
    yield made
    app_context.cache_clear()
    session_slots.cache_clear()


def alive(kind: type) -> list[object]:
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is kind]


async def open_every_page(document: Document) -> None:
    """As a visitor would, one page after the other."""
    with set_curdoc(document):
        document.callbacks.trigger_event(DocumentReady())
        navigation = alive(Navigation)[-1]
        names = [entry[0] for entry in navigation.entries]
        assert len(names) > len(PAGES) // 2
        for name in [*names, names[0]]:
            navigation.page = name


async def swept(context: ApplicationContext) -> None:
    """Wait until the sessions that asked for their end have come to it."""
    async with asyncio.timeout(PATIENCE_S):
        while list(context.sessions):
            await context._cleanup_sessions(0)
            await asyncio.sleep(0.1)


async def gone(documents: list[weakref.ref[Document]], earlier: weakref.WeakSet[object]) -> None:
    """Wait for what still works in the background to find out that nobody is there."""
    async with asyncio.timeout(PATIENCE_S):
        while set(alive(ExplorerState)) - set(earlier) or any(one() for one in documents):
            await asyncio.sleep(0.5)


def test_no_object_of_a_session_outlives_it(application) -> None:
    earlier = weakref.WeakSet(alive(ExplorerState))  # other tests of this process may keep some

    async def visit() -> None:
        context = ApplicationContext(application, io_loop=IOLoop.current(), url="/app")
        documents = []
        for number in range(SESSIONS):
            name = f"visitor-{number}"
            token = generate_jwt_token(name)
            session = await context.create_session_if_needed(name, REQUEST, token)
            documents.append(weakref.ref(session.document))
            await session.with_document_locked(open_every_page, session.document)
            await asyncio.sleep(1)
            session.request_expiration()
            del session
            await swept(context)
        await gone(documents, earlier)

    asyncio.run(visit())
