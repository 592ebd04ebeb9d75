"""How a visitor wants synthetic galaxies observed: the camera, its PSF, size and brightness."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.emulation.cameras import PROFILES
from galaxy_explorer.emulation.light import Units
from galaxy_explorer.emulation.maker import Wish
from galaxy_explorer.explorer.cluster_words import STYLES
from galaxy_explorer.explorer.esm import DropZone, NumberField
from galaxy_explorer.explorer.text import plain

AS_DRAWN = "As the model draws them"
MAX_PSF_BYTES = 2_000_000
SMALL: dict[str, Any] = {"size": "small", "sizing_mode": "stretch_width"}
SCALE_WORDS = (
    "How large a galaxy appears: arcsec of one pixel of the drawn stamp. Empty: as in the survey."
)
ZERO_WORDS = "Total magnitude of each galaxy. Empty: as asked for, else as usual in the survey."


class CameraWishes(pn.viewable.Viewer):
    """Camera, scale, magnitude and PSF; `wish` is what they make up.

    Numbers are checked where they are used, by `maker.Maker`.
    """

    wish = param.ClassSelector(class_=Wish, default=Wish(), doc="How the galaxies shall be seen.")
    twins = param.Boolean(default=False, doc="Whether deconvolved twins stand beside them.")

    def __init__(self, units: Units, *, has_layer: bool, **params: Any) -> None:
        super().__init__(**params)
        self._psf: tuple[str, bytes] | None = None
        cameras = {AS_DRAWN: "", **{_title(name): name for name in PROFILES}}
        self.camera = pmui.Select(label="Observe with", options=cameras, value="", **SMALL)
        scale = units.pixel_scale_arcsec
        self.scale = NumberField(
            partial(self._on_number, "scale"), label="Arcsec a pixel", margin=(4, 10),
            hint="" if scale is None else f"{scale:.3g}",
        )  # fmt: skip
        self.magnitude = NumberField(
            partial(self._on_number, "magnitude"), label="Magnitude", margin=(4, 10)
        )
        self.layer = pmui.Switch(label="With the survey's own PSF", value=True, visible=has_layer)
        self.beside = pmui.Switch(label="Deconvolved twins beside", value=False, visible=has_layer)
        self.zone = DropZone(
            self._on_message, words="A PSF of your own (FITS)", accept=".fits,.fit,.fts,.gz",
            limit=MAX_PSF_BYTES, margin=(4, 10),
        )  # fmt: skip
        self.said = pn.pane.HTML("", stylesheets=[STYLES], margin=(0, 10))
        self.forget = pmui.Button(
            label="Forget this PSF", variant="text", size="small", visible=False,
            on_click=lambda _: self._take(None),
        )  # fmt: skip
        self._has_layer = has_layer
        for widget in (self.camera, self.layer, self.beside):
            widget.param.watch(self._change, "value")

    def _on_number(self, name: str, message: dict[str, Any]) -> None:
        field, value = getattr(self, name), message.get("value")
        if value is None or (isinstance(value, int | float) and math.isfinite(value)):
            field.value = value
            self._change()
        else:
            field.refusals += 1
            self.said.object = f"<p>{field.label}: a number, or nothing.</p>"

    def _on_message(self, message: dict[str, Any]) -> None:
        data = message.get("data")
        if isinstance(data, bytes) and 0 < len(data) <= MAX_PSF_BYTES:
            self._take((str(message.get("name"))[:80], data))
        elif "size" in message:
            self.said.object = f"<p>A PSF of at most {MAX_PSF_BYTES // 1_000_000} MB, please.</p>"

    def _take(self, psf: tuple[str, bytes] | None) -> None:
        self._psf = psf
        self.forget.visible = psf is not None
        self.said.object = "" if psf is None else f"<p>PSF: {plain(psf[0])}</p>"
        self._change()

    def _change(self, *_: param.parameterized.Event) -> None:
        wish = Wish(
            telescope=self.camera.value or None,
            psf=None if self._psf is None else self._psf[1],
            pixel_scale_arcsec=self.scale.value if self.camera.value or self._psf else None,
            magnitude=self.magnitude.value if self.camera.value else None,
            psf_layer=False if self._has_layer and not self.layer.value else None,
        )
        # A twin is what the model draws before the PSF: beside anything else it says nothing.
        self.beside.disabled = wish != Wish()
        twins = self.beside.value and not self.beside.disabled
        self.param.update(wish=wish, twins=twins)

    def words(self) -> str:
        """The camera in words; empty for none."""
        name = self.wish.telescope
        own = "own PSF" if self._psf else ""
        return ", ".join(part for part in (_title(name) if name else "", own) if part)

    def __panel__(self) -> pn.Column:
        sizes = pn.Row(self.scale, self.magnitude, sizing_mode="stretch_width")
        words = f'<p class="soft">{SCALE_WORDS} {ZERO_WORDS}</p>'
        return pn.Column(
            self.camera, sizes,
            pn.pane.HTML(words, stylesheets=[STYLES], margin=(0, 10), sizing_mode="stretch_width"),
            self.layer, self.beside, self.zone, self.said, self.forget,
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip


def _title(name: str) -> str:
    return PROFILES[name].words.split(":", maxsplit=1)[0]
