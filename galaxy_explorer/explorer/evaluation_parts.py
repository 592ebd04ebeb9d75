"""Parts of the Scoreboard page as HTML: targets, curves over the number of clusters, costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from galaxy_explorer.bundle_evaluation import Cost, NumberOfClusters, Target
from galaxy_explorer.explorer.evaluation_words import entry_words
from galaxy_explorer.explorer.intervals import figure_words, interval_words
from galaxy_explorer.explorer.text import plain

if TYPE_CHECKING:
    from galaxy_explorer.bundle import Bundle

MET = {1: ("✓", "met"), 0: ("✗", "missed"), None: ("–", "not measured")}
WIDTH, HEIGHT = 150, 60


def targets_table(targets: Sequence[Target]) -> str:
    """Goals set beforehand, what was reached, and whether that meets them."""
    lines = []
    for target in targets:
        sign, words = MET[target.met]
        lines.append(
            f'<tr class="{words.replace(" ", "-")}"><th scope="row">{plain(target.name)}</th>'
            f'<td class="number">{figure_words(target.goal)}</td>'
            f'<td class="number"><b>{figure_words(target.value)}</b></td>'
            f'<td class="number soft">{interval_words(target.low, target.high)}</td>'
            f'<td class="verdict">{sign} {words}</td>'
            f'<td class="soft">{plain(target.note)}</td></tr>'
        )
    heads = ("Target", "goal", "reached", "95 % interval", "verdict", "note")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f'<table class="targets"><thead><tr>{head}</tr></thead>{"".join(lines)}</table>'


def curves(bundle: Bundle, choices: Sequence[NumberOfClusters]) -> str:
    """Curves over the number of clusters k, one small drawing each, with the verdict in words."""
    return "".join(_choice(bundle, choice) for choice in choices)


def _choice(bundle: Bundle, choice: NumberOfClusters) -> str:
    k = "no single k" if choice.recommended is None else f"k = {choice.recommended}"
    title = ", ".join(
        plain(part)
        for part in (entry_words(bundle, choice.model), choice.features, choice.clusterer)
        if part
    )
    drawn = "".join(
        _curve(name, choice.k, values, choice.recommended) for name, values in choice.curves.items()
    )
    return (
        f"<h3>{title}: {k}</h3><p>{plain(choice.verdict)}"
        f' <span class="soft">Rule: {plain(choice.rule)}.</span></p>'
        f'<div class="curves">{drawn}</div>'
    )


def _curve(
    name: str, k: Sequence[int], values: Sequence[float | None], recommended: int | None
) -> str:
    points = [(at, value) for at, value in zip(k, values, strict=True) if value is not None]
    if not points:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    span, wide = (high - low) or 1.0, (k[-1] - k[0]) or 1

    def place(at: float, value: float) -> str:
        x, y = WIDTH * (at - k[0]) / wide, HEIGHT * (1 - (value - low) / span)
        return f"{x:.1f},{y:.1f}"

    line = " ".join(place(at, value) for at, value in points)
    mark = ""
    if recommended is not None:
        x = WIDTH * (recommended - k[0]) / wide
        mark = f'<line class="chosen" x1="{x:.1f}" x2="{x:.1f}" y1="-4" y2="{HEIGHT + 4}"/>'
    words = f"{name}: from {figure_words(points[0][1])} at k = {points[0][0]} to "
    words += f"{figure_words(points[-1][1])} at k = {points[-1][0]}"
    return (
        f'<figure><figcaption>{plain(name)} <span class="soft">{figure_words(low)} to'
        f" {figure_words(high)}</span></figcaption>"
        f'<svg role="img" aria-label="{plain(words)}" viewBox="-4 -6 {WIDTH + 8} {HEIGHT + 12}"'
        f' preserveAspectRatio="none">{mark}<polyline points="{line}"/></svg>'
        f'<div class="ends soft"><span>k = {k[0]}</span><span>{k[-1]}</span></div></figure>'
    )


def costs_table(costs: Sequence[Cost]) -> str:
    """Time and peak memory of each stage of the evaluation, and their sum and maximum."""
    lines = [(plain(cost.stage), cost.seconds, cost.peak_mib) for cost in costs]
    if len(lines) > 1:
        lines.append(("<b>all</b>", sum(c.seconds for c in costs), max(c.peak_mib for c in costs)))
    body = "".join(
        f'<tr><th scope="row">{stage}</th><td class="number">{seconds:,.1f} s</td>'
        f'<td class="number">{peak:,.0f} MiB</td></tr>'
        for stage, seconds, peak in lines
    )
    head = '<th scope="col">Stage</th><th scope="col">time</th><th scope="col">peak memory</th>'
    return f'<table class="targets"><thead><tr>{head}</tr></thead>{body}</table>'
