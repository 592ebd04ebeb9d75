"""Images in and out of `galaxy-explorer deconvolve`: stamps, a PSF, FITS with a full header."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from galaxy_explorer.deconvolution.network import Deconvolved, deconvolve
from galaxy_explorer.deconvolution.observations import (
    Array,
    ObservedStamps,
    flux_unit,
    photon_noise,
    stamps_observed,
)
from galaxy_explorer.errors import BadImage
from galaxy_explorer.models.psf import PSFVQVAE
from galaxy_explorer.settings import VERSION
from galaxy_explorer.survey.images import Image, choose_planes, read_image
from galaxy_explorer.survey.limits import MAX_BAD_SHARE
from galaxy_explorer.survey.photometry import sky_level
from galaxy_explorer.survey.preprocessing import central_square, resample
from galaxy_explorer.survey.scales import (
    UNUSABLE_WCS,
    PointSpread,
    cut_header,
    fwhm,
    same_scale,
    sky_wcs,
    stated_scale,
)
from galaxy_explorer.utils.files import atomic_path
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.tables import header_text

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
class DeconvolutionOptions:
    """How images are taken.

    exposure: in s, for the photon noise of the light. hdu: extension of the files, else the one
    that is the picture. band: of a cube, by name or number. model_scale: arcsec/px of the images
    that the model knows, None where its survey has none. pixel_scale: arcsec/px of images whose
    headers are silent. resample: images of another scale are resampled, else refused. psf: of the
    user's own; else the mean PSF of the model.
    """

    exposure: float | None = None
    hdu: int | None = None
    band: str | None = None
    model_scale: float | None = None
    pixel_scale: float | None = None
    resample: bool = False
    psf: PointSpread | None = None

    def scale_of(self, image: Image, name: str) -> tuple[float | None, float, list[str]]:
        """Arcsec/px that an image is worked at, its pixels in one of those, and words about it.

        Raises BadImage where the header contradicts `pixel_scale`, or has another scale than the
        model and is not to be resampled.
        """
        stated, given, model = stated_scale(image.header or {}), self.pixel_scale, self.model_scale
        scale = given if stated is None else stated.arcsec
        if stated and given and not same_scale(stated.arcsec, given):
            words = f"its {stated.said_by} says {stated.arcsec:.4g} arcsec/px, --pixel-scale"
            raise BadImage(name, f"{words} {given:.4g}; leave the option out, or mend the header")
        if scale is None:
            believed = "of an unknown scale" if model is None else f"at {model:.4g} arcsec/px"
            words = f"{name}: states no pixel scale, taken as {believed} like the bundle's survey"
            return model, 1.0, [f"{words}; else give --pixel-scale"]
        if model is None:
            words = f"{name}: {scale:.4g} arcsec/px; the bundle's survey states no scale to compare"
            return scale, 1.0, [words]
        if same_scale(scale, model):
            return model, 1.0, []
        words = f"{scale:.4g} arcsec/px, the images that the model knows {model:.4g}"
        if not self.resample:
            raise BadImage(name, f"{words}; give --resample, or an image at that scale")
        return model, model / scale, [f"{name}: {words}; resampled, its noise correlated"]


@dataclass(frozen=True)
class DeconvolutionInput:
    """One image cut to the model's size: its file, header, sky and sigma in the image's unit.

    valid: (S, S), False where there are no data. scale: arcsec/px, None if not known. electrons:
    per unit of flux, for the photon noise, None without it. notes: what was taken, and how. step:
    pixels of the image in one of the stamp, other than 1 where it was resampled.
    """

    path: Path
    header: fits.Header
    pixels: Array
    sky: float
    sky_sigma: float
    valid: NDArray[np.bool_]
    scale: float | None
    electrons: float | None
    notes: tuple[str, ...]
    step: float


def read_stamp(path: Path, size: int, options: DeconvolutionOptions) -> DeconvolutionInput:
    """The central `size` pixels of a linear FITS image, sky measured on the border.

    Raises BadImage for anything else.
    """
    name = str(path)
    image = _one_plane(read_image(path, hdu=options.hdu), options.band, name)
    unit = flux_unit(image.header.get("BUNIT"))
    scale, step, notes = options.scale_of(image, name)
    cut = _Cut.of(image.data.shape[-2:], size, step, name)
    pixels = cut.apply(image.data, keep_sum=not unit.an_area)[0]
    valid = np.ones(pixels.shape, bool)
    if image.valid is not None:
        valid = cut.apply(image.valid.astype(np.float32), keep_sum=False)[0] > ALL_VALID
    holes = int((~valid).sum())
    if holes > MAX_BAD_SHARE * valid.size:
        raise BadImage(name, f"{holes} of the central {size} x {size} pixels are NaN or blank")
    if holes:
        words = f"{name}: {holes} NaN or blank pixels are masked, residual and chi^2 without them"
        core = valid[size // 2 - CORE_PX : size // 2 + CORE_PX, size // 2 - CORE_PX :][
            :, : 2 * CORE_PX
        ]
        notes.append(words if core.all() else f"{words}; the light of the core is a guess there")
    sky, sigma = sky_level(pixels, valid)
    electrons, words = photon_noise(image.header, options.exposure)
    header, missing = cut.header(image.header, path)
    taken = "; ".join(part for part in (image.words, image.passed_by, words) if part)
    notes = [f"{name}: {text}" for text in (taken, *missing)] + notes
    return DeconvolutionInput(
        path, header, pixels, sky, sigma, valid, scale, electrons, tuple(notes), step
    )  # fmt: skip


def _one_plane(image: Image, band: str | None, name: str) -> Image:
    """The plane that is asked for, of a linear image. A hole in its middle is no reason here."""
    if not image.linear:
        raise BadImage(name, "a linear FITS image is needed; pictures have lost their flux")
    try:
        count = len(image.data)
        if band is None and count > 1:
            have = ", ".join(image.bands) or f"0 to {count - 1}"
            raise BadImage("picture", f"has {count} planes; choose by --band: {have}")
        planes = [0] if band is None else choose_planes(image, band)
        if len(planes) > 1:
            raise BadImage("picture", f"--band {band} names {len(planes)} planes; give one")
        chosen = replace(image, valid=None).chosen(planes)
    except BadImage as error:
        raise BadImage(name, error.reason) from error
    header = fits.Header() if image.header is None else image.header
    valid = None if image.valid is None else image.valid[planes]
    return replace(chosen, valid=valid, header=header)


CORE_PX = 3  # from the middle of the stamp
ALL_VALID = 0.999  # share of a resampled pixel that has data
LARGER_PX = 64  # at most, of a square that is resampled, to come nearer to the scale asked for
KEPT_CARDS = ("BUNIT", "OBJECT", "FILTER", "TELESCOP", "INSTRUME", "EXPTIME")


@dataclass(frozen=True)
class _Cut:
    """The central square of `side` pixels, on `resampled` pixels, of which the central `size`."""

    left: int
    top: int
    side: int
    resampled: int
    size: int

    @classmethod
    def of(cls, shape: tuple[int, ...], size: int, step: float, name: str) -> _Cut:
        """For an image (H, W) with `step` of its pixels in one of the stamp; raises BadImage."""
        height, width = shape[-2:]
        smallest = math.ceil(size * step)
        if min(height, width) < smallest:
            words = f"{width} x {height} px; the model needs {smallest}"
            raise BadImage(name, f"{words} about the galaxy")
        if step == 1:
            return cls((width - size) // 2, (height - size) // 2, size, size, size)
        sides = range(smallest, min(height, width, smallest + LARGER_PX) + 1)
        side = min(sides, key=lambda n: abs(max(round(n / step), size) * step / n - 1))
        resampled = max(round(side / step), size)
        if not same_scale(side / resampled, step):
            raise BadImage(name, f"{width} x {height} px are too few to be resampled")
        return cls((width - side) // 2, (height - side) // 2, side, resampled, size)

    def apply(self, planes: Array, *, keep_sum: bool) -> Array:
        """The stamp of planes (C, H, W); fluxes keep their sum, surface brightness its mean."""
        square = planes[..., self.top :, self.left :][..., : self.side, : self.side]
        return central_square(resample(square, self.resampled, linear=keep_sum), self.size)

    def header(self, given: fits.Header, path: Path) -> tuple[fits.Header, list[str]]:
        """Sky coordinates of the stamp and cards to keep; words about what could not be kept."""
        step, inner = self.side / self.resampled, (self.resampled - self.size) // 2
        missing = []
        try:
            with ExitStack() as stack:
                tables = any(key.startswith(("CPDIS", "D2IM")) for key in given)
                file = stack.enter_context(fits.open(path)) if tables else None
                wcs = sky_wcs(given, file)
                left, top = (edge + inner * step for edge in (self.left, self.top))
                header = cut_header(wcs, left, top, step, self.size)
        except UNUSABLE_WCS as error:
            header = fits.Header()
            if "CTYPE1" in given:
                missing = [f"no sky coordinates in the result ({error})"]
        for keyword in KEPT_CARDS:
            if keyword in given:
                header[keyword] = (given[keyword], given.comments[keyword])
        return header, missing


def observed_stamp(stamp: DeconvolutionInput, psf: Array) -> ObservedStamps:
    """A stamp as a deconvolution takes it."""
    sky, sigma = np.array([stamp.sky]), np.array([stamp.sky_sigma])
    electrons = None if stamp.electrons is None else np.array([stamp.electrons])
    return stamps_observed(
        stamp.pixels[None], sky, sigma, psf[None], electrons, valid=stamp.valid[None]
    )


@dataclass(frozen=True, eq=False)
class DeconvolvedImage:
    """One image without its PSF: the central S x S pixels, in the unit of the image.

    name: file name for the result. stamp: what was cut out, with header, sky and sigma. observed:
    as the deconvolution was given it. result: what it found. facts: header cards of where it is
    from. notes: what was taken of image and PSF, and how.
    """

    name: str
    stamp: DeconvolutionInput = field(repr=False)
    observed: ObservedStamps = field(repr=False)
    result: Deconvolved = field(repr=False)
    facts: dict[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

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
        """The stamp (S, S), sky subtracted; NaN where there are no data."""
        return np.where(self.stamp.valid, self.observed.pixels[0], np.float32(np.nan))

    @property
    def sigma(self) -> Array:
        """Standard deviation of the noise (S, S); NaN where there are no data."""
        return np.where(self.stamp.valid, self.observed.sigma[0], np.float32(np.nan))

    @property
    def residual(self) -> Array:
        """(pixels - reconvolved) / sigma, (S, S); NaN where there are no data."""
        return np.asarray((self.pixels - self.reconvolved) / self.sigma)

    @property
    def chi2(self) -> float:
        """Reduced chi^2: the mean squared residual of the pixels with data."""
        return float(np.nanmean(np.square(self.residual, dtype=np.float64)))

    def write(self, folder: str | Path) -> Path:
        """Write one FITS file, an extension for each of PLANES and the PSF; returns its path."""
        out = Path(folder) / self.name
        primary = fits.PrimaryHDU()
        primary.header["ORIGIN"] = f"galaxy_explorer {VERSION}"
        primary.header["INFILE"] = (header_text(self.stamp.path.name), "input image")
        primary.header["SKY"] = (self.stamp.sky, "subtracted sky, in BUNIT")
        primary.header["SKYSIG"] = (self.stamp.sky_sigma, "sigma of the sky, in BUNIT")
        primary.header["CHI2RED"] = (self.chi2, "reduced chi^2 of RECONVOLVED")
        if self.stamp.scale is not None:
            primary.header["PIXSCALE"] = (self.stamp.scale, "[arcsec] of these pixels")
        for keyword, text in self.facts.items():
            primary.header[keyword] = header_text(text)
        for note in self.notes:
            primary.header.add_history(header_text(note))
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
    """Images without their PSF, and why others could not be used, by file.

    notes: what was left out of the folders that were named, and why.
    """

    images: tuple[DeconvolvedImage, ...]
    rejected: dict[str, str]
    notes: tuple[str, ...] = ()

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
    options: DeconvolutionOptions,
    facts: dict[str, str] | None = None,
) -> Iterator[DeconvolvedImage | BadImage]:
    """Take the PSF off one image after the other; for a bad one its error is given."""
    own = model.psf.numpy()
    with progress(len(files), "Deconvolving", unit="images") as advance:
        for path, name in zip(files, result_names(files), strict=True):
            try:
                stamp = read_stamp(path, model.config.stamp_size, options)
                psf, words = (own, ()) if options.psf is None else _psf_for(options.psf, stamp, own)
            except BadImage as error:
                yield error
            else:
                observed = observed_stamp(stamp, psf)
                found = deconvolve(model, observed)
                notes = (*words, *stamp.notes)
                yield DeconvolvedImage(name, stamp, observed, found, facts or {}, notes)
            advance(1)


WIDTHS = 1.5  # times the width of the model's own PSF: beyond it a PSF is doubtful


def _psf_for(
    psf: PointSpread, stamp: DeconvolutionInput, own: Array
) -> tuple[Array, tuple[str, ...]]:
    """The user's PSF on the stamp's pixels, and words; raises BadImage for a coarser one."""
    try:
        values, words = psf.on_pixels(stamp.scale, stamp.step)
    except BadImage as error:
        raise BadImage(str(stamp.path), f"{error.source}: {error.reason}") from error
    notes, width, known = (*psf.notes, *words), fwhm(values), fwhm(own / own.sum())
    if not 1 / WIDTHS < width / known < WIDTHS:
        doubt = f"PSF {psf.name} is {width:.2g} px wide, the model's own {known:.2g}"
        notes = (*notes, f"{doubt}: is it of these images, at their pixel scale?")
    return values, notes
