"""Pixel scales, sky coordinates, orientation and PSFs, as files state them in all their ways.

astropy reads CD, PC and CDELT, CROTA2, CUNIT and SIP; before it sees a header, what could keep it
busy or fill the memory is left out. A PSF of the user's own is freed of its pedestal, centred, and
put on an image's pixels.
"""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.fits_images import (
    NEVER_RANK,
    HduSpan,
    hdu_spans,
    read_fits,
    unpacked,
)
from galaxy_explorer.survey.limits import MAX_BAD_SHARE, MAX_FLUX
from galaxy_explorer.survey.photometry import sky_level

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.wcs import WCS

SCALE_KEYWORDS = (
    "PIXSCALE", "PIXSCAL1", "PIXELSCL", "SECPIX", "SECPIX1", "D001SCAL", "PIXAR_A2", "PIXAR_SR",
    "PIXSCAL2", "SECPIX2", "PIXSCL", "PIXELSCALE", "PIXEL_SCALE", "CCDSCALE", "GS_SCALE",
    "ESO INS PIXSCALE",
)  # fmt: skip
VAGUE_KEYWORDS = ("PLTSCALE", "SCALE", "PSCALE", "IMSCALE", "PIXSIZE", "PIXSIZE1", "XPIXSIZE")
"""Believed where their comment speaks of arcsec and pixels."""
AREA_KEYWORDS = {"PIXAR_A2": 1.0, "PIXAR_SR": (math.pi / 648_000) ** -2}  # to arcsec^2 a pixel
ARCSEC_PER_DEGREE = 3600.0
STATED = re.compile(
    r"([0-9.]+(?:[ed][+-]?[0-9]+)?)(?:\s*x\s*[0-9.]+)?\s*([a-z\"' ]*)(?:(?:/|per)\s*pix(?:el)?)?"
)
IN_ARCSEC = {"": 1.0, "arcsec": 1.0, "arcsecs": 1.0, "arcseconds": 1.0, "asec": 1.0, "as": 1.0,
             '"': 1.0, "mas": 1e-3, "deg": 3600.0, "degrees": 3600.0, "arcmin": 60.0}  # fmt: skip
COMMENTS = ((r"\bmas\b|milli-?arc", 1e-3), (r"\bdeg", 3600.0), (r"\barc-?min", 60.0))
SAME_SCALE = 0.02  # scales that differ by less are one: 1 px at the edge of a stamp of 100
ROUNDING = 1e-4  # of a scale by finite differences
SCALE_RANGE = (1e-4, 1e3)  # arcsec a pixel; what lies outside is no image of a galaxy
FITTED_POINTS = 12  # a side, of the grid that a distortion is fitted to
MAX_SIP_ORDER = 9  # of the FITS convention
WCS_CARD = re.compile(
    r"(?:CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|NAXIS)[1-6]|(?:CD|PC)[1-6]_[1-6]|PC00[1-6]00[1-6]|"
    r"PV[1-6]_[0-9]{1,2}|WCSAXES|NAXIS|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|"
    r"[AB]_ORDER|[AB]_[0-9]_[0-9]"
)
LINEAR_CARD = re.compile(r"C(TYPE|RPIX|RVAL|DELT|ROTA|UNIT)[12]|(CD|PC)[12]_[12]|PC00[12]00[12]")
OLDER_CARD = re.compile(r"PC\d.*|CROTA\d|CDELT\d")
"""What FITS forbids beside a CD matrix, and what other programs then pass over."""
KINDS = ("CTYPE1", "CTYPE2")
LEFT_OVER = "SIP terms left out, for CTYPE does not say -SIP"
SIP_CARD = re.compile(r"[AB]P?_(?:ORDER|DMAX|[0-9]+_[0-9]+)")
UNUSABLE_WCS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, MemoryError,
    OSError, AssertionError,
)  # fmt: skip
"""What astropy raises for headers that are none: AssertionError where a lookup table is missing."""


@dataclass(frozen=True)
class PixelScale:
    """Arcsec a pixel in the middle of an image, what says so, and what is odd about it."""

    arcsec: float
    said_by: str
    notes: tuple[str, ...] = ()


def pixel_scale(header: Mapping[str, Any]) -> float | None:
    """Pixel scale in arcsec of a header, None where it is silent."""
    found = stated_scale(header)
    return None if found is None else found.arcsec


def stated_scale(header: Mapping[str, Any]) -> PixelScale | None:
    """The pixel scale that a header states: by its sky coordinates, else by a keyword."""
    by_wcs = _scale_of_wcs(header)
    for keyword in (*SCALE_KEYWORDS, *VAGUE_KEYWORDS):
        scale = _scale_of_keyword(header, keyword)
        if not SCALE_RANGE[0] < scale < SCALE_RANGE[1]:
            continue
        if by_wcs is None:
            return PixelScale(scale, keyword)
        if not same_scale(scale, by_wcs.arcsec):
            words = f"{keyword} says {scale:.4g} arcsec/px, the WCS {by_wcs.arcsec:.4g}: taken"
            return PixelScale(by_wcs.arcsec, "WCS", (*by_wcs.notes, words))
        break
    return by_wcs


def _scale_of_keyword(header: Mapping[str, Any], keyword: str) -> float:
    """Arcsec a pixel by a keyword, its unit in the value or the comment; 0 where it states none."""
    value = _value(header, keyword)
    if isinstance(value, str):
        found = STATED.fullmatch(value.strip().lower())
        factor = IN_ARCSEC.get(found[2].strip(" '")) if found else None
        number = _number(found[1].replace("d", "e")) if found else None
        return 0.0 if number is None or factor is None else number * factor
    number = _number(value)
    if number is None or (number <= 0 and number == int(number)):  # -1, as for "unknown"
        return 0.0
    number = abs(number)
    if keyword == "GS_SCALE" and number == 1:  # GalSim's word for "not known"
        return 0.0
    if keyword in AREA_KEYWORDS:
        return math.sqrt(number * AREA_KEYWORDS[keyword])
    comment = str(header.comments[keyword]).lower() if hasattr(header, "comments") else ""
    if keyword in VAGUE_KEYWORDS and not re.search(r"(arc-?sec|\"|\bas\b|'').*pix", comment):
        microns = _number(_value(header, "XPIXELSZ")) if keyword == "PLTSCALE" else None
        return 0.0 if microns is None else number * microns / 1000  # arcsec/mm, of scanned plates
    factors = (factor for words, factor in COMMENTS if re.search(words, comment))
    return number * next(factors, 1.0)


def same_scale(one: float, other: float) -> bool:
    """Whether two pixel scales differ by at most SAME_SCALE."""
    return abs(one / other - 1) <= SAME_SCALE


def _value(header: Mapping[str, Any], keyword: str) -> Any:
    """Value of a keyword; None where there is none, or its card cannot be parsed."""
    from astropy.io.fits import VerifyError

    try:
        return header.get(keyword)
    except (VerifyError, ValueError):
        return None


def _says_sip(cards: Mapping[str, Any]) -> bool:
    """Whether CTYPE names the SIP distortion. Drizzled images often keep the terms without it."""
    return any(str(cards.get(key, "")).strip().upper().endswith("-SIP") for key in KINDS)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < MAX_FLUX else None


def _wcs_cards(header: Mapping[str, Any]) -> dict[str, Any]:
    """The cards of a header that say where its pixels are; a missing half of them completed."""
    cards = {k: _value(header, k) for k in list(header) if WCS_CARD.fullmatch(str(k))}
    text = {k: v for k, v in cards.items() if k.startswith(("CTYPE", "CUNIT", "RADE"))}
    numbers = {k: n for k, v in cards.items() if k not in text and (n := _number(v)) is not None}
    absurd = any(numbers.get(f"{axis}_ORDER", 0) > MAX_SIP_ORDER for axis in "AB")
    if absurd or not _says_sip(text):
        numbers = {k: v for k, v in numbers.items() if not SIP_CARD.fullmatch(k)}
    whole = ("NAXIS", "WCSAXES", "A_ORDER", "B_ORDER")
    cards = {k: int(v) if k.startswith(whole) else v for k, v in numbers.items()}
    cards |= {k: v[:68] for k, v in text.items() if isinstance(v, str)}
    cards |= {k: v.upper() for k, v in cards.items() if k.startswith("CTYPE")}
    if any(key.startswith("CD") and key[2].isdecimal() for key in cards):
        cards = {k: v for k, v in cards.items() if not OLDER_CARD.fullmatch(k)}
    given = [cards[key] for key in ("CTYPE1", "CTYPE2") if cards.get(key)]
    stated = given or any(key in cards for key in ("CD1_1", "CD1_2", "CUNIT1", "CUNIT2"))
    if len(given) < 2 and stated and all(kind[:2] in {"RA", "DE"} for kind in given):
        cards |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    for one, other in (("CDELT1", "CDELT2"), ("CDELT2", "CDELT1")):
        if one in cards:
            cards.setdefault(other, cards[one])
    return cards


def _scale_of_wcs(header: Mapping[str, Any]) -> PixelScale | None:
    """Square root of a pixel's area on the sky, in the middle of the image."""
    cards = _wcs_cards(header)
    if not cards.get("CTYPE1"):
        return None
    from astropy.io import fits
    from astropy.wcs.utils import proj_plane_pixel_area, proj_plane_pixel_scales

    try:
        wcs = sky_wcs(fits.Header(cards))
        plane = math.sqrt(proj_plane_pixel_area(wcs)) * ARCSEC_PER_DEGREE
        steps = np.sort(proj_plane_pixel_scales(wcs)) * ARCSEC_PER_DEGREE
        local = _local_scale(wcs)
    except UNUSABLE_WCS:
        return None
    scale, notes = plane, list[str]()
    if local is not None and abs(local / plane - 1) > ROUNDING:
        scale = local
    if not SCALE_RANGE[0] < scale < SCALE_RANGE[1]:
        return None
    if any(SIP_CARD.fullmatch(key) for key in header if key) and not _says_sip(cards):
        notes.append(LEFT_OVER)
    if not same_scale(steps[1], steps[0]):
        words = f"pixels are not square: {steps[0]:.4g} x {steps[1]:.4g} arcsec; {scale:.4g} taken"
        notes.append(words)
    if not same_scale(scale, plane):
        words = f"{scale:.4g} arcsec/px in the middle of the image, {plane:.4g} at its reference"
        notes.append(f"{words} pixel (projection or distortion)")
    return PixelScale(float(f"{scale:.10g}"), "WCS", tuple(notes))


def _local_scale(wcs: WCS) -> float | None:
    """Square root of the area (arcsec) of the middle pixel, distortion and projection included."""
    size = wcs.pixel_shape
    middle = [(n - 1) / 2 for n in size] if size and all(size) else list(wcs.wcs.crpix - 1)
    x, y = np.array([-0.5, 0.5, 0, 0]) + middle[0], np.array([0, 0, -0.5, 0.5]) + middle[1]
    sky = np.radians(wcs.all_pix2world(x, y, 0))
    lon, lat = sky[wcs.wcs.lng], sky[wcs.wcs.lat]
    if not np.isfinite(lon + lat).all():
        return None
    turn = (np.diff(lon)[[0, 2]] + np.pi) % (2 * np.pi) - np.pi
    east, north = turn * math.cos(lat.mean()), np.diff(lat)[[0, 2]]
    area = abs(east[0] * north[1] - east[1] * north[0])
    return math.degrees(math.sqrt(area)) * ARCSEC_PER_DEGREE or None


def sky_wcs(header: fits.Header, file: fits.HDUList | None = None) -> WCS:
    """The two celestial axes of a header; with `file`, where its lookup tables of distortion are.

    SIP terms count where CTYPE ends with -SIP, as their convention has it.

    Raises one of UNUSABLE_WCS where there are none.
    """
    from astropy.wcs import WCS

    if not _says_sip(header) and any(SIP_CARD.fullmatch(key) for key in header):
        header = header.copy()
        for key in [key for key in header if SIP_CARD.fullmatch(key)]:
            del header[key]
    orders = [header.get(f"{axis}_ORDER", 0) for axis in ("A", "B", "AP", "BP")]
    if not all(isinstance(n, int | float) and n <= MAX_SIP_ORDER for n in orders):
        raise ValueError(f"SIP distortion of order {orders}; at most {MAX_SIP_ORDER}")
    older = [key for key in header if OLDER_CARD.fullmatch(key) and not key.startswith("CDELT")]
    if older and any(re.fullmatch(r"CD\d_\d", key) for key in header):
        header = header.copy()
        for key in older:
            header.remove(key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header, file)
        except (KeyError, AssertionError, IndexError, MemoryError) as error:
            words = "the lookup tables of its distortion (CPDIS, D2IM) cannot be read"
            raise ValueError(f"{words}: {error}; take those cards out to go without") from error
        if (wcs.wcs.lng, wcs.wcs.lat, wcs.naxis) != (0, 1, 2):
            wcs = wcs.celestial
    if wcs.naxis != 2:
        raise ValueError("no celestial axes")
    return wcs


class Turn(NamedTuple):
    """How stored rows become a picture with the sky as people draw it, row 0 on top.

    Rows and columns are exchanged first, then rows or columns are reversed. north: by a WCS.
    """

    exchange: bool = False
    rows: bool = False
    columns: bool = False
    north: bool = False

    def apply(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Planes (..., H, W), turned; a view."""
        turned = planes.swapaxes(-1, -2) if self.exchange else planes
        return turned[..., :: -1 if self.rows else 1, :: -1 if self.columns else 1]


AS_STORED = Turn()
FITS_ROWS_UP = Turn(rows=True)


def turn_of(header: Mapping[str, Any]) -> Turn:
    """How FITS rows are drawn: north up and east left by flips and quarter turns, else upwards.

    Of two matrices the one that states the pixel scale.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    names = {key for key in header if key and LINEAR_CARD.fullmatch(key)}
    if any(key.startswith("CD") and key[2].isdecimal() for key in names):
        names = {key for key in names if not OLDER_CARD.fullmatch(key)}
    plain = fits.Header([(key, header[key]) for key in names])
    kinds = [str(plain.get(axis, ""))[:8].upper() for axis in ("CTYPE1", "CTYPE2")]
    if sorted(kind[:2] for kind in kinds) != ["DE", "RA"]:
        return FITS_ROWS_UP
    plain["CTYPE1"], plain["CTYPE2"] = kinds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            east, north = WCS(plain).pixel_scale_matrix[:: 1 if kinds[0][:2] == "RA" else -1]
    except Exception:  # noqa: BLE001 - whatever wcslib refuses says nothing of north
        return FITS_ROWS_UP
    best, most = FITS_ROWS_UP, -math.inf
    for exchange, rows, columns in itertools.product((False, True), (True, False), (False, True)):
        x, y = (1, 0) if exchange else (0, 1)
        right, up = (-1 if columns else 1), (1 if rows else -1)
        left_east = -right * east[x] / math.hypot(*east)
        upright = left_east + up * north[y] / math.hypot(*north)
        if upright > most + 1e-9:
            best, most = Turn(exchange, rows, columns, north=True), upright
    return best


def cut_header(wcs: WCS, left: float, top: float, step: float, size: int) -> fits.Header:
    """Sky coordinates of `size` x `size` pixels that begin at (left, top) and are `step` wide.

    SIP is kept. Lookup tables become SIP that is fitted to the cut. Raises one of UNUSABLE_WCS.
    """
    from astropy.wcs import WCS, Sip
    from astropy.wcs.utils import fit_wcs_from_points

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = (wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2)
        if not any(tables):
            # By way of a header: a step is not applied to a CD matrix.
            plain = wcs if step == 1 else WCS(wcs.to_header(relax=True))
            stride = None if step == 1 else step
            first = (int(top), int(left)) if step == 1 else (top, left)
            cut = plain[tuple(slice(edge, None, stride) for edge in first)]
            if cut.sip is not None:
                terms = (cut.sip.a, cut.sip.b, cut.sip.ap, cut.sip.bp)
                cut.sip = Sip(*(_stepped(term, step) for term in terms), cut.sip.crpix)
        else:
            grid = np.linspace(0, size - 1, FITTED_POINTS)
            x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
            old = ((axis + 0.5) * step - 0.5 + edge for axis, edge in ((x, left), (y, top)))
            sky = wcs.pixel_to_world(*old)
            cut = fit_wcs_from_points((x, y), sky, projection="TAN", sip_degree=3)
        header: fits.Header = cut.to_header(relax=True)
    return header


def _stepped(terms: NDArray[np.float64] | None, step: float) -> NDArray[np.float64] | None:
    """Coefficients [p, q] of SIP for pixels that are `step` wide."""
    if terms is None:
        return None
    powers = np.add.outer(np.arange(len(terms)), np.arange(len(terms))) - 1.0
    return np.asarray(terms * step**powers, np.float64)


Array = NDArray[np.float32]
Floats = NDArray[np.float64]

SAMPLED = ("DET_DIST", "DET_SAMP")  # extensions of WebbPSF and STPSF on the detector's pixels
FINER = ("OVERDIST", "OVERSAMP")
TABLES = (
    "holds tables alone, as the models of PSFEx and Piff do; draw the PSF at the galaxy's position "
    "and save it as an image"
)
PEDESTAL_SHARE = 0.01  # of the light in a flat border; with less a PSF is taken as it is
FLATNESS = 0.7  # corners over sides of the border: the wings of a PSF of any kind fall below
SIGNIFICANCE = 5.0  # sigma of the border
SHARED = 0.4  # pixels from the brightest pixel to the top: from here on two share the peak
MAX_PSF_PX = 2048


@dataclass(frozen=True, eq=False)
class PointSpread:
    """A PSF (P, P) of odd size about its peak, of unit sum.

    scale: arcsec of its pixels; oversampling: how many of them a pixel of the image holds on a
    side; None where the file is silent. notes: what was taken, and what was done to it.
    """

    name: str
    values: Array = field(repr=False)
    scale: float | None
    oversampling: float | None
    notes: tuple[str, ...]

    @property
    def width(self) -> float:
        """FWHM in its pixels of the Gaussian that has the PSF's effective area."""
        return fwhm(self.values)

    def on_pixels(self, scale: float | None, step: float = 1.0) -> tuple[Array, tuple[str, ...]]:
        """The PSF on pixels of `scale` arcsec, and words about it.

        step: pixels of the image in one of those, other than 1 where it was resampled. A PSF that
        states no scale is on the image's pixels, or so much finer as it is oversampled.

        Each pixel sums what it covers of finer ones, as a detector does. Raises BadImage where the
        PSF is on coarser pixels: nothing brings back what they do not resolve.
        """
        notes: tuple[str, ...] = ()
        if self.scale is not None and scale is not None:
            ratio = scale / self.scale
        else:
            ratio = (self.oversampling or 1.0) * step
            if self.oversampling is None:
                own = "no pixel scale" if self.scale is None else f"{self.scale:.4g} arcsec/px"
                notes = (f"PSF {self.name} states {own}: taken as on the image's pixels",)
        if same_scale(ratio, 1.0):
            return self.values, notes
        image = "image" if step == 1 else "resampled image"
        names = f"{self.scale or (scale or 1) / ratio:.4g} arcsec/px, the {image} "
        names += "1" if scale is None else f"{scale:.4g}"
        if ratio < 1:
            raise BadImage(self.name, f"PSF of {names}; give it at the {image}'s scale, or finer")
        rows = _overlap(len(self.values), ratio)
        rebinned = rows @ self.values.astype(np.float64) @ rows.T
        made = np.asarray(rebinned / rebinned.sum(), np.float32)
        return made, (*notes, f"PSF {self.name} of {names}: summed {ratio:.4g} to one pixel")


def fwhm(psf: Array) -> float:
    """FWHM in pixels of the Gaussian with the effective area 1 / sum(p^2) of a PSF of unit sum."""
    area = 1.0 / float(np.square(psf, dtype=np.float64).sum())
    return float(np.sqrt(area * 2 * np.log(2) / np.pi))


def _overlap(size: int, ratio: float) -> Floats:
    """(2 K + 1, size) matrix: share of each fine pixel in each coarse one, both about the centre.

    `ratio` fine pixels make a coarse one; K is the smallest that holds all of them.
    """
    half = size / 2
    reach = int(np.ceil(half / ratio - 0.5))
    coarse = (np.arange(2 * reach + 2) - reach - 0.5) * ratio
    fine = np.arange(size + 1) - half
    low = np.maximum(coarse[:-1, None], fine[None, :-1])
    high = np.minimum(coarse[1:, None], fine[None, 1:])
    return np.asarray(np.maximum(high - low, 0.0), np.float64)


def read_psf(
    source: str | Path | bytes, hdu: int | None = None, *, name: str | None = None
) -> PointSpread:
    """A PSF from a FITS image, of unit sum, as a square of odd size around its peak.

    Of the files of WebbPSF and STPSF the plane on the detector's pixels. A flat pedestal is taken
    away; negative wings, which real PSFs have, stay; an off-centre PSF is padded with zeros.

    Raises BadImage for what is no PSF.
    """
    name = name or (str(source) if not isinstance(source, bytes) else "PSF")
    data = unpacked(source, name)
    if not data.startswith(b"SIMPLE"):
        raise BadImage(name, "a PSF must be a FITS image: pictures have lost their flux")
    planes, header, taken = _plane(data, name, hdu)
    if len(planes) != 1:
        raise BadImage(name, f"{taken} holds {len(planes)} planes; a PSF is one: cut it out")
    values, notes = _centred(*_without_pedestal(planes[0], name))
    found = stated_scale(header)
    scale = None if found is None else found.arcsec
    words = f"PSF {name}: {taken}" + ("" if scale is None else f", {scale:.4g} arcsec/px")
    words += f", {fwhm(values):.2g} px wide"
    return PointSpread(name, values, scale, _oversampling(header), (words, *notes))


def _plane(data: bytes, name: str, hdu: int | None) -> tuple[Floats, dict[str, Any], str]:
    """Planes, header and description of the HDU with the PSF: the detector's where it is named."""
    spans = list(hdu_spans(data, name))
    images = [span for span in spans if span.is_image]
    if hdu is None and not images and any(span.shape for span in spans):
        raise BadImage(name, TABLES)
    if hdu is not None:
        images = [span for span in images if span.number == hdu]
    if not images:
        raise BadImage(name, "no HDU holds an image" if hdu is None else f"HDU {hdu} is no image")
    ranked = sorted(images, key=_psf_rank)
    best = ranked[0]
    if len(ranked) > 1 and _psf_rank(ranked[1]) == _psf_rank(best):
        listed = ", ".join(span.words for span in images)
        words = f"{len(images)} images ({listed}) and none is named PSF; save the PSF alone"
        raise BadImage(name, words)
    planes, header = read_fits(data, name, best.number)[:2]
    return planes, header, best.words + (f" of {len(images)} images" if len(images) > 1 else "")


def _psf_rank(span: HduSpan) -> int:
    """How likely an image is the PSF: on the detector's pixels, finer, so named, of unknown name.

    Masks, weights and errors come last.
    """
    known = (*SAMPLED, *FINER)
    if span.name.upper() in known:
        return known.index(span.name.upper())
    if re.search(r"psf|prf", span.name, re.IGNORECASE):
        return len(known)
    return len(known) + (2 if span.rank == NEVER_RANK else 1)


def _oversampling(header: Any) -> float | None:
    """Pixels of the PSF in one of the image, by the keywords of photutils, poppy and PSFEx."""
    if str(header.get("EXTNAME", "")).strip().upper() in SAMPLED:
        return 1.0
    for keyword in ("OVERSAMP", "DET_SAMP", "OVERSAMPLING", "OVERSAMPLE", "OVERSMPL", "OVRSAMP"):
        value = _number(header.get(keyword))
        if value is not None and 1 <= value <= 100:
            return value
    step = _number(header.get("PSF_SAMP"))
    return 1 / step if step is not None and 0.01 <= step <= 100 else None


def _without_pedestal(plane: Floats, name: str) -> tuple[Floats, list[str]]:
    """A PSF without the flat light below it; refused where the border says that it is none."""
    psf, level, notes = _finite(plane, name)
    rows, columns = (max(1, round(0.1 * n)) for n in psf.shape)
    ends = [(slice(n), slice(-n, None)) for n in (rows, columns)]
    corners = np.concatenate([psf[i, j].ravel() for i in ends[0] for j in ends[1]])
    middle = tuple(slice(n // 4, n - n // 4) for n in psf.shape)
    sides = [psf[i, middle[1]].ravel() for i in ends[0]]
    sides += [psf[middle[0], j].ravel() for j in ends[1]]
    flat = np.median(corners) / (np.median(np.concatenate(sides)) or 1e-30) > FLATNESS
    share = level * psf.size / (abs(psf.sum()) or 1e-30)
    if abs(share) > PEDESTAL_SHARE and flat:
        psf = psf - level
        notes.append(f"PSF {name}: a pedestal of {level:.4g} on its border was taken away")
    elif share > PEDESTAL_SHARE:
        words = f"its border has {100 * level / psf.max():.2g} % of its peak"
        notes.append(f"PSF {name} is cut short: {words}")
    if not psf.sum() > 0:
        raise BadImage(name, "no PSF: its pixels sum to nothing above its border")
    return psf, notes


def _finite(plane: Floats, name: str) -> tuple[Floats, float, list[str]]:
    """A PSF with holes at the level of its border, that level, and words.

    Raises BadImage where nothing stands out from the border, or the core is a hole.
    """
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(plane) < MAX_FLUX)
    if bad.mean() > MAX_BAD_SHARE:
        raise BadImage(name, f"{100 * bad.mean():.0f} % of the pixels are NaN or infinite")
    if max(plane.shape) > MAX_PSF_PX:
        words = f"{plane.shape[1]} x {plane.shape[0]} px; at most {MAX_PSF_PX} a side"
        raise BadImage(name, f"{words}: cut the PSF out")
    level, sigma = sky_level(np.where(bad, np.nan, plane))
    psf = np.where(bad, level, plane)
    y, x = np.unravel_index(int(psf.argmax()), psf.shape)
    if psf.max() <= psf.min():
        raise BadImage(name, "no PSF: every pixel has the same value")
    if psf.max() <= 0 or level < -psf.max():
        raise BadImage(name, "no PSF: its border is far below zero; give linear flux, not its log")
    if min(y, x, psf.shape[0] - 1 - y, psf.shape[1] - 1 - x) < 2:
        raise BadImage(name, "no PSF: the peak must be at least two pixels from the edge")
    if psf.max() - level < SIGNIFICANCE * sigma:
        raise BadImage(name, f"no PSF: nothing stands out {SIGNIFICANCE:g} sigma from its border")
    if bad[y - 2 : y + 3, x - 2 : x + 3].any():
        raise BadImage(name, "NaN in the core of the PSF: it is saturated; give an unsaturated one")
    words = f"PSF {name}: {bad.sum()} NaN pixels taken as its border"
    return psf, level, [words] if bad.any() else []


def _centred(psf: Floats, notes: list[str]) -> tuple[Array, list[str]]:
    """A PSF of unit sum with its peak in the middle pixel, padded with zeros and never cut.

    Where two pixels share the peak the centre lies between them, as in images of even size: the
    PSF is moved by half a pixel.
    """
    from scipy.ndimage import shift

    y, x = (int(i) for i in np.unravel_index(int(psf.argmax()), psf.shape))
    pairs = np.array([(psf[y - 1, x], psf[y + 1, x]), (psf[y, x - 1], psf[y, x + 1])])
    # The top of the parabola through the peak and its neighbours.
    offset = 0.5 * np.diff(pairs)[:, 0] / np.maximum(2 * psf[y, x] - pairs.sum(1), 1e-30)
    between = np.where(np.abs(offset) > SHARED, 0.5 * np.sign(offset), 0.0)
    half = max(y, x, psf.shape[0] - 1 - y, psf.shape[1] - 1 - x) + bool(between.any())
    square = np.zeros((2 * half + 1,) * 2)
    square[half - y : half - y + psf.shape[0], half - x : half - x + psf.shape[1]] = psf
    if between.any():
        square = shift(square, -between, order=3)
        notes.append("the centre of the PSF lies between two pixels: moved by half a pixel")
    if max(psf.shape) < len(square) - 2:
        notes.append(f"the PSF is off-centre: padded with zeros to {len(square)} px")
    return np.asarray(square / square.sum(), np.float32), notes
