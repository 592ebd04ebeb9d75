"""The galaxy in focus, large: original, reconstruction, residual, and what is known about it.

It can be looked up by its position elsewhere; nothing here asks those services.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import psf_model_name
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import (
    PixelHistogram,
    encode,
    encode_sheet,
    pixel_histogram,
)
from galaxy_explorer.explorer.plots.clusterings import format_residual, residual_pictures
from galaxy_explorer.explorer.plots.palette import (
    UNKNOWN_COLOUR,
    category_colours,
    cluster_colours,
)
from galaxy_explorer.explorer.state import PICTURES
from galaxy_explorer.explorer.urls import one_url
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import (
    CodeMap,
    HtmlPane,
    MessageComponent,
    TileSheet,
    View,
    galaxy_tiles,
    script,
)
from galaxy_explorer.explorer.widgets.controls import display_controls
from galaxy_explorer.explorer.widgets.results import SearchResults, look_alikes, publish_results
from galaxy_explorer.explorer.widgets.stage_keys import StageKeys
from galaxy_explorer.explorer.wording import (
    caption,
    column_unit,
    describe_galaxy,
    error_percentile,
    format_column,
    format_model,
    format_position,
    format_ttype,
)
from galaxy_explorer.models.registry import AUTOENCODERS

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.clustering.naming import ClusterName
    from galaxy_explorer.explorer.context import AppContext
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
PICTURE = "picture"
"""Word of the address for the large picture."""
RESIDUAL, DECONVOLVED = "residual", "deconvolved"
N_ALIKE = 12
TOLD = frozenset(
    {
        "galaxy_id",
        "ra",
        "dec",
        "ttype",
        "ttype_class",
        "split",
        "source",
        "image",
        "sky",
        "taken",
        "sky_sigma",
        *(f"sky{part}_{band}" for part in ("", "_sigma") for band in range(4)),
    }
)
"""Columns that are told in other words, or say nothing of a galaxy."""

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
.detail h4 { margin: 12px 0 3px; font-size: 13px; font-weight: 600; }
.detail > * { flex: 1 1 100%; }
.detail .attribute { position: relative; height: 14px; margin: 2px 0;
  background: color-mix(in srgb, currentColor 10%, transparent); border-radius: 3px; }
.detail .attribute i { position: absolute; top: 4px; bottom: 4px; min-width: 1px;
  background: color-mix(in srgb, currentColor 45%, transparent); }
.pixels { margin: 4px 10px 8px; }
.pixels svg { display: block; width: 100%; height: 88px; }
.pixels polygon { fill-opacity: 0.55; }
.pixels .limit, .pixels .curve { fill: none; vector-effect: non-scaling-stroke; }
.pixels .limit { stroke: currentColor; stroke-dasharray: 3 3; }
.pixels .curve { stroke: #ffb000; stroke-width: 2; }
.pixels .ends { display: flex; justify-content: space-between; font-size: 11px; opacity: 0.75; }
.pixels figcaption { font-size: 11px; opacity: 0.75; }
.detail .attribute b { position: absolute; top: 1px; bottom: 1px; width: 3px; margin-left: -1px;
  background: #ffb000; }
"""


def picture_values(picture: NDArray[np.uint8], caption: str) -> dict[str, str]:
    """A picture (S, S, 3) and its caption as templates want them: data in base64."""
    return {"data": base64.b64encode(encode(picture)).decode("ascii"), "caption": caption}


BAND_COLOURS = ("#ff5d5d", "#54c254", "#5b8cff")
"""Of the bands that are shown red, green and blue."""
ONE_BAND = ("#8fa3b8",)
TALL = 40
"""Height of the histogram's drawing; it is 100 wide."""


def pixel_values(histogram: PixelHistogram) -> dict[str, Any]:
    """A histogram of pixels as the template wants it: outlines, lines and words."""
    first, last = histogram.edges[[0, -1]]
    places = 100 * (histogram.edges - first) / (last - first)
    heights = np.log1p(histogram.counts)
    heights = TALL * (1 - heights / max(heights.max(), 1.0))
    colours = BAND_COLOURS if len(heights) == len(BAND_COLOURS) else ONE_BAND
    bands = []
    for band, colour in zip(heights, colours, strict=True):
        outline = zip(np.repeat(places, 2)[1:-1], np.repeat(band, 2), strict=True)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
        bands.append({"points": f"0,{TALL} {points} 100,{TALL}", "colour": colour})
    low, high = histogram.limits
    darker, brighter = histogram.outside
    curve = zip(places, TALL * (1 - histogram.shown), strict=True)
    return {
        "words": f"Pixels by brightness in stretched units (logarithm of their number); limits"
        f" {low:.2f} to {high:.2f} (dashed): {100 * darker:.1f} % are darker,"
        f" {100 * brighter:.1f} % brighter;"
        " the line is the stretch, from dark to bright".replace("-", "−"),
        "bands": bands,
        "limits": [f"{100 * (end - first) / (last - first):.1f}" for end in (low, high)],
        "curve": " ".join(f"{x:.1f},{y:.1f}" for x, y in curve),
        "ends": [f"{end:.2f}".replace("-", "−") for end in (first, last)],
    }


def galaxy_card(state: ExplorerState, stamps: StampStore, row: int | None) -> str:
    """Original, reconstruction and residual of a galaxy, and what is known of it, as HTML."""
    if row is None:
        return ""
    rows, bundle = np.array([row]), state.bundle
    model = bundle.manifest.display_model
    made = f"Reconstruction ({format_model(model, bundle.models[model].config)})"
    shown = [picture_values(stamps.pictures(rows, state.display)[0], made)]
    original = None if stamps.originals is None else stamps.get(rows, "original")
    if original is None or np.isnan(original).all():
        words = "No original at hand" if stamps.originals else "The original is not on this machine"
        shown.insert(0, {"data": "", "absent": words, "caption": "Original"})
    else:
        picture = stamps.pictures(rows, state.display, "original")[0]
        residual = residual_pictures(original - stamps.get(rows), RESIDUAL_LIMIT)[0]
        scale = format_residual(RESIDUAL_LIMIT, colour=stamps.colour)
        words = f"Residual: original − reconstruction, {scale}"
        shown = [picture_values(picture, "Original"), *shown, picture_values(residual, words)]
    name = str(bundle.column("galaxy_id")[row])
    # In a notebook, where no label log is opened.
    names = bundle.cluster_names(state.clustering)
    return render("detail.card", pictures=shown, name=name, facts=facts(state, row, names))


def facts(
    state: ExplorerState, row: int, names: Sequence[ClusterName], *, named: bool = True
) -> Html:
    """What is known about a galaxy, as HTML; names: of the clusters; named: under its name."""
    bundle, clustering = state.bundle, state.bundle.clusterings[state.clustering]
    error, percentile = error_percentile(bundle, bundle.manifest.display_model, row)
    cluster, source = int(clustering.labels[row]), bundle.column("source")[row]
    ttype = format_ttype(float(bundle.column("ttype")[row]))
    place = float(bundle.column("ra")[row]), float(bundle.column("dec")[row])
    services = [{"name": name, "address": url} for name, url in sky_links(*place).items()]
    name = names[cluster].name
    colour = [*cluster_colours(clustering.clusters), UNKNOWN_COLOUR][cluster]  # -1: in none
    sure = f"{cluster}, {name}; probability {clustering.responsibility[row]:.3f}"
    entries = {
        "Position": format_position(*place),
        "Look up in": render("detail.links", services=services),
        "Hubble type": f"{ttype}, from {source}" if ttype != "no T" else f"not known ({source})",
        "Cluster": render("detail.cluster", colour=colour, words=sure),
        "Reconstruction": f"mean squared error {error:.2e} in stretched units, "
        f"larger than or equal to {percentile:.0f} % of the training galaxies",
        "Split": str(bundle.column("split")[row]),
    }
    listed = [{"name": name, "value": value} for name, value in entries.items() if value]
    name = str(bundle.column("galaxy_id")[row]) if named else ""
    return render("detail.facts", name=name, entries=listed)


class GalaxyView(MessageComponent):
    """One galaxy, large; reports {"walk": ±1}, {"kind": key} and {"do": name}."""

    galaxy = param.Dict(default={}, doc="row, name, line, place among others.")
    kinds = param.List(default=[], doc="key, title, words, address (with @row) of each.")
    first = param.String(default="reconstruction", doc="Key of the first picture.")
    actions = param.List(default=[], doc="[name, title] of each button.")

    _esm = script("galaxy.js")


class GalaxyTab(View):
    """The drawer's view of the galaxy in focus.

    walk: called with +1 or -1 for the next galaxy; place: where this one stands, in words.
    """

    def __init__(
        self, state: ExplorerState, context: AppContext, walk: Callable[[int], None],
        place: Callable[[], str], **params: Any,
    ) -> None:  # fmt: skip
        super().__init__(**params)
        self.state, self.context, self.stamps = state, context, context.stamps
        self._walk, self._place = walk, place
        actions = [["code_map", "Code map"], ["label", "Label this"]]
        if not coded_model(state):
            actions.pop(0)
        if state.bundle.priors:
            actions.append(["generate", "Generate like this"])
        self.large = GalaxyView(self.on_message, actions=actions, margin=(0, 12))
        self.facts = HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=(8, 12))
        self.alike = TileSheet(self.on_message, tile_width=62, kind="gallery")
        self.code_map = CodeMap(margin=(8, 12), visible=False)
        self.pixels = HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=0)
        self.tasks = (
            LatestTask(self.prepare_facts, self.fill_facts),
            LatestTask(self.prepare_alike, self.fill_alike),
            LatestTask(self.prepare_codes, self.fill_codes),
        )
        self.drawing = LatestTask(self.prepare_pixels, self.fill_pixels, shown=False)
        self.controls = display_controls(state, self.pixels)
        self.controls.param.watch(self._unfolded, "active")
        state.param.watch(self._focused, "focus")
        state.param.watch(self._drawn, ["clustering", "pictures"])
        state.display.param.watch(self._drawn, list(state.display.param.values()))
        select = pmui.Button(
            label="Select these look-alikes", variant="outlined", size="small", margin=(4, 0),
            on_click=self._select_alike,
        )  # fmt: skip
        self._found: SearchResults | None = None
        self.view = pn.Column(
            self.large, StageKeys(state), self.code_map, self.controls,
            pn.Column(self.alike, select, margin=(8, 12), sizing_mode="stretch_width"),
            self.facts,
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        self._drawn()
        self._focused()

    def appear(self, *, shown: bool) -> None:
        """Draw only while it can be seen."""
        for task in self.tasks:
            task.shown = shown
        self._unfolded()

    def _unfolded(self, *_: param.parameterized.Event) -> None:
        self.drawing.shown = self.tasks[0].shown and bool(self.controls.active)

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        step, kind = message.get("walk"), message.get("kind")
        if step in (1, -1):
            self._walk(step)
        elif "tile" in message:
            self.state.focus_on(message["tile"])
        elif isinstance(kind, str) and kind in {one[0] for one in self.large.kinds}:
            self.state.keep_words([PICTURE], {PICTURE: kind} if kind != self._first() else {})
            self.drawing.ask()
        elif self.state.focus is not None:
            self._act(message.get("do"), self.state.focus)

    def _act(self, asked: object, row: int) -> None:
        if asked == "label":
            self.state.label_one(row)
        elif asked == "generate":
            self.state.generate_like(row)
        elif asked == "code_map":
            self.code_map.visible = not self.code_map.visible
            self.tasks[2].ask()

    def _focused(self, *_: param.parameterized.Event) -> None:
        row = self.state.focus
        if row is None:
            return
        bundle, key = self.state.bundle, self.state.clustering
        told = describe_galaxy(bundle, key, row)
        cluster = int(told["cluster"])
        called = f"cluster {cluster}, {shown_names(bundle, key)[cluster].name}"
        line = f"{told['t']} · {called if cluster >= 0 else 'in no cluster'}"
        self.large.galaxy = {
            "row": row, "name": told["id"], "line": line, "place": self._place()
        }  # fmt: skip
        self._ask()

    def _ask(self) -> None:
        for task in (*self.tasks, self.drawing):
            task.ask()

    def _drawn(self, *_: param.parameterized.Event) -> None:
        """Which pictures there are, and their addresses in the visitor's display settings."""
        kinds = [("reconstruction", "Reconstruction", "Drawn by the model from its codes")]
        if self.stamps.originals is not None:
            scale = format_residual(RESIDUAL_LIMIT, colour=self.stamps.colour)
            kinds.insert(0, ("original", "Original", "As the survey has it"))
            kinds.append((RESIDUAL, "Residual", f"Original − reconstruction; {scale}"))
        if psf_model_name(self.state.bundle) is not None:
            kinds.append((DECONVOLVED, "Deconvolved", "The light without the PSF, by the model"))
        self.large.param.update(
            kinds=[[*kind, one_url(self.state, "@row", kind[0])] for kind in kinds],
            first=self.state.page_words.get(PICTURE, self._first()),
        )
        self._ask()

    def _first(self) -> str:
        """The picture that is large unless another one is asked for."""
        return self.state.pictures if self.stamps.originals is not None else "reconstruction"

    def prepare_facts(self) -> Callable[[], str]:
        """What is known of the galaxy."""
        return partial(self._facts, self.state.focus)

    def _facts(self, row: int | None) -> str:
        if row is None:
            return ""
        entries, attributes = catalogue_entries(self.state.bundle, row)
        names = shown_names(self.state.bundle, self.state.clustering)
        return render(
            "detail.galaxy", facts=facts(self.state, row, names, named=False), entries=entries,
            attributes=attributes,
        )  # fmt: skip

    def fill_facts(self, content: str) -> None:
        """Show what is known."""
        self.facts.object = content

    def prepare_alike(self) -> Callable[[], tuple[SearchResults, bytes] | None]:
        """The galaxies that look most like it, to be found and drawn in a thread."""
        return partial(self._look_alikes, self.state.focus, self.state.clustering)

    def _look_alikes(self, row: int | None, key: str) -> tuple[SearchResults, bytes] | None:
        if row is None:
            return None
        found = look_alikes(self.state.bundle, key, row, N_ALIKE + 1)
        pictures = self.stamps.pictures(found.rows[1:], self.state.display, self.state.pictures)
        return found, encode_sheet(pictures, N_ALIKE)

    def fill_alike(self, made: tuple[SearchResults, bytes] | None) -> None:
        """Show them."""
        if made is None:
            return
        self._found, sheet = made
        clustering = self.state.bundle.clusterings[self.state.clustering]
        rows = self._found.rows[1:].tolist()
        self.alike.param.update(
            sheet=sheet, heading="Look-alikes, nearest first", stamp=self.tasks[1].number,
            **galaxy_tiles(
                rows, [caption(self.state.bundle, clustering, row) for row in rows], N_ALIKE
            ),
            pictures_words="Look-alike:",
        )  # fmt: skip

    def _select_alike(self, _: object) -> None:
        if self._found is not None:
            publish_results(self.state, self._found)

    def prepare_pixels(self) -> Callable[[], Html]:
        """How the pixels of the large picture lie between the limits."""
        kind = self.state.page_words.get(PICTURE, "")
        stamps = kind if kind in PICTURES else self._first()
        return partial(self._pixels, self.state.focus, stamps)

    def _pixels(self, row: int | None, kind: str) -> Html:
        stamp = None if row is None else self.stamps.get(np.array([row]), kind)[0]
        if stamp is None or np.isnan(stamp).all():
            return Html()
        display = self.state.display
        between = self.stamps.common_limits(display) if display.shared else None
        return render("detail.pixels", **pixel_values(pixel_histogram(stamp, display, between)))

    def fill_pixels(self, content: Html) -> None:
        """Show the histogram."""
        self.pixels.object = content

    def prepare_codes(self) -> Callable[[], dict[str, Any]]:
        """The code map, where it is asked for."""
        return partial(self._codes, self.state.focus if self.code_map.visible else None)

    def _codes(self, row: int | None) -> dict[str, Any]:
        model = coded_model(self.state)
        if row is None or not model:
            return {}
        codes = self.state.bundle.codes(model)[row]
        count = int(self.state.bundle.models[model].config["num_embeddings"])
        picture = self.stamps.pictures(np.array([row]), self.state.display, self.state.pictures)[0]
        return {
            "picture": encode(picture), "side": len(codes), "codes": codes.ravel().tolist(),
            "colours": category_colours(count),
            "words": str(self.state.bundle.column("galaxy_id")[row]),
            "caption": "Each cell has the colour and number of its code",
        }  # fmt: skip

    def fill_codes(self, content: dict[str, Any]) -> None:
        """Show the code map."""
        self.code_map.param.update(**content)


def coded_model(state: ExplorerState) -> str:
    """The model whose code map a galaxy's card shows; empty where it has none, or two."""
    model = state.bundle.manifest.display_model
    return model if AUTOENCODERS[state.bundle.models[model].kind].maps == 1 else ""


Entries = list[dict[str, str]]


def catalogue_entries(bundle: Bundle, row: int) -> tuple[Entries, Entries]:
    """What the catalogue says of a galaxy: name and value with its unit, and attributes.

    An attribute is a number from 0 to 1 with the interval in which it lies, of columns such as
    arm_strength, arm_strength_inf and arm_strength_sup. What is not known is left out.
    """
    names = [name for name in bundle.column_names if "/" not in name and name not in TOLD]
    ends = {name: (f"{name}_inf", f"{name}_sup") for name in names if f"{name}_sup" in names}
    entries: Entries = []
    attributes: Entries = []
    for name in names:
        if any(name in pair for pair in ends.values()):
            continue
        value = bundle.catalogue.stored(name)[row].as_py()
        words = format_value(value, column_unit(name))
        if not words:
            continue
        if name in ends:
            low, high = (float(bundle.catalogue.stored(end)[row].as_py()) for end in ends[name])
            attributes.append({
                "name": format_column(name), "value": f"{float(value):.2f}",
                "left": f"{100 * low:.0f}", "width": f"{100 * max(0.0, high - low):.0f}",
                "at": f"{100 * float(value):.0f}",
            })  # fmt: skip
        else:
            entries.append({"name": format_column(name), "value": words})
    return entries, attributes


def format_value(value: object, unit: str) -> str:
    """A value of a catalogue with its unit; empty for what is not known."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int):
        text = f"{value:d}"  # an identifier may have more digits than a float
    elif math.isfinite(number := float(value)):  # type: ignore[arg-type]
        text = f"{number:.5g}"
    else:
        return ""
    return f"{text} {'' if unit == 'T' else unit}".strip().replace("-", "−")
