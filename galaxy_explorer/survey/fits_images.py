"""FITS pictures, checked card by card before astropy sees them.

astropy trusts a header: NAXIS = 10^8 keeps it busy for minutes. So the structural keywords are
read from the raw 2880-byte blocks first, and only one HDU that passed is handed on.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.errors import BadImage
from galaxy_explorer.survey.limits import (
    MAX_AXES,
    MAX_HDUS,
    MAX_HEADER_BLOCKS,
    MAX_PIXELS,
    MAX_PLANES,
    MAX_SIDE_PX,
)

BLOCK = 2880
CARD = 80
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
BITPIX = (8, 16, 32, 64, -32, -64)
NUMBERS = ("BITPIX", "NAXIS", "PCOUNT", "GCOUNT", *(f"NAXIS{n}" for n in range(1, MAX_AXES + 1)))


@dataclass(frozen=True)
class HduSpan:
    """Where one HDU lies in a file and the shape its header states (numpy order)."""

    number: int
    start: int
    end: int
    shape: tuple[int, ...]
    is_image: bool

    @property
    def planes(self) -> tuple[int, ...]:
        """The shape without axes of length 1."""
        return tuple(n for n in self.shape if n != 1)


def hdu_spans(data: bytes | mmap, name: str) -> Iterator[HduSpan]:
    """Walk through the HDUs of a FITS file by their raw headers.

    Raises BadImage for a header without END, a keyword that is missing, repeated, no whole number
    or out of bounds, and for data that end early.
    """
    start = 0
    for number in range(MAX_HDUS):
        if start >= len(data):
            return
        cards, header_bytes = _header(data, start, name)
        first = "SIMPLE" if number == 0 else "XTENSION"
        if first not in cards:
            if number:
                return  # what follows the last HDU is no HDU: padding or junk, allowed by FITS
            raise BadImage(name, "not FITS: the first card is not SIMPLE")
        numbers = {}
        for keyword in NUMBERS:
            if keyword not in cards:
                continue
            text = cards[keyword]
            if not WHOLE_NUMBER.fullmatch(text):
                raise BadImage(name, f"{keyword} = {text[:20]!r} is no whole number")
            numbers[keyword] = int(text)
        shape = _shape(numbers, name)
        groups, heap = max(numbers.get("GCOUNT", 1), 1), max(numbers.get("PCOUNT", 0), 0)
        elements = math.prod(shape) if shape else 0
        size = abs(numbers["BITPIX"]) // 8 * groups * (heap + elements)
        end = start + header_bytes + size
        if end > len(data):
            raise BadImage(name, f"truncated: HDU {number} needs {end} bytes of {len(data)}")
        is_image = number == 0 or cards["XTENSION"].strip("' ") == "IMAGE"
        yield HduSpan(number, start, end, shape, is_image and math.prod(shape or (0,)) > 0)
        start += header_bytes + -(-size // BLOCK) * BLOCK
    raise BadImage(name, f"more than {MAX_HDUS} HDUs")


def _header(data: bytes | mmap, start: int, name: str) -> tuple[dict[str, str], int]:
    """Structural cards (keyword to value text) and the header's length in bytes."""
    cards: dict[str, str] = {}
    for block in range(MAX_HEADER_BLOCKS):
        offset = start + block * BLOCK
        text = data[offset : offset + BLOCK].decode("latin-1")
        if len(text) < BLOCK:
            raise BadImage(name, "truncated: the header has no END")
        for at in range(0, BLOCK, CARD):
            card = text[at : at + CARD]
            keyword = card[:8].rstrip()
            if keyword == "END":
                return cards, (block + 1) * BLOCK
            if card[8] == "=" and keyword in {"SIMPLE", "XTENSION", *NUMBERS}:
                if keyword in cards:
                    raise BadImage(name, f"{keyword} is in the header twice")
                cards[keyword] = card[9:].split("/")[0].strip()
    raise BadImage(name, f"the header has more than {MAX_HEADER_BLOCKS} blocks")


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


def read_fits(data: bytes, name: str, hdu: int | None) -> tuple[NDArray[np.float64], Any]:
    """Planes (C, H, W) and header of HDU number `hdu`, or of the first image with two axes.

    Axes of length 1 are dropped; an image of three axes counts where none has two.

    Raises BadImage where no HDU has an image of a size that is read.
    """
    spans = [span for span in hdu_spans(data, name) if span.is_image]
    if hdu is not None:
        spans = [span for span in spans if span.number == hdu]
    fitting = (span for axes in (2, 3) for span in spans if len(span.planes) == axes)
    chosen = next(fitting, None)
    if chosen is None:
        where = "no HDU" if hdu is None else f"not HDU {hdu}"
        raise BadImage(name, f"{where} has an image of two axes (compressed images: funpack first)")
    planes, height, width = (1, *chosen.planes)[-3:]
    if max(height, width) > MAX_SIDE_PX or planes * height * width > MAX_PIXELS:
        raise BadImage(
            name, f"{planes} x {height} x {width} pixels; at most {MAX_PIXELS} in one picture"
        )
    if planes > MAX_PLANES:
        raise BadImage(name, f"{planes} planes; at most {MAX_PLANES}")
    data = data[chosen.start : chosen.end]
    shape = (planes, height, width)
    from astropy.io import fits

    kind = fits.ImageHDU if chosen.number else fits.PrimaryHDU
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            unit = kind.fromstring(data, ignore_missing_end=False)
            pixels = np.asarray(unit.data, dtype=np.float64).reshape(shape)
            header = dict(unit.header)
    except (fits.VerifyError, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise BadImage(name, f"astropy cannot read it ({error})") from error
    except (ArithmeticError, AttributeError, UnicodeError) as error:
        raise BadImage(name, f"damaged header ({error})") from error
    return pixels, header
