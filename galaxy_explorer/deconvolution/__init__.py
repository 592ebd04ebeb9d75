"""Deconvolution: galaxies as they would be seen without the PSF, judged against known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.deconvolution.files import (
        Deconvolutions,
        DeconvolvedImage,
        deconvolve_images,
    )
    from galaxy_explorer.deconvolution.network import Deconvolved, deconvolve
    from galaxy_explorer.deconvolution.observations import (
        ObservedStamps,
        blur,
        observe,
        stamps_observed,
    )

__all__ = [
    "Deconvolutions",
    "Deconvolved",
    "DeconvolvedImage",
    "ObservedStamps",
    "blur",
    "deconvolve",
    "deconvolve_images",
    "observe",
    "stamps_observed",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "files": (
            "Deconvolutions",
            "DeconvolvedImage",
            "deconvolve_images",
        ),
        "network": (
            "Deconvolved",
            "deconvolve",
        ),
        "observations": (
            "ObservedStamps",
            "blur",
            "observe",
            "stamps_observed",
        ),
    },
)
