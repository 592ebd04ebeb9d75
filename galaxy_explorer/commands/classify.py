"""`galaxy-explorer classify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import (
    AsJson,
    Band,
    BundleFolder,
    Hdu,
    end_in_vain,
    say,
    say_json,
)

MAX_REJECTED = 30
"""Images that could not be used, of which the reason is shown; the table has all of them."""


def classify(
    bundle: BundleFolder,
    images: Annotated[
        list[str],
        typer.Argument(help="Images (FITS, PNG, JPEG, WebP, TIFF), folders or quoted patterns."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Table to write: .csv, .ecsv, .fits or .parquet; needed without --json."),
    ] = None,
    frame: Annotated[
        str,
        typer.Option(
            help="auto: by its measured size where the bundle's survey was, else frame the galaxy"
            " in linear FITS and take 8-bit pictures whole;"
            " whole: all of every image; a number: so many central pixels."
        ),
    ] = "auto",
    hdu: Hdu = None,
    band: Band = None,
    as_json: AsJson = False,
) -> None:
    """Say what a bundle makes of your images: codes, clusters, map positions, how unusual.

    Centre the galaxy in the image. An image that cannot be used becomes a row with the reason;
    where that is true of all, the exit status is 1.

    [bold]Examples[/bold]

    galaxy-explorer classify trained/sdss my_galaxies/*.fits --out placed.csv

    galaxy-explorer classify trained/sdss my_galaxies --json
    """
    from galaxy_explorer import api
    from galaxy_explorer.classification import table_format

    if out is not None:
        table_format(out)
    elif not as_json:
        raise typer.BadParameter("name the table to write", param_hint="--out")
    found = api.classify(bundle, images, frame=frame, hdu=hdu, band=band)
    written = [] if out is None else found.write(out)
    bad = len(found.rejected)
    if as_json:
        say_json({**found.to_dict(), "written": written})
    else:
        for note in found.notes:
            say(f"- {note}")
        say(
            f"{len(found) - bad} classified ({len(found.unusual)} unlike the training galaxies),"
            f" {bad} could not be used; written: {', '.join(str(path) for path in written)}"
        )
        rejected = list(found.rejected.items())
        for file, reason in rejected[:MAX_REJECTED]:
            say(f"{file}: {reason}")
        if bad > MAX_REJECTED:
            say(f"... and {bad - MAX_REJECTED:,} more, with the reason in the table")
        for words in found.taken_words:
            say(words)
    if bad == len(found):
        end_in_vain()
