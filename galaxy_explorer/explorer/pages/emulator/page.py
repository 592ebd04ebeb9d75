"""The Generate page: galaxies that do not exist, of the types that are asked for.

One panel a prior. On the left what else is asked for; on the right one galaxy whose type is dragged
and samples of that type beside their nearest real galaxies; or a ladder of types (report, Fig 12),
a game, and what was measured of the prior.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.emulation.emulator import TTYPE
from galaxy_explorer.emulation.light import units_of
from galaxy_explorer.emulation.request import Like, Request
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.background import notify
from galaxy_explorer.explorer.pages.emulator.address import OWN_WORDS, asked_by, words_of
from galaxy_explorer.explorer.pages.emulator.controls import (
    CameraControls,
    ConditionControls,
    folded,
    whole_types,
)
from galaxy_explorer.explorer.pages.emulator.evidence import evidence_html
from galaxy_explorer.explorer.pages.emulator.game import GameView
from galaxy_explorer.explorer.pages.emulator.source import (
    KINDS,
    DisplayOptions,
    EmulatorSource,
    along_types,
    emulator_source,
    made_file,
)
from galaxy_explorer.explorer.pages.emulator.views import Ladder, SamplesView, StageView
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import CARD_STYLES, HtmlPane, View, when_loaded
from galaxy_explorer.explorer.widgets.controls import (
    PAGE_HEIGHT,
    RECOMMENDED,
    Downloads,
    Made,
    display_controls,
)
from galaxy_explorer.explorer.widgets.job_bar import JobRunner, JobTask
from galaxy_explorer.explorer.wording import format_model
from galaxy_explorer.models.registry import AUTOENCODERS, PRIORS

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.background import Work
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


SAMPLES, LADDER, GAME, EVIDENCE = "Samples", "Ladder", "Real or synthetic?", "Evidence"
MAP = "atlas"
MODE_WORD, PRIOR_WORD = "show", "prior"
NARROW = "@media (max-width: 700px)"
LEFT_STYLE = f"""
:host {{ flex: 0 0 clamp(270px, 24vw, 350px); height: {PAGE_HEIGHT}; overflow: hidden auto; }}
{NARROW} {{ :host {{ flex: 1 1 100%; height: auto; order: 2; overflow: visible; }} }}
"""
RIGHT_STYLE = f"""
:host {{ flex: 1 1 0; min-width: 0; height: {PAGE_HEIGHT}; overflow: hidden auto; }}
{NARROW} {{ :host {{ flex: 1 1 100%; height: auto; overflow: visible; }} }}
"""
ROW_STYLE = f"""
{NARROW} {{
  :host {{ flex-flow: row wrap !important; height: {PAGE_HEIGHT}; overflow: hidden auto; }}
}}
"""


class Part(Protocol):
    """Something that a request is drawn for, and where it is seen."""

    view: Any

    def begin(self, request: Request, options: DisplayOptions, words: str, /) -> None:
        """Make room for what is coming."""

    def work(self, request: Request, options: DisplayOptions) -> Work:
        """The work for the queue."""

    def show(self, content: Any) -> None:
        """Show a step of the work."""


@dataclass(frozen=True)
class ViewRequest:
    """What a part is to draw, how, and what that is called."""

    name: str
    part: Part
    request: Request
    options: DisplayOptions
    words: str
    title: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What decides what is seen."""
        return self.name, self.request.identity, self.options.key


class Desk:
    """Draws what is wanted, one thing at a time, where it is not what is shown already."""

    def __init__(self, source: EmulatorSource) -> None:
        self.runner = JobRunner(source.queue)
        self._begun: tuple[Any, ...] = ()
        self._shown: dict[str, tuple[Any, ...]] = {}

    def draw(self, wanted: ViewRequest, *, anew: bool = False) -> None:
        """Draw this, in place of what is being drawn; anew: also what is shown already."""
        if not anew and wanted.key in {self._begun, self._shown.get(wanted.name)}:
            return
        self._begun = wanted.key
        self._shown.pop(wanted.name, None)
        wanted.part.begin(wanted.request, wanted.options, wanted.words)
        work = wanted.part.work(wanted.request, wanted.options)
        finished = partial(self._finish, wanted)
        self.runner.start(JobTask(work, wanted.part.show, wanted.title, finished))

    def _finish(self, wanted: ViewRequest) -> None:
        self._shown[wanted.name] = wanted.key


class EmulatorPanel(View):
    """Controls, what draws what they ask for, and the ways to look at what comes.

    chooser: of the prior, where there are several; it is folded away below the controls.
    """

    mode: Any = param.Selector(default=SAMPLES, doc="Which way to look.")
    shown = param.Boolean(default=False, doc="Whether a visitor sees it.")
    asked = param.Integer(default=0, doc="Counts what the address has to say anew.")

    def __init__(
        self, state: ExplorerState, source: EmulatorSource, chooser: Any = None, **params: Any
    ) -> None:
        super().__init__(**params)
        self.state, self.source, self.emulator = state, source, source.emulator
        self._advanced = [] if chooser is None else [folded("Advanced: the model", [chooser])]
        self.stage_desk, self.desk = Desk(source), Desk(source)
        guidance = self.emulator.default_guidance if self.emulator.guided else None
        self.controls = ConditionControls(
            self.emulator.fields, guidance, self.desk.runner.refuse, self.emulator.check
        )
        kind = state.bundle.models[self.emulator.model].kind
        self.camera = CameraControls(
            units_of(state.bundle), has_layer=AUTOENCODERS[kind].has_psf_layer
        )
        self.downloads = Downloads("Download", KINDS, self.prepare_file)
        self.samples = SamplesView(source, self._focus, state.display, self.drag)
        self.parts: dict[str, Part] = {SAMPLES: self.samples}
        self.types: list[int] = []
        self.stage: StageView | None = None
        field = next((one for one in self.emulator.fields if one.name == TTYPE), None)
        if field is not None:
            self.types = whole_types(field)
            self.stage = StageView(source, field, self.controls.conditions[TTYPE])
            self.parts[LADDER] = Ladder(source, field, self._focus)
        self.game = GameView(source, self.play) if GameView.playable(source) else None
        self.game_desk = Desk(source)
        games = [] if self.game is None else [GAME]
        self.param.mode.objects = [*self.parts, *games, EVIDENCE]
        self.like_line = html_of("")
        self.view = self._layout()
        self.controls.param.watch(self.ask, "changed")
        self.camera.param.watch(self.ask, ["observation", "twins"])
        self.param.watch(self.ask, "mode")
        self.state.display.param.watch(self.ask, list(self.state.display.param.values()))
        self.param.watch(self.appear, "shown")
        self.appear()
        self.source.measure_references()

    def appear(self, *_: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.ask()

    def _focus(self, row: int) -> None:
        self.state.focus = row

    def drag(self, number: int) -> None:
        """Put the sample of a number under the slider."""
        self.controls.ask(replace(self.controls.request, first=number))

    def make_like(self, row: int) -> None:
        """Ask for galaxies like one of the bundle; raises RequestError where none can be made."""
        request, galaxy = self.controls.request, str(self.state.bundle.column("galaxy_id")[row])
        known = self.emulator.known_of(row).get(TTYPE) if self.emulator.kind.reversible else None
        condition = {} if known is None or not self.types else {TTYPE: round(2 * known) / 2}
        self.controls.ask(replace(request, condition=condition, like=Like(galaxy), first=0))
        self.mode = SAMPLES

    def ask(self, *_: param.parameterized.Event) -> None:
        """Draw what is asked for, where it is not what is shown already."""
        request = self.controls.request
        like = request.like
        self.like_line.object = "" if like is None else render("emulator.like", name=like.galaxy)
        if not self.shown:
            return
        self.asked += 1
        options = self.options
        if self.stage is not None and self.mode == SAMPLES:
            asked = {name: v for name, v in request.condition.items() if name != TTYPE}
            one = replace(request, count=1, condition=asked)
            title = "The galaxy under the slider"
            self.stage_desk.draw(ViewRequest("stage", self.stage, one, options, "", title))
        if self.mode in self.parts:
            self.desk.draw(self._wanted(replace(request, first=0), options))

    @property
    def options(self) -> DisplayOptions:
        """How galaxies are shown now."""
        display = DisplaySettings.from_token(self.state.display.token())
        return DisplayOptions(display, self.camera.observation, self.camera.twins)

    def play(self) -> None:
        """Draw the pairs of a new game."""
        if self.game is not None:
            request, title = self.controls.request, "A game"
            wanted = ViewRequest(GAME, self.game, request, self.options, "", title)
            self.game_desk.draw(wanted, anew=True)

    def _wanted(self, request: Request, options: DisplayOptions) -> ViewRequest:
        typed = self.mode == SAMPLES and request.like is None
        words = self.controls.words(typed=typed)
        if self.mode == SAMPLES and request.like is not None and self.types:
            request = along_types(request, self.types)
        title = {SAMPLES: f"{request.count} galaxies", LADDER: "Ladder of types"}[self.mode]
        camera = f", {self.camera.words()}" if self.camera.words() else ""
        return ViewRequest(
            self.mode, self.parts[self.mode], request, options, words, f"{title}, {words}{camera}"
        )

    def address(self) -> dict[str, str]:
        """The words of the address that reopen what is shown."""
        words = words_of(self.emulator.fields, self.controls.request) | self.camera.address()
        return words if self.mode == SAMPLES else words | {MODE_WORD: self.mode.lower()}

    def restore(self, words: dict[str, str]) -> list[str]:
        """Take over what an address says; what cannot be had, in sentences."""
        fields, first = self.emulator.fields, self.controls.first
        request, complaints = asked_by(words, first, fields, self.controls.check)
        self.controls.ask(request)
        modes = {mode.lower(): mode for mode in self.param.mode.objects}
        self.mode = modes.get(words.get(MODE_WORD, ""), SAMPLES)
        return complaints + self.camera.restore(words)

    async def to_map(self) -> None:
        """Show the samples on the map, among the galaxies that they are like."""
        if self.samples.made is None:
            notify("The galaxies are still being drawn; try again when they are there")
            return
        request, codes, _ = self.samples.made
        shown = self.options.display
        place = partial(self.source.ghosts, request, codes, self.state.clustering, shown)
        ghosts = await asyncio.to_thread(place)
        when_loaded(partial(self.state.param.update, ghosts=ghosts, page=MAP))

    def prepare_file(self, kind: str) -> Callable[[], Made]:
        """The file that is asked for; it is made in a thread."""
        if self.samples.made is None:
            raise RequestError("the galaxies are still being drawn; try again when they are there")
        request, codes, _ = self.samples.made
        made = partial(made_file, self.source, request, codes, self.samples.facts)
        return partial(made, observation=self.camera.observation, kind=kind)

    def _layout(self) -> pn.Row:
        files = pn.Column(self.downloads.buttons, margin=(10, 10))
        is_samples = self.param.mode.rx() == SAMPLES
        files.visible = is_samples
        self.desk.runner.bar.visible = self.param.mode.rx().rx.in_(list(self.parts))
        for desk in (self.desk, self.stage_desk):
            desk.runner.bar.styles = {"min-width": "220px"}
        bar_of_stage = self.stage_desk.runner.bar
        bar_of_stage.visible = is_samples.rx.and_(bar_of_stage.param.running.rx())
        written = "codes" if self.source.likeness.has_codes else "latents"
        left = pn.Column(
            html_of(render("emulator.lead", written=written)),
            self.controls,
            folded("Scale, magnitude and PSF", [self.camera]),
            display_controls(self.state), *self._advanced, files,
            margin=(0, 14, 0, 0), sizing_mode="stretch_width", stylesheets=[LEFT_STYLE],
        )  # fmt: skip
        bar = pn.Row(
            choice("", self.param.mode), self.desk.runner, self.stage_desk.runner,
            sizing_mode="stretch_width",
            margin=(4, 0, 4, 0),
            styles={"gap": "4px 18px", "align-items": "center", "max-height": "none",
                    "flex-wrap": "wrap"},
        )  # fmt: skip
        samples, game = self.samples, self.game
        to_map = pmui.Button(
            label="Show on the map", size="small", variant="outlined", margin=(2, 10),
            on_click=lambda _: pn.state.execute(self.to_map),
        )  # fmt: skip
        top = pn.Row(samples.headline, to_map, sizing_mode="stretch_width", margin=0)
        views = {
            SAMPLES: [*self._stage(), top, samples.detail, samples.view],
            **{name: [part.view] for name, part in self.parts.items() if name != SAMPLES},
            **({} if game is None else {GAME: [self.game_desk.runner, game.view]}),
            EVIDENCE: [html_of(evidence_html(self.state.bundle))],
        }
        shown = []
        for name, parts in views.items():
            page = pn.Column(*parts, sizing_mode="stretch_width", margin=0)
            page.visible = self.param.mode.rx() == name
            shown.append(page)
        right = column(self.camera.switch, bar, *shown)
        return pn.Row(left, right, sizing_mode="stretch_width", margin=8, stylesheets=[ROW_STYLE])

    def _stage(self) -> list[Any]:
        """The galaxy under the slider, and what it is like."""
        if self.stage is None:
            return []
        again = pmui.Button(
            label="Back to galaxies from noise", size="small", variant="outlined", margin=(6, 10),
            on_click=lambda _: self.controls.ask(replace(self.controls.request, like=None)),
        )  # fmt: skip
        like = pn.Row(
            self.like_line, self.controls.change, again, sizing_mode="stretch_width", margin=0,
            visible=self.like_line.param.object.rx() != "", styles={"flex-wrap": "wrap"},
        )  # fmt: skip
        return [like, self.controls.conditions[TTYPE]]


def column(*parts: Any) -> pn.Column:
    """The part of the page that scrolls by itself."""
    return pn.Column(
        *parts, sizing_mode="stretch_width", margin=(0, 8, 0, 0), stylesheets=[RIGHT_STYLE]
    )


def html_of(text: str) -> pn.pane.HTML:
    """Words of the page."""
    # Both sheets make soft words paler: together too pale to read.
    sheets = [STYLES, *CARD_STYLES, ".soft { opacity: 1; }"]
    return HtmlPane(text, stylesheets=sheets, sizing_mode="stretch_width", margin=(4, 10))


class EmulatorPage(View):
    """One panel a prior; a chooser among their controls says which is shown."""

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        self.view = pn.Column(sizing_mode="stretch_width", margin=0)
        try:
            self.main = emulator_source(context).emulator.key
        except BundleError as error:
            self.view.append(column(html_of(render("emulator.no_prior", error=error))))
            return
        choices, words = prior_choices(context.bundle, self.main), state.page_words
        asked = words.get(PRIOR_WORD, self.main)
        self.chooser = pmui.Select(
            label="Drawn by", options=choices, size="small",
            value=asked if asked in choices.values() else self.main,
            sizing_mode="stretch_width", margin=(6, 10),
        )  # fmt: skip
        self.panels: dict[str, EmulatorPanel] = {}
        complaints = self.panel.restore(words)
        if asked not in choices.values():
            complaints.append(f"The link's prior {asked[:40]!r} is not in this bundle")
        for complaint in complaints:
            pn.state.onload(partial(notify, complaint, warning=True))
        self._like()
        self._show()
        self.chooser.param.watch(self._show, "value")
        self.view.param.watch(self.appear, "visible")
        state.param.watch(self._like, "like")

    @property
    def panel(self) -> EmulatorPanel:
        """That of the prior that is chosen."""
        prior = self.chooser.value
        if prior not in self.panels:
            several = len(self.chooser.options) > 1
            source = emulator_source(self.context, prior)
            made = EmulatorPanel(self.state, source, self.chooser if several else None)
            self.panels[prior] = made
            made.param.watch(self._tell_address, "asked")
        return self.panels[prior]

    def _show(self, *_: param.parameterized.Event) -> None:
        self.view[:] = [self.panel.view]
        self.appear()

    def appear(self, *_: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        for panel in self.panels.values():
            panel.shown = self.view.visible and panel is self.panel

    def _like(self, *_: param.parameterized.Event) -> None:
        """Take over the galaxy that others shall be like, once."""
        row = self.state.like
        if row is None:
            return
        self.state.like = None
        try:
            self.panel.make_like(row)
        except RequestError as error:
            notify(str(error), warning=True)

    def _tell_address(self, *_: param.parameterized.Event) -> None:
        """Let the address say what is shown."""
        words = self.panel.address()
        if self.panel.emulator.key != self.main:
            words[PRIOR_WORD] = self.panel.emulator.key
        own = {*OWN_WORDS, *(field.name for field in self.panel.emulator.fields)}
        self.state.keep_words(own, words)


def prior_choices(bundle: Bundle, main: str) -> dict[str, str]:
    """Words of every prior, and its key; the main one is recommended."""
    return {
        f"{format_model(p.model, bundle.models[p.model].config)} ({PRIORS[p.kind].short})"
        f"{RECOMMENDED * (key == main)}": key
        for key, p in bundle.priors.items()
    }
