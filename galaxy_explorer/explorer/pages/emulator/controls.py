"""What a visitor asks of the emulator: conditions, number and seed, and how a camera sees it.

The controls make up a request and observation settings; what cannot be had is refused here.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from galaxy_explorer.emulation.cameras import PROFILES
from galaxy_explorer.emulation.emulator import TTYPE, Field
from galaxy_explorer.emulation.light import Units
from galaxy_explorer.emulation.observation import ObservationSettings
from galaxy_explorer.emulation.request import (
    CHANGE,
    GUIDANCE,
    TEMPERATURE,
    USUAL_CHANGE,
    Like,
    Request,
)
from galaxy_explorer.errors import RequestError
from galaxy_explorer.explorer.assets import render
from galaxy_explorer.explorer.plots.palette import type_colour
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.components import (
    ConditionField,
    DropZone,
    HtmlPane,
    NumberField,
    TypeMorph,
)
from galaxy_explorer.explorer.widgets.controls import COMPACT, SMALL

FIRST_COUNT, MAX_COUNT = 16, 64
FIRST_SEED = 4  # a spiral seen nearly from above, so that arms come and go with T
FIRST_TYPE = 4.0
STAGE = 0.5
"""Stages of T between two pictures under the slider."""
SEED_BITS = 16
STEPS = 100
ANY_CLASS = "any"
ANY_WORDS = "Any: left to the model, as it comes among the training galaxies"
EXPLAINED = {
    "inclination": "EFIGI: 0 face-on, 1 edge-on", "bulge": "EFIGI: 0 no bulge, 1 nothing else",
    "arms": "EFIGI: 0 no arms, 1 the strongest", "bar": "EFIGI: 0 no bar, 1 the longest",
    "ring": "EFIGI: 0 no ring, 1 the strongest", "flocculence": "EFIGI: 0 smooth, 1 patchy",
    "dust": "EFIGI: 0 none, 1 the most", "axis_ratio": "Minor over major axis",
}  # fmt: skip
HEAT = (
    "1: as the prior has learned it. Below: more alike and more typical. Above: wilder, more often"
    " broken."
)
PULL = (
    "How many times as far as the prior itself goes towards what is asked for. 1: the prior."
    " More: clearer types, less variety."
)
CHANGED = (
    "0.05: next to nothing. 1: position, orientation and neighbours stay, all else may become"
    " another galaxy."
)


class ConditionControls(pn.viewable.Viewer):
    """Conditions, number, seed, temperature and guidance; `changed` counts what was changed.

    Everything that the browser sends is checked here, on the server; what is out of its range is
    told to `refuse` and changes nothing. guidance: the default one; None: the prior has none.
    check: raises RequestError for what the prior cannot draw.
    """

    changed = param.Integer(default=0, doc="Counts the changes.")

    def __init__(
        self,
        fields: Sequence[Field],
        guidance: float | None,
        refuse: Callable[[str], None],
        check: Callable[[Request], object] | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.fields, self._refuse = tuple(fields), refuse
        self._drawable = check or (lambda request: request.checked(self.fields))
        self.conditions: dict[str, ConditionField | TypeMorph] = {
            field.name: type_field(field) if field.name == TTYPE else condition_field(field)
            for field in fields
            if not field.equals
        }
        self.classes = {field.name: field.label for field in fields if field.equals}
        self.kind = pmui.Select(
            label="Class", value="", visible=bool(self.classes), margin=(8, 10, 4, 10), **SMALL,
            options={ANY_CLASS: "", **{label: name for name, label in self.classes.items()}},
        )  # fmt: skip
        self.count = NumberField(label="How many", margin=(4, 10))
        self.seed = NumberField(label="Seed", margin=(4, 10))
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
        self.change = ConditionField(
            label="How much may change", low=CHANGE[0], high=CHANGE[1], step=0.05,
            value=USUAL_CHANGE, free="", explanation=CHANGED, margin=(6, 10), visible=False,
        )  # fmt: skip
        self.request = self.first = first_request(fields)
        self.show()
        for name, control in self._controls().items():
            control.on_message = partial(self.on_message, name)
        self.kind.param.watch(lambda event: self.on_message("class", {"value": event.new}), "value")

    def _controls(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "guidance": self.guidance, "change": self.change}
        return {**self.conditions, **own, "count": self.count, "seed": self.seed}

    def on_message(self, name: str, message: dict[str, Any]) -> None:
        """Take over what the browser sends if it can be had; else say why not."""
        try:
            self.ask(self._asked(name, message.get("value")))
        except RequestError as error:
            if name in self._controls():
                self._controls()[name].refusals += 1
            self._refuse(str(error))

    def check(self, request: Request) -> None:
        """Raise RequestError for what cannot be had on this page."""
        self._drawable(request)
        if request.count > MAX_COUNT:
            raise RequestError(
                f"count {request.count}: a whole number from 1 to {MAX_COUNT} is possible on this"
                " page; galaxy-explorer generate makes any number"
            )

    def ask(self, request: Request) -> None:
        """Ask for this; raises RequestError where it cannot be had."""
        self.check(request)
        if request != self.request:
            self.request = request
            self.show()
            self.changed += 1

    def _asked(self, name: str, value: Any) -> Request:
        """The request with a new value of one control."""
        request = self.request
        if name == "change":
            galaxy = "" if request.like is None else request.like.galaxy
            return replace(request, like=Like(galaxy, value))
        if name not in self.conditions and name != "class":
            return replace(request, **{name: value})
        condition = {n: v for n, v in request.condition.items() if n != name}
        if name == "class":
            condition = {n: v for n, v in condition.items() if n not in self.classes}
            condition |= {value: 1.0} if value else {}
        elif value is not None:
            condition[name] = value
        return replace(request, condition=condition)

    def reset(self) -> None:
        """Ask for what a page without words asks for, of the same seed."""
        self.ask(replace(self.first, seed=self.request.seed))

    def show(self) -> None:
        """Show what is asked for."""
        request, condition = self.request, self.request.condition
        for name, control in self.conditions.items():
            control.value = condition.get(name)
        self.kind.value = next((name for name in self.classes if name in condition), "")
        self.count.value, self.seed.value = request.count, request.seed
        self.temperature.value, self.guidance.value = request.temperature, request.guidance
        self.change.visible = request.like is not None
        if request.like is not None:
            self.change.value = request.like.change

    def words(self, *, typed: bool) -> str:
        """What is asked for, in words: "T 4, redshift 0.05, seed 1"; typed: with the type."""
        fields = [field for field in self.fields if typed or field.name != TTYPE]
        values = [(field, self.request.condition.get(field.name)) for field in fields]
        parts = [format_condition(field, v) for field, v in values if isinstance(v, float | int)]
        like = [] if self.request.like is None else [f"like {self.request.like.galaxy}"]
        return ", ".join([*like, *parts, f"seed {self.request.seed}"])

    def __panel__(self) -> pn.Column:
        def roll(_: Any) -> None:
            self.on_message("seed", {"value": secrets.randbits(SEED_BITS)})

        dice = pmui.IconButton(
            icon="casino", description="New seed", on_click=roll, margin=(22, 6, 0, 0)
        )
        again = pmui.Button(
            label="Reset",
            size="small",
            variant="outlined",
            margin=(0, 10),
            on_click=lambda _: self.reset(),
        )
        numbers = pn.Row(self.count, self.seed, dice, sizing_mode="stretch_width")
        rest = [slider for name, slider in self.conditions.items() if name != TTYPE]
        words = HtmlPane(
            render("parts.soft", words="Ask for any of these; the rest is left to the model."),
            stylesheets=[STYLES], margin=(0, 10), sizing_mode="stretch_width",
        )  # fmt: skip
        pull = f"Temperature{' and guidance' if self.guided else ''}"
        return pn.Column(
            numbers, *([words, self.kind, *rest] if rest or self.classes else []), again,
            folded(pull, [self.temperature, self.guidance]), sizing_mode="stretch_width", margin=0,
        )  # fmt: skip


def first_request(fields: Sequence[Field]) -> Request:
    """What the page asks for when it is opened."""
    typed = [field for field in fields if field.name == TTYPE]
    condition = {field.name: first_type(field) for field in typed}
    return Request(FIRST_COUNT, FIRST_SEED, condition)


def first_type(field: Field) -> float:
    """The type that the page shows first."""
    types = stages(field)
    return min(max(FIRST_TYPE, types[0]), types[-1])


def format_condition(field: Field, value: float) -> str:
    """A condition in words: "T 4", "Redshift 0.05", "Spiral"."""
    if field.equals:
        return field.label if value else f"not {field.label}"
    label = "T" if field.name == TTYPE else field.label
    return f"{label} {value:g}{f' {field.unit}' if field.unit else ''}".replace("-", "−")


def condition_field(field: Field) -> ConditionField:
    """The control of one condition, within what a prior may be asked for."""
    return ConditionField(
        label=field.label[:1].upper() + field.label[1:], unit=field.unit, low=field.low,
        high=field.high, step=step_of(field), value=None, rest=field.default, log=field.log,
        explanation=EXPLAINED.get(field.name, ""), free_words=ANY_WORDS, margin=(6, 10),
    )  # fmt: skip


def type_field(field: Field) -> TypeMorph:
    """The slider of the Hubble type with the galaxy that it changes."""
    values = stages(field)
    return TypeMorph(
        margin=0, values=values, rest=first_type(field), free_words=ANY_WORDS,
        label=field.label, colours=[type_colour(value) for value in whole_types(field)],
    )  # fmt: skip


def stages(field: Field) -> list[float]:
    """Types that are drawn under the slider, every half stage of what may be asked for."""
    low, high = math.ceil(field.low / STAGE), math.floor(field.high / STAGE)
    return [STAGE * step for step in range(low, high + 1)]


def whole_types(field: Field) -> list[int]:
    """The whole types among them."""
    return [int(value) for value in stages(field) if value.is_integer()]


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
AS_DRAWN_WORDS = "Pixels, seeing and depth of the survey that the model learned, without noise."
SEEN_WORDS = (
    "The same galaxies on pixels of {pixel:g} arcsec, blurred by a PSF of {fwhm:.2g} arcsec (FWHM),"
    " under the noise of the sky and of their own photons."
)
MAX_PSF_BYTES = 2_000_000
SCALE_WORDS = (
    "How large a galaxy appears: arcsec of one pixel of the drawn stamp. Empty: as in the survey."
)
ZERO_WORDS = "Total magnitude of each galaxy. Empty: as asked for, else as usual in the survey."
LINKED = {"scale": "scale", "mag": "magnitude"}
"""Words of the address, and the number fields that they fill."""


class CameraControls(pn.viewable.Viewer):
    """Telescope, scale, magnitude and PSF; `observation` is what they make up.

    The telescope is `switch`, which belongs where it is always seen. Numbers are checked where they
    are used, by `Observer`.
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
        self.camera = pmui.Select(
            label="Telescope", options=cameras, value="", size="small", margin=(6, 12, 2, 0),
            sizing_mode="stretch_width", max_width=290, styles={"flex": "0 1 290px"},
        )  # fmt: skip
        self._seen = HtmlPane("", stylesheets=[STYLES], margin=(8, 0, 0, 0))
        self.scale = NumberField(
            partial(self._on_number, "scale"), label="Arcsec a pixel", margin=(4, 10),
            hint="" if units.pixel_scale_arcsec is None else f"{units.pixel_scale_arcsec:.3g}",
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
        self._change()
        for widget in (self.camera, self.layer, self.beside):
            widget.param.watch(self._change, "value")

    @property
    def switch(self) -> pn.Row:
        """The telescope, and what it does to the galaxies."""
        return pn.Row(
            self.camera, self._seen, sizing_mode="stretch_width", margin=0,
            styles={"flex-wrap": "wrap", "max-height": "none"},
        )  # fmt: skip

    def address(self) -> dict[str, str]:
        """The words of the address that reopen this; a PSF of one's own is in no address."""
        numbers = {word: getattr(self, name).value for word, name in LINKED.items()}
        words = {word: repr(value) for word, value in numbers.items() if value is not None}
        words |= {"telescope": self.camera.value} if self.camera.value else {}
        return words | ({} if self.layer.value else {"psf": "0"})

    def restore(self, words: Mapping[str, str]) -> list[str]:
        """Take over what an address says; what cannot be had, in sentences."""
        complaints = []
        for word, name in LINKED.items():
            if word in words and not self._on_number(name, {"value": as_number(words[word])}):
                complaints.append(f"The link's {word} {words[word][:40]!r} is no number")
        telescope = words.get("telescope", "")
        if telescope in {"", *PROFILES}:
            self.camera.value = telescope
        else:
            complaints.append(f"The link's telescope {telescope[:40]!r} is not known here")
        self.layer.value = words.get("psf") != "0"
        return complaints

    def _on_number(self, name: str, message: dict[str, Any]) -> bool:
        field, value = getattr(self, name), message.get("value")
        good = value is None or (isinstance(value, int | float) and math.isfinite(value))
        if good:
            field.value = value
            self._change()
        else:
            field.refusals += 1
            self.message.object = render(
                "parts.paragraph", words=f"{field.label}: a number, or nothing."
            )
        return good

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
        telescope = self.camera.value or None
        observation = ObservationSettings(
            telescope=telescope,
            psf=None if self._psf is None else self._psf[1],
            pixel_scale_arcsec=self.scale.value if telescope or self._psf else None,
            magnitude=self.magnitude.value if telescope else None,
            psf_layer=False if self._has_layer and not self.layer.value else None,
        )
        words = AS_DRAWN_WORDS
        if telescope is not None:
            camera = PROFILES[telescope].camera
            words = SEEN_WORDS.format(pixel=camera.pixel_scale_arcsec, fwhm=camera.psf_fwhm_arcsec)
        self._seen.object = render("parts.soft", words=words)
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
            sizes,
            HtmlPane(words, stylesheets=[STYLES], margin=(0, 10), sizing_mode="stretch_width"),
            self.layer, self.beside, self.zone, self.message, self.forget,
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip


def as_number(text: str) -> float | str:
    """The number of a text, or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _title(name: str) -> str:
    return PROFILES[name].words.split(":", maxsplit=1)[0]
