"""`galaxy-explorer bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import BundleFolder, say


def bundle(
    bundle: BundleFolder,
    encoded: Annotated[Path, typer.Argument(help="Folder of what `encode` made with it.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    name: Annotated[str, typer.Option(help="Name of the bundle; else that of its folder.")] = "",
) -> None:
    """Make a bundle of an encoded survey, to serve, search and label all of its galaxies.

    It has the networks, clusters, maps and priors of BUNDLE and the galaxies of the survey, each
    where `encode` placed it. Nothing is trained: the figures in its card are those of BUNDLE.

    [bold]Examples[/bold]

    galaxy-explorer encode trained/sdss surveys/mine --out encoded/mine --model all

    galaxy-explorer bundle trained/sdss encoded/mine --out trained/mine

    galaxy-explorer serve trained/mine
    """
    from galaxy_explorer import api

    made = api.bundle_encoded(bundle, encoded, out, name=name)
    size = sum(path.stat().st_size for path in made.path.iterdir())
    say(
        f"{made.path}: {len(made):,} galaxies by {', '.join(made.clusterings)}, {size / 1e6:.1f} MB"
    )
