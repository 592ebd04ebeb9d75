"""`galaxy-explorer labels`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from galaxy_explorer.labels.imports import ImportPlan
    from galaxy_explorer.labels.sample import Sample
    from galaxy_explorer.labels.store import LabelStore

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


def labels(
    action: Annotated[Action, typer.Argument(help="import: read FILE; export: write --out.")],
    file: Annotated[
        Path | None, typer.Argument(help="Labels to import: CSV, ECSV, FITS or VOTable.")
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Table to write: .ecsv, .csv, .fits, .vot or .parquet.")
    ] = None,
    what: Annotated[What, typer.Option(help="Which table to export.")] = What.LABELS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the import would change; change nothing.")
    ] = False,
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
    from rich.console import Console

    from galaxy_explorer.errors import SettingError

    console = Console(highlight=False, soft_wrap=True)
    if action is Action.EXPORT:
        if out is None:
            raise SettingError("export: name the table to write by --out")
        _export(*_opened(bundle, log), what, out, console)
    elif file is None:
        raise SettingError("import: name the table to read")
    else:
        _import(*_opened(bundle, log), file, annotator, console, dry_run=dry_run)


def _opened(bundle: Path | None, log: Path | None) -> tuple[LabelStore, Sample]:
    """The log and the galaxies, as the app has them unless told otherwise."""
    from galaxy_explorer import __version__
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.labels.log import Provenance, log_path
    from galaxy_explorer.labels.sample import Sample
    from galaxy_explorer.labels.store import LabelStore
    from galaxy_explorer.settings import read_settings

    settings = read_settings()
    opened = load_bundle(bundle or settings.bundle)
    ids = tuple(str(galaxy) for galaxy in opened.column("galaxy_id"))
    sample = Sample(ids, {key: one.labels for key, one in opened.clusterings.items()})
    model = opened.manifest.default_clustering
    path = log or log_path(settings.labels)
    return LabelStore(path, Provenance(opened.hash, model, __version__)), sample


def _export(store: LabelStore, sample: Sample, what: What, out: Path, console: Console) -> None:
    from galaxy_explorer.labels.tables import table as label_table
    from galaxy_explorer.utils.tables import write_table

    table = label_table(store, what.value, sample)
    write_table(table, out)
    console.print(f"{len(table):,} rows of {what.value} from {store.path}: {out}", markup=False)


def _import(
    store: LabelStore,
    sample: Sample,
    file: Path,
    annotator: str,
    console: Console,
    *,
    dry_run: bool,
) -> None:
    from galaxy_explorer.labels.imports import plan_import, read_rows

    rows = read_rows(file.read_bytes(), file.suffix, str(file))
    plan = plan_import(store, rows, annotator=annotator, sample=sample)
    for line in _lines(plan):
        console.print(line, markup=False)
    if dry_run:
        console.print(f"would store in {store.path}: {plan.words()}", markup=False)
    else:
        plan.apply(store)
        console.print(f"stored in {store.path}: {plan.words()}", markup=False)


def _lines(plan: ImportPlan) -> list[str]:
    """The first changes and refusals, a line each; control characters do not reach a terminal."""
    shown = [
        f"line {line}: {galaxy}, {name}, {aspect}: {before or '-'} -> {after or '-'}"
        for line, galaxy, name, aspect, before, after in plan.lines[:MAX_LINES]
    ]
    shown += [f"line {line} refused: {reason}" for line, reason in plan.refused[:MAX_LINES]]
    hidden = max(0, len(plan.lines) - MAX_LINES) + max(0, len(plan.refused) - MAX_LINES)
    lines = [*shown, f"... and {hidden:,} more lines"] if hidden else shown
    return ["".join(c if c.isprintable() else "?" for c in line) for line in lines]
