"""Many galaxies to a file: block by block, resumable, the same file whatever interrupted it.

Each block is kept in a folder beside the output until the file is whole. A block begins at a fixed
number, so that a run in pieces computes exactly what a run in one does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from galaxy_explorer import __version__
from galaxy_explorer.emulation.header import cards, file_stem, names
from galaxy_explorer.emulation.maker import Maker
from galaxy_explorer.emulation.observe import check_flux
from galaxy_explorer.emulation.output import (
    catalogue,
    cube,
    extensions,
    fits_bytes,
    header,
    png_bytes,
    sheet_shape,
)
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.files import atomic_path, atomic_write_bytes, atomic_write_text
from galaxy_explorer.progress import progress

if TYPE_CHECKING:
    from astropy.table import Table

Array = NDArray[np.float32]
Codes = NDArray[Any]  # code maps (n, h, w) uint16 or latents (n, D) float16

BLOCK = 64  # galaxies between two writes
MAX_COUNT = 100_000
RUN = "run.json"


class Block(NamedTuple):
    """Galaxies: pixels (n, C, T, T), also stretched for the eye, code maps or latents (n, ...)."""

    pixels: Array
    shown: Array
    codes: Codes
    log_prob: NDArray[np.float64]


def generate(maker: Maker, request: Request, out: Path) -> None:
    """Make the galaxies of a request and write them.

    out: .fits (cube, catalogue, codes), .png (a sheet) or a folder (a FITS file and a picture each,
    and a catalogue). request.count may be up to MAX_COUNT. The same call again goes on where it was
    interrupted. Raises RequestError before anything is written.
    """
    check(maker, request, out)
    blocks = _Blocks(maker, request, out)
    blocks.make()
    WRITERS[out.suffix](maker, request, out, blocks)
    blocks.remove()


def check(maker: Maker, request: Request, out: Path) -> None:
    """Raise RequestError where the request or the name of the file is not possible."""
    if type(request.count) is not int or not 1 <= request.count <= MAX_COUNT:
        raise RequestError(
            f"count {request.count!r}: a whole number from 1 to {MAX_COUNT} is possible"
        )
    for start in range(0, request.count, BLOCK):
        maker.emulator.check(part(request, start, BLOCK))
    if out.suffix not in WRITERS:
        raise RequestError(f"--out {out}: a file .fits or .png, or a folder, is possible")
    with_magnitude = maker.magnitude(request) is not None
    check_flux(maker.units, maker.setup.camera.zero_point, magnitude=with_magnitude)
    side = maker.side
    if out.suffix == ".png":
        sheet_shape(request.count, side)


def part(request: Request, start: int, size: int) -> Request:
    """The galaxies from place `start` of a request, at most `size` of them."""
    stop = min(start + size, request.count)
    condition = {
        name: value[start:stop] if isinstance(value, tuple) else value
        for name, value in request.condition.items()
    }
    first = request.first if request.same_noise else request.first + start
    return replace(request, count=stop - start, condition=condition, first=first)


class _Blocks:
    """The blocks of one request, kept in a folder beside the output."""

    def __init__(self, maker: Maker, request: Request, out: Path) -> None:
        self.maker, self.request = maker, request
        self.folder = out.with_name(f"{out.name}.work")
        self.starts = range(0, request.count, BLOCK)

    def path(self, start: int) -> Path:
        """The file of the block that begins at a number."""
        return self.folder / f"block-{start:08d}.safetensors"

    def make(self) -> None:
        """Compute what is missing; what another request left is removed first."""
        asked = self._identity()
        note = self.folder / RUN
        if not note.is_file() or note.read_text(encoding="utf-8") != asked:
            self.remove()
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_write_text(note, asked)
        parts = {start: part(self.request, start, BLOCK) for start in self.starts}
        missing = [start for start in parts if self._read(start) is None]
        done = self.request.count - sum(parts[start].count for start in missing)
        with progress(self.request.count, "Generating", done=done) as advance:
            for start in missing:
                self._write(start, parts[start])
                advance(parts[start].count)

    def _write(self, start: int, request: Request) -> None:
        emulator = self.maker.emulator
        codes = emulator.codes(request)
        seen = self.maker.observe(codes, request)
        likelihood = emulator.log_prob(codes, request.condition)
        block = Block(seen.pixels, seen.stretched, codes, likelihood)
        with atomic_path(self.path(start)) as temporary:
            save_file(block._asdict(), temporary)

    def _read(self, start: int) -> Block | None:
        try:
            return Block(**load_file(self.path(start)))
        except (SafetensorError, OSError, TypeError):
            # A damaged or absent block is made again.
            return None

    def __iter__(self) -> Iterator[Block]:
        for start in self.starts:
            block = self._read(start)
            if block is None:
                raise RequestError(f"{self.path(start)}: gone; the same command again makes it")
            yield block

    def _identity(self) -> str:
        """What decides the pixels, as text."""
        emulator = self.maker.emulator
        plain = {
            "software": __version__,
            "bundle": emulator.bundle.hash,
            "model": emulator.model,
            "request": self.request.identity,
            "wish": self.maker.wish.identity,
        }
        return json.dumps(plain, sort_keys=True, indent=1)

    def remove(self) -> None:
        """Remove the blocks, and the folder where nothing else is in it."""
        if not self.folder.is_dir():
            return
        for path in (*self.folder.glob("block-*.safetensors"), self.folder / RUN):
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def _table(maker: Maker, request: Request, blocks: _Blocks) -> tuple[Table, Codes]:
    """The catalogue and the code maps or latents of all blocks."""
    kept = [(b.codes, b.pixels.sum((2, 3), dtype=np.float64), b.log_prob) for b in blocks]
    codes, flux, likelihood = (np.concatenate(values) for values in zip(*kept, strict=True))
    flux = flux[:, 0] if flux.shape[1] == 1 else flux
    return catalogue(maker, request, codes, flux, log_prob=likelihood), codes


def _write_cube(maker: Maker, request: Request, out: Path, blocks: _Blocks) -> None:
    """One FITS file; the pixels pass through memory a block at a time."""
    from astropy.io import fits

    table, codes = _table(maker, request, blocks)
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


def _write_sheet(maker: Maker, request: Request, out: Path, blocks: _Blocks) -> None:
    shown = np.concatenate([block.shown for block in blocks])
    atomic_write_bytes(out, png_bytes(shown, cards(maker, request)))


def _write_folder(maker: Maker, request: Request, out: Path, blocks: _Blocks) -> None:
    """A FITS file and a picture for each galaxy, and the catalogue."""
    table, _ = _table(maker, request, blocks)
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
    with atomic_path(out / f"{file_stem(maker, request)}-catalogue.ecsv") as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)


WRITERS = {".fits": _write_cube, ".fit": _write_cube, ".png": _write_sheet, "": _write_folder}
