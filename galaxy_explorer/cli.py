"""The command line: `galaxy-explorer COMMAND`. Each command is a module of `commands`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from galaxy_explorer.errors import GalaxyExplorerError, in_words
from galaxy_explorer.settings import VERSION
from galaxy_explorer.utils.progress import QUIET

COMMANDS = (
    *("demo", "simulate", "check", "ingest", "train", "evaluate", "info", "classify", "encode"),
    *("deconvolve", "evaluate-deconvolution", "prior", "generate", "labels", "steer", "report"),
    *("serve", "bundle", "excerpt", "card"),
)
MODULES = {
    "card": "info",
    "check": "ingest",
    "demo": "serve",
    "evaluate-deconvolution": "evaluate",
}
"""Of commands that share one, for they share their options."""
RESUMABLE = frozenset(
    (
        *("simulate", "ingest", "train", "evaluate", "evaluate-deconvolution", "prior"),
        *("generate", "encode"),
    )
)
INTERRUPTED = 130  # typer's exit status after Ctrl-C
HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="galaxy-explorer",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    context_settings=HELP,
)


def quietable(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the option --quiet, of which it need not know."""

    @wraps(command)
    def run(*given: Any, quiet: bool = False, **options: Any) -> None:
        token = QUIET.set(quiet)
        try:
            command(*given, **options)
        finally:
            QUIET.reset(token)

    known = signature(command, eval_str=True)
    option = typer.Option("--quiet", "-q", help="No progress, only results and errors.")
    added = Parameter(
        "quiet", Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option]
    )
    run.__annotations__["quiet"] = added.annotation
    run.__signature__ = known.replace(parameters=[*known.parameters.values(), added])  # type: ignore[attr-defined]
    return run


def show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    """Print the version and end."""
    if wanted:
        typer.echo(f"galaxy-explorer {VERSION}")
        raise typer.Exit


@app.callback()
def galaxy_explorer(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Learn a discrete vocabulary of galaxy morphology, cluster it, and explore it.

    Exit status: 0 done; 1 nothing could be done, with the reason; 2 wrong usage; 130 after Ctrl-C.
    """


for _name in COMMANDS:
    _module = importlib.import_module(f"galaxy_explorer.commands.{MODULES.get(_name, _name)}")
    _command = getattr(_module, _name.replace("-", "_"))
    app.command(name=_name, context_settings=HELP)(quietable(_command))


def main() -> None:
    """Run the command line.

    Errors raised on purpose, and those of the disk, become one line and exit status 1.
    """
    try:
        app()
    except (GalaxyExplorerError, OSError) as error:
        sys.stderr.write(f"galaxy-explorer: {in_words(error)}\n")
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED and RESUMABLE.intersection(sys.argv[1:2]):
            sys.stderr.write("galaxy-explorer: interrupted; the same command again goes on\n")
        raise
