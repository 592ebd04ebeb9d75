"""What `import galaxy_explorer as ge` offers as functions, and the labels.

Each function takes paths or what was opened already, and options of the names and units that the
command line has; each command calls the function of its name. Progress goes to standard error.
"""

from galaxy_explorer.api.bundles import (
    bundle_encoded,
    classify,
    deconvolve,
    encode,
    generate,
    train,
)
from galaxy_explorer.api.labelled import Labels, label_sample
from galaxy_explorer.api.opened import opened_bundle
from galaxy_explorer.api.surveys import check, ingest, simulate_survey

__all__ = [
    "Labels",
    "bundle_encoded",
    "check",
    "classify",
    "deconvolve",
    "encode",
    "generate",
    "ingest",
    "label_sample",
    "opened_bundle",
    "simulate_survey",
    "train",
]
