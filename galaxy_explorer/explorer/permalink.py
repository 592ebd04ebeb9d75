"""A link that reopens what a visitor sees: page, model, selection, display, galaxy.

Everything is in the query of the address; a selection is named by its hash (`selections`). What
an address says is checked before it is used: what is wrong is left out and said in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np

from galaxy_explorer.errors import SettingError
from galaxy_explorer.explorer.display import DisplaySettings
from galaxy_explorer.explorer.state import PICTURES

if TYPE_CHECKING:
    from galaxy_explorer.explorer.selections import SelectionStore
    from galaxy_explorer.explorer.state import ExplorerState

MAX_LINK = 2000
"""Characters of a query: some programs cut longer addresses off."""
BUNDLE_DIGITS = 12
CHOICES = {"model": "clustering", "compare": "compare", "colour": "colour_by"}
"""Words of the address and the parameters of the state that they set."""


def link_query(state: ExplorerState, page: str, selections: SelectionStore) -> str:
    """The query of the address that reopens the state; at most MAX_LINK characters.

    Keeps the selection, if there is one. Parts that would make the link too long are left out,
    the least important first.
    """
    parts = {"page": page, "bundle": state.bundle.hash[:BUNDLE_DIGITS], "model": state.clustering}
    if len(state.selection):
        parts["selection"] = selections.put(state.selection, state.selection_label)
    if state.focus is not None:
        parts["galaxy"] = str(state.bundle.column("galaxy_id")[state.focus])
    parts |= {"display": state.display.token(), "pictures": state.pictures}
    parts |= {"colour": state.colour_by, "compare": state.compare}
    while len(urlencode(parts)) > MAX_LINK:
        parts.popitem()
    return urlencode(parts)


def restore(
    state: ExplorerState, asked: Mapping[str, str], selections: SelectionStore
) -> list[str]:
    """Bring the state to what an address asks for; returns what could not be had, in sentences."""
    steps: dict[str, Callable[[str], str | None]] = {
        "bundle": lambda text: _check_bundle(state, text),
        **{word: _chooser(state, word) for word in CHOICES},
        "pictures": lambda text: _choose_pictures(state, text),
        "display": lambda text: _choose_display(state, text),
        "selection": lambda text: _select(state, text, selections),
        "galaxy": lambda text: _focus(state, text),
    }
    complaints = [step(asked[word]) for word, step in steps.items() if word in asked]
    return [complaint for complaint in complaints if complaint]


def _check_bundle(state: ExplorerState, text: str) -> str | None:
    if state.bundle.hash[:BUNDLE_DIGITS] == text:
        return None
    return "The link was made with another bundle: what it names may be missing or differ here."


def _chooser(state: ExplorerState, word: str) -> Callable[[str], str | None]:
    def choose(text: str) -> str | None:
        if text not in state.param[CHOICES[word]].objects:
            return f"The link asks for {word} {_short(text)}, which this bundle has not."
        setattr(state, CHOICES[word], text)
        return None

    return choose


def _choose_pictures(state: ExplorerState, text: str) -> str | None:
    if text not in PICTURES:
        return f"The link asks for pictures {_short(text)}; there are {' and '.join(PICTURES)}."
    state.pictures = text
    return None


def _choose_display(state: ExplorerState, text: str) -> str | None:
    try:
        wanted = DisplaySettings.from_token(text)
    except SettingError:
        return f"The link's display settings {_short(text)} are not understood."
    own = {name: value for name, value in wanted.param.values().items() if name != "name"}
    state.display.param.update(**own)
    return None


def _select(state: ExplorerState, text: str, selections: SelectionStore) -> str | None:
    try:
        rows, words = selections.get(text)
    except KeyError:
        return f"The link's selection {_short(text)} is no longer kept here."
    state.select(rows, words)
    return None


def _focus(state: ExplorerState, text: str) -> str | None:
    rows = np.flatnonzero(state.bundle.column("galaxy_id") == text)
    if not len(rows):
        return f"The link's galaxy {_short(text)} is not in this bundle."
    state.focus = int(rows[0])
    return None


def _short(text: str) -> str:
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"
