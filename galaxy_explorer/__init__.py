"""Learn a discrete vocabulary of galaxy morphology and explore what it found.

Start here: `import galaxy_explorer as ge`, then `ge.load_bundle("trained/sdss")`, in a notebook
`ge.Explorer("trained/sdss")`. `help(ge.generate)` and the like show an example each. Nothing is
imported before it is asked for: neither numpy nor torch nor panel.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from galaxy_explorer.settings import VERSION
from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.api import (
        Labels,
        bundle_encoded,
        check,
        classify,
        deconvolve,
        encode,
        generate,
        ingest,
        simulate_survey,
        train,
    )
    from galaxy_explorer.bundle.bundle import Bundle, load_bundle, load_demo
    from galaxy_explorer.classification import Classification, Classifications
    from galaxy_explorer.deconvolution.files import Deconvolutions, DeconvolvedImage
    from galaxy_explorer.emulation.samples import Samples
    from galaxy_explorer.encoding import Encoding
    from galaxy_explorer.errors import GalaxyExplorerError
    from galaxy_explorer.explorer.notebook import Explorer
    from galaxy_explorer.survey.ingest import IngestReport
    from galaxy_explorer.survey.inventory import Inventory
    from galaxy_explorer.survey.store import Survey

# Threads of torch that wait keep a core busy, which beside any other program makes their work many
# times as long (benchmarks/threads.py). OpenMP reads this once, when torch is loaded; what the user
# has set stays. It stands here because commands, app.py and notebooks all pass here before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = VERSION
__all__ = [
    "Bundle",
    "Classification",
    "Classifications",
    "Deconvolutions",
    "DeconvolvedImage",
    "Encoding",
    "Explorer",
    "GalaxyExplorerError",
    "IngestReport",
    "Inventory",
    "Labels",
    "Samples",
    "Survey",
    "__version__",
    "bundle_encoded",
    "check",
    "classify",
    "deconvolve",
    "encode",
    "generate",
    "ingest",
    "load_bundle",
    "load_demo",
    "simulate_survey",
    "train",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "api": (
            *("Labels", "bundle_encoded", "check", "classify", "deconvolve", "encode", "generate"),
            *("ingest", "simulate_survey", "train"),
        ),
        "bundle.bundle": ("Bundle", "load_bundle", "load_demo"),
        "classification": ("Classification", "Classifications"),
        "deconvolution.files": ("Deconvolutions", "DeconvolvedImage"),
        "emulation.samples": ("Samples",),
        "encoding": ("Encoding",),
        "errors": ("GalaxyExplorerError",),
        "explorer.notebook": ("Explorer",),
        "survey.ingest": ("IngestReport",),
        "survey.inventory": ("Inventory",),
        "survey.store": ("Survey",),
    },
    also=("__version__",),
)
