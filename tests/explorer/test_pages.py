"""Every page of the table is there, and all are made alike."""

from __future__ import annotations

import inspect
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import panel as pn

from galaxy_explorer.explorer.pages import registry
from galaxy_explorer.explorer.pages.registry import PAGES


def test_every_page_is_made_of_a_state_and_the_context():
    for entry in PAGES.values():
        page = getattr(import_module(f"{registry.__package__}.{entry.module}"), entry.name)
        assert issubclass(page, pn.viewable.Viewer)
        first, second, *_ = inspect.signature(page).parameters
        assert (first, second.lstrip("_")) == ("state", "context")


def test_the_landing_page_is_made_by_its_entry(state, context):
    page = PAGES["atlas"].make(state, context)
    assert page.state is state
    assert page.stamps is context.stamps


def test_a_page_that_has_nothing_to_show_is_not_offered(context) -> None:
    offered = set(registry.offered_pages(context))
    assert {"atlas", "labels", "my_galaxy", "codebooks", "vocabulary"} <= offered
    assert not {"deconvolution", "scoreboard", "claims"} & offered  # no PSF model, no evaluation
    one = SimpleNamespace(models=dict([*context.bundle.models.items()][:1]), priors={})
    alone = replace(context, bundle=one)
    assert not registry.has_several_models(alone)
    assert not registry.has_prior(alone)


def test_the_pages_that_everybody_needs_are_not_behind_the_map() -> None:
    assert [name for name, page in PAGES.items() if not page.behind] == [
        "atlas", "labels", "emulator", "my_galaxy",
    ]  # fmt: skip
    titles = [page.title for page in PAGES.values()]
    assert len(set(titles)) == len(titles)
