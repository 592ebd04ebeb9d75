"""The landing page: the map of all galaxies, and beside it what is selected."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui

from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.context import AppContext
from galaxy_explorer.explorer.plots.colouring import Colouring, legend, map_colouring
from galaxy_explorer.explorer.plots.galaxy_map import GalaxyMap
from galaxy_explorer.explorer.plots.ttype_histogram import t_histogram, update_t_histogram
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.urls import one_url, tile_url
from galaxy_explorer.explorer.widgets.components import HtmlPane
from galaxy_explorer.explorer.widgets.controls import (
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


class AtlasPage(pn.viewable.Viewer):
    """Map and side panel; both read and set the state's selection."""

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context, self.stamps = state, context, context.stamps
        bundle = state.bundle
        self.map = GalaxyMap(bundle.column("galaxy_id"), bundle.column("ttype"))
        self.histogram = t_histogram(*self._counts(), height=170)
        self._place()
        self._pictures()
        self._selected()
        state.param.watch(lambda _: self._place(), "clustering")
        state.param.watch(lambda _: self._colour(), "colour_by")
        state.param.watch(lambda _: self._selected(), "selection")
        state.param.watch(lambda _: self._pictures(), "pictures")
        state.display.param.watch(lambda _: self._pictures(), list(state.display.param.values()))
        self.map.source.selected.on_change("indices", self._on_map)
        remark = HtmlPane(
            pn.bind(self._format_picture, self.state.param.pictures),
            styles={"font-size": "12.5px", "opacity": "0.85"},
            margin=(2, 10),
        )
        switch = [picture_source(self.state)] if self.stamps.originals is not None else []
        picture_controls = [*switch, remark, display_controls(self.state)]
        side = pn.Column(
            self._introduction(),
            clustering_select(self.state),
            colour_select(self.state),
            HtmlPane(
                pn.bind(self._legend, self.state.param.colour_by, self.state.param.clustering),
                sizing_mode="stretch_width",
                margin=(0, 10),
            ),
            *picture_controls,
            pmui.Divider(sizing_mode="stretch_width"),
            self._selection_line(),
            pn.pane.Bokeh(self.histogram, sizing_mode="stretch_width", margin=(0, 5)),
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

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _on_map(self, _attribute: str, _old: list[int], new: list[int]) -> None:
        label = "chosen on the map"
        if len(new) == 1:
            label = str(self.state.bundle.column("galaxy_id")[new[0]])
        if not np.array_equal(np.unique(new), self.state.selection):
            self.state.select(new, label)

    def _colouring(self) -> Colouring:
        if self.state.colour_by in self.state.learnt:
            return self.context.colourings.get(self.state.colour_by)[0]
        return map_colouring(self.state.bundle, self.state.clustering, self.state.colour_by)

    def _place(self) -> None:
        bundle, key = self.state.bundle, self.state.clustering
        self.map.place(bundle.clusterings[key], self._colouring(), bundle.cluster_names(key))
        self._pictures()

    def _colour(self) -> None:
        self.map.colour(self._colouring())
        self._pictures()

    def _pictures(self) -> None:
        self.map.show(tile_url(self.state), one_url(self.state, "@row"))

    def _counts(self) -> tuple[np.ndarray, int]:
        selection = self.state.selection
        rows = selection if len(selection) else np.arange(len(self.state.bundle))
        return self.state.ttype_histogram(rows)

    def _selected(self) -> None:
        self.map.highlight(self.state.selection)
        update_t_histogram(self.histogram, *self._counts())

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
        return legend(column, self._colouring(), [one.name for one in names])

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
