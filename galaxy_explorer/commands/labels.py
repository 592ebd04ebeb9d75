"""`galaxy-explorer labels`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from galaxy_explorer.commands.common import announce, end_in_vain, printable, say
from galaxy_explorer.settings import PREFIX, Settings, read_settings

if TYPE_CHECKING:
    from galaxy_explorer.labels.imports import ImportPlan

MAX_LINES = 30
"""Lines of a dry run that are printed; the sums are of all."""


class Action(StrEnum):
    """What to do with labels."""

    IMPORT = "import"
    EXPORT = "export"


class What(StrEnum):
    """Which table."""

    LABELS = "labels"
    MAJORITY = "majority"
    EVENTS = "events"


def labels(  # noqa: PLR0913 - each option of the command is an argument
    action: Annotated[Action, typer.Argument(help="import: read FILE; export: write --out.")],
    file: Annotated[
        Path | None, typer.Argument(help="Labels to import: CSV, ECSV, FITS, VOTable, Parquet.")
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Table to write: .ecsv, .csv, .fits, .vot or .parquet.")
    ] = None,
    what: Annotated[What, typer.Option(help="Which table to export.")] = What.LABELS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the import would change; change nothing.")
    ] = False,
    table: Annotated[
        str | None, typer.Option(help="Name or number of the table, where FILE holds several.")
    ] = None,
    annotator: Annotated[
        str, typer.Option(help="Whose labels FILE holds; else its column annotator says so.")
    ] = "",
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle with the galaxies; else the one of the app.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--labels", help="Label log; else the one of the app.")
    ] = None,
) -> None:
    """Take labels out of the app's log, or put those of a table of yours into it.

    A table needs a column galaxy_id and one of stage (T3, Sb or a number T), features (between
    semicolons, or a column each with 1 or 0) or note. Nothing in the log is ever overwritten.

    [bold]Examples[/bold]

    galaxy-explorer labels export --out labels.ecsv

    galaxy-explorer labels import mine.csv --annotator Ada --dry-run
    """
    from galaxy_explorer.api import Labels
    from galaxy_explorer.errors import LabelError
    from galaxy_explorer.labels.log import log_path

    if action is Action.EXPORT and out is None:
        raise typer.BadParameter("export: name the table to write", param_hint="--out")
    if action is Action.IMPORT and file is None:
        raise typer.BadParameter("import: name the table to read", param_hint="FILE")
    settings = read_settings()
    place = log or log_path(settings.labels)
    is_new = not place.is_file()
    if action is Action.EXPORT and is_new:
        raise LabelError(f"{place}: there is no such label log; name the one to read by --labels")
    with TemporaryDirectory() as folder:
        # A dry run makes no log; what it would do with an empty one is tried on another.
        used = Path(folder) / "labels.db" if dry_run and is_new else log
        with Labels(used, bundle or _usual_bundle(settings)) as given:
            if out is not None and action is Action.EXPORT:
                count = len(given.export_table(out, what.value))
                say(f"{count:,} rows of {what.value} from {given.path}: {out}")
            elif file is not None:
                plan = given.import_table(file, annotator, dry_run=dry_run, table=table)
                for note in plan.notes:
                    say(f"- {note}")
                for line in lines_of(plan):
                    say(line)
                done = "would store" if dry_run else "stored"
                new = f"{place}, a new log" if is_new else place
                say(f"{done} in {new}: {plan.words()}")
                if plan.refused and not (plan.changes or plan.same):
                    end_in_vain()


def _usual_bundle(settings: Settings) -> Path:
    """The bundle of the settings; of a new user, who has none yet, that of `demo`."""
    from galaxy_explorer.bundle.bundle import demo_folder

    named = Path(settings.bundle)
    if named.exists() or f"{PREFIX}BUNDLE" in os.environ:
        return named
    announce(f"{named} is not there: clusters are those of the demo (--bundle names another)")
    return demo_folder()


def lines_of(plan: ImportPlan) -> list[str]:
    """The first changes and refusals, a line each; control characters do not reach a terminal."""
    shown = [
        f"line {line}: {galaxy}, {name}, {aspect}: {before or '-'} -> {after or '-'}"
        for line, galaxy, name, aspect, before, after in plan.lines[:MAX_LINES]
    ]
    shown += [f"line {line} refused: {reason}" for line, reason in plan.refused[:MAX_LINES]]
    hidden = max(0, len(plan.lines) - MAX_LINES) + max(0, len(plan.refused) - MAX_LINES)
    lines = [*shown, f"... and {hidden:,} more lines"] if hidden else shown
    return [printable(line) for line in lines]
