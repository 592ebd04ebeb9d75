"""The galaxy in focus, large: original, reconstruction, residual, and what is known about it.

It can be looked up by its position elsewhere; nothing here asks those services.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import panel as pn
import panel_material_ui as pmui
from numpy.typing import NDArray

from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import encode
from galaxy_explorer.explorer.plots.clusterings import format_residual, residual_pictures
from galaxy_explorer.explorer.plots.palette import UNKNOWN_COLOUR, cluster_colours
from galaxy_explorer.explorer.widgets.components import HtmlPane
from galaxy_explorer.explorer.wording import (
    error_percentile,
    format_model,
    format_position,
    format_ttype,
)

if TYPE_CHECKING:
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState


def sky_links(ra: float, dec: float) -> dict[str, str]:
    """Name of a service -> its page for a position (degrees, ICRS); empty without a position."""
    if not (math.isfinite(ra) and math.isfinite(dec) and abs(dec) <= 90):
        return {}
    ra %= 360.0
    place = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}"}
    coordinates = f"{ra:.6f} {dec:+.6f}"
    near = {"in_csys": "Equatorial", "in_equinox": "J2000.0", "search_type": "Near Position Search"}
    ned = {**near, "lon": f"{ra:.6f}d", "lat": f"{dec:.6f}d", "radius": "0.5"}
    return {
        "SDSS": f"https://skyserver.sdss.org/dr18/VisualTools/quickobj?{urlencode(place)}",
        "Legacy Surveys": "https://www.legacysurvey.org/viewer?"
        + urlencode({**place, "layer": "ls-dr10", "zoom": 15}),
        "SIMBAD": "https://simbad.cds.unistra.fr/simbad/sim-coo?"
        + urlencode({"Coord": coordinates, "Radius": "30", "Radius.unit": "arcsec"}),
        "NED": f"https://ned.ipac.caltech.edu/cgi-bin/objsearch?{urlencode(ned)}",
    }


RESIDUAL_LIMIT = 0.1
"""End of the residual's colour scale, in stretched units (the brightest centres are near 1)."""

STYLES = """
:host { color: var(--panel-on-background-color); font-size: 13px; }
.detail { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: flex-start; }
.detail figure { margin: 0; width: 128px; }
.detail img { display: block; width: 128px; height: 128px; border-radius: 4px; }
.detail .absent {
  display: grid; place-items: center; width: 128px; height: 128px; border-radius: 4px;
  box-sizing: border-box; padding: 8px; text-align: center; font-size: 11px; opacity: 0.7;
  border: 1px dashed currentColor;
}
.detail figcaption { font-size: 11px; opacity: 0.75; margin-top: 2px; }
.detail .pictures { display: flex; gap: 8px; }
.detail dl {
  display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 0; flex: 1 1 260px;
  line-height: 1.4;
}
.detail dt { opacity: 0.7; }
.detail dd { margin: 0; overflow-wrap: anywhere; }
.detail a { color: inherit; }
.detail h3 { grid-column: 1 / -1; margin: 0 0 2px; font-size: 15px; font-weight: 600; }
.detail .dot {
  display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 5px;
}
"""


class Detail(pn.viewable.Viewer):
    """Card of the galaxy in `state.focus`; hidden while there is none."""

    def __init__(self, state: ExplorerState, stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.stamps = state, stamps
        self.card = HtmlPane(
            "",
            stylesheets=[STYLES],
            sizing_mode="stretch_width",
            margin=0,
            css_classes=["detail-card"],
        )
        close = pmui.IconButton(
            icon="close",
            size="small",
            margin=0,
            description="Close",
            on_click=lambda _: state.param.update(focus=None),
        )
        self.view = pn.Row(
            self.card, close, sizing_mode="stretch_width", visible=False, margin=(0, 0, 10, 0)
        )
        self.task = LatestTask(self.prepare, self.fill)
        state.param.watch(self.task.ask, ["focus", "clustering"])
        state.display.param.watch(self.task.ask, list(state.display.param.values()))
        self.task.ask()

    def __panel__(self) -> pn.Row:
        return self.view

    def prepare(self) -> Callable[[], str]:
        """What to draw now; it is made in a thread."""
        return partial(self._content, self.state.focus)

    def _content(self, row: int | None) -> str:
        if row is None:
            return ""
        name = str(self.state.bundle.column("galaxy_id")[row])
        shown = self._pictures(row)
        return render("detail.card", pictures=shown, name=name, facts=facts(self.state, row))

    def fill(self, content: str) -> None:
        """Show what was made."""
        self.card.object = content
        self.view.visible = bool(content)

    def _pictures(self, row: int) -> list[dict[str, str]]:
        """Original, reconstruction and residual, or why there is none."""
        rows, bundle = np.array([row]), self.state.bundle
        model = bundle.manifest.display_model
        made = f"Reconstruction ({format_model(model, bundle.models[model].config)})"
        drawn = picture_values(self.stamps.pictures(rows, self.state.display)[0], made)
        if self.stamps.originals is None:
            return [_absent("The original is not on this machine"), drawn]
        original = self.stamps.get(rows, "original")
        if np.isnan(original).all():
            return [_absent("No original at hand"), drawn]
        shown = self.stamps.pictures(rows, self.state.display, "original")[0]
        residual = residual_pictures(original - self.stamps.get(rows), RESIDUAL_LIMIT)[0]
        scale = format_residual(RESIDUAL_LIMIT, colour=self.stamps.colour)
        words = f"Residual: original − reconstruction, {scale}"
        return [picture_values(shown, "Original"), drawn, picture_values(residual, words)]


def picture_values(picture: NDArray[np.uint8], caption: str) -> dict[str, str]:
    """A picture (S, S, 3) and its caption as templates want them: data in base64."""
    return {"data": base64.b64encode(encode(picture)).decode("ascii"), "caption": caption}


def _absent(words: str) -> dict[str, str]:
    return {"data": "", "absent": words, "caption": "Original"}


def facts(state: ExplorerState, row: int) -> Html:
    """What is known about a galaxy, as HTML."""
    bundle, clustering = state.bundle, state.bundle.clusterings[state.clustering]
    error, percentile = error_percentile(bundle, bundle.manifest.display_model, row)
    cluster, source = int(clustering.labels[row]), bundle.column("source")[row]
    ttype = format_ttype(float(bundle.column("ttype")[row]))
    place = float(bundle.column("ra")[row]), float(bundle.column("dec")[row])
    services = [{"name": name, "address": url} for name, url in sky_links(*place).items()]
    name = bundle.cluster_names(state.clustering)[cluster].name
    colour = [*cluster_colours(clustering.clusters), UNKNOWN_COLOUR][cluster]  # -1: in none
    sure = f"{cluster}, {name}; probability {clustering.responsibility[row]:.3f}"
    entries = {
        "Position": format_position(*place),
        "Look up in": render("detail.links", services=services),
        "Hubble type": f"{ttype}, from {source}" if ttype != "no T" else f"not known ({source})",
        "Cluster": render("detail.cluster", colour=colour, words=sure),
        "Clustering": state.words(state.clustering),
        "Reconstruction": f"mean squared error {error:.2e} in stretched units, "
        f"larger than or equal to {percentile:.0f} % of the training galaxies",
        "Split": str(bundle.column("split")[row]),
    }
    listed = [{"name": name, "value": value} for name, value in entries.items() if value]
    return render("detail.facts", name=str(bundle.column("galaxy_id")[row]), entries=listed)
