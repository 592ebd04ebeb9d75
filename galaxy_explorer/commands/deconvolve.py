"""`galaxy-explorer deconvolve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def deconvolve(
    bundle: Annotated[Path, typer.Argument(help="Bundle with a model with the PSF layer.")],
    stamps: Annotated[
        list[str], typer.Argument(help="Linear FITS images, folders or quoted patterns.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results, one FITS file an image.")],
    psf: Annotated[
        Path | None,
        typer.Option(
            help="FITS image of the PSF at the scale of the images; else the survey's mean PSF.",
            exists=True, dir_okay=False,
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            help="Exposure (s) of images in electrons/s, for the photon noise of the light."
        ),
    ] = None,
    hdu: Annotated[int | None, typer.Option(help="FITS extension; else the first image.")] = None,
) -> None:  # fmt: skip
    """Take the PSF off your images: light, re-convolved image, residual and chi^2, as FITS.

    Centre the galaxy; the central 84 pixels are used (as many as the model's stamps have), at the
    pixel scale of the bundle's survey. Sky and its sigma are measured on the border. An image that
    cannot be used is named with the reason; the others go on. Images of the same name in several
    folders get results with numbers: mine_deconvolved.fits, mine-2_deconvolved.fits.

    [bold]Example[/bold]

    galaxy-explorer deconvolve trained/candels stamps/*.fits --psf psf_f160w.fits --out deconvolved
    """
    from rich.console import Console

    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.bundle.deconvolution import psf_model
    from galaxy_explorer.classify import expand
    from galaxy_explorer.deconvolution.files import (
        observed_stamp,
        read_stamp,
        result_names,
        write_result,
    )
    from galaxy_explorer.deconvolution.network import deconvolve as take_off
    from galaxy_explorer.errors import BadImage
    from galaxy_explorer.survey.images import read_psf
    from galaxy_explorer.utils.progress import progress

    opened, console = load_bundle(bundle), Console(highlight=False)
    model = psf_model(opened)
    blur = model.psf.numpy() if psf is None else read_psf(psf)[0]
    facts = {"BUNDLE": opened.name, "BUNDHASH": opened.hash[:16]}
    facts["PSFFILE"] = "mean PSF of the survey" if psf is None else psf.name
    files, done = expand(stamps), 0
    with progress(len(files), "Deconvolving", unit="images") as advance:
        for path, name in zip(files, result_names(files), strict=True):
            try:
                stamp = read_stamp(path, model.config.stamp_size, hdu)
            except BadImage as error:
                console.print(str(error), markup=False, soft_wrap=True)
            else:
                observed = observed_stamp(stamp, blur, exposure)
                made = take_off(model, observed)
                chi2 = write_result(out / name, stamp, observed, made, facts)
                line = f"{path}: {out / name}, reduced chi^2 {chi2:.3f}"
                console.print(line, markup=False, soft_wrap=True)
                done += 1
            advance(1)
    console.print(f"{done} deconvolved, {len(files) - done} could not be used", markup=False)
