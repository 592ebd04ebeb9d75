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
    """Whether a model of the bundle has a codebook and one code map a galaxy."""
    models = context.bundle.models.values()
    return any(AUTOENCODERS[model.kind].has_codebook for model in models)


def has_psf_model(context: AppContext) -> bool:
    """Whether a model of the bundle has the PSF layer."""
    return psf_model_name(context.bundle) is not None


def has_merger_tree(context: AppContext) -> bool:
    """Whether the bundle was evaluated with a tree of its galaxies.

    Bundles that were made of evaluated ones kept the tree of the galaxies there.
    """
    bundle = context.bundle
    trees = () if bundle.evaluation is None else bundle.evaluation.trees
    own = bundle.manifest.excerpt is None and all(len(one.leaf) == len(bundle) for one in trees)
    return own and bool(trees)


def warm_emulator(context: AppContext) -> None:
    """Draw what the Generate page shows first."""
    from galaxy_explorer.explorer.pages.emulator.source import emulator_source

    emulator_source(context).warm()


def has_prior(context: AppContext) -> bool:
    """Whether there is a prior to draw galaxies with."""
    return bool(context.bundle.priors)


def has_several_models(context: AppContext) -> bool:
    """Whether there are models to compare."""
    return len(context.bundle.models) > 1


def has_evaluation(context: AppContext) -> bool:
    """Whether the bundle has been evaluated."""
    return context.bundle.evaluation is not None


def has_claims(context: AppContext) -> bool:
    """Whether anything was measured for a claim: a bundle of one model cannot judge a trend."""
    evaluation = context.bundle.evaluation
    claims = () if evaluation is None else evaluation.claims
    return any(figure.n for claim in claims for figure in claim.figures)


@dataclass(frozen=True)
class PageEntry:
    """One page: its title, its class `name(state, context)` in `pages/<module>.py`.

    behind: whether it is in the menu "Behind the map". offered: for which bundles it is there.
    warm: gets ready what its first visitor would wait for.
    """

    title: str
    module: str
    name: str
    behind: bool = True
    offered: Callable[[AppContext], bool] = always
    warm: Callable[[AppContext], None] | None = None

    def make(self, state: ExplorerState, context: AppContext) -> Any:
        """The page for one visitor; its module is imported when it is first opened."""
        module = import_module(f"galaxy_explorer.explorer.pages.{self.module}")
        return getattr(module, self.name)(state, context)


PAGES: dict[str, PageEntry] = {
    "atlas": PageEntry("Map", "atlas", "AtlasPage", behind=False),
    "labels": PageEntry("Label", "labels.page", "LabelsPage", behind=False),
    "emulator": PageEntry(
        "Generate", "emulator.page", "EmulatorPage", behind=False, offered=has_prior,
        warm=warm_emulator,
    ),
    "my_galaxy": PageEntry("My galaxy", "my_galaxy.page", "MyGalaxyPage", behind=False),
    "codebooks": PageEntry(
        "Codebooks", "codebooks.page", "CodebooksPage", offered=has_several_models
    ),
    "vocabulary": PageEntry("Vocabulary", "vocabulary", "VocabularyPage", offered=has_code_maps),
    "deconvolution": PageEntry(
        "Deconvolution", "deconvolution", "DeconvolutionPage", offered=has_psf_model
    ),
    "merger": PageEntry(
        "Merger tree", "merger_tree", "MergerTreePage", offered=has_merger_tree
    ),
    "scoreboard": PageEntry("Scoreboard", "scoreboard", "ScoreboardPage", offered=has_evaluation),
    "claims": PageEntry("Claims", "claims", "ClaimsPage", offered=has_claims),
}  # fmt: skip
"""Name in the address (?page=name) and entry of each page; the first is the landing page."""

FORMER = {
    "find": ("atlas", {"tab": "selection", "drawer": "open"}),
    "clusters": ("atlas", {"clusters": "list"}),
    "trend": ("atlas", {"clusters": "list"}),
}
"""Names of before, in links that people keep: the page and the words that they mean now."""


def offered_pages(context: AppContext) -> dict[str, PageEntry]:
    """The pages that this bundle has something for."""
    return {name: page for name, page in PAGES.items() if page.offered(context)}


@cache
def warm_pages(context: AppContext) -> None:
    """Start, once a process and in the background, what would make a page's first visitor wait."""
    for page in offered_pages(context).values():
        if page.warm is not None:
            page.warm(context)
