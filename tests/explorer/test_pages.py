"""Every page of the table is there, and all are made alike."""

from __future__ import annotations

import inspect
from importlib import import_module

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
