"""The landing page: all galaxies on one canvas; what is chosen there is told in the drawer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.explorer.assets import asset, render
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from galaxy_explorer.explorer.plots.colouring import legend, map_colouring
from galaxy_explorer.explorer.plots.galaxy_map import GalaxyMap, cluster_centres
from galaxy_explorer.explorer.plots.gestures import Cell, Name, combined, parse_asked
from galaxy_explorer.explorer.plots.ghosts import GhostLayer
from galaxy_explorer.explorer.plots.palette import cluster_colours
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.urls import ALL, cell_url, glow_url, one_url, tile_url
from galaxy_explorer.explorer.widgets.brushes import Brushes
from galaxy_explorer.explorer.widgets.cluster_list import LIST, MULTIPLES, ClusterList
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import HtmlPane, View, when_loaded
from galaxy_explorer.explorer.widgets.controls import (
    SMALL,
    colour_select,
    display_controls,
    ghosts_off,
    keep_in_address,
    model_controls,
    picture_source,
)
from galaxy_explorer.explorer.wording import format_column, format_survey

DRAWN = ("Galaxies", "Dots")
OVER: dict[str, Any] = {
    "icon_size": "1.1em", "size": "small", "margin": 0,
    "sx": {
        "textTransform": "none", "padding": "3px 9px", "gap": "5px",
        "backgroundColor": "background.paper",
    },
}  # fmt: skip
"""Looks of the buttons over the map."""
TOP, TOP_WITH_LEGEND = 44, 112
"""Screen pixels at the top of the map for its words, and the legend of its colours."""
CLUSTERS = {"list": LIST, "histograms": MULTIPLES}
"""Words of the address for how the clusters are shown."""


class AtlasPage(View):
    """The map, and over it what it shows and the button for how it shows it."""

    named = param.Integer(default=0, doc="Counts how often the names of clusters were shown.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context, self.stamps = state, context, context.stamps
        self.map = GalaxyMap(
            map_tiles(state.bundle, state.clustering),
            lambda m: when_loaded(partial(self._on_map, m)),
        )
        self.ghosts = GhostLayer(self.map.figure)
        self._haunt()
        self._name()
        self._show()
        self._point()
        self._leave_free()
        state.param.watch(lambda *_: self._leave_free(), "colour_by")
        state.param.watch(lambda *_: self._name(), "clustering")
        state.param.watch(lambda *_: self._point(), ["clustering", "focus", "selection"])
        state.param.watch(
            lambda *_: self._show(),  # of several at once it gets as many events
            ["clustering", "colour_by", "pictures", "selection", "brushes"],
        )
        state.param.watch(lambda *_: self._haunt(), ["ghosts", "clustering"])
        state.display.param.watch(lambda *_: self._show(), list(state.display.param.values()))
        style = [asset("map.css")]
        self.view_button = pmui.Toggle(label="View", icon="tune", **OVER)
        self.view_button.param.watch(self._open_view, "value")
        self.view_panel = pn.Column(
            visible=False, css_classes=["view-panel"], stylesheets=style, scroll="y-auto", margin=0
        )
        self.clusters_button = pmui.Toggle(label="Clusters", icon="view_list", **OVER)
        self.clusters_button.param.watch(self._open_clusters, "value")
        self.clusters: ClusterList | None = None
        words = HtmlPane(
            pn.bind(self._introduction, state.param.colour_by, state.param.clustering),
            css_classes=["introduction"], stylesheets=style, margin=0,
        )  # fmt: skip
        top = pn.Row(
            self.view_button, self.clusters_button, ghosts_off(state), words,
            css_classes=["over"], stylesheets=style, margin=0,
        )  # fmt: skip
        stage = pn.Column(
            pn.pane.Bokeh(self.map.figure, sizing_mode="stretch_both", margin=0),
            top, self.view_panel, Brushes(state, context),
            sizing_mode="stretch_both", margin=0, css_classes=["stage"], stylesheets=style,
        )  # fmt: skip
        self.view = pn.Row(
            stage, sizing_mode="stretch_both", margin=0, styles={"position": "relative"}
        )
        asked = state.page_words.get("clusters")
        if asked in CLUSTERS:
            self._made_clusters().param.update(open=True, show=CLUSTERS[asked])

    def _open_clusters(self, event: param.parameterized.Event) -> None:
        """Show the clusters as a list beside the map."""
        if event.new or self.clusters is not None:
            self._made_clusters().open = event.new

    def _made_clusters(self) -> ClusterList:
        """The list, which is made when it is first asked for."""
        if self.clusters is None:
            self.clusters = clusters = ClusterList(self.state, self.context)
            clusters.param.watch(lambda *_: self._keep(clusters), ["open", "show"])
            clusters.param.watch(lambda *_: self._name(), "renamed")
            keep_in_address(self.state, clusters, {"sorted": "order"})
            self.view.insert(0, clusters)
        return self.clusters

    def _keep(self, clusters: ClusterList) -> None:
        """Have the address and the button say whether the list is open, and how."""
        shown = {kind: word for word, kind in CLUSTERS.items()}[clusters.show]
        self.state.keep_words(["clusters"], {"clusters": shown} if clusters.open else {})
        self.clusters_button.value = clusters.open

    def _open_view(self, event: param.parameterized.Event) -> None:
        """Show how the map is drawn; the choices are made when they are first asked for."""
        self.view_panel.visible = event.new
        if event.new and not len(self.view_panel):
            drawn = pmui.RadioButtonGroup(
                options=list(DRAWN), value=DRAWN[0], label="The map shows", **SMALL
            )
            drawn.param.watch(
                lambda event: self.map.show_pictures(on=event.new == DRAWN[0]), "value"
            )
            key = HtmlPane(
                pn.bind(
                    lambda column, key, _: self._legend(column, key) if column == "cluster" else "",
                    self.state.param.colour_by, self.state.param.clustering, self.param.named,
                ),
                sizing_mode="stretch_width", margin=(0, 10),
            )  # fmt: skip
            remark = HtmlPane(
                pn.bind(self._format_picture, self.state.param.pictures),
                styles={"font-size": "12.5px", "opacity": "0.85"}, margin=(2, 10),
            )  # fmt: skip
            switch = [picture_source(self.state)] if self.stamps.originals is not None else []
            self.view_panel.objects = [
                drawn, colour_select(self.state), key, *switch, remark,
                display_controls(self.state), model_controls(self.state),
            ]  # fmt: skip

    def _on_map(self, message: dict[str, Any]) -> None:
        """Open or select what a visitor pointed at or drew a line around; see `map_pointer.js`."""
        state, tiles = self.state, map_tiles(self.state.bundle, self.state.clustering)
        try:
            asked = parse_asked(message)
        except ValueError:
            return  # no page of this app sends such a thing
        if isinstance(asked, Name):
            names = shown_names(state.bundle, state.clustering)
            if asked.cluster < len(names):
                state.select_cluster(asked.cluster, names[asked.cluster].name)
            return
        if isinstance(asked, Cell):
            row = tiles.shown(asked.side, asked.column, asked.line, self._mask())
            if row >= 0 and not asked.add:
                state.focus = row
            if asked.add or row < 0:
                rows = np.array([row] if row >= 0 else [], np.int64)
                self._select(np.setxor1d(state.selection, rows) if asked.add else rows)
        elif asked is None:
            self._select(np.zeros(0, np.int64))
        else:
            self._select(combined(state.selection, tiles.inside(asked.outline), asked.mode))

    def _select(self, rows: NDArray[np.int64]) -> None:
        """Select rows; where none are and none were, leave the galaxy in focus."""
        if not len(rows) and not len(self.state.selection):
            self.state.focus = None
        elif not np.array_equal(rows, self.state.selection):
            one = len(rows) == 1
            name = str(self.state.bundle.column("galaxy_id")[rows[0]]) if one else ""
            self.state.select(rows, name or "drawn on the map")

    def _mask(self) -> NDArray[np.bool_] | None:
        """Which galaxies are selected, (N,); None where none is."""
        if not len(self.state.selection):
            return None
        mask = np.zeros(len(self.state.bundle), bool)
        mask[self.state.selection] = True
        return mask

    def _haunt(self) -> None:
        self.ghosts.show(self.state.ghosts, self.state.clustering)

    def _name(self) -> None:
        bundle, key = self.state.bundle, self.state.clustering
        colours = cluster_colours(bundle.clusterings[key].clusters)
        self.map.name(cluster_centres(bundle, key), shown_names(bundle, key), colours)
        self.named += 1

    def _point(self) -> None:
        """Mark the galaxy in focus, unless the selection puts another one in its place."""
        row, selected = self.state.focus, self.state.selection
        if len(selected) and row not in selected:
            row = None
        tiles = map_tiles(self.state.bundle, self.state.clustering)
        self.map.mark(None if row is None else tiles.point_of(row))

    def _show(self) -> None:
        state, selection = self.state, ALL
        if len(state.selection) or state.none_pass:
            try:
                selection = self.context.selections.put(state.selection, state.selection_label)
            except OSError as error:
                notify(f"The map cannot show the selection: {error.strerror}", warning=True)
        self.map.show(
            tiles=tile_url(state, selection),
            glow=glow_url(state, selection),
            cell=cell_url(state, selection),
            picture=one_url(state, "@row"),
        )

    def _leave_free(self) -> None:
        self.map.leave_free(TOP if self.state.colour_by == "cluster" else TOP_WITH_LEGEND)

    def _introduction(self, column: str, clustering: str) -> str:
        """What the map shows, and what its colours mean where no name on it says so."""
        bundle = self.state.bundle
        return render(
            "pages.introduction",
            sample=f"{len(bundle):,} galaxies of {format_survey(bundle.manifest)}",
            colour=self.state.learnt.get(column) or format_column(column),
            legend="" if column == "cluster" else self._legend(column, clustering),
        )  # fmt: skip

    def _legend(self, column: str, clustering: str) -> str:
        names = shown_names(self.state.bundle, clustering)
        if column in self.state.learnt:
            colours = self.context.colourings.get(column)[0]
        else:
            colours = map_colouring(self.state.bundle, clustering, column)
        return legend(column, colours, [one.name for one in names])

    def _format_picture(self, pictures: str) -> str:
        if pictures == "original" and self.stamps.originals is not None:
            return "Pictures are the original stamps, as the model saw them."
        return "Pictures are reconstructions: drawn by the model from its codes, not survey pixels."
