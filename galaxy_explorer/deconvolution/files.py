"""Images in and out of `galaxy-explorer deconvolve`: stamps, a PSF, FITS with a full header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from astropy.io import fits

from galaxy_explorer import __version__
from galaxy_explorer.deconvolution.network import Deconvolved
from galaxy_explorer.deconvolution.observations import Array, ObservedStamps, stamps_observed
from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.images import read_image
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import fit_stamp
from galaxy_explorer.utils.files import atomic_path

PLANES = {
    "DECONVOLVED": "light without the PSF, network and data",
    "NETWORK": "light without the PSF, network alone",
    "RECONVOLVED": "DECONVOLVED through the PSF, with the fitted sky",
    "INPUT": "the stamp, sky subtracted",
    "SIGMA": "standard deviation of the noise",
    "RESIDUAL": "(INPUT - RECONVOLVED) / SIGMA",
}

ENDING = re.compile(r"\.(fits?|fts)(\.(gz|bz2))?$", re.IGNORECASE)


def result_names(files: Iterable[Path]) -> list[str]:
    """A file name for the result of each image; images of one name in several folders are numbered.

    Names differ in more than capitals: some file systems do not tell those apart.
    """
    taken: set[str] = set()
    names = []
    for path in files:
        stem = ENDING.sub("", path.name)
        name, number = stem, count(2)
        while name.lower() in taken:
            name = f"{stem}-{next(number)}"
        taken.add(name.lower())
        names.append(f"{name}_deconvolved.fits")
    return names


@dataclass(frozen=True)
class DeconvolutionInput:
    """One image cut to the model's size: its file, header, sky and sigma in the image's unit."""

    path: Path
    header: fits.Header
    pixels: Array
    sky: float
    sky_sigma: float


def read_stamp(path: Path, size: int, hdu: int | None) -> DeconvolutionInput:
    """The central `size` pixels of a linear FITS image, sky measured on the border.

    Raises BadImage for anything else.
    """
    image = read_image(path, hdu=hdu)
    if not image.linear:
        raise BadImage(str(path), "a linear FITS image is needed; pictures have lost their flux")
    pixels = fit_stamp(image.data, size, frame="centre", linear=True)[0]
    sky, sigma = sky_level(pixels)
    return DeconvolutionInput(
        path, _header(path, size, image.data.shape[-2:], hdu), pixels, sky, sigma
    )


def _header(path: Path, size: int, shape: tuple[int, ...], hdu: int | None) -> fits.Header:
    """Coordinates of the cut: the image's own, moved to the stamp's first pixel."""
    with fits.open(path) as opened:
        images = [h for h in opened if h.header.get("NAXIS", 0) >= 2]
        given = (opened[hdu] if hdu is not None else images[0]).header
        kept = ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CD1_", "CD2_", "PC1_", "PC2_", "CUNIT")
        header = fits.Header([c for c in given.cards if c.keyword.startswith(kept)])
        for keyword in ("BUNIT", "OBJECT", "FILTER", "RADESYS", "EQUINOX"):
            if keyword in given:
                header[keyword] = (given[keyword], given.comments[keyword])
    for axis, length in ((1, shape[-1]), (2, shape[-2])):
        if f"CRPIX{axis}" in header:
            header[f"CRPIX{axis}"] -= (length - size) // 2
    return header


def observed_stamp(stamp: DeconvolutionInput, psf: Array, exposure: float | None) -> ObservedStamps:
    """A stamp as a deconvolution takes it; `exposure` in s for photon noise of electrons/s."""
    sky, sigma = np.array([stamp.sky]), np.array([stamp.sky_sigma])
    electrons = None if exposure is None else np.array([exposure])
    return stamps_observed(stamp.pixels[None], sky, sigma, psf[None], electrons)


def write_result(
    out: Path,
    stamp: DeconvolutionInput,
    observed: ObservedStamps,
    made: Deconvolved,
    facts: dict[str, str],
) -> float:
    """Write one FITS file, an extension for each of PLANES and the PSF; returns reduced chi^2.

    observed, made: of this stamp alone.
    """
    residual = (observed.pixels[0] - made.blurred[0]) / observed.sigma[0]
    chi2 = float(np.square(residual, dtype=np.float64).mean())
    images = (
        made.light[0], made.network[0], made.blurred[0], observed.pixels[0],
        observed.sigma[0], residual,
    )  # fmt: skip
    primary = fits.PrimaryHDU()
    primary.header["ORIGIN"] = f"galaxy_explorer {__version__}"
    primary.header["INFILE"] = (stamp.path.name, "input image")
    primary.header["SKY"] = (stamp.sky, "subtracted sky, in BUNIT")
    primary.header["SKYSIG"] = (stamp.sky_sigma, "sigma of the sky, in BUNIT")
    primary.header["CHI2RED"] = (chi2, "reduced chi^2 of RECONVOLVED")
    for keyword, text in facts.items():
        primary.header[keyword] = text
    hdus = fits.HDUList([primary])
    for (name, words), image in zip(PLANES.items(), images, strict=True):
        hdu = fits.ImageHDU(np.asarray(image, np.float32), header=stamp.header, name=name)
        hdu.header["CONTENT"] = words
        if name == "RESIDUAL":
            hdu.header["BUNIT"] = "sigma"
        hdus.append(hdu)
    hdus.append(fits.ImageHDU(observed.psf[0], name="PSF"))
    with atomic_path(out) as temporary:
        hdus.writeto(temporary, overwrite=True)
    return chi2
