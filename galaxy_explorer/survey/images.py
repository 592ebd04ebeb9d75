"""One picture from a file or bytes: FITS, PNG, JPEG, WebP or TIFF.

All are read as guardedly; refusals are BadImage and nothing else.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.fits_images import read_fits, unpacked
from galaxy_explorer.survey.limits import (
    MAX_BAD_SHARE,
    MAX_FLUX,
    MAX_PIXELS,
    MAX_PLANES,
    MAX_SIDE_PX,
)
from galaxy_explorer.survey.photometry import fill_holes, gaps, sky_level
from galaxy_explorer.survey.scales import AS_STORED, FITS_ROWS_UP, Turn, stated_scale, turn_of

SUFFIXES = (".fits", ".fit", ".fts", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
COMPRESSED = (".gz", ".bz2", ".fz")
PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WEBP",
}
AS_PNG = "save it as PNG, or as FITS where its pixels are linear"
OTHER_PICTURES = {
    rb"GIF8": ("a GIF", AS_PNG),
    rb"BM.{4}\0{4}": ("a BMP", AS_PNG),
    rb"\0\0\0\x0cjP|\xff\x4f\xff\x51": ("JPEG 2000", AS_PNG),
    rb".{4}ftyp(avif|avis|hei[cxf]|mif1)": ("AVIF or HEIC", AS_PNG),
    rb"%PDF|%!PS": ("a PDF or PostScript", AS_PNG),
}
UNREAD = {
    **OTHER_PICTURES,
    rb"version https://git-lfs": ("a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    rb"\s*<": ("a web page or XML", "download the picture again"),
    rb"\xfd7zXZ|\x1f\x9d|PK\x03\x04|7z\xbc\xaf|Rar!": ("packed", "unpack it first"),
    rb"\x89HDF|\x93NUMPY": ("a cube of arrays", "give it as SOURCE of its own"),
}
"""What files are that are not read, by their first bytes, and what helps."""
BAND_KEYWORDS = ("FILTER", "BAND", "FILTNAM1", "FILTER1", "FILTER2")
BAND_CUTS = (r"[,;|/+]+", r"[\s,;|/+]+")
NOT_LINEAR = re.compile(r"(ab|st|vega)?[ _]?mag(s|nitudes?)?(?![a-z])|log(10)?[ (]|dex")
"""Units, in lower case, whose sums are no fluxes."""
BAND_PUNCTUATION = "[](){}'\" "
NO_BANDS = re.compile(
    r"STOKES|FREQ|WAVE|AWAV|WAVN|ENER|VRAD|VOPT|ZOPT|VELO|FELO|LAMBDA|TIME", re.IGNORECASE
)
"""Third axes, by CTYPE3, whose planes are no colours."""
CENTRE_SHARE = 0.1
EXIF_ORIENTATION = 0x0112
TIFF_BITS, TIFF_BLACK_OR_WHITE, WHITE_IS_ZERO = 258, 262, 0
PICTURE_BANDS = ("r", "g", "b")

# Wavelengths (nm) of bands, by the first word of their name that is known.
WAVELENGTHS = {
    "fuv": 153, "nuv": 231, "u": 355, "b": 440, "g": 475, "v": 550, "r": 620, "vis": 715, "i": 760,
    "i2": 760, "r2": 620, "z": 900, "y": 1000, "j": 1250, "h": 1650, "k": 2160, "ks": 2160,
    "w1": 3350, "w2": 4600, "ch1": 3550, "ch2": 4490,
}  # fmt: skip
SPACE_FILTER = re.compile(r"f(\d{3,4})(w|m|n|lp|x|w2)")
HST_INFRARED = frozenset((
    "f090m", "f095n", "f097n", "f098m", "f105w", "f108n", "f110m", "f110w", "f113n", "f125w",
    "f126n", "f127m", "f128n", "f130n", "f132n", "f139m", "f140w", "f145m", "f150w", "f153m",
    "f160w", "f164n", "f165m", "f166n", "f167n", "f168n", "f170m", "f171m", "f175w", "f180m",
    "f187n", "f187w", "f190n", "f196n", "f200n", "f204m", "f205w", "f207m", "f212n", "f215n",
    "f216n", "f222m", "f237m", "f240m",
))  # fmt: skip
JWST_FILTERS = frozenset((
    "f070w", "f090w", "f115w", "f140m", "f150w", "f150w2", "f158m", "f162m", "f164n", "f182m",
    "f187n", "f200w", "f210m", "f212n", "f250m", "f277w", "f300m", "f322w2", "f323n", "f335m",
    "f356w", "f360m", "f380m", "f405n", "f410m", "f430m", "f444w", "f460m", "f466n", "f470n",
    "f480m", "f560w", "f770w", "f1000w", "f1130w", "f1280w", "f1500w", "f1800w", "f2100w",
    "f2550w",
))  # fmt: skip
"""Named by tens of nm, as all of JWST's are; HST's others are by nm."""
ON_BOTH = "f410m"  # 410 nm on HST, 4100 nm on JWST


@dataclass(frozen=True)
class Image:
    """A picture: `data` (C, H, W) float32, finite; what its header told, None where silent.

    `linear` is False for 8- and 16-bit pictures, taken as arcsinh-stretched and scaled to [0, 1].
    Rows are as stored; `turn` says how they are drawn. valid: (C, H, W), False where there were no
    data and neighbours fill in; None where there are data everywhere. faults: why a plane cannot
    be used, "" where it can. bands: names of the planes by the header, () where it is silent.
    words: what was taken, as "HDU 1 SCI". header: fits.Header of that HDU. full_range: what whole
    numbers are divided by where they are a stretched picture. scale_by: what states the pixel
    scale, "WCS" or a keyword. odd: what is unusual about that. others: images of the same file that
    were not taken.
    """

    data: NDArray[np.float32]
    linear: bool
    pixel_scale_arcsec: float | None = None
    band: str | None = None
    valid: NDArray[np.bool_] | None = None
    faults: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    words: str = ""
    unit: str = ""
    header: Any = None
    turn: Turn = AS_STORED
    full_range: float | None = None
    scale_by: str = ""
    odd: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def orientation(self) -> str:
        """How its rows are put up, in words."""
        if self.header is None:
            return "rows as drawn"
        if self.turn.north:
            return "north up by its WCS"
        up = self.turn == FITS_ROWS_UP
        return "FITS rows upwards, north unknown" if up else "FITS rows downwards as stored"

    @property
    def passed_by(self) -> str:
        """Which images of the same file were not taken, in words; empty where there are none."""
        return f"not {', '.join(self.others)}" if self.others else ""

    def kind(self, *, linear: bool) -> str:
        """What its pixels are taken for, in words; `linear`: flux, else arcsinh-stretched."""
        bits = {255.0: "8-bit ", 65535.0: "16-bit "}.get(self.full_range or 0.0, "")
        if not linear:
            return f"{bits}arcsinh-stretched"
        silent = ", no unit stated" if self.header is not None and not self.unit else ""
        return (f"{bits}whole numbers as linear flux" if bits else "linear flux") + silent

    def turned(self) -> Image:
        """The same with row 0 on top: FITS rows upwards, north up where the WCS says so."""
        valid = None if self.valid is None else self.turn.apply(self.valid)
        return replace(self, data=self.turn.apply(self.data), valid=valid, turn=AS_STORED)

    def chosen(self, planes: Sequence[int]) -> Image:
        """Only these planes, in this order.

        Raises BadImage where one of them is empty or has a hole in its central tenth.
        """
        count, (height, width) = len(self.data), self.data.shape[1:]
        for plane in planes:
            if self.faults and self.faults[plane]:
                which = f"plane {self.plane_name(plane)}: " if count > 1 else ""
                raise BadImage("picture", f"{which}{self.faults[plane]}")
            if self.valid is not None:
                reach = [max(1, round(CENTRE_SHARE * side / 2)) for side in (height, width)]
                centre = [
                    slice((side - 1) // 2 + 1 - r, side // 2 + r)
                    for side, r in zip((height, width), reach, strict=True)
                ]
                if not self.valid[plane][tuple(centre)].all():
                    raise BadImage(
                        "picture",
                        f"a hole in its central tenth (plane {self.plane_name(plane)}): NaN, blank"
                        " or a gap",
                    )
        listed = list(planes)
        if listed == list(range(count)):
            kept = slice(None)
        elif len(listed) == 1:
            kept = slice(listed[0], listed[0] + 1)
        else:
            kept = listed  # type: ignore[assignment]
        names = [self.plane_name(plane) for plane in planes]
        of = f"plane {', '.join(names)} of {', '.join(self.bands) or f'0 to {count - 1}'}"
        if self.header is None and count == len(PICTURE_BANDS):
            colours = ", ".join(PICTURE_BANDS[plane] for plane in planes)
            of = f"channel {colours} of {', '.join(PICTURE_BANDS)}"
        words = ", ".join(part for part in (self.words, of if count > 1 else "") if part)
        if self.unit:
            words += f" ({self.unit})"
        band = ", ".join(names) if self.bands and count > 1 else self.band
        return replace(
            self,
            data=self.data[kept],
            valid=None if self.valid is None else self.valid[kept],
            faults=(),
            bands=tuple(self.bands[plane] for plane in planes) if self.bands else (),
            band=band,
            words=words,
        )

    def plane_name(self, plane: int) -> str:
        """Name of a plane by the header, else its number."""
        return self.bands[plane] if self.bands else str(plane)


def image_of(
    planes: NDArray[Any],
    name: str,
    *,
    linear: bool,
    alpha: NDArray[np.bool_] | None = None,
    header: Any = None,
    words: str = "",
    full_range: float | None = None,
    owned: bool = False,
) -> Image:
    """An Image of planes (C, H, W): holes found, sky measured beside them, then filled.

    alpha: (H, W), False where the picture is transparent. header: fits.Header, for scale, bands,
    unit and orientation. owned: float32 planes may be filled in place instead of copied.

    Raises BadImage for another shape, no pixels, or where no plane can be used.
    """
    if planes.ndim != 3 or 0 in planes.shape or planes.shape[0] > MAX_PLANES:
        raise BadImage(name, f"shape {planes.shape} is no picture")
    if planes.dtype.kind not in "buif":
        raise BadImage(name, f"pixels of type {planes.dtype}, not numbers")
    data = planes if owned else np.empty(planes.shape, np.float32)
    masks: list[NDArray[np.bool_] | None] = []
    faults = []
    for number, target in enumerate(data):
        plane = target if owned else planes[number]
        mask, fault = _settle_plane(target, plane, alpha, linear=linear)
        masks.append(mask)
        faults.append(fault)
    if all(faults):
        raise BadImage(name, f"{words}: {faults[0]}" if words else faults[0])
    valid = None
    if any(mask is not None for mask in masks):
        whole = np.ones(data.shape[1:], bool)
        valid = np.stack([whole if mask is None else mask for mask in masks])
    image = Image(
        data, linear, valid=valid, faults=tuple(faults), words=words, full_range=full_range
    )
    if header is None:
        return image
    bands = band_names(header, len(planes))
    scale = stated_scale(header)
    return replace(
        image,
        pixel_scale_arcsec=scale.arcsec if scale else None,
        scale_by=scale.said_by if scale else "",
        odd=scale.notes if scale else (),
        band=band_of(header),
        bands=bands,
        unit=unit_of(header, name),
        header=header,
        turn=turn_of(header),
    )


def _settle_plane(
    target: NDArray[np.float32], plane: NDArray[Any], alpha: NDArray[np.bool_] | None, *,
    linear: bool,
) -> tuple[NDArray[np.bool_] | None, str]:  # fmt: skip
    """Copy a plane (H, W) to `target`, holes filled. Its valid pixels, None if all; its fault."""
    with np.errstate(invalid="ignore", over="ignore"):
        if target is not plane:
            target[...] = plane
        valid = np.abs(target) < MAX_FLUX if linear and plane.dtype.kind == "f" else None
    if alpha is not None:
        valid = alpha if valid is None else valid & alpha
    if linear:
        known = np.ones(plane.shape, bool) if valid is None else valid
        empty = gaps(plane, known)
        if empty.any():
            valid = known & ~empty
    if valid is None or valid.all():
        same = target.min() == target.max()
        return None, "every pixel has the same value; the plane is empty" if same else ""
    share = 1.0 - float(valid.mean())
    if share > MAX_BAD_SHARE:
        target[~valid] = 0.0
        what = "transparent; flatten it onto black" if alpha is not None else (
            "NaN, infinite, over 1e30, blank or in a gap of one value"
        )  # fmt: skip
        return valid, f"{100 * share:.0f} % of the pixels are {what}"
    values = target[valid]
    if values.min() == values.max():
        target[~valid] = 0.0
        return valid, "every pixel has the same value; the plane is empty"
    target[~valid] = 0.0
    fill_holes(target, valid, sky_level(target, valid)[0])
    return valid, ""


def is_other_picture(path: Path) -> bool:
    """Whether a file is a picture of a kind that is not read, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(32)
    return any(re.match(mark, start, re.DOTALL) for mark in OTHER_PICTURES)


def read_image(
    source: str | Path | bytes, *, name: str | None = None, hdu: int | None = None
) -> Image:
    """Read FITS (also .gz, .bz2, .fz), PNG, JPEG, WebP or TIFF, told apart by content, not by name.

    FITS is linear flux in float32: `hdu`, or the HDU that is the picture by name and kind. Others
    are divided by 255 (65535 for 16 bits) and turned as their EXIF says; TIFF of floating-point
    numbers is linear. Pixels without data are filled from their neighbours.

    Raises BadImage, and nothing else, for whatever cannot be used.
    """
    name = name or (str(source) if not isinstance(source, bytes) else "image")
    data = unpacked(source, name)
    kind = next((kind for magic, kind in PICTURES.items() if data.startswith(magic)), None)
    if kind is not None:
        return _read_picture(data, name, kind)
    if not data.startswith(b"SIMPLE"):
        for mark, (what, cure) in UNREAD.items():
            if re.match(mark, data, re.DOTALL):
                raise BadImage(name, f"is {what}; {cure}")
        raise BadImage(name, "neither FITS, PNG nor JPEG (nor WebP or TIFF) by its first bytes")
    found = read_fits(data, name, hdu)
    facts = {"header": found.header, "words": found.words, "full_range": found.full_range}
    try:
        image = image_of(found.planes, name, linear=True, **facts)
        return replace(image, others=found.others)
    except BadImage as error:
        if not found.others:
            raise
        cure = f"{error.reason}; other images: {', '.join(found.others)}; choose by --hdu"
        raise BadImage(name, cure) from error


def _without_places(error: Exception) -> str:
    """Words of an error without addresses in memory, which differ from run to run."""
    return re.sub(r"\s*<[^<>]* at 0x[0-9a-f]+>", "", str(error))


def _read_picture(data: bytes, name: str, kind: str) -> Image:
    from PIL import Image as Pictures

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pictures.open(io.BytesIO(data), formats=(kind,)) as picture:
                _check_picture(picture, name)
                most = 65535.0 if picture.mode.startswith("I") else 255.0
                planes, alpha, linear = _pixels(picture)
    except Pictures.DecompressionBombError as error:
        raise BadImage(name, f"more than {MAX_PIXELS} pixels ({error})") from error
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        raise BadImage(name, f"damaged picture ({_without_places(error)})") from error
    except (struct.error, zlib.error, ArithmeticError, AttributeError, KeyError) as error:
        raise BadImage(name, f"damaged picture ({_without_places(error)})") from error
    except AssertionError as error:  # of Pillow, for palettes of impossible modes
        raise BadImage(name, "damaged picture (its palette)") from error
    full_range = None if linear else most
    return image_of(
        planes, name, linear=linear, alpha=alpha, words=kind, full_range=full_range, owned=True
    )


def _check_picture(picture: Any, name: str) -> None:
    """Raise BadImage for what Pillow does not read, or not as it is, before it reads it."""
    width, height = picture.size
    if width * height > MAX_PIXELS or max(picture.size) > MAX_SIDE_PX:
        raise BadImage(name, f"{width} x {height} pixels; at most {MAX_PIXELS}")
    if (pages := getattr(picture, "n_frames", 1)) > 1:
        raise BadImage(name, f"{pages} pages; save the one that is meant")
    tags = getattr(picture, "tag_v2", {})
    # PNG and TIFF name the bits in how they are to be unpacked, TIFF of separate planes in a tag.
    deep = ";16" in str(picture.tile) or max(tags.get(TIFF_BITS, (8,))) > 8
    if deep and picture.mode[0] not in "IF":
        what = "16-bit colour or transparency, of which 8 bits would be read"
        raise BadImage(name, f"{what}; save each colour as FITS or as 16-bit grey")
    if tags.get(TIFF_BLACK_OR_WHITE) == WHITE_IS_ZERO and picture.mode == "F":
        what = "floating-point numbers of which 0 is white, without a number for black"
        raise BadImage(name, f"{what}; save it with black as 0, or as FITS")


def _pixels(picture: Any) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None, bool]:
    """Planes (C, H, W), where a picture is not transparent (H, W), whether they are linear."""
    from PIL import ImageOps

    is_negative = getattr(picture, "tag_v2", {}).get(TIFF_BLACK_OR_WHITE) == WHITE_IS_ZERO
    if picture.getexif().get(EXIF_ORIENTATION, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        return np.array(picture)[None], None, True
    if picture.mode.startswith("I"):
        whole = np.asarray(picture)
        if whole.min() < 0 or whole.max() > 65535:
            raise ValueError("whole numbers of more than 16 bits; save it as FITS")
        whole = 65535 - whole if is_negative else whole  # Pillow does so for 8 bits alone
        return np.asarray(whole / 65535.0, np.float32)[None], None, False
    alpha = None
    if picture.has_transparency_data:
        grey = picture.mode in {"1", "L", "LA", "La"}
        picture = picture.convert("LA" if grey else "RGBA")
        alpha = np.asarray(picture.getchannel("A")) > 0
        alpha = None if alpha.all() else alpha
    mode = "L" if picture.mode in {"L", "LA", "1"} else "RGB"
    pixels = np.asarray(picture if picture.mode == mode else picture.convert(mode))
    picture.close()  # of 4096 x 4096 pixels it is another 64 MiB
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    table = (np.arange(256) / 255.0).astype(np.float32)
    planes = np.empty((pixels.shape[2], *pixels.shape[:2]), np.float32)
    for row, values in enumerate(pixels):
        planes[:, row] = table[values.T]
    return planes, alpha, False


def finite(planes: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Planes (C, H, W) in float32, unusable pixels filled from their neighbours.

    Raises BadImage for another shape, no pixels, too many NaN pixels or a constant picture.
    """
    return image_of(planes, name, linear=True).data


def band_names(header: Mapping[str, Any], planes: int) -> tuple[str, ...]:
    """Names of a cube's planes from BANDS, BAND0.. or FILTER; () where there are none.

    Also from cards of another name, numbered from 0 or 1, whose values all are known bands.
    """

    def are_known(names: Sequence[str]) -> bool:
        waves = {wavelength(name, str(header.get("TELESCOP", ""))) for name in names}
        return len(waves - {None}) == planes

    if planes < 2:
        return ()
    for keyword in ("BANDS", "FILTERS", "FILTER", "BAND"):
        text = header.get(keyword)
        if isinstance(text, str):
            bare = text.strip(BAND_PUNCTUATION)
            cuts = (*(re.split(cut, bare) for cut in BAND_CUTS), bare)
            for number, cut in enumerate(cuts):
                names = tuple(part.strip(BAND_PUNCTUATION) for part in cut)
                # At blanks and between letters the name of one filter falls apart, too: "SDSS r".
                fitting = all(names) if number == 0 else are_known(names)
                if len(names) == planes == len(set(names)) and fitting:
                    return tuple(name[:16] for name in names)
    families = _numbered_texts(header, planes)
    for keyword in ("BAND", "FILTER", "FILT"):
        if keyword in families and all(families[keyword]):
            return families[keyword]
    return next(filter(are_known, families.values()), ())


def _numbered_texts(header: Mapping[str, Any], count: int) -> dict[str, tuple[str, ...]]:
    """Texts of the `count` cards whose keywords differ in a number alone, from 0 or 1 on."""
    families: dict[str, dict[int, str]] = {}
    for key in header:
        if match := re.fullmatch(r"([A-Z_-]+)0*(\d{1,2})", key):
            value = header.get(key)
            if isinstance(value, str):
                families.setdefault(match[1], {})[int(match[2])] = value.strip()[:16]
    counted = (list(range(count)), list(range(1, count + 1)))
    return {
        keyword: tuple(values[place] for place in sorted(values))
        for keyword, values in families.items()
        if sorted(values) in counted
    }


def unit_of(header: Mapping[str, Any], name: str) -> str:
    """BUNIT of an image, "" where it is silent; raises BadImage for one that is not linear."""
    unit = header.get("BUNIT")
    text = unit.strip()[:32] if isinstance(unit, str) else ""
    if NOT_LINEAR.match(text.lower()) and "BSOFTEN" not in header:
        raise BadImage(name, f"BUNIT {text} is not linear in flux; give flux")
    return text


def band_of(header: Mapping[str, Any]) -> str | None:
    """Name of an image's band: the filter that is in the light's way, None where none is named.

    That of JWST's pupil wheel goes before the wider one of its filter wheel.
    """
    pupil = header.get("PUPIL")
    if isinstance(pupil, str) and SPACE_FILTER.fullmatch(pupil.strip().lower()):
        return pupil.strip()
    named = (header.get(key) for key in BAND_KEYWORDS)
    texts = [v.strip()[:32] for v in named if isinstance(v, str) and v.strip()]
    return next((text for text in texts if not text.upper().startswith("CLEAR")), None)


def wavelength(name: str, telescope: str = "") -> float | None:
    """Wavelength of a band in nm, by its name; None for one that is not known.

    telescope: as a header states it; where that is silent, a filter that two may mean is not known.
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    for word in words:
        if word in WAVELENGTHS:
            return float(WAVELENGTHS[word])
        if match := SPACE_FILTER.fullmatch(word):
            number, stated = float(match[1]), telescope.lower()
            if "jwst" in stated:
                return 10.0 * number
            if word in HST_INFRARED or ("hst" not in stated and word in JWST_FILTERS):
                return None if word == ON_BOTH else 10.0 * number
            # Of no telescope's list: in the ultraviolet of HST, or in the infrared of another.
            return number if "hst" in stated or number >= 210 else None
    return None


def same_band(one: str, other: str) -> bool:
    """Whether two names mean one band: "r" and "SDSS r", "HSC-I" and "i"."""
    if one.lower() == other.lower():
        return True
    first, second = wavelength(one), wavelength(other)
    return first is not None and first == second


def choose_planes(image: Image, band: str, cure: str = "--band") -> list[int]:
    """Planes of a picture by a band: "rgb", a name or number, or several with commas.

    Names are those of the header; where it is silent, r, g, b are the planes of a picture of three.
    "rgb" is red to blue by wavelength where names are known, else the order of the planes.

    Raises BadImage naming the planes and the cure.
    """
    count = len(image.data)
    have = f"has the planes {', '.join(image.bands)}" if image.bands else f"has {count} planes"
    header = image.header or {}
    if count > 1 and not image.bands and not band.replace(",", "").isdecimal():
        unclear, axis = header.get("BANDS"), str(header.get("CTYPE3", ""))
        if unclear is not None:
            have = f"BANDS = {str(unclear)[:32]!r} does not name its {count} planes"
        if unclear is not None or NO_BANDS.match(axis):
            have = have if unclear is not None else f"{have} along {axis.strip()}, no bands"
            raise BadImage("picture", f"{have}; choose by {cure} 0 to {count - 1}")
    several = f"{have}; choose by {cure}: {'a name' if image.bands else f'0 to {count - 1}'}"
    if count == 1 and image.band and band != "rgb":
        several = f"it is of the band {image.band}; leave {cure} out to take it all the same"
    if band == "rgb":
        return _red_to_blue(image, several)
    planes = []
    for part in band.split(","):
        plane = _plane_of(image, part.strip())
        if plane is None:
            raise BadImage("picture", f"no band {part.strip()!r}: {several}")
        planes.append(plane)
    return planes


def _red_to_blue(image: Image, several: str) -> list[int]:
    """The three planes of a picture as "rgb"; several: what helps where there are other planes."""
    if len(image.data) != 3:
        raise BadImage("picture", f"{several}, or three of them with commas")
    telescope = str((image.header or {}).get("TELESCOP", ""))
    waves = {name: wavelength(name, telescope) for name in image.bands}
    unknown = [name for name, wave in waves.items() if wave is None]
    if unclear := [name for name in unknown if SPACE_FILTER.search(name.lower())]:
        words = f"the wavelength of {unclear[0]} depends on TELESCOP, which is not stated"
        raise BadImage("picture", f"{words}: {several}, three of them with commas, red first")
    if not waves or unknown:
        return [0, 1, 2]
    return sorted(range(3), key=lambda plane: -(waves[image.bands[plane]] or 0.0))


def _plane_of(image: Image, band: str) -> int | None:
    count = len(image.data)
    if band.isdecimal():
        return int(band) if int(band) < count else None
    if image.bands:
        exact = [plane for plane, name in enumerate(image.bands) if name == band]
        alike = [plane for plane, name in enumerate(image.bands) if same_band(name, band)]
        found = exact or alike
        return found[0] if len(found) == 1 else None
    if count == 1:
        # By HST's list, in which all filters of its kind have a wavelength.
        known = wavelength(image.band or "", "HST") is not None
        return 0 if band == "g" or not known or same_band(image.band or "", band) else None
    return PICTURE_BANDS.index(band) if count == 3 and band in PICTURE_BANDS else None
