"""`galaxy-explorer serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import BundleFolder, say


def serve(
    bundle: BundleFolder,
    *,
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 5006,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "localhost",
    survey: Annotated[
        Path | None, typer.Option(help="Survey with the original stamps of these galaxies.")
    ] = None,
    sdss: Annotated[
        bool, typer.Option("--sdss", help="Offer original pictures from the SDSS, by position.")
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Label log; else labels.db in your data folder.")
    ] = None,
) -> None:
    """Serve the explorer of a bundle to a browser. Ctrl-C stops it.

    [bold]Examples[/bold]

    galaxy-explorer serve trained/sdss

    galaxy-explorer serve trained/sdss --port 5007 --survey surveys/sdss
    """
    from galaxy_explorer.errors import SettingError
    from galaxy_explorer.settings import PREFIX

    chosen = {"BUNDLE": bundle, "SURVEY": survey, "LABELS": labels, "SDSS_CUTOUTS": sdss or None}
    for name, value in chosen.items():
        if value is not None:
            os.environ[PREFIX + name] = "1" if value is True else str(value)
    from galaxy_explorer.explorer.context import app_context

    context = app_context()
    import panel as pn

    from galaxy_explorer.explorer.app import TITLE, main_page
    from galaxy_explorer.explorer.pages.registry import warm_pages
    from galaxy_explorer.explorer.server.routes import ROUTES

    warm_pages(context)
    pn.extension(notifications=True, reconnect=True)
    try:
        server = pn.serve(
            main_page,
            title=TITLE,
            port=port,
            address=address,
            websocket_origin=[f"{address}:{port}"] if port else None,
            extra_patterns=ROUTES,
            show=False,
            start=False,
            verbose=False,
        )
    except OSError as error:
        raise SettingError(
            f"--port {port} on {address}: {error.strerror}; choose another --port"
        ) from error
    say(
        f"{context.bundle.name}: {len(context.bundle):,} galaxies at "
        f"http://{address}:{server.port} (Ctrl-C stops)"
    )
    server.run_until_shutdown()
