"""`galaxy-explorer excerpt`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import BundleFolder, say


def excerpt(
    bundle: BundleFolder,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the excerpt.")],
    n: Annotated[int, typer.Option("--n", "-n", help="Number of galaxies.", min=1)] = 2500,
    name: Annotated[str, typer.Option(help="Name of the excerpt; else that of its folder.")] = "",
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            help="priors or one kind of them (pixelcnn), judge, evaluation, emulation,"
            " deconvolution or novelty; may be repeated."
        ),
    ] = None,
) -> None:
    """Write some galaxies of a bundle as a small bundle: to send, to teach with, to try things on.

    Drawn at random, the same ones every time. Networks, priors and figures are those of the whole.

    [bold]Examples[/bold]

    galaxy-explorer excerpt trained/sdss --out small --n 1000

    galaxy-explorer excerpt trained/sdss --out tiny --n 500 --leave-out priors --leave-out judge
    """
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.bundle.remaking import write_excerpt

    made = load_bundle(write_excerpt(bundle, out, n=n, name=name, leave_out=leave_out or ()))
    size = sum(path.stat().st_size for path in made.path.iterdir())
    whole = made.manifest.excerpt
    of = f" of {whole.n_galaxies:,}" if whole else ""
    say(f"{made.path}: {len(made):,}{of} galaxies, {size / 1e6:.1f} MB")
