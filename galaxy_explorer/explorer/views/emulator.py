"""The Emulator page: galaxies that do not exist, of the types that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.bundle_prior_schema import CODE_PRIOR, FLOW, HIERARCHICAL
from galaxy_explorer.errors import BundleError
from galaxy_explorer.explorer.emulator_panel import EmulatorPanel, column, html_of
from galaxy_explorer.explorer.emulator_source import emulator_source
from galaxy_explorer.explorer.text import plain
from galaxy_explorer.explorer.words import model_words

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState

NO_PRIOR = "<h2>Emulator</h2><p>{error}; then restart the app.</p>"
KIND_WORDS = {CODE_PRIOR: "PixelCNN", HIERARCHICAL: "two PixelCNNs", FLOW: "flow"}


class Emulator(pn.viewable.Viewer):
    """One panel a prior; a chooser above their wishes says which is shown."""

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state, self.context = state, context
        self.view = pn.Column(sizing_mode="stretch_width", margin=0)
        try:
            main = emulator_source(context).emulator.model
        except BundleError as error:
            self.view.append(column(html_of(NO_PRIOR.format(error=plain(error)))))
            return
        choices = prior_choices(context.bundle)
        self.chooser = pmui.Select(
            label="Drawn by", options=choices, value=main, size="small",
            sizing_mode="stretch_width", margin=(6, 10),
        )  # fmt: skip
        self.panels: dict[str, EmulatorPanel] = {}
        self._show()
        self.chooser.param.watch(self._show, "value")
        self.view.param.watch(self._appear, "visible")

    def __panel__(self) -> pn.viewable.Viewable:
        return self.view

    @property
    def panel(self) -> EmulatorPanel:
        """That of the prior that is chosen."""
        model = self.chooser.value
        if model not in self.panels:
            several = len(self.chooser.options) > 1
            source = emulator_source(self.context, model)
            self.panels[model] = EmulatorPanel(
                self.state, source, self.chooser if several else None
            )
        return self.panels[model]

    def _show(self, *_: param.parameterized.Event) -> None:
        self.view[:] = [self.panel.view]
        self._appear()

    def _appear(self, *_: param.parameterized.Event) -> None:
        for panel in self.panels.values():
            panel.shown = self.view.visible and panel is self.panel


def prior_choices(bundle: Bundle) -> dict[str, str]:
    """Words of every prior, and the name of its model."""
    return {
        f"{model_words(name, bundle.models[name].config)} ({KIND_WORDS[prior.kind]})": name
        for name, prior in bundle.priors.items()
    }
