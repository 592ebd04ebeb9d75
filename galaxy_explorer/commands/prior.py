"""`galaxy-explorer prior`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import say


def prior(
    bundle: Annotated[Path, typer.Argument(help="Bundle folder; the prior is put into it.")],
    *,
    survey: Annotated[Path, typer.Option(help="Survey that the bundle was made from.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Model whose code maps or latents it draws; else the one that train would take."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="rectified: a flow over the vectors of a VQ-VAE, quantized at the end; else the"
            " kind that train would take."
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="tiny (a try), quick (of rectified), modern, paper (Table 3: 100,000 steps; of"
            " pixelcnn)."
        ),
    ] = "modern",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of training, in place of the recipe's.")
    ] = None,
    go_on: Annotated[
        bool,
        typer.Option("--go-on", help="Train on from the weights of the prior that the bundle has."),
    ] = False,
) -> None:
    """Give a finished bundle a prior, from which new galaxies are drawn.

    `galaxy-explorer train` makes one of a model with maps of 8 x 8 codes; this is for bundles that
    have none, and for the prior of another model: a gated PixelCNN or a rectified flow over code
    maps, a neural spline flow over the latents of a model without codes. Priors of other models and
    of other kinds stay.
    Interrupt it as you like: the same command resumes, from BUNDLE.work.

    [bold]Examples[/bold]

    galaxy-explorer prior trained/candels --survey surveys/sim_candels

    galaxy-explorer prior trained/report --survey surveys/report --model convae-conv

    galaxy-explorer prior trained/sdss --survey surveys/sdss --kind rectified --recipe quick

    galaxy-explorer prior trained/sdss --survey surveys/sdss --kind rectified --recipe quick --go-on
    """
    from galaxy_explorer.pipeline.prior import add_prior

    name = add_prior(
        bundle, survey, model=model, recipe=recipe, kind=kind, steps=steps, go_on=go_on
    )
    named = "" if kind is None else f" --prior {kind}"
    say(
        f"Prior of {name} put into {bundle}. Draw from it: galaxy-explorer generate {bundle}"
        f" --model {name}{named} -n 16 --out g.fits"
    )
