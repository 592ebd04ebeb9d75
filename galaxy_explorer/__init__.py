"""Learn a discrete vocabulary of galaxy morphology and explore what it found.

Start here: `load_bundle("trained/sdss")`. Neither torch nor panel is imported until needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galaxy_explorer.bundle import load_bundle

__all__ = ["__version__", "load_bundle"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load_bundle":
        from galaxy_explorer.bundle import load_bundle

        return load_bundle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
