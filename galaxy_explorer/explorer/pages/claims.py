"""The Claims page: what the report claimed, tested on the same galaxies, with the verdict.

The report's claims as cards: its words, the test, the figures with intervals, the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import panel as pn
import param

from galaxy_explorer.bundle.evaluation import CLAIMS, VERDICTS, Claim, ClaimFigure, Evaluation
from galaxy_explorer.bundle.files import verified_bytes
from galaxy_explorer.explorer.escape import escape
from galaxy_explorer.explorer.widgets.cluster_headings import STYLES, choice
from galaxy_explorer.explorer.widgets.components import CARD_STYLES
from galaxy_explorer.explorer.widgets.downloads import Downloads, Made
from galaxy_explorer.explorer.widgets.intervals import (
    Axis,
    common_axis,
    format_figure,
    format_interval,
    interval_html,
)
from galaxy_explorer.explorer.wording import NOT_EVALUATED

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle
    from galaxy_explorer.explorer.pictures.stamps import StampStore
    from galaxy_explorer.explorer.state import ExplorerState


SIGNS = {"holds": "✓", "partly": "◐", "does not hold": "✗", "cannot be told": "?"}
CLASSES = {
    "holds": "holds", "partly": "partly", "does not hold": "fails", "cannot be told": "untold",
}  # fmt: skip


def verdict_counts(claims: Sequence[Claim]) -> dict[str, int]:
    """How many claims have each verdict, in the order of VERDICTS; all of them are there."""
    found = Counter(claim.verdict for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS}


def cards(claims: Sequence[Claim]) -> str:
    """One card a claim, as HTML; every text of the evaluation is escaped."""
    return f'<div class="cards">{"".join(_card(claim) for claim in claims)}</div>'


def _card(claim: Claim) -> str:
    kind = CLASSES[claim.verdict]
    sign = f'<span class="sign">{SIGNS[claim.verdict]}</span> {claim.verdict}'
    seeds = f"{claim.seeds} trainings each" if claim.seeds > 1 else "one training"
    return (
        f'<article class="card {kind}" id="{escape(claim.id)}">'
        f'<header><span class="verdict">{sign}</span>'
        f'<span class="soft">report, section {escape(claim.section)}</span></header>'
        f"<h3>{escape(claim.words)}</h3>"
        f"<table>{''.join(_figures(claim.figures))}</table>"
        f"<p>{escape(claim.explanation)}</p>"
        f'<p class="soft"><b>Test:</b> {escape(claim.test)} <b>Rule:</b> {escape(claim.rule)}'
        f" <b>Based on</b> {seeds}.</p></article>"
    )


def _figures(figures: Sequence[ClaimFigure]) -> list[str]:
    """Lines of the table; figures of the same unit share an axis."""
    axes: dict[str, Axis] = {
        unit: common_axis(
            part for f in figures if f.unit == unit for part in (f.value, f.low, f.high)
        )
        for unit in {figure.unit for figure in figures}
    }
    return [_figure(figure, axes[figure.unit]) for figure in figures]


def _figure(figure: ClaimFigure, axis: Axis) -> str:
    unit = f' <span class="soft">{escape(figure.unit)}</span>' if figure.unit else ""
    marks = interval_html(figure.value, figure.low, figure.high, axis=axis)
    return (
        f'<tr><th scope="row">{escape(figure.name)}{unit}</th>'
        f'<td class="number">{format_figure(figure.value)}</td>'
        f'<td class="number soft">{format_interval(figure.low, figure.high)}</td>'
        f'<td class="marks">{marks}</td><td class="number soft">n {figure.n:,}</td></tr>'
    )


PAGE_HEIGHT = "calc(100vh - 84px)"
EVERY = "all"
INTRODUCTION = (
    "The report that this project starts from (Cheng et al. 2019) made claims that it had not the"
    " means to test. Each is tested here on the same galaxies, by a rule that was fixed before the"
    " figures were known. Bars are 95 % intervals."
)


class ClaimsPage(pn.viewable.Viewer):
    """Cards of the claims, all of them or those with one verdict."""

    verdict: Any = param.Selector(default=EVERY, objects=[EVERY, *VERDICTS], doc="What is shown.")

    def __init__(self, state: ExplorerState, _stamps: StampStore, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
        self.cards = pn.pane.HTML(
            "", stylesheets=CARD_STYLES, sizing_mode="stretch_width", margin=(8, 0)
        )
        self.downloads = Downloads("Download as", ["md"], self._prepare_file)
        self.downloads.buttons.visible = CLAIMS in state.bundle.manifest.files
        self.param.watch(self._show, "verdict")
        self._show()
        self.view = self._layout()

    def __panel__(self) -> pn.Column:
        return self.view

    @property
    def _evaluation(self) -> Evaluation | None:
        evaluation: Evaluation | None = self.state.bundle.evaluation
        return evaluation

    def _show(self, *_: param.parameterized.Event) -> None:
        if self._evaluation is None:
            path = escape(self.state.bundle.path)
            self.cards.object = f"<p>{NOT_EVALUATED.format(path=path)}</p>"
            return
        shown = [c for c in self._evaluation.claims if self.verdict in (EVERY, c.verdict)]
        self.cards.object = cards(shown) if shown else "<p>No claim has this verdict.</p>"

    def _prepare_file(self, _kind: str) -> Callable[[], Made]:
        return partial(_claims_file, self.state.bundle)

    def _layout(self) -> pn.Column:
        column = {"height": PAGE_HEIGHT, "overflow": "hidden auto"}
        if self._evaluation is None:
            return pn.Column(self.cards, sizing_mode="stretch_width", margin=8, styles=column)
        counts = verdict_counts(self._evaluation.claims)
        options = {f"All {sum(counts.values())}": EVERY} | {
            f"{SIGNS[verdict]} {count} {verdict}": verdict for verdict, count in counts.items()
        }
        head = pn.pane.HTML(
            f"<h2>The report's claims, judged</h2><p>{INTRODUCTION}</p>",
            stylesheets=[STYLES], sizing_mode="stretch_width", margin=(0, 0, 6, 0),
        )  # fmt: skip
        bar = pn.Row(
            choice("Verdict", self.param.verdict, options), self.downloads.buttons,
            sizing_mode="stretch_width", margin=0,
            styles={"flex-wrap": "wrap", "gap": "6px 18px", "align-items": "center"},
        )  # fmt: skip
        return pn.Column(
            head, bar, self.cards, sizing_mode="stretch_width", margin=8, styles=column
        )


def _claims_file(bundle: Bundle) -> Made:
    """The bundle's own CLAIMS.md, as the evaluation wrote it, checked once more."""
    return "claims", verified_bytes(bundle.path / CLAIMS, bundle.manifest.files[CLAIMS])
