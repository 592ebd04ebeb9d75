"""A link that reopens what a visitor sees: page, model, selection, display, galaxy.

Everything is in the query of the address; what it says is checked before it is used, and what is
wrong is left out and said in a sentence. A selection of thousands of galaxies is named by its hash:
it is kept on disk in a file of one line of JSON (bundle, count, words) and a bit for each galaxy,
compressed. The file's name is the hash of its content, so nothing but what was kept can be read
back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import numpy as np
import param
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.errors import BadQuery, SettingError
from galaxy_explorer.explorer.brushing import format_brushes, parse_brushes
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.state import PICTURES
from galaxy_explorer.utils.files import HashedFiles

if TYPE_CHECKING:
    from galaxy_explorer.explorer.state import ExplorerState


DIGEST = re.compile(r"[0-9a-f]{24}")
MAX_WORDS = 200


class SelectionStore:
    """Selections of the galaxies of one bundle; the `kept` most recently used ones stay."""

    def __init__(self, folder: Path, bundle_hash: str, n_galaxies: int, kept: int) -> None:
        about = {"bundle": bundle_hash, "n": n_galaxies}
        self.folder = folder
        self._n, self._files = n_galaxies, HashedFiles(folder, DIGEST, about, kept)

    def put(self, rows: ArrayLike, words: str) -> str:
        """Keep rows of the catalogue and their description; returns the hash to ask for."""
        mask = np.zeros(self._n, bool)
        mask[np.asarray(rows, np.int64)] = True
        return self._files.put("", {"words": words[:MAX_WORDS]}, np.packbits(mask).tobytes())

    def get(self, digest: str) -> tuple[NDArray[np.int64], str]:
        """Rows and description of a selection. Raises KeyError where it is not, or not whole."""
        header, bits = self._files.get(digest, -(-self._n // 8))
        mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=self._n)
        return np.flatnonzero(mask), str(header["words"])


MAX_LINK = 2000
"""Characters of a query: some programs cut longer addresses off."""
MAX_BRUSHES = 800
"""Characters of brushes in it; of longer ones a link names the galaxies."""
BUNDLE_DIGITS = 12
CHOICES = {
    "model": "clustering",
    "compare": "compare",
    "colour": "colour_by",
    "queue": "label_queue",
    "way": "label_way",
    "tab": "tab",
    "drawer": "drawer",
}
"""Words of the address and the parameters of the state that they set."""

KNOWN = ("page", "bundle", "selection", "brush", "galaxy", "display", "pictures", "view", *CHOICES)
"""All that is read here; other words are those of the pages (see `ExplorerState.page_words`)."""
MOST_WORDS = 48
FORMER = {"colour": {"cluster_ttype": "ttype"}}
"""What links of before call otherwise."""


def link_query(state: ExplorerState, page: str, selections: SelectionStore | None) -> str:
    """The query of the address that reopens the state; at most MAX_LINK characters.

    Keeps the selection, if there is one and a store for it; raises OSError where that is full.
    Parts that would make the link too long are left out, the least important first. The browser
    adds what it alone knows: centre and zoom of the map.
    """
    parts = {"page": page, "bundle": state.bundle.hash[:BUNDLE_DIGITS], "model": state.clustering}
    brushes, rows, words = format_brushes(state.brushes), state.base, state.base_label
    if len(quote_plus(brushes)) > MAX_BRUSHES:
        brushes, rows, words = "", state.selection, state.selection_label
    if selections is not None and len(rows):
        parts["selection"] = selections.put(rows, words)
    if brushes:
        parts["brush"] = brushes
    if state.focus is not None:
        parts["galaxy"] = str(state.bundle.column("galaxy_id")[state.focus])
    if (state.focus is None) != (state.tab == "selection"):
        parts["tab"] = state.tab
    if state.drawer == "closed":
        parts["drawer"] = state.drawer
    parts |= {"display": state.display.token(), "pictures": state.pictures}
    if page == "labels":
        parts |= {"queue": state.label_queue, "way": state.label_way}
    parts |= {"colour": state.colour_by, "compare": state.compare}
    parts |= {word: text for word, text in state.page_words.items() if word not in KNOWN}
    while len(urlencode(parts)) > MAX_LINK:
        parts.popitem()
    return urlencode(parts)


def restore(
    state: ExplorerState, asked: Mapping[str, str], selections: SelectionStore
) -> list[str]:
    """Bring the state to what an address asks for; returns what could not be had, in sentences."""
    steps: dict[str, Callable[[str], str | None]] = {
        "bundle": lambda text: check_bundle(state, text),
        **{word: chooser(state, word) for word in CHOICES},
        "pictures": lambda text: choose_pictures(state, text),
        "display": lambda text: choose_display(state, text),
        "selection": lambda text: choose_selection(state, text, selections),
        "brush": lambda text: choose_brushes(state, text),
        "galaxy": lambda text: choose_focus(state, text),
    }
    # What opens the drawer comes last: a selection or a galaxy turns to its own tab.
    order = [*(word for word in steps if word not in {"tab", "drawer"}), "tab", "drawer"]
    complaints = [steps[word](asked[word]) for word in order if word in asked]
    if state.focus is None:
        state.tab = "selection"  # such as where the link's galaxy is not in this bundle
    others = [(word, text) for word, text in asked.items() if word not in KNOWN]
    state.page_words = dict(others[:MOST_WORDS])
    return [complaint for complaint in complaints if complaint]


def follow(state: ExplorerState, page: param.Parameterized, words: Mapping[str, str]) -> list[str]:
    """Take parameters of a page over from the address, and let the address follow them.

    words: what a word of the address sets. What is as it was at first is not said. Returns what
    could not be had, in sentences.
    """
    first = {word: getattr(page, name) for word, name in words.items()}
    complaints = []
    for word, name in words.items():
        text = state.page_words.get(word)
        if text is None:
            continue
        try:
            setattr(page, name, _read(page.param[name], text))
        except ValueError:
            complaints.append(f"The link asks for {word} {_short(text)}, which is not to be had.")

    def keep(*_: param.parameterized.Event) -> None:
        now = {word: getattr(page, name) for word, name in words.items()}
        state.keep_words(
            words, {word: _written(one) for word, one in now.items() if one != first[word]}
        )

    page.param.watch(keep, list(words.values()))
    return complaints


NOTHING = "all"
"""What an address says for an empty choice, which filters nothing."""


def _written(value: object) -> str:
    return str(value) or NOTHING


def _read(parameter: Any, text: str) -> object:
    """A parameter's value as `_written` wrote it. Raises ValueError where it has no such value."""
    if isinstance(parameter, param.Selector):
        found = {_written(one): one for one in parameter.objects}
    elif isinstance(parameter, param.Boolean):
        found = {_written(one): one for one in (False, True)}
    else:
        return int(text)
    if text not in found:
        raise ValueError(text)
    return found[text]


def check_bundle(state: ExplorerState, text: str) -> str | None:
    """Say where a link was made with another bundle."""
    if state.bundle.hash[:BUNDLE_DIGITS] == text:
        return None
    return "The link was made with another bundle: what it names may be missing or differ here."


def chooser(state: ExplorerState, word: str) -> Callable[[str], str | None]:
    """How to choose a clustering or a column, if the bundle has it."""

    def choose(text: str) -> str | None:
        text = FORMER.get(word, {}).get(text, text)
        if text not in state.param[CHOICES[word]].objects:
            return f"The link asks for {word} {_short(text)}, which this bundle has not."
        setattr(state, CHOICES[word], text)
        return None

    return choose


def choose_pictures(state: ExplorerState, text: str) -> str | None:
    """Show reconstructions or originals."""
    if text not in PICTURES:
        return f"The link asks for pictures {_short(text)}; there are {' and '.join(PICTURES)}."
    state.pictures = text
    return None


def choose_display(state: ExplorerState, text: str) -> str | None:
    """Take over the display settings of a link."""
    try:
        wanted = DisplaySettings.from_token(text)
    except SettingError:
        return f"The link's display settings {_short(text)} are not understood."
    own = {name: value for name, value in wanted.param.values().items() if name != "name"}
    state.display.param.update(**own)
    return None


def choose_selection(state: ExplorerState, text: str, selections: SelectionStore) -> str | None:
    """Select what a link names, if it is still kept."""
    try:
        rows, words = selections.get(text)
    except KeyError:
        return f"The link's selection {_short(text)} is no longer kept here."
    state.select(rows, words)
    return None


def choose_brushes(state: ExplorerState, text: str) -> str | None:
    """Brush as a link says."""
    try:
        brushes = parse_brushes(text)
        state.brush(brushes)
    except BadQuery as error:
        return f"The link's brushes are left out: {error}."
    return None if len(brushes) else "The link's brushes are none."


def choose_focus(state: ExplorerState, text: str) -> str | None:
    """Bring a galaxy of the bundle into focus."""
    rows = np.flatnonzero(state.bundle.column("galaxy_id") == text)
    if not len(rows):
        return f"The link's galaxy {_short(text)} is not in this bundle."
    state.focus = int(rows[0])
    return None


def _short(text: str) -> str:
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"
