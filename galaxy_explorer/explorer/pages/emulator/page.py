"""The Emulator page: galaxies that do not exist, of the types that are asked for.

One panel a prior: controls on the left; on the right samples beside their nearest real galaxies, a
ladder of types (report, Fig 12), one galaxy from type to type, and what was measured of the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.emulation.light import units_of
from galaxy_explorer.errors import BundleError, RequestError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.pages.emulator.controls import (
    TTYPE,
    CameraControls,
    ConditionControls,
    folded,
)
from galaxy_explorer.explorer.pages.emulator.evidence import evidence_html
from galaxy_explorer.explorer.pages.emulator.source import (
    KINDS,
    DisplayOptions,
    EmulatorSource,
    emulator_source,
    made_file,
)
from galaxy_explorer.explorer.pages.emulator.views import Ladder, MorphView, SamplesView
from galaxy_explorer.explorer.pictures.display import DisplaySettings
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import CARD_STYLES, HtmlPane
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, Downloads, Made, display_controls
from galaxy_explorer.explorer.widgets.detail import Detail
from galaxy_explorer.explorer.widgets.job_bar import JobRunner, JobTask
from galaxy_explorer.explorer.wording import format_model
from galaxy_explorer.models.registry import AUTOENCODERS, PRIORS

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


SAMPLES, LADDER, MORPH, EVIDENCE = "Samples", "Ladder", "Morph", "Evidence"
TITLES = {SAMPLES: "{count} galaxies", LADDER: "Ladder of types", MORPH: "Morph"}


class EmulatorPanel(pn.viewable.Viewer):
    """Controls, the job that draws what they ask for, and four ways to look at what comes.

    chooser: stands above the controls, where there are several priors.
    """

    mode: Any = param.Selector(default=SAMPLES, doc="Which way to look.")
    shown = param.Boolean(default=False, doc="Whether a visitor sees it.")

    def __init__(
        self, state: ExplorerState, source: EmulatorSource, chooser: Any = None, **params: Any
    ) -> None:
        super().__init__(**params)
        self.state, self.source, self.emulator = state, source, source.emulator
        self._chooser = [] if chooser is None else [chooser]
        self.runner = JobRunner(self.source.queue)
        guidance = self.emulator.default_guidance if self.emulator.guided else None
        self.controls = ConditionControls(self.emulator.fields, guidance, self.runner.refuse)
        kind = state.bundle.models[self.emulator.model].kind
        self.camera = CameraControls(
            units_of(state.bundle), has_layer=AUTOENCODERS[kind].has_psf_layer
        )
        self.downloads = Downloads("Download", KINDS, self.prepare_file)
        self.detail = Detail(state, source.stamps)
        self.samples = SamplesView(self.source, self._focus, state.display)
        parts: dict[str, Any] = {SAMPLES: self.samples}
        field = next((one for one in self.emulator.fields if one.name == TTYPE), None)
        if field is not None:
            parts[LADDER] = Ladder(self.source, field, self._focus)
            parts[MORPH] = MorphView(self.source, field)
        self.parts = parts
        self.param.mode.objects = [*self.parts, EVIDENCE]
        self._shown: dict[str, tuple[Any, ...]] = {}
        self._begun: tuple[Any, ...] = ()
        self.view = self._layout()
        self.controls.param.watch(self.ask, "changed")
        self.camera.param.watch(self.ask, ["observation", "twins"])
        self.param.watch(self.ask, "mode")
        self.state.display.param.watch(self.ask, list(self.state.display.param.values()))
        self.param.watch(self.appear, "shown")
        self.appear()
        self.source.measure_references()

    def __panel__(self) -> pn.viewable.Viewable:
        return self.view

    def appear(self, *_: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.detail.task.shown = self.shown
        self.ask()

    def _focus(self, row: int) -> None:
        self.state.focus = row

    def ask(self, *_: param.parameterized.Event) -> None:
        """Draw what is asked for, where it is not what is shown already."""
        part, request = self.parts.get(self.mode), self.controls.request
        token = self.state.display.token()
        options = DisplayOptions(
            DisplaySettings.from_token(token), self.camera.observation, self.camera.twins
        )
        asked = (self.mode, request.identity, token, options.observation, options.twins)
        known = {self._begun, self._shown.get(self.mode)}
        if part is None or not self.shown or asked in known:
            return
        self._begun = asked
        self._shown.pop(self.mode, None)
        words = self.controls.words(typed=self.mode == SAMPLES)
        part.begin(request, options, words)
        camera = f", {self.camera.words()}" if self.camera.words() else ""
        title = f"{TITLES[self.mode].format(count=request.count)}, {words}{camera}"
        finished = partial(self._finish, asked)
        self.runner.start(JobTask(part.work(request, options), part.show, title, finished))

    def _finish(self, asked: tuple[Any, ...]) -> None:
        self._shown[asked[0]] = asked

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
        self.runner.bar.visible = self.param.mode.rx() != EVIDENCE
        if TTYPE in self.controls.conditions:
            self.controls.conditions[TTYPE].visible = is_samples
        written = "codes" if self.source.likeness.has_codes else "latents"
        left = pn.Column(
            html_of(render("emulator.lead", written=written)), *self._chooser,
            self.controls,
            folded("Camera", [self.camera]),
            display_controls(self.state), files, margin=(0, 14, 0, 0), sizing_mode="stretch_width",
            styles={"height": PAGE_HEIGHT, "flex": "0 0 clamp(290px, 25vw, 370px)",
                    "overflow": "hidden auto"},
        )  # fmt: skip
        bar = pn.Row(
            choice("", self.param.mode), self.runner, sizing_mode="stretch_width",
            margin=(4, 0, 8, 0),
            styles={"gap": "18px", "align-items": "center", "max-height": "none"},
        )  # fmt: skip
        views = {
            **{name: [part.view] for name, part in self.parts.items()},
            EVIDENCE: [html_of(evidence_html(self.state.bundle))],
        }
        views[SAMPLES].insert(0, self.samples.detail)
        shown = []
        for name, parts in views.items():
            page = pn.Column(*parts, sizing_mode="stretch_width", margin=0)
            page.visible = self.param.mode.rx() == name
            shown.append(page)
        return pn.Row(left, column(bar, self.detail, *shown), sizing_mode="stretch_width", margin=8)


def column(*parts: Any) -> pn.Column:
    """The part of the page that scrolls by itself."""
    return pn.Column(
        *parts, sizing_mode="stretch_width", margin=(0, 8, 0, 0),
        styles={
            "height": PAGE_HEIGHT, "flex": "1 1 0", "min-width": "0", "overflow": "hidden auto",
        },
    )  # fmt: skip


def html_of(text: str) -> pn.pane.HTML:
    """Words of the page."""
    # Both sheets make soft words paler: together too pale to read.
    sheets = [STYLES, *CARD_STYLES, ".soft { opacity: 1; }"]
    return HtmlPane(text, stylesheets=sheets, sizing_mode="stretch_width", margin=(4, 10))


class EmulatorPage(pn.viewable.Viewer):
    """One panel a prior; a chooser above their controls says which is shown."""

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        self.view = pn.Column(sizing_mode="stretch_width", margin=0)
        try:
            main = emulator_source(context).emulator.key
        except BundleError as error:
            self.view.append(column(html_of(render("emulator.no_prior", error=error))))
            return
        choices = prior_choices(context.bundle)
        self.chooser = pmui.Select(
            label="Drawn by", options=choices, value=main, size="small",
            sizing_mode="stretch_width", margin=(6, 10),
        )  # fmt: skip
        self.panels: dict[str, EmulatorPanel] = {}
        self._show()
        self.chooser.param.watch(self._show, "value")
        self.view.param.watch(self.appear, "visible")

    def __panel__(self) -> pn.viewable.Viewable:
        return self.view

    @property
    def panel(self) -> EmulatorPanel:
        """That of the prior that is chosen."""
        prior = self.chooser.value
        if prior not in self.panels:
            several = len(self.chooser.options) > 1
            source = emulator_source(self.context, prior)
            self.panels[prior] = EmulatorPanel(
                self.state, source, self.chooser if several else None
            )
        return self.panels[prior]

    def _show(self, *_: param.parameterized.Event) -> None:
        self.view[:] = [self.panel.view]
        self.appear()

    def appear(self, *_: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        for panel in self.panels.values():
            panel.shown = self.view.visible and panel is self.panel


def prior_choices(bundle: Bundle) -> dict[str, str]:
    """Words of every prior, and its key."""
    return {
        f"{format_model(p.model, bundle.models[p.model].config)} ({PRIORS[p.kind].short})": key
        for key, p in bundle.priors.items()
    }
