"""The explorer in a notebook: a map and a gallery in a cell, selection and labels as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import platformdirs
from bokeh.models import HoverTool

from galaxy_explorer.bundle import Bundle, load_bundle
from galaxy_explorer.explorer.colouring import map_colouring
from galaxy_explorer.explorer.components import Gallery
from galaxy_explorer.explorer.controls import clustering_select, display_controls, two_way
from galaxy_explorer.explorer.detail import Detail
from galaxy_explorer.explorer.label_session import label_store
from galaxy_explorer.explorer.originals import survey_originals
from galaxy_explorer.explorer.plots_map import BLANK, TOOLTIP_STYLE, GalaxyMap
from galaxy_explorer.explorer.stamps import StampStore
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.tables import galaxy_table

if TYPE_CHECKING:
    from astropy.table import Table

GALLERY_PAGE = 48
TOOLTIP = (
    f'<div style="{TOOLTIP_STYLE}"><div><b>@id</b></div><div>@t · cluster @cluster</div></div>'
)


class Explorer(pn.viewable.Viewer):
    """A bundle in a notebook cell: `Explorer("trained/sdss")`.

    bundle: a bundle or its folder. survey: folder with the original stamps, if there is one.
    height: of the map, in pixels. Read `selection` and `labels` as astropy tables; `state` holds
    everything that was chosen, and `state.select(rows, "my rows")` selects from code.

    Raises BundleError, SurveyError for folders that are none.
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
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self.state = ExplorerState(self.bundle)
        self.stamps = _stamps(self.bundle, survey)
        self.map = GalaxyMap(self.bundle.column("galaxy_id"), self.bundle.column("ttype"))
        self._place()
        self.map.show(BLANK, BLANK)
        self._hover_words()
        self.state.param.watch(self._place, ["clustering", "colour_by"])
        self.state.param.watch(self._highlight, "selection")
        self.map.source.selected.on_change("indices", self._on_map)
        self._view = self._layout(height)

    def __panel__(self) -> pn.Row:
        return self._view

    @property
    def selection(self) -> Table:
        """The selected galaxies as a table; without a selection, no rows."""
        words = self.state.selection_label or "nothing selected"
        rows, key = self.state.selection, self.state.clustering
        return galaxy_table(self.bundle, rows, clustering=key, words=words)

    @property
    def labels(self) -> Table:
        """What annotators have said of the galaxies of this bundle. Raises LabelError."""
        return label_store(self.bundle).table()

    def _hover_words(self) -> None:
        for tool in self.map.figure.select({"type": HoverTool}):
            tool.tooltips = TOOLTIP  # pictures have addresses only where a server is

    def _place(self, *_: Any) -> None:
        colouring = map_colouring(self.bundle, self.state.clustering, self.state.colour_by)
        self.map.place(self.bundle.clusterings[self.state.clustering], colouring)

    def _highlight(self, *_: Any) -> None:
        self.map.highlight(self.state.selection)

    def _on_map(self, _attribute: str, _old: list[int], new: list[int]) -> None:
        if not np.array_equal(np.unique(new), self.state.selection):
            self.state.select(new, "chosen on the map")

    def _layout(self, height: int) -> pn.Row:
        colour = two_way(
            pmui.Select(
                label="Colour by",
                options=self.state.colour_choices(),
                size="small",
                sizing_mode="stretch_width",
            ),
            self.state,
            "colour_by",
        )
        figure = pn.pane.Bokeh(self.map.figure, height=height, sizing_mode="stretch_width")
        side = pn.Column(
            clustering_select(self.state), colour, Detail(self.state, self.stamps),
            Gallery(self.state, self.stamps, page_size=GALLERY_PAGE, tile_width=56),
            display_controls(self.state), sizing_mode="stretch_width", scroll="y-auto",
            height=height,
        )  # fmt: skip
        return pn.Row(figure, side, sizing_mode="stretch_width", min_height=height)


def _stamps(bundle: Bundle, survey: str | Path | None) -> StampStore:
    originals = None
    if survey is not None:
        from galaxy_explorer.survey.store import Survey

        originals = survey_originals(bundle, Survey.open(Path(survey)))
    folder = Path(platformdirs.user_cache_dir("galaxy_explorer"))
    return StampStore(bundle, folder / "stamps", originals)
