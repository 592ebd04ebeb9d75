"""The explorer in a notebook: a map and a gallery in a cell, selection and labels as tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
from panel.theme import Native

from galaxy_explorer.bundle.bundle import Bundle, load_bundle
from galaxy_explorer.bundle.survey_check import check_survey
from galaxy_explorer.clustering.summary import representative
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.originals import survey_originals
from galaxy_explorer.explorer.pictures.stamps import StampStore
from galaxy_explorer.explorer.plots.colouring import map_colouring
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.plots.point_map import PointMap
from galaxy_explorer.explorer.plots.print import TrendColumn
from galaxy_explorer.explorer.plots.ttype_histogram import format_mean
from galaxy_explorer.explorer.search import label_store
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.components import MessageComponent, script
from galaxy_explorer.explorer.widgets.controls import format_colour
from galaxy_explorer.explorer.widgets.detail import STYLES, galaxy_card
from galaxy_explorer.explorer.widgets.gallery import Gallery
from galaxy_explorer.labels.tables import table as label_table
from galaxy_explorer.tables import SOFTWARE, galaxy_table
from galaxy_explorer.utils.files import atomic_write_bytes, cache_folder

if TYPE_CHECKING:
    from astropy.table import Table

    from galaxy_explorer.bundle import Clustering

GALLERY_PAGE = 48
COLOURS = """
:host {
  --panel-on-background-color: var(--vscode-editor-foreground, var(--jp-ui-font-color1, #212529));
  --panel-background-color: var(--vscode-editor-background, var(--jp-layout-color0, #fff));
}
"""
"""Ink and paper of the notebook, light or dark."""


class Explorer(pn.viewable.Viewer):
    """A bundle in a notebook cell: `Explorer("trained/sdss")`.

    bundle: a bundle or its folder. survey: folder with the original stamps, if there is one.
    height: of the map, in pixels. Read `selection` and `labels` as astropy tables; `state` holds
    everything that was chosen, and `state.select(rows, "my rows")` selects from code. `figures`
    hands out figures that follow what is selected.

    Raises BundleError, SurveyError for folders that are none.

    >>> import galaxy_explorer as ge
    >>> explorer = ge.Explorer("trained/toy")
    >>> explorer.state.select([3, 1, 4], "my rows")
    >>> explorer.selection["galaxy_id"].tolist()
    ['galaxy-0001', 'galaxy-0003', 'galaxy-0004']
    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        survey: str | Path | None = None,
        *,
        height: int = 520,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        _load_scripts()
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self.state = ExplorerState(self.bundle)
        self.stamps = open_stamps(self.bundle, survey)
        self.map = PointMap(self.bundle.column("galaxy_id"), self.bundle.column("ttype"))
        self._figure = pn.pane.Bokeh(self.map.figure, height=height, sizing_mode="stretch_width")
        self._place()
        self.state.param.watch(self._place, ["clustering", "colour_by"])
        self.state.param.watch(self._highlight, "selection")
        self.map.source.selected.on_change("indices", self._on_map)
        pictures = Gallery(self.state, self.stamps, page_size=GALLERY_PAGE, tile_width=56)
        pictures.task.draw_at_once()  # what is told before the cell is shown is lost
        # What is known of the galaxy in focus; a pane would ask the network for its styles.
        card = pn.widgets.StaticText(
            stylesheets=[STYLES], sizing_mode="stretch_width", margin=(0, 10)
        )
        told = LatestTask(
            lambda: partial(galaxy_card, self.state, self.stamps, self.state.focus),
            lambda html: card.param.update(value=str(html)),
        )
        self.state.param.watch(told.ask, ["focus", "clustering"])
        self.state.display.param.watch(told.ask, list(self.state.display.param.values()))
        told.ask()
        settings = self.state.display.param
        kinds = {
            "stretch": pn.widgets.Select, "interval": pn.widgets.Select,
            "percentile": pn.widgets.FloatSlider, "colour_map": pn.widgets.Select,
            "invert": pn.widgets.Checkbox, "shared": pn.widgets.Checkbox,
        }  # fmt: skip
        controls = [kind.from_param(settings[name]) for name, kind in kinds.items()]
        if self.stamps.colour:
            controls[list(kinds).index("colour_map")].options = format_colour(self.state)
        display = pn.Card(
            *controls, title="How pictures are drawn", collapsed=True, sizing_mode="stretch_width"
        )
        side = pn.Column(
            self._choice("Model", "clustering", self.state.clustering_choices()),
            self._choice("Colour by", "colour_by", self.state.colour_choices()),
            card, pictures, display,
            sizing_mode="stretch_width", scroll="y-auto", height=height,
        )  # fmt: skip
        for part in side.select(pn.reactive.Reactive):
            part.stylesheets = [*part.stylesheets, COLOURS]
        self._view = pn.Column(
            KernelNotice(),
            pn.Row(self._figure, side, sizing_mode="stretch_width", min_height=height),
            sizing_mode="stretch_width", design=Native,
        )  # fmt: skip

    def __panel__(self) -> pn.Column:
        return self._view

    @property
    def figures(self) -> Figures:
        """Figures that follow this explorer, as HoloViews objects; see `Figures`."""
        from galaxy_explorer.explorer.plots.figures import load_into_notebook

        if _in_notebook():
            load_into_notebook()
        return Figures(self.state, self.stamps)

    @property
    def selection(self) -> Table:
        """The selected galaxies as a table; without a selection, no rows."""
        words = self.state.selection_label or "nothing selected"
        rows, key = self.state.selection, self.state.clustering
        return galaxy_table(self.bundle, rows, clustering=key, words=words)

    @property
    def labels(self) -> Table:
        """What annotators have said of the galaxies of this bundle. Raises LabelError."""
        return label_table(label_store(self.bundle))

    def _place(self, *_: Any) -> None:
        colouring = map_colouring(self.bundle, self.state.clustering, self.state.colour_by)
        key = self.state.clustering
        self.map.place(self.bundle.clusterings[key], colouring, self.bundle.cluster_names(key))
        pn.io.push_notebook(self._figure)

    def _highlight(self, *_: Any) -> None:
        self.map.highlight(self.state.selection)
        pn.io.push_notebook(self._figure)

    def _on_map(self, _attribute: str, _old: list[int], new: list[int]) -> None:
        if not np.array_equal(np.unique(new), self.state.selection):
            self.state.select(new, "chosen on the map")

    # Panel's own widgets and looks: each of the app's carries its library along, 1.4 MB a widget,
    # and a notebook keeps them all.
    def _choice(self, label: str, name: str, options: dict[str, str]) -> pn.widgets.Select:
        return pn.widgets.Select.from_param(
            self.state.param[name], label=label, options=options, sizing_mode="stretch_width"
        )


def _load_scripts() -> None:
    """Bring Panel's scripts into the notebook, if this is one, from here and not from the network.

    Every time: the page may have been loaded anew since, while the kernel went on.
    """
    if _in_notebook():
        pn.extension(inline=True)


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


class KernelNotice(MessageComponent):
    """Says that a cell is dead: where no kernel answers, or no library ties the two together."""

    _esm = script("kernel_notice.js")

    def _handle_msg(self, _: Any) -> None:
        # What a kernel hears it answers at once: a server's page loading has no part in this.
        self._send_msg({"alive": True})


class Figures:
    """The figures of an explorer as HoloViews objects: to show, to combine, to save.

    Each follows what is selected and chosen in the explorer.
    """

    def __init__(self, state: ExplorerState, stamps: StampStore) -> None:
        self._state, self._stamps = state, stamps

    def histogram(self) -> Any:
        """Hubble types of the selection; without one, of all galaxies."""
        from galaxy_explorer.explorer.plots.figures import t_histogram

        state = self._state
        everyone = state.ttype_histogram(np.arange(len(state.bundle)))

        def draw() -> Any:
            if not len(state.selection):
                return t_histogram(*everyone)
            counts, no_t = state.ttype_histogram(state.selection)
            return t_histogram(counts, no_t, reference=everyone[0])

        return self._following(draw, "selection")

    def map(self) -> Any:
        """The map as it is coloured in the explorer, the selection ringed."""
        from galaxy_explorer.explorer.plots.figures import galaxy_map

        state = self._state

        def draw() -> Any:
            colours = map_colouring(state.bundle, state.clustering, state.colour_by)
            coordinates = state.bundle.clusterings[state.clustering].coordinates
            return galaxy_map(coordinates, colours, state.selection)

        return self._following(draw, "selection", "clustering", "colour_by")

    def trend(self, clusters: Sequence[int] = (), members: int = 5) -> Any:
        """Clusters from early to late with their most typical members (report, Fig. 15).

        clusters: numbers of those to show; none: such as span the range of mean T.
        """
        from galaxy_explorer.explorer.plots.figures import trend

        state = self._state

        def draw() -> Any:
            clustering = state.bundle.clusterings[state.clustering]
            shown = clusters or representative(clustering.clusters)
            columns = []
            for cluster in (clustering.clusters[number] for number in shown):
                rows = np.array(cluster.typical[:members], np.int64)
                pictures = self._stamps.pictures(rows, state.display, state.pictures)
                title = f"cluster {cluster.id}\nn = {cluster.count:,}\nT = {format_mean(cluster)}"
                colour = type_colour(cluster.ttype_mean)
                columns.append(TrendColumn(title, np.array(cluster.histogram), colour, pictures))
            return trend(columns)

        return self._following(draw, "clustering", "pictures")

    def tradeoff(self, distinction: str = "eta2") -> Any:
        """Reconstruction against distinction ("eta2" or "ami"), one point a model."""
        from galaxy_explorer.explorer.plots import models

        words = next(w for w, name in models.DISTINCTIONS.items() if name == distinction)
        points = models.tradeoff_points(self._state.bundle)
        columns = models.tradeoff_columns(self._state.bundle, points, distinction)
        return models.tradeoff(columns, words)

    def contingency(self) -> Any:
        """Galaxies shared by the clusters of `state.clustering` (left) and `state.compare`."""
        from galaxy_explorer.explorer.plots import clusterings, figures

        return self._following(
            lambda: figures.contingency_table(*clusterings.compared(*self._sides())),
            "clustering", "compare",
        )  # fmt: skip

    def flow(self) -> Any:
        """A Sankey diagram from the clusters of `state.clustering` to those of `state.compare`."""
        from galaxy_explorer.explorer.plots import clusterings, figures

        def draw() -> Any:
            sides = self._sides()
            table, *orders = clusterings.counted(*sides)
            colours = [[type_colour(c.ttype_mean) for c in side.clusters] for side in sides]
            return figures.flow(table, orders, colours)

        return self._following(draw, "clustering", "compare")

    def save(self, figure: Any, path: str | Path, title: str = "") -> None:
        """Write a HoloViews figure as it is now: PNG at 300 dpi, SVG or PDF, by the file's ending.

        title: above it; else what is selected. Raises ValueError for another ending.
        """
        from galaxy_explorer.explorer.plots.print import PICTURES, printed

        kind = Path(path).suffix.lower().removeprefix(".")
        if kind not in PICTURES:
            raise ValueError(f"{path}: a figure is saved as one of {', '.join(PICTURES)}")
        bundle, state = self._state.bundle, self._state
        title = title or state.selection_label or bundle.name
        source = f"{SOFTWARE}, bundle {bundle.name} {bundle.hash[:12]}, {state.clustering}"
        atomic_write_bytes(Path(path), printed(lambda: figure, title, source, kind))

    def _sides(self) -> tuple[Clustering, Clustering]:
        found = self._state.bundle.clusterings
        return found[self._state.clustering], found[self._state.compare]

    def _following(self, draw: Callable[[], Any], *names: str) -> Any:
        """A figure that is drawn anew when one of these of the state changes."""
        import holoviews as hv

        stream = hv.streams.Params(self._state, list(names))
        return hv.DynamicMap(lambda **_: draw(), streams=[stream])


def open_stamps(bundle: Bundle, survey: str | Path | None) -> StampStore:
    """The stamps of a bundle, with the originals of a survey if one is given."""
    originals = None
    if survey is not None:
        from galaxy_explorer.survey.store import Survey

        opened = Survey.open(Path(survey))
        check_survey(bundle, opened)
        originals = survey_originals(bundle, opened)
    return StampStore(bundle, cache_folder() / "stamps", originals)
