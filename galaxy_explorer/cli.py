"""The command line: `galaxy-explorer COMMAND`. Each command is a module of `commands`."""

from __future__ import annotations

import importlib
import sys

import typer

from galaxy_explorer.errors import GalaxyExplorerError

COMMANDS = (
    *("simulate", "ingest", "train", "evaluate", "info", "classify", "deconvolve"),
    *("evaluate-deconvolution", "prior", "generate", "labels", "report", "serve"),
)
RESUMABLE = frozenset(
    ("simulate", "ingest", "train", "evaluate", "evaluate-deconvolution", "prior", "generate")
)
INTERRUPTED = 130  # typer's exit status after Ctrl-C

app = typer.Typer(
    name="galaxy-explorer",
    help="Learn a discrete vocabulary of galaxy morphology, cluster it, and explore it.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)

for _name in COMMANDS:
    _word = _name.replace("-", "_")
    _module = importlib.import_module(f"galaxy_explorer.commands.{_word.partition('_')[0]}")
    app.command(name=_name)(getattr(_module, _word))


def main() -> None:
    """Run the command line.

    Errors raised on purpose, and those of the disk, become one line and exit status 1.
    """
    try:
        app()
    except (GalaxyExplorerError, OSError) as error:
        sys.stderr.write(f"galaxy-explorer: {error}\n")
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED and RESUMABLE.intersection(sys.argv[1:2]):
            sys.stderr.write("galaxy-explorer: interrupted; the same command again goes on\n")
        raise
