"""The landing page: the map of all galaxies, and beside it what is selected."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from numpy.typing import NDArray

from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.pictures.tiles import map_tiles
from galaxy_explorer.explorer.plots.colouring import legend, map_colouring
from galaxy_explorer.explorer.plots.galaxy_map import GalaxyMap, cluster_centres
from galaxy_explorer.explorer.plots.gestures import Cell, combined, parse_asked
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.urls import ALL, cell_url, glow_url, one_url, tile_url
from galaxy_explorer.explorer.widgets.components import HtmlPane
from galaxy_explorer.explorer.widgets.controls import (
    SMALL,
    clustering_select,
    colour_select,
    display_controls,
    label_these,
    picture_source,
)
from galaxy_explorer.explorer.widgets.gallery import Gallery
from galaxy_explorer.explorer.wording import format_bands

PANEL_WIDTH = "clamp(330px, 28vw, 440px)"
GALLERY_PAGE = 48
DRAWN = ("Galaxies", "Dots")


class AtlasPage(pn.viewable.Viewer):
    """Map and side panel; both read and set the state's selection."""

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context, self.stamps = state, context, context.stamps
        bundle = state.bundle
        self.selections = context.selections
        self.map = GalaxyMap(len(bundle), self._on_map)
        self.histogram = pn.Column(
            sizing_mode="stretch_width", margin=(0, 5), styles={"min-height": "170px"}
        )
        pn.state.onload(self._show_types)
        self._name()
        self._show()
        state.param.watch(lambda _: self._name(), "clustering")
        state.param.watch(lambda _: self._selected(), "selection")
        state.param.watch(lambda _: self._show(), ["clustering", "colour_by", "pictures"])
        state.display.param.watch(lambda _: self._show(), list(state.display.param.values()))
        drawn = pmui.RadioButtonGroup(
            options=list(DRAWN), value=DRAWN[0], label="The map shows", **SMALL
        )
        drawn.param.watch(lambda event: self.map.show_pictures(on=event.new == DRAWN[0]), "value")
        side = pn.Column(
            self._introduction(),
            drawn,
            clustering_select(self.state),
            colour_select(self.state),
            HtmlPane(
                pn.bind(self._legend, self.state.param.colour_by, self.state.param.clustering),
                sizing_mode="stretch_width",
                margin=(0, 10),
            ),
            *self._picture_controls(),
            pmui.Divider(sizing_mode="stretch_width"),
            self._selection_line(),
            self.histogram,
            pn.Column(
                Gallery(self.state, self.stamps, page_size=GALLERY_PAGE, tile_width=56),
                margin=(0, 10),
                sizing_mode="stretch_width",
            ),
            styles={"flex": f"0 0 {PANEL_WIDTH}"},
            sizing_mode="stretch_both",
            scroll="y-auto",
            css_classes=["side-panel"],
        )
        stage = pn.Column(
            pn.pane.Bokeh(self.map.figure, sizing_mode="stretch_both", margin=0),
            sizing_mode="stretch_both",
            margin=0,
        )
        self._layout = pn.Row(stage, side, sizing_mode="stretch_both", margin=0)

    def _picture_controls(self) -> list[pn.viewable.Viewable]:
        """Which pictures, what they are, how they are shown."""
        remark = HtmlPane(
            pn.bind(self._format_picture, self.state.param.pictures),
            styles={"font-size": "12.5px", "opacity": "0.85"},
            margin=(2, 10),
        )
        switch = [picture_source(self.state)] if self.stamps.originals is not None else []
        return [*switch, remark, display_controls(self.state)]

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _on_map(self, message: dict[str, Any]) -> None:
        """Select what a visitor pointed at or drew a line around; see `map_pointer.js`."""
        tiles = map_tiles(self.state.bundle, self.state.clustering)
        try:
            asked = parse_asked(message)
        except ValueError:
            return  # no page of this app sends such a thing
        rows = np.zeros(0, np.int64)
        if isinstance(asked, Cell):
            row = tiles.shown(asked.side, asked.column, asked.line, self._mask())
            rows = np.array([row] if row >= 0 else [], np.int64)
        elif asked is not None:
            rows = combined(self.state.selection, tiles.inside(asked.outline), asked.mode)
        label = "chosen on the map"
        if len(rows) == 1:
            label = str(self.state.bundle.column("galaxy_id")[rows[0]])
        if not np.array_equal(rows, self.state.selection):
            self.state.select(rows, label)

    def _mask(self) -> NDArray[np.bool_] | None:
        """Which galaxies are selected, (N,); None where none is."""
        if not len(self.state.selection):
            return None
        mask = np.zeros(len(self.state.bundle), bool)
        mask[self.state.selection] = True
        return mask

    def _name(self) -> None:
        key = self.state.clustering
        self.map.name(cluster_centres(self.state.bundle, key), self.state.bundle.cluster_names(key))

    def _show(self) -> None:
        state, selection = self.state, ALL
        if len(state.selection):
            try:
                selection = self.selections.put(state.selection, state.selection_label)
            except OSError as error:
                notify(f"The map cannot show the selection: {error.strerror}", warning=True)
        self.map.show(
            tiles=tile_url(state, selection),
            glow=glow_url(state, selection),
            cell=cell_url(state, selection),
            picture=one_url(state, "@row"),
        )

    def _counts(self) -> tuple[np.ndarray, int]:
        selection = self.state.selection
        rows = selection if len(selection) else np.arange(len(self.state.bundle))
        return self.state.ttype_histogram(rows)

    def _selected(self) -> None:
        self._show()
        self._show_types()

    def _show_types(self) -> None:
        """The Hubble types, once the page is there: what draws them takes a while to import."""
        from galaxy_explorer.explorer.plots.figures import t_histogram
        from galaxy_explorer.explorer.widgets.figures import FigurePane

        self.histogram[:] = [FigurePane(t_histogram(*self._counts(), height=170))]

    def _introduction(self) -> pn.viewable.Viewable:
        bundle = self.state.bundle
        survey = bundle.manifest.survey
        name = survey.name.replace("_", " ").upper()
        words = f"{len(bundle):,} {name} galaxies{format_bands(survey.band)}"
        return HtmlPane(
            render("pages.introduction", sample=words),
            styles={"font-size": "14px", "line-height": "1.45"},
            margin=(12, 10, 4, 10),
        )

    def _legend(self, column: str, clustering: str) -> str:
        names = self.state.bundle.cluster_names(clustering)
        if column in self.state.learnt:
            colours = self.context.colourings.get(column)[0]
        else:
            colours = map_colouring(self.state.bundle, clustering, column)
        return legend(column, colours, [one.name for one in names])

    def _format_picture(self, pictures: str) -> str:
        if pictures == "original" and self.stamps.originals is not None:
            return "Pictures are the original stamps, as the model saw them."
        return "Pictures are reconstructions: drawn by the model from its codes, not survey pixels."

    def _selection_line(self) -> pn.viewable.Viewable:
        words = HtmlPane(
            pn.bind(
                self._selection_html, self.state.param.selection_label, self.state.param.selection
            ),
            styles={"font-size": "14px"},
            sizing_mode="stretch_width",
            margin=(10, 10, 0, 10),
        )
        clear = pmui.Button(
            label="Clear",
            size="small",
            variant="outlined",
            disabled=pn.bind(lambda rows: not len(rows), self.state.param.selection),
        )
        clear.on_click(lambda _: self.state.clear())
        return pn.Row(words, label_these(self.state), clear, sizing_mode="stretch_width", margin=0)

    def _selection_html(self, label: str, rows: np.ndarray) -> str:
        if not len(rows):
            return "Nothing selected: all galaxies below. Lasso, box or click on the map selects."
        return render("pages.selected", count=f"{len(rows):,}", label=label)
