"""Controls that several pages share, their common sizes, and what they offer.

Which clustering, how pictures are drawn, which pictures; which models the Codebooks page starts
with, and which galaxies a visitor names; files made in a thread and handed to the browser.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.errors import GalaxyExplorerError, in_words
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.links import follow
from galaxy_explorer.explorer.pictures.display import COLOUR_MAPS, OWN_COLOURS, has_colour
from galaxy_explorer.explorer.search import rows_named
from galaxy_explorer.explorer.state import ExplorerState
from galaxy_explorer.explorer.widgets.components import DownloadButtons, NumberField
from galaxy_explorer.explorer.wording import format_features, format_model

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle


PAGE_HEIGHT = "calc(100vh - 84px)"
"""The page below the application bar: its parts scroll by themselves."""
SMALL: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width"}
BOUND: dict[str, Any] = {**SMALL, "description": ""}
"""For `from_param`: a small control whose parameter's own description does not show."""
STRETCH_WORDS = {"Linear": "linear", "Square root": "sqrt", "Log": "log", "Asinh": "asinh"}
INTERVAL_WORDS = {"Percentile": "percentile", "ZScale": "zscale", "Min-max": "minmax"}
COMPACT = {
    "& .MuiAccordionSummary-root": {"minHeight": "36px", "padding": "0 10px"},
    "& .MuiAccordionSummary-content": {"margin": "6px 0"},
    "& .MuiAccordionSummary-content *": {"fontSize": "14px"},
    "& .MuiAccordionDetails-root": {"padding": "4px 0"},
}
RECOMMENDED = " (recommended)"
SOURCE_WORDS = {"Drawn by the model": "reconstruction", "Original": "original"}


def clustering_select(state: ExplorerState) -> pmui.Select:
    """The choice of a clustering in words."""
    return pmui.Select.from_param(
        state.param.clustering, label="Model", options=state.clustering_choices(), **BOUND
    )


def model_controls(state: ExplorerState) -> pn.viewable.Viewable:
    """A folded panel: which codes the map stands on, and by what galaxies are grouped.

    Nothing where the bundle has one clustering.
    """
    if len(state.param.clustering.objects) == 1:
        return pn.Spacer(height=0, margin=0)
    return folded("Advanced: the model", lambda: _model_selects(state))


def _model_selects(state: ExplorerState) -> pn.Column:
    bundle, best = state.bundle, state.bundle.manifest.default_clustering
    of_model: dict[str, dict[str, str]] = {}
    for key in state.param.clustering.objects:
        clustering = bundle.clusterings[key]
        of_model.setdefault(clustering.model, {})[format_features(clustering)] = key
    recommended = bundle.clusterings[best].model
    words = {name: format_model(name, bundle.models[name].config) for name in of_model}
    words[recommended] += RECOMMENDED
    models = {words[name]: name for name in of_model}
    model = pmui.Select(label="Codes", options=models, **SMALL)
    grouping = pmui.Select(label="Grouping", **SMALL)

    def follow(*_: Any) -> None:
        name = bundle.clusterings[state.clustering].model
        keys = {f"{one}{RECOMMENDED * (key == best)}": key for one, key in of_model[name].items()}
        grouping.param.update(options=keys, value=state.clustering)
        model.value = name

    def take_model(event: Any) -> None:
        if event.new != bundle.clusterings[state.clustering].model:
            before = format_features(bundle.clusterings[state.clustering])
            keys = of_model[event.new]
            state.clustering = keys.get(before, next(iter(keys.values())))

    follow()
    state.param.watch(follow, "clustering")
    model.param.watch(take_model, "value")
    grouping.param.watch(lambda event: state.param.update(clustering=event.new), "value")
    return pn.Column(model, grouping, sizing_mode="stretch_width", margin=0)


GUEST = "guest"


def logged_in() -> str:
    """Name of the visitor where they had to log in; empty where anybody may look."""
    return str(pn.state.user) if pn.state.user not in {None, GUEST} else ""


def keep_in_address(
    state: ExplorerState, page: param.Parameterized, words: Mapping[str, str]
) -> None:
    """Take parameters of a page over from the address, and let the address follow: `follow`."""
    for complaint in follow(state, page, words):
        pn.state.onload(partial(notify, complaint, warning=True))


def folded(title: str, make: Callable[[], Any]) -> pmui.Accordion:
    """A panel that opens when its title is clicked; what is in it is made when it first is."""
    content = pn.Column(sizing_mode="stretch_width", margin=0)
    panel = pmui.Accordion(
        (title, content), active=[], disable_gutters=True, sizing_mode="stretch_width",
        margin=(5, 10), sx=COMPACT,
    )  # fmt: skip

    def fill(event: Any) -> None:
        if event.new and not len(content):
            content.append(make())

    panel.param.watch(fill, "active")
    return panel


def colour_select(state: ExplorerState) -> pmui.Select:
    """The choice of what colours the map, with what labels taught once there is any."""
    select = pmui.Select.from_param(
        state.param.colour_by, label="Colour by", options=state.colour_choices(), **BOUND
    )
    state.param.watch(
        lambda _: select.param.update(options=state.colour_choices(), value=state.colour_by),
        "learnt",
    )
    return select


def display_controls(state: ExplorerState, *shown: Any) -> pmui.Accordion:
    """A folded panel: stretch, limits, colours, invert, shared limits; above them what is given."""
    return folded("How pictures are drawn", lambda: _display_controls(state, *shown))


def _display_controls(state: ExplorerState, *shown: Any) -> pn.Column:
    settings = state.display.param
    percentile = pmui.FloatSlider.from_param(
        settings.percentile, label="Pixels inside the limits (%)", start=80, end=100, step=0.1,
        throttled=True, **BOUND,
    )  # fmt: skip
    percentile.visible = settings.interval.rx() == "percentile"
    return pn.Column(
        *shown,
        pn.Row(
            pmui.Select.from_param(
                settings.stretch, label="Stretch", options=STRETCH_WORDS, **BOUND
            ),
            pmui.Select.from_param(
                settings.interval, label="Limits", options=INTERVAL_WORDS, **BOUND
            ),
        ),
        percentile,
        pmui.Select.from_param(
            settings.colour_map, label="Colours", options=format_colour(state), **BOUND
        ),
        pn.Row(
            pmui.Switch.from_param(settings.invert, label="Invert", description=""),
            pmui.Switch.from_param(settings.shared, label="Same limits for all", description=""),
        ),
        sizing_mode="stretch_width",
        margin=0,
    )


def label_these(state: ExplorerState) -> pmui.Button:
    """A button that opens the selection as a grid to label; seen where something is selected."""
    button = pmui.Button(
        label="Label these", size="small", variant="outlined",
        visible=pn.bind(lambda rows: len(rows) > 0, state.param.selection),
    )  # fmt: skip
    button.on_click(lambda _: state.label_these())
    return button


def ghosts_off(state: ExplorerState) -> pmui.Button:
    """A button that takes synthetic galaxies off the map; seen while there are any."""
    button = pmui.Button(
        label="Take the synthetic galaxies off the map", size="small", variant="outlined",
        visible=pn.bind(lambda ghosts: ghosts is not None, state.param.ghosts), margin=(5, 10),
    )  # fmt: skip
    button.on_click(lambda _: state.param.update(ghosts=None))
    return button


def picture_source(state: ExplorerState) -> pmui.RadioButtonGroup:
    """The switch between the model's reconstructions and the original pictures."""
    return pmui.RadioButtonGroup.from_param(
        state.param.pictures, label="Pictures", options=SOURCE_WORDS, **BOUND
    )


def whole_number(label: str, value: int, low: int, high: int) -> NumberField:
    """A field for a whole number from low to high; what is none is refused, the old one stays."""

    def take(message: dict[str, Any]) -> None:
        typed = message.get("value")
        if type(typed) is int and low <= typed <= high:  # a bool is an int too
            field.value = typed
        else:
            field.refusals += 1

    field = NumberField(take, label=f"{label} ({low} to {high})", value=value, margin=(4, 10))
    return field


def format_colour(state: ExplorerState) -> dict[str, str]:
    """The colour maps in words; the one that shows the colours of three bands says so."""
    words = {name.capitalize(): name for name in COLOUR_MAPS}
    if not has_colour(state.bundle.manifest.survey.channels):
        return words
    own = {"Colours of the survey": OWN_COLOURS}
    return own | {word: name for word, name in words.items() if name != OWN_COLOURS}


N_MODELS = 4
SEPARATORS = re.compile(r"[,;\n]+")


def report_models(bundle: Bundle) -> list[str]:
    """The four models of the report's Fig. 16, as far as the bundle has them; at least one.

    VQ-VAEs of 512 and 16 codes with a map of 8 x 8, as the report trained them where there are
    such, and the autoencoders without a codebook; else the first models of the bundle.
    """
    configs = {name: model.config for name, model in bundle.models.items()}
    found = [_coded(configs, 512), _coded(configs, 16)]
    found += [
        next((name for name, config in configs.items() if config.get("design") == design), None)
        for design in ("conv", "dense")
    ]
    chosen = [name for name in found if name is not None]
    return chosen if len(chosen) > 1 else list(configs)[:N_MODELS]


def _coded(configs: Mapping[str, Mapping[str, Any]], codes: int) -> str | None:
    fits = [
        name
        for name, config in configs.items()
        if config.get("num_embeddings") == codes and config.get("map_size") == 8
    ]
    by_paper = [name for name in fits if configs[name].get("quantizer") == "paper"]
    return next(iter([*by_paper, *fits]), None)


def model_choices(bundle: Bundle) -> dict[str, str]:
    """Words of every model and its name."""
    return {format_model(name, model.config): name for name, model in bundle.models.items()}


def named_galaxies(bundle: Bundle, text: str) -> tuple[list[int], list[str]]:
    """Rows of the galaxies named in a text, in its order, and the names that nothing has.

    Names are separated by commas, and written as the search takes them.
    """
    asked = [part.strip() for part in SEPARATORS.split(text) if part.strip()]
    found = [rows_named(bundle, name).tolist() for name in asked]
    known = list(dict.fromkeys(rows[0] for rows in found if rows))
    return known, [name for name, rows in zip(asked, found, strict=True) if not rows]


MEDIA_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "ecsv": "text/plain",
    "fits": "application/fits",
    "vot": "application/x-votable+xml",
    "parquet": "application/vnd.apache.parquet",
    "md": "text/markdown",
}
TITLES = {"md": "Markdown", "vot": "VOTable", "parquet": "Parquet"}
Made = tuple[str, bytes]


class Downloads:
    """Buttons for the kinds of file that a page offers.

    prepare: reads the state and returns the slow step, which runs in a thread and gives the name
    of the file without its ending, and its bytes.
    """

    def __init__(
        self, label: str, kinds: list[str], prepare: Callable[[str], Callable[[], Made]]
    ) -> None:
        titles = [[kind, TITLES.get(kind, kind.upper())] for kind in kinds]
        self.kinds, self._prepare = kinds, prepare
        self.buttons = DownloadButtons(
            self.on_message, label=label, kinds=titles, sizing_mode=None, margin=0
        )

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        if message.get("kind") in self.kinds:
            pn.state.execute(partial(self.deliver, str(message["kind"])))

    async def deliver(self, kind: str) -> None:
        """Make a file and hand it over; the buttons wake up again also where that fails."""
        data, name = None, ""
        try:
            name, data = await asyncio.to_thread(self._prepare(kind))
        except (GalaxyExplorerError, OSError) as error:
            notify(in_words(error), warning=True)
        finally:
            self.buttons.param.update(
                data=data, file_name=f"{name}.{kind}", media_type=MEDIA_TYPES[kind],
                stamp=self.buttons.stamp + 1,
            )  # fmt: skip
