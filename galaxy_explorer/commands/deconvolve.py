"""`galaxy-explorer deconvolve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import Band, Hdu, PsfBundle, end_in_vain, say


def deconvolve(  # noqa: PLR0913 - each option of the command is an argument
    bundle: PsfBundle,
    images: Annotated[
        list[str], typer.Argument(help="Linear FITS images, folders or quoted patterns.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results, one FITS file an image.")],
    psf: Annotated[
        Path | None,
        typer.Option(
            help="FITS image of the PSF at the pixel scale of the images or finer (WebbPSF too); "
            "else the survey's mean PSF.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            help="Exposure (s) of images in electrons/s, or counts/s with GAIN, for the photon "
            "noise of the light; else the header's."
        ),
    ] = None,
    hdu: Hdu = None,
    pixel_scale: Annotated[
        float | None,
        typer.Option(help="Pixel scale of the images (arcsec/px) where their headers are silent."),
    ] = None,
    resample: Annotated[
        bool,
        typer.Option("--resample", help="Resample images of another pixel scale; else refused."),
    ] = False,
    band: Band = None,
) -> None:
    """Take the PSF off your images: light, re-convolved image, residual and chi^2, as FITS.

    Centre the galaxy; the central 84 pixels are used (as many as the model's stamps have), at the
    pixel scale of the bundle's survey: an image that states another is refused, or resampled where
    that is asked for. Sky and its sigma are measured on the border; NaN pixels are masked. An image
    that cannot be used is named with the reason; the others go on, and where there are none the
    exit status is 1. Images of the same name in several folders get results with numbers:
    mine_deconvolved.fits, mine-2_deconvolved.fits.

    [bold]Example[/bold]

    galaxy-explorer deconvolve trained/candels stamps/*.fits --psf psf_f160w.fits --out deconvolved
    """
    from galaxy_explorer.api.bundles import each_deconvolved
    from galaxy_explorer.errors import BadImage

    done = bad = 0
    said: set[str] = set()
    found_one_by_one = each_deconvolved(
        bundle,
        images,
        psf=psf,
        exposure=exposure,
        hdu=hdu,
        pixel_scale=pixel_scale,
        resample=resample,
        band=band,
        said=lambda note: say(f"- {note}"),
    )
    for found in found_one_by_one:
        if isinstance(found, BadImage):
            say(str(found))
            bad += 1
        else:
            for note in (one for one in found.notes if one not in said):
                say(note)
            said.update(found.notes)
            path = found.write(out)
            say(f"{found.stamp.path}: {path}, reduced chi^2 {found.chi2:.3f}")
            done += 1
    say(f"{done} deconvolved, {bad} could not be used")
    if not done:
        end_in_vain()
