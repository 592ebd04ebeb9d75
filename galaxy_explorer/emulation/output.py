"""Generated galaxies as files: FITS with a full header, a catalogue, PNG, a galsim image.

Every one of them says SYNTHETIC: in the header, in the metadata, in the names that are given here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.emulation.header import Card, cards, facts, names, plain
from galaxy_explorer.emulation.maker import Maker, numbers_of
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

Array = NDArray[np.float32]
Codes = NDArray[Any]  # code maps (n, h, w), or latents (n, D) of a model without codes

GAP_PX = 2  # between the pictures of a sheet
CAPTION_PX = 14
GROUND, INK = 24, 200  # grey of 255
MAX_SHEET_PIXELS = 16_777_216


def catalogue(
    maker: Maker,
    request: Request,
    codes: Codes,
    flux: ArrayLike,
    *,
    log_prob: ArrayLike | None = None,
    measured: Mapping[str, ArrayLike] | None = None,
) -> Table:
    """One row a galaxy: name, seed, number, what was asked for, likelihood, flux.

    flux: (n,) or (n, C), summed over the pixels. log_prob: (n,), computed where it is not given.
    measured: further columns, such as a judged T.
    """
    from astropy.table import Column, Table

    table = Table(meta=facts(cards(maker, request)))
    table["name"] = Column(names(maker, request), description="synthetic galaxy")
    table["seed"] = np.full(request.count, request.seed, np.int64)
    table["number"] = Column(numbers_of(request), description="its noise is that of this number")
    for field in maker.emulator.fields:
        if field.name in request.condition:
            values = np.broadcast_to(request.condition[field.name], (request.count,))
            table[f"asked_{field.name}"] = Column(
                values.astype(np.float64), unit=field.unit or None, description=plain(field.label)
            )
    if log_prob is None:
        log_prob = maker.emulator.log_prob(codes, request.condition)
    table["log_prob"] = Column(
        np.asarray(log_prob), description=f"of {_drawn(codes)[1]} under the prior, nats"
    )
    table["flux"] = Column(np.asarray(flux, np.float64), description="sum of the pixels, BUNIT")
    for name, column in (measured or {}).items():
        table[name] = np.asarray(column)
    return table


def header(lines: Sequence[Card]) -> fits.Header:
    """A FITS header of cards."""
    from astropy.io import fits

    return fits.Header([fits.Card(*line) if line.keyword != "COMMENT"
                        else fits.Card("COMMENT", line.value) for line in lines])  # fmt: skip


def extensions(
    table: Table, codes: Codes, psf: Array | None
) -> list[fits.BinTableHDU | fits.ImageHDU]:
    """What follows the cube of pixels: CATALOG, CODES or LATENTS and, where there is one, PSF."""
    from astropy.io import fits

    rows = table.copy(copy_data=False)
    rows.meta.clear()
    name, _, kind = _drawn(codes)
    made: list[Any] = [fits.table_to_hdu(rows), fits.ImageHDU(codes.astype(kind), name=name)]
    made[0].name = "CATALOG"
    if psf is not None:
        made.append(fits.ImageHDU(psf, name="PSF"))
    for hdu in made:
        hdu.header["HIERARCH SYNTHETIC"] = (True, "no real galaxy")
    return made


def _drawn(codes: Codes) -> tuple[str, str, type[np.generic]]:
    """Name of the extension of what a prior draws, words for it, and its numbers in FITS."""
    if codes.dtype.kind == "f":
        return "LATENTS", "the latents (a density)", np.float32
    return "CODES", "the code map", np.int16


def cube(pixels: Array) -> Array:
    """Pixels (n, C, T, T) as FITS has them: (n, T, T) where there is one band."""
    return pixels[:, 0] if pixels.shape[1] == 1 else pixels


def fits_bytes(
    pixels: Array,
    table: Table,
    codes: Codes,
    lines: Sequence[Card],
    psf: Array | None = None,
) -> bytes:
    """A FITS file: the cube of pixels (n, T, T), CATALOG, CODES or LATENTS (n, ...) and PSF."""
    from astropy.io import fits

    primary = fits.PrimaryHDU(np.asarray(cube(pixels), np.float32), header(lines))
    buffer = io.BytesIO()
    fits.HDUList([primary, *extensions(table, codes, psf)]).writeto(buffer)
    return buffer.getvalue()


def png_bytes(shown: Array, lines: Sequence[Card], *, caption: bool = True) -> bytes:
    """A sheet of pictures (n, C, S, S), 0 to 1, with the header as text chunks.

    caption: a line below that says SYNTHETIC and what was asked for. Raises RequestError where the
    sheet would be too large.
    """
    from PIL import Image, ImageDraw
    from PIL.PngImagePlugin import PngInfo

    sheet = _sheet(shown, CAPTION_PX if caption else 0)
    picture = Image.fromarray(sheet)
    about = facts(lines)
    if caption:
        words = f"SYNTHETIC  {about.get('BUNDLE', '')}  seed {about.get('SEED', '')}"
        where = (2, sheet.shape[0] - CAPTION_PX + 1)
        ink = INK if sheet.ndim == 2 else (INK,) * 3
        ImageDraw.Draw(picture).text(where, f"{words}  {about.get('ASKED', '')}", fill=ink)
    info = PngInfo()
    for keyword, value in about.items():
        info.add_text(keyword, "FT"[value] if isinstance(value, bool) else str(value))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def sheet_shape(count: int, side: int) -> tuple[int, int]:
    """Rows and columns of a sheet of pictures; raises RequestError where it would be too large."""
    across = int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    if down * across * (side + GAP_PX) ** 2 > MAX_SHEET_PIXELS:
        raise RequestError(
            f"{count} pictures of {side} pixels: too many for one PNG; write FITS or a folder"
        )
    return down, across


def _sheet(shown: Array, below: int) -> NDArray[np.uint8]:
    """Pictures (n, C, S, S) side by side, about as many across as down, in 8 bits."""
    count, bands, side, _ = shown.shape
    down, across = sheet_shape(count, side)
    step = side + GAP_PX
    height, width = down * step - GAP_PX, across * step - GAP_PX
    grey = shown if bands == 3 else shown.mean(axis=1, keepdims=True)
    eight = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    sheet = np.full((height + below, width, eight.shape[-1]), GROUND, np.uint8)
    for place, picture in enumerate(eight):
        top, left = (place // across) * step, (place % across) * step
        sheet[top : top + side, left : left + side] = picture
    return sheet[..., 0] if sheet.shape[-1] == 1 else sheet


def galsim_image(stamp: NDArray[Any], pixel_scale_arcsec: float) -> Any:
    """Linear light (S, S) as a `galsim.InterpolatedImage`, to be sheared, convolved and drawn.

    Its flux is the sum of the pixels.
    """
    import galsim

    image = galsim.Image(np.asarray(stamp, np.float64), scale=pixel_scale_arcsec)
    return galsim.InterpolatedImage(image, flux=float(image.array.sum()))
