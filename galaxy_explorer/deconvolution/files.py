"""Images in and out of `galaxy-explorer deconvolve`: stamps, a PSF, FITS with a full header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from galaxy_explorer.deconvolution.network import Deconvolved, deconvolve
from galaxy_explorer.deconvolution.observations import Array, ObservedStamps, stamps_observed
from galaxy_explorer.errors import BadImage
from galaxy_explorer.models.psf import PSFVQVAE
from galaxy_explorer.settings import VERSION
from galaxy_explorer.survey.images import read_image
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import fit_stamp
from galaxy_explorer.utils.files import atomic_path
from galaxy_explorer.utils.progress import progress

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


@dataclass(frozen=True, eq=False)
class DeconvolvedImage:
    """One image without its PSF: the central S x S pixels, in the unit of the image.

    name: file name for the result. stamp: what was cut out, with header, sky and sigma. observed:
    as the deconvolution was given it. result: what it found. facts: header cards of where it is
    from.
    """

    name: str
    stamp: DeconvolutionInput = field(repr=False)
    observed: ObservedStamps = field(repr=False)
    result: Deconvolved = field(repr=False)
    facts: dict[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"<DeconvolvedImage of {self.stamp.path}: reduced chi^2 {self.chi2:.3f}>"

    @property
    def light(self) -> Array:
        """Light without the PSF (S, S), network and data."""
        return np.asarray(self.result.light[0], np.float32)

    @property
    def network(self) -> Array:
        """Light without the PSF (S, S), of the network alone."""
        return np.asarray(self.result.network[0], np.float32)

    @property
    def reconvolved(self) -> Array:
        """`light` through the PSF with the fitted sky, (S, S), to be compared with `pixels`."""
        return np.asarray(self.result.blurred[0], np.float32)

    @property
    def pixels(self) -> Array:
        """The stamp (S, S), sky subtracted."""
        return np.asarray(self.observed.pixels[0], np.float32)

    @property
    def sigma(self) -> Array:
        """Standard deviation of the noise (S, S)."""
        return np.asarray(self.observed.sigma[0], np.float32)

    @property
    def residual(self) -> Array:
        """(pixels - reconvolved) / sigma, (S, S)."""
        return np.asarray((self.pixels - self.reconvolved) / self.sigma)

    @property
    def chi2(self) -> float:
        """Reduced chi^2: the mean squared residual."""
        return float(np.square(self.residual, dtype=np.float64).mean())

    def write(self, folder: str | Path) -> Path:
        """Write one FITS file, an extension for each of PLANES and the PSF; returns its path."""
        out = Path(folder) / self.name
        primary = fits.PrimaryHDU()
        primary.header["ORIGIN"] = f"galaxy_explorer {VERSION}"
        primary.header["INFILE"] = (self.stamp.path.name, "input image")
        primary.header["SKY"] = (self.stamp.sky, "subtracted sky, in BUNIT")
        primary.header["SKYSIG"] = (self.stamp.sky_sigma, "sigma of the sky, in BUNIT")
        primary.header["CHI2RED"] = (self.chi2, "reduced chi^2 of RECONVOLVED")
        for keyword, text in self.facts.items():
            primary.header[keyword] = text
        images = (
            self.light, self.network, self.reconvolved, self.pixels, self.sigma, self.residual,
        )  # fmt: skip
        hdus = fits.HDUList([primary])
        for (name, words), image in zip(PLANES.items(), images, strict=True):
            hdu = fits.ImageHDU(np.asarray(image, np.float32), header=self.stamp.header, name=name)
            hdu.header["CONTENT"] = words
            if name == "RESIDUAL":
                hdu.header["BUNIT"] = "sigma"
            hdus.append(hdu)
        hdus.append(fits.ImageHDU(self.observed.psf[0], name="PSF"))
        with atomic_path(out) as temporary:
            hdus.writeto(temporary, overwrite=True)
        return out


@dataclass(frozen=True, eq=False, repr=False)
class Deconvolutions(Sequence[DeconvolvedImage]):
    """Images without their PSF, and why others could not be used, by file."""

    images: tuple[DeconvolvedImage, ...]
    rejected: dict[str, str]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.images[index]

    def __repr__(self) -> str:
        return f"<Deconvolutions: {len(self)} images, {len(self.rejected)} not usable>"

    def write(self, folder: str | Path) -> list[Path]:
        """Write one FITS file an image into a folder; returns their paths."""
        return [image.write(folder) for image in self]


def deconvolve_images(
    model: PSFVQVAE,
    files: Sequence[Path],
    psf: Array,
    *,
    exposure: float | None = None,
    hdu: int | None = None,
    facts: dict[str, str] | None = None,
) -> Iterator[DeconvolvedImage | BadImage]:
    """Take the PSF (P, P) off one image after the other; for a bad one its error is given.

    exposure: in s, of images in electrons/s, for the photon noise of the light. hdu: extension of
    the files, else their first image.
    """
    with progress(len(files), "Deconvolving", unit="images") as advance:
        for path, name in zip(files, result_names(files), strict=True):
            try:
                stamp = read_stamp(path, model.config.stamp_size, hdu)
            except BadImage as error:
                yield error
            else:
                observed = observed_stamp(stamp, psf, exposure)
                found = deconvolve(model, observed)
                yield DeconvolvedImage(name, stamp, observed, found, facts or {})
            advance(1)
