"""Who has an explorer open: at most so many at once, and whoever leaves makes room.

Whoever finds no slot free costs the server next to nothing: no session is made, and a small page
without scripts tries again by itself. A visitor whose connection drops keeps the slot, and finds
everything as it was on coming back; only where others wait does a slot go that nobody has used for
a while.
"""

from __future__ import annotations

import asyncio
from functools import cache, partial
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.application.application import SessionContext
from bokeh.server.contexts import BokehSessionContext
from bokeh.server.session import ServerSession
from bokeh.server.urls import per_app_patterns
from panel.io.server import DocHandler
from panel.util import edit_readonly
from tornado.web import Finish

from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.widgets.components import SessionBeacon, notify, when_loaded
from galaxy_explorer.settings import read_settings

if TYPE_CHECKING:
    from bokeh.server.session import ServerSession


KEPT_MS = 600_000
"""How long a session without a connection is kept (ms): a laptop is opened again, a train leaves
its tunnel. Also how long it waits for the browser that asked for it."""
TOKEN_S = 86_400
"""How long the address of a session's connection holds (s): a day at the desk."""
MISSED = "The connection was gone while this page changed; reload it to see the change."


class SessionSlots:
    """The explorers that are open, at most `limit`.

    One without a connection for `absence` seconds gives way when somebody else comes.
    """

    def __init__(self, limit: int, absence: float) -> None:
        self.limit = limit
        self._absence_ms = 1000 * absence
        self._taken: WeakSet[BokehSessionContext] = WeakSet()

    def take(self, visitor: SessionContext | None) -> bool:
        """Give a visitor a slot if there is one; what is no session of a server needs none."""
        if not isinstance(visitor, BokehSessionContext):
            return True
        if not self.is_free():
            return False
        if len(self._held) >= self.limit:
            max(self._away, key=_absence).request_expiration()
        self._taken.add(visitor)
        return True

    def is_free(self) -> bool:
        """Whether the next visitor gets a slot."""
        return len(self._held) < self.limit or bool(self._away)

    @property
    def _held(self) -> list[ServerSession]:
        return [one.session for one in self._taken if one.session and holds_slot(one.session)]

    @property
    def _away(self) -> list[ServerSession]:
        """Sessions that have been without a connection for long enough to give way."""
        absent = [one for one in self._held if not one.connection_count]
        return [one for one in absent if _absence(one) >= self._absence_ms]


def _absence(session: ServerSession) -> float:
    return float(session.milliseconds_since_last_unsubscribe)


def holds_slot(session: ServerSession) -> bool:
    """Whether a session holds its slot: until it is gone, or its visitor said goodbye and went."""
    going = session.expiration_requested and not session.connection_count
    return not (session.destroyed or going)


@cache
def session_slots() -> SessionSlots:
    """The slots of this process, from the settings."""
    settings = read_settings()
    return SessionSlots(settings.max_explorers, settings.absence)


def has_slot() -> bool:
    """Whether the visitor whose page is being made gets an explorer."""
    return session_slots().take(pn.state.curdoc and pn.state.curdoc.session_context)


def expired_page() -> pn.Spacer:
    """What a visitor without a slot gets whose page came from an earlier session: nothing.

    Its browser connects so late that the session is over; reloading leads to `CappedDocHandler`.
    """
    pn.state.curdoc.add_next_tick_callback(_let_go)
    return pn.Spacer()


class Idle(param.Parameterized):
    """What a page listens to in place of Panel's notice that the server is at work."""

    busy = param.Boolean(default=False)


class VisitorSession:
    """One visitor's session: it ends when the page is left, and outlives a dropped connection."""

    def __init__(self) -> None:
        self.beacon = SessionBeacon(
            self.on_message, visit=token_hex(16),
            sizing_mode=None, margin=0, styles={"position": "absolute"},
        )  # fmt: skip
        self._missed = False
        if pn.state.curdoc is not None:
            pn.state.curdoc.on_change(self._on_change)

    def _on_change(self, _: object) -> None:
        """Note what is drawn while nobody sees it."""
        session = _session()
        self._missed |= session is not None and not session.connection_count

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if message.get("left"):
            _let_go()
        elif message.get("back") and self._missed:
            self._missed = False
            when_loaded(partial(notify, MISSED, warning=True))


def session_beacon() -> SessionBeacon:
    """The component that ties the visitor's page to the session; it shows nothing."""
    return VisitorSession().beacon


def detach_page_from_session(page: pmui.Page) -> pmui.Page:
    """Cut what ties a page to things of Panel that outlive its session. Returns the page.

    With every message of any visitor Panel would tell every page twice whether the server is at
    work, and walk through all that the page shows each time: two thirds of what a key costs. It
    would also keep the page for ever, and the roots of the notices and of the browser, which are
    not given up with the page.
    """
    document = pn.state.curdoc
    with edit_readonly(page):
        page.busy = Idle().param.busy

    def forget(_: SessionContext) -> None:
        views = pn.state._views  # noqa: SLF001 (no other way leads there)
        for key in [key for key, view in views.items() if document in view]:
            del views[key]

    if document is not None:
        document.on_session_destroyed(forget)
    return page


def _let_go() -> None:
    """End this session once it has no connection, without waiting for anybody to come back."""
    if (session := _session()) is not None:
        session.request_expiration()


def _session() -> ServerSession | None:
    """The session whose document is at work; None while it is being made, or without a server."""
    visitor = pn.state.curdoc and pn.state.curdoc.session_context
    return visitor.session if isinstance(visitor, BokehSessionContext) else None


RETRY_S = 15
"""How often the page for those who wait tries again (s)."""
BETWEEN_S = 0.02
"""Between two newcomers' pages (s): what those who are in have asked for comes first."""


class CappedDocHandler(DocHandler):
    """Where a page is asked for: where all slots are taken, nothing is made for the visitor.

    Newcomers' pages are made one after the other, with time between them for those who are in.
    """

    _turn = asyncio.Lock()

    async def get_session(self) -> ServerSession:
        """The newcomer's session; without a slot the request ends with a page that tries again."""
        async with self._turn:
            if not session_slots().is_free():
                self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
                self.set_header("Retry-After", str(RETRY_S))
                self.finish(str(render("busy.page", places=session_slots().limit, retry=RETRY_S)))
                raise Finish
            session: ServerSession = await super().get_session()
            await asyncio.sleep(BETWEEN_S)
        return session

    def _log(self) -> None:
        """Note a request in the server's log, but no refusal: a flood would fill it with errors."""
        if self.get_status() != HTTPStatus.SERVICE_UNAVAILABLE:
            super()._log()


def install_session_cap() -> None:
    """Let every page that a server of this process serves be asked for at `CappedDocHandler`."""
    per_app_patterns[:] = [
        (path, CappedDocHandler if handler is DocHandler else handler)
        for path, handler in per_app_patterns
    ]
