"""`galaxy-explorer serve` and `galaxy-explorer demo`."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import BundleFolder, announce, say

Port = Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)]


def serve(
    bundle: BundleFolder,
    *,
    port: Port = 5006,
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
    chosen = {"BUNDLE": bundle, "SURVEY": survey, "LABELS": labels, "SDSS_CUTOUTS": sdss or None}
    _run(chosen, port=port, address=address, browser=False)


def demo(
    *,
    port: Port = 5006,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in your browser.")
    ] = True,
) -> None:
    """Serve the bundle that comes with the package: some galaxies of the SDSS, in colour.

    It needs no data and no network. Labels go into the log that `serve` uses, too.

    [bold]Examples[/bold]

    galaxy-explorer demo

    galaxy-explorer demo --no-browser --port 5007
    """
    from galaxy_explorer.bundle.bundle import demo_folder

    announce("loading the libraries and the galaxies; some seconds")
    _run({"BUNDLE": demo_folder()}, port=port, address="localhost", browser=browser)


def _run(
    chosen: Mapping[str, Path | bool | None], *, port: int, address: str, browser: bool
) -> None:
    """Serve until Ctrl-C, with these settings in place of those of the environment."""
    from galaxy_explorer.errors import SettingError
    from galaxy_explorer.settings import PREFIX

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
    url = f"http://{address}:{server.port}"
    say(f"{context.bundle.name}: {len(context.bundle):,} galaxies at {url} (Ctrl-C stops)")
    if browser:
        webbrowser.open(url)  # where there is none, the line above says where to look
    server.run_until_shutdown()
