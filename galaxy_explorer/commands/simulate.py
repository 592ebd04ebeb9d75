"""`galaxy-explorer simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from galaxy_explorer.commands.common import Workers, say


def simulate(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the new survey.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of galaxies.")] = 12000,
    seed: Annotated[
        int, typer.Option(min=0, help="Same seed, same pixels, whatever the number of workers.")
    ] = 0,
    like: Annotated[
        Literal["sdss", "candels"],
        typer.Option(
            help='sdss: r band, 64x64 at 0.396"/px, Moffat seeing of 1.3". '
            'candels: F160W, 84x84 at 0.06"/px.'
        ),
    ] = "sdss",
    workers: Workers = 1,
    psf: Annotated[
        Path | None,
        typer.Option(
            help="FITS image of the F160W PSF at the scale of the stamps or finer (candels). "
            "Without it psfs/egg_hst-f160w.fits where that exists, else an obscured aperture.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Make a survey of simulated galaxies with known truth.

    Galaxies along the T sequence, from E (-5) to Im (10): bulges, log-spiral arms, bars, rings,
    dust, clumps; blurred by a PSF of their own, with sky noise, neighbours and stars. Stored with
    each stamp: the light before blurring, the PSF, the noise and every parameter as a catalogue
    column. A run that was interrupted goes on where it was when the command is repeated.

    [bold]Examples[/bold]

    galaxy-explorer simulate --out surveys/sim --n 12000 --workers 2

    galaxy-explorer simulate --out surveys/hst --like candels --psf psfs/egg_hst-f160w.fits
    """
    from galaxy_explorer.api import simulate_survey
    from galaxy_explorer.survey.telescopes import default_psf

    survey = simulate_survey(out, n=n, seed=seed, like=like, workers=workers, psf=psf)
    say(f"{out}: {len(survey)} galaxies like {like}, seed {seed}")
    if like == "candels":
        say(f"PSF: {psf or default_psf(like) or 'an obscured aperture of 2.4 m'}")
    say(f"fingerprint {survey.meta['fingerprint']}")
