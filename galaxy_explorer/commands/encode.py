"""`galaxy-explorer encode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from galaxy_explorer.commands.common import (
    AsJson,
    BundleFolder,
    Models,
    Scheduler,
    announce,
    say,
    say_json,
)

LARGEST_SHOWN = 8


def encode(
    bundle: BundleFolder,
    survey: Annotated[Path, typer.Argument(help="Survey folder.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    model: Models = None,
    layout: Annotated[
        Literal["parts", "hats"],
        typer.Option(help="hats: a HATS catalogue besides, which LSDB opens and cross-matches."),
    ] = "parts",
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """What a bundle makes of every galaxy of a survey, however many, as Parquet.

    Codes, features, cluster and its probability, place on the map, reconstruction error, distance
    to the nearest galaxies of the bundle and how unusual each is, beside the columns of the
    catalogue; OUT/parts/*.parquet in the order of the survey, OUT/encoding.json says what the
    columns are. Without --model the model that the app shows with the default clustering.
    Interrupted or killed, the same command again goes on, to the same files.

    [bold]Examples[/bold]

    galaxy-explorer encode trained/sdss surveys/mine --out encoded/mine --scheduler local

    galaxy-explorer encode trained/sdss surveys/mine --out encoded/mine --layout hats

    galaxy-explorer encode trained/sdss surveys/mine --out encoded/mine --scheduler tcp://node1:8786
    """
    from galaxy_explorer import api

    found = api.encode(
        bundle,
        survey,
        out,
        model=model or (),
        scheduler=scheduler,
        layout=layout,
        announce=None if as_json else announce,
    )
    if as_json:
        say_json(found.to_dict())
        return
    say(
        f"{len(found):,} galaxies encoded, {found.meta['unusual']:,} unlike the training galaxies;"
        f" written: {out}"
    )
    for key, clusters in found.meta["clusterings"].items():
        largest = sorted(clusters, key=lambda one: -one["galaxies"])[:LARGEST_SHOWN]
        words = ", ".join(f"{one['name']}: {one['galaxies']:,}" for one in largest)
        say(f"{key}: {words}")
