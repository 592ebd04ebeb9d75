"""The Vocabulary page: every code of a codebook, what it looks like and where it appears.

What is shown of a codebook is computed once a process for each model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import colorcet
import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.clustering.codebook_use import (
    ORDERS,
    CodeUse,
    code_order,
    code_use,
    constant_maps,
    heaviest_users,
    marked,
    sample_rows,
    similarity_order,
    surroundings,
)
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    encode,
    encode_sheet,
    limits,
    render_stamps,
)
from galaxy_explorer.explorer.plots.figures import t_histogram
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR, type_colour
from galaxy_explorer.explorer.plots.ttype_histogram import format_number
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import (
    CodeMap,
    HtmlPane,
    TileSheet,
    View,
    galaxy_tiles,
)
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, SOURCE_WORDS, keep_in_address
from galaxy_explorer.explorer.widgets.figures import FigurePane
from galaxy_explorer.explorer.wording import format_model, format_ttype
from galaxy_explorer.models.registry import AUTOENCODERS

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState


KEPT = 16
"""Codebooks kept ready: pictures of 512 codes are 1 MB (surroundings) or 8 MB (decoded).

In colour three times as much.
"""
WORDS = {"vocabulary": "model", "codes": "order", "drawn": "drawn", "code": "code"}
"""Of the address, and the parameters of the page that they set."""
DRAWN = {"Where it occurs": "surroundings", "Decoded, alone": "constant"}


def coded_models(bundle: Bundle) -> list[str]:
    """Models that have a codebook and one code map a galaxy."""
    return [name for name, model in bundle.models.items() if AUTOENCODERS[model.kind].has_codebook]


@dataclass(frozen=True, eq=False)
class Codebook:
    """A codebook in use: vectors (K, D), an order in which neighbours are alike, and colours.

    colours: #rrggbb of each code along that order, so that similar codes look similar.
    """

    vectors: NDArray[np.float32]
    use: CodeUse
    similar: NDArray[np.int64]
    colours: list[str]


def codebook_of(bundle: Bundle, model: str) -> Codebook:
    """The codebook of a model and its use in the whole bundle; loads the model, a second or two."""
    with _LOCK:  # three drawings ask at once: one computes, the others take what it made
        return _codebook(bundle, model)


_LOCK = threading.Lock()


@lru_cache(KEPT)
def _codebook(bundle: Bundle, model: str) -> Codebook:
    autoencoder: Any = bundle.load_model(model)
    vectors = np.asarray(autoencoder.codebooks[0].cpu().numpy(), np.float32)
    classes = np.asarray(bundle.column("ttype_class"), np.int64)
    use = code_use(bundle.codes(model), len(vectors), bundle.column("ttype"), classes)
    similar = similarity_order(vectors)
    ramp = np.array(colorcet.rainbow)
    colours = np.empty(len(vectors), ramp.dtype)
    colours[similar] = ramp[np.linspace(0, len(ramp) - 1, len(vectors)).astype(np.int64)]
    return Codebook(vectors, use, similar, colours.tolist())


@lru_cache(KEPT)
def code_pictures(stamps: StampStore, model: str, drawn: str, pictures: str) -> NDArray[np.float32]:
    """Pictures (K, P, P[, 3]) of the codes of a model in stretched units. May wait for stamps.

    drawn: "surroundings", the mean of the stamps around each place that holds the code, or
    "constant", the decoder's answer to a map of that code alone.
    """
    bundle = stamps.bundle
    config = bundle.models[model].config
    count = int(config["num_embeddings"])
    if drawn == "constant":
        return stamps.draw(model, constant_maps(count, int(config["map_size"])))
    codes = bundle.codes(model)
    rows = sample_rows(codes, count)
    return surroundings(codes[rows], stamps.get(rows, pictures), count)


N_USERS = 24
SHEET_COLUMNS = 32
FRAME = [int(SELECTION_COLOUR[i : i + 2], 16) for i in (1, 3, 5)]
CAPTIONS = {
    "surroundings": "Each picture: the mean of {pictures} around the places that hold the code;"
    " the frame is the code's own cell.",
    "constant": "Each picture: what the decoder draws from a map that holds this code everywhere.",
}


class VocabularyPage(View):
    """All codes on the left; the chosen code, its heaviest users and a code map on the right."""

    model: Any = param.Selector(doc="Model whose codebook is shown.")
    order: Any = param.Selector(default="use", objects=list(ORDERS), doc="Order of the codes.")
    drawn: Any = param.Selector(default="surroundings", objects=DRAWN, doc="What pictures show.")
    code = param.Integer(default=-1, doc="The chosen code; -1: the first of the order.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.stamps = state, context.stamps
        names = coded_models(state.bundle)
        self.param["model"].objects = names
        asked = state.bundle.clusterings[state.clustering].model
        self.model = asked if asked in names else names[0]
        self.grid = TileSheet(
            self._on_tile, sheet_columns=SHEET_COLUMNS, kind="codes", label="Codes of the codebook"
        )
        self.users = TileSheet(self.on_user, tile_width=84, kind="gallery")
        self.code_map = CodeMap(self._on_code, margin=0)
        self.heading = HtmlPane("", stylesheets=[STYLES], sizing_mode="stretch_width", margin=0)
        self.histogram = FigurePane()
        self.tasks = (
            LatestTask(self.prepare_grid, self.fill_grid),
            LatestTask(self.prepare_code, self.fill_code),
            LatestTask(self.prepare_map, self.fill_map),
        )
        codes, chosen, mapped = (task.ask for task in self.tasks)
        self.param.watch(self._change_model, "model")
        self.param.watch(codes, ["order", "drawn"])
        self.param.watch(chosen, "code")
        self.param.watch(mapped, "code")
        self.state.param.watch(mapped, "focus")
        keep_in_address(state, self, WORDS)
        for ask in (codes, chosen, mapped):
            self.state.param.watch(ask, "pictures")
            ask()
        display = self.state.display.param
        display.watch(codes, ["colour_map", "invert"])  # stretch and limits of codes are their own
        for ask in (chosen, mapped):
            display.watch(ask, list(display.values()))
        self.view = self._layout()
        self.view.param.watch(self.appear, "visible")

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        for task in self.tasks:
            task.shown = event.new

    def _change_model(self, *_: param.parameterized.Event) -> None:
        with param.parameterized.discard_events(self):
            self.code = -1
        for task in self.tasks:
            task.ask()

    def _on_tile(self, message: dict[str, Any]) -> None:
        self._choose(message.get("tile"))

    def _on_code(self, message: dict[str, Any]) -> None:
        self._choose(message.get("code"))

    def _choose(self, code: object) -> None:
        config = self.state.bundle.models[self.model].config
        if isinstance(code, int) and 0 <= code < config["num_embeddings"]:
            self.code = code

    def on_user(self, message: dict[str, Any]) -> None:
        """Bring the galaxy that was clicked into focus."""
        self.state.focus_on(message.get("tile"))

    def _chosen(self, model: str, code: int) -> tuple[Codebook, int]:
        """The codebook, and the code that is chosen: the most used one if none is yet."""
        book = codebook_of(self.state.bundle, model)
        return book, code if code >= 0 else int(book.use.places.argmax())

    def prepare_grid(self) -> Callable[[], dict[str, Any]]:
        """All codes, to be drawn in a thread."""
        return partial(self._codes, self.model, self.order, self.drawn, self.state.pictures)

    def _codes(self, model: str, order: str, drawn: str, pictures: str) -> dict[str, Any]:
        book = codebook_of(self.state.bundle, model)
        codes = code_order(book.use, book.vectors, order)
        made = code_pictures(self.stamps, model, drawn, pictures)[codes]
        source = "original stamps" if self._originals(pictures) else "the reconstructions"
        kind = "JPEG" if drawn == "constant" else "PNG"  # too few pixels for JPEG's blocks
        # Pictures of codes between common limits, faint codes lifted, in the visitor's colours.
        shown = DisplaySettings(
            stretch="asinh", percentile=99.0, shared=True, colour_map=self.state.display.colour_map,
            invert=self.state.display.invert,
        )  # fmt: skip
        rendered = render_stamps(made, shown, limits(made, shown)[0])
        return {
            "sheet": encode_sheet(rendered, SHEET_COLUMNS, kind),
            "sheet_rows": -(-len(codes) // SHEET_COLUMNS),
            "rows": [
                {"tiles": [code_values(book, int(code), at) for at, code in enumerate(codes)]}
            ],
            "framed": drawn == "surroundings",
            "tile_width": 88 if len(codes) <= 64 else 56,
            "heading": f"{answer(book.use)} {CAPTIONS[drawn].format(pictures=source)} Below: its"
            " number, its share of all places, and above them the colour of the mean T of the"
            " galaxies that hold it.",
        }

    def fill_grid(self, content: dict[str, Any]) -> None:
        """Show all codes."""
        self.grid.param.update(**content, stamp=self.tasks[0].number)

    def _originals(self, pictures: str) -> bool:
        return pictures == "original" and self.stamps.originals is not None

    def prepare_code(self) -> Callable[[], dict[str, Any]]:
        """The chosen code and its users, to be drawn in a thread."""
        return partial(self._code_content, self.model, self.code)

    def _code_content(self, model: str, code: int) -> dict[str, Any]:
        book, code = self._chosen(model, code)
        codes = self.state.bundle.codes(model)
        rows = heaviest_users(codes, code, N_USERS)
        places = codes[rows] == code
        pictures = self.stamps.pictures(rows, self.state.display, self.state.pictures)
        ttype = self.state.bundle.column("ttype")
        known = ttype[~np.isnan(ttype)]
        mean_t = float(known.mean()) if len(known) else float("nan")
        return {
            "code": code,
            "heading": code_html(book, code, len(codes), mean_t),
            "histogram": (book.use.histogram[code], int(book.use.no_t[code])),
            "users": {
                "sheet": encode_sheet(marked(pictures, places, FRAME), 12) if len(rows) else None,
                **galaxy_tiles(rows, map(self._format_user, rows, places.sum((1, 2))), 12),
                "heading": "The galaxies that hold it in the most places, framed. "
                "Click one to see its code map.",
            },
        }

    def fill_code(self, content: dict[str, Any]) -> None:
        """Show the chosen code."""
        self._show_types(*content["histogram"])
        self.heading.object = content["heading"]
        self.users.param.update(**content["users"], stamp=self.tasks[1].number)
        self.grid.chosen, self.code_map.chosen = [content["code"]], content["code"]

    def _show_types(self, counts: NDArray[np.int64], no_t: int) -> None:
        everyone = self.state.ttype_histogram(np.arange(len(self.state.bundle)))[0]
        self.histogram.object = t_histogram(counts, no_t, reference=everyone)

    def _format_user(self, row: int, places: int) -> str:
        bundle = self.state.bundle
        name, ttype = bundle.column("galaxy_id")[row], float(bundle.column("ttype")[row])
        return f"{name} · {format_ttype(ttype)} · {places} of its places"

    def prepare_map(self) -> Callable[[], dict[str, Any]]:
        """The code map of a galaxy, to be drawn in a thread."""
        return partial(self._map_content, self.model, self.code, self.state.focus)

    def _map_content(self, model: str, code: int, focus: int | None) -> dict[str, Any]:
        book, code = self._chosen(model, code)
        codes = self.state.bundle.codes(model)
        row = int(heaviest_users(codes, code, 1)[0]) if focus is None else focus
        rows = np.array([row])
        pictures = self.state.pictures
        picture = self.stamps.pictures(rows, self.state.display, pictures)[0]
        source = "original" if self._originals(pictures) else "reconstruction by the model"
        name = str(self.state.bundle.column("galaxy_id")[row])
        ttype = format_ttype(float(self.state.bundle.column("ttype")[row]))
        return {
            "picture": encode(picture),
            "codes": codes[row].ravel().tolist(),
            "colours": book.colours,
            "side": int(codes.shape[1]),
            "words": f"{name}, {source}",
            "caption": f"{name}, {ttype}: {source}. Similar codes have similar colours.",
            "chosen": code,
        }

    def fill_map(self, content: dict[str, Any]) -> None:
        """Show a code map."""
        self.code_map.param.update(**content)

    def _layout(self) -> pn.Row:
        bundle = self.state.bundle
        options = {
            format_model(name, bundle.models[name].config): name
            for name in self.param["model"].objects
        }
        model = pmui.Select.from_param(
            self.param.model, label="Codebook", options=options, size="small", description="",
            sizing_mode="stretch_width", margin=(10, 0, 4, 0),
        )  # fmt: skip
        sources = choice("Pictures", self.state.param.pictures, SOURCE_WORDS)
        sources.visible = self.stamps.originals is not None
        bar = pn.Row(
            choice("Sorted by", self.param.order), choice("Drawn", self.param.drawn, DRAWN),
            sources, margin=(4, 0), sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap", "gap": "4px 12px"},
        )  # fmt: skip
        half = {"height": PAGE_HEIGHT, "overflow": "hidden auto", "min-width": "0"}
        left = pn.Column(
            model, bar, self.grid,
            sizing_mode="stretch_width", margin=(0, 14, 0, 0), styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        # A galaxy's code map, how strongly it covers the picture, and the types of the code.
        opacity = pmui.FloatSlider(
            label="Opacity of the colours", start=0, end=1, step=0.05, value=0.35, size="small",
            margin=(4, 16), sizing_mode="stretch_width", sx={"& *": {"fontSize": "13px"}},
        )  # fmt: skip
        opacity.link(self.code_map, value="opacity")
        types = pn.Column(
            self.histogram, opacity,
            margin=0, sizing_mode="stretch_width", styles={"flex": "1 1 250px", "min-width": "0"},
        )  # fmt: skip
        mapped = pn.Column(
            self.code_map, sizing_mode="stretch_width", margin=0,
            styles={"flex": "1 1 205px", "min-width": "0", "max-height": "none"},
        )  # fmt: skip
        chosen_code = pn.Row(
            mapped, types, sizing_mode="stretch_width", margin=(8, 0),
            styles={"flex-wrap": "wrap", "gap": "8px 14px", "max-height": "none"},
        )  # fmt: skip
        right = pn.Column(
            self.heading, chosen_code, self.users,
            sizing_mode="stretch_width", styles={**half, "flex": "1 1 0"},
        )  # fmt: skip
        return pn.Row(left, right, sizing_mode="stretch_width", margin=8)


def answer(use: CodeUse) -> str:
    """How much of a codebook is used, and of which galaxies its codes are, in two sentences."""
    used, count = int((use.places > 0).sum()), len(use.places)
    most = int(np.searchsorted(np.cumsum(np.sort(use.share)[::-1]), 0.5)) + 1
    words = f"{used} of {count} codes are in use; the {most} most used fill half of all places."
    means = use.ttype_mean[np.isfinite(use.ttype_mean)]
    if len(means):
        low, high = format_number(means.min()), format_number(means.max())
        words += f" The galaxies that hold a code have mean T from {low} to {high}."
    return words


def code_values(book: Codebook, code: int, place: int) -> dict[str, Any]:
    """A code as a tile: its place in the sheet, number and share, colour of its mean T, words."""
    share, mean = 100 * book.use.share[code], float(book.use.ttype_mean[code])
    note = f"{share:.1f} %" if share >= 1 else f"{share:.2f} %"
    words = f"Code {code}: {note} of all places, in {book.use.galaxies[code]:,} galaxies"
    if not np.isnan(mean):
        words += f", mean T {format_number(mean)}"
    foot = [[str(code), True], [note, False]]
    return {
        "id": code, "place": place, "words": words, "colour": type_colour(mean), "foot": foot,
    }  # fmt: skip


def code_html(book: Codebook, code: int, n: int, mean_t: float) -> Html:
    """One code in a heading and a line of figures, as HTML. n galaxies, of mean T `mean_t`."""
    use, count = book.use, len(book.vectors)
    held, mean = int(use.galaxies[code]), float(use.ttype_mean[code])
    return render(
        "pages.code", colour=book.colours[code], title=f"Code {code} of {count}",
        share=f"{100 * use.share[code]:.2f} %", even=f"{100 / count:.2f} %",
        galaxies=f"{held:,}", part=f"{100 * held / n:.0f} %",
        mean="" if np.isnan(mean) else format_number(mean), all_mean=format_number(mean_t),
    )  # fmt: skip
