"""FITS pictures, checked card by card before astropy sees them.

astropy trusts a header: NAXIS = 10^8 keeps it busy for minutes. So the structural keywords are
read from the raw 2880-byte blocks first, and only one HDU that passed is handed on.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.limits import (
    MAX_AXES,
    MAX_FILE_BYTES,
    MAX_HDUS,
    MAX_HEADER_BYTES,
    MAX_PIXELS,
    MAX_PLANES,
    MAX_SIDE_PX,
)

GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
BLOCK = 2880
CARD = 80
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
BITPIX = (8, 16, 32, 64, -32, -64)
SIZES = ("BITPIX", "NAXIS", *(f"NAXIS{n}" for n in range(1, MAX_AXES + 1)))
NUMBERS = (*SIZES, "PCOUNT", "GCOUNT")
TILED = (*(f"Z{name}" for name in SIZES), *(f"ZTILE{n}" for n in range(1, MAX_AXES + 1)))
NAMES = ("EXTNAME", "EXTTYPE", "HDUNAME")  # what an HDU is called; the first that is there counts
TEXTS = (*NAMES, "ZIMAGE", "ZCMPTYPE")
KEPT = frozenset({"SIMPLE", "XTENSION", *NUMBERS, *TILED, *TEXTS})
REMARKS = ("HISTORY ", "COMMENT ", " " * 8)

COMPRESSIONS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS")
POGSON = 2.5 / math.log(10.0)
FULL_RANGES = {(8, 1.0, 0.0): 255.0, (16, 1.0, 32768.0): 65535.0}
# Cards that speak of the primary HDU's own pixels and coordinates, not of the whole file.
OWN_CARDS = re.compile(
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|END|BSCALE|BZERO|BLANK|BSOFTEN|BOFFSET|CHECKSUM"
    r"|DATASUM|EXTNAME|EXTVER|NEXTEND|DATAM(IN|AX)|WCSAXES|WCSNAME|C(TYPE|UNIT|RVAL|RPIX|DELT|ROTA)\d"
    r"|(CD|PC)\d_\d|L(ON|AT)POLE|[AB]P?_(\d_\d|ORDER)|CPDIS\d|D2IM|MJDREF|RADESYS|EQUINOX"
)

OWN_WCS = re.compile(
    r"C(TYPE|UNIT|RVAL|RPIX|DELT|ROTA)\d|(CD|PC)\d_\d|L(ON|AT)POLE|RADESYS|EQUINOX"
)

# What an HDU is by its EXTNAME, in whole words without numbers.
SCIENCE = frozenset(
    re.findall(
        r"\w+",
        """
        sci science image img data flux intensity coadd signal cutout stack stk drz drc mosaic
        calexp
        """,
    )
)
NEVER = frozenset(
    re.findall(
        r"\w+",
        """
        mask masks mskim msk bpm badpix bad dq dqi dqm flag flags flg quality maskbits bits weight
        weights wht wgt wt wmap invvar ivar inverse err error errors sigma rms std stddev unc
        uncert uncertainty var variance noise seg segm segmap segmentation label labels exp expmap
        exposure exptime cov coverage con context ctx area nobs nexp depth footprint samp time
        wcsdvarr d2imarr wcscorr conf confidence overlap chisq chi nimage snr prob saturation segim
        sigim
        """,
    )
)
NEVER_RANK = 9
NEVER_PARTS = re.compile(r"mask|weight|error|err$|noise|flag|varian|uncert|invvar")
# Of those words, what names of galaxies and of usual files hold too.
COMMON = frozenset(
    re.findall(
        r"\w+", "area bad bg chi con context cov depth exp label labels samp seg sky time var"
    )
)
DERIVED = frozenset({"model", "models", "residual", "residuals", "resid", "psf", "psfs"}) | {
    *("sky", "bkg", "bg", "bck", "background")
}


def called_beside(name: str) -> bool:
    """Whether a file is called like what lies beside a picture: mask, weight, error, PSF, model."""
    words = set(re.findall(r"[a-z]+", name.lower().rpartition("/")[2]))
    return bool(words & (NEVER | DERIVED) - COMMON)


def unpacked(source: str | Path | bytes, name: str) -> bytes:
    """What a file holds, or bytes, without gzip or bzip2; raises BadImage past the limits."""
    data = _bytes(source, name)
    if data.startswith((GZIP_MAGIC, BZIP2_MAGIC)):
        opener = gzip if data.startswith(GZIP_MAGIC) else bz2
        try:
            with opener.open(io.BytesIO(data)) as stream:
                plain = stream.read(MAX_FILE_BYTES + 1)  # a bomb is not unpacked past the limit
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise BadImage(name, f"damaged compressed file ({error})") from error
        data = _bytes(plain, name)
    return data


def _bytes(source: str | Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            with Path(source).open("rb") as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise BadImage(name, f"cannot be opened ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(name, f"more than {MAX_FILE_BYTES} bytes; cut stamps from it first")
    if not data:
        raise BadImage(name, "empty file")
    return data


@dataclass(frozen=True)
class HduSpan:
    """Where one HDU lies in a file and the shape its header states (numpy order).

    shape and bitpix of a tile-compressed image are those of the picture.
    """

    number: int
    start: int
    end: int
    shape: tuple[int, ...]
    is_image: bool
    name: str = ""
    bitpix: int = -32
    header_bytes: int = 0
    tile: tuple[int, ...] = ()
    compression: str = ""

    @property
    def planes(self) -> tuple[int, ...]:
        """The shape without axes of length 1."""
        return tuple(n for n in self.shape if n != 1)

    @property
    def words(self) -> str:
        """How to name it: "HDU 1 SCI"."""
        return f"HDU {self.number} {self.name}".strip()

    @property
    def rank(self) -> int:
        """How likely it is the picture: 0 by its name, then floats, whole numbers, derived ones.

        NEVER_RANK for masks, weights, errors and their like, which are read only when asked for.
        """
        words = {word.strip("0123456789") for word in re.split(r"[^a-z0-9]+", self.name.lower())}
        if words & NEVER or any(NEVER_PARTS.search(word) for word in words):
            return NEVER_RANK
        if words & SCIENCE:
            return 0
        if words & DERIVED:
            return 3
        return 1 if self.bitpix < 0 else 2


def hdu_spans(data: bytes | mmap, name: str) -> Iterator[HduSpan]:
    """Walk through the HDUs of a FITS file by their raw headers.

    Raises BadImage for a header without END, a keyword that is missing, repeated, no whole number
    or out of bounds, and for data that end early.
    """
    start = read = 0
    for number in range(MAX_HDUS):
        if start >= len(data):
            return
        cards, header_bytes = _header(data, start, name, MAX_HEADER_BYTES - read)
        read += header_bytes
        first = "SIMPLE" if number == 0 else "XTENSION"
        if first not in cards:
            if number:
                return  # what follows the last HDU is no HDU: padding or junk, allowed by FITS
            raise BadImage(name, "not FITS: the first card is not SIMPLE")
        numbers = _numbers(cards, NUMBERS, name)
        shape = _shape(numbers, name)
        groups, heap = max(numbers.get("GCOUNT", 1), 1), max(numbers.get("PCOUNT", 0), 0)
        elements = math.prod(shape) if shape else 0
        size = abs(numbers["BITPIX"]) // 8 * groups * (heap + elements)
        end = start + header_bytes + size
        if end > len(data):
            raise BadImage(name, f"truncated: HDU {number} needs {end} bytes of {len(data)}")
        is_image = number == 0 or cards["XTENSION"].strip("' ") == "IMAGE"
        found = HduSpan(
            number, start, end, shape, is_image and math.prod(shape or (0,)) > 0,
            next((text for key in NAMES if (text := _text(cards.get(key, "")))), ""),
            numbers["BITPIX"], header_bytes,
        )  # fmt: skip
        yield _compressed(found, cards, name) if cards.get("ZIMAGE") == "T" else found
        start += header_bytes + -(-size // BLOCK) * BLOCK
    raise BadImage(name, f"more than {MAX_HDUS} HDUs")


def _numbers(cards: dict[str, str], keywords: Sequence[str], name: str) -> dict[str, int]:
    numbers = {}
    for keyword in keywords:
        if keyword in cards:
            text = cards[keyword]
            if not WHOLE_NUMBER.fullmatch(text):
                raise BadImage(name, f"{keyword} = {text[:20]!r} is no whole number")
            numbers[keyword] = int(text)
    return numbers


def _text(value: str) -> str:
    return "".join(c for c in value.strip().strip("'").strip() if c.isprintable())[:32]


def _compressed(table: HduSpan, cards: dict[str, str], name: str) -> HduSpan:
    """The picture that a table of compressed tiles holds."""
    numbers = _numbers(cards, TILED, name)
    shape = _shape({key[1:]: value for key, value in numbers.items()}, name)
    tile = [numbers.get(f"ZTILE{n}", shape[-n] if n == 1 else 1) for n in range(len(shape), 0, -1)]
    if any(side < 1 for side in tile) or math.prod(tile) > MAX_PIXELS:
        raise BadImage(name, f"{table.words}: tiles of {tile} pixels")
    return HduSpan(
        table.number, table.start, table.end, shape, math.prod(shape or (0,)) > 0,
        "" if table.name == "COMPRESSED_IMAGE" else table.name, numbers["ZBITPIX"],
        table.header_bytes, tuple(tile), _text(cards.get("ZCMPTYPE", "?")) or "?",
    )  # fmt: skip


def _header(data: bytes | mmap, start: int, name: str, most: int) -> tuple[dict[str, str], int]:
    """Structural cards (keyword to value text) and the header's length in bytes."""
    cards: dict[str, str] = {}
    for block in range(max(most, 0) // BLOCK):
        offset = start + block * BLOCK
        text = data[offset : offset + BLOCK].decode("latin-1")
        if len(text) < BLOCK:
            raise BadImage(name, "truncated: the header has no END")
        for at in range(0, BLOCK, CARD):
            card = text[at : at + CARD]
            keyword = card[:8].rstrip()
            if keyword == "END":
                return cards, (block + 1) * BLOCK
            if card[8] == "=" and keyword in KEPT:
                if keyword in cards and keyword not in TEXTS:
                    raise BadImage(name, f"{keyword} is in the header twice")
                value = card[9:].strip()
                end = value.find("'", 1) if value.startswith("'") else value.find("/")
                cards.setdefault(keyword, (value if end < 0 else value[:end]).strip())
    raise BadImage(name, f"its headers have more than {MAX_HEADER_BYTES} bytes")


def _shape(numbers: dict[str, int], name: str) -> tuple[int, ...]:
    if numbers.get("BITPIX") not in BITPIX:
        raise BadImage(name, f"BITPIX = {numbers.get('BITPIX')}; FITS knows {BITPIX}")
    axes = numbers.get("NAXIS", -1)
    if not 0 <= axes <= MAX_AXES:
        raise BadImage(name, f"NAXIS = {axes}; at most {MAX_AXES} are read")
    keywords = [f"NAXIS{n}" for n in range(axes, 0, -1)]
    if missing := [keyword for keyword in keywords if numbers.get(keyword, -1) < 0]:
        raise BadImage(name, f"{missing[-1]} is missing or negative")
    return tuple(numbers[keyword] for keyword in keywords)


def choose_hdu(spans: Sequence[HduSpan], name: str, hdu: int | None) -> HduSpan:
    """The HDU that holds the picture, by number, else by name and kind (`HduSpan.rank`).

    Of unnamed ones the first is taken, of several chips or differently named ones none; the
    primary HDU's own image, which seldom has a name, goes before unknown names.

    Raises BadImage where there is none or it cannot be decided, naming the HDUs and the cure.
    """
    images = [span for span in spans if span.is_image and len(span.planes) in (2, 3)]
    if hdu is not None:
        chosen = next((span for span in images if span.number == hdu), None)
        if chosen is None:
            listed = ", ".join(span.words for span in images) or "none"
            raise BadImage(name, f"HDU {hdu} has no image of two axes; those that have: {listed}")
        return chosen
    if not images:
        raise BadImage(name, "no HDU has an image of two axes")
    rank = min(span.rank for span in images)
    best = [span for span in images if span.rank == rank]
    listed = ", ".join(span.words for span in images)
    if rank == NEVER_RANK:
        raise BadImage(name, f"only masks, weights or errors ({listed}); choose by --hdu")
    named = bool(best[0].name) or (best[0].number > 0 and any(span.name for span in best))
    rivals = best[1:] if named else []
    if rank == 1 and best[0].number and images[0].number == 0 and abs(images[0].bitpix) > 8:
        rivals = [images[0]]  # whole numbers in the primary HDU, floats after it
    if rivals:
        words = "chips" if rank == 0 else "images"
        raise BadImage(
            name, f"{len(best) + (rivals[0] not in best)} {words} ({listed}); choose by --hdu"
        )
    return best[0]


class FitsPicture(NamedTuple):
    """Planes (C, H, W), NaN where BLANK; the header (fits.Header), the primary's where silent.

    words: what was taken. full_range: the largest value of unsigned whole numbers of 8 or 16 bits.
    others: images in other HDUs, which were not asked for by number.
    """

    planes: NDArray[Any]
    header: Any
    words: str
    full_range: float | None
    others: tuple[str, ...] = ()


def read_fits(data: bytes, name: str, hdu: int | None) -> FitsPicture:
    """Read HDU number `hdu`, or the one that is the picture (`choose_hdu`).

    Axes of length 1 are dropped. BLANK, BSCALE, BZERO and the asinh scale of Pan-STARRS (BSOFTEN,
    BOFFSET) are undone.

    Raises BadImage where no HDU has an image of a size that is read, or it cannot be decided.
    """
    spans = list(hdu_spans(data, name))
    chosen = choose_hdu(spans, name, hdu)
    shape, words = (1, *chosen.planes)[-3:], chosen.words
    channels_last = shape[0] > MAX_PLANES and shape[2] in (3, 4)
    planes = shape[2] if channels_last else shape[0]
    if max(shape) > MAX_SIDE_PX or math.prod(shape) > MAX_PIXELS:
        raise BadImage(name, f"{' x '.join(map(str, shape))} pixels; at most {MAX_PIXELS}")
    if planes > MAX_PLANES:
        words = f"{words}: {planes} planes, at most {MAX_PLANES} are read"
        raise BadImage(name, f"{words}; cut some out, or choose another HDU by --hdu")
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            unit, steps = _unit(data, chosen, name)
            header = unit.header
            raw = unit.data.reshape(shape)
            pixels, full_range, undone = physical(raw, header, chosen.bitpix)
            if steps is not None:
                pixels = _undithered(pixels, steps.reshape(shape))
            if chosen.number:
                primary = fits.Header.fromstring(_without_remarks(data, spans[0]))
                header.extend(_inherited(primary, header), unique=True, end=True)
            _drop_unparsable(header)
    except (fits.VerifyError, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise BadImage(name, f"astropy cannot read it ({error})") from error
    except (ArithmeticError, AttributeError, UnicodeError, zlib.error) as error:
        raise BadImage(name, f"damaged header ({error})") from error
    if channels_last:
        pixels, words = np.moveaxis(pixels, 2, 0), f"{words} (channels last)"
    images = [span for span in spans if span.is_image and len(span.planes) in (2, 3)]
    others = () if hdu is not None else tuple(s.words for s in images if s is not chosen)
    return FitsPicture(pixels, header, words + undone, full_range, others)


def _drop_unparsable(header: Any) -> None:
    """Take out cards whose value is none: what they state cannot be known."""
    from astropy.io import fits

    for place in reversed(range(len(header))):
        try:
            _ = header[place]
        except (fits.VerifyError, ValueError):
            del header[place]


def _without_remarks(data: bytes, span: HduSpan) -> bytes:
    """The header without HISTORY and COMMENT, which are thousands of cards in drizzled images."""
    raw = data[span.start : span.start + span.header_bytes].decode("latin-1")
    cards = [raw[at : at + CARD] for at in range(0, len(raw), CARD)]
    kept = "".join(card for card in cards if not card.startswith(REMARKS))
    return kept.ljust(-(-len(kept) // BLOCK) * BLOCK).encode("latin-1")


def _unit(data: bytes, span: HduSpan, name: str) -> tuple[Any, NDArray[Any] | None]:
    """An HDU, and the steps by which its pixels were dithered when they were packed, if so."""
    from astropy.io import fits

    header = _without_remarks(data, span)
    body = data[span.start + span.header_bytes : span.end]
    if not span.compression:
        kind = fits.ImageHDU if span.number else fits.PrimaryHDU
        raw = header + body
        opened = kind.fromstring(raw, ignore_missing_end=False, do_not_scale_image_data=True)
        return opened, None
    stream = io.BytesIO()
    fits.PrimaryHDU().writeto(stream)
    whole = stream.getvalue() + header + body.ljust(-(-len(body) // BLOCK) * BLOCK, b"\0")
    with fits.open(io.BytesIO(whole), disable_image_compression=True) as opened:
        _check_tiles(opened[1], body, span, name)
        steps = _dither_steps(opened[1], span)
    return fits.open(io.BytesIO(whole), do_not_scale_image_data=True)[1], steps


def _dither_steps(table: Any, span: HduSpan) -> NDArray[Any] | None:
    """The step of each pixel's tile, where packing added noise to pixels of one value as well."""
    dithered = str(table.header.get("ZQUANTIZ", "")).strip() == "SUBTRACTIVE_DITHER_1"
    if not dithered or "ZSCALE" not in (table.data.dtype.names or ()):
        return None
    tiles = [-(-n // side) for n, side in zip(span.shape, span.tile, strict=True)]
    steps = np.asarray(table.data["ZSCALE"], np.float32).reshape(tiles)
    for axis, (side, length) in enumerate(zip(span.tile, span.shape, strict=True)):
        steps = steps.repeat(side, axis=axis).take(range(length), axis=axis)
    return steps


def _undithered(planes: NDArray[Any], steps: NDArray[Any]) -> NDArray[Any]:
    """Planes whose flat regions (zeros outside a survey, above all) are of one value again.

    Flat is where 3 x 3 pixels differ by at most a step, which is far below the noise.
    """
    from scipy import ndimage

    made = np.array(planes)
    for plane, step in zip(made, steps, strict=True):
        known = np.where(np.isfinite(plane), plane, np.inf)
        with np.errstate(invalid="ignore"):
            spread = ndimage.maximum_filter(known, 3) - ndimage.minimum_filter(known, 3)
        labels, count = ndimage.label(spread <= step)
        if not count:
            continue
        levels = np.append(np.nan, ndimage.median(plane, labels, np.arange(1, count + 1)))
        grown = ndimage.maximum_filter(labels, 3)
        flat = (grown > 0) & (np.abs(plane - levels[grown]) <= step)
        plane[flat] = levels[grown][flat]
    return made


def _check_tiles(table: Any, body: bytes, span: HduSpan, name: str) -> None:
    """Refuse tiles outside the table, tiles used twice and tiles that unpack to too much."""
    tiles = math.prod(-(-n // side) for n, side in zip(span.shape, span.tile, strict=True))
    rows = table.data.view(np.ndarray)
    if len(rows) != tiles or span.compression not in COMPRESSIONS:
        what = f"{len(rows)} tiles of {tiles}, compressed by {span.compression}"
        raise BadImage(name, f"{span.words}: {what}; funpack it first")
    heap = body[int(table.header.get("THEAP", rows.nbytes)) :]
    limit = 8 * math.prod(span.tile) + 64
    for column in {"COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA"}.intersection(
        rows.dtype.names or ()
    ):
        places = rows[column].astype(np.int64).reshape(len(rows), 2)
        ends = places.sum(axis=1)
        if (places < 0).any() or ends.max() > len(heap) or places[:, 0].sum() > len(heap):
            raise BadImage(name, f"{span.words}: tiles lie outside its data")
        if column == "UNCOMPRESSED_DATA":
            continue
        kind = "GZIP" if column.startswith("GZIP") else span.compression
        for length, offset in places.tolist():
            tile = heap[offset : offset + length]
            if length and not _unpacks_within(tile, kind, limit):
                raise BadImage(name, f"{span.words}: a tile unpacks to more than its pixels")


def _unpacks_within(tile: bytes, kind: str, limit: int) -> bool:
    if kind.startswith("GZIP"):
        return len(zlib.decompressobj(47).decompress(tile, limit + 1)) <= limit
    if kind == "HCOMPRESS_1":  # its own two sides, after two bytes of magic
        sides = int.from_bytes(tile[2:6], "big"), int.from_bytes(tile[6:10], "big")
        return 8 * math.prod(sides) <= limit
    return True


STORED_BY = ("BITPIX", "BSCALE", "BZERO", "BLANK", "BSOFTEN", "BOFFSET")
"""Cards that say how pixels are stored, those of `physical` among them."""


def physical(raw: NDArray[Any], header: Any, bitpix: int) -> tuple[NDArray[Any], float | None, str]:
    """Pixels in the header's unit with NaN for BLANK; their full range; what was undone."""
    scale, zero = float(header.get("BSCALE", 1.0)), float(header.get("BZERO", 0.0))
    blank = header.get("BLANK")
    full_range, undone = None, ""
    pixels = raw.astype(np.float64) if bitpix > 0 else raw
    if bitpix > 0:
        hole = raw == blank if isinstance(blank, int) else None
        if scale != 1.0 or zero != 0.0:
            pixels *= scale
            pixels += zero
        if hole is not None:
            pixels[hole] = np.nan
        full_range = FULL_RANGES.get((bitpix, scale, zero))
    elif scale != 1.0 or zero != 0.0:
        pixels = raw.astype(np.float64) * scale + zero
    softening = header.get("BSOFTEN")
    if isinstance(softening, int | float) and softening > 0:
        offset = float(header.get("BOFFSET", 0.0))
        with np.errstate(over="ignore"):
            pixels = offset + 2.0 * softening * np.sinh(pixels.astype(np.float64) / POGSON)
        full_range, undone = None, f", asinh scale undone (BSOFTEN {softening:g})"
    return pixels, full_range, undone


def _inherited(primary: Any, header: Any) -> list[Any]:
    """Cards of the primary header that say what the extension's does not.

    Its coordinates only where it has no pixels and the extension asks for them by INHERIT = T.
    """
    shared = header.get("INHERIT") is True and primary.get("NAXIS") == 0
    shared = shared and not any(OWN_WCS.match(key) for key in header if key)
    return [
        card
        for card in primary.cards
        if card.keyword and card.keyword not in header
        and (not OWN_CARDS.match(card.keyword) or (shared and OWN_WCS.match(card.keyword)))
    ]  # fmt: skip
