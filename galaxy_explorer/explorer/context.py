"""What all visitors share: the bundle and its stamps, loaded once a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.explorer.links import SelectionStore
from galaxy_explorer.explorer.pictures.display import has_colour
from galaxy_explorer.explorer.pictures.originals import (
    DEFAULT_SCALE_ARCSEC,
    SdssCutouts,
    first_of,
    survey_originals,
)
from galaxy_explorer.explorer.pictures.stamps import Originals, StampStore
from galaxy_explorer.settings import Settings, read_settings


@dataclass(frozen=True, eq=False)
class AppContext:
    """The bundle, its stamps, the selections that links name, and the SDSS where turned on."""

    bundle: Bundle
    stamps: StampStore
    cutouts: SdssCutouts | None
    selections: SelectionStore
    settings: Settings


@cache
def app_context() -> AppContext:
    """The context of this process, from the settings. Errors are not remembered.

    Raises BundleError, SurveyError or SettingError with the cure.
    """
    return make_context(read_settings())


def make_context(settings: Settings) -> AppContext:
    """Load the bundle and start decoding in the background."""
    bundle = load_bundle(settings.bundle)
    folder = Path(settings.cache or platformdirs.user_cache_dir("galaxy_explorer"))
    sources: list[Originals] = []
    if settings.survey:
        from galaxy_explorer.survey.store import Survey

        sources.append(survey_originals(bundle, Survey.open(settings.survey)))
    cutouts = sdss_cutouts(bundle, folder, settings) if settings.sdss_cutouts else None
    if cutouts is not None:
        sources.append(cutouts)
    stamps = StampStore(bundle, folder / "stamps", first_of(sources))
    stamps.start_filling()
    selections = SelectionStore(
        folder / "selections", bundle.hash, len(bundle), settings.kept_selections
    )
    return AppContext(bundle, stamps, cutouts, selections, settings)


def sdss_cutouts(bundle: Bundle, folder: Path, settings: Settings) -> SdssCutouts:
    """Pictures from the SDSS at the positions of a bundle, cut as its stamps are."""
    survey = bundle.manifest.survey
    scale = survey.pixel_scale_arcsec or DEFAULT_SCALE_ARCSEC
    return SdssCutouts(
        ra=bundle.column("ra"),
        dec=bundle.column("dec"),
        side=survey.stamp_size,
        folder=folder / "sdss",
        timeout=settings.cutout_timeout,
        scale_arcsec=float(scale),
        colour=has_colour(survey.channels),
    )
