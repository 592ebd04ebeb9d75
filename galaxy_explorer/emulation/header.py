"""What generated galaxies say of themselves: the lines of a header, and their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np

from galaxy_explorer import __version__
from galaxy_explorer.emulation.light import RELATIVE, Units
from galaxy_explorer.emulation.maker import Maker
from galaxy_explorer.emulation.request import Request

COMMENT_WIDTH = 72  # characters a line of a FITS header


class Card(NamedTuple):
    """One line of a header."""

    keyword: str
    value: str | float | int | bool
    comment: str = ""


def file_stem(maker: Maker, request: Request) -> str:
    """Name of a file of these galaxies, without its ending."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", maker.emulator.bundle.name)
    return f"synthetic-{name}-seed{request.seed}"


def names(maker: Maker, request: Request) -> list[str]:
    """Name of each galaxy, from bundle, seed and place in the request."""
    stem = file_stem(maker, request)
    return [f"{stem}-{request.first + i:06d}" for i in range(request.count)]


def cards(maker: Maker, request: Request) -> list[Card]:
    """The header of these galaxies: what they are, how they were made, what the numbers are."""
    return [*_origin(maker, request), *_condition(maker, request), *_light(maker, request)]


def _origin(maker: Maker, request: Request) -> list[Card]:
    emulator = maker.emulator
    guidance = emulator.default_guidance if request.guidance is None else request.guidance
    return [
        Card("HIERARCH SYNTHETIC", True, "no real galaxy"),  # noqa: FBT003
        Card("OBJECT", "synthetic galaxies"),
        Card("ORIGIN", f"galaxy_explorer {__version__}", "software"),
        Card("BUNDLE", plain(emulator.bundle.name)),
        Card("BUNDHASH", emulator.bundle.hash),
        Card("MODEL", plain(emulator.model), "prior and decoder"),
        Card("SEED", request.seed, "galaxy = f(seed, number, condition, ...)"),
        Card("FIRST", request.first, "number of the first galaxy"),
        Card("SAMENOIS", request.same_noise, "all have the noise of the first"),
        Card("NGALAXY", request.count, "galaxies"),
        Card("TEMPERAT", float(request.temperature), "temperature of the draw"),
        Card("GUIDANCE", float(guidance), "1: the prior itself"),
    ]


def _condition(maker: Maker, request: Request) -> list[Card]:
    asked: list[Card] = []
    for field in maker.emulator.fields:
        if field.name not in request.condition:
            continue
        value = request.condition[field.name]
        shown: str | float = "see CATALOG" if isinstance(value, tuple) else float(value)
        words = f"{field.label} [{field.unit}]" if field.unit else field.label
        asked.append(Card(f"HIERARCH CONDITION {field.name.upper()}", shown, plain(words)))
    text = ", ".join(f"{card.keyword.split()[-1].lower()}={card.value}" for card in asked)
    return [Card("ASKED", text or "nothing", "condition"), *asked]


def _light(maker: Maker, request: Request) -> list[Card]:
    camera, units, setup = maker.setup.camera, maker.units, maker.setup
    lines = [
        Card("BUNIT", plain(camera.flux_unit), "linear light"),
        Card("CAMERA", camera.name, "observed as"),
        Card("PSFFROM", plain(setup.psf_from), "PSF of the observation"),
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
            Card("MAGFROM", plain(magnitude[1]), "no colour term"),
        ]
    return [*lines, *_stretch(units), *_notes(maker)]


def _stretch(units: Units) -> list[Card]:
    return [
        Card("STRSIGMA", units.sky_sigma, "sky sigma of the decoder's stretch"),
        Card("STRSOFT", units.stretch.softening, "its softening"),
        Card("STRSCALE", units.stretch.scale, "its scale"),
        Card("STRPED", units.stretch.pedestal, "its pedestal"),
    ]


def _notes(maker: Maker) -> list[Card]:
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
    return [Card("COMMENT", line) for note in notes for line in wrap(note, COMMENT_WIDTH)]


def plain(text: str) -> str:
    """Text as a FITS header can hold it."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def facts(lines: Sequence[Card]) -> dict[str, Any]:
    """The cards as plain values by keyword, without the comments."""
    return {
        line.keyword.removeprefix("HIERARCH "): line.value
        for line in lines
        if line.keyword != "COMMENT"
    }
