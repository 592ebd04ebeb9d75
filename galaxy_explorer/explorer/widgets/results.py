"""Galaxies that were found: in the order of the search, each with its figure on the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from galaxy_explorer.explorer.search import Found, find, neighbours, parse_query, rows_called
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.gallery import Gallery
from galaxy_explorer.explorer.wording import format_galaxies

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState


@dataclass(frozen=True, eq=False)
class SearchResults:
    """An ordered list of galaxies: rows (n,), how they were found, and by what they are ordered.

    columns: figures (n,) by the name that a table gives them; notes: row -> what its picture says.
    exact: False where no galaxy has the name that was asked for, and these only have it in theirs.
    """

    rows: NDArray[np.int64]
    words: str
    order: str
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)
    exact: bool = True


def look_alikes(bundle: Bundle, key: str, row: int, count: int) -> SearchResults:
    """The `count` galaxies nearest in code space to one of them, which comes first."""
    rows, far = neighbours(bundle, key, row, count)
    name = str(bundle.column("galaxy_id")[row])
    return by_distance(rows, far, f"the {len(rows) - 1} look-alikes of {name}")


def by_distance(rows: NDArray[np.int64], far: NDArray[Any], words: str) -> SearchResults:
    """Galaxies with their distances in code space, nearest first."""
    notes = {int(row): f"d {distance:.2f}" for row, distance in zip(rows, far, strict=True)}
    return SearchResults(rows, words, "most alike first", {"code_distance": far}, notes)


def next_request(state: ExplorerState) -> Callable[[], bool]:
    """Note that something is asked for; returns whether nothing else was asked for since.

    Answers are found in threads: an earlier question may be answered after a later one.
    """
    state.requests += 1
    number = state.requests
    return lambda: bool(state.requests == number)


def publish_results(state: ExplorerState, results: SearchResults) -> None:
    """Make results the selection, as soon as the page may change."""
    # Scheduled: answers are found off the document's lock, which the map's models need.
    pn.state.execute(partial(set_results, state, results), schedule=True)


def set_results(state: ExplorerState, results: SearchResults) -> None:
    """Make results the selection; one galaxy alone comes into focus if it was meant."""
    state.results = results
    state.select(results.rows, results.words)
    if len(results.rows) == 1 and results.exact:
        state.focus = int(results.rows[0])


def current_results(state: ExplorerState) -> SearchResults | None:
    """What was last found, while that is what is selected."""
    results: SearchResults | None = state.results
    if results is None or not np.array_equal(np.unique(results.rows), state.selection):
        return None
    return results


class ResultGallery(Gallery):
    """The gallery of the selection; results come in their own order and with their notes."""

    def __init__(self, state: ExplorerState, stamps: StampStore, **params: Any) -> None:
        super().__init__(state, stamps, **params)
        state.param.watch(self._start, "results")

    def ordered(self) -> NDArray[np.int64]:
        """Rows in the order of the results, or as every gallery has them."""
        results = current_results(self.state)
        return super().ordered() if results is None else results.rows

    def note(self, row: int) -> str:
        """The figure of a galaxy that was found."""
        results = current_results(self.state)
        return "" if results is None else results.notes.get(row, "")

    def format_order(self) -> str:
        """What the order of the pictures is."""
        results = current_results(self.state)
        return super().format_order() if results is None else results.order


def search(state: ExplorerState, text: str, derived: Mapping[str, NDArray[Any]]) -> Found:
    """What a question in words finds; "cluster" is that of the clustering that is shown.

    Raises BadQuery for what cannot be understood.
    """
    bundle, query = state.bundle, parse_query(text)
    clustering = bundle.clusterings[state.clustering]
    known = {"cluster": clustering.labels, "probability": clustering.responsibility, **derived}
    found = find(bundle, query, known)
    if query.name and not (len(found.rows) and found.exact):
        # No galaxy is called so: it may be the name of a class, or of clusters.
        names = {n: one.name for n, one in enumerate(shown_names(bundle, state.clustering))}
        rows, words = rows_called(bundle, query.name, names, clustering.labels)
        if len(rows):
            others = find(bundle, replace(query, name=""), known)
            kept = np.isin(others.rows, rows)
            words = " and ".join(filter(None, [words, others.words]))
            far = None if others.separation is None else others.separation[kept]
            return Found(others.rows[kept], words, far)
    return found


def as_results(found: Found) -> SearchResults:
    """What was found, with the distance from the centre of a cone on each picture."""
    if found.separation is None:
        order = "in the order of the catalogue"
        return SearchResults(found.rows, found.words, order, exact=found.exact)
    pairs = zip(found.rows.tolist(), found.separation.tolist(), strict=True)
    return SearchResults(
        found.rows,
        found.words,
        "nearest first",
        {"separation": found.separation},
        {row: f"{far:.2f}′" for row, far in pairs},
        found.exact,
    )


def format_count(found: Found) -> str:
    """How many were found, in words."""
    if not len(found.rows):
        return f"No galaxy: {found.words}"
    return f"{format_galaxies(len(found.rows))}: {found.words}"
