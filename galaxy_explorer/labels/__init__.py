"""Labels that astronomers give to galaxies, clusters and selections: an append-only log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galaxy_explorer.utils import lazy

if TYPE_CHECKING:
    from galaxy_explorer.labels.groups import Groups, Sample
    from galaxy_explorer.labels.imports import ImportPlan, plan_import, read_rows
    from galaxy_explorer.labels.log import Change, Event, Provenance, log_path
    from galaxy_explorer.labels.scheme import LabelScheme, Term
    from galaxy_explorer.labels.store import Annotations, LabelStore
    from galaxy_explorer.labels.tables import table

__all__ = [
    "Annotations",
    "Change",
    "Event",
    "Groups",
    "ImportPlan",
    "LabelScheme",
    "LabelStore",
    "Provenance",
    "Sample",
    "Term",
    "log_path",
    "plan_import",
    "read_rows",
    "table",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "groups": ("Groups", "Sample"),
        "imports": (
            "ImportPlan",
            "plan_import",
            "read_rows",
        ),
        "log": (
            "Change",
            "Event",
            "Provenance",
            "log_path",
        ),
        "scheme": (
            "LabelScheme",
            "Term",
        ),
        "store": (
            "Annotations",
            "LabelStore",
        ),
        "tables": ("table",),
    },
)
