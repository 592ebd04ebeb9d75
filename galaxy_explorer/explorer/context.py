"""What all visitors share: the bundle and its stamps, loaded once a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.errors import LabelError, SettingError
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pictures.display import has_colour
from galaxy_explorer.explorer.pictures.originals import (
    DEFAULT_SCALE_ARCSEC,
    SdssCutouts,
    first_of,
    survey_originals,
)
from galaxy_explorer.explorer.pictures.stamps import Originals, StampStore
from galaxy_explorer.explorer.plots.colouring import Colouring, KeptColourings, map_colouring
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.labels.log import log_path
from galaxy_explorer.settings import Settings, read_settings
from galaxy_explorer.survey.store import SCALE_COLUMN
from galaxy_explorer.utils.files import cache_folder


@dataclass(frozen=True, eq=False)
class AppContext:
    """The bundle, its stamps, the selections that links name, and the SDSS where turned on."""

    bundle: Bundle
    stamps: StampStore
    cutouts: SdssCutouts | None
    selections: SelectionStore
    settings: Settings

    @property
    def first_pictures(self) -> str:
        """What pictures show first: the survey's own where it is on this machine."""
        return "original" if self.settings.survey else "reconstruction"

    @cached_property
    def colourings(self) -> KeptColourings:
        """Colourings that labels taught, for the map's tiles in every process."""
        folder = self.selections.folder.with_name("colourings")
        return KeptColourings(folder, self.bundle.hash, len(self.bundle))

    def colours(self, state: ExplorerState) -> Colouring:
        """How the map of a visitor is coloured."""
        if state.colour_by in state.learnt:
            return self.colourings.get(state.colour_by)[0]
        return map_colouring(self.bundle, state.clustering, state.colour_by)


PROJECTS: list[Path] = []
"""Folders beside the working one where the path of a bundle or survey may begin: app.py's."""


def found(path: str) -> Path:
    """Where a path of the settings leads: from the working folder, else from app.py's."""
    places = [Path(path), *(project / path for project in PROJECTS)]
    return next((place for place in places if place.exists()), places[0])


@cache
def app_context() -> AppContext:
    """The context of this process, from the settings. Errors are not remembered.

    Raises BundleError, SurveyError or SettingError with the cure.
    """
    return make_context(read_settings())


def make_context(settings: Settings) -> AppContext:
    """Load the bundle and start decoding in the background."""
    bundle = load_bundle(found(settings.bundle))
    folder = Path(settings.cache) if settings.cache else cache_folder()
    sources: list[Originals] = []
    if settings.survey:
        from galaxy_explorer.survey.store import Survey

        survey = Survey.open(found(settings.survey))
        check_survey(bundle, survey)
        sources.append(survey_originals(bundle, survey))
    cutouts = sdss_cutouts(bundle, folder, settings) if settings.sdss_cutouts else None
    if cutouts is not None:
        sources.append(cutouts)
    try:
        stamps = StampStore(bundle, folder / "stamps", first_of(sources))
    except OSError as error:
        raise SettingError(
            f"{folder}: decoded pictures cannot be kept there ({error.strerror or error}); name"
            " another folder by GALAXY_EXPLORER_CACHE"
        ) from error
    stamps.start_filling()
    # Links name selections: they stay where labels stay, not in a cache that may be emptied.
    try:
        kept = log_path(settings.labels).with_name("selections")
    except LabelError:
        kept = folder / "selections"
    selections = SelectionStore(kept, bundle.hash, len(bundle), settings.kept_selections)
    return AppContext(bundle, stamps, cutouts, selections, settings)


def sdss_cutouts(bundle: Bundle, folder: Path, settings: Settings) -> SdssCutouts:
    """Pictures from the SDSS at the positions of a bundle, cut as its stamps are."""
    survey = bundle.manifest.survey
    usual = float(survey.pixel_scale_arcsec or DEFAULT_SCALE_ARCSEC)
    scales = np.full(len(bundle), usual)
    if SCALE_COLUMN in bundle.column_names:
        own = np.asarray(bundle.column(SCALE_COLUMN), np.float64)
        scales = np.where(np.isfinite(own) & (own > 0), own, usual)
    return SdssCutouts(
        ra=bundle.column("ra"),
        dec=bundle.column("dec"),
        scales=scales,
        side=survey.stamp_size,
        folder=folder / "sdss",
        timeout=settings.cutout_timeout,
        usual_scale=usual,
        colour=has_colour(survey.channels),
    )
