"""Surveys: pixels and catalogues in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.survey.check import check_source
    from galaxy_explorer.survey.images import read_image
    from galaxy_explorer.survey.ingest import IngestReport, ingest_survey
    from galaxy_explorer.survey.inventory import Inventory
    from galaxy_explorer.survey.preprocessing import ArcsinhStretch, fit_stamp
    from galaxy_explorer.survey.scales import read_psf
    from galaxy_explorer.survey.simulation.survey import simulate_survey
    from galaxy_explorer.survey.stamps import IngestOptions, make_stamp
    from galaxy_explorer.survey.store import Survey, SurveySpec, fingerprint
    from galaxy_explorer.survey.writer import SurveyWriter

__all__ = [
    "ArcsinhStretch",
    "IngestOptions",
    "IngestReport",
    "Inventory",
    "Survey",
    "SurveySpec",
    "SurveyWriter",
    "check_source",
    "fingerprint",
    "fit_stamp",
    "ingest_survey",
    "make_stamp",
    "read_image",
    "read_psf",
    "simulate_survey",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "check": ("check_source",),
        "images": ("read_image",),
        "ingest": (
            "IngestReport",
            "ingest_survey",
        ),
        "inventory": ("Inventory",),
        "preprocessing": (
            "ArcsinhStretch",
            "fit_stamp",
        ),
        "scales": ("read_psf",),
        "simulation.survey": ("simulate_survey",),
        "stamps": (
            "IngestOptions",
            "make_stamp",
        ),
        "store": (
            "Survey",
            "SurveySpec",
            "fingerprint",
        ),
        "writer": ("SurveyWriter",),
    },
)
