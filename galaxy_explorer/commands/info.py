"""`galaxy-explorer info`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from galaxy_explorer.bundle.bundle import Bundle


def info(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    *,
    layers: Annotated[
        bool, typer.Option("--layers", help="The layers of a model, as the report's Table 1.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Model for --layers; else the one that draws pictures.")
    ] = None,
) -> None:
    """Print what a bundle is: its model card, or the layers of one of its models.

    [bold]Examples[/bold]

    galaxy-explorer info trained/sdss

    galaxy-explorer info trained/sdss --layers --model k512-modern-8x8
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from galaxy_explorer.bundle.bundle import load_bundle

    opened = load_bundle(bundle)
    console = Console()
    if layers or model:
        console.print(_layer_table(opened, model or opened.manifest.display_model))
        return
    # A card from elsewhere must not steer the terminal.
    text = "".join(c for c in opened.card if c.isprintable() or c == "\n")
    console.print(Markdown(text))
    console.print(f"SHA-256 of the manifest: {opened.hash}", markup=False, soft_wrap=True)


def _layer_table(bundle: Bundle, name: str) -> Table:
    from rich.table import Table

    from galaxy_explorer.errors import SettingError

    if name not in bundle.models:
        raise SettingError(f"--model {name}: not among {', '.join(bundle.models)}")
    table = Table(title=f"{name}: layers (report, Table 1)")
    table.add_column("Type", no_wrap=True)
    for head in ("#features", "filter size", "stride size", "non-linearity", "parameters"):
        table.add_column(head, justify="right")
    for row in bundle.load_model(name).layer_table():
        numbers = (str(row.features), row.filter, row.stride, row.nonlinearity)
        table.add_row(row.name, *numbers, f"{row.parameters:,}")
    return table
