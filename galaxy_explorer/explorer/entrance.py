"""Where a page is asked for: whoever finds no seat free costs the server next to nothing.

The visitor gets a small page without scripts that tries again by itself; no session is made.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from string import Template
from typing import TYPE_CHECKING

from bokeh.server.urls import per_app_patterns
from panel.io.server import DocHandler
from tornado.web import Finish

from galaxy_explorer.explorer.sessions import seats

if TYPE_CHECKING:
    from bokeh.server.session import ServerSession

RETRY_S = 15
"""How often the page for those who wait tries again (s)."""
BETWEEN_S = 0.02
"""Between two newcomers' pages (s): what those who are in have asked for comes first."""

BUSY_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="$retry">
<title>All places are taken</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1.1rem/1.6 system-ui, sans-serif; margin: 18vh auto 0; padding: 0 1.5rem;
         max-width: 34rem }
  a { display: inline-block; margin-top: .4rem; padding: .5rem 1.2rem; border-radius: .4rem;
      background: #0b62a8; color: #fff; text-decoration: none }
</style>
</head>
<body>
<main>
<h1>All places are taken</h1>
<p>$places of $places explorers are open on this server. A place is free as soon as
somebody leaves; this page tries again every $retry seconds.</p>
<p><a href="">Try again now</a></p>
</main>
</body>
</html>
"""
)


class Entrance(DocHandler):
    """Where a page is asked for: where all seats are taken, nothing is made for the visitor.

    Newcomers' pages are made one after the other, with time between them for those who are in.
    """

    _turn = asyncio.Lock()

    async def get_session(self) -> ServerSession:
        """The newcomer's session; without a seat the request ends with a page that tries again."""
        async with self._turn:
            if not seats().is_free():
                self._ask_to_wait()
            session: ServerSession = await super().get_session()
            await asyncio.sleep(BETWEEN_S)
        return session

    def _ask_to_wait(self) -> None:
        self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
        self.set_header("Retry-After", str(RETRY_S))
        self.finish(BUSY_PAGE.substitute(places=seats().limit, retry=RETRY_S))
        raise Finish

    def _log(self) -> None:
        """Note a request in the server's log, but no refusal: a flood would fill it with errors."""
        if self.get_status() != HTTPStatus.SERVICE_UNAVAILABLE:
            super()._log()


def keep_the_door() -> None:
    """Let every page that a server of this process serves be asked for at the `Entrance`."""
    per_app_patterns[:] = [
        (path, Entrance if handler is DocHandler else handler) for path, handler in per_app_patterns
    ]
