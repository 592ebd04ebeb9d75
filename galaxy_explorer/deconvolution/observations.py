"""What a deconvolution is given: pixels, their sigma and the PSF of each galaxy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from galaxy_explorer.models.psf import PSFConvolution
from galaxy_explorer.survey.images import NOT_LINEAR

Array = NDArray[np.float32]
BATCH = 64
PEAK_SN = (20.0, 50.0, 200.0)  # at which a network is measured against known truth
PHOTON_SMOOTHING_PX = 1.0  # sigma of the Gaussian


@dataclass(frozen=True)
class ObservedStamps:
    """N stamps in linear flux, sky subtracted. All sizes in pixels of the stamps.

    pixels, sigma (N, S, S), sigma is the standard deviation of each pixel's noise; sky_sigma (N,)
    that of the sky alone; psf (N, P, P). free_sky: what the subtraction left of the sky is not
    known, and a constant is fitted along.
    """

    pixels: Array
    sigma: Array
    sky_sigma: Array
    psf: Array
    free_sky: bool = True

    def __len__(self) -> int:
        return len(self.pixels)

    def part(self, rows: slice | NDArray[np.int64]) -> ObservedStamps:
        """The galaxies of `rows`."""
        arrays = (self.pixels[rows], self.sigma[rows], self.sky_sigma[rows], self.psf[rows])
        return ObservedStamps(*arrays, free_sky=self.free_sky)

    @property
    def peak_sn(self) -> Array:
        """Brightest pixel of each stamp over the sky's sigma, (N,)."""
        return np.asarray(self.pixels.max((1, 2)) / self.sky_sigma, np.float32)


def blur(light: Array, psf: Array, size: int | None = None) -> Array:
    """Light (N, C, C) through psf (N, P, P); the central `size` pixels where given."""
    layer = PSFConvolution(size)
    side = light.shape[-1] if size is None else size
    blurred = np.empty((len(light), side, side), np.float32)
    for start in range(0, len(light), BATCH):
        rows = slice(start, start + BATCH)
        images = torch.from_numpy(np.ascontiguousarray(light[rows], np.float32))[:, None]
        psfs = torch.from_numpy(np.ascontiguousarray(psf[rows], np.float32))
        blurred[rows] = layer(images, psfs)[:, 0].numpy()
    return blurred


def observe(truth: Array, psf: Array, peak_sn: float, seed: int) -> ObservedStamps:
    """Observe truth (N, S, S) through psf (N, P, P) with white noise and no sky.

    The brightest pixel of each blurred galaxy is `peak_sn` sigma. Same seed, same noise.
    """
    blurred = blur(truth, psf)
    sky_sigma = np.asarray(blurred.max((1, 2)) / peak_sn, np.float32)  # (N,)
    noise = np.random.default_rng(seed).standard_normal(blurred.shape, dtype=np.float32)
    sigma = np.broadcast_to(sky_sigma[:, None, None], blurred.shape)
    pixels = np.asarray(blurred + sigma * noise, np.float32)
    return ObservedStamps(pixels, sigma, sky_sigma, psf, free_sky=False)


def stamps_observed(
    stamps: Array,
    sky: NDArray[np.floating],
    sky_sigma: NDArray[np.floating],
    psf: Array,
    electrons: NDArray[np.floating] | None = None,
    *,
    valid: NDArray[np.bool_] | None = None,
) -> ObservedStamps:
    """A survey's own stamps (N, S, S), linear, with sky and sky_sigma (N,) and psf (N, P, P).

    electrons: photo-electrons per unit of flux, (N,); the light then adds its own photon noise,
    taken from the stamp smoothed by PHOTON_SMOOTHING_PX. Without it the noise is the sky's alone.
    valid: (N, S, S), False where a pixel says nothing: its sigma is infinite, and whatever it holds
    the network sees the pixel opposite the centre in its place, or sky where that says nothing too.
    """
    from scipy.ndimage import gaussian_filter

    pixels = (stamps - sky[:, None, None]).astype(np.float32)
    if valid is not None:
        opposite = np.where(valid, pixels, np.float32(0.0))[:, ::-1, ::-1]
        pixels = np.where(valid, pixels, opposite)
    variance = np.broadcast_to(sky_sigma[:, None, None] ** 2, pixels.shape)
    if electrons is not None:
        width = (0, PHOTON_SMOOTHING_PX, PHOTON_SMOOTHING_PX)
        light = np.maximum(gaussian_filter(pixels, width), 0)
        variance = variance + light / electrons[:, None, None]
    sigma = np.sqrt(variance).astype(np.float32)
    if valid is not None:
        sigma = np.where(valid, sigma, np.float32(np.inf))
    return ObservedStamps(pixels, sigma, sky_sigma.astype(np.float32), psf.astype(np.float32))


ELECTRONS = re.compile(r"(photo-?)?e(lectrons?|lec|-)?(?![a-z])|eps")
COUNTS = re.compile(r"(counts?|cts?|dn|adus?|data ?numbers?)(?![a-z])|cps")
A_SECOND = re.compile(
    r"(/|per) *\(?s(ec(onds?)?)?(?![a-z])|(?<![a-z])s(ec)? *(\*\*|\^)? *\(?-1|cps|eps"
)
AN_AREA = re.compile(r"(?<![a-z])sr(?![a-z])|arcsec|(/|per) *\(?beam")
GAINS = ("EGAIN", "GAIN", "CCDGAIN", "ATODGAIN")
COADDS = ("NCOADD", "NCOADDS", "COADDS")
PER_SECOND = 1.0  # s: the exposure of an image that was divided by its own
EXPOSURES = ("EXPTIME", "EXPOSURE", "TEXPTIME", "XPOSURE")


class FluxUnit(NamedTuple):
    """What pixels count: electrons, counts, magnitudes, other, or "" where a header is silent."""

    text: str
    kind: str
    a_second: bool
    an_area: bool


def flux_unit(bunit: Any) -> FluxUnit:
    """The unit that BUNIT states, in the many ways of writing it."""
    text = bunit.strip() if isinstance(bunit, str) else ""
    plain = re.sub(r"^[0-9.e+^-]*[0-9][ .*]*", "", text.lower())
    kinds = {"electrons": ELECTRONS, "counts": COUNTS, "magnitudes": NOT_LINEAR}
    kind = next((name for name, words in kinds.items() if words.match(plain)), "other")
    found = A_SECOND.search(plain), AN_AREA.search(plain)
    return FluxUnit(text, kind if text else "", *(one is not None for one in found))


def photon_noise(header: Mapping[str, Any], exposure: float | None) -> tuple[float | None, str]:
    """Photo-electrons per unit of flux of an image, None where that is not known, and words.

    exposure: in s, else that of the header. Only electrons, and counts with a GAIN, have photon
    noise of their own; a header without BUNIT is believed to hold electrons/s. Counts of several
    coadded frames are believed to be their mean. The exposure of a mosaic may be that of all of it,
    and of an image per second it may be one second: both are said.
    """
    unit = flux_unit(header.get("BUNIT"))
    alone = "the noise is the sky's alone"
    if unit.kind in {"other", "magnitudes"} or unit.an_area:
        needed = "" if exposure is None else f"; --exposure needs electrons/s, not {unit.text}"
        return None, f"BUNIT {unit.text}: {alone}{needed}"
    gain, gain_words = _first(header, GAINS) if unit.kind == "counts" else (1.0, "")
    if gain is None:
        return None, f"BUNIT {unit.text} and no GAIN: {alone}"
    coadded, coadd_words = _first(header, COADDS) if unit.kind == "counts" else (None, "")
    if coadded is not None and coadded > 1 and not unit.a_second:
        gain, gain_words = gain * coadded, f"{gain_words} times {coadd_words} averaged"
    words = f"BUNIT {unit.text or 'absent, electrons/s believed'}"
    words += f", {gain_words} electrons a count" if gain_words else ""
    if unit.kind and not unit.a_second:
        unused = "" if exposure is None else "; --exposure is not needed"
        return gain, f"{words}: with photon noise{unused}"
    seconds, said = (exposure, f"--exposure {exposure} s") if exposure else (None, "")
    if seconds is None and unit.kind:
        seconds, said = _first(header, EXPOSURES)
        if seconds is not None and seconds <= PER_SECOND:
            return None, f"{words}, {said} is no exposure but its unit: {alone}; give --exposure"
        drizzled, drizzle_words = _first(header, ("NDRIZIM",))
        if drizzled is not None and drizzled > 1:
            said += f" ({drizzle_words} exposures: if not all of them saw this place, --exposure)"
    if seconds is None:
        return None, f"{words} and no exposure: {alone}"
    return gain * seconds, f"{words}: photon noise by {said}"


def _first(header: Mapping[str, Any], keywords: tuple[str, ...]) -> tuple[float | None, str]:
    for keyword in keywords:
        value = header.get(keyword)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9:
            return float(value), f"{keyword} {value:g}"
    return None, ""
