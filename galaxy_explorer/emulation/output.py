"""Generated galaxies as files: FITS with a full header, a catalogue, PNG, profiles for GalSim.

Every one of them says SYNTHETIC: in the header, in the metadata, in the names that are given here.

Many galaxies go to a file block by block, each kept in a folder beside the output until the file is
whole: the same file whatever interrupted it, since blocks begin at fixed numbers.
"""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from galaxy_explorer.emulation.drawing import (
    BLOCK,
    Block,
    draw_to_file,
    observer_key,
    part,
    task_of,
)
from galaxy_explorer.emulation.light import RELATIVE
from galaxy_explorer.emulation.observation import Observer, check_flux, checked_scale, numbers_of
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.models.conditions import ATTRIBUTES, read_columns
from galaxy_explorer.settings import VERSION
from galaxy_explorer.utils.files import (
    atomic_path,
    atomic_write_bytes,
    atomic_write_text,
)
from galaxy_explorer.utils.progress import progress
from galaxy_explorer.utils.scheduler import remember, run_tasks
from galaxy_explorer.utils.tables import changed_column, header_text, write_table

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

    from galaxy_explorer.bundle.manifest import ReadingsEntry
    from galaxy_explorer.emulation.emulator import Emulator


COMMENT_WIDTH = 72  # characters a line of a FITS header


class Card(NamedTuple):
    """One line of a header."""

    keyword: str
    value: str | float | int | bool
    comment: str = ""


def file_stem(maker: Observer, request: Request) -> str:
    """Name of a file of these galaxies, without its ending."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", maker.emulator.bundle.name)
    return f"synthetic-{name}-seed{request.seed}"


def names(maker: Observer, request: Request) -> list[str]:
    """Name of each galaxy, from bundle, seed and place in the request."""
    stem = file_stem(maker, request)
    return [f"{stem}-{request.first + i:06d}" for i in range(request.count)]


def cards(maker: Observer, request: Request) -> list[Card]:
    """The header of these galaxies: what they are, how they were made, what the numbers are."""
    asked: list[Card] = []
    for field in maker.emulator.fields:
        if field.name not in request.condition:
            continue
        value = request.condition[field.name]
        shown: str | float = "see CATALOG" if isinstance(value, tuple) else float(value)
        words = f"{field.label} [{field.unit}]" if field.unit else field.label
        asked.append(Card(f"HIERARCH CONDITION {field.name.upper()}", shown, header_text(words)))
    text = ", ".join(f"{card.keyword.split()[-1].lower()}={card.value}" for card in asked)
    condition = [Card("ASKED", text or "nothing", "condition"), *asked]
    return [*_origin(maker, request), *condition, *_light(maker, request)]


def _origin(maker: Observer, request: Request) -> list[Card]:
    emulator = maker.emulator
    guidance = emulator.default_guidance if request.guidance is None else request.guidance
    like = (
        []
        if request.like is None
        else [
            Card("LIKE", header_text(request.like.galaxy), "the galaxy that they are drawn from"),
            Card("CHANGE", float(request.like.change), "how much of it may change, 0 to 1"),
        ]
    )
    return [
        Card("HIERARCH SYNTHETIC", True, "no real galaxy"),  # noqa: FBT003
        Card("OBJECT", "synthetic galaxies"),
        Card("ORIGIN", f"galaxy_explorer {VERSION}", "software"),
        Card("BUNDLE", header_text(emulator.bundle.name)),
        Card("BUNDHASH", emulator.bundle.hash),
        Card("MODEL", header_text(emulator.model), "decoder"),
        Card("PRIOR", header_text(emulator.kind.title), "the prior"),
        Card("SEED", request.seed, "galaxy = f(seed, number, condition, ...)"),
        Card("FIRST", request.first, "number of the first galaxy"),
        Card("SAMENOIS", request.same_noise, "all have the noise of the first"),
        Card("NGALAXY", request.count, "galaxies"),
        Card("TEMPERAT", float(request.temperature), "temperature of the draw"),
        Card("GUIDANCE", float(guidance), "1: the prior itself"),
        *like,
    ]


def _light(maker: Observer, request: Request) -> list[Card]:
    camera, units, setup = maker.setup.camera, maker.units, maker.setup
    lines = [
        Card("BUNIT", header_text(camera.flux_unit), "linear light"),
        Card("CAMERA", camera.name, "observed as"),
        Card("PSFFROM", header_text(setup.psf_from), "PSF of the observation"),
        Card("SKYSIG", setup.sigma, "sigma of the added sky noise, BUNIT"),
    ]
    if maker.has_layer:
        lines.append(Card("PSFLAYER", maker.through_psf, "the light went through the PSF layer"))
    if np.isfinite(camera.zero_point):
        lines.append(Card("MAGZERO", camera.zero_point, "mag = MAGZERO - 2.5 log10(flux)"))
    if np.isfinite(camera.electrons_per_flux) and setup.sigma > 0:
        lines.append(Card("ELECFLUX", camera.electrons_per_flux, "electrons per BUNIT"))
    if maker.scale is not None:
        lines += [
            Card("PIXSCALE", camera.pixel_scale_arcsec, "[arcsec] of these pixels"),
            Card("STAMPSCL", maker.scale, "[arcsec] of a decoder pixel"),
            Card("SCALEFRM", maker.scale_from, "where STAMPSCL is from"),
        ]
    if (magnitude := maker.magnitude(request)) is not None:
        value = magnitude[0]
        shown = "see CATALOG" if isinstance(value, tuple) else float(value)
        lines += [
            Card("MAGNITUD", shown, "all light of a stamp scaled to this"),
            Card("MAGFROM", header_text(magnitude[1]), "no colour term"),
        ]
    notes = [
        "The decoder draws y = STRSCALE arcsinh(f / (STRSOFT STRSIGMA)) + STRPED; f is the light.",
    ]
    if maker.units.unit == RELATIVE:
        notes.append(
            "The survey's pictures came stretched, by a scale that differs from galaxy to galaxy:"
            " f is relative linear light, its border taken as zero, not a measured flux."
        )
    if maker.through_psf and maker.setup.psf is not None:
        notes.append("The blur of the survey that the model learned from is still in the light.")
    return [
        *lines,
        Card("STRSIGMA", units.sky_sigma, "sky sigma of the decoder's stretch"),
        Card("STRSOFT", units.stretch.softening, "its softening"),
        Card("STRSCALE", units.stretch.scale, "its scale"),
        Card("STRPED", units.stretch.pedestal, "its pedestal"),
        *(Card("COMMENT", line) for note in notes for line in wrap(note, COMMENT_WIDTH)),
    ]


def facts(lines: Sequence[Card]) -> dict[str, Any]:
    """The cards as plain values by keyword, without the comments."""
    return {
        line.keyword.removeprefix("HIERARCH "): line.value
        for line in lines
        if line.keyword != "COMMENT"
    }


Array = NDArray[np.float32]
Codes = NDArray[Any]  # code maps (n, h, w), or latents (n, D) of a model without codes

GAP_PX = 2  # between the pictures of a sheet
CAPTION_PX = 14
GROUND, INK = 24, 200  # grey of 255
MAX_SHEET_PIXELS = 16_777_216


def catalogue(
    maker: Observer,
    request: Request,
    codes: Codes,
    flux: ArrayLike,
    *,
    log_prob: ArrayLike | None = None,
    measured: Mapping[str, ArrayLike] | None = None,
) -> Table:
    """One row a galaxy: name, seed, number, what was asked for, likelihood, flux.

    flux: (n,) or (n, C), summed over the pixels. log_prob: (n,), computed where it is not given.
    measured: further columns, such as what the bundle's judge reads.
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
                values.astype(np.float64),
                unit=field.unit or None,
                description=header_text(field.label),
            )
    if log_prob is None:
        log_prob = maker.emulator.log_prob(codes, request.condition)
    table["log_prob"] = Column(
        np.asarray(log_prob), description=f"of {_drawn(codes)[1]} under the prior, nats"
    )
    table["flux"] = Column(np.asarray(flux, np.float64), description="sum of the pixels, BUNIT")
    words = read_words(maker.emulator)
    for name, column in (measured or {}).items():
        table[name] = Column(np.asarray(column), description=words.get(name))
    return table


def read_words(emulator: Emulator) -> dict[str, str]:
    """What each column of readings is, and how far off the judge is on what the model draws."""
    judge = emulator.bundle.ttype_regressor
    if judge is None:
        return {}
    named = {name: label for name, label, _ in ATTRIBUTES}
    found: dict[str, tuple[str, ReadingsEntry]] = {"ttype": ("Hubble stage T", judge)}
    found |= {name: (f"{named[name]}, 0 to 1", e) for name, e in judge.attributes.items()}
    return {
        column: header_text(
            f"{label}, read by a network; rms error {e.drawn_by(emulator.model).rms:.2g}"
        )
        for column, (label, e) in zip(read_columns(judge.attributes), found.values(), strict=True)
    }


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

    # side by side, about as many across as down, in 8 bits
    count, bands, side, _ = shown.shape
    down, across = sheet_shape(count, side)
    step = side + GAP_PX
    height, width = down * step - GAP_PX, across * step - GAP_PX
    grey = shown if bands == 3 else shown.mean(axis=1, keepdims=True)
    eight = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    below = CAPTION_PX if caption else 0
    sheet = np.full((height + below, width, eight.shape[-1]), GROUND, np.uint8)
    for place, one in enumerate(eight):
        top, left = (place // across) * step, (place % across) * step
        sheet[top : top + side, left : left + side] = one
    sheet = sheet[..., 0] if sheet.shape[-1] == 1 else sheet
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


@dataclass(frozen=True)
class GalSimCatalogue:
    """Synthetic galaxies as profiles that GalSim convolves, shears, moves and draws.

    Each is a `galsim.InterpolatedImage` of the noiseless light, `len(catalogue)` of them, one by
    its place: its flux is the sum of the stamp, in `table.meta["BUNIT"]`. Its position angle is
    the drawn one, at random. The light is already averaged over the model's pixels: draw with
    `method="no_pixel"` where these are the camera's. table: as of the samples, with the flux of
    the band. seeing: whether the PSF of the survey is still in the light, in words.
    """

    table: Table
    profiles: tuple[Any, ...]
    pixel_scale_arcsec: float
    seeing: str

    def __len__(self) -> int:
        return len(self.profiles)

    def __getitem__(self, place: int) -> Any:
        return self.profiles[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.profiles)


SEEING = {
    True: "the light includes the seeing of the survey that the model has learned from",
    False: "deconvolved: the light is that before the PSF of the survey",
}


def galsim_catalogue(
    table: Table, stamps: NDArray[Any], observer: Observer, band: int
) -> GalSimCatalogue:
    """Samples for GalSim; stamps (n, C, S, S): linear light as the observer has drawn it.

    Raises RequestError for a band that is not there, and where no pixel scale is known.
    """
    if not 0 <= band < stamps.shape[1]:
        raise RequestError(f"band {band}: 0 to {stamps.shape[1] - 1} are there")
    checked_scale(observer.units, observer.scale)
    scale = observer.setup.camera.pixel_scale_arcsec
    table = table.copy()
    table["flux"] = stamps[:, band].sum((1, 2), dtype=np.float64)
    seeing = SEEING[observer.through_psf]
    table.meta |= {"PIXSCALE": scale, "SEEING": seeing}
    profiles = tuple(galsim_image(stamp, scale) for stamp in stamps[:, band])
    return GalSimCatalogue(table, profiles, scale, seeing)


def galsim_image(stamp: NDArray[Any], pixel_scale_arcsec: float) -> Any:
    """Linear light (S, S) as a `galsim.InterpolatedImage`, to be sheared, convolved and drawn.

    Its flux is the sum of the pixels.
    """
    import galsim

    image = galsim.Image(np.asarray(stamp, np.float64), scale=pixel_scale_arcsec)
    return galsim.InterpolatedImage(image, flux=float(image.array.sum()))


MAX_COUNT = 100_000
RUN = "run.json"


def write_galaxies(
    maker: Observer, request: Request, out: Path, scheduler: str | None = None
) -> None:
    """Make the galaxies of a request and write them.

    out: .fits (cube, catalogue, codes), .png (a sheet) or a folder (a FITS file and a picture each,
    and a catalogue). request.count may be up to MAX_COUNT. The same call again goes on where it was
    interrupted. scheduler: as of `utils.scheduler`. Raises RequestError before anything is written.
    """
    check(maker, request)
    if out.suffix not in WRITERS:
        raise RequestError(f"--out {out}: a file .fits or .png, or a folder, is possible")
    if out.suffix == ".png":
        sheet_shape(request.count, maker.side)
    if not out.suffix:
        _check_folder(maker, request, out)
    blocks = _Blocks(maker, request, out)
    blocks.make(scheduler)
    WRITERS[out.suffix](maker, request, out, blocks)
    blocks.remove()


def check(maker: Observer, request: Request) -> None:
    """Raise RequestError where the request is not possible."""
    if type(request.count) is not int or not 1 <= request.count <= MAX_COUNT:
        raise RequestError(
            f"count {request.count!r}: a whole number from 1 to {MAX_COUNT} is possible"
        )
    for start in range(0, request.count, BLOCK):
        maker.emulator.check(part(request, start, BLOCK))
    with_magnitude = maker.magnitude(request) is not None
    check_flux(maker.units, maker.setup.camera.zero_point, magnitude=with_magnitude)
    _ = maker.side  # raises where the pictures would be too large


class _Blocks:
    """The blocks of one request, kept in a folder beside the output."""

    def __init__(self, maker: Observer, request: Request, out: Path) -> None:
        self.maker, self.request, self.folder = maker, request, out.with_name(f"{out.name}.work")
        self.starts = range(0, request.count, BLOCK)

    def path(self, start: int) -> Path:
        """The file of the block that begins at a number."""
        return self.folder / f"block-{start:08d}.safetensors"

    def make(self, scheduler: str | None = None) -> None:
        """Compute what is missing; what another request left is removed first."""
        plain = {  # what decides the pixels
            "software": VERSION,
            "bundle": self.maker.emulator.bundle.hash,
            "prior": self.maker.emulator.key,
            "request": self.request.identity,
            "wish": self.maker.wish.identity,
        }
        asked = json.dumps(plain, sort_keys=True, indent=1)
        note = self.folder / RUN
        if not note.is_file() or note.read_text(encoding="utf-8") != asked:
            self.remove()
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_write_text(note, asked)
        parts = {start: part(self.request, start, BLOCK) for start in self.starts}
        missing = [start for start in parts if self._read(start) is None]
        remember("observer", observer_key(self.maker, self.request), self.maker)
        tasks = (task_of(self.maker, self.request, parts[at], self.path(at)) for at in missing)
        total = sum(parts[at].count for at in missing)
        draw = run_tasks(
            draw_to_file, tasks, scheduler=scheduler, total=total, words="Generating", weigh=len
        )
        for _ in draw:
            pass

    def _read(self, start: int) -> Block | None:
        try:
            return Block(**load_file(self.path(start)))
        except (SafetensorError, OSError, TypeError):
            return None  # damaged or absent: it is made again

    def __iter__(self) -> Iterator[Block]:
        for start in self.starts:
            block = self._read(start)
            if block is None:
                raise RequestError(f"{self.path(start)}: gone; the same command again makes it")
            yield block

    def remove(self) -> None:
        """Remove the blocks, and the folder where nothing else is in it."""
        if not self.folder.is_dir():
            return
        for path in (*self.folder.glob("block-*.safetensors"), self.folder / RUN):
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def tabulated(maker: Observer, request: Request, blocks: Iterable[Block]) -> tuple[Table, Codes]:
    """The catalogue and the code maps or latents of all blocks."""
    kept = [(b.codes, b.pixels.sum((2, 3), dtype=np.float64), b.log_prob, b.read) for b in blocks]
    codes, flux, likelihood, table = (np.concatenate(values) for values in zip(*kept, strict=True))
    flux = flux[:, 0] if flux.shape[1] == 1 else flux
    judge = maker.emulator.bundle.ttype_regressor
    read = dict(zip(read_columns(judge.attributes), table.T, strict=True)) if judge else {}
    return catalogue(maker, request, codes, flux, log_prob=likelihood, measured=read), codes


def _write_cube(maker: Observer, request: Request, out: Path, blocks: _Blocks) -> None:
    """One FITS file; the pixels pass through memory a block at a time."""
    from astropy.io import fits

    table, codes = tabulated(maker, request, blocks)
    shape = cube(next(iter(blocks)).pixels).shape[1:]
    lines = fits.PrimaryHDU(header=header(cards(maker, request))).header
    lines["BITPIX"], lines["NAXIS"] = -32, len(shape) + 1
    for axis, length in enumerate((request.count, *shape)):
        lines.set(f"NAXIS{len(shape) + 1 - axis}", length, after="NAXIS")
    with atomic_path(out) as temporary:
        temporary.unlink()
        stream = fits.StreamingHDU(str(temporary), lines)
        for block in blocks:
            stream.write(cube(block.pixels))
        stream.close()
        with fits.open(temporary, mode="append") as opened:
            for hdu in extensions(table, codes, maker.setup.psf):
                opened.append(hdu)
        _check_cube(temporary, table, blocks)


def _check_cube(path: Path, table: Table, blocks: _Blocks) -> None:
    """Compare a file with what it was made of. Raises OSError where something was lost."""
    from astropy.io import fits
    from astropy.table import Table as AstropyTable

    with fits.open(path) as opened:
        pixels = opened[0].data
        same = all(
            np.array_equal(cube(block.pixels), pixels[start : start + BLOCK], equal_nan=True)
            for start, block in zip(blocks.starts, blocks, strict=True)
        )
    back = AstropyTable.read(path, hdu="CATALOG", character_as_bytes=False, mask_invalid=False)
    if not same or changed_column(table, back):
        raise OSError(errno.EIO, "not what was written is read back; is the disk full?", str(path))


def _write_sheet(maker: Observer, request: Request, out: Path, blocks: _Blocks) -> None:
    sheet = png_bytes(np.concatenate([block.shown for block in blocks]), cards(maker, request))
    atomic_write_bytes(out, sheet)


def _check_folder(maker: Observer, request: Request, out: Path) -> None:
    """Raise RequestError where files of this seed would stay in a folder beside the new ones."""
    called = set(names(maker, request))
    stem = re.compile(rf"{re.escape(file_stem(maker, request))}-\d+")
    pictures = [path for path in out.glob("*") if path.suffix in {".fits", ".png"}]
    left = sorted({p.stem for p in pictures if stem.fullmatch(p.stem)} - called)
    if left:
        raise RequestError(
            f"--out {out}: holds {left[0]}, of a request for more galaxies with this seed; remove"
            " those, or name another folder"
        )


def _write_folder(maker: Observer, request: Request, out: Path, blocks: _Blocks) -> None:
    """A FITS file and a picture for each galaxy, and the catalogue."""
    table, _ = tabulated(maker, request, blocks)
    called = names(maker, request)
    with progress(request.count, "Writing") as advance:
        for start, block in zip(blocks.starts, blocks, strict=True):
            for i in range(len(block.codes)):
                place, one = start + i, slice(i, i + 1)
                lines = cards(maker, part(request, place, 1))
                data = fits_bytes(
                    block.pixels[one], table[place : place + 1], block.codes[one], lines,
                    maker.setup.psf,
                )  # fmt: skip
                atomic_write_bytes(out / f"{called[place]}.fits", data)
                picture = png_bytes(block.shown[one], lines, caption=False)
                atomic_write_bytes(out / f"{called[place]}.png", picture)
            advance(len(block.codes))
    write_table(table, out / f"{file_stem(maker, request)}-catalogue.ecsv")


WRITERS = {".fits": _write_cube, ".fit": _write_cube, ".png": _write_sheet, "": _write_folder}
