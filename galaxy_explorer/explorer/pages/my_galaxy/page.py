"""My galaxy: a picture of the visitor's own, and what the models make of it. Nothing is kept."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.errors import BadQuery, GalaxyExplorerError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pages.my_galaxy.examine import (
    ImageReport,
    analyse_image,
    look_alikes,
    read,
    sparsity_percentile,
)
from galaxy_explorer.explorer.pages.my_galaxy.html import (
    EXAMINATION_STYLES,
    morphology,
    pictures,
    probabilities,
    verdict,
)
from galaxy_explorer.explorer.pictures.display import encode_sheet, render_stamps
from galaxy_explorer.explorer.plots.clusterings import place_figure, set_map
from galaxy_explorer.explorer.plots.palette import SELECTION_COLOUR, cluster_colour
from galaxy_explorer.explorer.search import parse_position
from galaxy_explorer.explorer.widgets.components import CodeMap, DropZone, HtmlPane, PictureSheet
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    SMALL,
    clustering_select,
    display_controls,
    whole_number,
)
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.widgets.gallery import SHEET_COLUMNS
from galaxy_explorer.explorer.widgets.results import SearchResults, publish_results
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
    "FITS with linear flux, or a stretched JPEG or PNG; the galaxy in the middle. The picture is"
    " worked on in memory and forgotten with this page; no file is written."
)
STAR = "The star: its place on the map of all galaxies."


@cache
def _reader() -> ThreadPoolExecutor:
    """The one thread that reads and measures what visitors bring."""
    return ThreadPoolExecutor(1, "my-galaxy")


class MyGalaxyPage(pn.viewable.Viewer):
    """Drop zone and framing on the left; what was found on the right."""

    found = param.ClassSelector(class_=ImageReport, default=None, doc="The picture as examined.")
    frame = param.String(default="auto", doc="What is cut: auto, whole or central pixels.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        self._source: tuple[str, bytes] | None = None
        self.limit = context.settings.upload_megabytes * MEGABYTE
        self.zone = DropZone(
            self.on_message, words=f"Drop a galaxy here, or choose a file (at most"
            f" {context.settings.upload_megabytes} MB)", limit=self.limit, margin=(0, 10, 12, 10),
            accept=".fits,.fit,.fts,.gz,.bz2,.png,.jpg,.jpeg",
        )  # fmt: skip
        self.message = _html("")
        self.shots, self.words, self.clusters, self.measures = (_html("") for _ in range(4))
        self.code_map = CodeMap(margin=(0, 10))
        self.place = place_figure(self._clustering.coordinates, height=230)
        self.place.scatter(
            "x", "y", source={"x": [], "y": []}, marker="star", size=18, color=SELECTION_COLOUR,
            line_color="#000000", name="mine",
        )  # fmt: skip
        self.alike = PictureSheet(self.on_message, tile_width=84, heading="")
        self.detail = Detail(state, context.stamps)
        self.task = LatestTask(self.prepare, self.fill)
        self.results = self._results()
        frames = pmui.Select(label="What is cut", options={**FRAMES, "Central pixels": ""}, **SMALL)
        size = whole_number("Pixels", *CENTRAL)
        size.visible = False

        async def change(_: Any) -> None:
            size.visible = not frames.value
            self.frame = frames.value or str(size.value)
            await self.work()

        frames.param.watch(change, "value")
        size.param.watch(change, "value")
        forget = pmui.Button(label="Forget it", on_click=self.forget, variant="text", size="small")
        frame_part = [frames, size, forget]
        left = pn.Column(
            clustering_select(self.state), self.zone, *self._position_part(), *frame_part,
            self.message, _html(render("parts.soft", words=PRIVACY)), display_controls(self.state),
            margin=(0, 12, 0, 0), sizing_mode="stretch_width", scroll="y-auto",
            styles={"height": PAGE_HEIGHT, "flex": "0 0 clamp(280px, 26vw, 400px)"},
        )  # fmt: skip
        self.view = pn.Row(left, self.results, sizing_mode="stretch_width", margin=8)
        self.param.watch(self.task.ask, "found")
        self.state.param.watch(self.task.ask, ["clustering", "pictures"])
        names = list(self.state.display.param.values())
        self.state.display.param.watch(self.task.ask, names)

    def __panel__(self) -> pn.Row:
        return self.view

    @property
    def _clustering(self) -> Any:
        return self.state.bundle.clusterings[self.state.clustering]

    async def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        row = message.get("focus")
        if isinstance(row, int) and 0 <= row < len(self.state.bundle):
            self.state.focus = row
        elif "size" in message:
            name, data = str(message.get("name"))[:MAX_NAME], message.get("data")
            if not isinstance(data, bytes) or len(data) > self.limit:
                limit = self.limit // MEGABYTE
                self._say(f"{name}: more than {limit} MB; cut the galaxy from it first")
            else:
                await self.take(name, data)

    async def take(self, name: str, data: bytes) -> None:
        """Examine a picture; what cannot be used is refused with a sentence."""
        self._source = (name, data)
        await self.work()

    async def work(self, *_: Any) -> None:
        """Examine the picture again, framed as is asked for now."""
        if self._source is None or self.zone.busy:
            return
        name, data = self._source
        self.zone.busy = True
        self._say(f"Examining {name} …")
        try:
            async with asyncio.timeout(self.context.settings.upload_seconds):
                bundle, loop = self.state.bundle, asyncio.get_running_loop()
                job = loop.run_in_executor(_reader(), read, bundle, data, name, self.frame)
                prepared, measured = await job
                stamps = self.context.stamps
                self.found = await asyncio.wrap_future(
                    stamps.submit(analyse_image, bundle, name, prepared, measured)
                )
            self._say("")
        except TimeoutError:
            seconds = self.context.settings.upload_seconds
            self._say(f"{name}: not done after {seconds} s; given up")
        except GalaxyExplorerError as error:
            self.forget()
            self._say(str(error))
        finally:
            self.zone.busy = False

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

    def prepare(self) -> Any:
        """What to draw now; it is made in a thread."""
        found, state = self.found, self.state
        if found is None:
            return lambda: None
        # The model whose codes are laid over the picture: the clustering's, if it has any.
        model = str(self._clustering.model)
        has_codes = AUTOENCODERS[self.state.bundle.models[model].kind].maps > 0
        codes_of = model if has_codes else self.state.bundle.manifest.display_model
        key = state.clustering

        def content() -> dict[str, Any]:
            member = found.classification.clusterings[key]
            rows, far = look_alikes(state.bundle, key, member)
            sheet = self.context.stamps.pictures(rows, state.display, state.pictures)
            return {
                "shots": pictures(found, state.display),
                "words": verdict(found, codes_of, sparsity_percentile(state.bundle, key, member)),
                "clusters": probabilities(state, found),
                "measures": morphology(found),
                "place": (member.x, member.y),
                "alike": (rows, far, encode_sheet(sheet, SHEET_COLUMNS)),
                "seen": encode_sheet(render_stamps(found.stamp[None], state.display), 1),
                "codes": (codes_of, found.classification.models[codes_of].codes),
            }

        return content

    def fill(self, content: dict[str, Any] | None) -> None:
        """Show what was made."""
        self.results.visible = content is not None
        if content is None:
            return
        for name in ("shots", "words", "clusters", "measures"):
            getattr(self, name).object = content[name]
        self._show_alike(*content["alike"])
        self._show_codes(content["seen"], *content["codes"])
        self._show_place(*content["place"])

    def _show_place(self, x: float, y: float) -> None:
        set_map(self.place, self._clustering.coordinates)
        self.place.select_one({"name": "mine"}).data_source.data = {"x": [x], "y": [y]}

    def _show_alike(self, rows: np.ndarray, far: np.ndarray, sheet: bytes) -> None:
        ids = self.state.bundle.column("galaxy_id")
        pairs = zip(rows.tolist(), far.tolist(), strict=True)
        self._alike_found = SearchResults(
            rows, "look-alikes of my galaxy", "nearest in code space first",
            {"code_distance": far},
            {row: f"d {distance:.2f}" for row, distance in zip(rows.tolist(), far, strict=True)},
        )  # fmt: skip
        self.alike.param.update(
            sheet=sheet, sheet_columns=SHEET_COLUMNS, stamp=self.task.number,
            tiles=[[row, str(ids[row]), f"d {distance:.2f}"] for row, distance in pairs],
            heading="Look-alikes: nearest in code space first, with the distance",
        )  # fmt: skip

    def _show_codes(self, seen: bytes, model: str, codes: np.ndarray) -> None:
        count = int(self.state.bundle.models[model].config["num_embeddings"])
        self.code_map.param.update(
            picture=seen, picture_format="image/jpeg", side=len(codes),
            codes=codes.ravel().tolist(), colours=[cluster_colour(code) for code in range(count)],
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
        return pn.Column(
            self.words, self.shots, pn.Row(codes, beside, sizing_mode="stretch_width"),
            pn.Column(self.alike, select, margin=(0, 10), sizing_mode="stretch_width"),
            self.detail, self.clusters, self.measures, visible=False,
            sizing_mode="stretch_width", scroll="y-auto",
            styles={"height": PAGE_HEIGHT, "flex": "1 1 0", "min-width": "0"},
        )  # fmt: skip

    def _position_part(self) -> list[Any]:
        if self.context.cutouts is None:
            return []
        field = pmui.TextInput(label="or a position, from the SDSS", **SMALL)

        async def ask(_: Any) -> None:
            await self.fetch(field.value_input or field.value)

        return [field, pmui.Button(label="Fetch", on_click=ask, variant="outlined", size="small")]


def _html(text: str) -> pn.pane.HTML:
    return HtmlPane(
        text, stylesheets=[EXAMINATION_STYLES], sizing_mode="stretch_width", margin=(4, 10)
    )
