"""`galaxy-explorer generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import Scheduler, say

OBSERVATION = "Observation"


def generate(  # noqa: PLR0913 - each option of the command is an argument
    bundle: Annotated[Path, typer.Argument(help="Bundle with a prior.")],
    *,
    out: Annotated[
        Path,
        typer.Option(help="A file .fits (cube, catalogue, codes) or .png (a sheet), or a folder."),
    ],
    n: Annotated[int, typer.Option("--n", "-n", help="Number of galaxies.")] = 16,
    seed: Annotated[int, typer.Option(help="Same seed, same galaxies.")] = 0,
    ttype: Annotated[
        float | None, typer.Option(help="Hubble stage T, whole or not, such as 3.5.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of another field of the prior; may be repeated."),
    ] = None,
    temperature: Annotated[
        float, typer.Option(help="Below 1: closer to the most likely galaxies; 0.1 to 2.")
    ] = 1.0,
    guidance: Annotated[
        float | None,
        typer.Option(help="1 to 5: how strongly the condition is held to; else the bundle's own."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model whose prior draws; else the first with the best kind of prior."),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(help="Kind of prior, of a model with several: rectified or pixelcnn."),
    ] = None,
    observe: Annotated[
        str | None,
        typer.Option(
            help="Camera: sdss, candels-f160w, euclid-vis or hst-f814w. None: no noise.",
            rich_help_panel=OBSERVATION,
        ),
    ] = None,
    psf: Annotated[
        Path | None,
        typer.Option(
            help="FITS image of a PSF.", rich_help_panel=OBSERVATION, exists=True, dir_okay=False
        ),
    ] = None,
    pixel_scale: Annotated[
        float | None,
        typer.Option(
            help="Arcsec of a stamp's pixel: how large the galaxies appear.",
            rich_help_panel=OBSERVATION,
        ),
    ] = None,
    observed_scale: Annotated[
        float | None,
        typer.Option(
            help="Arcsec of a pixel of the camera; else its own.", rich_help_panel=OBSERVATION
        ),
    ] = None,
    magnitude: Annotated[
        float | None,
        typer.Option(
            help="Total magnitude of each galaxy; else what is asked for.",
            rich_help_panel=OBSERVATION,
        ),
    ] = None,
    zero_point: Annotated[
        float | None,
        typer.Option(
            help="mag = zero point - 2.5 log10(flux); else the camera's.",
            rich_help_panel=OBSERVATION,
        ),
    ] = None,
    sky_sigma: Annotated[
        float | None,
        typer.Option(
            help="Noise of the sky, in flux a pixel; 0: no noise at all.",
            rich_help_panel=OBSERVATION,
        ),
    ] = None,
    psf_layer: Annotated[
        bool | None,
        typer.Option(
            "--psf-layer/--no-psf-layer",
            help="Draw through the PSF layer of the model, where it has one; else unless a PSF"
            " follows.",
            rich_help_panel=OBSERVATION,
        ),
    ] = None,
    scheduler: Scheduler = None,
) -> None:
    """Draw galaxies that do not exist from a bundle's prior.

    Everything written says SYNTHETIC. Pixels are linear light: flux where the survey's stamps were
    linear; of 8-bit pictures, such as those of trained/sdss, relative light without a zero point,
    to which --magnitude gives one. The header says which, and how each number was chosen.
    Beside what was asked for (asked_ttype) the catalogue has what a network reads off each sample
    that has learnt from real galaxies (read_ttype, read_arms and so on, attributes from 0 to 1),
    where the bundle has one. Thousands are made in blocks; interrupted, the same command again goes on.

    [bold]Examples[/bold]

    galaxy-explorer generate trained/sdss --ttype 4 -n 16 --seed 1 --out g.fits

    galaxy-explorer generate trained/sdss --ttype 3.5 --guidance 1.5 --out spirals.png

    galaxy-explorer generate trained/sdss --observe euclid-vis --pixel-scale 0.2 --magnitude 19 --out far.fits

    galaxy-explorer generate trained/sdss -n 5000 --psf psf.fits --pixel-scale 0.4 --out many.fits

    galaxy-explorer generate trained/sdss -n 5000 --ttype 4 --out many.fits --scheduler local
    """  # noqa: E501
    from galaxy_explorer import api
    from galaxy_explorer.errors import RequestError

    condition = {} if ttype is None else {"ttype": ttype}
    for text in given or []:
        name, sign, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            sign = ""
        if not sign or not name:
            raise RequestError(f"--set {text}: NAME=VALUE with a number is possible")
        if name in condition:
            raise RequestError(f"--set {text}: {name} is given twice")
        condition[name] = number
    samples = api.generate(
        bundle,
        n=n,
        seed=seed,
        condition=condition,
        temperature=temperature,
        guidance=guidance,
        model=model,
        prior=prior,
        observe=observe,
        psf=psf,
        pixel_scale=pixel_scale,
        observed_scale=observed_scale,
        magnitude=magnitude,
        zero_point=zero_point,
        sky_sigma=sky_sigma,
        psf_layer=psf_layer,
        scheduler=scheduler,
    )
    say(f"{samples.write(out)}: {samples.summary}")
