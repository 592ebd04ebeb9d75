"""The pages of the app: what each is called, who makes it, and for which bundles it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from galaxy_explorer.bundle.deconvolution import psf_model_name
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.models.registry import AUTOENCODERS

Maker = Callable[[ExplorerState, AppContext], Any]
VIEWS = "galaxy_explorer.explorer.pages"


def always(_: AppContext) -> bool:
    """Whatever the bundle holds."""
    return True


def has_code_maps(context: AppContext) -> bool:
    """Whether a model of the bundle has a codebook."""
    models = context.bundle.models.values()
    return any(AUTOENCODERS[model.kind].maps > 0 for model in models)


def has_psf_model(context: AppContext) -> bool:
    """Whether a model of the bundle has the PSF layer."""
    return psf_model_name(context.bundle) is not None


def view(module: str, name: str) -> Maker:
    """Maker of a view `name(state, stamps)` in `pages/<module>.py`, imported when it is opened."""

    def make(state: ExplorerState, context: AppContext) -> Any:
        return getattr(import_module(f"{VIEWS}.{module}"), name)(state, context.stamps)

    return make


def wide_view(module: str, name: str) -> Maker:
    """As `view`, for a view `name(state, context)` that needs more than the stamps."""

    def make(state: ExplorerState, context: AppContext) -> Any:
        return getattr(import_module(f"{VIEWS}.{module}"), name)(state, context)

    return make


def _warm_emulator(context: AppContext) -> None:
    if context.bundle.priors:
        from galaxy_explorer.explorer.pages.emulator.source import emulator_source

        emulator_source(context).warm()


@dataclass(frozen=True)
class PageEntry:
    """One page: its title, its maker, the group it stands with, and whether it is offered."""

    title: str
    make: Maker
    group: str
    offered: Callable[[AppContext], bool] = always
    warm: Callable[[AppContext], None] | None = None  # what can be got ready before a visitor comes


PAGES: dict[str, PageEntry] = {
    "atlas": PageEntry("Atlas", view("atlas", "Atlas"), "galaxies"),
    "clusters": PageEntry("Clusters", view("clusters", "Clusters"), "galaxies"),
    "trend": PageEntry("Trend", view("trend", "Trend"), "galaxies"),
    "find": PageEntry("Find", wide_view("find", "Find"), "galaxies"),
    "my_galaxy": PageEntry("My galaxy", wide_view("my_galaxy.page", "MyGalaxy"), "galaxies"),
    "labels": PageEntry("Labels", view("labels.page", "Labelling"), "galaxies"),
    "codebooks": PageEntry("Codebooks", view("codebooks.page", "Codebooks"), "models"),
    "vocabulary": PageEntry(
        "Vocabulary", view("vocabulary.page", "Vocabulary"), "models", has_code_maps
    ),
    "deconvolution": PageEntry(
        "Deconvolution", wide_view("deconvolution.page", "Deconvolution"), "models", has_psf_model
    ),
    "emulator": PageEntry(
        "Emulator", wide_view("emulator.page", "Emulator"), "models", warm=_warm_emulator
    ),
    "scoreboard": PageEntry("Scoreboard", view("scoreboard", "Scoreboard"), "evidence"),
    "claims": PageEntry("Claims", view("claims", "Claims"), "evidence"),
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
