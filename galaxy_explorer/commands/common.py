"""What the commands share: options of one name and meaning, and how they speak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from galaxy_explorer.utils.progress import QUIET

BundleFolder = Annotated[Path, typer.Argument(help="Bundle folder.")]
PsfBundle = Annotated[Path, typer.Argument(help="Bundle with a model with the PSF layer.")]
Hdu = Annotated[
    int | None,
    typer.Option(
        help="FITS extension; else the one that is the picture by name and kind (SCI, IMAGE; never "
        "masks, weights, errors)."
    ),
]
Band = Annotated[
    str | None,
    typer.Option(
        help="Plane of a cube: its band by the header (BANDS, BAND0 .., FILTER), its number from "
        "0, r, g, b or rgb of three; several with commas."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Report as one JSON document on standard output.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A model with all its clusterings, a single clustering MODEL/FEATURES, or all; may be"
        " repeated.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="local: all cores of this machine; a number of workers; or tcp://HOST:PORT of a dask"
        " scheduler, whose workers see the same folders. Else this process alone.",
        metavar="local|N|ADDRESS",
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes.")]


def say(line: object) -> None:
    """Print a result: a line of text, or something that rich draws."""
    from rich.console import Console

    shown = printable(line) if isinstance(line, str) else line
    Console(highlight=False).print(shown, markup=False, soft_wrap=isinstance(line, str))


def printable(text: str) -> str:
    """Text without control characters, which names of files and ids may hold, but for line ends."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def announce(line: str) -> None:
    """Print what is being done, unless only results are wanted."""
    if not QUIET.get():
        say(line)


def say_json(document: Any) -> None:
    """Print a JSON document; what is no number is null."""
    typer.echo(json.dumps(_plain(document), ensure_ascii=False, allow_nan=False, indent=1))


def _plain(value: Any) -> Any:
    match value:
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124
            return None
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case Path():
            return str(value)
        case _:
            return value


def end_in_vain() -> None:
    """End with status 1: nothing of what was asked for could be done."""
    raise typer.Exit(1)
