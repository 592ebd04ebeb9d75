"""Strips: the same galaxies as several models reconstruct them, with what is left over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import panel as pn
import param
from numpy.typing import NDArray

from galaxy_explorer.explorer.background import LatestTask
from galaxy_explorer.explorer.pictures.display import absent, encode_sheet, limits, render_stamps
from galaxy_explorer.explorer.plots.clusterings import format_residual, residual_pictures
from galaxy_explorer.explorer.widgets.components import TileSheet, strip
from galaxy_explorer.explorer.widgets.detail import RESIDUAL_LIMIT
from galaxy_explorer.explorer.wording import format_model, format_ttype, typical_order

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState

N_GALAXIES = 10
NAME_LENGTH = 11
"""Longer names lose their beginning: numbers of a survey differ at their end."""
NO_ORIGINALS = (
    "The originals are not on this machine, so there are no residuals to show: start the app with"
    " the survey to see them. The error of each galaxy is known from the training."
)


def varied_galaxies(bundle: Bundle, model: str) -> NDArray[np.int64]:
    """One galaxy of each Hubble type that occurs, T = -3 first: the same at each visit.

    Of each class, the galaxy of the test split (of all, if none is) with the median error of
    `model`'s reconstruction.
    """
    classes, errors = bundle.column("ttype_class"), bundle.column(f"{model}/error")
    test = bundle.column("split") == "test"
    chosen = []
    for number in range(10):
        members = np.flatnonzero(classes == number)
        if not len(members):
            continue
        members = members[test[members]] if test[members].any() else members
        chosen.append(members[np.argsort(errors[members], kind="stable")[len(members) // 2]])
    if not chosen:
        return np.arange(min(N_GALAXIES, len(bundle)))
    return np.array(chosen, np.int64)


class Strips(pn.viewable.Viewer):
    """Originals, reconstructions by several models, and residuals (report, Fig. 16)."""

    models = param.List(default=[], doc="Names of the models, from top to bottom.")
    picked = param.List(default=[], doc="Rows that the visitor picked; empty: the selection.")

    def __init__(
        self,
        state: ExplorerState,
        stamps: StampStore,
        table: TileSheet | None = None,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.state, self.stamps = state, stamps
        self.table = TileSheet(self.on_message, kind="strips") if table is None else table
        self.task = LatestTask(self.prepare, self.fill)
        self.param.watch(self.task.ask, ["models", "picked"])
        state.param.watch(self.task.ask, "selection")
        state.display.param.watch(self.task.ask, list(state.display.param.values()))
        self.task.ask()

    def __panel__(self) -> TileSheet:
        return self.table

    def rows(self) -> NDArray[np.int64]:
        """What is shown: the picked galaxies, else the most typical selected, else a varied set."""
        if self.picked:
            return np.array(self.picked[:N_GALAXIES], np.int64)
        selected = self.state.selection
        if not len(selected):
            return varied_galaxies(self.state.bundle, self.state.bundle.manifest.display_model)
        clustering = self.state.bundle.clusterings[self.state.clustering]
        return typical_order(clustering, selected)[:N_GALAXIES]

    def on_message(self, message: dict[str, Any]) -> None:
        """Answer the browser."""
        self.state.focus_on(message.get("tile"))

    def prepare(self) -> Callable[[], dict[str, Any]]:
        """What to draw now; it is made in a thread."""
        return partial(self._content, self.rows(), list(self.models))

    def _content(self, rows: NDArray[np.int64], models: list[str]) -> dict[str, Any]:
        columns = [galaxy_values(self.state.bundle, int(row)) for row in rows]
        lines, pictures = self._lines(rows, models, columns)
        if self.picked:
            words = "The galaxies that you picked."
        elif len(self.state.selection):
            words = f"The most typical galaxies of the selection ({self.state.selection_label})."
        else:
            words = "One galaxy of each Hubble type, kept back from training where there is one."
        heading = words if self.stamps.originals is not None else f"{words} {NO_ORIGINALS}"
        return {
            "sheet": encode_sheet(pictures, len(rows)) if len(pictures) else None,
            "sheet_columns": len(rows),
            "sheet_rows": len(lines),
            "columns": columns,
            "rows": lines,
            "heading": heading,
        }

    def fill(self, content: dict[str, Any]) -> None:
        """Show what was made."""
        self.table.param.update(**content, stamp=self.task.number)

    def _lines(
        self, rows: NDArray[np.int64], models: list[str], columns: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], NDArray[np.uint8]]:
        """What the table draws, and all pictures (n, S, S, 3) in the order of the lines."""

        def add(
            model: str, pictures: NDArray[np.uint8], title: str, note: str, words: str, *,
            figures: Sequence[tuple[str, bool]] = (),
        ) -> None:  # fmt: skip
            line = strip(title, note, words, len(lines) * len(rows), columns, figures=figures)
            lines.append({**line, "model": model})
            sheets.append(pictures)

        made = {model: self.stamps.decode(model, rows) for model in models}
        original = self.stamps.get(rows, "original") if self.stamps.originals else None
        between = self._limits(original, list(made.values()))
        side = self.stamps.side
        lines: list[dict[str, Any]] = []
        sheets = [np.zeros((0, side, side, 3), np.uint8)]
        scale = format_residual(RESIDUAL_LIMIT, colour=self.stamps.colour)
        if original is not None:
            drawn = render_stamps(original, self.state.display, between)
            add("", drawn, "Original", "", "Original")
        errors = {model: self.state.bundle.column(f"{model}/error")[rows] for model in models}
        least = np.min([*errors.values(), np.full(len(rows), np.inf)], axis=0)
        for model, stamps in made.items():
            words = format_model(model, self.state.bundle.models[model].config)
            figures = [
                (format_mse(error), bool(error == best) and len(models) > 1)
                for error, best in zip(errors[model], least, strict=True)
            ]
            note = f"mean {format_mse(errors[model].mean())}"
            drawn = render_stamps(stamps, self.state.display, between)
            add(model, drawn, words, note, f"Reconstruction, {words},", figures=figures)
            if original is not None:
                left = residual_pictures(original - stamps, RESIDUAL_LIMIT)
                add(model, left, "residual", scale, f"Residual, {words},")
        return lines, np.concatenate(sheets)

    def _limits(
        self, original: NDArray[Any] | None, made: list[NDArray[np.float32]]
    ) -> NDArray[np.float64] | None:
        """The limits of all pictures of a galaxy: those of its original, else of the first."""
        if self.state.display.shared:
            return self.stamps.common_limits(self.state.display)
        if original is None and not made:
            return None
        first = made[0] if made else original
        return limits(_reference(original, first), self.state.display)


def format_mse(error: float) -> str:
    """A mean squared error, as "MSE 3.9e−4"."""
    mantissa, _, power = f"{error:.1e}".partition("e")
    return f"MSE {mantissa}e{int(power)}".replace("-", "−")


def _reference(original: NDArray[Any] | None, made: Any) -> NDArray[Any]:
    """The stamps that set the limits: the originals, or the first reconstructions without one."""
    if original is None:
        return np.asarray(made)
    missing = absent(original).reshape(-1, *[1] * (original.ndim - 1))
    return np.where(missing, made, original)


def galaxy_values(bundle: Bundle, row: int) -> dict[str, Any]:
    """A galaxy as the heading of a column; long names lose their beginning."""
    name = str(bundle.column("galaxy_id")[row])
    ttype = format_ttype(float(bundle.column("ttype")[row]))
    short = name if len(name) <= NAME_LENGTH else f"…{name[1 - NAME_LENGTH :]}"
    return {"id": row, "name": short, "note": ttype, "words": f"{name}, {ttype}"}
