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
    ALL_STAGES,
    QUESTIONS,
    ROW_FIELDS,
    Cost,
    Evaluation,
    EvaluationRow,
    NumberOfClusters,
    Target,
)
from galaxy_explorer.explorer.assets import Html, asset, render
from galaxy_explorer.explorer.plots.models import number_of_clusters
from galaxy_explorer.explorer.widgets.components import CARD_STYLES, TABLE_STYLES, HtmlPane, View
from galaxy_explorer.explorer.widgets.controls import PAGE_HEIGHT, Downloads, Made, keep_in_address
from galaxy_explorer.explorer.widgets.figures import FigurePane
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


def choice_words(bundle: Bundle, one: NumberOfClusters) -> str:
    """What was clustered, and the number of clusters that its curves recommend."""
    k = "no single k" if one.recommended is None else f"k = {one.recommended}"
    parts = (format_entry(bundle, one.model), one.features, one.clusterer)
    return f"{', '.join(filter(None, parts))}: {k}"


def costs_table(costs: Sequence[Cost]) -> Html:
    """Time and peak memory of each stage of the evaluation, and of all: else sum and maximum."""

    def stage(name: str, seconds: float, mib: float) -> dict[str, str]:
        return {"name": name, "time": f"{seconds:,.1f} s", "peak": f"{mib:,.0f} MiB"}

    parts = [cost for cost in costs if cost.stage != ALL_STAGES]
    total = (sum(cost.seconds for cost in parts), max((c.peak_mib for c in parts), default=0.0))
    whole = next((c for c in costs if c.stage == ALL_STAGES), Cost(ALL_STAGES, *total))
    stages = [stage(cost.stage, cost.seconds, cost.peak_mib) for cost in parts]
    last = stage(whole.stage, whole.seconds, whole.peak_mib) if len(parts) > 1 else None
    return render("scoreboard.costs", stages=stages, all=last)


ALL = ""
"""The choice that filters nothing."""
FILTERS = ("question", "model", "features", "clusterer")
BEST_FIRST = "the best first"
_ORDER_KEYS: dict[str, Callable[[EvaluationRow], Any]] = {
    BEST_FIRST: lambda _: 0,
    "model": lambda row: row.model,
    "features": lambda row: row.features,
    "clusterer": lambda row: row.clusterer,
    "number of clusters": lambda row: row.clusters or 0,
}
"""Orders of the rows of a figure; rows that are alike in them stay the best first."""
SHOWN_ROWS = 12
"""Of a figure, unless all are asked for."""
BETTER = {"higher": "more is better", "lower": "less is better", "": ""}


def matching(rows: Iterable[EvaluationRow], chosen: dict[str, str]) -> list[EvaluationRow]:
    """Rows that have every chosen value; ALL accepts any."""
    wanted = {name: value for name, value in chosen.items() if value != ALL}
    return [row for row in rows if all(getattr(row, n) == v for n, v in wanted.items())]


def values_of(rows: Iterable[EvaluationRow], name: str) -> list[str]:
    """Values of a column that occur, in the order of the questions or of first appearance."""
    found = dict.fromkeys(getattr(row, name) for row in rows)
    return [q for q in QUESTIONS if q in found] if name == "question" else [v for v in found if v]


def groups(
    bundle: Bundle,
    rows: Sequence[EvaluationRow],
    recommended: str,
    order: str = BEST_FIRST,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """One group for each figure: its heading, its axis, and its rows in an order, at most so many.

    recommended: "<model>/<features>" of the clustering that the bundle recommends.
    """
    by_figure: dict[tuple[str, str], list[EvaluationRow]] = {}
    for row in sorted(rows, key=lambda row: QUESTIONS.index(row.question)):
        by_figure.setdefault((row.question, row.figure), []).append(row)
    made, before = [], ""
    for (question, figure), own in by_figure.items():
        shown = sorted(_best_first(own), key=_ORDER_KEYS[order])
        left = len(shown) - len(shown[:most])
        made.append(
            {
                **group_values(bundle, figure, shown[:most], own, recommended),
                "question": QUESTION_WORDS[question] if question != before else "",
                "label": f"{figure_title(figure)}: {QUESTION_WORDS[question]}",
                "more": f"{left:,} more rows" if left else "",
            }
        )
        before = question
    return made


def _best_first(rows: list[EvaluationRow]) -> list[EvaluationRow]:
    sign = 1 if rows[0].better == "lower" else -1
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0)))


def group_values(
    bundle: Bundle,
    figure: str,
    shown: Sequence[EvaluationRow],
    rows: Sequence[EvaluationRow],
    recommended: str,
) -> dict[str, Any]:
    """One figure: its heading, the axis of all its rows, and the rows that are shown."""
    parts = ("value", "low", "high", "chance", "ceiling")
    axis = common_axis(getattr(row, part) for row in rows for part in parts)
    first = rows[0]
    notes = [first.unit, BETTER.get(first.better, ""), f"split: {first.split}"]
    return {
        "figure": figure_title(figure),
        "explanation": explanation(figure),
        "note": " · ".join(note for note in notes if note),
        "axis": [format_figure(axis[0]), format_figure(axis[1])],
        "rows": [row_values(bundle, row, axis, recommended) for row in shown],
    }


def row_values(bundle: Bundle, row: EvaluationRow, axis: Axis, recommended: str) -> dict[str, Any]:
    """One row of a figure, with its interval drawn."""
    # What a row rests on, in a line.
    parts = [f"{row.n:,} galaxies or runs", f"{row.seed_count} training(s)"]
    parts += [f"chance {format_figure(row.chance)}"] * (row.chance is not None)
    parts += [f"ceiling {format_figure(row.ceiling)}"] * (row.ceiling is not None)
    return {
        "model": format_entry(bundle, row.model),
        "features": row.features or "–",
        "clusterer": CLUSTERER_WORDS.get(row.clusterer, row.clusterer) or "–",
        "k": "" if row.clusters is None else str(row.clusters),
        "value": format_figure(row.value),
        "interval": format_interval(row.low, row.high),
        "marks": interval_html(
            row.value, row.low, row.high, axis=axis, chance=row.chance, ceiling=row.ceiling
        ),
        "words": " · ".join([*parts, *([row.note] if row.note else [])]),
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


CURVE = {"flex": "1 1 300px", "min-width": "0"}
FIRST_QUESTION = "agreement"
WORDS = {
    "question": "question", "scored": "model", "features": "features", "clusterer": "clusterer",
    "rows": "order", "all_rows": "all_rows", "curves": "choice",
}  # fmt: skip
"""Of the address, and the parameters of the page that they set."""
EVERY = {
    "question": "every question",
    "model": "every model",
    "features": "all features",
    "clusterer": "every clusterer",
}


class ScoreboardPage(View):
    """Filters above, one table for each figure below; then targets, numbers of clusters, costs."""

    question: Any = param.Selector(doc="Question whose figures are shown; empty: every question.")
    model: Any = param.Selector(doc="Model; empty: every model.")
    features: Any = param.Selector(doc="Features; empty: all.")
    clusterer: Any = param.Selector(doc="Clusterer; empty: every clusterer.")
    order: Any = param.Selector(default=BEST_FIRST, objects=list(_ORDER_KEYS), doc="Of the rows.")
    all_rows = param.Boolean(default=False, doc="Whether to show all rows of each figure.")
    choice: Any = param.Selector(doc="Clustering whose curves over k are shown.")

    def __init__(self, state: ExplorerState, _context: AppContext, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.tables = HtmlPane(
            "", stylesheets=[*TABLE_STYLES, asset("intervals.css")], sizing_mode="stretch_width"
        )
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
        self.param.watch(self._show, [*FILTERS, "order", "all_rows"])
        self._show()
        bar = pn.Row(
            self.count, self.downloads.buttons,
            pmui.Switch.from_param(
                self.param.all_rows, label="All rows", description="", size="small", margin=0
            ),
            sizing_mode="stretch_width", margin=0,
            styles={"flex-wrap": "wrap", "gap": "4px 18px", "align-items": "center"},
        )  # fmt: skip
        self.view = pn.Column(
            pn.Row(
                *(self._filter(name) for name in FILTERS),
                self._select("order", "Sorted by", list(self.param.order.objects)),
                sizing_mode="stretch_width",
            ),
            bar, self.tables, *self._parts(), sizing_mode="stretch_width", margin=8,
            styles={"height": PAGE_HEIGHT, "overflow": "hidden auto"},
        )  # fmt: skip
        keep_in_address(state, self, WORDS)

    def rows(self) -> list[EvaluationRow]:
        """The rows that pass the filters, in the order of the evaluation."""
        return matching(self.evaluation.rows, {name: getattr(self, name) for name in FILTERS})

    def _show(self, *_: param.parameterized.Event) -> None:
        rows = self.rows()
        most = None if self.all_rows else SHOWN_ROWS
        made = groups(self.state.bundle, rows, self.evaluation.recommended, self.order, most)
        self.tables.object = render("scoreboard.groups", groups=made)
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
        return self._select(name, name.capitalize(), options)

    def _select(self, name: str, label: str, options: Any) -> pmui.Select:
        return pmui.Select.from_param(
            self.param[name], label=label, options=options, size="small",
            description="", sizing_mode="stretch_width", margin=(10, 8, 4, 0),
        )  # fmt: skip

    def _format_choice(self, name: str, value: str) -> str:
        if name == "question":
            return QUESTION_WORDS[value]
        if name == "model":
            return format_entry(self.state.bundle, value)
        return CLUSTERER_WORDS.get(value, value)

    def _parts(self) -> list[pn.viewable.Viewable]:
        found = self.evaluation
        run = ", ".join(f"{name}: {value}" for name, value in found.settings.items())
        targets = targets_table(found.targets) if found.targets else Html()
        return [
            *_section("Targets for the recommended clustering", found.recommended_rule, targets),
            *self._number_of_clusters(),
            *_section("What the evaluation cost", run, costs_table(found.costs)),
        ]

    def _number_of_clusters(self) -> list[pn.viewable.Viewable]:
        """The verdict and the curves over k of one clustering, and a choice of which."""
        bundle, made = self.state.bundle, self.evaluation.number_of_clusters
        if not made:
            return []
        names = {choice_words(bundle, one): place for place, one in enumerate(made)}
        self.param["choice"].objects = list(names.values())
        recommended = [f"{one.model}/{one.features}" == self.evaluation.recommended for one in made]
        self.choice = recommended.index(True) if any(recommended) else 0
        return [
            _html(
                render("scoreboard.section", title="How many clusters?", words="", body=Html())
            ),
            self._select("choice", "Clustering", names),
            pn.panel(pn.bind(self._curves, self.param.choice)),
        ]  # fmt: skip

    def _curves(self, place: int) -> pn.Column:
        one = self.evaluation.number_of_clusters[place]
        words = render(
            "scoreboard.choice", title=choice_words(self.state.bundle, one), verdict=one.verdict,
            rule=one.rule,
        )  # fmt: skip
        panes = [FigurePane(figure, styles=CURVE) for figure in number_of_clusters(one)]
        return pn.Column(
            _html(words), pn.FlexBox(*panes, gap="8px", sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )  # fmt: skip


def _section(title: str, words: str, body: Html) -> list[pn.pane.HTML]:
    """A part of the page with its heading; nothing where there is nothing in it."""
    shown = render("scoreboard.section", title=title, words=words, body=body)
    return [_html(shown)] if body else []


def _html(content: str) -> pn.pane.HTML:
    return HtmlPane(content, stylesheets=CARD_STYLES, sizing_mode="stretch_width", margin=(2, 0))
