"""The report's claims as cards: its words, the test, the figures with intervals, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from galaxy_explorer.bundle_evaluation import VERDICTS, Claim, ClaimFigure
from galaxy_explorer.explorer.intervals import (
    Axis,
    common_axis,
    figure_words,
    interval_html,
    interval_words,
)
from galaxy_explorer.explorer.text import plain

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
        f'<article class="card {kind}" id="{plain(claim.id)}">'
        f'<header><span class="verdict">{sign}</span>'
        f'<span class="soft">report, section {plain(claim.section)}</span></header>'
        f"<h3>{plain(claim.words)}</h3>"
        f"<table>{''.join(_figures(claim.figures))}</table>"
        f"<p>{plain(claim.explanation)}</p>"
        f'<p class="soft"><b>Test:</b> {plain(claim.test)} <b>Rule:</b> {plain(claim.rule)}'
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
    unit = f' <span class="soft">{plain(figure.unit)}</span>' if figure.unit else ""
    marks = interval_html(figure.value, figure.low, figure.high, axis=axis)
    return (
        f'<tr><th scope="row">{plain(figure.name)}{unit}</th>'
        f'<td class="number">{figure_words(figure.value)}</td>'
        f'<td class="number soft">{interval_words(figure.low, figure.high)}</td>'
        f'<td class="marks">{marks}</td><td class="number soft">n {figure.n:,}</td></tr>'
    )
