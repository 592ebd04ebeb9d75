"""`galaxy-explorer classify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def classify(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    stamps: Annotated[
        list[str], typer.Argument(help="Images (FITS, PNG, JPEG), folders or quoted patterns.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Table to write: .csv, .ecsv, .fits or .parquet.")],
    frame: Annotated[
        str,
        typer.Option(
            help="auto: frame the galaxy in linear FITS, take 8-bit pictures whole;"
            " whole: all of every image; a number: so many central pixels."
        ),
    ] = "auto",
    hdu: Annotated[int | None, typer.Option(help="FITS extension; else the first image.")] = None,
) -> None:
    """Say what a bundle makes of your images: codes, clusters, map positions, how unusual.

    Centre the galaxy in the image. An image that cannot be used becomes a row with the reason.

    [bold]Example[/bold]

    galaxy-explorer classify trained/sdss my_galaxies/*.fits --out placed.csv
    """
    from rich.console import Console

    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.classify import classify_images, expand
    from galaxy_explorer.tables import make_table, table_format, write_table
    from galaxy_explorer.utils.progress import progress

    table_format(out)
    opened = load_bundle(bundle)
    files = expand(stamps)
    records = []
    with progress(len(files), "Classifying", unit="images") as advance:
        for record in classify_images(opened, files, frame=frame, hdu=hdu):
            records.append(record)
            advance(1)
    written = write_table(make_table(opened, records), out)
    bad = sum(bool(record.reason) for record in records)
    unusual = sum(record.out_of_distribution.startswith("yes") for record in records)
    Console(highlight=False).print(
        f"{len(records) - bad} classified ({unusual} unlike the training galaxies),"
        f" {bad} could not be used; written: {', '.join(str(path) for path in written)}",
        markup=False,
        soft_wrap=True,
    )
