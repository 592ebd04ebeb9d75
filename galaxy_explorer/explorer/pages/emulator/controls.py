"""What a visitor asks of the emulator: conditions, number and seed, and how a camera sees it.

The controls make up a request and observation settings; what cannot be had is refused here.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.emulation.cameras import PROFILES
from galaxy_explorer.emulation.emulator import Field
from galaxy_explorer.emulation.light import Units
from galaxy_explorer.emulation.observation import ObservationSettings
from galaxy_explorer.emulation.request import GUIDANCE, TEMPERATURE, Request
from galaxy_explorer.errors import RequestError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.plots.palette import T_RANGE, type_colour
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.components import (
    ConditionField,
    DropZone,
    HtmlPane,
    NumberField,
)
from galaxy_explorer.explorer.widgets.controls import COMPACT, SMALL

TTYPE = "ttype"
FIRST_COUNT, MAX_COUNT = 16, 64
FIRST_SEED = 1
FIRST_TYPE = 4.0
SEED_BITS = 16
STEPS = 100
ANY_WORDS = "Not fixed: left to the prior, as it comes among the training galaxies"
HEAT = (
    "1: as the prior has learned it. Below: more alike and more typical. Above: wilder, more often"
    " broken."
)
PULL = (
    "How many times as far as the prior itself goes towards what is asked for. 1: the prior."
    " More: clearer types, less variety."
)


class ConditionControls(pn.viewable.Viewer):
    """Conditions, number, seed, temperature and guidance; `changed` counts what was changed.

    Everything that the browser sends is checked here, on the server; what is out of its range is
    told to `refuse` and changes nothing. guidance: the default one; None: the prior has none.
    """

    changed = param.Integer(default=0, doc="Counts the changes.")

    def __init__(
        self,
        fields: Sequence[Field],
        guidance: float | None,
        refuse: Callable[[str], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.fields, self._refuse = tuple(fields), refuse
        self.conditions = {field.name: condition_field(field) for field in fields}
        self.count = NumberField(label="How many", value=FIRST_COUNT, margin=(4, 10))
        self.seed = NumberField(label="Seed", value=FIRST_SEED, margin=(4, 10))
        self.temperature = ConditionField(
            label="Temperature", low=TEMPERATURE[0], high=TEMPERATURE[1], step=0.05, value=1.0,
            free="", explanation=HEAT, margin=(6, 10),
        )  # fmt: skip
        self.guided = guidance is not None
        rest = guidance or 1.0
        self.guidance = ConditionField(
            label="Guidance", low=GUIDANCE[0], high=GUIDANCE[1], step=0.25, value=None,
            rest=rest, free=f"default ({rest:g})", explanation=PULL, margin=(6, 10),
            free_words="Chosen on validation galaxies", visible=self.guided,
        )  # fmt: skip
        self._good = self._asked()
        for name, control in self._controls().items():
            control.on_message = partial(self.on_message, name)

    def _controls(self) -> dict[str, ConditionField | NumberField]:
        own = {"temperature": self.temperature, "guidance": self.guidance}
        return {**self.conditions, **own, "count": self.count, "seed": self.seed}

    def on_message(self, name: str, message: dict[str, Any]) -> None:
        """Take over what the browser sends if it can be had; else say why not."""
        control, value = self._controls()[name], message.get("value")
        try:
            self._good = self._asked(**{name: value})
        except RequestError as error:
            control.refusals += 1
            self._refuse(str(error))
            return
        control.value = value
        self.changed += 1

    def _asked(self, **new: Any) -> Request:
        """What the controls ask for, with a new value of one; raises RequestError."""
        asked = {name: control.value for name, control in self._controls().items()} | new
        count = asked["count"]
        if isinstance(count, int) and count > MAX_COUNT:
            raise RequestError(
                f"count {count}: a whole number from 1 to {MAX_COUNT} is possible on this page;"
                " galaxy-explorer generate makes any number"
            )
        values = {name: asked[name] for name in self.conditions}
        return Request(
            count=count,
            seed=asked["seed"],
            condition={name: value for name, value in values.items() if value is not None},
            temperature=asked["temperature"],
            guidance=asked["guidance"],
        ).checked(self.fields)

    @property
    def request(self) -> Request:
        """What was last asked for and can be had."""
        return self._good

    def words(self, *, typed: bool) -> str:
        """What is asked for, in words: "T 4, redshift 0.05, seed 1"; typed: with the type."""
        fields = [field for field in self.fields if typed or field.name != TTYPE]
        values = [(field, self._good.condition.get(field.name)) for field in fields]
        parts = [format_condition(field, v) for field, v in values if isinstance(v, float | int)]
        return ", ".join([*parts, f"seed {self._good.seed}"])

    def __panel__(self) -> pn.Column:
        def roll(_: Any) -> None:
            self.on_message("seed", {"value": secrets.randbits(SEED_BITS)})

        dice = pmui.IconButton(
            icon="casino", description="New seed", on_click=roll, margin=(22, 6, 0, 0)
        )
        numbers = pn.Row(self.count, self.seed, dice, sizing_mode="stretch_width")
        first = [self.conditions[TTYPE]] if TTYPE in self.conditions else []
        rest = [slider for name, slider in self.conditions.items() if name != TTYPE]
        pull = f"Temperature{' and guidance' if self.guided else ''}"
        further = [folded("Further conditions", rest)] if rest else []
        return pn.Column(
            *first, numbers, *further,
            folded(pull, [self.temperature, self.guidance]), sizing_mode="stretch_width", margin=0,
        )  # fmt: skip


def first_request(fields: Sequence[Field]) -> Request:
    """What the page asks for when it is opened."""
    typed = [field for field in fields if field.name == TTYPE]
    condition = {field.name: first_type(field) for field in typed}
    return Request(FIRST_COUNT, FIRST_SEED, condition)


def first_type(field: Field) -> float:
    """The type that the page shows first."""
    types = whole_types(field)
    return min(max(FIRST_TYPE, types[0]), types[-1])


def format_condition(field: Field, value: float) -> str:
    """A condition in words: "T 4", "Redshift 0.05"."""
    label = "T" if field.name == TTYPE else field.label
    return f"{label} {value:g}{f' {field.unit}' if field.unit else ''}".replace("-", "−")


def condition_field(field: Field) -> ConditionField:
    """The control of one condition, within what a prior may be asked for."""
    appearance: dict[str, Any] = {"step": step_of(field), "value": None, "rest": field.default}
    label = field.label[:1].upper() + field.label[1:]
    if field.name == TTYPE:
        chips = whole_types(field)
        middle = first_type(field)
        appearance |= {"step": 0.1, "value": middle, "rest": middle, "chips": chips}
        appearance |= {"colours": [type_colour(chip) for chip in chips]}
    low, high = (chips[0], chips[-1]) if field.name == TTYPE else (field.low, field.high)
    return ConditionField(
        label=label, unit=field.unit, low=low, high=high, free_words=ANY_WORDS, margin=(6, 10),
        **appearance,
    )  # fmt: skip


def whole_types(field: Field) -> list[int]:
    """The classes of the Hubble type, -3 to 6, as far as a prior may be asked for them."""
    low, high = T_RANGE
    return list(range(max(low, math.ceil(field.low)), min(high, math.floor(field.high)) + 1))


def step_of(field: Field) -> float:
    """A round step that divides the range of a field into about a hundred."""
    raw = (field.high - field.low) / STEPS
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return power * next((m for m in (1, 2, 5) if m * power >= raw), 10)


def folded(words: str, parts: list[Any]) -> pmui.Accordion:
    """Parts that a click on the words unfolds."""
    return pmui.Accordion(
        (words, pn.Column(*parts, sizing_mode="stretch_width", margin=0)), active=[],
        disable_gutters=True, sizing_mode="stretch_width", margin=(5, 10), sx=COMPACT,
    )  # fmt: skip


AS_DRAWN = "As the model draws them"
MAX_PSF_BYTES = 2_000_000
SCALE_WORDS = (
    "How large a galaxy appears: arcsec of one pixel of the drawn stamp. Empty: as in the survey."
)
ZERO_WORDS = "Total magnitude of each galaxy. Empty: as asked for, else as usual in the survey."


class CameraControls(pn.viewable.Viewer):
    """Camera, scale, magnitude and PSF; `observation` is what they make up.

    Numbers are checked where they are used, by `Observer`.
    """

    observation = param.ClassSelector(
        class_=ObservationSettings,
        default=ObservationSettings(),
        doc="How the galaxies shall be seen.",
    )
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
            self.on_message, words="A PSF of your own (FITS)", accept=".fits,.fit,.fts,.gz",
            limit=MAX_PSF_BYTES, margin=(4, 10),
        )  # fmt: skip
        self.message = HtmlPane("", stylesheets=[STYLES], margin=(0, 10))
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
            self.message.object = render(
                "parts.paragraph", words=f"{field.label}: a number, or nothing."
            )

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        data = message.get("data")
        if isinstance(data, bytes) and 0 < len(data) <= MAX_PSF_BYTES:
            self._take((str(message.get("name"))[:80], data))
        elif "size" in message:
            words = f"A PSF of at most {MAX_PSF_BYTES // 1_000_000} MB, please."
            self.message.object = render("parts.paragraph", words=words)

    def _take(self, psf: tuple[str, bytes] | None) -> None:
        self._psf = psf
        self.forget.visible = psf is not None
        self.message.object = (
            "" if psf is None else render("parts.paragraph", words=f"PSF: {psf[0]}")
        )
        self._change()

    def _change(self, *_: param.parameterized.Event) -> None:
        observation = ObservationSettings(
            telescope=self.camera.value or None,
            psf=None if self._psf is None else self._psf[1],
            pixel_scale_arcsec=self.scale.value if self.camera.value or self._psf else None,
            magnitude=self.magnitude.value if self.camera.value else None,
            psf_layer=False if self._has_layer and not self.layer.value else None,
        )
        # A twin is what the model draws before the PSF: beside anything else it says nothing.
        self.beside.disabled = observation != ObservationSettings()
        twins = self.beside.value and not self.beside.disabled
        self.param.update(observation=observation, twins=twins)

    def words(self) -> str:
        """The camera in words; empty for none."""
        name = self.observation.telescope
        own = "own PSF" if self._psf else ""
        return ", ".join(part for part in (_title(name) if name else "", own) if part)

    def __panel__(self) -> pn.Column:
        sizes = pn.Row(self.scale, self.magnitude, sizing_mode="stretch_width")
        words = render("parts.soft", words=f"{SCALE_WORDS} {ZERO_WORDS}")
        return pn.Column(
            self.camera, sizes,
            HtmlPane(words, stylesheets=[STYLES], margin=(0, 10), sizing_mode="stretch_width"),
            self.layer, self.beside, self.zone, self.message, self.forget,
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip


def _title(name: str) -> str:
    return PROFILES[name].words.split(":", maxsplit=1)[0]
