"""Galaxies drawn from a prior, seen through cameras, and compared with real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.emulation.cameras import PROFILES, Setup, plain_setup, setup_of
    from galaxy_explorer.emulation.emulator import CodeEmulator, Emulator, Partial
    from galaxy_explorer.emulation.light import Units, light_without_psf, units_of
    from galaxy_explorer.emulation.likeness import Facts, Likeness, SkyNoise
    from galaxy_explorer.emulation.morphology import Morphology, measure_morphology, measure_one
    from galaxy_explorer.emulation.observation import (
        ObservationSettings,
        ObservedGalaxies,
        Observer,
        observe,
    )
    from galaxy_explorer.emulation.output import (
        GalSimCatalogue,
        cards,
        catalogue,
        write_galaxies,
    )
    from galaxy_explorer.emulation.request import Like, Request
    from galaxy_explorer.emulation.samples import Samples

__all__ = [
    "PROFILES",
    "CodeEmulator",
    "Emulator",
    "Facts",
    "GalSimCatalogue",
    "Like",
    "Likeness",
    "Morphology",
    "ObservationSettings",
    "ObservedGalaxies",
    "Observer",
    "Partial",
    "Request",
    "Samples",
    "Setup",
    "SkyNoise",
    "Units",
    "cards",
    "catalogue",
    "light_without_psf",
    "measure_morphology",
    "measure_one",
    "observe",
    "plain_setup",
    "setup_of",
    "units_of",
    "write_galaxies",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "cameras": (
            "PROFILES",
            "Setup",
            "plain_setup",
            "setup_of",
        ),
        "emulator": (
            "CodeEmulator",
            "Emulator",
            "Partial",
        ),
        "light": (
            "Units",
            "light_without_psf",
            "units_of",
        ),
        "likeness": (
            "Facts",
            "Likeness",
            "SkyNoise",
        ),
        "morphology": (
            "Morphology",
            "measure_morphology",
            "measure_one",
        ),
        "observation": (
            "ObservationSettings",
            "ObservedGalaxies",
            "Observer",
            "observe",
        ),
        "output": (
            "GalSimCatalogue",
            "cards",
            "catalogue",
            "write_galaxies",
        ),
        "request": ("Like", "Request"),
        "samples": ("Samples",),
    },
)
