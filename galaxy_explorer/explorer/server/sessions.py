"""Who has an explorer open: at most so many at once, and whoever leaves makes room.

All that a server of this process answers goes through `guard_server`: it adds the routes of the
pictures, refuses requests to names that are not this server's, and sends the headers that keep
other sites from using a page.

Whoever finds no slot free costs the server next to nothing: no session is made, and a small page
without scripts tries again by itself. A visitor whose connection drops keeps the slot, and finds
everything as it was on coming back; only where others wait does a slot go that nobody has used for
a while.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import sys
import time
import zlib
from argparse import ArgumentParser
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache, partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.application.application import SessionContext
from bokeh.core.serialization import Deserializer
from bokeh.document import Document
from bokeh.server.contexts import BokehSessionContext
from bokeh.server.session import ServerSession
from bokeh.server.tornado import (
    DEFAULT_SESSION_TOKEN_EXPIRATION,
    DEFAULT_UNUSED_LIFETIME_MS,
    BokehTornado,
)
from bokeh.server.views.ws import WSHandler
from bokeh.settings import settings as bokeh_settings
from bokeh.util.token import generate_jwt_token, get_token_payload
from panel.io import document as panel_document
from panel.io.server import DocHandler
from panel.util import edit_readonly
from tornado.httputil import HTTPServerRequest
from tornado.process import task_id
from tornado.web import Finish, RequestHandler

from galaxy_explorer.errors import SettingError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.widgets.components import SessionBeacon, when_loaded
from galaxy_explorer.settings import Settings, read_settings

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


AWAKE = "/stamps/awake"
WAKING = "X-Galaxy-Explorer-Waking"
WAKE_S = 120.0
"""How long the first page waits for other processes (s)."""
LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))
ORIGINS = "--allow-websocket-origin"
POLICY = {
    "default-src": "'self'",
    # Bokeh and Panel start from scripts in the page, and make functions of texts and blobs.
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
"""Where a page may take what from: this server alone."""


def host_name(host: str) -> str:
    """The name in a Host header or an origin, without its port."""
    try:
        return (urlsplit(host if "//" in host else f"//{host}").hostname or "").rstrip(".")
    except ValueError:  # an unfinished [::1
        return ""


def is_own_name(name: str, own: Sequence[str], allowed: Sequence[str]) -> bool:
    """Whether a server answers to a name.

    own: the addresses that it listens at; allowed: names and patterns (*.example.org) of settings.
    """
    known = (pattern.lower() for pattern in allowed)
    return name in LOCAL or name in own or any(fnmatchcase(name, one) for one in known)


@cache
def guard_settings() -> Settings:
    """The settings; where one is wrong, of which the page tells, the defaults."""
    try:
        return read_settings()
    except SettingError:
        return read_settings({})


def foreign_name(server: BokehTornado, request: HTTPServerRequest) -> str | None:
    """The name of another server, where a request asks for that; None for this one's own names.

    A page of another site can have its name point here (DNS rebinding), and would then be let in
    by every browser that can reach this server.
    """
    name = host_name(request.host)
    own = [host_name(server._absolute_url or "")]  # noqa: SLF001 (given to the server's makers only)
    stream = getattr(request.connection, "stream", None)
    if stream is not None and stream.socket is not None:
        own.append(str(stream.socket.getsockname()[0]))
    origins = bokeh_settings.allowed_ws_origin() or server.websocket_origins
    names = [part.strip() for part in guard_settings().hosts.split(",") if part.strip()]
    allowed = [*map(host_name, origins), *names]
    return None if is_own_name(name, own, allowed) else name


def refusal(name: str) -> str:
    """Why a request is refused, and the cure."""
    return (
        f"This server does not answer to the name {name!r}. Whoever runs it can allow the name with"
        f" GALAXY_EXPLORER_HOSTS={name}, or {ORIGINS} {name} of panel serve.\n"
    )


def protect(handler: RequestHandler) -> None:
    """Set the headers that keep other sites from using an answer; of a page also `POLICY`."""
    frames = guard_settings().frames.split()
    policy = {"frame-ancestors": " ".join(["'self'", *frames])}
    if isinstance(handler, DocHandler):
        policy |= POLICY
    words = "; ".join(f"{name} {value}" for name, value in policy.items())
    handler.set_header("Content-Security-Policy", words)
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("Referrer-Policy", "same-origin")
    if not frames:
        handler.set_header("X-Frame-Options", "SAMEORIGIN")


class ForeignNameHandler(RequestHandler):
    """Where a request goes that is meant for another name."""

    def initialize(self, name: str) -> None:
        """Keep the name that was asked for."""
        self.name = name

    def prepare(self) -> None:
        """Refuse, whatever is asked for."""
        protect(self)
        self.set_status(HTTPStatus.FORBIDDEN)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(refusal(self.name))


class AwakeHandler(RequestHandler):
    """Says that this process has loaded the app, and which process it is."""

    def get(self) -> None:
        """Answer with the number of the process."""
        self.set_header("Cache-Control", "no-store")
        self.finish(str(os.getpid()))


@cache
def wake_siblings() -> None:
    """Have the other processes of `--num-procs` load the app now, before the first page is seen.

    Each loads it with the first page that it makes; until then it would not know the pictures,
    which a browser may ask of any of them. Whatever goes wrong here is left to that first page.
    """
    count = num_procs(sys.orig_argv)
    visitor = pn.state.curdoc and pn.state.curdoc.session_context
    if count < 2 or task_id() is None or not isinstance(visitor, BokehSessionContext):
        return
    request: Any = visitor.request
    with suppress(AttributeError, OSError):
        place = request.connection.stream.socket.getsockname()[:2]
        ask = partial(_wake, place, request.path, request.protocol, dict(request.cookies))
        end, awake = time.monotonic() + WAKE_S, {str(os.getpid())}
        with ThreadPoolExecutor(count) as pool:
            while len(awake) < count and time.monotonic() < end:
                jobs = []
                for _ in range(count - 1):
                    jobs.append(pool.submit(ask))
                    time.sleep(BETWEEN_S)
                awake |= {job.result() for job in jobs} - {""}


def is_waking() -> bool:
    """Whether the page that is being made is asked for by another process: nobody sees it."""
    visitor = pn.state.curdoc and pn.state.curdoc.session_context
    request = visitor.request if isinstance(visitor, BokehSessionContext) else None
    return request is not None and WAKING in request.headers


def num_procs(words: Sequence[str]) -> int:
    """Processes that the command line of Panel asks for; 0 means one a core."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--num-procs", type=int, default=1)
    try:
        count = int(parser.parse_known_args(list(words))[0].num_procs)
    except SystemExit:
        return 1
    return count if count > 0 else os.cpu_count() or 1


def _wake(place: tuple[str, int], page: str, protocol: str, cookies: dict[str, str]) -> str:
    """Number of the process that answers, which then has loaded the app; empty where none does.

    cookies: the visitor's, who may have had to log in.
    """
    options: dict[str, Any] = {"timeout": WAKE_S}
    kind: type[HTTPConnection] = HTTPConnection
    if protocol == "https":  # of this very server: its name is not in its certificate
        kind, options["context"] = HTTPSConnection, ssl._create_unverified_context()  # noqa: S323, SLF001
    connection = kind(*place, **options)
    awake = page.rsplit("/", 1)[0] + AWAKE
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = {"Host": "localhost", WAKING: "1", "Cookie": cookie}
    try:
        for path in (awake, page, awake):  # one connection stays with one process
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            if path == awake and answer.status == HTTPStatus.OK:
                return text.decode()
    except (OSError, HTTPException):
        pass
    finally:
        connection.close()
    return ""


@cache
def protected(handler: type[RequestHandler]) -> type[RequestHandler]:
    """A handler whose answers have the headers; pages are made by `CappedDocHandler`."""

    def set_default_headers(self: RequestHandler) -> None:
        base.set_default_headers(self)
        protect(self)

    def check_origin(self: Any, origin: str) -> bool:
        # A page of this server may connect by whichever of its names it was asked for.
        same = urlsplit(origin).netloc == self.request.headers.get("Host")
        return same or bool(WSHandler.check_origin(self, origin))

    base = CappedDocHandler if handler is DocHandler else handler
    own: dict[str, Any] = {"set_default_headers": set_default_headers}
    if issubclass(handler, WSHandler):
        own["check_origin"] = check_origin
    return type(handler.__name__, (base,), own)


def keep_sessions(server: BokehTornado) -> None:
    """Put `KEPT_MS` and `TOKEN_S` in force, unless whoever started the server chose otherwise."""
    if server._unused_session_lifetime_milliseconds == DEFAULT_UNUSED_LIFETIME_MS:  # noqa: SLF001
        server._unused_session_lifetime_milliseconds = KEPT_MS  # noqa: SLF001 (options of makers only)
    if server.session_token_expiration == DEFAULT_SESSION_TOKEN_EXPIRATION:
        server._session_token_expiration = TOKEN_S  # noqa: SLF001


def lasting(handler: DocHandler, page: str) -> str:
    """A page whose connection may be made for as long as `keep_sessions` says, not Bokeh."""
    server = handler.application
    for session in handler.application_context.sessions:
        if session.token in page:
            payload = get_token_payload(session.token)
            del payload["session_expiry"]
            token = generate_jwt_token(
                session.id, secret_key=server.secret_key, signed=server.sign_sessions,
                expiration=server.session_token_expiration, extra_payload=payload,
            )  # fmt: skip
            page = page.replace(session.token, token)
    return page


MAX_UNPACKED_BYTES = 64 << 20
"""What packed bytes in a message may unpack to: a message of 20 MB could else fill the memory."""


def unpacked_bytes(text: str) -> bytes:
    """What a message holds in base64 and gzip. Raises ValueError where that is too much."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = reader.decompress(base64.b64decode(text), MAX_UNPACKED_BYTES)
    if reader.unconsumed_tail or not reader.eof:
        raise ValueError(f"bytes in a message are cut, or more than {MAX_UNPACKED_BYTES}")
    return data


def sends_all(send: Callable[[Document], Awaitable[None]]) -> Callable[[Document], Awaitable[None]]:
    """Panel's sender of the messages that had to wait, so that none of them is left lying.

    Panel 1.9 marks a document with such messages, and takes the mark away at the end of a sending,
    also when more have come meanwhile; their own sending then finds no mark, and they lie until
    something else happens to be sent: on a busy page an answer is not shown.
    """

    async def send_waiting(document: Document) -> None:
        if panel_document._WRITE_MSGS.get(document):  # noqa: SLF001 (nothing public tells)
            panel_document._WRITE_BLOCK[document] = True  # noqa: SLF001
        await send(document)

    return send_waiting


def guard_server(routes: Sequence[tuple[Any, ...]]) -> None:
    """Have every Bokeh server of this process, running or not, serve routes and keep others out."""
    find, write = BokehTornado.find_handler, DocHandler.write
    read_bytes = Deserializer._decode_bytes  # noqa: SLF001 (no setting bounds it)
    served: WeakSet[BokehTornado] = WeakSet()

    def find_handler(self: BokehTornado, request: HTTPServerRequest, **options: Any) -> Any:
        if (name := foreign_name(self, request)) is not None:
            return self.get_handler_delegate(request, ForeignNameHandler, {"name": name})
        if request.host.startswith("["):  # Panel takes what is behind the first colon for the port
            request.host = f"localhost:{request.host.partition(']:')[2] or 80}"
        if self not in served:
            served.add(self)
            keep_sessions(self)
            everything = [*routes, (AWAKE, AwakeHandler)]
            rules = [(self.prefix + path, *rest) for path, *rest in everything]
            self.wildcard_router.add_rules(rules)
        delegate = find(self, request, **options)
        if hasattr(delegate, "handler_class"):
            delegate.handler_class = protected(delegate.handler_class)
        return delegate

    def write_page(self: DocHandler, chunk: Any) -> None:
        # The page that first loads this module is asked for before anything here is in force.
        if not isinstance(self, CappedDocHandler):
            protect(self)
            if (name := foreign_name(self.application, self.request)) is not None:
                self.set_status(HTTPStatus.FORBIDDEN)
                self.set_header("Content-Type", "text/plain; charset=utf-8")
                chunk = refusal(name)
            else:
                keep_sessions(self.application)
                chunk = lasting(self, chunk)
        write(self, chunk)

    def decode_bytes(self: Deserializer, obj: Any) -> Any:
        data = obj["data"]
        return unpacked_bytes(data) if isinstance(data, str) else read_bytes(self, obj)

    BokehTornado.find_handler = find_handler
    DocHandler.write = write_page
    panel_document._dispatch_msgs = sends_all(panel_document._dispatch_msgs)  # noqa: SLF001
    Deserializer._decode_bytes = decode_bytes  # noqa: SLF001
