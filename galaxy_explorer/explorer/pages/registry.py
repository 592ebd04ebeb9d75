"""The pages of the app: what each is called, who makes it, and for which bundles it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from galaxy_explorer.bundle.bundle import psf_model_name
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.models.registry import AUTOENCODERS


def always(_: AppContext) -> bool:
    """Whatever the bundle holds."""
    return True


def has_code_maps(context: AppContext) -> bool:
    """Whether a model of the bundle has a codebook."""
    models = context.bundle.models.values()
    return any(AUTOENCODERS[model.kind].maps > 0 for model in models)


def has_several_models(context: AppContext) -> bool:
    """Whether there is anything to compare."""
    return len(context.bundle.models) > 1


def has_psf_model(context: AppContext) -> bool:
    """Whether a model of the bundle has the PSF layer."""
    return psf_model_name(context.bundle) is not None


def warm_emulator(context: AppContext) -> None:
    """Draw what the Emulator page shows first, where the bundle has a prior."""
    if context.bundle.priors:
        from galaxy_explorer.explorer.pages.emulator.source import emulator_source

        emulator_source(context).warm()


@dataclass(frozen=True)
class PageEntry:
    """One page: its title, its class `name(state, context)` in `pages/<module>.py`, its group.

    offered: for which bundles it is there. warm: gets ready what its first visitor would wait for.
    """

    title: str
    module: str
    name: str
    group: str
    offered: Callable[[AppContext], bool] = always
    warm: Callable[[AppContext], None] | None = None

    def make(self, state: ExplorerState, context: AppContext) -> Any:
        """The page for one visitor; its module is imported when it is first opened."""
        module = import_module(f"galaxy_explorer.explorer.pages.{self.module}")
        return getattr(module, self.name)(state, context)


PAGES: dict[str, PageEntry] = {
    "atlas": PageEntry("Atlas", "atlas", "AtlasPage", "galaxies"),
    "clusters": PageEntry("Clusters", "clusters", "ClustersPage", "galaxies"),
    "trend": PageEntry("Trend", "trend", "TrendPage", "galaxies"),
    "find": PageEntry("Find", "find", "FindPage", "galaxies"),
    "my_galaxy": PageEntry("My galaxy", "my_galaxy", "MyGalaxyPage", "galaxies"),
    "labels": PageEntry("Labels", "labels.page", "LabelsPage", "galaxies"),
    "codebooks": PageEntry(
        "Codebooks", "codebooks.page", "CodebooksPage", "models", has_several_models
    ),
    "vocabulary": PageEntry("Vocabulary", "vocabulary", "VocabularyPage", "models", has_code_maps),
    "deconvolution": PageEntry(
        "Deconvolution", "deconvolution", "DeconvolutionPage", "models", has_psf_model
    ),
    "emulator": PageEntry(
        "Emulator", "emulator.page", "EmulatorPage", "models", warm=warm_emulator
    ),
    "scoreboard": PageEntry("Scoreboard", "scoreboard", "ScoreboardPage", "evidence"),
    "claims": PageEntry("Claims", "claims", "ClaimsPage", "evidence"),
}
"""Name in the address (?page=name) and entry of each page; the first is the landing page.

Pages of one group stand together in the navigation, in the order of this table.
"""


def offered_pages(context: AppContext) -> dict[str, PageEntry]:
    """The pages that this bundle has something for."""
    return {name: page for name, page in PAGES.items() if page.offered(context)}


@cache
def warm_pages(context: AppContext) -> None:
    """Start, once a process and in the background, what would make a page's first visitor wait."""
    for page in offered_pages(context).values():
        if page.warm is not None:
            page.warm(context)
