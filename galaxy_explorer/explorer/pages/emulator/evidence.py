"""The proof of the emulator as HTML: figures with goals, floors and controls; trends with T."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from galaxy_explorer.bundle.emulation import (
    KINDS,
    TESTED,
    EmulationFigure,
    EmulatorEvaluation,
    Histogram,
    PriorEvaluation,
    TypeTrend,
)
from galaxy_explorer.explorer.escape import escape
from galaxy_explorer.explorer.widgets.intervals import format_figure, format_interval

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle

NOT_MEASURED = (
    "Whether these galaxies obey the type that is asked for has not been measured yet."
    " <code>galaxy-explorer evaluate {path} --survey SURVEY --emulator</code> measures it and"
    " writes it into the bundle; then restart the app."
)
GROUP_WORDS = {
    "label": "Do samples follow the type?",
    "judge": "Do networks read the type that was asked for?",
    "distribution": "Are they distributed as real galaxies are?",
    "memory": "Are training galaxies copied?",
}
VERDICTS = {
    "reached": ("✓", "met"), "not reached": ("✗", "missed"), "within error": ("≈", "not-measured"),
    "at the floor": ("≈", "not-measured"), "no goal": ("", "not-measured"),
    "not measured": ("–", "not-measured"),
}  # fmt: skip
COLOURS = {
    "real": "#8b93a1", "reconstruction": "#2fa1da", "sample": "#ffb000", "control": "#db05b1",
}  # fmt: skip
KIND_WORDS = {
    "real": "real", "reconstruction": "reconstructed", "sample": "synthetic",
    "control": "control: prior trained on mismatched labels",
}  # fmt: skip
WIDTH, HEIGHT = 220, 96


def evidence_html(bundle: Bundle) -> str:
    """Everything that was measured of the bundle's emulator; else how to measure it."""
    found: EmulatorEvaluation | None = bundle.emulation
    if found is None:
        return f"<h2>Evidence</h2><p>{NOT_MEASURED.format(path=escape(bundle.path))}</p>"
    groups = "".join(_group(name, words, found.figures) for name, words in GROUP_WORDS.items())
    run = ", ".join(f"{escape(n)}: {escape(v)}" for n, v in found.settings.items())
    return (
        f"{_trends(found)}{groups}{_histograms(found.histograms)}{_curve(found)}"
        f"{''.join(_beside(found, other) for other in found.others)}"
        f"<h2>How it was measured</h2><p class='soft'>{run}</p>"
    )


def _group(name: str, words: str, figures: Iterable[EmulationFigure]) -> str:
    lines = [_line(figure) for figure in figures if figure.group == name]
    if not lines:
        return ""
    heads = ("Figure", "goal", "reached", "95 % interval", "n", "verdict", "floor", "collapsed",
             "control")  # fmt: skip
    titles = {
        "floor": "The same figure of real galaxies against real ones",
        "collapsed": "The same figure of an emulator that repeats 8 galaxies",
        "control": "The same figure of a prior trained on mismatched labels",
    }
    head = "".join(f'<th scope="col" title="{titles.get(h, "")}">{h}</th>' for h in heads)
    return (
        f'<h2>{words}</h2><div class="wide"><table class="targets"><thead><tr>{head}</tr></thead>'
        f"{''.join(lines)}</table></div>"
    )


def _beside(found: EmulatorEvaluation, other: PriorEvaluation) -> str:
    """Another prior, by the same figures, beside the one of this page."""
    lines = "".join(_pair(figure, found.figure(figure)) for figure in other.figures)
    heads = ("Figure", "goal", escape(other.model), "95 % interval", "verdict", "control",
             escape(found.model), "verdict")  # fmt: skip
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f"<h2>Beside it: the prior of {escape(other.model)}</h2><p class='soft'>A"
        f" {escape(other.settings.get('prior', 'prior'))}, by the same figures on the same galaxies,"
        " each against the reconstructions of its own model.</p>"
        f'<div class="wide"><table class="targets"><thead><tr>{head}</tr></thead>{lines}</table>'
        "</div>"
    )


def _pair(figure: EmulationFigure, same: EmulationFigure | None) -> str:
    """A figure of another prior, and the same figure of the prior of this page."""
    value, verdict = (None, "not measured") if same is None else (same.value, same.verdict)
    return (
        f"{_measured(figure)}{_verdict(figure.verdict)}"
        f'<td class="number soft">{format_figure(figure.control)}</td>'
        f'<td class="number">{format_figure(value)}</td>'
        f"{_verdict(verdict)}</tr>"
    )


def _line(figure: EmulationFigure) -> str:
    others = "".join(
        f'<td class="number soft">{format_figure(value)}</td>'
        for value in (figure.floor, figure.collapsed, figure.control)
    )
    return (
        f'{_measured(figure)}<td class="number soft">{figure.n:,}</td>'
        f"{_verdict(figure.verdict)}{others}</tr>"
    )


def _measured(figure: EmulationFigure) -> str:
    """The row of a figure up to its interval: name, goal, value."""
    statistic = f", {escape(_spaced(figure.statistic))}" if figure.statistic else ""
    return (
        f'<tr class="{VERDICTS[figure.verdict][1]}"><th scope="row" title="{escape(figure.note)}">'
        f'{escape(figure.name)}{statistic}</th><td class="number">{_goal(figure)}</td>'
        f'<td class="number"><b>{format_figure(figure.value)}</b></td>'
        f'<td class="number soft">{format_interval(figure.low, figure.high)}</td>'
    )


def _verdict(verdict: str) -> str:
    return f'<td class="verdict">{VERDICTS[verdict][0]} {verdict}</td>'


def _goal(figure: EmulationFigure) -> str:
    low, high = figure.goal_low, figure.goal_high
    if low is None and high is None:
        return "–"
    if high is None:
        return f"≥ {format_figure(low)}"
    return f"≤ {format_figure(high)}" if low is None else format_interval(low, high)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _trends(found: EmulatorEvaluation) -> str:
    names = list(dict.fromkeys(trend.statistic for trend in found.trends))
    drawn = "".join(
        _trend(name, [t for t in found.trends if t.statistic == name]) for name in names
    )
    return (
        "<h2>From the request to the galaxy</h2><p class='soft'>Mean of each statistic against the"
        " Hubble type T, −3 to 6: of held-out real galaxies, of their reconstructions, and of"
        " synthetic galaxies by the type asked for. p (Holm): of no slope, two-sided, from the"
        " slope over its error, corrected over all statistics (Holm 1979).</p>"
        f"{_key()}<div class='curves'>{drawn}</div>"
    )  # fmt: skip


def _key() -> str:
    marks = "".join(
        f'<span><i style="width:14px;height:4px;border-radius:2px;background:{COLOURS[kind]}"></i>'
        f"{KIND_WORDS[kind]}</span>"
        for kind in KINDS
    )
    return f'<p><span class="interval-key">{marks}</span></p>'


def _trend(name: str, trends: Sequence[TypeTrend]) -> str:
    means = [mean for trend in trends for mean in trend.means if mean is not None]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    lines = "".join(_polyline(t.means, low, high, COLOURS[t.kind]) for t in trends)
    slopes = "; ".join(_slope(trend) for trend in trends)
    words = f"{_spaced(name)} against T, slopes: {slopes}"
    return (
        f'<figure style="width:{WIDTH}px"><figcaption><b>{escape(_spaced(name))}</b>'
        f' <span class="soft">{format_figure(low)} to {format_figure(high)}</span></figcaption>'
        f'<svg role="img" aria-label="{escape(words)}" viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}"'
        f' style="height:{HEIGHT}px" preserveAspectRatio="none">{lines}</svg>'
        f'<div class="ends soft"><span>T −3</span><span>6</span></div>'
        f'<div class="soft">{escape(slopes)}</div></figure>'
    )


def _slope(trend: TypeTrend) -> str:
    words = f"{KIND_WORDS[trend.kind].split(':')[0]} {format_figure(trend.slope)} a type"
    tested = trend.format_p and trend.kind in TESTED
    return f"{words}, p (Holm) {trend.format_p}" if tested else words


def _polyline(values: Sequence[float | None], low: float, high: float, colour: str) -> str:
    span, last = (high - low) or 1.0, max(1, len(values) - 1)
    points = " ".join(
        f"{WIDTH * place / last:.1f},{HEIGHT * (1 - (value - low) / span):.1f}"
        for place, value in enumerate(values)
        if value is not None
    )
    return f'<polyline style="stroke:{colour}" points="{points}"/>'


def _histograms(histograms: Sequence[Histogram]) -> str:
    drawn = "".join(_histogram(one) for one in histograms)
    if not drawn:
        return ""
    return f"<h2>Distributions</h2>{_key()}<div class='curves'>{drawn}</div>"


def _histogram(one: Histogram) -> str:
    top = max((max(shares) for shares in one.shares.values() if shares), default=1.0) or 1.0
    lines = "".join(
        _polyline(shares, 0.0, top, COLOURS.get(kind, COLOURS["real"]))
        for kind, shares in one.shares.items()
    )
    words = f"Distribution of {_spaced(one.statistic)}: {', '.join(one.shares)}"
    return (
        f'<figure style="width:{WIDTH}px"><figcaption><b>{escape(_spaced(one.statistic))}</b>'
        f'</figcaption><svg role="img" aria-label="{escape(words)}"'
        f' viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}" style="height:{HEIGHT}px"'
        f' preserveAspectRatio="none">{lines}</svg><div class="ends soft"><span>'
        f"{format_figure(one.edges[0])}</span><span>{format_figure(one.edges[-1])}</span></div></figure>"
    )


def _curve(found: EmulatorEvaluation) -> str:
    if not found.curve:
        return ""
    lines = "".join(
        f'<tr><th scope="row">{point.guidance:g}{" (default)" if chosen else ""}</th>'
        f'<td class="number">{format_figure(point.slope_ratio)}</td>'
        f'<td class="number">{format_figure(point.distance)}</td>'
        f'<td class="number">{format_figure(point.diversity)}</td>'
        f'<td class="number">{format_figure(point.judged)}</td></tr>'
        for point in found.curve
        for chosen in [point.guidance == found.guidance]
    )
    heads = ("Guidance", "slope ratio", "distance W1 / σ", "diversity", "asked and judged T, r")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        f"<h2>Guidance</h2><p class='soft'>On validation galaxies; the default is chosen by:"
        f' {escape(found.guidance_rule)}.</p><table class="targets"><thead><tr>{head}</tr></thead>'
        f"{lines}</table>"
    )
