"""What one visitor has chosen. Knows no widgets: views read it, and change it by its methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import param
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from galaxy_explorer.bundle.catalogue import release_memory
from galaxy_explorer.errors import BadQuery
from galaxy_explorer.explorer.brushing import BrushSet, all_of, format_brush, mask_of, passing
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.wording import (
    format_clustering,
    format_column,
    format_features,
    format_model,
)
from galaxy_explorer.labels.groups import QUEUES, SELECTED, UNLABELLED

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

PICTURES = ("reconstruction", "original")
LABEL_WAYS = ("one", "grid")
DRAWER_TABS = ("selection", "galaxy")
DRAWER = ("auto", "open", "closed")
HIDDEN_COLUMNS = frozenset({"galaxy_id", "ttype_class", "image", "sky", "sky_sigma", "taken"})
N_T_CLASSES = 10
KEPT_CLUSTERS = 64
"""Clusters whose members are kept: 8 bytes each of them."""
LEARNT = "learnt-"
"""How the key of a colouring begins that labels taught; no column of a catalogue does."""


class Ghosts(NamedTuple):
    """Galaxies that do not exist, on the map of a clustering.

    places (n, 2): in the unit square of the map. pictures: addresses; words: of each galaxy.
    """

    clustering: str
    places: NDArray[np.float64]
    pictures: tuple[str, ...]
    words: tuple[str, ...]


class ExplorerState(param.Parameterized):
    """The choices of one visitor; `selection` is the one truth about what is selected.

    Whatever selects (a lasso, a click on a cluster, a search) calls `select`; whatever shows the
    selection reads `selection`: sorted row numbers of the bundle's catalogue. Brushes narrow it:
    `selection` holds the rows of `base`, all where that is empty, that pass all `brushes`.
    """

    clustering: Any = param.Selector(check_on_set=True, doc="Key of the clustering that is shown.")
    compare: Any = param.Selector(
        check_on_set=True, doc="Key of the clustering it is compared with."
    )
    colour_by: Any = param.Selector(
        check_on_set=True, doc="Column that colours the map; 'cluster' for clusters."
    )
    selection = param.Array(constant=True, doc="Selected rows: sorted, unique int64, read-only.")
    selection_label = param.String(constant=True, doc="The selection in words; empty if none.")
    base = param.Array(constant=True, doc="Rows that `select` was given, as `selection` has them.")
    base_label = param.String(constant=True, doc="How these were chosen, in words.")
    brushes: Any = param.ClassSelector(
        class_=BrushSet, default=BrushSet(), constant=True, instantiate=False,
        doc="What columns of the catalogue may be; see `brush`.",
    )  # fmt: skip
    results: Any = param.Parameter(
        doc="What the last search found (`SearchResults`), in its order."
    )
    requests = param.Integer(default=0, doc="Counts what was asked for; see `next_request`.")
    focus = param.Integer(default=None, allow_None=True, doc="Row of the galaxy in focus.")
    pictures: Any = param.Selector(default="reconstruction", objects=list(PICTURES))
    display: Any = param.ClassSelector(class_=DisplaySettings, constant=True)
    page = param.String(default="", doc="A page that something on another one asks for.")
    label_queue: Any = param.Selector(default=UNLABELLED, objects=list(QUEUES))
    label_way: Any = param.Selector(default="one", objects=list(LABEL_WAYS))
    label_requests = param.Integer(default=0, doc="Counts the calls of `label_these`.")
    learnt = param.Dict(default={}, doc="Colourings that labels taught: key and words of each.")
    tab: Any = param.Selector(default="selection", objects=list(DRAWER_TABS), doc="Of the drawer.")
    drawer: Any = param.Selector(
        default="auto", objects=list(DRAWER),
        doc="Whether the drawer is open; auto: beside the map on a wide screen.",
    )  # fmt: skip
    like = param.Integer(
        default=None, allow_None=True, doc="Row of the galaxy that others are generated like."
    )
    ghosts: Any = param.Parameter(doc="Synthetic galaxies to be shown on the map (`Ghosts`).")
    page_words = param.Dict(
        default={}, doc="What pages keep in the address beside the choices here."
    )

    def __init__(self, bundle: Bundle, **params: Any) -> None:
        keys = list(bundle.clusterings)
        default = bundle.manifest.default_clustering
        super().__init__(
            selection=_rows(()),
            base=_rows(()),
            display=params.pop("display", None) or DisplaySettings(),
        )
        self.bundle = bundle
        self._offer("clustering", keys, default)
        self._offer("compare", keys, next((key for key in keys if key != default), default))
        columns = colour_columns(bundle)
        # Where few galaxies have a T most of the map would be grey: clusters have names.
        typed = int((self.t_classes >= 0).sum())
        self._offer("colour_by", columns, "ttype" if 2 * typed >= len(bundle) else "cluster")
        self.param.watch(self._turn_to_galaxy, "focus", onlychanged=False)
        self.param.update(**params)

    def _turn_to_galaxy(self, event: param.parameterized.Event) -> None:
        """Whoever brings a galaxy into focus has its card opened, also once more."""
        if event.new is None:
            self.tab = "selection"
        else:
            self.param.update(tab="galaxy", drawer="open")

    def _offer(self, name: str, objects: list[str], value: str) -> None:
        self.param[name].objects = objects
        setattr(self, name, value)

    def select(self, rows: ArrayLike | Iterable[int], label: str) -> None:
        """Select rows of the catalogue; `label` says in words how. No rows: all that pass brushes.

        Raises IndexError for a row outside the catalogue.
        """
        chosen = _rows(rows)
        if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < len(self.bundle):
            raise IndexError(f"rows {chosen[0]}..{chosen[-1]} of a bundle of {len(self.bundle)}")
        self._settle(chosen, label if len(chosen) else "", self.brushes)

    def brush(self, brushes: BrushSet) -> None:
        """Narrow what is selected to the galaxies that pass all brushes.

        Raises BadQuery for a column that cannot be brushed so, or that there is not.
        """
        columns = brush_columns(self.bundle)
        if absent := [one.column for one in brushes.brushes if one.column not in columns]:
            raise BadQuery(f"brush “{absent[0][:40]}”: there is no such column to choose by")
        self._settle(self.base, self.base_label, brushes)

    @property
    def none_pass(self) -> bool:
        """Whether no galaxy passes the brushes: none is selected, and none is to stand out."""
        return not len(self.selection) and bool(len(self.brushes))

    @property
    def none_words(self) -> str:
        """Where no galaxy passes the brushes, what was asked for in words; else empty."""
        asked = _asked(self.base_label, self.brushes)
        return f"no galaxy passes: {asked}" if self.none_pass else ""

    def _settle(self, base: NDArray[np.int64], base_label: str, brushes: BrushSet) -> None:
        """Take over what is chosen; watchers hear of it once, of what has changed."""
        passed = all_of([passing(self.bundle, brush) for brush in brushes.brushes])
        rows = base
        if passed is not None:
            chosen = passed & mask_of(len(passed), base) if len(base) else passed
            rows = _rows(np.flatnonzero(chosen))
        now: dict[str, Any] = {
            "selection": rows,
            "selection_label": _asked(base_label, brushes) if len(rows) else "",
            "base": base,
            "base_label": base_label,
            "brushes": brushes,
        }
        before = {name: getattr(self, name) for name in now}
        changes = {
            name: value for name, value in now.items() if not np.array_equal(value, before[name])
        }
        if "selection" in changes:
            changes["tab"] = "selection"
        with param.edit_constant(self):
            self.param.update(**changes)

    def focus_on(self, row: object) -> None:
        """Bring the galaxy that the browser named into focus; what names none changes nothing."""
        if type(row) is int and 0 <= row < len(self.bundle):
            self.focus = row

    def select_cluster(self, cluster: int, name: str = "") -> None:
        """Select the members of a cluster of the clustering that is shown.

        name: what it is called, else the name by the rule.
        """
        name = name or self.bundle.cluster_names(self.clustering)[cluster].name
        self.select(cluster_rows(self.bundle, self.clustering, cluster), name)

    def label_these(self, way: str = "grid") -> None:
        """Open the Label page with the selection: as a grid, or one galaxy after the other."""
        self.param.update(
            label_queue=SELECTED, label_way=way, label_requests=self.label_requests + 1
        )
        self.page = "labels"

    def label_one(self, row: int) -> None:
        """Open the Label page with one galaxy; brushes that it does not pass are dropped."""
        kept = [one for one in self.brushes.brushes if passing(self.bundle, one)[row]]
        name = str(self.bundle.column("galaxy_id")[row])
        self._settle(_rows([row]), name, BrushSet(tuple(kept)))
        self.label_these("one")

    def generate_like(self, row: int) -> None:
        """Open the Generate page for galaxies like one."""
        self.like = row
        self.page = "emulator"

    def offer_colourings(self, words: dict[str, str]) -> None:
        """Offer what labels taught as colourings of the map, in place of those before.

        words: of each key "learnt-<about>-<digest>". A map coloured by an earlier one takes the
        one that is about the same, or the first column.
        """
        now = self.colour_by
        same = [key for key in words if about_of(key) == about_of(now)]
        columns = [key for key in self.param.colour_by.objects if key not in self.learnt]
        self.param.colour_by.objects = [*columns, *words]
        self.learnt = words
        if now not in self.param.colour_by.objects:
            self.colour_by = same[0] if same else columns[0]

    def clear(self) -> None:
        """Select nothing and brush nothing."""
        self._settle(_rows(()), "", BrushSet())

    @property
    def labels(self) -> NDArray[np.int16]:
        """Cluster of each galaxy in the clustering that is shown, (N,)."""
        return np.asarray(self.bundle.clusterings[self.clustering].labels)

    @property
    def t_classes(self) -> NDArray[np.int64]:
        """T class of each galaxy, (N,): 0..9 for T = -3..6, -1 unknown."""
        return t_classes(self.bundle)

    def ttype_histogram(self, rows: ArrayLike) -> tuple[NDArray[np.int64], int]:
        """Counts (10,) of T = -3..6 among `rows`, and how many have no T; they sum to len(rows)."""
        classes = self.t_classes[np.asarray(rows, np.int64)]
        known = classes[classes >= 0]
        return np.bincount(known, minlength=N_T_CLASSES), len(classes) - len(known)

    def keep_words(self, own: Iterable[str], words: Mapping[str, str]) -> None:
        """Have the address say `words` in place of what it says of `own`, all of a page."""
        others = {word: text for word, text in self.page_words.items() if word not in set(own)}
        self.page_words = {**others, **words}

    def words(self, key: str) -> str:
        """A clustering in words: "512 codes, modern, by code vectors"."""
        clustering = self.bundle.clusterings[key]
        config = self.bundle.models[clustering.model].config
        return format_clustering(clustering, config)

    def clustering_choices(self) -> dict[str, str]:
        """Words of every clustering and its key; where two have the same, with their maps."""
        keys = self.param.clustering.objects
        words = Counter(self.words(key) for key in keys)
        return {
            self.words(key) if words[self.words(key)] == 1 else self.full_words(key): key
            for key in keys
        }

    def full_words(self, key: str) -> str:
        """A clustering in words, with the size of the model's code map."""
        clustering = self.bundle.clusterings[key]
        model = format_model(clustering.model, self.bundle.models[clustering.model].config)
        return f"{model}, {format_features(clustering)}"

    def colour_choices(self) -> dict[str, str]:
        """Words of everything the map can be coloured by, and its key."""
        objects = self.param.colour_by.objects
        return {self.learnt.get(column) or format_column(column): column for column in objects}


@cache
def t_classes(bundle: Bundle) -> NDArray[np.int64]:
    """T class of each galaxy of a bundle, (N,), the same array for all visitors."""
    classes = bundle.column("ttype_class").astype(np.int64)
    classes.setflags(write=False)
    return classes


@lru_cache(KEPT_CLUSTERS)
def cluster_rows(bundle: Bundle, key: str, cluster: int) -> NDArray[np.int64]:
    """Sorted rows of the members of a cluster, the same array for all visitors."""
    rows = np.flatnonzero(bundle.clusterings[key].labels == cluster)
    rows.setflags(write=False)
    return rows


def colour_columns(bundle: Bundle) -> list[str]:
    """What can colour the map: the clusters, T and source first, then the survey's own columns.

    Left out: identifiers, the bundle's own columns (their names hold a "/"), text with a different
    value for nearly every galaxy, and columns without a single value.
    """
    return list(_colour_columns(bundle))


@cache
def _colour_columns(bundle: Bundle) -> tuple[str, ...]:
    first = [name for name in ("ttype", "source") if name in bundle.column_names]
    rest = [
        name
        for name in bundle.column_names
        if name not in first and name not in HIDDEN_COLUMNS and "/" not in name
    ]
    columns = [name for name in first + rest if can_colour(bundle.catalogue.stored(name))]
    release_memory()
    return ("cluster", *columns)


def brush_columns(bundle: Bundle) -> list[str]:
    """The columns of the catalogue that can be brushed: those that can colour the map."""
    return [name for name in _colour_columns(bundle) if name in bundle.column_names]


def about_of(key: str) -> str:
    """What a colouring that labels taught is about; empty for every other column."""
    return key.split("-")[1] if key.startswith(LEARNT) and key.count("-") == 2 else ""


def can_colour(column: pa.ChunkedArray) -> bool:
    """Whether a column can colour the map: numbers, or words that several galaxies share."""
    kind = column.type
    if pa.types.is_floating(kind):
        return bool(pc.any(pc.is_finite(column)).as_py())
    if pa.types.is_integer(kind) or (pa.types.is_boolean(kind) and not column.null_count):
        return bool(column.null_count < len(column))
    words = column.unify_dictionaries().unique()
    twice = words.null_count > 0 and "" in words.to_pylist()  # both mean that there is none
    return bool(len(words) - twice <= len(column) // 4)


def _asked(base_label: str, brushes: BrushSet) -> str:
    """What was chosen and all brushes, in words."""
    return ", ".join([base_label] * bool(base_label) + [*map(format_brush, brushes.brushes)])


def _rows(rows: ArrayLike | Iterable[int]) -> NDArray[np.int64]:
    """Rows sorted, unique and read-only; as they are where they are so already."""
    array = rows if isinstance(rows, np.ndarray) else np.asarray(list(rows), np.int64)  # type: ignore[arg-type]
    increasing = array.dtype == np.int64 and array.ndim == 1 and (array[1:] > array[:-1]).all()
    if increasing and not array.flags.writeable:
        return array
    chosen = array.copy() if increasing else np.unique(array.astype(np.int64))
    chosen.setflags(write=False)
    return chosen
