"""`galaxy-explorer train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import announce, say


def train(  # noqa: PLR0913 (the options of the command)
    survey: Annotated[Path, typer.Argument(help="Survey folder, from ingest or simulate.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    recipe: Annotated[
        str,
        typer.Option(
            help="tiny (a try), quick (two CPU cores), long (30,000 steps of stamps varied in"
            " scale, brightness and noise), paper (100,000 steps)."
        ),
    ] = "quick",
    models: Annotated[
        str,
        typer.Option(
            help="Names such as k512-modern-8x8, k16-paper-8x8, convae-dense, separated by commas;"
            " else the twelve that show every comparison of the report."
        ),
    ] = "",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of each autoencoder, in place of the recipe's."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    seeds: Annotated[
        int,
        typer.Option(
            help="With 2 or more, the models of the whole study are trained besides, and those of"
            " the trends so many times; of them only the figures go into the bundle."
        ),
    ] = 1,
    name: Annotated[str | None, typer.Option(help="Name of the bundle; else its folder's.")] = None,
    aligned_with: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another survey with some of the same galaxies (by id, same_as or position), from"
            " another instrument or another rendering: clusters then forget who took the picture."
            " May be given several times."
        ),
    ] = None,
) -> None:
    """Make a bundle from a survey: autoencoders, code maps, clusters, maps, scores, model card.

    Interrupt it as you like: the same command resumes, from OUT.work.

    [bold]Examples[/bold]

    galaxy-explorer train surveys/mine --out trained/mine --recipe quick

    galaxy-explorer train surveys/mine --out trained/mine --models k64-modern-8x8,convae-conv

    galaxy-explorer train surveys/mine --out trained/mine --steps 3500 --seeds 3

    torchrun --nproc-per-node 2 -m galaxy_explorer train surveys/mine --out trained/mine

    galaxy-explorer train surveys/euclid --out trained/euclid --aligned-with surveys/hst
    """
    from galaxy_explorer import api

    chosen = models.replace(" ", "").split(",") if models else None
    path = api.train(
        survey,
        out,
        recipe,
        models=chosen,
        steps=steps,
        seed=seed,
        seeds=seeds,
        name=name,
        aligned_with=aligned_with or (),
        announce=announce,
    ).path
    if os.environ.get("RANK", "0") == "0":  # of several processes of torchrun the first speaks
        say(f"Bundle written: {path}. Look at it: galaxy-explorer info {path}")
