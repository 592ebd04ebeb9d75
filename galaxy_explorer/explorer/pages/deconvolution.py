"""The Deconvolution page: galaxies without their PSF (report, Figs 7 and 9), and how far to trust.

Pictures of one galaxy stand below each other: what was observed, what the network made of it, the
light without the PSF, that light through the PSF again, and what is left over. With a survey of
linear stamps on the machine its galaxies are deconvolved live, whether they are those of the bundle
or other ones. Without, the bundle's galaxies are drawn from their code maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from numpy.typing import NDArray

from galaxy_explorer.bundle.bundle import psf_model, psf_model_name, read_deconvolution
from galaxy_explorer.bundle.evaluation import Band, DeconvolutionFigure, DeconvolutionMeasures
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.context import found
from galaxy_explorer.explorer.pictures.display import (
    DisplaySettings,
    encode_sheet,
    limits,
    render_stamps,
)
from galaxy_explorer.explorer.plots.clusterings import residual_pictures
from galaxy_explorer.explorer.plots.models import mtf, radial_profiles
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES
from galaxy_explorer.explorer.widgets.components import HtmlPane, TileSheet, View, strip
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, keep_in_address
from galaxy_explorer.explorer.widgets.figures import FigurePane
from galaxy_explorer.survey.store import Survey

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


Images = NDArray[np.float32]

ORIGINAL, RECONSTRUCTION, DECONVOLVED = "original", "reconstruction", "deconvolved"
RECONVOLVED, RESIDUAL, TRUTH = "re-convolved", "residual", "truth"
ELECTRONS = "electrons_per_flux"
LIGHT_KINDS = (ORIGINAL, RECONSTRUCTION, DECONVOLVED, RECONVOLVED, TRUTH)


@dataclass(frozen=True)
class Scenes:
    """n galaxies: pictures (n, S, S) by kind, in sigma of the sky, and reduced chi^2 by kind (n,).

    The residual is over the sigma of each pixel. Kinds that cannot be had are absent.
    """

    names: tuple[str, ...]
    pictures: dict[str, Images]
    chi2: dict[str, NDArray[np.float64]]


class SceneSource:
    """Where the page's galaxies come from, N of them."""

    def __init__(self, bundle: Bundle, survey_path: str) -> None:
        self.bundle = bundle
        survey = Survey.open(found(survey_path)) if survey_path else None
        self.survey = survey if survey is not None and fits(survey, bundle) else None

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """Identifiers of all galaxies, (N,)."""
        table = self.bundle if self.survey is None else self.survey
        return np.asarray(table.column("galaxy_id"), str)

    @cached_property
    def test_rows(self) -> NDArray[np.int64]:
        """Galaxies that the model was not trained on; all where the bundle has none of them."""
        known = dict(zip(self.bundle.column("galaxy_id"), self.bundle.column("split"), strict=True))
        split = np.array([known.get(name, "test") for name in self.names])
        return np.flatnonzero(split == "test")

    @property
    def scale_arcsec(self) -> float:
        """Pixel scale of the stamps."""
        return self.bundle.manifest.survey.pixel_scale_arcsec or math.nan

    def scenes(self, rows: NDArray[np.int64]) -> Scenes:
        """Pictures of galaxies; slow: about 0.2 s each where they are deconvolved."""
        names = tuple(str(name) for name in self.names[rows])
        if self.survey is None:
            from galaxy_explorer.deconvolution.network import drawn_light

            codes = self.bundle.codes(psf_model_name(self.bundle) or "")[rows]
            light, seen = drawn_light(psf_model(self.bundle), codes)
            drawn = {RECONSTRUCTION: seen, DECONVOLVED: light}
            return Scenes(names, drawn, {})
        from galaxy_explorer.deconvolution.network import deconvolve
        from galaxy_explorer.deconvolution.observations import stamps_observed

        columns = (self.survey.column("sky")[rows], self.survey.column("sky_sigma")[rows])
        stamps, electrons = self.survey.stamps(rows)[:, 0], self._electrons(self.survey, rows)
        observed = stamps_observed(stamps, *columns, self._psf(self.survey, rows), electrons)
        made = deconvolve(psf_model(self.bundle), observed)
        unit = observed.sky_sigma[:, None, None]
        residual = (observed.pixels - made.blurred) / observed.sigma
        first = (observed.pixels - made.network_blurred) / observed.sigma
        pictures = {
            ORIGINAL: observed.pixels / unit, RECONSTRUCTION: made.network_blurred / unit,
            DECONVOLVED: made.light / unit, RECONVOLVED: made.blurred / unit, RESIDUAL: residual,
        }  # fmt: skip
        if "truth" in self.survey.extra_names:
            pictures[TRUTH] = self.survey.truth(rows)[:, 0] / unit
        chi2 = {RECONSTRUCTION: _reduced(first), RECONVOLVED: _reduced(residual)}
        return Scenes(names, pictures, chi2)

    @cached_property
    def usual_electrons(self) -> float | None:
        """Median photo-electrons per unit of flux of the bundle's galaxies; None if not known."""
        if ELECTRONS not in self.bundle.column_names:
            return None
        return float(np.nanmedian(self.bundle.column(ELECTRONS)))

    @property
    def assumes_photons(self) -> bool:
        """Whether the photon noise of the stamps is taken to be as in the bundle's survey."""
        known = self.survey is None or ELECTRONS in self.survey.column_names
        return not known and self.usual_electrons is not None

    def _electrons(self, survey: Survey, rows: NDArray[np.int64]) -> NDArray[np.floating] | None:
        """Photo-electrons per unit of flux, (n,); as in the bundle's survey where not stated."""
        if ELECTRONS in survey.column_names:
            return np.asarray(survey.column(ELECTRONS)[rows], np.float64)
        usual = self.usual_electrons
        return None if usual is None else np.full(len(rows), usual)

    def _psf(self, survey: Survey, rows: NDArray[np.int64]) -> Images:
        if "psf" in survey.extra_names:
            return np.asarray(survey.extra_array("psf", rows), np.float32)
        return np.repeat(psf_model(self.bundle).psf.numpy()[None], len(rows), 0)


def _reduced(residual: Images) -> NDArray[np.float64]:
    return np.asarray(np.square(residual, dtype=np.float64).mean((1, 2)))


def fits(survey: Survey, bundle: Bundle) -> bool:
    """Whether stamps of a survey are such as the model takes: linear, one band, as large."""
    meta, wanted = survey.meta, bundle.manifest.survey
    size = (wanted.stamp_size, wanted.channels)
    alike = (meta.get("stamp_size"), meta.get("channels")) == size
    return alike and meta["stretch"]["state"] == "linear"


def profile(image: Images, scale_arcsec: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of an image (S, S) in rings of a pixel around its centre: radius in arcsec, value."""
    size = image.shape[-1]
    axis = np.arange(size) - (size - 1) / 2
    ring = np.hypot(axis[:, None], axis).astype(np.int64).ravel()
    inside = ring < size // 2
    counts = np.bincount(ring[inside])
    sums = np.bincount(ring[inside], image.ravel()[inside])
    radius = np.asarray((np.arange(len(counts)) + 0.5) * scale_arcsec, np.float64)
    return radius, np.asarray(sums / counts, np.float64)


def with_bar(pictures: NDArray[np.uint8], scale_arcsec: float) -> NDArray[np.uint8]:
    """Pictures (n, S, S, 3) with a bar of one arcsec in the lower left corner."""
    length = round(1 / scale_arcsec)
    marked: NDArray[np.uint8] = pictures.copy()
    marked[:, -6:-3, 3 : length + 5] = 0
    marked[:, -5:-4, 4 : length + 4] = 255
    return marked


def figure_table(found: DeconvolutionMeasures) -> list[dict[str, Any]]:
    """Figures grouped for a table: name, unit, peak S/N, and value by method."""
    rows: dict[tuple[str, float], dict[str, Any]] = {}
    for figure in found.figures:
        key = (figure.name, figure.peak_sn)
        row = rows.setdefault(key, {"name": key[0], "peak_sn": key[1], "unit": figure.unit})
        row.setdefault("values", {})[figure.method] = figure
    return [
        rows[key]
        for key in sorted(
            rows,
            key=lambda key: (
                next(i for i, figure in enumerate(found.figures) if figure.name == key[0]),
                key[1],
            ),
        )
    ]


N_GALAXIES = 10
RESIDUAL_LIMIT = 5
HALF = {"flex": "1 1 420px", "min-width": "0"}
NOTES = {
    ORIGINAL: "as observed; bar: 1 arcsec",
    RECONSTRUCTION: "by the network, through the PSF",
    DECONVOLVED: "the light without the PSF",
    TRUTH: "simulated, un-convolved",
    RECONVOLVED: "deconvolved, through the PSF",
    RESIDUAL: f"original − re-convolved, over σ: blue −{RESIDUAL_LIMIT}, red +{RESIDUAL_LIMIT}",
}
LIVE = (
    "Deconvolved here and now: the network reads the stamp, the data correct it. Click a picture"
    " for the galaxy's profile."
)
ASSUMED = (
    "The stamps state no exposure: their light has the photon noise that is usual in the survey"
    " that the model was trained on, and their PSF is that survey's mean."
)
DRAWN = (
    "The stamps are not on this machine: the galaxies are drawn from their code maps, with the"
    " network's light alone. Start the app with a survey of linear stamps to deconvolve them."
)
NO_FIGURES = (
    "This bundle holds no figures yet: galaxy-explorer evaluate-deconvolution measures them."
)
TABLE_STYLES = """
table { border-collapse: collapse; width: 100%; }
th, td { padding: 2px 8px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { font-weight: 600; border-bottom: 1px solid currentColor; }
td small { opacity: 0.65; }
td.best { font-weight: 700; }
.wide { overflow-x: auto; }
"""


class DeconvolutionPage(View):
    """Pictures on top; below, the profile of one galaxy, the MTF, and figures against truth."""

    page = param.Integer(default=0, bounds=(0, None), doc="Page of galaxies, from 0.")
    chosen = param.Integer(default=0, doc="Place of the galaxy whose profile is shown.")

    def __init__(self, state: ExplorerState, context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.source = SceneSource(state.bundle, context.settings.survey)
        self.found = read_deconvolution(state.bundle)
        self.scenes: Scenes | None = None
        self.table = TileSheet(self.on_message, kind="strips")
        self.profiles = FigurePane(min_height=300)
        self.words = HtmlPane("", stylesheets=[STYLES], margin=0, sizing_mode="stretch_width")
        self.task = LatestTask(self.prepare, self.fill)
        keep_in_address(state, self, {"galaxies": "page"})
        self.param.watch(self.task.ask, "page")
        self.param.watch(lambda _: self._show_profile(), "chosen")
        state.display.param.watch(self.task.ask, ["colour_map", "invert"])
        pager = pn.Row(
            _turn("Previous", self, -1), _turn("Next", self, 1),
            _note(f"{len(self.source.test_rows):,} galaxies that the model was not trained on"),
            margin=(0, 0, 4, 0), sizing_mode="stretch_width",
        )  # fmt: skip
        left = pn.Column(
            self.words, self.profiles, sizing_mode="stretch_width", styles=HALF
        )  # fmt: skip
        parts = [left] if self.found is None else [left, psf_band(self.found.band)]
        title = render("parts.title", words="Deconvolution")
        figures = NO_FIGURES if self.found is None else figures_html(self.found)
        self.view = pn.Column(
            HtmlPane(title, stylesheets=[STYLES], margin=(6, 0, 2, 0)),
            pager, self.table,
            pn.Row(
                *parts, sizing_mode="stretch_width", margin=(10, 0),
                styles={"flex-wrap": "wrap", "gap": "8px 20px", "max-height": "none"},
            ),
            HtmlPane(
                figures, stylesheets=[STYLES, TABLE_STYLES], sizing_mode="stretch_width",
                css_classes=["deconvolution-figures"],
            ),
            sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip
        self.view.param.watch(self.appear, "visible")
        self.task.ask()

    def appear(self, event: param.parameterized.Event) -> None:
        """Draw only while the page can be seen."""
        self.task.shown = event.new

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        row = message.get("tile")
        if isinstance(row, int) and self.scenes and 0 <= row < len(self.scenes.names):
            self.chosen = row

    @property
    def pages(self) -> int:
        """Number of pages of galaxies."""
        return max(1, -(-len(self.source.test_rows) // N_GALAXIES))

    def prepare(self) -> Callable[[], tuple[Scenes, dict[str, Any]]]:
        """What to draw now; it is made in a thread."""
        start = self.page % self.pages * N_GALAXIES
        rows = self.source.test_rows[start : start + N_GALAXIES]
        return partial(self._content, rows, self.state.display)

    def _content(
        self, rows: NDArray[np.int64], display: DisplaySettings
    ) -> tuple[Scenes, dict[str, Any]]:
        scenes = self.source.scenes(rows)
        columns = [galaxy_values(place, name) for place, name in enumerate(scenes.names)]
        lines, sheets = [], []
        for place, kind in enumerate(k for k in NOTES if k in scenes.pictures):
            figures = [(f"χ² {value:.2f}", False) for value in scenes.chi2.get(kind, ())]
            title, first = kind.capitalize(), place * len(rows)
            lines.append(strip(title, NOTES[kind], title, first, columns, figures=figures))
            drawn = scene_pictures(scenes, kind, display)
            sheets.append(with_bar(drawn, self.source.scale_arcsec) if not place else drawn)
        content = {
            "sheet": encode_sheet(np.concatenate(sheets), len(rows)),
            "sheet_columns": len(rows),
            "sheet_rows": len(lines),
            "columns": columns,
            "rows": lines,
            "heading": self._heading(),
        }
        return scenes, content

    def _heading(self) -> str:
        if self.source.survey is None:
            return DRAWN
        return f"{LIVE} {ASSUMED}" if self.source.assumes_photons else LIVE

    def fill(self, made: tuple[Scenes, dict[str, Any]]) -> None:
        """Show what was made."""
        self.scenes, content = made
        self.table.param.update(**content, stamp=self.task.number)
        if self.chosen:
            self.chosen = 0
        else:
            self._show_profile()

    def _show_profile(self) -> None:
        # Scheduled: a choice may come from a thread, without the lock that Bokeh's figures need.
        pn.state.execute(self._fill_profile, schedule=True)

    def _fill_profile(self) -> None:
        if self.scenes is None:
            return
        scale, pictures = self.source.scale_arcsec, self.scenes.pictures
        made = {k: profile(pictures[k][self.chosen], scale) for k in LIGHT_KINDS if k in pictures}
        self.profiles.object = radial_profiles(made)
        chi2 = self.scenes.chi2.get(RECONVOLVED)
        fit = "" if chi2 is None else f", reduced χ² re-convolved {chi2[self.chosen]:.2f}"
        words = f"Radial profile of {self.scenes.names[self.chosen]}{fit}"
        self.words.object = render("parts.heading", words=words)


def psf_band(band: Band) -> pn.Column:
    """The MTF, with the limit in words."""
    words = render("pages.psf_band", limit=f"{band.limit_cycles_per_arcsec:.2f}")
    return pn.Column(
        HtmlPane(words, stylesheets=[STYLES], margin=0, sizing_mode="stretch_width"),
        FigurePane(mtf(band)),
        sizing_mode="stretch_width", styles=HALF,
    )  # fmt: skip


def _turn(words: str, page: DeconvolutionPage, step: int) -> pmui.Button:
    def turn(_: Any) -> None:
        page.page = (page.page + step) % page.pages

    return pmui.Button(
        label=words, size="small", variant="outlined", margin=(0, 8, 0, 0), on_click=turn
    )


def _note(words: str) -> pn.pane.HTML:
    return HtmlPane(render("parts.soft", words=words), stylesheets=[STYLES], margin=(6, 0))


def scene_pictures(scenes: Scenes, kind: str, display: DisplaySettings) -> NDArray[np.uint8]:
    """Pictures of one kind: observed ones and light on the scale of the first kind, arcsinh."""
    if kind == RESIDUAL:
        return residual_pictures(scenes.pictures[kind], RESIDUAL_LIMIT)
    shown = DisplaySettings(
        stretch="asinh", percentile=99.8, colour_map=display.colour_map, invert=display.invert
    )
    reference = scenes.pictures.get(ORIGINAL, scenes.pictures[RECONSTRUCTION])
    return render_stamps(scenes.pictures[kind], shown, limits(reference, shown))


def galaxy_values(place: int, name: str) -> dict[str, Any]:
    """A galaxy as the heading of a column."""
    short = name if len(name) <= 13 else f"…{name[-12:]}"
    return {"id": place, "name": short, "note": "", "words": name}


def figures_html(found: DeconvolutionMeasures) -> Html:
    """The figures against truth as a table; bold: the best of a line."""
    methods = list(dict.fromkeys(figure.method for figure in found.figures))
    rows = []
    for row in figure_table(found):
        best, cells = best_method(row), []
        for method in methods:
            figure = row["values"].get(method)
            cells.append(figure and cell_values(figure, row["unit"]) | {"best": method == best})
        name = row["name"].replace("chi^2", "χ²")
        rows.append({"name": f"{name}, peak S/N {row['peak_sn']:g}", "cells": cells})
    n = min(figure.n for figure in found.figures)
    return render("pages.truth", n=n, methods=methods, rows=rows)


def best_method(row: dict[str, Any]) -> str:
    """Method with the best value: highest PSNR, chi^2 nearest 1, else nearest 0."""
    goal = 1.0 if "chi" in row["name"] else 0.0

    def badness(method: str) -> float:
        value = float(row["values"][method].value)
        return -value if row["unit"] == "dB" else abs(value - goal)

    methods: list[str] = sorted(row["values"], key=badness)
    return methods[0]


def cell_values(figure: DeconvolutionFigure, unit: str) -> dict[str, Any]:
    """A figure with its interval, in words with a true minus."""
    value, low, high = (
        f"{value:.3g}".replace("-", "−") for value in (figure.value, figure.low, figure.high)
    )
    return {"value": f"{value} {unit.replace('-', '−')}", "interval": f"{low} to {high}"}
