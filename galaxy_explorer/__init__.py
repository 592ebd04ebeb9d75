"""Learn a discrete vocabulary of galaxy morphology and explore what it found.

Start here: `load_bundle("trained/sdss")`. Neither torch nor panel is imported until needed.
"""

from __future__ import annotations

__version__ = "0.1.0"
