"""The Scoreboard page: every figure of the evaluation, with chance, ceiling and interval.

Figures are filtered, put in groups and handed out as files; below them stand targets, curves over
the number of clusters, and what the evaluation cost.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
import param
from msgspec.structs import astuple

from galaxy_explorer.bundle.evaluation import (
    QUESTIONS,
    ROW_FIELDS,
    Cost,
    Evaluation,
    EvaluationRow,
    NumberOfClusters,
    Target,
)
from galaxy_explorer.explorer.assets import Html, render
from galaxy_explorer.explorer.widgets.components import CARD_STYLES, HtmlPane, ScoreGroups
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, Downloads, Made
from galaxy_explorer.explorer.widgets.intervals import (
    Axis,
    common_axis,
    format_figure,
    format_interval,
    interval_html,
)
from galaxy_explorer.explorer.wording import (
    CLUSTERER_WORDS,
    QUESTION_WORDS,
    explanation,
    figure_title,
    format_entry,
)
from galaxy_explorer.utils.tables import encode_table, write_csv

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.context import AppContext
    from galaxy_explorer.explorer.state import ExplorerState


MET = {1: ("✓", "met"), 0: ("✗", "missed"), None: ("–", "not measured")}
WIDTH, HEIGHT = 150, 60


def targets_table(targets: Sequence[Target]) -> Html:
    """Goals set beforehand, what was reached, and whether that meets them."""
    rows = []
    for target in targets:
        sign, words = MET[target.met]
        rows.append(
            {
                "kind": words.replace(" ", "-"), "name": target.name, "note": target.note,
                "goal": format_figure(target.goal), "value": format_figure(target.value),
                "interval": format_interval(target.low, target.high), "verdict": f"{sign} {words}",
            }
        )  # fmt: skip
    return render("scoreboard.targets", rows=rows)


def curves(bundle: Bundle, choices: Sequence[NumberOfClusters]) -> Html:
    """Curves over the number of clusters k, one small drawing each, with the verdict in words."""
    shown = Html()
    for one in choices:
        k = "no single k" if one.recommended is None else f"k = {one.recommended}"
        parts = (format_entry(bundle, one.model), one.features, one.clusterer)
        drawn = [curve_values(name, one.k, vs, one.recommended) for name, vs in one.curves.items()]
        shown += render(
            "scoreboard.choice", title=f"{', '.join(filter(None, parts))}: {k}",
            verdict=one.verdict, rule=one.rule, curves=[curve for curve in drawn if curve],
        )  # fmt: skip
    return shown


def curve_values(
    name: str, k: Sequence[int], values: Sequence[float | None], recommended: int | None
) -> dict[str, str]:
    """A curve over k as an SVG wants it; empty where nothing was measured."""
    points = [(at, value) for at, value in zip(k, values, strict=True) if value is not None]
    if not points:
        return {}
    low, high = min(value for _, value in points), max(value for _, value in points)
    span, wide = (high - low) or 1.0, (k[-1] - k[0]) or 1

    def place(at: float, value: float) -> str:
        x, y = WIDTH * (at - k[0]) / wide, HEIGHT * (1 - (value - low) / span)
        return f"{x:.1f},{y:.1f}"

    words = f"{name}: from {format_figure(points[0][1])} at k = {points[0][0]} to "
    words += f"{format_figure(points[-1][1])} at k = {points[-1][0]}"
    return {
        "name": name, "range": f"{format_figure(low)} to {format_figure(high)}", "words": words,
        "box": f"-4 -6 {WIDTH + 8} {HEIGHT + 12}", "bottom": f"{HEIGHT + 4}",
        "chosen": "" if recommended is None else f"{WIDTH * (recommended - k[0]) / wide:.1f}",
        "points": " ".join(place(at, value) for at, value in points),
        "first": f"k = {k[0]}", "last": f"{k[-1]}",
    }  # fmt: skip


def costs_table(costs: Sequence[Cost]) -> Html:
    """Time and peak memory of each stage of the evaluation, and their sum and maximum."""

    def stage(name: str, seconds: float, mib: float) -> dict[str, str]:
        return {"name": name, "time": f"{seconds:,.1f} s", "peak": f"{mib:,.0f} MiB"}

    total = (sum(cost.seconds for cost in costs), max((c.peak_mib for c in costs), default=0.0))
    stages = [stage(cost.stage, cost.seconds, cost.peak_mib) for cost in costs]
    return render(
        "scoreboard.costs", stages=stages, all=stage("all", *total) if len(costs) > 1 else None
    )


ALL = ""
"""The choice that filters nothing."""
FILTERS = ("question", "model", "features", "clusterer")
BETTER = {"higher": "more is better", "lower": "less is better", "": ""}


def matching(rows: Iterable[EvaluationRow], chosen: dict[str, str]) -> list[EvaluationRow]:
    """Rows that have every chosen value; ALL accepts any."""
    wanted = {name: value for name, value in chosen.items() if value != ALL}
    return [row for row in rows if all(getattr(row, n) == v for n, v in wanted.items())]


def values_of(rows: Iterable[EvaluationRow], name: str) -> list[str]:
    """Values of a column that occur, in the order of the questions or of first appearance."""
    found = dict.fromkeys(getattr(row, name) for row in rows)
    return [q for q in QUESTIONS if q in found] if name == "question" else [v for v in found if v]


def groups(bundle: Bundle, rows: Sequence[EvaluationRow], recommended: str) -> list[dict[str, Any]]:
    """One group for each figure: its heading, its axis, and its rows, the best first.

    recommended: "<model>/<features>" of the clustering that the bundle recommends.
    """
    by_figure: dict[tuple[str, str], list[EvaluationRow]] = {}
    for row in sorted(rows, key=lambda row: QUESTIONS.index(row.question)):
        by_figure.setdefault((row.question, row.figure), []).append(row)
    return [
        group_values(bundle, question, figure, own, recommended)
        for (question, figure), own in by_figure.items()
    ]


def group_values(
    bundle: Bundle, question: str, figure: str, rows: list[EvaluationRow], recommended: str
) -> dict[str, Any]:
    """One figure: its heading, its axis, and its rows."""
    parts = ("value", "low", "high", "chance", "ceiling")
    axis = common_axis(getattr(row, part) for row in rows for part in parts)
    first = rows[0]
    sign = 1 if first.better == "lower" else -1
    best_first = sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0)))
    notes = [first.unit, BETTER.get(first.better, ""), f"split: {first.split}"]
    return {
        "question": QUESTION_WORDS[question],
        "figure": figure_title(figure),
        "explanation": explanation(figure),
        "note": " · ".join(note for note in notes if note),
        "axis": [format_figure(axis[0]), format_figure(axis[1])],
        "rows": [row_values(bundle, row, axis, recommended) for row in best_first],
    }


def row_values(bundle: Bundle, row: EvaluationRow, axis: Axis, recommended: str) -> dict[str, Any]:
    """One row of a figure, with its interval drawn."""
    marks = interval_html(
        row.value, row.low, row.high, axis=axis, chance=row.chance, ceiling=row.ceiling
    )
    # What a row rests on, in a line.
    parts = [f"{row.n:,} galaxies or runs", f"{row.seed_count} training(s)"]
    parts += [f"chance {format_figure(row.chance)}"] * (row.chance is not None)
    parts += [f"ceiling {format_figure(row.ceiling)}"] * (row.ceiling is not None)
    words = " · ".join([*parts, *([row.note] if row.note else [])])
    return {
        "cells": [
            format_entry(bundle, row.model),
            row.features or "–",
            CLUSTERER_WORDS.get(row.clusterer, row.clusterer) or "–",
            "" if row.clusters is None else str(row.clusters),
            format_figure(row.value),
        ],
        "sort": [row.model, row.features, row.clusterer, row.clusters, row.value],
        "interval": format_interval(row.low, row.high),
        "marks": str(marks),
        "words": words,
        "recommended": f"{row.model}/{row.features}" == recommended and bool(row.clusterer),
    }


def csv_bytes(rows: Sequence[EvaluationRow]) -> bytes:
    """The rows as comma-separated values with a header; an absent number is empty."""
    text = io.StringIO(newline="")
    write_csv(text, [ROW_FIELDS, *(astuple(row) for row in rows)])
    return text.getvalue().encode()


def ecsv_bytes(rows: Sequence[EvaluationRow], evaluation: Evaluation, bundle: Bundle) -> bytes:
    """The rows as an ECSV table (astropy), with bundle and settings in its header."""
    from astropy.table import MaskedColumn, Table

    table = Table(meta={"bundle": bundle.name, "hash": bundle.hash, **evaluation.settings})
    for name in ROW_FIELDS:
        values = [getattr(row, name) for row in rows]
        missing = [value is None for value in values]
        filled = [0 if value is None else value for value in values]
        table[name] = MaskedColumn(filled, mask=missing) if any(missing) else filled
    return encode_table(table, "ecsv")


FIRST_QUESTION = "agreement"
EVERY = {
    "question": "every question",
    "model": "every model",
    "features": "all features",
    "clusterer": "every clusterer",
}


class ScoreboardPage(pn.viewable.Viewer):
    """Filters above, one table for each figure below; then targets, numbers of clusters, costs."""

    question: Any = param.Selector(doc="Question whose figures are shown; empty: every question.")
    model: Any = param.Selector(doc="Model; empty: every model.")
    features: Any = param.Selector(doc="Features; empty: all.")
    clusterer: Any = param.Selector(doc="Clusterer; empty: every clusterer.")

    def __init__(self, state: ExplorerState, _context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.tables = ScoreGroups()
        self.count = _html("")
        self.downloads = Downloads("Download these as", ["csv", "ecsv"], self.prepare_file)
        evaluation: Evaluation | None = state.bundle.evaluation
        if evaluation is None:
            missing = render("parts.not_evaluated", path=state.bundle.path)
            self.view = pn.Column(_html(missing), margin=8)
            return
        self.evaluation = evaluation
        for name in FILTERS:
            values = values_of(evaluation.rows, name)
            self.param[name].objects = [ALL, *values]
            first = name == "question" and FIRST_QUESTION in values
            setattr(self, name, FIRST_QUESTION if first else ALL)
        self.param.watch(self._show, list(FILTERS))
        self._show()
        bar = pn.Row(
            self.count, self.downloads.buttons, sizing_mode="stretch_width", margin=0,
            styles={"flex-wrap": "wrap", "gap": "4px 18px", "align-items": "center"},
        )  # fmt: skip
        self.view = pn.Column(
            pn.Row(*(self._filter(name) for name in FILTERS), sizing_mode="stretch_width"),
            bar, self.tables, *self._parts(), sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip

    def __panel__(self) -> pn.Column:
        return self.view

    def rows(self) -> list[EvaluationRow]:
        """The rows that pass the filters, in the order of the evaluation."""
        return matching(self.evaluation.rows, {name: getattr(self, name) for name in FILTERS})

    def _show(self, *_: param.parameterized.Event) -> None:
        rows = self.rows()
        self.tables.groups = groups(self.state.bundle, rows, self.evaluation.recommended)
        total = len(self.evaluation.rows)
        words = f"{len(rows):,} of {total:,} figures" if rows else "No figure passes these filters."
        self.count.object = render("scoreboard.count", words=words)

    def prepare_file(self, kind: str) -> Callable[[], Made]:
        """The file that is asked for; it is made in a thread."""
        return partial(self._file, kind, self.rows())

    def _file(self, kind: str, rows: list[EvaluationRow]) -> Made:
        if kind == "csv":
            return "scoreboard", csv_bytes(rows)
        return "scoreboard", ecsv_bytes(rows, self.evaluation, self.state.bundle)

    def _filter(self, name: str) -> pmui.Select:
        options = {EVERY[name]: ALL}
        for value in self.param[name].objects[1:]:
            options[self._format_choice(name, value)] = value
        return pmui.Select.from_param(
            self.param[name], label=name.capitalize(), options=options, size="small",
            description="", sizing_mode="stretch_width", margin=(10, 8, 4, 0),
        )  # fmt: skip

    def _format_choice(self, name: str, value: str) -> str:
        if name == "question":
            return QUESTION_WORDS[value]
        if name == "model":
            return format_entry(self.state.bundle, value)
        return CLUSTERER_WORDS.get(value, value)

    def _parts(self) -> list[pn.pane.HTML]:
        found, bundle = self.evaluation, self.state.bundle
        run = ", ".join(f"{name}: {value}" for name, value in found.settings.items())
        targets = targets_table(found.targets) if found.targets else ""
        parts = [
            ("Targets for the recommended clustering", found.recommended_rule, targets),
            ("How many clusters?", "", curves(bundle, found.number_of_clusters)),
            ("What the evaluation cost", run, costs_table(found.costs)),
        ]
        return [
            _html(render("scoreboard.section", title=title, words=words, body=body))
            for title, words, body in parts
            if body
        ]


def _html(content: str) -> pn.pane.HTML:
    return HtmlPane(content, stylesheets=CARD_STYLES, sizing_mode="stretch_width", margin=(2, 0))
