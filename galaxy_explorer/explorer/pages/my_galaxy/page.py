"""My galaxy: a picture of the visitor's own, and what the models make of it. Nothing is kept."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.errors import BadQuery, GalaxyExplorerError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import LatestTask, beside
from galaxy_explorer.explorer.pages.my_galaxy.examination import (
    EXAMINATION_STYLES,
    PAGE_STYLES,
    ImageReport,
    analyse_image,
    look_alikes,
    morphology,
    pictures,
    probabilities,
    read,
    sparsity_percentile,
    verdict,
)
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    encode_sheet,
    render_stamps,
)
from galaxy_explorer.explorer.pictures.originals import example_rows, png
from galaxy_explorer.explorer.plots.clusterings import (
    place_figure,
    set_map,
)
from galaxy_explorer.explorer.plots.palette import (
    SELECTION_COLOUR,
    category_colours,
)
from galaxy_explorer.explorer.search import (
    parse_position,
)
from galaxy_explorer.explorer.widgets.cluster_names import shown_names
from galaxy_explorer.explorer.widgets.components import (
    CodeMap,
    DropZone,
    HtmlPane,
    TileSheet,
    View,
    galaxy_tiles,
)
from galaxy_explorer.explorer.widgets.controls import (
    SMALL,
    display_controls,
    folded,
    model_controls,
    whole_number,
)
from galaxy_explorer.explorer.widgets.gallery import SHEET_COLUMNS
from galaxy_explorer.explorer.widgets.results import by_distance, publish_results
from galaxy_explorer.explorer.wording import first_line, format_ttype
from galaxy_explorer.models.registry import AUTOENCODERS

if TYPE_CHECKING:
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


MEGABYTE = 1_000_000
MAX_NAME = 120
CENTRAL = (64, 8, 4096)
"""Central pixels: how many at first, at least and at most."""
FRAMES = {"The galaxy, found by itself": "auto", "The whole picture": "whole"}
PRIVACY = (
    "FITS with linear flux, or a stretched JPEG, PNG, WebP or TIFF; the galaxy in the middle."
    " The picture is worked on in memory and forgotten with this page; no file is written."
)
EXAMPLES = "Or try a galaxy that no model here has learnt from"
DRAWN = ", as the model draws it: the originals are not on this machine"
STAR = "The star: its place on the map of all galaxies."


@cache
def _reader() -> ThreadPoolExecutor:
    """The one thread that has what visitors bring read and measured, one after the other."""
    return ThreadPoolExecutor(1, "my-galaxy")


class MyGalaxyPage(View):
    """Drop zone and framing on the left; what was found on the right."""

    found = param.ClassSelector(class_=ImageReport, default=None, doc="The picture as examined.")
    frame = param.String(default="auto", doc="What is cut: auto, whole or central pixels.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        self._source: tuple[str, bytes] | None = None
        self._own = -1  # row of the example that is examined
        self.limit = context.settings.upload_megabytes * MEGABYTE
        self.zone = DropZone(
            self.on_message, words=f"Drop a galaxy here, or choose a file (at most"
            f" {context.settings.upload_megabytes} MB)", limit=self.limit, margin=(0, 10, 12, 10),
            accept=".fits,.fit,.fts,.gz,.bz2,.fz,.png,.jpg,.jpeg,.webp,.tif,.tiff",
        )  # fmt: skip
        self.message = _html("")
        self.shots, self.words, self.clusters, self.measures = (_html("") for _ in range(4))
        self.code_map = CodeMap(margin=(0, 10))
        self.place = place_figure(self._clustering.coordinates, height=230)
        self.place.scatter(
            "x", "y", source={"x": [], "y": []}, marker="star", size=18, color=SELECTION_COLOUR,
            line_color="#000000", name="mine",
        )  # fmt: skip
        self.alike = TileSheet(
            lambda message: state.focus_on(message.get("tile")), tile_width=84, kind="gallery"
        )
        self.task = LatestTask(self.prepare, self.fill)
        self.results = self._results()
        self.examples = TileSheet(self.on_example, tile_width=165, visible=False)
        frames = pmui.Select(label="What is cut", options={**FRAMES, "Central pixels": ""}, **SMALL)
        size = whole_number("Pixels", *CENTRAL)
        size.visible = False

        async def change(_: Any) -> None:
            size.visible = not frames.value
            self.frame = frames.value or str(size.value)
            await self.work()

        frames.param.watch(change, "value")
        size.param.watch(change, "value")
        self.hdu = pmui.TextInput(label="FITS extension (--hdu), if not found", **SMALL)
        self.band = pmui.TextInput(label="Band or plane (--band), if not found", **SMALL)
        for field in (self.hdu, self.band):
            field.param.watch(self.work, "value")
        forget = pmui.Button(label="Forget it", on_click=self.forget, variant="text", size="small")
        frame_part = [frames, size, self.hdu, self.band]
        left = pn.Column(
            self.zone, self.message, *self._position_part(),
            _html(render("parts.soft", words=PRIVACY)),
            folded("If it was not found right", lambda: pn.Column(*frame_part, margin=0)),
            display_controls(self.state), model_controls(self.state), forget,
            margin=0, sizing_mode="stretch_width", scroll="y-auto", css_classes=["asked"],
            stylesheets=[PAGE_STYLES],
        )  # fmt: skip
        self.view = pn.Row(
            left, self.results, self.examples, sizing_mode="stretch_width", margin=8,
            css_classes=["my-galaxy"], stylesheets=[PAGE_STYLES],
        )  # fmt: skip
        self.param.watch(self.task.ask, "found")
        self.state.param.watch(self.task.ask, ["clustering", "pictures"])
        state.display.param.watch(self.task.ask, list(state.display.param.values()))
        pn.state.onload(self.offer_examples)

    @property
    def _clustering(self) -> Any:
        return self.state.bundle.clusterings[self.state.clustering]

    async def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if "size" in message:
            name, data = str(message.get("name"))[:MAX_NAME], message.get("data")
            if not isinstance(data, bytes) or len(data) > self.limit:
                most = f"{self.limit // MEGABYTE} MB"
                self._say(f"{name}: more than {most}; cut the galaxy from it first")
            else:
                await self.take(name, data)

    async def take(self, name: str, data: bytes, own: int = -1) -> None:
        """Examine a picture, unless another one is being examined.

        What cannot be used is refused with a sentence. own: row of the galaxy in it where it is one
        of the bundle's.
        """
        if not self.zone.busy:
            self._source, self._own = (name, data), own
            await self.work()

    async def offer_examples(self) -> None:
        """Show a galaxy of each kind to try, where a type of galaxies not learnt from is known."""
        bundle, stamps = self.state.bundle, self.context.stamps
        found = example_rows(bundle)
        if not found:
            return
        rows = np.array(list(found.values()))
        shown = await asyncio.to_thread(stamps.get, rows, "original")
        drawn = stamps.originals is None or bool(np.isnan(shown).any())
        if drawn:
            shown = await asyncio.to_thread(stamps.get, rows)
        self._examples = dict(zip(rows.tolist(), shown, strict=True))
        kinds = zip(found, bundle.column("ttype")[rows].tolist(), strict=True)
        notes = [f"{kind}, {format_ttype(t)}" for kind, t in kinds]
        self.examples.param.update(
            sheet=encode_sheet(render_stamps(shown, DisplaySettings()), SHEET_COLUMNS),
            heading=f"{EXAMPLES}{DRAWN * drawn}", visible=self.found is None,
            **galaxy_tiles(rows, found, SHEET_COLUMNS, notes),
        )  # fmt: skip

    async def on_example(self, message: dict[str, Any]) -> None:
        """Examine the example that was clicked."""
        row = message.get("tile")
        if isinstance(row, int) and row in self._examples:
            picture = render_stamps(self._examples[row][None], DisplaySettings())[0]
            await self.take(str(self.state.bundle.column("galaxy_id")[row]), png(picture), row)

    @property
    def _asked(self) -> tuple[tuple[str, bytes] | None, str, tuple[str, str]]:
        """Picture, framing, HDU and band that are asked for now."""
        return self._source, self.frame, (self.hdu.value.strip(), self.band.value.strip())

    async def work(self, *_: Any) -> None:
        """Examine the picture as is asked for now, and again where that changes meanwhile."""
        if self._source is None or self.zone.busy:
            return
        self.zone.busy = True
        try:
            done = None
            while self._source is not None and done != self._asked:
                done = self._asked
                await self._examine(self._source, *done[1:])
        finally:
            self.zone.busy = False

    async def _examine(self, source: tuple[str, bytes], frame: str, asked: tuple[str, str]) -> None:
        """Examine a picture; show what was found unless it is forgotten by then."""
        name, data = source
        bundle, seconds = self.state.bundle, self.context.settings.upload_seconds
        found, words = self.found, ""
        self._say(f"Examining {name} …")
        try:
            async with asyncio.timeout(seconds):
                # What reading needs of the bundle; the other process has no use for its arrays.
                little = SimpleNamespace(name=bundle.name, manifest=bundle.manifest)
                work = partial(beside, seconds, read, little, data, name, frame, asked)
                read_and_measured = await asyncio.wrap_future(_reader().submit(work))
                found = await asyncio.wrap_future(
                    self.context.stamps.submit(analyse_image, bundle, name, *read_and_measured)
                )
        except TimeoutError:
            words = f"{name}: not done after {seconds} s; given up"
        except GalaxyExplorerError as error:
            found, words = None, str(error)  # the picture stays: another HDU or band may be typed
        if self._source is source:
            self.found = found
            self._say(words)

    async def fetch(self, text: str) -> None:
        """Examine the picture of a position from the SDSS, where that is turned on."""
        cutouts = self.context.cutouts
        try:
            place = parse_position(text)
            if cutouts is None or place is None:
                self._say("Type a position: 12:36:20.8 +25:59:16, or degrees.")
                return
            data = await asyncio.to_thread(cutouts.picture_at, place.ra, place.dec)
        except (BadQuery, OSError, ValueError) as error:
            self._say(f"The SDSS gave no picture of this position ({error})")
            return
        await self.take(f"SDSS {text.strip()}"[:MAX_NAME], data)

    def forget(self, *_: Any) -> None:
        """Drop the picture and everything that was made of it."""
        self._source = self.found = None
        self._say("")

    def prepare(self) -> Any:
        """What to draw now; it is made in a thread."""
        found, state = self.found, self.state
        if found is None:
            return lambda: None
        # The model whose codes are laid over the picture: the clustering's, if it has one map.
        model = str(self._clustering.model)
        models = self.state.bundle.models
        if not AUTOENCODERS[models[model].kind].has_codebook:
            model = self.state.bundle.manifest.display_model
        has_codes = AUTOENCODERS[models[model].kind].has_codebook
        key, own = state.clustering, self._own

        def content() -> dict[str, Any]:
            member = found.classification.clusterings[key]
            rows, far = look_alikes(state.bundle, key, member, own=own)
            sheet = self.context.stamps.pictures(rows, state.display, state.pictures)
            names = shown_names(state.bundle, key)
            line = first_line(state.bundle, names, member, rows, found.ttype)
            thin = sparsity_percentile(state.bundle, key, member)
            return {
                "shots": pictures(found, state.display),
                "words": verdict(found, line, model, thin),
                "clusters": probabilities(state, found),
                "measures": morphology(found),
                "place": {"x": [member.x], "y": [member.y]},
                "alike": (rows, far, encode_sheet(sheet, SHEET_COLUMNS)),
                "seen": encode_sheet(render_stamps(found.stamp[None], state.display), 1),
                "codes": (model, found.classification.models[model].codes) if has_codes else None,
            }

        return content

    def fill(self, content: dict[str, Any] | None) -> None:
        """Show what was made."""
        self.results.visible = content is not None
        self.examples.visible = content is None and bool(self.examples.rows)
        if content is None:
            return
        for name in ("shots", "words", "clusters", "measures"):
            getattr(self, name).object = content[name]
        self._show_alike(*content["alike"])
        self.code_map.visible = content["codes"] is not None
        if content["codes"] is not None:
            self._show_codes(content["seen"], *content["codes"])
        set_map(self.place, self._clustering.coordinates)
        self.place.select_one({"name": "mine"}).data_source.data = content["place"]

    def _show_alike(self, rows: np.ndarray, far: np.ndarray, sheet: bytes) -> None:
        ids, ttype = (self.state.bundle.column(name) for name in ("galaxy_id", "ttype"))
        self._alike_found = by_distance(rows, far, "look-alikes of my galaxy")
        self.alike.param.update(
            sheet=sheet, heading="Look-alikes, most alike first", stamp=self.task.number,
            **galaxy_tiles(
                rows, map(str, ids[rows]), SHEET_COLUMNS, map(format_ttype, ttype[rows].tolist())
            ),
        )  # fmt: skip

    def _show_codes(self, seen: bytes, model: str, codes: np.ndarray) -> None:
        count = int(self.state.bundle.models[model].config["num_embeddings"])
        self.code_map.param.update(
            picture=seen, side=len(codes), codes=codes.ravel().tolist(),
            colours=category_colours(count),
            words="my galaxy", caption="Code map: each cell has the colour and number of its code",
        )  # fmt: skip

    def _say(self, words: str) -> None:
        self.message.object = render("parts.status", words=words) if words else ""

    def _results(self) -> pn.Column:
        codes = pn.Column(self.code_map, width=260, margin=(0, 16, 0, 0))
        beside = pn.Column(
            pn.pane.Bokeh(self.place, sizing_mode="stretch_width", margin=0),
            _html(render("parts.soft", words=STAR)),
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        select = pmui.Button(
            label="Select these look-alikes", variant="outlined", size="small",
            on_click=lambda _: publish_results(self.state, self._alike_found),
        )  # fmt: skip
        rest = {
            "Place on the map and codes": pn.FlexBox(codes, beside, sizing_mode="stretch_width"),
            "Clusters": self.clusters, "Shape as measured": self.measures,
        }  # fmt: skip
        return pn.Column(
            self.words, self.shots,
            pn.Column(self.alike, select, margin=(0, 10), sizing_mode="stretch_width"),
            *(folded(title, partial(pn.Column, part, margin=0)) for title, part in rest.items()),
            visible=False, sizing_mode="stretch_width", scroll="y-auto", css_classes=["results"],
            stylesheets=[PAGE_STYLES],
        )  # fmt: skip

    def _position_part(self) -> list[Any]:
        if self.context.cutouts is None:
            return []
        field = pmui.TextInput(label="or a position, from the SDSS", **SMALL)

        async def ask(_: Any) -> None:
            await self.fetch(field.value_input)

        return [field, pmui.Button(label="Fetch", on_click=ask, variant="outlined", size="small")]


def _html(text: str) -> pn.pane.HTML:
    return HtmlPane(
        text, stylesheets=[EXAMINATION_STYLES], sizing_mode="stretch_width", margin=(4, 10)
    )
