"""Learn a discrete vocabulary of galaxy morphology and explore what it found.

Start here: `load_bundle("trained/sdss")`, in a notebook `Explorer("trained/sdss")`. Neither torch
nor panel is imported until needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.explorer.notebook import Explorer

__all__ = ["Explorer", "__version__", "load_bundle"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load_bundle":
        from galaxy_explorer.bundle.bundle import load_bundle

        return load_bundle
    if name == "Explorer":
        from galaxy_explorer.explorer.notebook import Explorer

        return Explorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
