"""Synthetic galaxies that were asked for: as arrays and a table in memory, or as files."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from galaxy_explorer.emulation import output
from galaxy_explorer.emulation.drawing import BLOCK, Block, draw_block, part
from galaxy_explorer.emulation.observation import Observer
from galaxy_explorer.emulation.output import (
    GalSimCatalogue,
    cards,
    check,
    facts,
    galsim_catalogue,
    names,
)
from galaxy_explorer.emulation.request import Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.utils.progress import progress

if TYPE_CHECKING:
    from astropy.table import Table


class Samples:
    """`len(samples)` synthetic galaxies; no real one is among them.

    Nothing is drawn before it is asked for: `write` draws block by block, so that thousands need
    little memory; the arrays and the catalogue are drawn once and kept. Same bundle, seed, number
    and condition: same galaxy. observer: how they are drawn and seen. request: what was asked for.
    scheduler: who draws those that are written to a file, see `utils.scheduler`.

    Raises RequestError where that is not possible.
    """

    def __init__(self, observer: Observer, request: Request, scheduler: str | None = None) -> None:
        check(observer, request)
        self.observer, self.request, self._scheduler = observer, request, scheduler

    def __len__(self) -> int:
        return self.request.count

    def __repr__(self) -> str:
        return f"<Samples of {self.observer.emulator.bundle.name}: {self.summary}>"

    @property
    def summary(self) -> str:
        """How many there are, as what they are seen, their size, scale and unit."""
        observer, camera = self.observer, self.observer.setup.camera
        seen = "as the model draws them" if camera.name == "none" else f"observed as {camera.name}"
        scale = f"{camera.pixel_scale_arcsec:g} arcsec/px"
        return (
            f"{len(self)} synthetic galaxies, {seen}, {observer.side} x {observer.side} px,"
            f" {scale if observer.scale else 'pixel scale unknown'}, unit {camera.flux_unit}"
        )

    @property
    def header(self) -> dict[str, Any]:
        """What they are, how they were made and what the numbers are, by FITS keyword."""
        return facts(cards(self.observer, self.request))

    @property
    def names(self) -> list[str]:
        """Name of each galaxy, from bundle, seed and number."""
        return names(self.observer, self.request)

    @property
    def stamps(self) -> NDArray[np.float32]:
        """Linear light (n, C, T, T), sky subtracted, in the unit `header["BUNIT"]`."""
        return self._drawn.pixels

    @property
    def shown(self) -> NDArray[np.float32]:
        """The stamps (n, C, T, T) stretched for the eye, 0 to 1 where nothing is clipped."""
        return self._drawn.shown

    @property
    def codes(self) -> NDArray[Any]:
        """Code maps (n, h, w) that the prior drew, or latents (n, D) of a model without codes."""
        return self._drawn.codes

    @cached_property
    def catalogue(self) -> Table:
        """One row a galaxy: name, seed, number, what was asked for, log-likelihood, flux, readings.

        read_ttype and read_<attribute>, such as read_arms: what the bundle's judge reads off the
        sample before any camera, T in stages, attributes from 0 to 1; none without a judge.
        """
        return output.tabulated(self.observer, self.request, [self._drawn])[0]

    @cached_property
    def _drawn(self) -> Block:
        starts, blocks = range(0, len(self), BLOCK), []
        with progress(len(self), "Generating") as advance:
            for start in starts:
                blocks.append(draw_block(self.observer, part(self.request, start, BLOCK)))
                advance(len(blocks[-1].codes))
        return Block(*(np.concatenate(arrays) for arrays in zip(*blocks, strict=True)))

    def galsim(self, band: int = 0, *, deconvolved: bool | None = None) -> GalSimCatalogue:
        """The galaxies for GalSim: what the model draws, without camera and noise.

        band: which plane of the stamps. deconvolved: before the PSF of the survey, which a bundle
        whose model has the PSF layer can draw; None: where it can. Raises RequestError where it
        cannot, where a camera or a PSF was asked for, and where no pixel scale is known.
        """
        observer, wish = self.observer, self.observer.wish
        if wish.telescope is not None or wish.psf is not None or wish.sky_sigma:
            raise RequestError("galsim: camera, PSF and noise are left to GalSim; ask for none")
        without = observer.has_layer if deconvolved is None else deconvolved
        if without and not observer.has_layer:
            raise RequestError(
                f"deconvolved: {observer.emulator.model} has no PSF layer to draw without"
            )
        bare = replace(wish, psf_layer=not without) if observer.has_layer else wish
        drawn = Samples(Observer(observer.emulator, bare, self.request.condition), self.request)
        return galsim_catalogue(drawn.catalogue, drawn.stamps, drawn.observer, band)

    def write(self, out: str | Path) -> Path:
        """Write them, and return `out`: .fits (cube, catalogue, codes), .png (a sheet), a folder.

        A folder gets a FITS file and a picture of each and a catalogue. Interrupted, the same call
        again goes on. Raises RequestError for another extension or a sheet that would be too large.
        """
        output.write_galaxies(self.observer, self.request, Path(out), self._scheduler)
        return Path(out)
