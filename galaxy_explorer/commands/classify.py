"""`galaxy-explorer classify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galaxy_explorer.commands.common import (
    AsJson,
    Band,
    BundleFolder,
    Hdu,
    Models,
    Scheduler,
    end_in_vain,
    say,
    say_json,
)
from galaxy_explorer.utils.progress import QUIET

if TYPE_CHECKING:
    from galaxy_explorer.classification import Classifier, Written
    from galaxy_explorer.classification.inputs import Images


def classify(  # noqa: PLR0913 - each option of the command is an argument
    bundle: BundleFolder,
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images (FITS, PNG, JPEG, WebP, TIFF), folders or quoted patterns; a survey, a"
            " cube (.npz, .npy, .h5), a zarr array, a Parquet file of pictures."
        ),
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
    model: Models = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Say what a bundle makes of your images: codes, clusters, map positions, how unusual.

    Centre the galaxy in the image. An image that cannot be used becomes a row with the reason;
    where that is true of all, the exit status is 1. Without --model all models of the bundle look
    at up to 1,000 files; at more, or at a survey and the like, the model that the app shows with
    the default clustering, or it would take days. Memory does not grow with their number.

    [bold]Examples[/bold]

    galaxy-explorer classify trained/sdss my_galaxies/*.fits --out placed.csv

    galaxy-explorer classify trained/sdss my_galaxies --json

    galaxy-explorer classify trained/sdss cutouts.zarr --out placed.parquet --scheduler local
    """
    from galaxy_explorer.api import opened_bundle
    from galaxy_explorer.classification import Classifier, open_inputs, table_format
    from galaxy_explorer.classification.blocks import MANY

    if out is not None:
        table_format(out)
    elif not as_json:
        raise typer.BadParameter("name the table to write", param_hint="--out")
    notes: list[str] = []
    found = open_inputs(images, notes.append)
    if len(found) > MANY and out is None:
        raise typer.BadParameter(f"name the table of {len(found):,} rows", param_hint="--out")
    classifier = Classifier.of(
        opened_bundle(bundle), model or (), found, frame=frame, hdu=hdu, band=band
    )
    if not QUIET.get() and (found.stacks or len(found) > MANY):
        sys.stderr.write(f"{len(found):,} images: {classifier.choice.words}\n")
    made, report = _work(classifier, found, out, scheduler)
    counts = {
        "classified": made.images - made.rejected,
        "unusual": made.unusual,
        "rejected": made.rejected,
        "notes": notes,
        "written": made.paths,
    }
    if as_json:
        say_json({**report, **counts})
    else:
        _tell(made, notes)
    if made.rejected == made.images:
        end_in_vain()


def _work(
    classifier: Classifier, found: Images, out: Path | None, scheduler: str | None
) -> tuple[Written, dict[str, Any]]:
    """Classify and write; figures, and of no more than MANY images what JSON has of each."""
    from galaxy_explorer.classification import Classifications, Written, classify_to_table
    from galaxy_explorer.classification.blocks import MANY, classified_blocks

    bundle = classifier.bundle.opened()
    if out is not None and len(found) > MANY:
        made = classify_to_table(classifier, found, out, scheduler=scheduler)
        return made, {"bundle": bundle.name, "bundle_sha256": bundle.hash}
    made, records = Written(), []
    for block in classified_blocks(classifier, found, scheduler=scheduler):
        made.add(block)
        records += block
    all_of_them = Classifications(bundle, tuple(records), (), classifier.choice)
    made.paths = [] if out is None else all_of_them.write(out)
    return made, all_of_them.to_dict()


def _tell(made: Written, notes: list[str]) -> None:
    from galaxy_explorer.classification.blocks import MAX_REJECTED

    for note in notes:
        say(f"- {note}")
    say(
        f"{made.images - made.rejected:,} classified ({made.unusual:,} unlike the training"
        f" galaxies), {made.rejected:,} could not be used; written:"
        f" {', '.join(str(path) for path in made.paths)}"
    )
    for file, reason in made.reasons.items():
        say(f"{file}: {reason}")
    if made.rejected > MAX_REJECTED:
        say(f"... and {made.rejected - MAX_REJECTED:,} more, with the reason in the table")
    for words in made.taken_words:
        say(words)
